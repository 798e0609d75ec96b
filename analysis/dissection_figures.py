"""Figures of silencing: heat map of changes, change of selectivity."""

import numpy as np
from matplotlib.figure import Figure

from twincortex.analysis.captions import write_caption
from twincortex.analysis.wiring_rules import cell_type_properties

LIMIT_PERCENT = 100.0
DARK_PERCENT = 65.0  # from here on numbers are white


def draw_change_heat_map(changes, description):
    """Percent change of every cell type when a cohort is silenced.

    Parameters
    ----------
    changes : pandas.DataFrame
        From `percent_changes`.
    description : str
        Of the experiment, for the caption.

    Returns
    -------
    matplotlib.figure.Figure
        Rows cohorts, columns cell types; colors end at +-100 %, numbers go on; in brackets where the interval encloses
        0.
    """
    types = [name for name in cell_type_properties().index if name in set(changes.cell_type)]
    cohorts = list(dict.fromkeys(changes.cohort))
    table = changes.pivot(index="cohort", columns="cell_type", values="percent_change").reindex(
        index=cohorts, columns=types
    )
    effect = changes.pivot(index="cohort", columns="cell_type", values="effect").reindex(index=cohorts, columns=types)
    figure = Figure(figsize=(2.5 + 0.62 * len(types), 3.2 + 0.42 * len(cohorts)), layout="constrained")
    axis = figure.subplots()
    axis.set_facecolor("#e8e8e8")
    image = axis.imshow(
        table.to_numpy(dtype=float), cmap="RdBu_r", vmin=-LIMIT_PERCENT, vmax=LIMIT_PERCENT, aspect="auto"
    )
    for row, column in np.argwhere(table.notna().to_numpy()):
        value = table.iloc[row, column]
        text = f"{value:+.0f}" if effect.iloc[row, column] != "none" else f"({value:+.0f})"
        color = "white" if abs(value) > DARK_PERCENT else "black"
        axis.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    axis.set_xticks(range(len(types)), types, rotation=90, fontsize=8)
    for label in axis.get_xticklabels():
        label.set_color(cell_type_properties().color[label.get_text()])
    silenced = changes.drop_duplicates("cohort").set_index("cohort").n_silenced
    axis.set_yticks(range(len(cohorts)), [f"{name} ({silenced[name]})" for name in cohorts], fontsize=8)
    axis.set(xlabel="cell type (cells that were not silenced)", ylabel="silenced cohort (n)")
    figure.colorbar(image, ax=axis, extend="both", label="change of the mean rate (%)")
    write_caption(
        figure,
        f"{description}; {changes.n_inputs.iloc[0]} inputs, each shown with and without. In brackets: the 95 % "
        "interval over neurons and inputs encloses 0. Gray: no cell, or silent before.",
    )
    return figure


def draw_selectivity_changes(changes, description, quantity="OSI"):
    """Change of selectivity of every cell type when a cohort is silenced.

    Parameters
    ----------
    changes : pandas.DataFrame
        From `selectivity_changes`.
    description : str
    quantity : str
        ``"OSI"`` or ``"DSI"``.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per cohort; bars are intervals, gray what noise alone would give.
    """
    chosen = changes[changes.quantity == quantity]
    types = [name for name in cell_type_properties().index if name in set(chosen.cell_type)]
    cohorts = list(dict.fromkeys(chosen.cohort))
    n_columns = min(5, len(cohorts))
    n_rows = -(-len(cohorts) // n_columns)
    figure = Figure(figsize=(3.4 * n_columns, 1.2 + 2.6 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for axis, cohort in zip(axes.flat, cohorts, strict=False):
        axis.axhline(0, color="#cccccc", linewidth=0.8, zorder=0)
        for row in chosen[chosen.cohort == cohort].itertuples():
            place, color = types.index(row.cell_type), cell_type_properties().color[row.cell_type]
            axis.plot([place, place], [row.low, row.high], color=color, linewidth=2)
            axis.plot(place, row.change, "o", color=color, markersize=4)
            axis.plot(place, row.noise_change, "_", color="#9a9a9a", markersize=8)
        axis.set_title(f"without {cohort}", fontsize=9)
    for axis in axes[-1]:
        axis.set_xticks(range(len(types)), types, rotation=90, fontsize=7)
    for axis in axes[:, 0]:
        axis.set_ylabel(f"change of {quantity}")
    n = chosen.n[chosen.n > 0]
    write_caption(
        figure,
        f"{description}. Means over neurons of at least 0.5 Hz at their best direction with and without (n = "
        f"{n.min()} to {n.max()} per type), 95 % intervals over neurons (1,000 bootstrap samples, seed 0); gray: "
        "change that noise alone would give.",
    )
    return figure
