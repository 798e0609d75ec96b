"""What is explored: a run before and after training, or a circuit, and the evaluation beside it."""

import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from twincortex.analysis.explorer.evaluation import Evaluation, read_evaluation
from twincortex.analysis.runs import read_run
from twincortex.analysis.wiring_rules import cell_type_properties
from twincortex.models.circuit import Circuit
from twincortex.models.errors import InputError
from twincortex.models.sonata import read_circuit

CORE_RADIUS_UM = 200.0


@dataclass(frozen=True)
class Subject:
    """What the page shows.

    Attributes
    ----------
    folder : Path
    circuits : dict of str -> Circuit
        ``"before"`` and ``"after"`` of a run; ``"before"`` alone of a circuit.
    description : str
        Size, neurons, seeds, as captions state them.
    core_radius_um : float [um]
        Connections between neurons within this distance of the axis make the wiring.
    evaluation : Evaluation or None
    """

    folder: Path
    circuits: dict
    description: str
    core_radius_um: float = CORE_RADIUS_UM
    evaluation: Evaluation | None = None

    @property
    def is_run(self):
        """Whether there is a before and an after."""
        return "after" in self.circuits

    @property
    def circuit(self) -> Circuit:
        """The column, for all that training leaves as it is."""
        return self.circuits["before"]

    @cached_property
    def types(self):
        """Cell types that occur, from the pia downwards; those that are not of the column at the end (list of str)."""
        found, known = np.unique(self.circuit.cell_type).tolist(), cell_type_properties().index
        return [name for name in known if name in found] + [name for name in found if name not in known]

    @cached_property
    def type_number(self):
        """Place of every neuron's cell type in `types`, (N,) int."""
        place = {name: number for number, name in enumerate(self.types)}
        names, inverse = np.unique(self.circuit.cell_type, return_inverse=True)
        return np.array([place[name] for name in names.tolist()])[inverse]

    @property
    def missing(self):
        """What the folder lacks, each with the command that adds it, list of (str, str)."""
        if self.evaluation is not None:
            return []
        folder = shlex.quote(str(self.folder))
        command = f"twincortex evaluate {folder}"
        if not self.is_run:
            command += f" --out EVALUATION && twincortex explore {folder} --evaluation EVALUATION"
        return [("Raster, tuning curves and selectivity come with an evaluation.", command)]


def read_subject(folder, evaluation_folder=None, core_radius_um=CORE_RADIUS_UM):
    """Read a run or a circuit, and its evaluation where there is one.

    Parameters
    ----------
    folder : str or Path
        The --out of training/train.py or of `twincortex build`.
    evaluation_folder : str or Path, optional
        The --out of `twincortex evaluate`; of a run, RUN/evaluation if there is one.
    core_radius_um : float [um]

    Returns
    -------
    Subject

    Raises
    ------
    InputError
        The folder is neither, a part of it is missing or damaged, or the evaluation belongs to another circuit.
    """
    folder = Path(folder)
    if not core_radius_um > 0:
        raise InputError(f"core_radius_um {core_radius_um:g}: expected more than 0 um.")
    if (folder / "circuit_config.json").is_file():
        circuit = read_circuit(folder)
        circuits, description = {"before": circuit}, _describe(circuit)
    elif (folder / "circuit").is_dir():
        run = read_run(folder)
        circuits, description = {"before": run.before, "after": run.after}, run.description
        if evaluation_folder is None and (folder / "evaluation").is_dir():
            evaluation_folder = folder / "evaluation"
    else:
        raise InputError(
            f"{folder} is neither a run (it holds no circuit/) nor a circuit (no circuit_config.json). Name the --out "
            "of training/train.py or of `twincortex build`."
        )
    evaluation = read_evaluation(evaluation_folder, circuits) if evaluation_folder is not None else None
    return Subject(folder, circuits, description, core_radius_um, evaluation)


def _describe(circuit):
    made = circuit.provenance
    size = f"{made['size']} column" if made.get("size") else "circuit"
    seed = f", circuit seed {made['seed']}" if "seed" in made else ""
    return f"{size}, {circuit.n_neurons:,} neurons{seed}"
