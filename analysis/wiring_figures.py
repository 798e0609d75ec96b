"""Figures of the wiring rules: heat maps of effect sizes, profiles over the direction difference, weight histograms."""

import numpy as np
from matplotlib.figure import Figure

from twincortex.analysis.direction_rule import binned_mean, fit_direction_rule
from twincortex.analysis.wiring_rules import cell_type_properties

EXAMPLE_PAIRS = (
    ("L2/3_Exc", "L2/3_Exc"),
    ("L4_Exc", "L2/3_Exc"),
    ("L2/3_PV", "L2/3_Exc"),
    ("L5_PV", "L5_ET"),
    ("L6_PV", "L6_Exc"),
)
SIGNIFICANT = 0.05
MAX_DOTS = 3000
BEFORE = "#9a9a9a"
EFFECTS = {"b": "orientation b/c", "a": "direction a/c"}
TITLES = {"before": "before training", "after": "after training", "change": "change of the weight"}


def draw_effect_heat_maps(rules, description):
    """Effect sizes of every pair of cell types: orientation and direction, before, after and change.

    Parameters
    ----------
    rules : pandas.DataFrame
        From `wiring_rules`.
    description : str
        Of the run, for the caption.

    Returns
    -------
    matplotlib.figure.Figure
        19 x 19, rows presynaptic; a dot where the false discovery rate is below 0.05; gray where there are too few
        connections. Colors end at the 95th percentile of the magnitudes.
    """
    figure = Figure(figsize=(17, 10.5), layout="constrained")
    axes = figure.subplots(len(EFFECTS), len(TITLES), sharex=True, sharey=True)
    for row, (name, label) in enumerate(EFFECTS.items()):
        for columns in (["before", "after"], ["change"]):
            limit = color_limit(rules.loc[rules.when.isin(columns), f"{name}_over_c"])
            places = [list(TITLES).index(when) for when in columns]
            for place, when in zip(places, columns, strict=True):
                of_stage = rules[rules.when == when]
                image = draw_heat_map(axes[row, place], of_stage, f"{name}_over_c", f"{name}_q", limit)
                axes[row, place].set_title(f"{label}, {TITLES[when]}")
            unit = "share of the mean weight" if columns != ["change"] else "share of the weight before"
            figure.colorbar(image, ax=axes[row, places[-1]], extend="both", shrink=0.8, label=unit)
    for axis in axes[-1]:
        axis.set_xlabel("postsynaptic cell type")
    for axis in axes[:, 0]:
        axis.set_ylabel("presynaptic cell type")
    n = rules.n[rules.when == "before"]
    figure.supxlabel(
        f"{description}. {n.sum():,} connections of {len(n)} pairs of types with n >= {n.min()}. "
        f"Dots: false discovery rate < {SIGNIFICANT} (t-test). Positive: like to like.",
        fontsize=9,
    )
    return figure


def draw_direction_profiles(pairs, description, examples=EXAMPLE_PAIRS):
    """Weight and its change against the difference of preferred directions, for chosen pairs of cell types.

    Parameters
    ----------
    pairs : pandas.DataFrame
        From `pair_table`.
    description : str
        Of the run, for the caption.
    examples : sequence of (pre_type, post_type)

    Returns
    -------
    matplotlib.figure.Figure
        Above: connections after training, mean weight per bin before and after with standard errors, fits. Below: mean
        relative change.
    """
    figure = Figure(figsize=(3.4 * len(examples), 7), layout="constrained")
    axes = figure.subplots(2, len(examples), sharex=True, squeeze=False)
    for (top, bottom), (pre_type, post_type) in zip(axes.T, examples, strict=True):
        chosen = pairs[(pairs.pre_type == pre_type) & (pairs.post_type == post_type)]
        color, bright = cell_type_properties().loc[pre_type, ["color", "color_bright"]]
        top.set_title(f"{pre_type} to {post_type}\nn = {len(chosen):,}", fontsize=10)
        bottom.set(xlabel="direction difference (deg)", xlim=(0, 180), xticks=[0, 45, 90, 135, 180])
        if len(chosen) > 3:
            _draw_strengths(top, chosen, color, bright)
            _draw_change(bottom, chosen, color)
    axes[0, 0].set_ylabel("magnitude of the weight (pA)")
    axes[1, 0].set_ylabel("relative change of the weight (%)")
    axes[0, 0].plot([], [], "o-", color=BEFORE, markersize=4, label="before")
    axes[0, 0].plot([], [], "o-", color="black", markersize=4, label="after (in color)")
    axes[0, 0].legend(frameon=False, fontsize=8, loc="upper right")
    figure.supxlabel(
        f"{description}. Means and standard errors per bin, fits a cos d + b cos 2d + c; small dots: at most "
        f"{MAX_DOTS:,} connections after training, up to the 98th percentile.",
        fontsize=9,
    )
    return figure


def draw_weight_histograms(pairs, description):
    """Distribution of log weight before and after training, by class of the presynaptic cell.

    Parameters
    ----------
    pairs : pandas.DataFrame
        From `pair_table`.
    description : str
        Of the run, for the caption.

    Returns
    -------
    matplotlib.figure.Figure
    """
    properties = cell_type_properties()
    presynaptic_class = pairs.pre_type.map(properties.synapse_class).astype(str)
    # Layer 1 cells are of class vip too, but not of its color.
    classes = properties[properties.layer != "1"].drop_duplicates("synapse_class").set_index("synapse_class")
    logarithm = {when: np.log10(pairs[f"weight_{when}_pA"].abs().to_numpy()) for when in ("before", "after")}
    bins = np.histogram_bin_edges(np.concatenate(list(logarithm.values())), 60)
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    axes = figure.subplots(3, 3, sharex=True)
    for axis, (name, color) in zip(axes.flat, classes.color.items(), strict=True):
        chosen = (presynaptic_class == name).to_numpy()
        log_before, log_after = (values[chosen] for values in logarithm.values())
        axis.hist(log_after, bins, color=color, alpha=0.6, label="after")
        axis.hist(log_before, bins, histtype="step", color="black", linewidth=1, label="before")
        ratio = 10 ** (log_after - log_before).mean() if chosen.any() else np.nan
        axis.set_title(f"from {name}, n = {chosen.sum():,}\ngeometric mean x {ratio:.3f}", fontsize=9)
    for axis in axes[:, 0]:
        axis.set_ylabel("connections")
    for axis in axes[-1]:
        axis.set_xlabel("log10 of the magnitude of the weight (pA)")
    axes[0, 0].legend(frameon=False, fontsize=8)
    figure.supxlabel(f"{description}. Classes of presynaptic cells (vip with layer 1).", fontsize=9)
    return figure


def color_limit(values):
    """95th percentile of the magnitudes that are finite."""
    finite = np.abs(values[np.isfinite(values)])
    return max(np.quantile(finite, 0.95), 1e-6) if len(finite) else 1.0


def draw_heat_map(axis, rules, effect, q, limit):
    """Draw an effect for every pair of cell types, rows presynaptic, with a dot where q is below 0.05.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    rules : pandas.DataFrame
        One row per pair of types, with pre_type and post_type.
    effect, q : str
        Columns.
    limit : float
        Where the colors end.

    Returns
    -------
    matplotlib.image.AxesImage
    """
    properties = cell_type_properties()
    types = list(properties.index)
    table = rules.pivot(index="pre_type", columns="post_type", values=[effect, q])
    values, rates = (table[column].reindex(index=types, columns=types) for column in (effect, q))
    axis.set_facecolor("#e8e8e8")
    image = axis.imshow(values.to_numpy(dtype=float), cmap="RdBu_r", vmin=-limit, vmax=limit)
    rows, columns = np.nonzero(rates.to_numpy(dtype=float) < SIGNIFICANT)
    axis.plot(columns, rows, "k.", markersize=3)
    axis.set_xticks(range(len(types)), types, rotation=90, fontsize=7)
    axis.set_yticks(range(len(types)), types, fontsize=7)
    for label in (*axis.get_xticklabels(), *axis.get_yticklabels()):
        label.set_color(properties.color[label.get_text()])
    return image


def _draw_strengths(axis, chosen, color, bright):
    dots = chosen.iloc[:: max(1, -(-len(chosen) // MAX_DOTS))]
    axis.plot(dots.delta_deg, dots.weight_after_pA.abs(), ".", color=bright, markersize=2, rasterized=True)
    grid = np.linspace(0, 180, 91)
    for when, line_color in (("before", BEFORE), ("after", color)):
        strength = chosen[f"weight_{when}_pA"].abs()
        _draw_means(axis, binned_mean(chosen.delta_deg, strength), line_color)
        fit = fit_direction_rule(chosen.delta_deg, strength).iloc[0]
        curve = fit.a * np.cos(np.radians(grid)) + fit.b * np.cos(np.radians(2 * grid)) + fit.c
        axis.plot(grid, curve, color=line_color, linewidth=1.5)
    axis.set_ylim(0, np.quantile(chosen.weight_after_pA.abs(), 0.98))


def _draw_change(axis, chosen, color):
    axis.axhline(0, color="#cccccc", linewidth=0.8, zorder=0)
    _draw_means(axis, binned_mean(chosen.delta_deg, 100 * chosen.relative_change), color)


def _draw_means(axis, profile, color):
    axis.errorbar(
        profile.delta_deg, profile["mean"], profile.standard_error, fmt="o", color=color, markersize=4, linewidth=1
    )
