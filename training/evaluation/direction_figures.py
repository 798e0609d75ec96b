"""Tuning curves of cell types and of single cells; measured preferred directions against assigned angles."""

import numpy as np
from matplotlib.figure import Figure

from twincortex.models.observables import preferred_direction
from twincortex.models.parameters import read_populations
from twincortex.models.tuning import circular_distance
from twincortex.training.evaluation.palette import color_of, network_color, type_colors, write_caption

N_SINGLE_CELLS = 12
_FEWEST_CELLS = 5


def draw_tuning_curves(core, protocol, results, caption):
    """Mean tuning curve of the tuned cells of each type, aligned to the preferred direction.

    Half of the trials find the preferred direction, the other half draw the curve: otherwise noise alone has a peak.

    Parameters
    ----------
    core : Core
    protocol : EvaluationProtocol
    results : dict of network -> NetworkResult
    caption : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(16, 11), layout="constrained")
    names = read_populations().cell_type.unique()
    for axes, name in zip(figure.subplots(4, 5).flat, names, strict=False):
        counts = []
        for network, result in results.items():
            cells = core.neurons[core.cell_type == name]
            cells = cells[result.tuning.is_tuned[cells]]
            counts.append(str(len(cells)))
            if len(cells) >= _FEWEST_CELLS:
                _draw_aligned(axes, result.responses.grating_counts[cells], protocol, color_of(name, network))
        axes.set_title(f"{name.replace('_', ' ')}, n = {', '.join(counts)}", fontsize=9)
        axes.set(xticks=[-180, -90, 0, 90, 180], xlim=(-190, 190), ylim=(0, None))
        if not axes.containers:
            axes.set_yticks([])
    for axes in figure.axes[len(names) :]:
        axes.axis("off")
    figure.supylabel("rate (Hz)")
    write_caption(
        figure,
        "direction of the grating minus preferred direction (deg)\n"
        f"{caption}\nMean and standard error over tuned cells (p < 0.05, Hotelling; n = {', '.join(results)}; types "
        f"with fewer than {_FEWEST_CELLS} are left empty); preferred direction from every other trial, curve from the "
        "rest. Pale: untrained.",
    )
    return figure


def _draw_aligned(axes, counts, protocol, color):
    directions = protocol.directions
    rates = counts * (1000 / protocol.grating_ms)
    halves = (rates[:, :, ::2], rates[:, :, 1::2]) if protocol.n_trials > 1 else (rates, rates)
    preferred = preferred_direction(halves[0].mean(axis=2), directions)
    responded = ~np.isnan(preferred)
    curve = halves[1].mean(axis=2)[responded]
    n = protocol.n_directions
    nearest = np.rint(preferred[responded] / (360 / n)).astype(int) % n
    offset = np.arange(n + 1) - n // 2  # from one end of the circle to the same end
    aligned = np.take_along_axis(curve, (nearest[:, None] + offset) % n, axis=1)
    error = aligned.std(axis=0) / np.sqrt(len(aligned))
    axes.errorbar(offset * 360 / n, aligned.mean(axis=0), error, fmt="o-", color=color, markersize=3, linewidth=1.3)


def draw_single_cells(circuit, core, protocol, results, caption):
    """Tuning curves of some tuned cells, the same in every network, chosen at random among those of the last network.

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
    figure = Figure(figsize=(15, 8.5), layout="constrained")
    last = list(results.values())[-1]
    tuned = core.neurons[last.tuning.is_tuned[core.neurons]]
    chosen = np.sort(protocol.random("single_cells").permutation(tuned)[:N_SINGLE_CELLS])
    for axes, cell in zip(figure.subplots(3, 4).flat, chosen, strict=False):
        name = circuit.cell_type[cell]
        for network, result in results.items():
            rates = result.responses.grating_counts[cell] * (1000 / protocol.grating_ms)
            error = rates.std(axis=1) / np.sqrt(protocol.n_trials)
            axes.errorbar(protocol.directions, rates.mean(axis=1), error, fmt="o-", color=color_of(name, network),
                          markersize=3)  # fmt: skip
        axes.axvline(circuit.nodes.tuning_angle[cell], color="#888888", linestyle=":", linewidth=1)
        osi, dsi = last.tuning.OSI[cell], last.tuning.DSI[cell]
        axes.set_title(f"{name.replace('_', ' ')}, id {cell}, OSI {osi:.2f}, DSI {dsi:.2f}", fontsize=9)
        axes.set(xticks=[0, 90, 180, 270, 360], xlim=(-10, 370), ylim=(0, None))
    for axes in figure.axes[len(chosen) :]:
        axes.axis("off")
    figure.supylabel("rate (Hz)")
    write_caption(
        figure,
        f"direction of the grating (deg)\n{caption}\nMean and standard error over {protocol.n_trials} trials; dotted: "
        f"assigned tuning angle. Pale: untrained. n = {len(chosen)} of {len(tuned):,} tuned cells.",
    )
    return figure


def draw_agreement(circuit, core, results, caption):
    """Measured preferred direction against the assigned tuning angle, tuned cells only.

    Parameters
    ----------
    circuit : Circuit
    core : Core
    results : dict of network -> NetworkResult
    caption : str

    Returns
    -------
    matplotlib.figure.Figure
        Excitatory cells by layer, inhibitory cells together; one row per network.
    """
    figure = Figure(figsize=(16, 3.6 * len(results) + 0.8), layout="constrained")
    is_excitatory = np.isin(core.neurons, core.excitatory)
    groups = {f"L{layer} excitatory": is_excitatory & (core.layer == layer) for layer in ("2/3", "4", "5", "6")}
    groups["inhibitory"] = ~is_excitatory
    rows = figure.subplots(len(results), len(groups), sharex=True, sharey=True, squeeze=False)
    for row, (network, result) in zip(rows, results.items(), strict=True):
        for axes, (title, chosen) in zip(row, groups.items(), strict=True):
            cells, types = core.neurons[chosen], core.cell_type[chosen]
            tuned = result.tuning.is_tuned[cells]
            _draw_scatter(axes, circuit, result.tuning, cells[tuned], types[tuned])
            axes.set_title(f"{title}, {axes.get_title()}", fontsize=9)
        row[0].set_ylabel(f"{network}\npreferred direction (deg)", color=network_color(network))
    for axes in rows[-1]:
        axes.set_xlabel("assigned tuning angle (deg)")
    write_caption(
        figure,
        f"{caption}\nTuned cells (p < 0.05, Hotelling). Median distance of directions (90 deg by chance). Lines: "
        "equal, and opposite direction.",
    )
    return figure


def _draw_scatter(axes, circuit, tuning, cells, types):
    assigned, measured = circuit.nodes.tuning_angle[cells] % 360, tuning.preferred_direction[cells]
    colors = [type_colors()[name][0] for name in types]
    for shift, style in ((0, "-"), (180, ":"), (-180, ":")):
        axes.plot([0, 360], [shift, 360 + shift], style, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.scatter(assigned, measured, s=4, c=colors or None, linewidths=0)
    axes.set(xlim=(0, 360), ylim=(0, 360), xticks=[0, 90, 180, 270, 360], yticks=[0, 90, 180, 270, 360])
    distance = circular_distance(assigned, measured)
    axes.set_title(f"n = {len(cells)}, {np.median(distance):.0f} deg" if len(cells) else "n = 0")
