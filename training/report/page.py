"""Put the page of a run together."""

from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from twincortex.training.durations import spell_duration
from twincortex.training.report.config_lines import config_lines
from twincortex.training.report.evaluation_tables import evaluation_tables
from twincortex.training.report.learning_curves import draw_panel, learning_panels, validation_panels
from twincortex.training.report.next_steps import find_missing, find_next_steps
from twincortex.training.report.page_tables import facts_table, held_out_tables, metrics_table, spell
from twincortex.training.report.pictures import embed_picture

GENERATOR = "twincortex report"
_HEADLINES = {"rate": "evoked_rate_Hz", "OSI": "OSI", "DSI": "DSI"}
_BYTES_OF_PICTURES = 6_500_000  # a third more in a page, which stays below 10 MB


def make_page(contents):
    """Make the page of a run.

    Parameters
    ----------
    contents : RunContents

    Returns
    -------
    str
        HTML that needs nothing else.
    """
    figures = contents.figures
    pictures = [embed_picture(path, _BYTES_OF_PICTURES // len(figures)) for path in figures]
    held_out = held_out_tables(contents.held_out) if contents.held_out else []
    return _template().render(
        generator=GENERATOR,
        version=version("twincortex"),
        name=contents.folder.resolve().name,
        state=contents.state,
        facts=headline(contents),
        failure=[facts_table("Where it went wrong", contents.failure)] if contents.state == "diverged" else [],
        missing=find_missing(contents),
        learning=_drawn(learning_panels(contents.metrics) if contents.steps else [], "learning"),
        validation=_drawn(validation_panels(contents.validation), "validation"),
        evaluation=evaluation_tables(contents.evaluation),
        pictures=pictures,
        held_out=held_out,
        metrics=[metrics_table(contents.metrics)] if contents.steps else [],
        config=config_lines(contents.config),
        environment=[facts_table("Environment", contents.environment)] if contents.environment else [],
        next_steps=find_next_steps(contents),
    )


def headline(contents):
    """The run in a few numbers.

    Parameters
    ----------
    contents : RunContents

    Returns
    -------
    dict of str -> str
    """
    choice, circuit = contents.config.get("circuit", {}), contents.environment.get("circuit") or {}
    facts = {"column": spell(choice.get("folder") or choice.get("size"))}
    if circuit:
        facts["neurons"] = spell(circuit.get("neurons"))
        facts["recurrent connections"] = spell(circuit.get("edges", {}).get("v1_to_v1"))
    facts["steps"] = f"{contents.steps:,} of {spell(contents.config.get('steps'))}"
    if contents.steps:
        losses, seconds = contents.metrics.loss, contents.metrics.seconds
        facts["loss"] = f"{losses.iloc[0]:.4g} → {losses.iloc[-1]:.4g}"
        facts["seconds per step"] = f"{seconds.median():.3g} (median)"
        facts["time in steps"] = spell_duration(seconds.sum())
    if contents.held_out:
        facts["spikes that differ between engines"] = spell(contents.held_out.get("mismatched"))
    facts |= {f"similarity, {name}": _mean_similarities(network) for name, network in _networks(contents).items()}
    if contents.checkpoints:
        facts["checkpoints"] = f"{len(contents.checkpoints)}, last {contents.checkpoints[-1]}"
    return facts


def _networks(contents):
    return contents.evaluation.get("networks", {})


def _mean_similarities(network):
    means = network.get("mean_similarity", {})
    found = {name: means.get(quantity, {}).get("similarity") for name, quantity in _HEADLINES.items()}
    return ", ".join(f"{name} {value:.2f}" for name, value in found.items() if value is not None) or "–"


def _drawn(panels, name):
    return [(panel, Markup(draw_panel(panel, f"{name}{number}-"))) for number, panel in enumerate(panels)]


def _template():
    loader = PackageLoader("twincortex.training.report", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    return environment.get_template("page.html.jinja")
