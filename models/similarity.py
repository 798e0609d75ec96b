"""How alike two distributions are: 1 minus the Kolmogorov-Smirnov distance, with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np

_RESAMPLED_AT_ONCE = 4_000_000  # values; of these a handful of arrays is in memory at a time
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Similarity:
    """Similarity of two samples.

    Attributes
    ----------
    value : float
        1 minus the Kolmogorov-Smirnov distance: 1 for the same distribution, 0 for samples that do not overlap; NaN
        where a sample is empty.
    n : tuple of int
        Values in either sample, NaN left out.
    resampled : (n_bootstrap,) array
        The similarity of resampled samples; empty where none was asked for, or a sample is empty.
    """

    value: float
    n: tuple
    resampled: np.ndarray

    @property
    def interval(self):
        """Of `bootstrap_interval`."""
        return bootstrap_interval(self.value, self.resampled)


def similarity(a, b, n_bootstrap=0, random=None):
    """Compare two samples.

    Parameters
    ----------
    a, b : (n,) and (m,) arrays, same unit
        NaN are left out. Any increasing function of both, such as a logarithm, leaves the similarity as it is.
    n_bootstrap : int
        How often both samples are drawn anew from themselves, with replacement.
    random : numpy.random.Generator
        Needed for the bootstrap.

    Returns
    -------
    Similarity

    Source
    ------
    Ito et al. (2025), similarity score.
    """
    a, b = (np.asarray(values, dtype=float) for values in (a, b))
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    n = (len(a), len(b))
    if 0 in n:
        return Similarity(np.nan, n, np.empty(0))
    values, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    places = place[: len(a)], place[len(a) :]
    value = 1 - _distances(*(one[None] for one in places), len(values))[0]
    size = max(1, _RESAMPLED_AT_ONCE // sum(n))
    sizes = [min(size, n_bootstrap - start) for start in range(0, n_bootstrap, size)]
    drawn = ([one[random.integers(len(one), size=(n_now, len(one)))] for one in places] for n_now in sizes)
    resampled = [1 - _distances(*of_both, len(values)) for of_both in drawn]
    return Similarity(float(value), n, np.concatenate([*resampled, []]))


def _distances(places_a, places_b, n_values):
    """Largest differences of the empirical distribution functions, row by row.

    Values are given as places in the sorted list of all that occur. scipy.stats.ks_2samp finds the same, one pair of
    samples at a time and with a p-value.
    """
    cdf_a, cdf_b = (_cumulative_share(places, n_values) for places in (places_a, places_b))
    return np.abs(cdf_a - cdf_b).max(axis=1)


def _cumulative_share(places, n_values):
    n_rows, n = places.shape
    counts = np.bincount((places + n_values * np.arange(n_rows)[:, None]).ravel(), minlength=n_rows * n_values)
    return counts.reshape(n_rows, n_values).cumsum(axis=1) / n


def mean_similarity(similarities):
    """Mean over several pairs of samples, resampled independently.

    Parameters
    ----------
    similarities : sequence of Similarity
        Those that count, all with the same number of bootstrap samples.

    Returns
    -------
    value : float
        NaN where there is none.
    interval : (float, float)
        Of `bootstrap_interval`.
    """
    if not similarities:
        return np.nan, (np.nan, np.nan)
    value = float(np.mean([one.value for one in similarities]))
    return value, bootstrap_interval(value, np.mean([one.resampled for one in similarities], axis=0))


def bootstrap_interval(value, resampled):
    """Basic bootstrap interval of 95 %: the percentiles, reflected at the value.

    The noise of samples lowers similarities (by 0.03 to 0.05 for 60 to 500 values, 0.08 where samples of 16 take part),
    and resampling lowers them as much again. The percentiles themselves lie low by both, and cover the similarity of
    two populations in 67 to 80 % of cases, means over twelve types almost never; reflected, in 85 to 90 %, means in 50
    to 70 %. So the value may lie at the lower end of its interval, or below it where samples are small.

    Parameters
    ----------
    value : float
        Between 0 and 1.
    resampled : (n,) array

    Returns
    -------
    low, high : float
        At least 0 and at most 1, as similarities are; NaN where there are no samples.
    """
    if not len(resampled):
        return np.nan, np.nan
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.clip(2 * value - np.quantile(resampled, [1 - tail, tail]), 0, 1)
    return float(low), float(high)
