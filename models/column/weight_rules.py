"""Which quantile of the PSP distribution a connection gets: at random, or by similarity of direction preference."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from twincortex.models.errors import InputError, near_name_hint

# Peak over mean of the assumed density of direction differences between connected excitatory cells.
LIKE_TO_LIKE_PEAK = 4 / 3
# Jitter of the direction difference where a cell is inhibitory, and where both are [deg].
DIRECTION_JITTER, DIRECTION_JITTER_INHIBITORY = 5.0, 10.0


class Pairs(NamedTuple):
    """What the quantile may depend on, for n connections between N neurons.

    Attributes
    ----------
    draw : (n,) float64 array
        Uniform in (0, 1).
    pre, post : (n,) int arrays
        The two neurons.
    tuning_angle : (N,) float64 array [deg]
    is_excitatory : (N,) bool array
    """

    draw: np.ndarray
    pre: np.ndarray
    post: np.ndarray
    tuning_angle: np.ndarray
    is_excitatory: np.ndarray


def random_quantile(pairs):
    """PSPs independent of tuning: the rule of the paper's networks (``-nll``, no like-to-like)."""
    return pairs.draw


def like_to_like_quantile(pairs):
    """Larger PSPs between cells of similar direction preference.

    Source
    ------
    biorealistic-v1-model, build_network.py (syn_weight_by_experimental_distribution, delta_theta_cdf).
    """
    pre_excitatory, post_excitatory = pairs.is_excitatory[pairs.pre], pairs.is_excitatory[pairs.post]
    both_excitatory = pre_excitatory & post_excitatory
    jitter = np.where(pre_excitatory | post_excitatory, DIRECTION_JITTER, DIRECTION_JITTER_INHIBITORY)
    jitter = np.where(both_excitatory, 0.0, jitter * ndtri(pairs.draw))
    difference = pairs.tuning_angle[pairs.post] - pairs.tuning_angle[pairs.pre]
    difference = np.abs(np.abs((difference + jitter) % 360 - 180) - 180)
    return 1 - np.where(both_excitatory, direction_difference_cdf(difference), difference / 180)


def direction_difference_cdf(difference):
    """Share of connected excitatory pairs with a smaller direction difference.

    Parameters
    ----------
    difference : array [deg]
        0 to 180.

    Returns
    -------
    array
        Integral of a density that falls linearly from 0 to 90 degrees and rises again to 180.
    """
    same, orthogonal = LIKE_TO_LIKE_PEAK, 2 - LIKE_TO_LIKE_PEAK
    x = difference - 90
    curvature = np.where(x < 0, 0.5, -0.5) * (orthogonal - same) / 90
    return (curvature * x**2 + orthogonal * x) / (90 * (same + orthogonal)) + 0.5


WEIGHT_RULES = {"none": random_quantile, "like_to_like": like_to_like_quantile}


def find_weight_rule(name):
    """Look up a weight rule.

    Parameters
    ----------
    name : str
        ``"none"`` or ``"like_to_like"``.

    Returns
    -------
    callable
        From Pairs to (n,) quantiles.

    Raises
    ------
    InputError
        Unknown name.
    """
    if name not in WEIGHT_RULES:
        raise InputError(f"unknown weight rule {name!r}: {near_name_hint(name, WEIGHT_RULES)}")
    return WEIGHT_RULES[name]
