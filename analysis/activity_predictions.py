"""Falsifiable predictions of activity: how each cell type follows contrast, and what silencing a cohort does."""

import pandas as pd

from twincortex.analysis.resampling import type_means

MIN_CELLS = 15
COLUMNS = ("prediction", "verdict", "effect", "low", "high", "n")


def contrast_predictions(slope, cell_type, seed=0):
    """Which cell types fire more, and which less, the higher the contrast.

    Parameters
    ----------
    slope : (N,) array [Hz per decade]
        From `contrast_gain.contrast_slopes`.
    cell_type : (N,) str array
    seed : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame, one row per cell type of at least 15 neurons
        prediction, in words; verdict (``rises``, ``falls`` or ``no prediction``, where the interval holds 0); effect
        with its 95 % interval over neurons [Hz per decade]; n neurons.
    """
    rows = [
        _row(f"{one.cell_type} cells, rate against contrast", one.mean, one.low, one.high, one.n, "Hz per decade")
        for one in type_means(slope, cell_type, seed).itertuples()
        if one.n >= MIN_CELLS
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def silencing_predictions(changes):
    """The largest effect of every cohort on a cell type, in either direction.

    Parameters
    ----------
    changes : pandas.DataFrame
        From `dissection.percent_changes`.

    Returns
    -------
    pandas.DataFrame, at most two rows per cohort
        As of `contrast_predictions`, of cell types of at least 15 neurons whose interval excludes 0; effects in percent
        of the mean rate.
    """
    clear = changes[(changes.n >= MIN_CELLS) & (changes.effect != "none")]
    rows = []
    for cohort, of_cohort in clear.groupby("cohort", sort=False):
        for effect in ("rises", "falls"):
            chosen = of_cohort[of_cohort.effect == effect]
            if len(chosen):
                one = chosen.loc[chosen.percent_change.abs().idxmax()]
                subject = f"{one.cell_type} cells without {cohort}"
                rows.append(_row(subject, one.percent_change, one.low, one.high, one.n, "%"))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(subject, effect, low, high, n, unit):
    verdict = "rises" if low > 0 else "falls" if high < 0 else "no prediction"
    text = f"{subject}: {verdict}, {effect:+.3g} {unit} [{low:+.3g}, {high:+.3g}]"
    return dict(zip(COLUMNS, (text, verdict, effect, low, high, int(n)), strict=True))
