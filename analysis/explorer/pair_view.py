"""The connections from one cell type to another: dots, means in bins and fits."""

import numpy as np

from twincortex.analysis.correlation_sums import (
    SLOPE_RANGE,
    correlations,
    response_vectors,
    straight_line,
    sum_by_correlation,
)
from twincortex.analysis.direction_rule import binned_mean, fit_direction_rule
from twincortex.analysis.explorer.json_columns import as_column, as_number
from twincortex.analysis.response_correlation import correlation_profile
from twincortex.models.randomness import philox

MAX_DOTS = 2000


def draw_against_direction(pairs, stage):
    """Strength against the difference of tuning angles.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Rows of `wiring_rules.pair_table`.
    stage : str
        ``"before"``, ``"after"``: magnitude of the weight [pA]; ``"change"``: percent of the weight before.

    Returns
    -------
    dict
        n; x [deg] and y of at most 2,000 dots; bins, columns x, mean, standard_error and n; fit: a, b, c in the unit
        of y, None where they are undetermined.
    """
    x = pairs.delta_deg.to_numpy()
    y = (100 * pairs.relative_change if stage == "change" else pairs[f"weight_{stage}_pA"].abs()).to_numpy()
    bins = binned_mean(x, y).rename(columns={"delta_deg": "x"})
    fit = fit_direction_rule(x, y).iloc[0][["a", "b", "c"]]
    return _drawn(x, y, bins, fit)


def draw_against_response(pairs, stage, curve):
    """Strength against the response correlation, for connections whose neurons both have one.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Rows of `wiring_rules.pair_table`.
    stage : str
        ``"before"`` or ``"after"``.
    curve : (N, D) array [Hz]
        Tuning curves of the same stage.

    Returns
    -------
    dict
        As of `draw_against_direction`, x the correlation, bins without standard errors; fit: slope and intercept of
        the straight line, and low and high of the correlations it holds for. Nothing where it is undetermined.
    """
    pre, post = pairs.pre.to_numpy(), pairs.post.to_numpy()
    x, y = correlations(pre, post, response_vectors(curve)), pairs[f"weight_{stage}_pA"].abs().to_numpy()
    measured = ~np.isnan(x)
    edges = pairs[measured].assign(weight_pA=y[measured])
    bins = correlation_profile(edges, curve).rename(columns={"correlation": "x"})
    return _drawn(x[measured], y[measured], bins, _line(x[measured], y[measured]))


def _line(x, y):
    slope, _, mean, _ = straight_line(sum_by_correlation(x, y, np.zeros(len(x), dtype=np.int64), 1)[0])
    if np.isnan(slope):
        return {}
    low, high = SLOPE_RANGE
    center = x[(x >= low) & (x <= high)].mean()
    return {"slope": slope, "intercept": mean - slope * center, "low": low, "high": high}


def _drawn(x, y, bins, fit):
    shown = np.arange(len(x))
    if len(x) > MAX_DOTS:
        shown = np.sort(philox(0, "explorer: connections shown").choice(len(x), MAX_DOTS, replace=False))
    return {
        "n": len(x),
        "x": as_column(x[shown]),
        "y": as_column(y[shown], 4),
        "bins": {name: as_column(bins[name], 4) for name in bins},
        "fit": {name: as_number(value, 6) for name, value in fit.items()},
    }
