"""Tables of the wiring: the rules between cell types, and the neurons as targets of connections."""

from typing import NamedTuple

import numpy as np

from twincortex.models.column.connection_probability import PairRule
from twincortex.models.column.placement import mean_target_size
from twincortex.models.parameters import read_class_pairs, read_connection_probability, read_populations

# Presynaptic cells lie on average this far from their target, along its tuning axis (Rossi et al. 2020).
DISPLACEMENT_UM = 50.0
# Excitatory input comes from a stretched cloud: spread / 1.5 along the tuning axis, spread * 1.5 across.
ELONGATION = 1.5
# The displacement holds for targets inside this multiple of the core radius.
DISPLACED_WITHIN_CORES = 1.5


def cell_types():
    """The T cell types in the order of their first population, and whether each is excitatory.

    Returns
    -------
    (T,) str array, (T,) bool array
    """
    first = read_populations().drop_duplicates("cell_type")
    return first.cell_type.to_numpy(dtype=str), (first.ei == "e").to_numpy()


def pair_rules():
    """Rules between all cell types.

    Returns
    -------
    PairRule of (T, T) float64 arrays
        ``[pre, post]`` in the order of ``cell_types()``.
    """
    names, excitatory = cell_types()
    class_of = read_populations().drop_duplicates("cell_type").synapse_class.to_numpy()
    pairs = read_class_pairs()[["sigma_um", "orientation_b_ratio"]]
    by_type = pairs.reindex([(pre, post) for pre in class_of for post in class_of]).to_numpy(dtype=np.float64)
    sigma, ratio = by_type.T.reshape(2, len(names), len(names))
    pmax = read_connection_probability().pmax.unstack()
    stretch = np.where(excitatory, ELONGATION, 1.0)[:, None]
    displacement = np.where(excitatory, -DISPLACEMENT_UM, DISPLACEMENT_UM)[:, None]
    return PairRule(
        pmax=np.ascontiguousarray(pmax.loc[names, names].to_numpy(dtype=np.float64)),
        displacement=np.broadcast_to(displacement, sigma.shape).copy(),
        sigma_along=sigma / stretch,
        sigma_across=sigma * stretch,
        orientation_ratio=ratio.copy(),
    )


class Targets(NamedTuple):
    """The columns of ``Target`` for all N neurons, and the cell type of each (N,) int64."""

    x: np.ndarray
    z: np.ndarray
    tuning_angle: np.ndarray
    axis_x: np.ndarray
    axis_z: np.ndarray
    relative_size: np.ndarray
    displaced: np.ndarray
    cell_type: np.ndarray


def make_targets(nodes, node_types, core_radius_um):
    """Gather what connection probability depends on, for every neuron as a target.

    Parameters
    ----------
    nodes : Nodes
    node_types : NodeTypes
    core_radius_um : float [um]

    Returns
    -------
    Targets
    """
    populations = read_populations().loc[node_types.pop_name]
    names, _ = cell_types()
    type_number = {name: number for number, name in enumerate(names)}
    angle = np.radians(nodes.tuning_angle)
    inside = np.hypot(nodes.x, nodes.z) <= DISPLACED_WITHIN_CORES * core_radius_um
    return Targets(
        nodes.x,
        nodes.z,
        nodes.tuning_angle,
        np.cos(angle),
        np.sin(angle),
        nodes.target_size / mean_target_size(populations).to_numpy()[nodes.type_index],
        inside.astype(np.float64),
        populations.cell_type.map(type_number).to_numpy(dtype=np.int64)[nodes.type_index],
    )
