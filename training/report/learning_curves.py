"""Curves over the steps of a run, as SVG that takes its colours from the page."""

import io
import re
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from twincortex.training.loss_parts import losses_by_objective

INK = "#010203"  # stands for the colour of the page's text
COLORS = {"evoked": "#2f7ed8", "spontaneous": "#e07b1a", "weights": "#3a9d5d"}
MORE_COLORS = ("#2f7ed8", "#e07b1a", "#3a9d5d", "#a05ec9", "#c94a5a", "#8a7a5c", "#5a9fb5")
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "twincortex",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_MAX_POINTS = 600
_WINDOWS = 50


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes
    ----------
    title : str
    unit : str
        Label of the vertical axis.
    steps : pandas.Series
    series : dict of name -> pandas.Series
    logarithmic : bool
    ceiling : float or None
        Top of the vertical axis.
    """

    title: str
    unit: str
    steps: pd.Series
    series: dict
    logarithmic: bool = False
    ceiling: float | None = None

    @property
    def description(self):
        """The panel in words, for those who cannot see it."""
        ends = [f"{name} from {values.iloc[0]:.4g} to {values.iloc[-1]:.4g}" for name, values in self.series.items()]
        return f"{self.title} against the step, {len(self.steps)} in all: {'; '.join(ends)}"


def learning_panels(metrics):
    """Total loss, every objective, rates, and how the steps went.

    Parameters
    ----------
    metrics : pandas.DataFrame

    Returns
    -------
    list of Panel
        Only of what the metrics hold.
    """

    def panel(title, unit, columns, **options):
        series = {name: metrics[column] for name, column in columns.items() if column in metrics}
        return [Panel(title, unit, metrics.step, series, **options)] if series else []

    rates = {"evoked": "evoked/rate_Hz", "spontaneous": "spontaneous/rate_Hz"}
    cut = metrics.columns[(metrics != 0).any()]
    times = {name.removeprefix("seconds_"): name for name in metrics if name.startswith("seconds_")}
    return [
        *panel("total loss", "loss", {"total": "loss"}),
        *(
            Panel(name.replace("_", " "), "loss", metrics.step, shares)
            for name, shares in losses_by_objective(metrics).items()
        ),
        *panel("mean firing rate", "Hz", rates),
        *panel("gradient norm", "norm", {"gradient": "gradient_norm"}, logarithmic=True),
        *panel("learning rate", "rate", {"learning rate": "learning_rate"}),
        *panel("changes cut at the limit", "weights", {"clipped": "clipped"} if "clipped" in cut else {}),
        *panel("time per step", "s", {"whole step": "seconds"} | times),
    ]


def validation_panels(validation):
    """Similarities on one pair of axes; every other score, an error for example, on its own.

    Parameters
    ----------
    validation : pandas.DataFrame

    Returns
    -------
    list of Panel
    """
    if validation.empty:
        return []
    numbers = validation.select_dtypes("number").drop(columns="step")
    others = [name for name in numbers if "error" in name or name.endswith("_Hz") or name.startswith("seconds")]
    similarities = {name: numbers[name] for name in numbers if name not in others}
    first = Panel("similarity to the recordings", "1 - KS distance", validation.step, similarities, ceiling=1.0)
    rest = [Panel(name.replace("_", " "), "", validation.step, {name: numbers[name]}) for name in others]
    return ([first] if similarities else []) + rest


def draw_panel(panel, prefix):
    """Draw a panel.

    Parameters
    ----------
    panel : Panel
    prefix : str
        Of the names inside, which must differ within a page.

    Returns
    -------
    str
        An svg element; its ink is ``currentColor``.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.2, 2.5), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        _draw(axes, panel)
        file = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=nothing)
    return _embeddable(file.getvalue(), prefix)


def _draw(axes, panel):
    colors = iter(MORE_COLORS)
    for name, values in panel.series.items():
        color = INK if len(panel.series) == 1 and name not in COLORS else COLORS.get(name) or next(colors)
        _draw_series(axes, panel.steps, values, name, color)
    values = pd.concat(list(panel.series.values()))
    if panel.logarithmic and (values > 0).any():
        axes.set_yscale("log")
    elif not (values < 0).any():
        axes.set_ylim(0, panel.ceiling)
    axes.set(xlabel="step", ylabel=panel.unit)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(panel.series) > 1 or set(panel.series) & set(COLORS):
        axes.legend(fontsize=8, ncols=1 + len(panel.series) // 4)


def _draw_series(axes, steps, values, name, color):
    """Every value of a short run; a running mean before the spread of the values of a long one."""
    window = len(values) // _WINDOWS
    if window < 2:
        axes.plot(steps, values, color=color, label=name, linewidth=1.4, marker="." if len(values) < _WINDOWS else None)
        return
    group = np.arange(len(values)) * min(_MAX_POINTS, len(values)) // len(values)
    at, spread = steps.groupby(group).mean(), values.groupby(group).agg(["min", "max"])
    mean = values.rolling(window, center=True, min_periods=1).mean().groupby(group).mean()
    if len(values) > _MAX_POINTS:
        axes.fill_between(at, spread["min"], spread["max"], color=color, alpha=0.25, linewidth=0)
    else:
        axes.plot(steps, values, color=color, alpha=0.35, linewidth=0.7)
    axes.plot(at, mean, color=color, label=name, linewidth=1.6)


def _embeddable(svg, prefix):
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}", svg)
    return svg.replace(INK, "currentColor")
