"""Point neurons and LGN units out of populations of nodes: cell models, positions, filters."""

import numpy as np
import pandas as pd

from twincortex.models.circuit import Nodes, NodeTypes
from twincortex.models.errors import FileError, first_offenders, near_name_hint
from twincortex.models.parameters import read_populations
from twincortex.models.sonata.cell_model_reading import read_models, unify
from twincortex.models.sonata.cell_models import read_our_models
from twincortex.models.sonata.nodes import LGN_COLUMNS, NODE_WORDS, lgn_word
from twincortex.models.sonata.point_models import NOT_AT_REST

_LARGEST_SIZE = np.iinfo(np.int32).max


def read_neuron_types(folder, populations, are_ours, report):
    """Cell models of all point neurons, and the model of each neuron.

    Parameters
    ----------
    folder : Path or None
        Of the cell model files.
    populations : list of NodePopulation
    are_ours : bool
        One population that we wrote: its types are kept as they are, the unused ones too.
    report : ImportReport

    Returns
    -------
    node_types : NodeTypes
    type_index : (N,) int32 array
    receptors : Receptors

    Raises
    ------
    FileError
        See `read_our_models` and `read_models`.
    """
    if are_ours:
        return _our_types(folder, *populations)
    models, ids, pop_names, ei, type_index = [], [], [], [], []
    for population in populations:
        types, used = population.types, np.unique(population.type_index)
        models += read_models(folder, types, used)
        row_of_type = np.zeros(len(types), dtype=np.int32)
        row_of_type[used] = np.arange(len(ids), len(ids) + len(used))
        type_index.append(row_of_type[population.type_index])
        ids += types.ids[used].tolist()
        pop_names += [_population_of_type(types, row) or population.name for row in used]
        ei += [types.text("ei")[row] for row in used]
        _count_into(report.cell_models.setdefault("templates", {}), [types.text("model_template")[row] for row in used])
    *tables, receptors, notes = unify(models)
    counted = _count_into({}, [note for model in models for note in model.notes])
    report.cell_models |= {**notes, "notes": [f"{note}: {n} cell models" for note, n in counted.items()]}
    if starts := [note for note in counted if note.startswith(NOT_AT_REST)]:
        report.warn(f"{starts[0]}: {counted[starts[0]]} cell models")
    node_types = NodeTypes(_unique_ids(ids, report), np.array(pop_names, dtype=str), *tables, _ei(pop_names, ei))
    return node_types, np.concatenate(type_index), receptors


def _our_types(folder, population):
    types, order = population.types, population.order if isinstance(population.order, dict) else {}
    for column in ("pop_name", "dynamics_params"):
        _refuse_missing_column(types, column)
    *tables, receptors = read_our_models(folder, types, order)
    pop_names = types.text("pop_name")
    node_types = NodeTypes(types.ids, np.array(pop_names, dtype=str), *tables, _ei(pop_names, types.text("ei")))
    return node_types, population.type_index, receptors


def _population_of_type(types, row):
    return types.text("pop_name")[row] or types.text("model_name")[row]


def _refuse_missing_column(types, column):
    missing = [row for row, value in enumerate(types.text(column)) if value is None]
    if column not in types.columns:
        raise FileError(
            f"{types.path} has no column {column!r}; {near_name_hint(column, types.columns)}.", types.path, column
        )
    if missing:
        raise FileError(
            f"{types.path}: no {column} in rows {first_offenders(missing)}. Correct it.", types.path, column, missing
        )


def _count_into(counts, values):
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def _unique_ids(ids, report):
    """Ids of types: those of the files where they are unique, else new ones."""
    if len(set(ids)) < len(ids):
        report.cell_models["renumbered"] = "node types have new ids: theirs were used twice, or their nodes differ"
        ids = list(range(1, len(ids) + 1))
    return np.array(ids, dtype=np.int64)


def _ei(pop_names, ei):
    """Which types excite and inhibit, or None where the table of the column's populations says the same."""
    words = np.array([{"e": "e", "i": "i"}.get((word or "")[:1].lower(), "") for word in ei], dtype=str)
    known = read_populations().ei.to_dict()
    same = all(name in known and word in ("", known[name]) for name, word in zip(pop_names, words, strict=True))
    return None if same else words


def read_neurons(populations, type_index, are_ours, report):
    """Positions, tuning angles and target sizes of all point neurons.

    Parameters
    ----------
    populations : list of NodePopulation
    type_index : (N,) int32 array
    are_ours : bool
    report : ImportReport

    Returns
    -------
    Nodes
        NaN (target sizes: 0) where a population does not have them.

    Raises
    ------
    FileError
        Values that are not finite, or missing from a circuit of ours that has them.
    """
    columns = {name: [] for name in NODE_WORDS}
    for population in populations:
        facts = report.populations[population.name]
        facts.ignored = sorted(set(population.columns) - set(NODE_WORDS.values()))
        if are_ours:
            _refuse_missing_words(population)
        for name, word in NODE_WORDS.items():
            values = _node_values(population, word, allow_nan=name == "tuning_angle" and not are_ours)
            n_missing = np.count_nonzero(np.isnan(values))
            if n_missing:
                facts.missing.append(f"{word} of {n_missing:,} of {population.n_nodes:,} nodes")
            if n_missing < population.n_nodes:
                facts.used[name] = f"{word} of the nodes"
            columns[name].append(values)
    whole = {name: np.concatenate(values) for name, values in columns.items()}
    size = np.nan_to_num(whole.pop("target_size"), nan=0.0).astype(np.int32)
    return Nodes(type_index=np.ascontiguousarray(type_index, dtype=np.int32), **whole, target_size=size)


def _refuse_missing_words(population):
    order = population.order if isinstance(population.order, dict) else {}
    for word in order.get("nodes", NODE_WORDS.values()):
        if word not in population.columns:
            hint = near_name_hint(word, population.columns)
            dataset = f"/nodes/{population.name}/0/{word}"
            raise FileError(f"{population.path}:{dataset} is missing; {hint}.", population.path, dataset)


def _node_values(population, word, allow_nan):
    """Values of a column as float64, NaN where a group, or the whole population, does not have it."""
    values = population.columns.get(word)
    if values is None:
        return np.full(population.n_nodes, np.nan)
    values = values.astype(np.float64)
    order = population.order if isinstance(population.order, dict) else {}
    absent = population.absent.get(word, False) | (np.isnan(values) & (allow_nan or word in order.get("gaps", ())))
    bad = np.flatnonzero(~np.isfinite(values) & ~absent)
    if len(bad):
        population.refuse(f"0/{word}", bad, "is not finite. Repair it.")
    if word == NODE_WORDS["target_size"]:
        bad = np.flatnonzero(~absent & ((values != np.rint(values)) | (values < 0) | (values > _LARGEST_SIZE)))
        if len(bad):
            population.refuse(f"0/{word}", bad, f"is {first_offenders(values[bad])}; expected numbers of synapses.")
    return values


def read_lgn_units(population, report):
    """LGN units, where a population has the filters of each.

    Parameters
    ----------
    population : NodePopulation
    report : ImportReport

    Returns
    -------
    pandas.DataFrame
        One row per unit, columns as in Circuit.lgn_units; empty where the population lacks some of them.
    """
    order, facts = population.order, report.populations[population.name]
    names = order if isinstance(order, list) else LGN_COLUMNS
    words = {name: lgn_word(name) for name in names if name != "model"}
    missing = [word for word in words.values() if word not in population.columns]
    models = [population.types.text("pop_name")[row] for row in population.type_index]
    if missing and (isinstance(order, list) or (population.is_ours and population.columns)):
        dataset = f"/nodes/{population.name}/0/{missing[0]}"
        hint = near_name_hint(missing[0], population.columns)
        raise FileError(f"{population.path}:{dataset} is missing; {hint}.", population.path, dataset)
    if missing or None in models:
        facts.missing += [*missing, *(["pop_name"] if None in models else [])]
        report.warn(f"{population.place}: no LGN filters; `twincortex stimulate` cannot make spikes for this circuit")
        return pd.DataFrame()
    for name, word in words.items():
        values = population.columns[word].astype(np.float64)
        may_be_missing = name.endswith("_non_dom") or name in ("tuning_angle", "separation")
        bad = np.flatnonzero(~(np.isfinite(values) | (may_be_missing & np.isnan(values))))
        if len(bad):
            population.refuse(f"0/{word}", bad, "is not finite. Repair it.")
        facts.used[name] = f"{word} of the nodes"
    columns = {
        name: np.array(models, dtype=str) if name == "model" else population.columns[words[name]] for name in names
    }
    return pd.DataFrame(columns)
