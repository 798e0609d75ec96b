"""Box plots of rates and selectivity per cell type: before and after training, and recorded."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from twincortex.models.neuropixels import read_neuropixels_units
from twincortex.training.evaluation.palette import RECORDED, color_of, write_caption
from twincortex.training.evaluation.scores import score_groups

PANELS = {
    "evoked_rate_Hz": "evoked rate (Hz)",
    "spontaneous_rate_Hz": "spontaneous rate (Hz)",
    "OSI": "OSI",
    "DSI": "DSI",
}
# Rates are drawn on a logarithmic axis, linear below this.
LINEAR_BELOW_HZ = 0.5


def draw_box_plots(core, results, caption):
    """Draw four panels, one box per cell type and network and one for the recordings.

    Parameters
    ----------
    core : Core
    results : dict of network -> NetworkResult
    caption : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(17, 15), layout="constrained")
    groups = list(score_groups(core))
    for axes, (quantity, label) in zip(figure.subplots(len(PANELS), 1), PANELS.items(), strict=True):
        _draw_panel(axes, quantity, groups, core, results)
        axes.set_ylabel(label)
    figure.axes[0].legend(handles=_legend(results), frameon=False, ncols=3, loc="upper left", fontsize=9)
    write_caption(
        figure,
        f"{caption}\nBoxes: quartiles and median, whiskers 5 to 95 %; n = model cells | recorded units; S = similarity "
        f"({', '.join(results)}). Gray: not in the mean (fewer than 15 cells or units, or a subtype). Rates are linear "
        f"below {LINEAR_BELOW_HZ:g} Hz. OSI and DSI of cells and units with 0.5 Hz or more at their best direction.",
    )
    return figure


def _draw_panel(axes, quantity, groups, core, results):
    units, ticks = read_neuropixels_units(), []
    scores = {
        network: {score.name: score for score in result.scores if score.quantity == quantity}
        for network, result in results.items()
    }
    width = 0.8 / (len(results) + 1)
    for place, (name, recorded_name, is_cell) in enumerate(groups):
        samples = [getattr(result.tuning, quantity)[core.neurons[is_cell]] for result in results.values()]
        samples.append(units.loc[recorded_name, quantity].to_numpy())
        colors = [*(color_of(name, network) for network in results), "white"]
        for number, (values, color) in enumerate(zip(samples, colors, strict=True)):
            _draw_box(axes, place + width * (number - len(results) / 2), values, width, color)
        one = [by_name[name] for by_name in scores.values()]
        alike = " ".join("-" if np.isnan(s.similarity.value) else f"{s.similarity.value:.2f}".lstrip("0") for s in one)
        ticks.append(f"{name}\n{one[-1].similarity.n[0]} | {one[-1].similarity.n[1]}\nS {alike}")
        if one[-1].flag:
            axes.axvspan(place - 0.5, place + 0.5, color="#eeeeee", zorder=0)
    axes.set_xticks(range(len(groups)), ticks, fontsize=7.5)
    axes.set(xlim=(-0.5, len(groups) - 0.5))
    if quantity.endswith("_Hz"):
        axes.set_yscale("symlog", linthresh=LINEAR_BELOW_HZ)
        axes.set_yticks([0, 0.5, 1, 2, 5, 10, 20, 50, 100], ["0", ".5", "1", "2", "5", "10", "20", "50", "100"])
        axes.set_ylim(-0.05, 130)
    else:
        axes.set_ylim(0, 1)


def _draw_box(axes, place, values, width, color):
    values = values[~np.isnan(values)]
    if len(values):
        axes.boxplot(
            values,
            positions=[place],
            widths=0.85 * width,
            whis=(5, 95),
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": color, "linewidth": 0.7},
            medianprops={"color": RECORDED},
            whiskerprops={"linewidth": 0.7},
            capprops={"linewidth": 0.7},
        )


def _legend(results):
    shown = [Patch(facecolor=color_of("L2/3 Exc", name), edgecolor=RECORDED, label=name) for name in results]
    return [*shown, Patch(facecolor="white", edgecolor=RECORDED, label="Neuropixels")]
