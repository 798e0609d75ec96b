"""Tables of a report, from what the run folder holds."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """A table for a page.

    Attributes
    ----------
    title : str
    columns : list of str
        The first is that of the names of the rows.
    rows : list of list of str
    note : str
    muted : set of int
        Rows to be shown as of less weight.
    """

    title: str
    columns: list
    rows: list
    note: str = ""
    muted: set = field(default_factory=set)


def spell(value):
    """Write a value for people: four digits, thousands with commas, a dash for what is not there."""
    if value is None or value == "" or value == [] or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    return ", ".join(map(spell, value)) if isinstance(value, list) else str(value)


def metrics_table(metrics):
    """First and last value of every metric, its extremes, and its mean over the last tenth of the steps.

    Parameters
    ----------
    metrics : pandas.DataFrame

    Returns
    -------
    Table
    """
    tail = metrics.tail(max(1, len(metrics) // 10))
    rows = []
    for name in metrics.select_dtypes("number").columns.drop("step"):
        values = metrics[name]
        numbers = values.iloc[0], values.iloc[-1], values.min(), values.max(), tail[name].mean()
        rows.append([name, *(spell(float(number)) for number in numbers)])
    columns = ["metric", "first", "last", "lowest", "highest", "mean of the last tenth"]
    note = "Losses are times their costs; parts below them (two slashes) are without."
    return Table("Every metric", columns, rows, note)


def held_out_tables(held_out):
    """Agreement of the engines, and mean rates before and after training, cell type by cell type.

    Parameters
    ----------
    held_out : dict
        Of held_out.json.

    Returns
    -------
    list of Table
    """
    agreement = [[name.replace("_", " "), spell(value)] for name, value in held_out.items() if name != "rates_Hz"]
    tables = [Table("Agreement of the engines", ["", "value"], agreement)]
    rates = held_out.get("rates_Hz", {})
    columns = [(when, condition) for when in rates for condition in rates[when]]
    if columns:
        types = rates[columns[0][0]][columns[0][1]]
        rows = [[name, *(spell(rates[when][condition].get(name)) for when, condition in columns)] for name in types]
        headers = [f"{condition}, {when}" for when, condition in columns]
        tables.append(Table("Mean rates in the held-out trials (Hz)", ["cell type", *headers], rows))
    return tables


def facts_table(title, facts):
    """Any nested facts as names and values.

    Parameters
    ----------
    title : str
    facts : dict

    Returns
    -------
    Table
    """
    return Table(title, ["", "value"], [[name.replace("_", " "), value] for name, value in _flatten(facts)])


def _flatten(facts, above=""):
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{above}{name} / ")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            yield from _flatten({str(number): item for number, item in enumerate(value, start=1)}, f"{above}{name} / ")
        else:
            # No commas: numbers of neurons and seeds are to be copied.
            yield f"{above}{name}", str(value) if type(value) is int else spell(value)
