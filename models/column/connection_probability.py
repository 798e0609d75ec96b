"""The probability that one neuron of the column connects to another: every rule of the wiring, in one place.

The compiled builder and the tests' comparison over all pairs call the same function, ``connection_probability``.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.hashed_draws import exp_of_negative
from twincortex.models.column.placement import mean_target_size
from twincortex.models.parameters import read_class_pairs, read_connection_probability, read_populations

# Presynaptic cells lie on average this far from their target, along its tuning axis (Rossi et al. 2020).
DISPLACEMENT_UM = 50.0
# Excitatory input comes from a stretched cloud: spread / 1.5 along the tuning axis, spread * 1.5 across.
ELONGATION = 1.5
# The displacement holds for targets inside this multiple of the core radius.
DISPLACED_WITHIN_CORES = 1.5


class PairRule(NamedTuple):
    """Rule from one cell type to another.

    Attributes
    ----------
    pmax : float or (T, T) array
        Peak connection probability.
    displacement : float or (T, T) array [um]
        Centre of the presynaptic cloud, along the tuning axis of the target.
    sigma_along, sigma_across : float or (T, T) array [um]
        Spread along the tuning axis of the target and across it.
    orientation_ratio : float or (T, T) array
        Orthogonal over same orientation; 0 where orientation does not matter.
    """

    pmax: float
    displacement: float
    sigma_along: float
    sigma_across: float
    orientation_ratio: float


class Target(NamedTuple):
    """What connection probability depends on in the postsynaptic neuron.

    Attributes
    ----------
    x, z : float [um]
    tuning_angle : float [deg]
    axis_x, axis_z : float
        Cosine and sine of the tuning angle.
    relative_size : float
        Synapses onto this cell over the mean of its population.
    displaced : float
        1 inside the region where displacement holds, else 0.
    """

    x: float
    z: float
    tuning_angle: float
    axis_x: float
    axis_z: float
    relative_size: float
    displaced: float


@njit
def connection_probability(rule, target, x, z, tuning_angle):
    """Probability of a connection from a neuron at (x, z) with a tuning angle to a target.

    ``p = min(1, pmax G O size / mean size)``, with G a Gaussian of peak 1, displaced and stretched along the tuning axis
    of the target, and O falling linearly from 2/(1+b) at the same orientation to 2b/(1+b) at the orthogonal one.

    Parameters
    ----------
    rule : PairRule of floats
    target : Target
    x, z : float [um]
    tuning_angle : float [deg]

    Returns
    -------
    float
        Also for a neuron and itself; the caller leaves self-connections out.

    Source
    ------
    biorealistic-v1-model, edge_funcs.py (compute_pair_type_parameters, connect_cells). Its correction for pmax 2/(1+b)
    above 1 never acts on the published tables and is left out.
    """
    along, across = offset_in_spreads(rule, target, x - target.x, z - target.z)
    distance_factor = exp_of_negative(-0.5 * (along * along + across * across))
    # Orientation difference in 0..90 degrees from directions in 0..360.
    difference = abs(abs(abs(180.0 - abs(tuning_angle - target.tuning_angle)) - 90.0) - 90.0)
    same = strongest_orientation_factor(rule)
    orthogonal = same if rule.orientation_ratio == 0.0 else same * rule.orientation_ratio
    orientation_factor = same + (orthogonal - same) / 90.0 * difference
    return min(1.0, rule.pmax * distance_factor * orientation_factor * target.relative_size)


@njit
def offset_in_spreads(rule, target, dx, dz):
    """Offset of a presynaptic position from the centre of the cloud, along and across, in units of its spreads."""
    along = dx * target.axis_x + dz * target.axis_z - rule.displacement * target.displaced
    across = dz * target.axis_x - dx * target.axis_z
    return along / rule.sigma_along, across / rule.sigma_across


@njit
def strongest_orientation_factor(rule):
    """Orientation factor at the same orientation; the mean over orientations is 1."""
    return 1.0 if rule.orientation_ratio == 0.0 else 2.0 / (1.0 + rule.orientation_ratio)


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


@njit
def rule_between(rules, pre, post):
    """Rule from cell type ``pre`` to cell type ``post``."""
    return PairRule(
        rules.pmax[pre, post],
        rules.displacement[pre, post],
        rules.sigma_along[pre, post],
        rules.sigma_across[pre, post],
        rules.orientation_ratio[pre, post],
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


@njit
def target_at(targets, i):
    """Row i of the targets."""
    return Target(
        targets.x[i],
        targets.z[i],
        targets.tuning_angle[i],
        targets.axis_x[i],
        targets.axis_z[i],
        targets.relative_size[i],
        targets.displaced[i],
    )
