"""Divisive and subtractive gain: how two tuning surfaces of the same neurons relate."""

import numpy as np
import pandas as pd

from twincortex.analysis.grating_counts import aligned_tuning
from twincortex.analysis.resampling import N_BOOTSTRAP, ordered_types, percentile_interval, resampled_means
from twincortex.models.errors import InputError
from twincortex.models.randomness import philox

MIN_NEURONS = 2


def gain_of_types(controlled, released, responses, seed=0, n_bootstrap=N_BOOTSTRAP):
    """Fit released = divisor * controlled + subtrahend to the tuning of every cell type.

    Control acts on the released rates as ``controlled = (released - subtrahend) / divisor``: a divisor above 1 is
    divisive control, a subtrahend above 0 subtractive control.

    Parameters
    ----------
    controlled, released : (N, C, D) arrays [Hz]
        Trial means of the same neurons on the same gratings, with and without what controls the gain: with PV cells and
        with them silenced, or at some contrast and at the highest (C = 1).
    responses : GratingCounts
        Names direction and cell types.
    seed : int
        Of the bootstrap over neurons.
    n_bootstrap : int

    Returns
    -------
    pandas.DataFrame, one row per cell type of at least two neurons
        cell_type, n, the columns of `fit_gain`, and 95 % limits ``divisor_low``, ``divisor_high``, ``subtrahend_low``,
        ``subtrahend_high`` over neurons.

    Raises
    ------
    InputError
        The two differ in shape.

    Source
    ------
    Atallah et al. (2012) Neuron 73:159: suppressing PV cells changes the responses of pyramidal cells by a linear
    function, multiplicative and additive, with a threshold. Fitted here to the mean tuning of each cell type, aligned
    to the preferred direction of each cell in both conditions together, where the threshold (no rate below 0) is not
    met.
    """
    surfaces = _aligned_surfaces(controlled, released, responses)
    rows = []
    for number, name in enumerate(ordered_types(responses.cell_type)):
        chosen = surfaces[responses.cell_type == name]
        if len(chosen) < MIN_NEURONS:
            continue
        row = {"cell_type": name, "n": len(chosen)} | fit_gain(*chosen.mean(axis=0))
        drawn = resampled_means(chosen, philox(seed, "analysis: gain", number), n_bootstrap)
        divisor, subtrahend = _line(drawn[:, 0], drawn[:, 1])
        for label, resampled in (("divisor", divisor), ("subtrahend", subtrahend)):
            low, high = percentile_interval(resampled)
            row |= {f"{label}_low": float(low), f"{label}_high": float(high)}
        rows.append(row)
    return pd.DataFrame(rows)


def mean_surfaces(controlled, released, responses):
    """What `gain_of_types` fits: mean tuning of every cell type, dict of cell type -> (2, C D) array [Hz]."""
    surfaces = _aligned_surfaces(controlled, released, responses)
    return {name: surfaces[responses.cell_type == name].mean(axis=0) for name in ordered_types(responses.cell_type)}


def _aligned_surfaces(controlled, released, responses):
    """Tuning of every neuron, aligned to the preferred direction of both conditions together, (N, 2, C D)."""
    if controlled.shape != released.shape:
        raise InputError(
            f"controlled rates of shape {controlled.shape}, released rates of shape {released.shape}. Expected the "
            "same neurons, contrasts and directions."
        )
    reference = (controlled + released).mean(axis=1) / 2
    both = [aligned_tuning(rate, responses.direction, reference) for rate in (controlled, released)]
    return np.stack(both, axis=1).reshape(len(controlled), 2, -1)


def fit_gain(controlled, released):
    """Fit released = divisor * controlled + subtrahend, and either alone.

    Parameters
    ----------
    controlled, released : (n,) arrays [Hz]

    Returns
    -------
    dict
        divisor, subtrahend [Hz]: of the fit of both (least squares). only_divisor: subtrahend 0. only_subtrahend [Hz]:
        divisor 1. r2, r2_divisive, r2_subtractive: share of the variance of the released rates that each explains
        (negative where it does worse than their mean). better: ``divisive`` or ``subtractive``, the one with the
        smaller residual. NaN where a constant leaves the fit undetermined.
    """
    divisor, subtrahend = (float(value) for value in _line(controlled, released))
    power = controlled @ controlled
    only_divisor = controlled @ released / power if power > 0 else np.nan
    only_subtrahend = (released - controlled).mean()
    residuals = {
        "r2": released - divisor * controlled - subtrahend,
        "r2_divisive": released - only_divisor * controlled,
        "r2_subtractive": released - controlled - only_subtrahend,
    }
    variance = ((released - released.mean()) ** 2).sum()
    explained = {name: 1 - (one**2).sum() / variance if variance > 0 else np.nan for name, one in residuals.items()}
    better = "divisive" if explained["r2_divisive"] > explained["r2_subtractive"] else "subtractive"
    found = {
        "divisor": divisor,
        "subtrahend": subtrahend,
        "only_divisor": float(only_divisor),
        "only_subtrahend": float(only_subtrahend),
    }
    return found | explained | {"better": better if np.isfinite(explained["r2_divisive"]) else None}


def _line(x, y):
    """Slope and intercept of y on x along the last axis; NaN where x is constant."""
    mean_x, mean_y = x.mean(axis=-1), y.mean(axis=-1)
    centered = x - mean_x[..., None]
    spread = (centered**2).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(spread > 0, (centered * y).sum(axis=-1) / spread, np.nan)
    return slope, mean_y - slope * mean_x
