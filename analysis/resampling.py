"""Intervals by resampling neurons with replacement, p-values by permuting labels."""

import numpy as np
import pandas as pd
import scipy.stats

from twincortex.analysis.wiring_rules import cell_type_properties
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.randomness import philox

N_BOOTSTRAP = 1000
CONFIDENCE = 0.95
N_PERMUTATIONS = 9999
_DRAWN_AT_ONCE = 4_000_000  # weights in memory


def resampled_means(values, random, n_bootstrap=N_BOOTSTRAP):
    """Mean over neurons of samples drawn with replacement.

    Parameters
    ----------
    values : (n, ...) array
        One row per neuron; what belongs to one neuron is drawn together. NaN are left out.
    random : numpy.random.Generator
    n_bootstrap : int

    Returns
    -------
    (n_bootstrap, ...) array
        NaN where every value drawn is NaN.
    """
    values = np.asarray(values, dtype=float)
    n = len(values)
    flat = values.reshape(n, -1)
    is_known = ~np.isnan(flat)
    known = np.where(is_known, flat, 0)
    means = np.empty((n_bootstrap, flat.shape[1]))
    block = max(1, _DRAWN_AT_ONCE // max(n, 1))
    for start in range(0, n_bootstrap, block):
        weights = draw_weights(n, min(block, n_bootstrap - start), random)
        with np.errstate(invalid="ignore"):
            means[start : start + len(weights)] = (weights @ known) / (weights @ is_known)
    return means.reshape(n_bootstrap, *values.shape[1:])


def draw_weights(n, n_bootstrap, random):
    """How often each of n things is drawn in samples of n with replacement, (n_bootstrap, n) float array."""
    return random.multinomial(n, np.full(n, 1 / n), size=n_bootstrap).astype(float)


def percentile_interval(resampled):
    """Percentile bootstrap interval of 95 %.

    Parameters
    ----------
    resampled : (n_bootstrap, ...) array

    Returns
    -------
    low, high : (...) arrays
        NaN are left out; NaN where nothing is left.
    """
    tail = (1 - CONFIDENCE) / 2
    is_known = ~np.isnan(resampled).all(axis=0)
    limits = np.full((2, *resampled.shape[1:]), np.nan)
    limits[:, is_known] = np.nanquantile(resampled[:, is_known], [tail, 1 - tail], axis=0)
    return limits[0], limits[1]


def type_means(values, cell_type, seed=0, n_bootstrap=N_BOOTSTRAP):
    """Mean of a quantity over the neurons of each cell type, with intervals over neurons.

    Parameters
    ----------
    values : (N,) array
        NaN are left out.
    cell_type : (N,) str array
        Of the 19 names of the model.
    seed : int
        Of the bootstrap.
    n_bootstrap : int

    Returns
    -------
    pandas.DataFrame, one row per cell type that occurs, from the pia downwards
        cell_type; n (neurons with a value); mean, low, high in the unit of the values: a percentile bootstrap interval
        of 95 %, NaN below two neurons. Neurons are drawn, trials are not.

    Raises
    ------
    InputError
        A cell type is not one of the 19.
    """
    values, cell_type = np.asarray(values, dtype=float), np.asarray(cell_type)
    rows = [
        {"cell_type": name} | mean_with_limits(values[cell_type == name], seed, name, n_bootstrap)
        for name in ordered_types(cell_type)
    ]
    return pd.DataFrame(rows, columns=["cell_type", "n", "mean", "low", "high"])


def mean_with_limits(values, seed, purpose, n_bootstrap=N_BOOTSTRAP):
    """Mean over neurons with a percentile bootstrap interval of 95 %.

    Parameters
    ----------
    values : (n,) array
        NaN are left out.
    seed : int
    purpose : str
        What is drawn; other purposes draw independently.
    n_bootstrap : int

    Returns
    -------
    dict
        n; mean, low, high, NaN where there is no value, limits also where there is only one.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    found = {"n": len(values), "mean": values.mean() if len(values) else np.nan, "low": np.nan, "high": np.nan}
    if len(values) > 1:
        random = philox(seed, f"analysis: bootstrap of {purpose}")
        low, high = percentile_interval(resampled_means(values, random, n_bootstrap))
        found |= {"low": float(low), "high": float(high)}
    return found


def ordered_types(cell_type):
    """Cell types that occur, from the pia downwards, list of str; an `InputError` for names that are unknown."""
    known = list(cell_type_properties().index)
    unknown = sorted(set(cell_type) - set(known))
    if unknown:
        raise InputError(f"cell types {first_offenders(unknown)} are unknown. Known: {', '.join(known)}")
    return [name for name in known if name in set(cell_type)]


def difference_of_means(a, b, seed=0, n_bootstrap=N_BOOTSTRAP, n_permutations=N_PERMUTATIONS):
    """Difference of the means of two groups of neurons, with a bootstrap interval and a permutation test.

    Parameters
    ----------
    a, b : (n,) and (m,) arrays, same unit
    seed : int
    n_bootstrap, n_permutations : int

    Returns
    -------
    dict
        difference (mean a - mean b), low, high (95 %, both groups drawn anew), p (two-sided). NaN where a group has
        fewer than two neurons, but for the difference itself.

    Source
    ------
    Phipson and Smyth (2010) Permutation p-values should never be zero; scipy.stats.permutation_test.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if not (len(a) and len(b)):
        return dict.fromkeys(("difference", "low", "high", "p"), np.nan)
    found = {"difference": a.mean() - b.mean(), "low": np.nan, "high": np.nan, "p": np.nan}
    if min(len(a), len(b)) < 2:
        return found
    random = philox(seed, "analysis: difference of means")
    resampled = resampled_means(a, random, n_bootstrap) - resampled_means(b, random, n_bootstrap)
    low, high = percentile_interval(resampled)
    test = scipy.stats.permutation_test(
        (a, b), _difference, vectorized=True, n_resamples=n_permutations, rng=random, batch=500
    )
    return found | {"low": float(low), "high": float(high), "p": float(test.pvalue)}


def _difference(a, b, axis):
    return a.mean(axis=axis) - b.mean(axis=axis)
