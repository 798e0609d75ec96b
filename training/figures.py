"""The pictures of a run: loss, raster and rates per cell type beside the recordings."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from twincortex.models.neuropixels import read_neuropixels_summary, sample_quantiles
from twincortex.models.parameters import read_populations
from twincortex.training.held_out import evoked_rates, spontaneous_rates
from twincortex.training.loss_parts import losses_by_objective

CAPTION = (
    "A held-out trial before and after training, neurons from the pia downwards, one dot per spike; the loss of every "
    "step; rates of every cell type in the held-out trials before and after training beside those of recordings "
    "(n: model cells | recorded units)."
)
QUARTILES = (0.25, 0.5, 0.75)
BEFORE, AFTER, RECORDED = "#9a9a9a", "#1f5fbf", "#222222"


def draw_training(metrics, before, after, gray_ms, circuit, path):
    """Draw the figure of a run and save it as PNG.

    Parameters
    ----------
    metrics : list of dict
        One per update, as from Trainer.update.
    before, after : list of Recording
        The held-out trials with the first and the last weights.
    gray_ms : float [ms]
        Gray before the grating.
    circuit : Circuit
    path : str or Path
    """
    figure = Figure(figsize=(15, 11), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    left, middle, right = top.subplots(1, 3, width_ratios=[1, 1, 0.8])
    _draw_raster(left, before[0], gray_ms, circuit, "before training")
    _draw_raster(middle, after[0], gray_ms, circuit, "after training")
    _draw_loss(right, metrics)
    evoked, spontaneous = bottom.subplots(2, 1, sharex=True)
    _draw_rates(evoked, before, after, circuit, gray_ms, "evoked")
    _draw_rates(spontaneous, before, after, circuit, gray_ms, "spontaneous")
    spontaneous.tick_params(axis="x", rotation=40)
    figure.savefig(path, dpi=110, metadata={"Description": CAPTION})


def _draw_raster(axes, recording, gray_ms, circuit, title):
    """Neurons from the pia downwards by population, one dot per spike, coloured by population."""
    populations = read_populations()
    order = np.lexsort((circuit.nodes.tuning_angle, circuit.nodes.type_index))
    place = np.empty(circuit.n_neurons, dtype=int)
    place[order] = np.arange(circuit.n_neurons)
    color = populations.color.reindex(circuit.pop_name).to_numpy(dtype=str)
    spikes = recording.spikes
    axes.scatter(spikes.times, place[spikes.node_ids], s=1.5, c=color[spikes.node_ids], linewidths=0, rasterized=True)
    layer = populations.layer.reindex(circuit.pop_name).to_numpy(dtype=str)[order]
    starts = np.flatnonzero(np.r_[True, layer[1:] != layer[:-1]])
    axes.set_yticks((starts + np.r_[starts[1:], len(layer)]) / 2, [f"L{layer[start]}" for start in starts])
    for start in starts[1:]:
        axes.axhline(start, color="#dddddd", linewidth=0.8, zorder=0)
    axes.axvline(gray_ms, color=RECORDED, linewidth=0.8, linestyle=":")
    axes.set(
        xlim=(0, recording.duration), ylim=(circuit.n_neurons, 0), xlabel="time (ms), grating from the dotted line"
    )
    axes.set_title(f"{title} (held-out trial, {recording.engine})")


def _draw_loss(axes, metrics):
    table = pd.DataFrame(metrics, columns=None if metrics else ["step", "loss"])
    axes.plot(table.step, table.loss, color=AFTER, linewidth=2, label="total")
    for name, shares in losses_by_objective(table).items():
        axes.plot(table.step, sum(shares.values()), linewidth=1, label=name.replace("_", " "))
    axes.set(xlabel="step", ylabel="loss (evoked + spontaneous)", ylim=(0, None), title="loss")
    axes.legend(frameon=False, fontsize=8)


def _draw_rates(axes, before, after, circuit, gray_ms, condition):
    """Median and quartiles over the cells of each type: before, after, Neuropixels."""
    populations = read_populations()
    recorded_name = populations.neuropixels_type.reindex(circuit.pop_name).to_numpy(dtype=str)
    names = list(dict.fromkeys(populations.neuropixels_type))
    quantity, summary = f"{condition}_rate_Hz", read_neuropixels_summary()
    rates_of = evoked_rates if condition == "evoked" else spontaneous_rates
    for number, name in enumerate(names):
        cells = recorded_name == name
        for offset, recordings, color in ((-0.25, before, BEFORE), (0.0, after, AFTER)):
            rates = rates_of(recordings, gray_ms)[cells]
            _draw_quartiles(axes, number + offset, np.quantile(rates, QUARTILES), rates.mean(), color)
        mean = summary["mean"][name, quantity]
        _draw_quartiles(axes, number + 0.25, sample_quantiles(quantity, name, QUARTILES), mean, RECORDED)
    counts = [f"{name}\nn={np.sum(recorded_name == name)}|{summary.n_units[name, quantity]}" for name in names]
    axes.set_xticks(range(len(names)), counts, fontsize=8)
    axes.set(ylabel=f"{condition} rate (Hz)", ylim=(0, None), xlim=(-0.6, len(names) - 0.4))
    for color, label in ((BEFORE, "before"), (AFTER, "after"), (RECORDED, "Neuropixels")):
        axes.plot([], [], color=color, marker="o", label=label)
    axes.legend(
        frameon=False,
        ncols=3,
        loc="upper left",
        fontsize=8,
        title="bar: quartiles, dot: median, dash: mean",
        title_fontsize=7,
    )


def _draw_quartiles(axes, place, quartiles, mean, color):
    axes.plot([place, place], quartiles[[0, 2]], color=color, linewidth=5, alpha=0.5, solid_capstyle="butt")
    axes.plot(place, quartiles[1], "o", color=color, markersize=4)
    axes.plot([place - 0.1, place + 0.1], [mean, mean], color=color, linewidth=1.5)
