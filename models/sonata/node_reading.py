"""Populations of nodes read from SONATA files, ours or anyone's."""

import json
from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import FileError, first_offenders, near_name_hint
from twincortex.models.hdf5.access import find, names_in, refuse
from twincortex.models.hdf5.reading import (
    find_dataset,
    is_text,
    open_hdf5,
    read_attribute,
    read_dataset,
    read_group,
    read_rows,
    read_text,
)
from twincortex.models.sonata.groups import Property, read_groups
from twincortex.models.sonata.nodes import LGN_COLUMNS, NODE_WORDS, lgn_word
from twincortex.models.sonata.type_tables import NULLS, TypeTable, one_type

VIRTUAL = "virtual"
POINT = ("point_process", "point_neuron")
# Properties of types that nodes may have of their own.
_OF_TYPES = ("pop_name", "model_name", "ei", "model_type", "model_template", "dynamics_params", "model_processing")
_WORDS = frozenset((*NODE_WORDS.values(), *(lgn_word(name) for name in LGN_COLUMNS if name != "model")))
_LIBRARY = "@library"
_DYNAMICS = "dynamics_params"


@dataclass(frozen=True)
class NodePopulation:
    """A population of nodes.

    Attributes
    ----------
    name : str
    path : Path
    types : TypeTable
        One row per kind of node: types whose nodes have properties of their own are split.
    type_index : (n,) int32 array
        Row of ``types``.
    columns : dict of str -> (n,) array
        Numeric properties; NaN where a group lacks one.
    absent : dict of str -> (n,) bool array
        Nodes whose group lacks the property, for those that not every group has.
    order : dict, list or None
        The circuit's own order of parameters or columns, in files that we wrote.
    is_ours : bool
        Written by twincortex.
    """

    name: str
    path: object
    types: TypeTable
    type_index: np.ndarray
    columns: dict
    absent: dict
    order: object
    is_ours: bool

    @property
    def n_nodes(self):
        """Number of nodes."""
        return len(self.type_index)

    @property
    def place(self):
        """File and group, for messages."""
        return f"{self.path}:/nodes/{self.name}"

    def refuse(self, dataset, index, what):
        """Raise a FileError about some nodes."""
        where = f"/nodes/{self.name}/{dataset}"
        raise FileError(f"{self.path}:{where}[{first_offenders(index)}] {what}", self.path, where, index)


def is_ours(file):
    """Whether a file was written by twincortex."""
    return str(read_attribute(file, "generator") or "").startswith("twincortex ")


def read_nodes(path, name, table):
    """Read one population.

    Parameters
    ----------
    path : Path
    name : str
    table : TypeTable or None
        None where all properties stand with the nodes.

    Returns
    -------
    NodePopulation

    Raises
    ------
    FileError
        Datasets missing, cut or not numbers, ids out of order, types that the table does not list.
    """
    with open_hdf5(path) as file:
        population = read_group(file, f"nodes/{name}")
        table, type_rows = _type_rows(population, table)
        groups = read_groups(population, "node", len(type_rows))
        ours = is_ours(file)
        order = read_order(population)
        names = sorted({column for group in groups.groups.values() for column in _numeric(group)})
        columns = {column: Property(groups, column).values(0, len(type_rows), type_rows) for column in names}
        absent = {column: mask for column in names if (mask := _lacks(groups, column)) is not None}
        table, type_index = _split_types(groups, table, type_rows)
    return NodePopulation(name, path, table, type_index, columns, absent, order, ours)


def _type_rows(population, table):
    names = names_in(population)
    counted = "node_type_id" if table is not None or "node_type_id" in names else "node_id"
    type_ids = read_dataset(population, counted, integer=True)
    if "node_id" in names or is_ours(population.file):
        node_ids = read_dataset(population, "node_id", len(type_ids), integer=True)
        if not np.array_equal(node_ids.astype(np.int64), np.arange(len(node_ids))):
            refuse(population, "node_id", f"does not count from 0 to {len(node_ids) - 1}. Sort the nodes by id.")
    if table is None:
        return one_type(), np.zeros(len(type_ids), dtype=np.int32)
    rows = table.rows_of(type_ids)
    bad = np.flatnonzero(rows < 0)
    if len(bad):
        where = f"{population.name}/node_type_id"
        raise FileError(
            f"{population.file.filename}:{where}[{first_offenders(bad)}] holds {first_offenders(type_ids[bad])}, which "
            f"{table.path} does not list. Expected every node type there: is the table cut short, or of another "
            "circuit?",
            population.file.filename,
            where,
            bad,
        )
    return table, rows


def read_order(population):
    """The circuit's own order of parameters or columns, which files that we wrote carry as an attribute."""
    text = read_attribute(population, "column_order")
    try:
        order = None if text is None else json.loads(text)
    except (ValueError, TypeError, RecursionError):
        order = False
    if isinstance(order, dict):
        names = [name for part in order.values() for name in (part if isinstance(part, list) else [part])]
    else:
        names = order
    if order is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        refuse(population, "@column_order", "is not a list of names in JSON. Restore it, or copy the circuit again.")
    return order


def _numeric(group):
    """Names of the properties of a group that are, or have to be, one number per node."""
    libraries = names_in(read_group(group, _LIBRARY)) if _LIBRARY in names_in(group) else []
    return [
        name
        for name in names_in(group)
        if name in _WORDS
        or (
            name not in (_LIBRARY, _DYNAMICS, *libraries)
            and hasattr(item := find(group, name), "dtype")
            and not is_text(group, name)
            and len(item.shape or ()) == 1
        )
    ]


def _lacks(groups, name):
    """Which rows are in a group without that property; None where every group has it."""
    without = [number for number, group in groups.groups.items() if name not in names_in(group)]
    return np.isin(groups.group_of_row, without) if without else None


def _split_types(groups, table, type_rows):
    """Give nodes that have properties of their own types of their own."""
    own = {}
    for number, rows, index in groups.parts(0, groups.n_rows):
        for name, values in _own_properties(groups.groups[number]).items():
            column = own.setdefault(name, np.full(groups.n_rows, None, dtype=object))
            column[rows] = np.array([*values, None], dtype=object)[:-1][index]
    if not own:
        return table, type_rows
    kinds, index_of_kind = {}, np.empty(groups.n_rows, dtype=np.int32)
    for node, kind in enumerate(zip(type_rows.tolist(), *own.values(), strict=True)):
        index_of_kind[node] = kinds.setdefault(kind, len(kinds))
    split = table.take([kind[0] for kind in kinds])
    for place, name in enumerate(own, start=1):
        split.columns[name] = [
            value if kind[place] is None else kind[place] for kind, value in zip(kinds, split.text(name), strict=True)
        ]
    return split, index_of_kind


def _own_properties(group):
    """Text properties of the nodes of a group, and their parameters as ``dynamics_params/<name>`` in JSON."""
    own = {}
    names = names_in(group)
    for name in _OF_TYPES:
        if name in names and not hasattr(find(group, name), "keys"):
            own[name] = [None if text in NULLS else text for text in _texts(group, name)]
    if _DYNAMICS in names and hasattr(parameters := find(group, _DYNAMICS), "keys"):
        for name in names_in(parameters):
            values = _parameter_rows(parameters, name)
            own[f"{_DYNAMICS}/{name}"] = [json.dumps(value) for value in values.tolist()]
    return own


def _texts(group, name):
    if is_text(group, name):
        return read_text(group, name)
    if _LIBRARY not in names_in(group) or name not in names_in(library := read_group(group, _LIBRARY)):
        refuse(group, name, f"holds no text, and there is no {_LIBRARY}/{name} that its numbers could refer to.")
    known, numbers = np.array(read_text(library, name), dtype=object), read_dataset(group, name, integer=True)
    bad = np.flatnonzero((numbers < 0) | (numbers >= len(known)))
    if len(bad):
        refuse(group, name, f"[{first_offenders(bad)}] refers to entries that {_LIBRARY}/{name} lacks. Correct it.")
    return known[numbers].tolist()


def _parameter_rows(group, name):
    item = find(group, name)
    ndim = 2 if len(getattr(item, "shape", None) or ()) == 2 else 1
    return read_rows(find_dataset(group, name, ndim=ndim))


def node_kind(population, configured):
    """Tell whether a population is virtual or of point neurons.

    Parameters
    ----------
    population : NodePopulation
    configured : str or None
        Type that the configuration gives the population.

    Returns
    -------
    str
        ``"virtual"`` or ``"point"``.

    Raises
    ------
    FileError
        Models of other types, or both in one population.
    """
    used = np.unique(population.type_index)
    kinds = {population.types.text("model_type")[row] or configured for row in used} or {configured}
    if kinds == {VIRTUAL}:
        return VIRTUAL
    if kinds and kinds <= set(POINT):
        return "point"
    known = (*POINT, VIRTUAL)
    odd = sorted(str(kind) for kind in kinds if kind not in known)
    if odd:
        raise FileError(
            f"{population.place}: model_type {first_offenders(odd)} is not supported; {near_name_hint(odd[0], known)}. "
            "Multi-compartment and other cells cannot be simulated here.",
            population.path,
            f"/nodes/{population.name}",
        )
    raise FileError(
        f"{population.place} holds both virtual nodes and point neurons. Expected one kind per population; split it.",
        population.path,
        f"/nodes/{population.name}",
    )
