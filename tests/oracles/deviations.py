"""How far counts and means are from their expectations, in standard deviations."""

from typing import NamedTuple

import numpy as np
import scipy.stats

# Rarer events than this are too far from normal for a z: they are counted together.
SMALLEST_EXPECTATION = 25.0


class Deviations(NamedTuple):
    """Numbers, their expectations, standard deviations and z; (n,) arrays, the last may stand for all rare ones.

    ``kept`` : (m,) bool array, which of the entries given have a z of their own.
    """

    observed: np.ndarray
    expected: np.ndarray
    sd: np.ndarray
    z: np.ndarray
    kept: np.ndarray


def count_deviations(observed, expected):
    """Compare counts with their expectations.

    Parameters
    ----------
    observed, expected : (..., 2) arrays
        Last axis: number and, of the expected, its variance. The leading axes are flattened.

    Returns
    -------
    Deviations
    """
    observed, (expected, variance) = observed[..., 0].ravel(), np.moveaxis(expected, -1, 0).reshape(2, -1)
    kept = expected >= SMALLEST_EXPECTATION
    columns = [values[kept] for values in (observed, expected, variance)]
    rest = [values[~kept].sum() for values in (observed, expected, variance)]
    if rest[1] >= SMALLEST_EXPECTATION:
        columns = [np.append(values, sum_of_rare) for values, sum_of_rare in zip(columns, rest, strict=True)]
    observed, expected, variance = columns
    return Deviations(observed, expected, np.sqrt(variance), (observed - expected) / np.sqrt(variance), kept)


def largest_by_chance(n, probability=1e-3):
    """The |z| that the largest of n independent standard normal numbers exceeds with a probability (Bonferroni)."""
    return scipy.stats.norm.isf(probability / 2 / n)


def summarize(z, independent=True):
    """Summarize standard normal numbers.

    Parameters
    ----------
    z : (n,) array
    independent : bool
        Of each other; else there is no chi square, and the largest is rather too small.

    Returns
    -------
    dict
        n; largest |z|, the median of what chance gives and what it exceeds once in 1,000; root mean square; chi
        square of all and the probability of a larger one.
    """
    n, chi_square = len(z), float(np.sum(np.square(z)))
    return {
        "n": n,
        "largest_abs_z": float(np.abs(z).max()),
        "largest_abs_z_median": float(scipy.stats.norm.isf((1 - 0.5 ** (1 / n)) / 2)),
        "largest_abs_z_once_in_1000": float(largest_by_chance(n)),
        "rms_z": float(np.sqrt(chi_square / n)),
        "chi_square": chi_square if independent else None,
        "p_value": float(scipy.stats.chi2.sf(chi_square, n)) if independent else None,
    }
