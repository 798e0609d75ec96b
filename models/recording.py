"""What is asked of an engine (Run) and what it gives back (Recording), with the folder a recording is stored in."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from twincortex.models.atomic_output import new_folder
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.hdf5.reading import open_hdf5, read_dataset, read_group
from twincortex.models.hdf5.writing import hdf5_to_write, mark_as_sonata, write_dataset
from twincortex.models.spikes import SpikeTrains, read_spikes, write_spikes

AFTER_SPIKE_CURRENTS = ("exact", "step_mean")
MARKER = "run.json"


@dataclass(frozen=True)
class Run:
    """How to simulate: the same for every engine.

    Attributes
    ----------
    duration : float [ms]
        A whole number of steps.
    dt : float [ms]
    record_v : tuple of int
        Neurons whose membrane potential is recorded.
    after_spike_current : str
        How the after-spike current enters V: ``"exact"`` solution, or its mean over the step (``"step_mean"``, NEST's
        convention).
    precision : str
        ``"float64"`` or ``"float32"``.
    current : (n_steps, n_neurons) or (1, n_neurons) float64 array [pA], optional
        Injected current; row n acts during the integration of step n, a single row during all of them.

    Raises
    ------
    InputError
        A value that no engine can run.
    """

    duration: float
    dt: float = 1.0
    record_v: tuple = ()
    after_spike_current: str = "exact"
    precision: str = "float64"
    current: np.ndarray | None = None

    def __post_init__(self):
        for name in ("duration", "dt"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"{name} {value} ms: expected a positive number.")
        # More steps than duration / dt is rounded by, fewer than anyone means, and fewer than SpikeTrains.steps allows.
        if abs(self.duration / self.dt - self.n_steps) > 5e-7 or self.n_steps < 1:
            raise InputError(
                f"duration {self.duration:g} ms is not a whole number of steps of dt {self.dt:g} ms. "
                f"Choose {max(self.n_steps, 1) * self.dt:g} ms, or another dt."
            )
        _check_choice("after_spike_current", self.after_spike_current, AFTER_SPIKE_CURRENTS)
        _check_choice("precision", self.precision, ("float64", "float32"))

    @property
    def n_steps(self):
        """Number of steps."""
        return round(self.duration / self.dt)

    def check_record_v(self, n_neurons):
        """Refuse neurons that are not there, and the same neuron twice.

        Parameters
        ----------
        n_neurons : int
        """
        outside = [neuron for neuron in self.record_v if not 0 <= neuron < n_neurons]
        if outside:
            raise InputError(f"record_v {outside[:5]}: expected neurons 0 to {n_neurons - 1}.")
        if len(set(self.record_v)) < len(self.record_v):
            raise InputError("record_v names a neuron twice. Name each once.")


def _check_choice(name, value, choices):
    if value not in choices:
        raise InputError(f"{name} {value!r} is unknown; {near_name_hint(value, choices)}.")


@dataclass
class Recording:
    """Spikes and membrane potentials of one run.

    Attributes
    ----------
    spikes : SpikeTrains
        Population ``v1``.
    v : (n_steps, n_recorded) float64 array [mV]
        At the end of each step, after the reset.
    v_ids : (n_recorded,) int64 array
    dt, duration : float [ms]
    engine : str
    settings : dict
        Everything else that decided the result: options, versions, hashes of the circuit.
    """

    spikes: SpikeTrains
    v: np.ndarray
    v_ids: np.ndarray
    dt: float
    duration: float
    engine: str
    settings: dict = field(default_factory=dict)


def write_recording(recording, folder, overwrite=False):
    """Write ``spikes.h5``, ``v.h5`` and ``run.json``.

    Parameters
    ----------
    recording : Recording
    folder : str or Path
    overwrite : bool
        Replace an earlier recording.

    Raises
    ------
    InputError
        The folder exists, or cannot be written.
    """
    with new_folder(folder, MARKER, overwrite) as partial:
        write_spikes(partial / "spikes.h5", recording.spikes)
        _write_v(partial / "v.h5", recording)
        facts = {name: getattr(recording, name) for name in ("engine", "dt", "duration", "settings")}
        (partial / MARKER).write_text(json.dumps(facts, indent=2) + "\n")


def _write_v(path, recording):
    # SONATA's report layout in float64: libsonata's reader takes float32 only, but comparing engines needs all digits.
    ids = np.asarray(recording.v_ids)
    with hdf5_to_write(path) as file:
        mark_as_sonata(file)
        report = file.create_group("report/v1")
        write_dataset(report, "data", np.asarray(recording.v, dtype=np.float64), units="mV")
        mapping = report.create_group("mapping")
        write_dataset(mapping, "node_ids", ids.astype(np.uint64))
        write_dataset(mapping, "element_ids", np.zeros(len(ids), dtype=np.uint32))
        write_dataset(mapping, "index_pointers", np.arange(len(ids) + 1, dtype=np.uint64))
        first, stop = recording.dt, recording.duration + recording.dt
        write_dataset(mapping, "time", np.array([first, stop, recording.dt]), units="ms")


def read_recording(folder):
    """Read what `write_recording` wrote.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        A file is missing or damaged, or the files do not belong together.
    """
    folder = Path(folder)
    if not (folder / MARKER).is_file():
        raise InputError(f"{folder} holds no {MARKER}. Expected the --out folder of `twincortex simulate`.")
    try:
        facts = json.loads((folder / MARKER).read_text())
        facts = {name: facts[name] for name in ("engine", "dt", "duration", "settings")}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / MARKER} is damaged ({error}). Simulate again.") from error
    spikes = read_spikes(folder / "spikes.h5", "v1")
    with open_hdf5(folder / "v.h5") as file:
        report = read_group(file, "report/v1")
        v = read_dataset(report, "data", length=Run(facts["duration"], facts["dt"]).n_steps, ndim=2)
        ids = read_dataset(read_group(report, "mapping"), "node_ids", integer=True).astype(np.int64)
    if v.ndim != 2 or v.shape[1] != len(ids):
        raise InputError(
            f"{folder / 'v.h5'}:/report/v1/data has shape {v.shape} for {len(ids)} neurons. Simulate again."
        )
    return Recording(spikes=spikes, v=v, v_ids=ids, **facts)
