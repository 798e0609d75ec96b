"""Figure of a column against the published rules: twelve panels, the deviation below where there is one."""

import numpy as np
import scipy.stats
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from oracles.deviations import SMALLEST_EXPECTATION
from oracles.published_inputs import LARGEST_MULTIPLICITY, count_multiplicities, yule_simon_probabilities
from oracles.published_probability import read_cells
from oracles.published_weights import LOG_PSP_BINS
from oracles.published_wiring import CLASS_PAIRS, DIRECTION_BIN_DEG, DISTANCE_BIN_UM, by_size, deviations_of

from twincortex.models.parameters import read_populations

COLORS = {"e": "#C93C3C", "i": "#2B5C8A"}  # presynaptic class
PSP_EXAMPLES = (("e23", "L2/3_Exc"), ("pv", "L4_Exc"), ("sst", "L6_Exc"), ("vip", "L2/3_Exc"))
YULE_EXAMPLES = ("e23Cux2", "i4Pvalb", "e5IT", "i5Sst")
LGN_COLORS = {"connections": "#3A8A5C", "synapses": "#7A5BA6"}
LAYOUT = [[*"zdoa"], [*"zDOA"], [*"spmh"], [*"Spmh"], [*"lyib"], [*"LyiB"]]


def draw_column_statistics(circuit, check, psps, psp_shares, populations, sampler):
    """Draw what column_statistics.py found.

    Parameters
    ----------
    circuit : Circuit
    check : RecurrentCheck
    psps : pandas.DataFrame
    psp_shares : (n_rows, n_bins) array
    populations, sampler : pandas.DataFrame

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(22, 16), layout="constrained")
    axes = figure.subplot_mosaic(LAYOUT, height_ratios=[3, 1.2] * 3)
    _draw_z(axes["z"], deviations_of(check, read_cells(circuit)))
    _draw_profiles(axes, check)
    _draw_sizes(axes["s"], axes["S"], circuit, check)
    _draw_psps(axes["p"], axes["m"], axes["h"], psps, psp_shares)
    _draw_lgn(axes["l"], axes["L"], populations)
    _draw_multiplicities(axes["y"], count_multiplicities(circuit), populations)
    _draw_sampler(axes["i"], sampler)
    provenance, projections = circuit.provenance, circuit.projections
    figure.suptitle(
        f"Column {provenance['size']}, seed {provenance['seed']}: {circuit.n_neurons:,} neurons, "
        f"{check.observed.by_type[..., 0].sum():,.0f} recurrent connections onto {len(check.targets):,} of them, "
        f"{projections['lgn_to_v1'].n_edges:,} LGN connections. Dots: the circuit; lines: the published rule on the "
        "same neurons; below: deviation in standard deviations.",
        fontsize=13,
    )
    return figure


def _draw_z(axis, deviations):
    z, edges = np.linspace(-5, 5, 201), np.linspace(-5, 5, 41)
    axis.plot(z, scipy.stats.norm.pdf(z), color="black", linewidth=1, label="normal")
    for name, color in (("pairs of cell types", "#C98A1B"), ("in-degree", "#3A8A5C"), ("out-degree", "#7A5BA6")):
        values = deviations[name].z
        label = f"{name}, n = {len(values):,}, rms {np.sqrt(np.mean(values**2)):.3f}"
        axis.hist(values, edges, density=True, histtype="step", color=color, linewidth=1.5, label=label)
    axis.set(title="Deviations of counts", xlabel="z", ylabel="density", ylim=(0, 0.62), xlim=(-5, 5))
    axis.legend(frameon=False, fontsize=9, loc="upper center")


def _draw_profiles(axes, check):
    observed, expected = check.observed, check.expected
    distance, direction = (np.arange(tally.shape[1]) + 0.5 for tally in (expected.by_distance, expected.by_direction))
    offset = np.arange(expected.along.shape[2]) + 0.5 - expected.along.shape[2] // 2
    relative = 1 / expected.by_direction[..., 0].mean(axis=1)
    kilo, counts = np.full(4, 1e-3), f"connections per {DISTANCE_BIN_UM:g} um (thousands)"
    _draw_profile(axes["d"], axes["D"], distance * DISTANCE_BIN_UM, observed.by_distance, expected.by_distance, kilo)
    axes["d"].set(title="Lateral distance", ylabel=counts)
    axes["d"].legend(frameon=False, title="pre to post")
    axes["D"].set_xlabel("lateral distance (um)")
    _draw_profile(
        axes["o"], axes["O"], direction * DIRECTION_BIN_DEG, observed.by_direction, expected.by_direction, relative
    )
    axes["o"].set(title="Difference of tuning", ylabel="connections relative to the mean")
    axes["O"].set(xlabel="difference of tuning angles (deg)", xticks=np.arange(0, 181, 45))
    for number, letters, title in ((0, "aA", "inner targets"), (1, "bB", "outer targets, not displaced")):
        top, bottom = (axes[letter] for letter in letters)
        _draw_profile(top, bottom, offset * DISTANCE_BIN_UM, observed.along[number], expected.along[number], kilo)
        top.set(title=f"Offset along the axis: {title}", ylabel=counts)
        top.axvline(0, color="0.8", linewidth=0.8, zorder=0)
        bottom.set_xlabel("source minus target, along the tuning axis of the target (um)")


def _draw_profile(top, bottom, x, observed, expected, scale):
    """Counts of each pair of classes, (4, n, 2) arrays, times a scale (4,) above; z below."""
    for pair, counts, (mean, variance), factor in zip(
        CLASS_PAIRS, observed[..., 0], np.moveaxis(expected, -1, 1), scale, strict=True
    ):
        color, onto_inhibitory = COLORS[pair[0]], pair[1] == "i"
        dots = {"marker": "o", "markersize": 4, "linestyle": "", "color": color}
        dots |= {"markerfacecolor": "white" if onto_inhibitory else color}
        top.plot(x, factor * mean, "--" if onto_inhibitory else "-", color=color, linewidth=1)
        top.plot(x, factor * counts, **dots, label=" to ".join(pair.upper()))
        enough = mean >= SMALLEST_EXPECTATION
        bottom.plot(x[enough], ((counts - mean)[enough] / np.sqrt(variance[enough])), **dots)
    _below(top, bottom)


def _below(top, bottom):
    """Lay out an axis of z below another."""
    top.sharex(bottom)
    top.tick_params(labelbottom=False)
    bottom.axhline(0, color="black", linewidth=0.8)
    bottom.set(ylabel="z", ylim=(-4.5, 4.5), yticks=[-4, 0, 4])
    bottom.grid(axis="y", color="0.85")


def _draw_sizes(top, bottom, circuit, check):
    observed, expected = (by_size(tally, read_cells(circuit), check.targets) for tally in check[:2])
    for number, name in enumerate("ei"):
        mean, variance, at_mean_size = expected[number][expected[number, :, 0] >= SMALLEST_EXPECTATION].T
        counts = observed[number, expected[number, :, 0] >= SMALLEST_EXPECTATION, 0]
        dots = {"marker": "o", "linestyle": "", "color": COLORS[name], "markersize": 5}
        size = mean / at_mean_size
        top.plot(size, counts / at_mean_size, **dots, label=f"{name.upper()} targets")
        bottom.plot(size, (counts - mean) / np.sqrt(variance), **dots)
    top.axline((1, 1), (2, 2), color="black", linewidth=0.8, zorder=0)
    top.set(title="In-degree against the size of the target", yscale="log", xscale="log")
    top.set_ylabel("in-degree, relative to a target of mean size")
    top.legend(frameon=False)
    bottom.set(xlabel="synapses onto the target, relative to the mean of its population", xscale="log")
    _below(top, bottom)
    for axis in (top.yaxis, bottom.xaxis):
        axis.set_ticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
        axis.set_minor_locator(NullLocator())


def _draw_psps(examples, scales, shapes, psps, shares):
    colors = read_populations().query("layer != '1'").drop_duplicates("synapse_class").set_index("synapse_class").color
    center = np.exp((LOG_PSP_BINS[1:] + LOG_PSP_BINS[:-1]) / 2)
    width = np.diff(LOG_PSP_BINS)
    for kind in PSP_EXAMPLES:
        row, share = psps.loc[kind], shares[psps.index.get_loc(kind)]
        law = scipy.stats.norm.pdf(np.log(center / row.scale_published_mV) / row.shape_expected) / row.shape_expected
        examples.plot(center, law, color=colors[kind[0]], linewidth=1)
        label = f"{kind[0]} to {kind[1]}, n = {row.n:,.0f}"
        examples.plot(center, share / width, "o", color=colors[kind[0]], markersize=3.5, label=label)
    examples.set(title="PSPs, connections weighted by 1 / size of the target", xlabel="PSP (mV)", xscale="log")
    examples.set(ylabel="density of the logarithm", xlim=(0.02, 8), ylim=(0, 1.25))
    examples.legend(frameon=False)
    for axis, name, published, label in (
        (scales, "scale", "scale_published_mV", "published scale (mV)"),
        (shapes, "shape", "shape_expected", "published shape (that of the sizes, where larger)"),
    ):
        kept = psps[psps.scale_z.notna()]
        value = kept["scale_mV" if name == "scale" else "shape"]
        error = kept[f"{name}_error"] * (value if name == "scale" else 1)
        axis.axline((value.min(), value.min()), (value.max(), value.max()), color="black", linewidth=0.8, zorder=0)
        for synapse_class, rows in kept.groupby("pre_class"):
            style = {"fmt": "o", "markersize": 4, "linewidth": 0.8, "color": colors[synapse_class]}
            axis.errorbar(rows[published], value[rows.index], 4 * error[rows.index], label=synapse_class, **style)
        axis.set(xlabel=label, ylabel=f"{name} in the circuit, 4 standard errors")
        axis.set_title(f"{name.capitalize()} of the PSP lognormals, {len(kept)} kinds of connection")
    ticks = [0.3, 0.5, 1.0, 2.0]
    scales.set(xscale="log", yscale="log", xticks=ticks, yticks=ticks, xticklabels=ticks, yticklabels=ticks)
    scales.minorticks_off()
    scales.legend(frameon=False, title="presynaptic class", ncols=2)


def _draw_lgn(top, bottom, populations):
    x = np.arange(len(populations))
    for what, color in LGN_COLORS.items():
        published, error = populations[f"{what}_published"], populations[f"{what}_error"]
        top.plot(x, published, "_", color=color, markersize=16, markeredgewidth=1.5)
        value = populations[what] + populations.missing * (populations[what] / populations.connections)
        top.errorbar(x, value, 4 * error, fmt="o", color=color, markersize=4, linewidth=1, label=what)
        bottom.plot(x, populations[f"{what}_z"], "o", color=color, markersize=4)
    n_short, missing = populations.n_short.sum(), populations.missing["i4Pvalb"]
    top.set(title="LGN inputs per cell (bars: published; 4 standard errors)", yscale="log", ylabel="per cell")
    top.legend(frameon=False, title=f"{n_short} i4Pvalb cells lack units;\nthe {missing:.0f} missing per cell added")
    _below(top, bottom)
    bottom.set_xticks(x, populations.index, rotation=90)


def _draw_multiplicities(axis, counts, populations):
    k = np.arange(1, LARGEST_MULTIPLICITY)
    for name in YULE_EXAMPLES:
        rho, color = read_populations().lgn_yule_parameter[name], read_populations().color[name]
        n = counts.loc[name].sum()
        axis.plot(k, yule_simon_probabilities(rho)[:-1], color=color, linewidth=1)
        label = f"{name}, rho = {rho:g}, n = {n:,}, p = {populations.multiplicity_p[name]:.2f}"
        axis.plot(k, counts.loc[name, : LARGEST_MULTIPLICITY - 1] / n, "o", color=color, markersize=4, label=label)
    axis.set(title="Synapses per LGN connection: Yule-Simon", xlabel="synapses", ylabel="share of connections")
    axis.set(yscale="log", xticks=k[::2])
    axis.legend(frameon=False)


def _draw_sampler(axis, sampler):
    y = np.arange(len(sampler))[::-1]
    axis.plot(sampler.z, y, "o", color=LGN_COLORS["connections"], markersize=5)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(y, sampler.index, fontsize=8)
    axis.set_title(f"LGN units of {sampler.n_cells.max():,} cells against an independent sampler")
    axis.set(xlim=(-4.5, 4.5), xlabel="z of the difference")
    axis.grid(axis="x", color="0.85")
