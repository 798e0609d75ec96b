"""Whose responses an experiment measures: a circuit, or that of a training run, and its core."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twincortex.analysis.runs import read_run
from twincortex.models.circuit import Circuit
from twincortex.models.errors import InputError
from twincortex.models.sonata import read_circuit

TRAINED, UNTRAINED, ITS_OWN = "trained", "untrained", "of the circuit"


@dataclass(frozen=True)
class Subject:
    """A circuit and its core.

    Attributes
    ----------
    circuit : Circuit
    weights : str
        ``"trained"`` or ``"untrained"`` of a run; ``"of the circuit"``.
    radius_um : float [um]
    is_core : (N,) bool array
        Who lies within the radius of the axis of the column, in x and z.
    """

    circuit: Circuit
    weights: str
    radius_um: float
    is_core: np.ndarray


def read_subject(folder, weights=None, radius_um=200.0):
    """Read a circuit folder, or the circuit of a run folder with its trained or untrained weights.

    Parameters
    ----------
    folder : str or Path
    weights : str, optional
        Of a run; trained by default.
    radius_um : float [um]
        Of the core.

    Returns
    -------
    Subject

    Raises
    ------
    InputError
        The folder is neither, or a part of it is missing or damaged; weights of a circuit are asked for; no neuron lies
        in the core.
    """
    folder = Path(folder)
    is_circuit = (folder / "circuit_config.json").is_file()
    if is_circuit and weights is not None:
        raise InputError(f"{folder} is a circuit and has weights of one kind only. Leave out --weights.")
    if is_circuit:
        circuit, weights = read_circuit(folder), ITS_OWN
    elif weights == UNTRAINED and (folder / "circuit").is_dir():
        circuit = read_circuit(folder / "circuit")
    else:
        circuit, weights = read_run(folder).after, TRAINED
    return Subject(circuit, weights, radius_um, _core(circuit, radius_um))


def _core(circuit, radius_um):
    distance = np.hypot(circuit.nodes.x, circuit.nodes.z)
    if not (distance < radius_um).any():
        raise InputError(f"radius {radius_um:g} um: no neuron lies within it. Choose up to {distance.max():.0f} um.")
    return distance < radius_um
