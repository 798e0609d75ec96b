"""Falsifiable, layer-specific predictions of the trained column, made from its wiring rules, with the test of each."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from twincortex.analysis.layer_rules import ALL_LAYERS, DEEP

SIGNIFICANT = 0.05
POWER = 0.8
STEP_OF_CORRELATION = 0.5

EXPERIMENTS = {
    "excitation": (
        "Two-photon imaging of gratings, then electron microscopy of the same volume: size of the synapses between "
        "excitatory cells of these layers against the correlation of their responses."
    ),
    "inhibition": (
        "Two-photon imaging of inhibitory and excitatory cells of these layers, then electron microscopy, or paired "
        "recordings in slices of the imaged tissue: total synapse size, or inhibitory conductance, against the "
        "correlation of responses."
    ),
    "depth": (
        "The same in one animal for targets above and below the border of layers 4 and 5: the difference of the two "
        "slopes, not their absolute size, is what is predicted."
    ),
}
COLUMNS = (
    *("kind", "prediction", "verdict", "effect", "low", "high", "effect_before", "change", "change_low", "change_high"),
    *("q", "n", "n_post", "connections_needed", "experiment"),
)


def wiring_predictions(excitation, inhibition, before=None):
    """Make the table of predictions from what was measured.

    Parameters
    ----------
    excitation, inhibition : pandas.DataFrame
        From `layer_rules.excitation_by_layer` and `inhibition_by_layer`, after training.
    before : pair of pandas.DataFrame, optional
        The same two before training.

    Returns
    -------
    pandas.DataFrame, one row per prediction
        kind (a key of EXPERIMENTS); prediction, in words; verdict (``"like-to-like"``, ``"anti-like-to-like"``, or
        ``"no rule"`` where the interval holds 0 or q is 0.05 or more); effect with its 95 % interval, the relative
        slope of the weight over the response correlation (per unit of correlation; of kind depth the difference of
        two); effect_before and the change by training with its interval, which takes both as independent; q (of depth,
        one test, its p); n connections and n_post postsynaptic neurons; connections_needed for 80 % power of a
        two-sided 5 % test on independent connections; experiment, the test.
    """
    before = before or (None, None)
    rows = []
    for kind, after, earlier in (("excitation", excitation, before[0]), ("inhibition", inhibition, before[1])):
        rows += [_row(kind, row, earlier) for row in _slopes(after).itertuples()]
    rows += _depth_rows(_slopes(inhibition), _slopes(before[1]) if before[1] is not None else None)
    return pd.DataFrame(rows, columns=COLUMNS)


def connections_needed(pearson):
    """Connections for 80 % power to tell a correlation of strength with response correlation from 0.

    Parameters
    ----------
    pearson : float or array

    Returns
    -------
    float or array
        Rounded up; infinite for 0.

    Source
    ------
    Fisher (1915): atanh of a correlation coefficient has the standard error 1 / sqrt(n - 3).
    """
    z = norm.ppf(1 - SIGNIFICANT / 2) + norm.ppf(POWER)
    with np.errstate(divide="ignore"):
        return np.ceil((z / np.arctanh(np.abs(pearson))) ** 2 + 3)


def _slopes(table):
    return table[table.measure == "slope"]


def _row(kind, row, before):
    cells = "excitatory" if kind == "excitation" else "inhibitory"
    source = f"{cells} cells" if row.pre_layer == ALL_LAYERS else f"{cells} cells of layer {row.pre_layer}"
    facts = _facts(kind, f"From {source} onto excitatory cells of layer {row.post_layer}", row)
    facts["connections_needed"] = connections_needed(row.pearson)
    if before is not None:
        same = _slopes(before)
        same = same[(same.pre_layer == row.pre_layer) & (same.post_layer == row.post_layer)]
        if len(same):
            facts |= _change(row, same.iloc[0])
    return facts


def _facts(kind, subject, row):
    """Columns of a prediction from effect, low, high, q, n and n_post."""
    is_rule = row.q < SIGNIFICANT and row.low * row.high > 0
    verdict = ("like-to-like" if row.effect > 0 else "anti-like-to-like") if is_rule else "no rule"
    percent = 100 * STEP_OF_CORRELATION * np.array([row.effect, row.low, row.high])
    text = f"{subject}: {verdict}; weight {percent[0]:+.1f} % [{percent[1]:+.1f}, {percent[2]:+.1f}]"
    return {
        "kind": kind,
        "prediction": f"{text} where responses correlate by {STEP_OF_CORRELATION} more",
        "verdict": verdict,
        **{name: getattr(row, name) for name in ("effect", "low", "high", "q", "n", "n_post")},
        "experiment": EXPERIMENTS[kind],
    }


def _change(after, before):
    half = np.hypot(after.high - after.low, before.high - before.low) / 2
    change = after.effect - before.effect
    return {
        "effect_before": before.effect,
        "change": change,
        "change_low": change - half,
        "change_high": change + half,
    }


def _depth_rows(inhibition, before):
    """Deep minus superficial targets: neurons of different layers, so independent; errors from the intervals."""
    after = _deep_minus_superficial(inhibition)
    if after is None:
        return []
    facts = _facts("depth", "Inhibition of excitatory cells, layers 5 and 6 minus layers 2/3 and 4", after)
    earlier = _deep_minus_superficial(before) if before is not None else None
    return [facts | (_change(after, earlier) if earlier is not None else {})]


def _deep_minus_superficial(slopes):
    pooled = slopes[slopes.pre_layer == ALL_LAYERS].dropna(subset=["effect", "low", "high"])
    is_deep = pooled.post_layer.isin(DEEP)
    if not is_deep.any() or is_deep.all():
        return None
    sides = [_mean(pooled[is_deep]), _mean(pooled[~is_deep])]
    effect = sides[0][0] - sides[1][0]
    error = np.hypot(sides[0][1], sides[1][1])
    half = norm.ppf(0.975) * error
    facts = {"effect": effect, "low": effect - half, "high": effect + half, "q": 2 * norm.sf(abs(effect) / error)}
    return pd.Series(facts | {"n": int(pooled.n.sum()), "n_post": int(pooled.n_post.sum())})


def _mean(rows):
    """Mean over layers, weighted by connections, and its standard error."""
    weight = rows.n / rows.n.sum()
    error = (rows.high - rows.low) / (2 * norm.ppf(0.975))
    return float((weight * rows.effect).sum()), float(np.sqrt(((weight * error) ** 2).sum()))
