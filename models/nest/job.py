"""What the NEST processes are told: a JSON file that names SONATA files, and how to run them."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

_PATHS = ("nodes", "cell_models", "synaptic_models", "edges", "spikes", "current", "results")


@dataclass(frozen=True)
class Job:
    """A simulation; all paths are absolute.

    Attributes
    ----------
    nodes : (Path, Path)
        HDF5 file and types CSV of the neurons.
    cell_models, synaptic_models : Path
        Folders.
    edges : dict of source -> (Path, Path)
        HDF5 file and types CSV.
    spikes : dict of source -> Path
        SONATA spike files of the external units.
    current : Path or None
        A .npz file: ``times`` (n,) [ms] from which on row i of ``amplitudes`` (n, n_neurons) [pA] acts.
    dt : float [ms]
    n_steps : int
    n_after_spike_currents : int
        As many of each cell model's are run.
    record_v : tuple of int
    results : Path
        Folder; each process writes `results_of` its rank.
    threads : int
        Of each process.
    n_parts : int
        NEST is called for so many parts of the run, and tells after each.
    """

    nodes: tuple
    cell_models: Path
    synaptic_models: Path
    edges: dict
    spikes: dict
    current: Path | None
    dt: float
    n_steps: int
    n_after_spike_currents: int
    record_v: tuple
    results: Path
    threads: int = 1
    n_parts: int = 50

    def results_of(self, rank):
        """File with spikes and membrane potentials of the neurons of one process."""
        return self.results / f"rank_{rank}.npz"


def write_job(path, job):
    """Write a job as JSON."""
    path.write_text(json.dumps(dataclasses.asdict(job), default=str))


def read_job(path):
    """Read what `write_job` wrote."""
    content = json.loads(Path(path).read_text())
    for name in _PATHS:
        content[name] = _as_paths(content[name])
    return Job(**content)


def _as_paths(value):
    if isinstance(value, dict):
        return {name: _as_paths(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return tuple(_as_paths(entry) for entry in value)
    return None if value is None else Path(value)
