"""Rasters by layer and Fano curves."""

import numpy as np
from matplotlib.figure import Figure

from twincortex.models.neuropixels import read_fano_curves
from twincortex.models.parameters import read_populations
from twincortex.training.evaluation.palette import RECORDED, network_color, write_caption
from twincortex.training.evaluation.record import describe_fano


def draw_rasters(circuit, core, protocol, results, caption):
    """Spikes of the core in the first trial, from the pia downwards by population and tuning angle.

    Parameters
    ----------
    circuit : Circuit
    core : Core
    protocol : EvaluationProtocol
    results : dict of network -> NetworkResult
    caption : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(8.5 * len(results), 9), layout="constrained")
    cells = core.neurons[np.lexsort((circuit.nodes.tuning_angle[core.neurons], circuit.nodes.type_index[core.neurons]))]
    place = np.full(circuit.n_neurons, -1)
    place[cells] = np.arange(len(cells))
    color = read_populations().color.reindex(circuit.pop_name).to_numpy(dtype=str)
    for axes, (name, result) in zip(figure.subplots(1, len(results), squeeze=False)[0], results.items(), strict=True):
        times, ids = result.responses.raster_times, result.responses.raster_ids
        axes.scatter(times, place[ids], s=1, c=color[ids], linewidths=0, rasterized=True)
        _mark_layers(axes, circuit, cells)
        axes.axvline(protocol.onset_ms, color=RECORDED, linewidth=0.8, linestyle=":")
        axes.set(xlim=(0, protocol.duration_ms), ylim=(len(cells), 0), xlabel="time (ms), grating from the dotted line")
        axes.set_title(f"{name}: {len(times):,} spikes")
    figure.axes[0].set_ylabel("neurons of the core, by layer, population and tuning angle")
    write_caption(figure, f"{caption}\nOne trial: direction 0 deg. Colors: populations.")
    return figure


def _mark_layers(axes, circuit, cells):
    layer = read_populations().layer.reindex(circuit.pop_name[cells]).to_numpy(dtype=str)
    starts = np.flatnonzero(np.r_[True, layer[1:] != layer[:-1]])
    axes.set_yticks((starts + np.r_[starts[1:], len(layer)]) / 2, [f"L{layer[start]}" for start in starts])
    for start in starts[1:]:
        axes.axhline(start, color="#cccccc", linewidth=0.8, zorder=0)


def draw_fano_curves(protocol, results, caption):
    """Fano factor against bin width, of the model and of the recordings.

    Parameters
    ----------
    protocol : EvaluationProtocol
    results : dict of network -> NetworkResult
    caption : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(11, 5), layout="constrained")
    for axes, (condition, (start, stop)) in zip(
        figure.subplots(1, 2, sharey=True), protocol.fano_windows_ms.items(), strict=True
    ):
        for name, result in results.items():
            curve = describe_fano(result.responses, protocol, condition)
            text = f"{name}, mean error {curve['mean_absolute_error']:.2f}, n = {curve['n_pools']} pools"
            axes.plot(curve["bin_ms"], curve["model"], "o-", color=network_color(name), markersize=4, label=text)
        axes.plot(curve["bin_ms"], curve["recorded"], "s-", color=RECORDED, markersize=4, label="Neuropixels")
        _draw_standard_error(axes, condition, stop - start, curve["bin_ms"])
        axes.set(xscale="log", xlabel="bin width (ms)")
        axes.set_title(f"{condition}, window {stop - start:g} ms")
        axes.legend(frameon=False, fontsize=8)
    figure.axes[0].set(ylabel="Fano factor of pools of excitatory cells", ylim=(0, None))
    write_caption(figure, f"{caption}\nBand: standard error over recordings, where they have the same window.")
    return figure


def _draw_standard_error(axes, condition, window_ms, bin_ms):
    recorded = read_fano_curves()
    if window_ms in recorded.index.unique("window_ms"):
        curve = recorded.loc[(window_ms, condition)].loc[: max(bin_ms)]
        low, high = (curve.fano + sign * curve.fano_standard_error for sign in (-1, 1))
        axes.fill_between(curve.index, low, high, color=RECORDED, alpha=0.15, linewidth=0)
