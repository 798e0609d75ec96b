"""Silenced cohorts: what happens to the other cells, type by type, and to their selectivity."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from twincortex.analysis.grating_counts import GratingCounts, grating_counts, selectivity, selectivity_of_noise
from twincortex.analysis.resampling import (
    N_BOOTSTRAP,
    draw_weights,
    mean_with_limits,
    ordered_types,
    percentile_interval,
)
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.parameters import read_populations
from twincortex.models.randomness import philox

BASELINE = "baseline"


@dataclass(frozen=True)
class Silencing:
    """One cohort silenced, and the same inputs without.

    Attributes
    ----------
    cohort : str
    n_silenced : int
        Of the whole column.
    baseline, silenced : GratingCounts
        Of the neurons that were not targeted; trial k of either has the same input.
    """

    cohort: str
    n_silenced: int
    baseline: GratingCounts
    silenced: GratingCounts


def silencings(dataset, window="grating", core_only=True):
    """Take the result of the silencing experiment apart.

    Parameters
    ----------
    dataset : xarray.Dataset
        As for `grating_counts`, with ``cohort`` of the conditions, one of them ``baseline``, and ``silenced``
        (condition, neuron).
    window : str
    core_only : bool
        Leave out neurons far from the axis of the column.

    Returns
    -------
    list of Silencing
        In the order of the experiment.

    Raises
    ------
    InputError
        There is no cohort, or no baseline.
    """
    cohort_of = np.asarray(dataset.cohort).astype(str)
    names = list(dict.fromkeys(cohort_of))
    if BASELINE not in names or len(names) < 2:
        raise InputError(f"cohorts {', '.join(names)}: expected {BASELINE} and at least one other.")
    shown = np.asarray(dataset.is_core) if core_only else np.ones(dataset.sizes["neuron"], dtype=bool)
    parts = {name: dataset.isel(condition=np.flatnonzero(cohort_of == name)) for name in names}
    responses = {name: grating_counts(part, window, core_only) for name, part in parts.items()}
    found = []
    for name in names:
        if name == BASELINE:
            continue
        targeted = np.asarray(parts[name].silenced)[0]
        others = ~targeted[shown]
        found.append(
            Silencing(
                name, int(targeted.sum()), responses[BASELINE].of_neurons(others), responses[name].of_neurons(others)
            )
        )
    return found


def spikes_left(held_down, baseline, silenced):
    """Share of the spikes of held down neurons that the current leaves: input that is strong enough overcomes it.

    Parameters
    ----------
    held_down, baseline : xarray.Dataset
        ``spike_count`` (condition, trial, window, neuron) with the cohort held down, and of the same inputs without.
    silenced : (N,) bool array

    Returns
    -------
    float
        NaN where they are silent anyway.
    """
    left, usual = (float(part.spike_count[..., silenced].mean()) for part in (held_down, baseline))
    return left / usual if usual > 0 else np.nan


def find_silencing(found, cohort):
    """The silencing of one cohort, by name; an `InputError` where there is none."""
    by_name = {one.cohort: one for one in found}
    if cohort not in by_name:
        raise InputError(f"no cohort {cohort!r}: {near_name_hint(cohort, by_name)}")
    return by_name[cohort]


def percent_changes(found, seed=0, n_bootstrap=N_BOOTSTRAP):
    """Change of the mean rate of every cell type when a cohort is silenced.

    Parameters
    ----------
    found : list of Silencing
    seed : int
    n_bootstrap : int

    Returns
    -------
    pandas.DataFrame, one row per cohort and cell type
        cohort, n_silenced, cell_type, n (neurons that were not targeted), n_inputs (gratings x trials),
        baseline_rate_Hz, rate_Hz, percent_change (of the mean rate; NaN where the baseline is silent) with 95 % limits
        low and high, effect: ``rises``, ``falls`` or ``none`` (the limits enclose 0).

    Source
    ------
    Ito et al. (2025), Fig. 5. Owen (2007) The pigeonhole bootstrap, Annals of Applied Statistics 1:386: neurons and
    inputs are drawn independently of each other, both conditions together, so that the limits hold for other neurons of
    the same column and other inputs of the same kind.
    """
    rows = []
    for number, one in enumerate(found):
        for place, name in enumerate(ordered_types(one.baseline.cell_type)):
            of_type = one.baseline.cell_type == name
            before, after = (_by_input(part.of_neurons(of_type)) for part in (one.baseline, one.silenced))
            random = philox(seed, "analysis: silenced cohorts", number, place)
            row = {"cohort": one.cohort, "n_silenced": one.n_silenced, "cell_type": name, "n": before.shape[1]}
            rows.append(row | {"n_inputs": len(before)} | _change(before, after, random, n_bootstrap))
    return pd.DataFrame(rows)


def _by_input(responses):
    """Rates by input and neuron, (C D K, N) [Hz]."""
    return responses.count.reshape(len(responses.count), -1).T / responses.window_s


def _change(before, after, random, n_bootstrap):
    inputs, neurons = (draw_weights(n, n_bootstrap, random) for n in before.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = [np.einsum("bi,bi->b", inputs @ rates, neurons) for rates in (before, after)]
        low, high = (float(limit) for limit in percentile_interval(100 * (drawn[1] / drawn[0] - 1)))
        percent = 100 * (after.mean() / before.mean() - 1)
    if before.shape[1] < 2 or len(before) < 2 or not np.isfinite(percent):
        low = high = np.nan
    effect = "rises" if low > 0 else "falls" if high < 0 else "none"
    return {
        "baseline_rate_Hz": before.mean(),
        "rate_Hz": after.mean(),
        "percent_change": percent if np.isfinite(percent) else np.nan,
        "low": low,
        "high": high,
        "effect": effect,
    }


def disinhibition_table(changes):
    """Which cohorts hold others down: cell types that rise when it is silenced.

    Parameters
    ----------
    changes : pandas.DataFrame
        From `percent_changes`.

    Returns
    -------
    pandas.DataFrame, one row per cohort
        cohort, n_silenced; exc_rise, exc_fall, inh_rise, inh_fall (cell types whose limits exclude 0); exc_percent and
        inh_percent (change of the mean rate of all neurons of either kind); rising: the names of the types that rise.
    """
    changes = changes.assign(
        ei=changes.cell_type.map(read_populations().drop_duplicates("cell_type").set_index("cell_type").ei)
    )
    rows = []
    for cohort, of_cohort in changes.groupby("cohort", sort=False):
        row = {"cohort": cohort, "n_silenced": of_cohort.n_silenced.iloc[0]}
        for label, ei in (("exc", "e"), ("inh", "i")):
            part = of_cohort[of_cohort.ei == ei]
            row |= {f"{label}_rise": (part.effect == "rises").sum(), f"{label}_fall": (part.effect == "falls").sum()}
            total = (part.baseline_rate_Hz * part.n).sum()
            row[f"{label}_percent"] = 100 * ((part.rate_Hz * part.n).sum() / total - 1) if total > 0 else np.nan
        rows.append(row | {"rising": ", ".join(of_cohort.cell_type[of_cohort.effect == "rises"])})
    return pd.DataFrame(rows)


def selectivity_changes(found, seed=0):
    """Change of orientation and direction selectivity when a cohort is silenced.

    Parameters
    ----------
    found : list of Silencing
        With one contrast; of several, the highest counts.
    seed : int
        Of the bootstrap over neurons.

    Returns
    -------
    pandas.DataFrame, one row per cohort, cell type and quantity (``OSI``, ``DSI``)
        cohort, cell_type, quantity; n (neurons of at least 0.5 Hz at their best direction in both conditions);
        baseline (their mean before), change (mean of the paired differences) with 95 % limits low and high;
        noise_change: that of the selectivity that noise alone would give, as fewer spikes make cells look selective.
    """
    rows = []
    for one in found:
        before, after = (selectivity(part.rate[:, -1], part.direction) for part in (one.baseline, one.silenced))
        noise = np.subtract(*(selectivity_of_noise(part.count[:, -1]) for part in (one.silenced, one.baseline)))
        for name in ordered_types(one.baseline.cell_type):
            of_type = one.baseline.cell_type == name
            for place, quantity in enumerate(("OSI", "DSI")):
                values_before, values_after = before[place], after[place]
                difference = (values_after - values_before)[of_type]
                both = ~np.isnan(difference)
                summary = mean_with_limits(difference, seed, f"{quantity} of {name} without {one.cohort}")
                labels = {"cohort": one.cohort, "cell_type": name, "quantity": quantity, "n": summary["n"]}
                baseline = values_before[of_type][both].mean() if both.any() else np.nan
                limits = {"low": summary["low"], "high": summary["high"]}
                chance = noise[of_type][both]
                limits["noise_change"] = np.nanmean(chance) if (~np.isnan(chance)).any() else np.nan
                rows.append(labels | {"baseline": baseline, "change": summary["mean"]} | limits)
    return pd.DataFrame(rows)
