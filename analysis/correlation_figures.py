"""Figures of weight against response correlation: heat maps, profiles, rules by layer, samples of the microscopes."""

import numpy as np
from matplotlib.figure import Figure

from twincortex.analysis.layer_rules import ALL_LAYERS, LAYERS
from twincortex.analysis.response_correlation import correlation_profile
from twincortex.analysis.wiring_figures import EXAMPLE_PAIRS, SIGNIFICANT, color_limit, draw_heat_map
from twincortex.analysis.wiring_rules import cell_type_properties

LABELS = {
    "like": "like-to-like index",
    "anti": "anti index",
    "slope": "slope over the mean weight",
    "orientation": "orientation b/c",
    "direction": "direction a/c",
}
# One look per network, whatever the color of the cells.
STYLES = {"before": ("#9a9a9a", "o"), "after": ("black", "o"), "unconstrained": ("#c67b00", "s")}


def draw_correlation_heat_maps(rules, description, measures=("like", "slope")):
    """Like-to-like measures of every pair of cell types, one column per network.

    Parameters
    ----------
    rules : dict of str -> pandas.DataFrame
        From `response_correlation.correlation_rules`, by network.
    description : str
        For the caption.
    measures : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
        19 x 19, rows presynaptic; a dot where the false discovery rate is below 0.05; gray where there are too few
        connections. Colors end at the 95th percentile of the magnitudes.
    """
    size = 5.7 * len(rules), 5.2 * len(measures)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(measures), len(rules), sharex=True, sharey=True, squeeze=False)
    for row, measure in zip(axes, measures, strict=True):
        limit = color_limit(np.concatenate([table[measure] for table in rules.values()]))
        for axis, (network, table) in zip(row, rules.items(), strict=True):
            image = draw_heat_map(axis, table, measure, f"{measure}_q", limit)
            axis.set_title(f"{LABELS[measure]}, {network}\nn = {table.n.sum():,}", fontsize=10)
        figure.colorbar(image, ax=row[-1], extend="both", shrink=0.8, label="relative to the mean weight")
    for axis in axes[-1]:
        axis.set_xlabel("postsynaptic cell type")
    for axis in axes[:, 0]:
        axis.set_ylabel("presynaptic cell type")
    figure.supxlabel(
        f"{description}. Dots: q < {SIGNIFICANT} against dealt out responses. Positive: like to like.",
        fontsize=9,
    )
    return figure


def draw_correlation_profiles(networks, description, examples=EXAMPLE_PAIRS):
    """Mean weight per bin of response correlation, for chosen pairs of cell types and every network.

    Parameters
    ----------
    networks : dict of str -> (pandas.DataFrame, (N, S) array)
        Connections of `wiring_rules.core_connections` and responses, by network.
    description : str
    examples : sequence of (pre_type, post_type)

    Returns
    -------
    matplotlib.figure.Figure
        Bins with fewer than ten connections are left out.
    """
    figure = Figure(figsize=(3.2 * len(examples), 3.8), layout="constrained")
    axes = figure.subplots(1, len(examples), sharex=True, squeeze=False)[0]
    for axis, (pre_type, post_type) in zip(axes, examples, strict=True):
        counts = []
        for network, (edges, responses) in networks.items():
            chosen = edges[(edges.pre_type == pre_type) & (edges.post_type == post_type)]
            counts.append(f"{len(chosen):,}")
            if len(chosen):
                profile = correlation_profile(chosen, responses).query("n >= 10")
                color, marker = STYLES.get(network, ("#3a6ea5", "^"))
                axis.errorbar(
                    profile.correlation,
                    profile["mean"],
                    profile.standard_error,
                    fmt=marker + "-",
                    color=color,
                    markersize=4,
                    linewidth=1,
                    label=network,
                )
        axis.set_title(
            f"{pre_type} to {post_type}\nn = {' / '.join(counts)}",
            fontsize=10,
            color=cell_type_properties().color[pre_type],
        )
        axis.set(xlabel="response correlation", xlim=(-1, 1), ylim=(0, None))
    axes[0].set_ylabel("magnitude of the weight (pA)")
    axes[0].legend(frameon=False, fontsize=8)
    figure.supxlabel(
        f"{description}. Means and standard errors per bin of 0.1 with 10 connections or more.", fontsize=9
    )
    return figure


def draw_rules_by_layer(tables, description, measures=("slope", "orientation")):
    """Effects onto excitatory cells by presynaptic and postsynaptic layer.

    Parameters
    ----------
    tables : dict of str -> pandas.DataFrame
        From `layer_rules.excitation_by_layer` and `inhibition_by_layer`, by what the panels are called.
    description : str
    measures : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
        Rows presynaptic layer; numbers are effects in percent, with a star where q < 0.05.
    """
    figure = Figure(figsize=(4.2 * len(tables), 3.9 * len(measures)), layout="constrained")
    axes = figure.subplots(len(measures), len(tables), squeeze=False)
    rows, columns = [*LAYERS, ALL_LAYERS], list(LAYERS[1:])
    for line, measure in zip(axes, measures, strict=True):
        of_measure = {name: table[table.measure == measure] for name, table in tables.items()}
        limit = color_limit(np.concatenate([table.effect for table in of_measure.values()]))
        for axis, (name, table) in zip(line, of_measure.items(), strict=True):
            effect, q = (
                table.pivot(index="pre_layer", columns="post_layer", values=column).reindex(index=rows, columns=columns)
                for column in ("effect", "q")
            )
            image = axis.imshow(effect.to_numpy(dtype=float), cmap="RdBu_r", vmin=-limit, vmax=limit)
            _write_percents(axis, effect.to_numpy(dtype=float), q.to_numpy(dtype=float), limit)
            axis.set_xticks(range(len(columns)), columns)
            axis.set_yticks(range(len(rows)), rows)
            axis.set(xlabel="layer of the excitatory target", ylabel="presynaptic layer", facecolor="#e8e8e8")
            n = table[table.pre_layer == ALL_LAYERS].n.sum()
            axis.set_title(f"{LABELS[measure]}, {name}\nn = {n:,}", fontsize=10)
        figure.colorbar(image, ax=line[-1], extend="both", shrink=0.8, label="relative to the mean weight")
    figure.supxlabel(
        f"{description}. Percent; star: false discovery rate < {SIGNIFICANT}. Positive: like to like.", fontsize=9
    )
    return figure


def draw_samples_of_the_microscope(microns, v1dd, description):
    """Effects and p-values of samples as small as those of MICrONS and V1DD, with the values of the microscopes.

    Parameters
    ----------
    microns, v1dd : pandas.DataFrame
        From `em_comparison.compare_with_microns` and `compare_with_v1dd`.
    description : str

    Returns
    -------
    matplotlib.figure.Figure
        Bars: median and 95 % of samples of the model; open circles: electron microscopy, effects with 95 % intervals.
    """
    figure = Figure(figsize=(15, 7), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col")
    orientation = v1dd[v1dd.coefficient == "b/c"]
    panels = (
        (microns, "MICrONS: slope over the mean", "sample_slope", "em_slope"),
        (orientation, "V1DD: orientation b/c", "sample", "em"),
    )
    for (top, bottom), (table, label, sample, em) in zip(axes.T, panels, strict=True):
        names = [f"{row.pre_type[:-4]} to {row.post_type[:-4]}\n{row.n}" for row in table.itertuples()]
        _draw_interval(top, table, sample, "black", "model", -0.12)
        _draw_interval(top, table, em, "#c67b00", "electron microscopy", 0.12)
        top.axhline(0, color="#cccccc", linewidth=0.8, zorder=0)
        top.set_ylabel(label)
        finite = np.abs([table[f"{em}_low"], table[f"{em}_high"]])
        finite = finite[np.isfinite(finite)]
        if len(finite):
            top.set_ylim(-1.1 * finite.max(), 1.1 * finite.max())
        _draw_interval(bottom, table, "sample_log10_p", "black", "model", -0.12)
        bottom.plot(np.arange(len(table)) + 0.12, table.em_log10_p, "o", color="#c67b00", markerfacecolor="white")
        bottom.axhline(np.log10(0.05), color="#999999", linestyle=":", linewidth=1)
        bottom.set_ylabel("log10 p")
        bottom.set_xticks(range(len(names)), names, rotation=60, fontsize=7)
    axes[0, 0].legend(frameon=False, fontsize=8)
    figure.supxlabel(f"{description}. Below each pair: connections in the microscope and in each sample.", fontsize=9)
    return figure


def draw_yardstick(table, description, quantities=("rate_Hz", "OSI", "DSI")):
    """Kolmogorov-Smirnov distances between seeds per cell type, and those of others beside them.

    Parameters
    ----------
    table : pandas.DataFrame
        From `engine_comparison.against_the_yardstick`.
    description : str
    quantities : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    properties = cell_type_properties()
    known = ("cell_type", "quantity", "seeds_median", "seeds_max", "n_pairs", "n")
    others = [name for name in table if name not in known]
    types = [name for name in properties.index if name in set(table.cell_type)]
    n = table.groupby("cell_type").n.max()  # cells with a rate; those without a response have no OSI and DSI
    place = np.arange(len(types))
    figure = Figure(figsize=(5 * len(quantities), 5.2), layout="constrained")
    axes = figure.subplots(1, len(quantities), sharey=True, squeeze=False)[0]
    for axis, quantity in zip(axes, quantities, strict=True):
        chosen = table[table.quantity == quantity].set_index("cell_type").reindex(types)
        axis.barh(place, chosen.seeds_max, color="#e0e0e0", label="seeds, largest")
        axis.barh(place, chosen.seeds_median, color="#9a9a9a", height=0.5, label="seeds, median")
        for name, marker in zip(others, "od^sv", strict=False):
            axis.plot(chosen[name], place, marker, markersize=5, label=name, clip_on=False)
        axis.set(xlabel=f"KS distance of {quantity}", xlim=(0, None))
    axes[0].set_yticks(place, [f"{name} (n = {n[name]})" for name in types], fontsize=8)
    for label, name in zip(axes[0].get_yticklabels(), types, strict=True):
        label.set_color(properties.color[name])
    axes[0].invert_yaxis()
    axes[-1].legend(frameon=False, fontsize=8)
    figure.supxlabel(description, fontsize=9)
    return figure


def _write_percents(axis, effect, q, limit):
    for row, column in np.argwhere(np.isfinite(effect)):
        value = effect[row, column]
        text = f"{100 * value:+.{1 if limit < 0.1 else 0}f}" + ("*" if q[row, column] < SIGNIFICANT else "")
        color = "white" if abs(value) > 0.6 * limit else "black"
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color=color)


def _draw_interval(axis, table, name, color, label, shift):
    place = np.arange(len(table)) + shift
    middle, low, high = (table[f"{name}{part}"] for part in ("", "_low", "_high"))
    face = "white" if name.startswith("em") else color
    axis.vlines(place, low, high, color=color, linewidth=1.2)
    axis.plot(place, middle, "o", color=color, markerfacecolor=face, markersize=5, label=label)
