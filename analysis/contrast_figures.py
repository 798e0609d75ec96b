"""Figures of contrast: curves per cell type, push-pull of VIP and SST, gain without PV cells, preferred contrasts."""

import numpy as np
from matplotlib.figure import Figure

from twincortex.analysis.captions import write_caption
from twincortex.analysis.contrast_preference import PREFERENCES
from twincortex.analysis.gain_fits import mean_surfaces
from twincortex.analysis.wiring_rules import cell_type_properties

CLASSES = {"excitatory": ("Exc", "IT", "ET", "NP"), "PV": ("PV",), "SST": ("SST",), "VIP and L1": ("VIP", "Inh")}
QUANTITIES = {"rate_Hz": "mean rate (Hz)", "OSI": "OSI", "DSI": "DSI"}
MARKERS = {"L1": "v", "L2/3": "o", "L4": "s", "L5": "^", "L6": "D"}
SHADES = {"high": "#3b3b3b", "band": "#8a8a8a", "low": "#d0d0d0"}


def draw_contrast_curves(curves, description):
    """Rate and selectivity against contrast, one line per cell type.

    Parameters
    ----------
    curves : pandas.DataFrame
        From `contrast_curves`.
    description : str
        Of the experiment, for the caption.

    Returns
    -------
    matplotlib.figure.Figure
        Bands are intervals over neurons; blanks stand at the left; dotted lines are the selectivity of noise.
    """
    figure = Figure(figsize=(14, 9), layout="constrained")
    axes = figure.subplots(len(QUANTITIES), len(CLASSES), sharex=True, squeeze=False)
    for column, (title, endings) in enumerate(CLASSES.items()):
        chosen = curves[curves.cell_type.str.endswith(endings)]
        axes[0, column].set_title(title)
        axes[-1, column].set_xlabel("contrast")
        for row, quantity in enumerate(QUANTITIES):
            _draw_quantity(axes[row, column], chosen[chosen.quantity == quantity])
            if quantity != "rate_Hz":
                _draw_quantity(axes[row, column], chosen[chosen.quantity == "noise"], is_noise=True)
        axes[0, column].legend(frameon=False, fontsize=7)
    for row, (quantity, label) in enumerate(QUANTITIES.items()):
        axes[row, 0].set_ylabel(label)
        for axis in axes[row]:
            axis.set_ylim(0, None if quantity == "rate_Hz" else 1.04)
    contrasts = np.unique(curves.contrast[curves.contrast > 0])
    axes[0, 0].set_xscale("log")
    axes[0, 0].set_xticks([contrasts[0] / 2, *contrasts], ["blank", *(f"{one:g}" for one in contrasts)])
    axes[0, 0].set_xticks([], minor=True)
    write_caption(
        figure,
        f"{description}. n: neurons of a type. Bands: 95 % intervals over neurons (1,000 bootstrap samples, seed 0). "
        "Scales of the rate differ. OSI and DSI of neurons of at least 0.5 Hz at their best direction of a contrast; "
        "dotted: what their noise from trial to trial alone would give.",
    )
    return figure


def _draw_quantity(axis, curves, is_noise=False):
    color = cell_type_properties().color
    for name, curve in curves.groupby("cell_type", sort=False):
        shown, blank = curve[curve.contrast > 0], curve[curve.contrast == 0]
        marker = MARKERS[name.split("_")[0]]
        if is_noise:
            axis.plot(shown.contrast, shown["mean"], ":", color=color[name], linewidth=1)
            continue
        label = f"{name}, n = {shown.n.max()}"
        axis.plot(shown.contrast, shown["mean"], f"{marker}-", color=color[name], markersize=4, label=label)
        axis.fill_between(shown.contrast, shown.low, shown.high, color=color[name], alpha=0.2, linewidth=0)
        if len(blank):
            axis.plot(shown.contrast.min() / 2, blank["mean"], marker, color=color[name], markersize=4)


def draw_push_pull(slope, cell_type, table, description):
    """Slopes of rate against contrast of every VIP and SST cell.

    Parameters
    ----------
    slope : (N,) array [Hz per decade]
    cell_type : (N,) str array
    table : pandas.DataFrame
        From `push_pull`.
    description : str

    Returns
    -------
    matplotlib.figure.Figure
        Dots are neurons, bars means with intervals.
    """
    limits = {}
    for label in ("vip", "sst"):
        columns = [f"{label}_slope", f"{label}_slope_low", f"{label}_slope_high"]
        limits |= dict(zip(table[label], table[columns].to_numpy(), strict=True))
    names = [name for name in cell_type_properties().index if name in limits]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axis = figure.subplots()
    axis.axhline(0, color="#cccccc", linewidth=0.8, zorder=0)
    for place, name in enumerate(names):
        values, color = slope[cell_type == name], cell_type_properties().color[name]
        jitter = 0.25 * np.sin(12.9898 * np.arange(len(values)))
        axis.plot(place + jitter, values, ".", color=color, markersize=3, alpha=0.5)
        mean, low, high = limits[name]
        axis.plot([place, place], [low, high], color="black", linewidth=2)
        axis.plot(place, mean, "o", color="black", markersize=5)
    axis.set_xticks(range(len(names)), [f"{name}\nn = {(cell_type == name).sum()}" for name in names])
    axis.set_ylabel("slope of the rate (Hz per decade of contrast)")
    write_caption(figure, f"{description}. Dots: neurons. Black: means with 95 % intervals over neurons.")
    return figure


def draw_gain(controlled, released, counts, fits, description):
    """Mean tuning without against with the control of gain, and the fits.

    Parameters
    ----------
    controlled, released, counts
        As of `gain_of_types`.
    fits : pandas.DataFrame
        From `gain_of_types`.
    description : str

    Returns
    -------
    matplotlib.figure.Figure
        One panel per cell type; dots are gratings (contrast and direction from the preferred one).
    """
    surfaces = mean_surfaces(controlled, released, counts)
    n_columns = 5
    n_rows = -(-len(fits) // n_columns)
    figure = Figure(figsize=(3 * n_columns, 2.9 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for axis in axes.flat[len(fits) :]:
        axis.set_axis_off()
    for axis, fit in zip(axes.flat, fits.itertuples(), strict=False):
        x, y = surfaces[fit.cell_type]
        line = np.array([0, x.max()])
        axis.plot(line, line, color="#cccccc", linewidth=0.8, label="no change")
        axis.plot(line, fit.divisor * line + fit.subtrahend, color="black", linewidth=1, label="both")
        axis.plot(line, fit.only_divisor * line, "--", color="black", linewidth=0.8, label="divisive")
        axis.plot(line, line + fit.only_subtrahend, ":", color="black", linewidth=1, label="subtractive")
        axis.plot(x, y, "o", color=cell_type_properties().color[fit.cell_type], markersize=4)
        divisor = f"divisor {fit.divisor:.2f} ({fit.divisor_low:.2f} to {fit.divisor_high:.2f})"
        axis.set_title(f"{fit.cell_type}, n = {fit.n}\n{divisor}", fontsize=9)
        axis.set(xlabel="with control (Hz)", ylabel="without (Hz)")
    axes[0, 0].legend(frameon=False, fontsize=7)
    write_caption(
        figure,
        f"{description}. Dots: gratings, means over neurons aligned to their preferred direction. Intervals: 95 %, "
        "over neurons.",
    )
    return figure


def draw_preferences(table, description):
    """Shares of high-, band- and low-pass neurons, in the model and in the recordings.

    Parameters
    ----------
    table : pandas.DataFrame
        From `preference_table`.
    description : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    for axis, prefix, title in zip(axes, ("", "recorded_"), ("model", "recorded (Neuropixels)"), strict=True):
        n, bottom = table[f"{prefix}driven"].to_numpy(), np.zeros(len(table))
        for preference in PREFERENCES:
            share = np.divide(table[f"{prefix}{preference}"], n, out=np.zeros(len(table)), where=n > 0)
            axis.bar(range(len(table)), share, bottom=bottom, color=SHADES[preference], label=f"{preference}-pass")
            bottom += share
        for place, count in enumerate(n):
            axis.text(place, 1.02, f"{count}", ha="center", fontsize=7)
        axis.set(ylabel="share of driven cells", ylim=(0, 1.12), title=title)
    axes[1].set_xticks(range(len(table)), table.cell_type, rotation=90)
    axes[0].legend(frameon=False, fontsize=8, ncols=3, loc="lower right")
    write_caption(
        figure,
        f"{description}. Numbers: n, cells that fire more than in blanks (quasi-Poisson test, p < 0.01). All L5 "
        "excitatory types stand beside the same recorded units.",
    )
    return figure
