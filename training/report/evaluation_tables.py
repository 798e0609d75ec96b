"""Tables of an evaluation (evaluation.json), for a page."""

from twincortex.training.report.page_tables import Table, facts_table, spell


def evaluation_tables(evaluation):
    """Similarities on average and per cell type, Fano curves, weights, preferred directions.

    Parameters
    ----------
    evaluation : dict
        Of evaluation.json.

    Returns
    -------
    list of Table
        Of what it holds.
    """
    networks = evaluation.get("networks", {})
    tables = [_means(networks), *_per_type(networks), _fano(networks)]
    if weights := evaluation.get("weights"):
        tables.append(_weights(weights))
    tables += [_directions(name, network) for name, network in networks.items()]
    kept = {name: facts for name, facts in evaluation.items() if name not in ("networks", "weights")}
    return [table for table in [*tables, facts_table("How it was evaluated", kept)] if table.rows]


def _means(networks):
    quantities = _keys(network.get("mean_similarity", {}) for network in networks.values())
    rows = []
    for quantity in quantities:
        found = [network.get("mean_similarity", {}).get(quantity, {}) for network in networks.values()]
        rows.append([_words(quantity), *map(_similarity, found), spell(max(one.get("n_types") or 0 for one in found))])
    note = "1 - Kolmogorov-Smirnov distance, 95 % bootstrap interval; over types with 15 cells and 15 units or more."
    return Table("Mean similarity to the recordings", ["quantity", *networks, "types"], rows, note)


def _per_type(networks):
    tables = [network.get("table", {}) for network in networks.values()]
    for quantity in _keys(row for table in tables for row in table.values()):
        rows, muted = [], set()
        for name in _keys(tables):
            found = [table.get(name, {}).get(quantity, {}) for table in tables]
            last = found[-1]
            if last.get("flag"):
                muted.add(len(rows))
            medians = [spell(one.get("median_model")) for one in found]
            counts = f"{spell(last.get('n_model'))} | {spell(last.get('n_recorded'))}"
            recorded = spell(last.get("median_recorded"))
            rows.append([name, counts, *map(_similarity, found), *medians, recorded, last.get("flag") or ""])
        columns = ["cell type", "cells | units", *(f"similarity, {name}" for name in networks)]
        columns += [*(f"median, {name}" for name in networks), "median, recorded", "not in the mean because"]
        yield Table(f"Per cell type: {_words(quantity)}", columns, rows, muted=muted)


def _fano(networks):
    rows = []
    for condition in _keys(network.get("fano", {}) for network in networks.values()):
        found = [network.get("fano", {}).get(condition, {}) for network in networks.values()]
        rows.append([condition, *(spell(one.get("mean_absolute_error")) for one in found)])
    return Table("Fano curve: mean absolute error", ["condition", *networks], rows)


def _weights(weights):
    rows = [["mean similarity to the weights before", spell(weights.get("mean_similarity"))],
            ["pairs of cell types in that mean", spell(weights.get("n_pairs"))]]  # fmt: skip
    for projection, counts in weights.get("projections", {}).items():
        rows += [[f"{projection}: {_words(name)}", spell(count)] for name, count in counts.items()]
    return Table("Weights after training", ["", "value"], rows)


def _directions(name, network):
    rows = network.get("preferred_direction", {})
    columns = _keys(rows.values())
    title = f"Measured preferred directions against assigned tuning angles, {name}"
    table = [[cell_type, *(spell(row.get(column)) for column in columns)] for cell_type, row in rows.items()]
    return Table(title, ["cell type", *map(_words, columns)], table)


def _similarity(found):
    low, high = found.get("interval") or (None, None)
    interval = "" if low is None else f" ({low:.2f} to {high:.2f})"
    value = found.get("similarity")
    return "–" if value is None else f"{value:.3f}{interval}"


def _keys(dicts):
    """Keys of several dicts, in the order in which they are met."""
    return list(dict.fromkeys(key for one in dicts for key in one))


def _words(name):
    return name.replace("_Hz", " (Hz)").replace("_deg", " (deg)").replace("_", " ")
