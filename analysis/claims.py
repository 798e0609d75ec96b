"""The claims of the abstract of Ito et al. (2025), each with what this column shows: effect, interval, n, verdict."""

import numpy as np
import pandas as pd

from twincortex.analysis.contrast_gain import PUSH_PULL_PAIRS, contrast_slopes, push_pull
from twincortex.analysis.gain_fits import gain_of_types
from twincortex.analysis.grating_counts import grating_counts
from twincortex.analysis.image_responses import RUNAWAY_HZ, image_counts, stability_table
from twincortex.analysis.layer_rules import ALL_LAYERS, DEEP
from twincortex.analysis.predictions import wiring_predictions

REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE = "reproduced", "not reproduced", "not testable at this size"
MIN_CELLS = 15  # of a cell type, to say something about it
LARGEST_DRIFT = 0.1  # of the mean rate
COLUMNS = ["claim", "verdict", "measured", "n"]


def contrast_claims(contrast, without_pv):
    """Push-pull of VIP and SST cells, and divisive control by PV cells.

    Parameters
    ----------
    contrast, without_pv : xarray.Dataset
        Of the protocol contrast, the second with ``--silence PV``.

    Returns
    -------
    pandas.DataFrame, one row per claim
        claim; verdict; measured: effects with 95 % intervals over neurons, in words; n, in words. Push-pull is
        reproduced where both intervals exclude 0, VIP below and SST above; division where most cell types of at least
        15 cells have a divisor above 1 and are fitted better by a division than by a subtraction.
    """
    counts = grating_counts(contrast)
    table = push_pull(contrast_slopes(counts), counts.cell_type, pairs=PUSH_PULL_PAIRS[:1])
    rows = [_push_pull(row) for row in table.itertuples()]
    return pd.DataFrame([*rows, _division(contrast, without_pv, counts)], columns=COLUMNS)


def _push_pull(row):
    few = min(row.n_vip, row.n_sst) < MIN_CELLS
    slopes = [
        f"{name.replace('_', ' ')} {slope:+.2f} [{low:+.2f}, {high:+.2f}]"
        for name, slope, low, high in (
            (row.vip, row.vip_slope, row.vip_slope_low, row.vip_slope_high),
            (row.sst, row.sst_slope, row.sst_slope_low, row.sst_slope_high),
        )
    ]
    return {
        "claim": f"push-pull with contrast: {row.vip} against {row.sst} cells".replace("_", " "),
        "verdict": NOT_TESTABLE if few else REPRODUCED if row.opposite == "yes" else NOT_REPRODUCED,
        "measured": f"{', '.join(slopes)} Hz per decade of contrast",
        "n": f"{row.n_vip} and {row.n_sst} cells",
    }


def _division(contrast, without_pv, counts):
    kept = ~without_pv.silenced.to_numpy()[without_pv.is_core.to_numpy()]
    controlled, released = counts.of_neurons(kept), grating_counts(without_pv).of_neurons(kept)
    fits = gain_of_types(controlled.rate, released.rate, controlled)
    fits = fits[(fits.n >= MIN_CELLS) & ~fits.cell_type.str.endswith("PV")]
    divided = fits[fits.divisor_low > 1]
    better = divided[divided.better == "divisive"]
    largest = fits.sort_values("n").iloc[-1]
    return {
        "claim": "PV cells divide the responses of the others",
        "verdict": REPRODUCED if 2 * len(better) > len(fits) else NOT_REPRODUCED,
        "measured": (
            f"divisor above 1 in {len(divided)} of {len(fits)} cell types, in {len(better)} of them better than a "
            f"subtraction; {largest.cell_type.replace('_', ' ')} {largest.divisor:.2f} [{largest.divisor_low:.2f}, "
            f"{largest.divisor_high:.2f}] and {largest.subtrahend:+.2f} Hz"
        ),
        "n": f"{fits.n.sum():,} cells",
    }


def stability_claims(contrast, images):
    """Activity in range at all contrasts, and through natural images.

    Parameters
    ----------
    contrast, images : xarray.Dataset
        Of the protocols contrast and images.

    Returns
    -------
    pandas.DataFrame, one row per claim
        See `contrast_claims`. Reproduced where no neuron runs away (above 100 Hz on average over a condition) and,
        for images, the drift from the first to the last repetition is within 10 % of the mean rate, interval included.
    """
    counts = grating_counts(contrast)
    of_neurons = counts.rate.mean(axis=2)
    by_contrast = of_neurons.mean(axis=0)
    runaway = float((counts.rate > RUNAWAY_HZ).any(axis=(1, 2)).mean())
    rates = ", ".join(f"{rate:.1f}" for rate in by_contrast)
    rows = [
        {
            "claim": "stable over contrasts",
            "verdict": REPRODUCED if runaway == 0 else NOT_REPRODUCED,
            "measured": f"mean rate {rates} Hz at contrasts {', '.join(f'{one:g}' for one in counts.contrast)}; "
            f"{_percent(runaway)} of cells above {RUNAWAY_HZ:g} Hz in a condition, "
            f"{_percent((counts.count.sum(axis=(1, 2, 3)) == 0).mean())} silent",
            "n": f"{len(of_neurons):,} cells",
        }
    ]
    shown = image_counts(images)
    every = stability_table(shown).iloc[-1]
    drift = np.array([every.drift_Hz, every.drift_low, every.drift_high]) / every.rate_Hz
    is_stable = every.runaway == 0 and np.abs(drift).max() < LARGEST_DRIFT
    rows.append(
        {
            "claim": "stable through natural images",
            "verdict": REPRODUCED if is_stable else NOT_REPRODUCED,
            "measured": f"mean rate {every.rate_Hz:.1f} Hz, drift over {shown.count.shape[1]} repetitions "
            f"{100 * drift[0]:+.1f} % [{100 * drift[1]:+.1f}, {100 * drift[2]:+.1f}]; {_percent(every.runaway)} of "
            f"cells above {RUNAWAY_HZ:g} Hz in an image, {_percent(every.silent)} silent",
            "n": f"{int(every.n):,} cells, {len(shown.image)} images",
        }
    )
    return pd.DataFrame(rows, columns=COLUMNS)


def wiring_claims(excitation, inhibition):
    """Like-to-like excitation, and anti-like-to-like inhibition of deep excitatory cells.

    Parameters
    ----------
    excitation, inhibition : pandas.DataFrame
        From `layer_rules.excitation_by_layer` and `inhibition_by_layer`, after training.

    Returns
    -------
    pandas.DataFrame, one row per claim
        See `contrast_claims`. A layer follows a rule where the slope of the weight over the response correlation has an
        interval without 0 and a false discovery rate below 0.05. Reproduced where all layers (L5 and L6 for inhibition)
        do; the third row compares deep with superficial layers.
    """
    table = wiring_predictions(*(one[one.pre_layer == ALL_LAYERS] for one in (excitation, inhibition)))
    onto = table.prediction.str.extract(r"layer (\S+):")[0]
    rows = [
        _rule("like-to-like excitation of excitatory cells", table[table.kind == "excitation"], onto, "like-to-like"),
        _rule(
            "anti-like-to-like inhibition of L5 and L6 excitatory cells",
            table[(table.kind == "inhibition") & onto.isin(DEEP)],
            onto,
            "anti-like-to-like",
        ),
        _rule(
            "inhibition: more anti-like-to-like in L5 and L6 than in L2/3 and L4",
            table[table.kind == "depth"],
            onto.fillna("5, 6 minus 2/3, 4"),
            "anti-like-to-like",
        ),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rule(claim, table, onto, verdict):
    effects = [
        f"L{onto[row.Index]} {100 * row.effect:+.1f} [{100 * row.low:+.1f}, {100 * row.high:+.1f}]"
        for row in table.itertuples()
    ]
    follows = (table.verdict == verdict).sum()
    return {
        "claim": claim,
        "verdict": NOT_TESTABLE if not len(table) else REPRODUCED if follows == len(table) else NOT_REPRODUCED,
        "measured": f"{', '.join(effects)} % of the mean weight per unit of response correlation",
        "n": f"{int(table.n.sum()):,} connections",
    }


def _percent(share):
    return f"{100 * share:.2g} %"
