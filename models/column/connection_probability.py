"""The probability that one neuron of the column connects to another: every rule of the wiring, in one place.

The compiled builder and the tests' comparison over all pairs call the same function, ``connection_probability``.
"""

from typing import NamedTuple

from numba import njit

from twincortex.models.column.hashed_draws import exp_of_negative


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

    ``p = min(1, pmax G O size / mean size)``, with G a Gaussian of peak 1, displaced and stretched along the tuning
    axis of the target, and O falling linearly from 2/(1+b) at the same orientation to 2b/(1+b) at the orthogonal one.

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
    difference = orientation_difference(tuning_angle, target.tuning_angle)
    same, orthogonal = orientation_factors(rule)
    orientation_factor = same + (orthogonal - same) / 90.0 * difference
    return min(1.0, rule.pmax * distance_factor * orientation_factor * target.relative_size)


@njit
def offset_in_spreads(rule, target, dx, dz):
    """Offset of a presynaptic position from the centre of the cloud, along and across, in units of its spreads."""
    along = dx * target.axis_x + dz * target.axis_z - rule.displacement * target.displaced
    across = dz * target.axis_x - dx * target.axis_z
    return along / rule.sigma_along, across / rule.sigma_across


@njit
def orientation_difference(one, other):
    """Difference of the orientations, 0 to 90 deg, of two directions from 0 to 360 deg."""
    return abs(abs(abs(180.0 - abs(one - other)) - 90.0) - 90.0)


@njit
def orientation_factors(rule):
    """Orientation factor at the same and at the orthogonal orientation; the mean over orientations is 1."""
    if rule.orientation_ratio == 0.0:
        return 1.0, 1.0
    return 2.0 / (1.0 + rule.orientation_ratio), 2.0 * rule.orientation_ratio / (1.0 + rule.orientation_ratio)


@njit
def peak_probability(rule, target):
    """Upper bound of the connection probability where the distance factor is 1."""
    return rule.pmax * max(orientation_factors(rule)) * target.relative_size


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
