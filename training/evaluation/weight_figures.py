"""Distributions of recurrent weights before and after training, with their lognormal fits."""

import numpy as np
from matplotlib.figure import Figure

from twincortex.models.parameters import read_populations
from twincortex.models.similarity import similarity
from twincortex.training.evaluation.palette import AFTER, BEFORE, RECORDED, write_caption
from twincortex.training.evaluation.synaptic_weights import RECURRENT, fit_lognormal

CLASSES = ("excitatory", "PV", "SST", "VIP")
_BINS = 70
_TAIL = 1e-4  # of the weights beyond either end of the axis


def draw_weight_distributions(before, after, caption):
    """Histograms of the magnitudes on a logarithmic axis, one panel per pair of cell classes.

    Parameters
    ----------
    before, after : Circuit
    caption : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(15, 11), layout="constrained")
    panels = figure.subplots(len(CLASSES), len(CLASSES), sharex=True)
    class_of = _class_of_neurons(before)
    edges = before.projections[RECURRENT]
    pair = np.repeat(class_of * len(CLASSES), np.diff(edges.indptr)) + class_of[edges.posts(before.n_receptors)]
    magnitudes = [np.abs(circuit.projections[RECURRENT].weight) for circuit in (before, after)]
    positive = np.concatenate([values[values > 0] for values in magnitudes])
    bins = np.geomspace(*np.quantile(positive, [_TAIL, 1 - _TAIL]), _BINS)
    for number, axes in enumerate(panels.flat):
        chosen = pair == number
        _draw_panel(axes, *(values[chosen] for values in magnitudes), bins)
        pre, post = divmod(number, len(CLASSES))
        axes.set_title(f"{CLASSES[pre]} to {CLASSES[post]}, {axes.get_title()}", fontsize=9)
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.supylabel("share of connections per unit of ln(weight)")
    write_caption(
        figure,
        f"magnitude of the weight (pA)\n{caption}\nLines: lognormal fits, dashed before and full after. S = similarity "
        "of after and before. VIP includes layer 1.",
    )
    return figure


def _class_of_neurons(circuit):
    """Index into CLASSES, (N,) int8."""
    populations = read_populations()
    names = {"pv": "PV", "sst": "SST", "vip": "VIP"}
    of_population = {
        name: CLASSES.index(names.get(row.synapse_class, "excitatory")) for name, row in populations.iterrows()
    }
    return np.array([of_population[name] for name in circuit.pop_name], dtype=np.int8)


def _draw_panel(axes, before, after, bins):
    axes.set(xscale="log", xlim=(bins[0], bins[-1]), yticks=[])
    axes.set_title(f"n = {len(before):,}")
    if not len(before):
        return
    centre, width = np.sqrt(bins[1:] * bins[:-1]), np.diff(np.log(bins))
    for values, color, style, name in ((before, BEFORE, "--", "before"), (after, AFTER, "-", "after")):
        height = np.histogram(values, bins)[0] / len(values) / width
        axes.stairs(height, bins, color=color, fill=True, alpha=0.45, label=name)
        fit = fit_lognormal(values.astype(float))
        if np.isfinite(fit.mu):
            bell = np.exp(-(((np.log(centre) - fit.mu) / fit.sigma) ** 2) / 2) / (fit.sigma * np.sqrt(2 * np.pi))
            axes.plot(centre, bell, style, color=RECORDED if style == "--" else color, linewidth=1)
    axes.set_title(f"n = {len(before):,}, S = {similarity(after, before).value:.3f}")
