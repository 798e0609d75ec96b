"""The direction rule of a wiring: strength = a cos d + b cos 2d + c, d the difference of preferred directions."""

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from twincortex.models.errors import InputError, first_offenders
from twincortex.models.randomness import philox

COEFFICIENTS = ("a", "b", "c")
N_BINS = 12


def direction_difference(pre_deg, post_deg):
    """Difference of two directions.

    Parameters
    ----------
    pre_deg, post_deg : arrays [deg]

    Returns
    -------
    array [deg], 0 to 180
    """
    difference = np.abs(np.asarray(post_deg) - pre_deg) % 360
    return np.minimum(difference, 360 - difference)


def fit_direction_rule(delta_deg, strength, group=None):
    """Fit strength = a cos d + b cos 2d + c by least squares, in every group of connections.

    Parameters
    ----------
    delta_deg : (n,) array [deg]
    strength : (n,) array
        In any unit, for example the magnitude of the weight in pA.
    group : (n,) int array, optional
        Group of each connection, counted from 0; one group by default.

    Returns
    -------
    pandas.DataFrame, one row per group
        n; a (direction), b (orientation) and c in the unit of strength; their standard errors a_se, b_se and c_se; a_p
        and b_p of two-sided t-tests; effect sizes a_over_c and b_over_c with 95 % limits (``..._low``, ``..._high``).
        NaN where fewer than four connections, or too few different directions, leave the fit undetermined.

    Raises
    ------
    InputError
        Arrays of different lengths, or values that are not finite.

    Source
    ------
    Ito et al. (2025), Fig. 5: the fit. Fieller (1954) Some problems in interval estimation: the limits of the ratios,
    infinite where c itself is not different from 0. Standard errors take connections as independent.
    """
    design, strength, group = _checked(delta_deg, strength, group)
    n = np.bincount(group)
    inverse = _inverse_gram(design, group, n)
    moments = _group_sums(design * strength[:, None], group, len(n))
    coefficients = np.einsum("gij,gj->gi", inverse, moments)
    residual = strength - np.einsum("ei,ei->e", design, coefficients[group])
    freedom = np.where(np.isnan(inverse[:, 0, 0]), np.nan, n - 3)
    variance = np.bincount(group, residual**2) / freedom
    covariance = inverse * variance[:, None, None]
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    table = {"n": n}
    for column, name in enumerate(COEFFICIENTS):
        table |= {name: coefficients[:, column], f"{name}_se": error[:, column]}
    for column, name in enumerate("ab"):
        with np.errstate(invalid="ignore", divide="ignore"):
            table[f"{name}_p"] = 2 * student_t.sf(np.abs(coefficients[:, column]) / error[:, column], freedom)
            table[f"{name}_over_c"] = coefficients[:, column] / coefficients[:, 2]
        limits = _fieller_limits(coefficients, covariance, column, student_t.ppf(0.975, freedom))
        table |= {f"{name}_over_c_low": limits[0], f"{name}_over_c_high": limits[1]}
    return pd.DataFrame(table)


def shuffle_p_values(delta_deg, strengths, group, n_shuffles, seed):
    """Compare a and b with those of wirings whose direction differences are shuffled within each group.

    Parameters
    ----------
    delta_deg : (n,) array [deg]
    strengths : (n, k) array
        Quantities to shuffle together, in any unit.
    group : (n,) int array
    n_shuffles : int
    seed : int

    Returns
    -------
    (n_groups, k, 2) array
        For a and b: (1 + number of shuffles with at least the observed magnitude) / (1 + n_shuffles); NaN where the fit
        is undetermined.

    Source
    ------
    Phipson and Smyth (2010) Permutation p-values should never be zero.
    """
    design, strengths, group = _checked(delta_deg, strengths, group)
    n = np.bincount(group)
    inverse = _inverse_gram(design, group, n)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(n)[:-1])
    p = np.full((len(n), strengths.shape[1], 2), np.nan)
    for number in np.flatnonzero(~np.isnan(inverse[:, 0, 0])):
        # Shuffling leaves the regressors as they are, so a and b are two weighted sums over the shuffled strengths.
        weights = design[members[number]] @ inverse[number][:, :2]
        chosen = np.ascontiguousarray(strengths[members[number]].T)
        # A shuffle that changes nothing is a tie, whatever the order of the sum.
        observed = np.abs(chosen @ weights) * (1 - 1e-12)
        rng = philox(seed, "analysis: shuffled direction differences", int(number))
        orders = (rng.permutation(len(weights)) for _ in range(n_shuffles))
        n_beyond = sum(np.abs(chosen.take(order, axis=1) @ weights) >= observed for order in orders)
        p[number] = (1 + n_beyond) / (1 + n_shuffles)
    return p


def binned_mean(delta_deg, values, n_bins=N_BINS):
    """Mean of a quantity in bins of the direction difference.

    Parameters
    ----------
    delta_deg : (n,) array [deg]
    values : (n,) array

    Returns
    -------
    pandas.DataFrame, one row per bin
        delta_deg (center), mean, standard_error (NaN below two connections), n.
    """
    edges = np.linspace(0, 180, n_bins + 1)
    bins = np.clip(np.digitize(delta_deg, edges) - 1, 0, n_bins - 1)
    groups = pd.Series(np.asarray(values, dtype=float)).groupby(bins)
    table = pd.DataFrame({"mean": groups.mean(), "standard_error": groups.sem(), "n": groups.size()})
    table = table.reindex(range(n_bins)).fillna({"n": 0})
    return table.assign(delta_deg=(edges[:-1] + edges[1:]) / 2)


def _checked(delta_deg, strength, group):
    """Return the (n, 3) design matrix, the strengths and the groups."""
    delta, strength = np.radians(np.asarray(delta_deg, dtype=float)), np.asarray(strength, dtype=float)
    group = np.zeros(len(delta), dtype=int) if group is None else np.asarray(group)
    if not len(delta) == len(strength) == len(group):
        raise InputError(
            f"{len(delta):,} direction differences, {len(strength):,} strengths and {len(group):,} groups. "
            "Expected one of each per connection."
        )
    bad = np.flatnonzero(~np.isfinite(delta + strength.reshape(len(delta), -1).sum(1)))
    if len(bad):
        raise InputError(f"connections {first_offenders(bad)}: direction difference or strength is not finite.")
    return np.stack([np.cos(delta), np.cos(2 * delta), np.ones_like(delta)], axis=1), strength, group


def _inverse_gram(design, group, n):
    """Invert X^T X of every group, (n_groups, 3, 3); NaN where it is singular or no degree of freedom is left."""
    products = (design[:, :, None] * design[:, None, :]).reshape(-1, 9)
    gram = _group_sums(products, group, len(n)).reshape(-1, 3, 3)
    determined = n > 3
    determined[determined] = np.linalg.cond(gram[determined]) < 1e12
    inverse = np.full(gram.shape, np.nan)
    inverse[determined] = np.linalg.inv(gram[determined])
    return inverse


def _group_sums(columns, group, n_groups):
    return np.stack([np.bincount(group, column, n_groups) for column in columns.T], axis=1)


def _fieller_limits(coefficients, covariance, column, t):
    top, bottom = coefficients[:, column], coefficients[:, 2]
    square = bottom**2 - t**2 * covariance[:, 2, 2]
    mixed = top * bottom - t**2 * covariance[:, column, 2]
    constant = top**2 - t**2 * covariance[:, column, column]
    root = np.sqrt(np.maximum(mixed**2 - square * constant, 0))
    unbounded = square <= 0
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = (mixed - root) / square, (mixed + root) / square
    return np.where(unbounded, -np.inf, low), np.where(unbounded, np.inf, high)
