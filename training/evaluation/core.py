"""Which neurons are scored: those near the axis of the column, by the names of the recordings."""

from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import InputError
from twincortex.models.neuropixels import recorded_types
from twincortex.models.parameters import read_populations


@dataclass(frozen=True)
class Core:
    """The neurons that are scored.

    Attributes
    ----------
    radius_um : float [um]
    n_neurons : int
        N, of the whole column.
    neurons : (n,) int64 array
    recorded_type : (n,) str array
        Of the 17 names of the recordings, per neuron of the core.
    cell_type : (n,) str array
        Of the 19 names of the model.
    layer : (n,) str array
    excitatory : (m,) int64 array
        Neurons that Fano pools are drawn from.
    """

    radius_um: float
    n_neurons: int
    neurons: np.ndarray
    recorded_type: np.ndarray
    cell_type: np.ndarray
    layer: np.ndarray
    excitatory: np.ndarray


def find_core(circuit, radius_um=200.0):
    """Find the neurons within a radius of the axis of the column.

    Parameters
    ----------
    circuit : Circuit
    radius_um : float [um]
        In x and z.

    Returns
    -------
    Core

    Raises
    ------
    InputError
        A population has no recorded counterpart, or no excitatory neuron lies within the radius.
    """
    recorded = recorded_types(circuit.pop_name)
    distance = np.hypot(circuit.nodes.x, circuit.nodes.z)
    is_core = distance < radius_um
    excitatory = np.flatnonzero(is_core & (circuit.ei == "e"))
    if not len(excitatory):
        raise InputError(
            f"radius {radius_um:g} um: {is_core.sum()} of {len(is_core):,} neurons lie within it, none of them "
            f"excitatory. Choose up to {distance.max():.0f} um."
        )
    layer = read_populations().layer.astype(str).to_dict()
    return Core(
        radius_um=radius_um,
        n_neurons=circuit.n_neurons,
        neurons=np.flatnonzero(is_core),
        recorded_type=recorded[is_core],
        cell_type=circuit.cell_type[is_core],
        layer=np.array([layer[name] for name in circuit.pop_name[is_core]]),
        excitatory=excitatory,
    )
