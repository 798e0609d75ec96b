"""Connection strength against the response correlation of its two neurons: like-to-like indices, slopes, nulls."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control
from scipy.stats import t as student_t

from twincortex.analysis.correlation_sums import (
    N_BINS,
    bin_centers,
    bin_means,
    correlations,
    response_vectors,
    straight_line,
    sum_by_correlation,
)
from twincortex.analysis.resampling import draw_weights, percentile_interval
from twincortex.models.errors import InputError
from twincortex.models.randomness import philox

LIKE, NEUTRAL, UNLIKE = (0.5, 1.0), (-0.25, 0.25), (-1.0, -0.5)
MEASURES = ("like", "anti", "slope")
PAIR_OF_TYPES = ("pre_type", "post_type")


@dataclass(frozen=True)
class Resampling:
    """How intervals and nulls are made.

    Attributes
    ----------
    n_bootstrap : int
        Resamples of the postsynaptic neurons.
    n_shuffles : int
        Of the responses among neurons of one type; 0 leaves the null out.
    min_connections : int
        Groups with fewer, counting those with a correlation, are left out.
    min_per_bin : int
        Bins of correlation with fewer connections do not count for the indices.
    seed : int
    """

    n_bootstrap: int = 200
    n_shuffles: int = 50
    min_connections: int = 30
    min_per_bin: int = 10
    seed: int = 0


def like_to_like_measures(sums, counted):
    """Like-to-like index, anti index and relative slope.

    Parameters
    ----------
    sums : (..., N_COLUMNS) array
        From `correlation_sums.sum_by_correlation`.
    counted : (..., 20) bool array
        Bins that count.

    Returns
    -------
    (..., 3) array
        like: (W[.5, 1] - W0) / W0; anti: (W0 - W[-1, -.5]) / W0; slope: that of the straight line over the mean
        strength in its range. W are means of the means of those bins whose centers lie in the range, W0 that of
        [-.25, .25]. All three are positive for like-to-like and negative for anti-like-to-like; NaN where undetermined.

    Source
    ------
    Ito et al. (2025), Fig. 5.
    """
    means = np.where(counted, bin_means(sums), np.nan)
    like, neutral, unlike = (_mean_of_bins(means, limits) for limits in (LIKE, NEUTRAL, UNLIKE))
    slope, _, mean, _ = straight_line(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([(like - neutral) / neutral, (neutral - unlike) / neutral, slope / mean], axis=-1)


def _mean_of_bins(means, limits):
    low, high = limits
    chosen = means[..., (bin_centers() > low - 1e-9) & (bin_centers() < high + 1e-9)]
    n = (~np.isnan(chosen)).sum(axis=-1)
    return np.divide(np.nansum(chosen, axis=-1), n, out=np.full(n.shape, np.nan), where=n > 0)


def correlation_rules(edges, responses, by=PAIR_OF_TYPES, strength=None, resampling=None):
    """Like-to-like measures of every group of connections, with intervals and p-values.

    Parameters
    ----------
    edges : pandas.DataFrame
        From `wiring_rules.core_connections`.
    responses : (N, S) array
        Mean response of every neuron of the circuit to every stimulus, measured with the weights of these edges.
    by : sequence of str
        Columns of `edges` whose values make the groups.
    strength : (E,) array, optional
        Magnitude of the weight [pA] by default; `wiring_rules.relative_strength` where groups mix pairs of types.
    resampling : Resampling, optional

    Returns
    -------
    pandas.DataFrame, one row per group
        The columns of `by`; n (connections with a correlation), n_post (their postsynaptic neurons), n_slope (those in
        the range of the slope), mean_strength; for like, anti and slope (see `like_to_like_measures`) the value, its
        95 % limits (``_low``, ``_high``: percentiles over resampled postsynaptic neurons, each with all its
        connections), ``_p`` and its false discovery rate ``_q``; slope_ols_p, of the t-test that takes connections as
        independent; pearson, the correlation of strength and response correlation in the range of the slope.

    Raises
    ------
    InputError
        Responses of another circuit, or no group with enough connections.

    Notes
    -----
    Connections onto one neuron share its response, its unit PSP and whatever training did to its input: they are
    resampled together. That one presynaptic neuron is shared as well is left to the null: p compares the value with
    those where the response vectors are dealt out anew among the neurons of each cell type, which leaves every
    weight, every shared neuron and the distribution of responses as they are. It is the t-test of one value against
    ``n_shuffles`` others, because thousands of shuffles would be needed to correct counts for 361 pairs of types.
    """
    resampling = resampling or Resampling()
    strength = edges.weight_pA.abs() if strength is None else strength
    measured = _measure(edges, responses, list(by), np.asarray(strength, dtype=float), resampling.min_connections)
    cells, starts = _sums_per_neuron(measured)
    sums = np.add.reduceat(cells, starts, axis=0)
    counted = sums[:, :N_BINS] >= resampling.min_per_bin
    table = measured.labels.assign(n_post=np.diff(np.append(starts, len(cells))), **_counts_and_line(sums))
    values, limits = like_to_like_measures(sums, counted), _bootstrap_limits(cells, starts, counted, resampling)
    null = _shuffled_measures(measured, counted, resampling)
    for column, name in enumerate(MEASURES):
        table[name] = values[:, column]
        table[f"{name}_low"], table[f"{name}_high"] = limits[:, :, column]
        if resampling.n_shuffles:
            table[f"{name}_p"] = p = _p_of_one_against_many(values[:, column], null[:, :, column])
            table[f"{name}_q"] = corrected(p)
    return table


def corrected(p):
    """False discovery rates; NaN, where there is no test, stay NaN and do not count.

    Parameters
    ----------
    p : (n,) array

    Returns
    -------
    (n,) array

    Source
    ------
    Benjamini and Hochberg (1995) Controlling the false discovery rate.
    """
    p = np.asarray(p, dtype=float)
    q, tested = np.full(len(p), np.nan), ~np.isnan(p)
    if tested.any():
        q[tested] = false_discovery_control(p[tested])
    return q


def correlation_profile(edges, responses, strength=None):
    """Mean strength per bin of response correlation, over all given connections.

    Parameters
    ----------
    edges, responses, strength
        As in `correlation_rules`.

    Returns
    -------
    pandas.DataFrame, one row per bin
        correlation (center), mean (NaN in empty bins), standard_error (NaN below two connections; it takes
        connections as independent), n.
    """
    vectors = _checked_vectors(responses, max(edges.pre.max(), edges.post.max()) if len(edges) else 0)
    strength = np.asarray(edges.weight_pA.abs() if strength is None else strength, dtype=float)
    r = correlations(edges.pre.to_numpy(), edges.post.to_numpy(), vectors)
    sums = sum_by_correlation(r, strength, np.zeros(len(r), dtype=np.int64), 1)[0]
    mean, n = bin_means(sums), sums[:N_BINS]
    squares = bin_means(sum_by_correlation(r, strength * strength, np.zeros(len(r), dtype=np.int64), 1)[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(n > 1, np.sqrt(np.maximum(squares - mean * mean, 0) / (n - 1)), np.nan)
    return pd.DataFrame({"correlation": bin_centers(), "mean": mean, "standard_error": error, "n": n.astype(int)})


def _checked_vectors(responses, last_neuron):
    responses = np.asarray(responses, dtype=float)
    if responses.ndim != 2 or len(responses) <= last_neuron or responses.shape[1] < 3:
        raise InputError(
            f"responses have the shape {responses.shape}. Expected one row for each neuron of the circuit (the "
            f"connections name neuron {last_neuron:,}) and at least 3 stimuli."
        )
    return response_vectors(responses)


@dataclass(frozen=True)
class _Measured:
    """Connections whose neurons both have responses, in groups that are large enough."""

    edges: pd.DataFrame
    vectors: np.ndarray
    r: np.ndarray
    strength: np.ndarray
    group: np.ndarray
    labels: pd.DataFrame


def _measure(edges, responses, by, strength, min_connections):
    pre, post = edges.pre.to_numpy(), edges.post.to_numpy()
    vectors = _checked_vectors(responses, max(pre.max(initial=0), post.max(initial=0)))
    r = correlations(pre, post, vectors)
    group, labels = _groups_with_enough(edges, by, r, min_connections)
    chosen = group >= 0
    return _Measured(edges[chosen], vectors, r[chosen], strength[chosen], group[chosen], labels)


def _groups_with_enough(edges, by, r, min_connections):
    """Group of every connection, -1 for those left out, and one row of labels per group."""
    group = edges.groupby(by, observed=True).ngroup().to_numpy()
    measured = ~np.isnan(r)
    counts = np.bincount(group[measured], minlength=group.max(initial=-1) + 1)
    kept = np.flatnonzero(counts >= max(min_connections, 1))
    if not len(kept):
        raise InputError(
            f"no group of connections by {', '.join(by)} has min_connections {min_connections:,} with responses of "
            f"both neurons; the largest has {counts.max(initial=0):,}. Lower min_connections, or measure more trials."
        )
    number = np.full(len(counts), -1)
    number[kept] = np.arange(len(kept))
    first = pd.DataFrame({"group": group, "edge": np.arange(len(group))}).drop_duplicates("group")
    first = first.set_index("group").edge.loc[kept]
    return np.where(measured, number[group], -1), edges.iloc[first][by].reset_index(drop=True)


def _sums_per_neuron(measured):
    """Sums per group and postsynaptic neuron, sorted by group, and where each group starts."""
    post = measured.edges.post.to_numpy()
    n_neurons = int(post.max()) + 1
    keys, cell = np.unique(measured.group * n_neurons + post, return_inverse=True)
    cells = sum_by_correlation(measured.r, measured.strength, cell, len(keys))
    return cells, np.searchsorted(keys // n_neurons, np.arange(len(measured.labels)))


def _counts_and_line(sums):
    slope, error, mean, n_slope = straight_line(sums)
    t = slope / error
    return {
        "n": sums[:, :N_BINS].sum(axis=1).astype(int),
        "n_slope": n_slope.astype(int),
        "mean_strength": mean,
        "slope_ols_p": 2 * student_t.sf(np.abs(t), np.maximum(n_slope - 2, 1)),
        "pearson": t / np.sqrt(t * t + n_slope - 2),
    }


def _bootstrap_limits(cells, starts, counted, resampling):
    """(2, n_groups, 3) array of percentiles."""
    limits = np.full((2, len(starts), len(MEASURES)), np.nan)
    for number, of_group in enumerate(np.split(cells, starts[1:])):
        rng = philox(resampling.seed, "analysis: resampled neurons", number)
        times = draw_weights(len(of_group), resampling.n_bootstrap, rng)
        limits[:, number] = percentile_interval(like_to_like_measures(times @ of_group, counted[number]))
    return limits


def _shuffled_measures(measured, counted, resampling):
    """(n_shuffles, n_groups, 3) array: responses dealt out anew among the responsive neurons of each cell type."""
    edges, vectors = measured.edges, measured.vectors
    pre, post = edges.pre.to_numpy(), edges.post.to_numpy()
    cell_type = np.full(len(vectors), -1)
    cell_type[pre], cell_type[post] = edges.pre_type.cat.codes, edges.post_type.cat.codes
    members = [np.flatnonzero(cell_type == number) for number in np.unique(cell_type[cell_type >= 0])]
    measures = np.empty((resampling.n_shuffles, len(counted), len(MEASURES)))
    for shuffle in range(resampling.n_shuffles):
        rng = philox(resampling.seed, "analysis: shuffled responses", shuffle)
        order = np.arange(len(vectors))
        for of_type in members:
            order[of_type] = rng.permutation(of_type)
        sums = sum_by_correlation(
            correlations(pre, post, vectors[order]), measured.strength, measured.group, len(counted)
        )
        measures[shuffle] = like_to_like_measures(sums, counted)
    return measures


def _p_of_one_against_many(value, others):
    """Two-sided p of a t-test of one value against a sample; NaN where the sample is too small or does not vary."""
    n = (~np.isnan(others)).sum(axis=0)
    enough = np.where(n > 2, n, np.nan)
    mean = np.nansum(others, axis=0) / enough
    spread = np.sqrt(np.nansum((others - mean) ** 2, axis=0) / (enough - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        t = (value - mean) / (spread * np.sqrt(1 + 1 / enough))
    return np.where(np.isnan(t), np.nan, 2 * student_t.sf(np.abs(t), enough - 1))
