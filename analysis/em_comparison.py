"""Wiring rules of the model in samples as small as those of electron microscopy: MICrONS and V1DD."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from twincortex.analysis.correlation_sums import SLOPE_RANGE, correlations, response_vectors
from twincortex.analysis.direction_rule import fit_direction_rule
from twincortex.models.errors import InputError
from twincortex.models.randomness import philox

DATA = Path(__file__).parent / "data"
LAYER_TYPES = ("L2/3_Exc", "L4_Exc", "L5_Exc", "L6_Exc")
N_SAMPLES = 1000
MIN_EM_CONNECTIONS = 15
PAIR = ["pre_type", "post_type"]
_LOG10_P = ("sample_log10_p", "sample_log10_p_low", "sample_log10_p_high")
_FOUND = ("share_significant", "em_percentile")
_SLOPES = (
    *("n", "n_model", "em_slope", "em_slope_low", "em_slope_high", "em_log10_p", "slope"),
    *("sample_slope", "sample_slope_low", "sample_slope_high", *_LOG10_P, *_FOUND),
)
_DIRECTIONS = (
    *("coefficient", "n", "n_model", "em", "em_low", "em_high", "em_log10_p", "model"),
    *("sample", "sample_low", "sample_high", *_LOG10_P, *_FOUND),
)


def read_em_table(name):
    """Read a table of electron microscopy.

    Parameters
    ----------
    name : str
        ``"microns_slopes"``, ``"microns_bins"``, ``"v1dd_direction_rules"`` or ``"v1dd_bins"``; see data/README.md.

    Returns
    -------
    pandas.DataFrame
    """
    return pd.read_csv(DATA / f"{name}.csv")


def excitatory_by_layer(edges):
    """Connections among excitatory cells, IT, ET and NP cells of layer 5 as one type, as electron microscopy has them.

    Parameters
    ----------
    edges : pandas.DataFrame
        From `wiring_rules.core_connections`.

    Returns
    -------
    pandas.DataFrame
        The same columns; pre_type and post_type are str.
    """
    merged = {name: name for name in LAYER_TYPES} | dict.fromkeys(("L5_IT", "L5_ET", "L5_NP"), "L5_Exc")
    names = {column: edges[column].astype(str).map(merged) for column in PAIR}
    return edges.assign(**names).dropna(subset=PAIR)


def draw_matched(n_available, n_drawn, n_samples, rng):
    """Draw samples of connections without replacement.

    Parameters
    ----------
    n_available, n_drawn, n_samples : int
    rng : numpy.random.Generator

    Returns
    -------
    (n_samples, n_drawn) int array
        No number twice in a row.

    Raises
    ------
    InputError
        More are to be drawn than there are.
    """
    if n_drawn > n_available:
        raise InputError(f"{n_drawn:,} connections cannot be drawn from {n_available:,}. Take a larger core.")
    return np.stack([rng.choice(n_available, n_drawn, replace=False, shuffle=False) for _ in range(n_samples)])


def compare_with_microns(edges, responses, em=None, n_samples=N_SAMPLES, seed=0):
    """Slope of weight over response correlation in samples with as many connections as MICrONS has.

    Parameters
    ----------
    edges : pandas.DataFrame
        From `wiring_rules.core_connections`.
    responses : (N, S) array
        Mean response of every neuron to every stimulus, measured with the weights of these edges.
    em : pandas.DataFrame, optional
        Default: microns_slopes.csv.
    n_samples, seed : int

    Returns
    -------
    pandas.DataFrame, one row per pair of layers with 15 connections or more in the electron microscope
        pre_type, post_type; n (drawn: those of MICrONS with a correlation in the range of the slope); n_model (to draw
        from); em_slope with em_slope_low and em_slope_high, em_log10_p; slope of all connections of the model;
        sample_slope (median), sample_slope_low, sample_slope_high (95 % of samples), sample_log10_p (median) and
        sample_log10_p_low, sample_log10_p_high; share_significant (samples with a positive slope and p < 0.05);
        em_percentile (share of samples with a smaller slope than MICrONS). Slopes are relative to the mean strength, so
        weights and synapse sizes compare. NaN where the model has too few connections.

    Source
    ------
    Ito et al. (2025), Fig. 5: samples limited to the pairs of electron microscopy. There samples are drawn with
    replacement from one that was drawn before; here every sample is drawn anew from all connections.
    """
    em = _testable(read_em_table("microns_slopes") if em is None else em, "n_slope")
    vectors = response_vectors(responses)
    edges = excitatory_by_layer(edges)
    edges = edges.assign(r=correlations(edges.pre.to_numpy(), edges.post.to_numpy(), vectors))
    edges = edges[edges.r.between(*SLOPE_RANGE)]
    pairs = dict(tuple(edges.groupby(PAIR)))
    rows = []
    for number, row in enumerate(em.itertuples()):
        of_pair = pairs.get((row.pre_type, row.post_type), edges.iloc[:0])
        half = student_t.ppf(0.975, row.n_slope - 2) * row.slope_se
        facts = {
            "pre_type": row.pre_type,
            "post_type": row.post_type,
            "n": row.n_slope,
            "n_model": len(of_pair),
            "em_slope": row.slope,
            "em_slope_low": row.slope - half,
            "em_slope_high": row.slope + half,
            "em_log10_p": np.log10(row.slope_p),
        }
        if len(of_pair) >= row.n_slope:
            r, strength = of_pair.r.to_numpy(), of_pair.weight_pA.abs().to_numpy()
            rng = philox(seed, "analysis: samples as large as MICrONS", number)
            drawn = draw_matched(len(r), row.n_slope, n_samples, rng)
            slope, log10_p = relative_slopes(r[drawn], strength[drawn])
            facts["slope"] = relative_slopes(r[None], strength[None])[0][0]
            facts |= _spread("sample_slope", slope) | _spread("sample_log10_p", log10_p)
            facts["share_significant"] = np.mean((slope > 0) & (log10_p < np.log10(0.05)))
            facts["em_percentile"] = np.mean(slope < row.slope)
        rows.append(facts)
    return pd.DataFrame(rows, columns=[*PAIR, *_SLOPES])


def relative_slopes(x, y):
    """Slope of y over x by least squares, over the mean of y, in every row.

    Parameters
    ----------
    x, y : (n_samples, n) arrays

    Returns
    -------
    slope, log10_p : (n_samples,) arrays
        Per unit of x; p of the two-sided t-test, at least 1e-300.
    """
    n = x.shape[1]
    dx, dy = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    sxx, sxy, syy = (dx * dx).sum(axis=1), (dx * dy).sum(axis=1), (dy * dy).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = sxy / np.sqrt(np.maximum(sxx * syy - sxy * sxy, 0) / (n - 2))
        p = np.maximum(2 * student_t.sf(np.abs(t), n - 2), 1e-300)
        return sxy / sxx / y.mean(axis=1), np.log10(p)


def compare_with_v1dd(edges, em=None, n_samples=N_SAMPLES, seed=0):
    """Direction rule in samples with as many connections as V1DD has.

    Parameters
    ----------
    edges : pandas.DataFrame
        From `wiring_rules.core_connections`, with directions from responses as V1DD has them, or the assigned ones.
    em : pandas.DataFrame, optional
        Default: v1dd_direction_rules.csv.
    n_samples, seed : int

    Returns
    -------
    pandas.DataFrame, one row per pair of layers with 15 connections or more, and coefficient
        pre_type, post_type, coefficient (``"a/c"`` direction, ``"b/c"`` orientation), n, n_model; em, em_low, em_high,
        em_log10_p; model (all its connections); sample, sample_low, sample_high, sample_log10_p and its limits;
        share_significant (samples with a positive coefficient and p < 0.05); em_percentile. NaN where the model has too
        few connections.
    """
    em = _testable(read_em_table("v1dd_direction_rules") if em is None else em, "n")
    edges = excitatory_by_layer(edges)
    pairs = dict(tuple(edges.groupby(PAIR)))
    rows = []
    for number, row in enumerate(em.itertuples()):
        of_pair = pairs.get((row.pre_type, row.post_type), edges.iloc[:0])
        samples = whole = None
        if len(of_pair) >= row.n:
            delta, strength = of_pair.delta_deg.to_numpy(), of_pair.weight_pA.abs().to_numpy()
            rng = philox(seed, "analysis: samples as large as V1DD", number)
            drawn = draw_matched(len(delta), row.n, n_samples, rng).ravel()
            samples = fit_direction_rule(delta[drawn], strength[drawn], np.repeat(np.arange(n_samples), row.n))
            whole = fit_direction_rule(delta, strength).iloc[0]
        rows += [_direction_row(row, name, len(of_pair), samples, whole) for name in "ab"]
    return pd.DataFrame(rows, columns=[*PAIR, *_DIRECTIONS])


def _direction_row(row, name, n_model, samples, whole):
    facts = {
        "pre_type": row.pre_type,
        "post_type": row.post_type,
        "coefficient": f"{name}/c",
        "n": row.n,
        "n_model": n_model,
        "em": getattr(row, f"{name}_over_c"),
        "em_low": getattr(row, f"{name}_over_c_low"),
        "em_high": getattr(row, f"{name}_over_c_high"),
        "em_log10_p": np.log10(getattr(row, f"{name}_p")),
    }
    if samples is not None:
        effect, p = samples[f"{name}_over_c"].to_numpy(), samples[f"{name}_p"].to_numpy()
        facts["model"] = whole[f"{name}_over_c"]
        facts |= _spread("sample", effect) | _spread("sample_log10_p", np.log10(np.maximum(p, 1e-300)))
        facts["share_significant"] = np.mean((effect > 0) & (p < 0.05))
        facts["em_percentile"] = np.mean(effect < facts["em"])
    return facts


def _testable(em, count):
    return em[em[count] >= MIN_EM_CONNECTIONS].reset_index(drop=True)


def _spread(name, values):
    median, low, high = np.quantile(values, [0.5, 0.025, 0.975])
    return {name: median, f"{name}_low": low, f"{name}_high": high}
