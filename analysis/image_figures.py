"""Figures of natural images: stability, sparsity, decoding, per cell type."""

import numpy as np
from matplotlib.figure import Figure

from twincortex.analysis.captions import write_caption
from twincortex.analysis.wiring_rules import cell_type_properties

DECODERS = {"logistic": "o", "template": "s", "shuffled": "x"}
NOISE = "#9a9a9a"


def draw_stability(counts, table, description):
    """Rates over the images: distribution over neurons, and course over repetitions.

    Parameters
    ----------
    counts : ImageCounts
    table : pandas.DataFrame
        From `stability_table`.
    description : str
        Of the experiment, for the caption.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    colors = cell_type_properties().color
    rate = counts.rate.mean(axis=0)
    names = [name for name in table.cell_type if name != "all"]
    by_repetition = counts.count.mean(axis=0) / counts.window_s
    for place, name in enumerate(names):
        values = np.maximum(rate[counts.cell_type == name], 1e-2)
        left.plot(
            place + 0.25 * np.sin(12.9898 * np.arange(len(values))), values, ".", color=colors[name], markersize=3
        )
        left.plot(place, np.median(values), "_", color="black", markersize=12)
        course = by_repetition[:, counts.cell_type == name].mean(axis=1)
        right.plot(1 + np.arange(len(course)), course, color=colors[name], linewidth=1)
    numbers = table.set_index("cell_type").n
    left.set_xticks(range(len(names)), [f"{name} ({numbers[name]})" for name in names], rotation=90, fontsize=7)
    left.set(yscale="log", ylabel="mean rate over images (Hz)")
    right.set(xlabel="repetition", ylabel="mean rate of the type (Hz)")
    right.xaxis.get_major_locator().set_params(integer=True)
    right.set_ylim(bottom=0)
    write_caption(
        figure,
        f"{description}; {len(counts.image)} images. Dots: neurons (n in brackets; below 0.01 Hz drawn there), bars: "
        "medians. Right: mean over neurons and images, colors as on the left.",
    )
    return figure


def draw_sparsity(table, description):
    """Image selectivity and population sparsity of every cell type, beside those of noise.

    Parameters
    ----------
    table : pandas.DataFrame
        From `image_table`.
    description : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    titles = {
        "lifetime_sparsity": "image selectivity (lifetime sparsity)",
        "population_sparsity": "population sparsity",
    }
    colors = cell_type_properties().color
    for axis, (quantity, title) in zip(axes, titles.items(), strict=True):
        chosen = table[table.quantity == quantity]
        noise = table[table.quantity == f"{quantity}_noise"].set_index("cell_type")["mean"]
        for place, row in enumerate(chosen.itertuples()):
            axis.plot([place, place], [row.low, row.high], color=colors[row.cell_type], linewidth=2)
            axis.plot(place, row.mean, "o", color=colors[row.cell_type])
            if row.cell_type in noise:
                axis.plot(place, noise[row.cell_type], "_", color=NOISE, markersize=12)
        labels = [f"{row.cell_type} ({row.n})" for row in chosen.itertuples()]
        axis.set_xticks(range(len(chosen)), labels, rotation=90, fontsize=7)
        axis.set(title=title, ylim=(0, 1))
    axes[0].set_ylabel("sparsity, 0 to 1")
    write_caption(
        figure,
        f"{description}. Left: n neurons that fired, 95 % intervals over neurons; gray: presentations shuffled within "
        "each neuron (seed 0). Right: n images, 95 % intervals over images.",
    )
    return figure


def draw_decoding(table, description):
    """Decoding accuracy of every cell type against the number of cells.

    Parameters
    ----------
    table : pandas.DataFrame
        From `decode_images`.
    description : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    sizes = sorted(table.n_cells.unique())
    figure = Figure(figsize=(4.5 * len(sizes), 4.5), layout="constrained")
    axes = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    names = [name for name in cell_type_properties().index if name in set(table.cell_type)]
    for axis, size in zip(axes, sizes, strict=True):
        for decoder, marker in DECODERS.items():
            chosen = table[(table.n_cells == size) & (table.decoder == decoder)]
            for row in chosen.itertuples():
                place = names.index(row.cell_type) + 0.2 * (list(DECODERS).index(decoder) - 1)
                color = NOISE if decoder == "shuffled" else cell_type_properties().color[row.cell_type]
                axis.plot([place, place], [row.low, row.high], color=color, linewidth=1)
                axis.plot(place, row.accuracy, marker, color=color, markersize=4)
        axis.axhline(table.chance.iloc[0], color="black", linewidth=0.8, linestyle=":")
        axis.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axis.set(title=f"{size} cells", ylim=(0, 1.02))
    for decoder, marker in DECODERS.items():
        axes[0].plot([], [], marker, color="black", label=decoder)
    axes[0].set_ylabel("images named rightly (share)")
    axes[0].legend(frameon=False, fontsize=8)
    n_images = round(1 / table.chance.iloc[0])
    write_caption(
        figure,
        f"{description}. Cross-validation over repetitions; dotted: chance, 1 of {n_images} images. "
        "Bars: 2.5 to 97.5 % of draws of cells (seed 0), so short where a type has few to draw from; types with fewer "
        "cells are left out.",
    )
    return figure
