"""Neurons, LGN units and background units as SONATA node files."""

import json
import re

import h5py
import numpy as np
import pandas as pd

from twincortex.models.circuit import Nodes
from twincortex.models.errors import InputError, first_offenders, near_name_hint
from twincortex.models.hdf5 import open_hdf5, read_dataset, read_group, write_dataset
from twincortex.models.parameters import read_populations
from twincortex.models.sonata_cell_models import cell_model_file, read_cell_models, write_cell_models
from twincortex.models.sonata_tables import read_type_table, stamp_provenance, write_type_table

_FIRST_TYPE_ID = 100
_NODE_WORDS = {"x": "x", "y": "y", "z": "z", "tuning_angle": "tuning_angle", "target_size": "target_sizes"}
_SUBUNIT_WORDS = {"w": "weight", "kpeak": "kpeaks", "delay": "delay"}
_SUBUNIT_COLUMNS = ["w0", "w1", "kpeak0", "kpeak1", "delay0", "delay1"]
_LGN_COLUMNS = ["model", "x", "y", "spatial_size", *_SUBUNIT_COLUMNS]
_LGN_COLUMNS += [*(f"{name}_non_dom" for name in _SUBUNIT_COLUMNS), "tuning_angle", "separation"]


def write_v1_nodes(network, cell_models, circuit):
    """Write ``v1_nodes.h5``, ``v1_node_types.csv`` and one JSON file per cell model.

    Parameters
    ----------
    network, cell_models : Path
        Folders.
    circuit : Circuit
    """
    nodes, types = circuit.nodes, circuit.node_types
    columns = {word: getattr(nodes, name) for name, word in _NODE_WORDS.items()}
    order = {"parameters": [*types.parameters], "receptor_parameters": [*types.receptor_parameters]}
    units = "x, y, z: um (y: minus the depth); tuning_angle: degrees; target_sizes: synapses"
    with h5py.File(network / "v1_nodes.h5", "w") as file:
        stamp_provenance(file, circuit, units)
        group = _write_population(file, "v1", types.node_type_id[nodes.type_index], columns)
        group.attrs["column_order"] = json.dumps(order)
    write_type_table(network / "v1_node_types.csv", _v1_type_table(types))
    write_cell_models(cell_models, types)


def _v1_type_table(types):
    populations = read_populations().reindex(types.pop_name)
    shape, scale = populations.n_synapses_shape.to_numpy(), populations.n_synapses_scale.to_numpy()
    location = "VisL" + populations.layer.astype("str").str.replace("6", "6a")
    return pd.DataFrame(
        {
            "node_type_id": types.node_type_id,
            "pop_name": types.pop_name,
            "ei": populations.ei.to_numpy(),
            "location": location.to_numpy(),
            "model_type": "point_process",
            "model_template": "nest:glif_psc_double_alpha",
            "dynamics_params": [cell_model_file(id_) for id_ in types.node_type_id],
            "population": "v1",
            "nsyn_size_shape": shape,
            "nsyn_size_scale": scale,
            "nsyn_size_mean": np.floor(scale * np.exp(shape**2 / 2)),
        }
    )


def read_v1_nodes(path, types_path, cell_models):
    """Read the neurons and their cell models.

    Parameters
    ----------
    path, types_path : Path
        HDF5 file and node types CSV.
    cell_models : Path
        Folder of the cell model files.

    Returns
    -------
    nodes : Nodes
    node_types : NodeTypes

    Raises
    ------
    InputError
        Datasets or parameters missing or cut, node types unknown, values not finite.
    """
    table = read_type_table(types_path, "node_type_id", {"pop_name": str, "dynamics_params": str})
    with open_hdf5(path) as file:
        type_index, columns, group = _read_population(file, "v1", table, types_path)
        order = json.loads(group.attrs.get("column_order", "{}"))
    missing = [word for word in _NODE_WORDS.values() if word not in columns]
    if missing:
        raise InputError(f"{path}:/nodes/v1/0/{missing[0]} is missing; {near_name_hint(missing[0], columns)}.")
    nodes = {name: np.asarray(columns[word], dtype=np.float64) for name, word in _NODE_WORDS.items()}
    for name, values in nodes.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise InputError(
                f"{path}:/nodes/v1/0/{_NODE_WORDS[name]}[{first_offenders(bad)}] is not finite. Repair it."
            )
    nodes["target_size"] = nodes["target_size"].astype(np.int32)
    node_types = read_cell_models(cell_models, table, types_path, order)
    return Nodes(type_index=type_index, **nodes), node_types


def write_external_nodes(network, circuit):
    """Write the LGN units and the background units as virtual nodes.

    Parameters
    ----------
    network : Path
        Folder.
    circuit : Circuit
    """
    units = circuit.lgn_units
    models, kind = np.unique(units.model.to_numpy(dtype=str), return_inverse=True)
    columns = {_lgn_word(name): units[name].to_numpy() for name in units if name != "model"}
    text = "x, y, spatial_size, sf_sep: degrees of visual field; kpeaks, delay: ms; tuning_angle: degrees"
    with h5py.File(network / "lgn_nodes.h5", "w") as file:
        stamp_provenance(file, circuit, text)
        group = _write_population(file, "lgn", kind + _FIRST_TYPE_ID, columns)
        group.attrs["column_order"] = json.dumps([*units])
    write_type_table(network / "lgn_node_types.csv", _virtual_types("lgn", models, "LGN"))
    n_bkg = circuit.projections["bkg_to_v1"].n_sources
    with h5py.File(network / "bkg_nodes.h5", "w") as file:
        stamp_provenance(file, circuit, "")
        _write_population(file, "bkg", np.full(n_bkg, _FIRST_TYPE_ID), {})
    write_type_table(network / "bkg_node_types.csv", _virtual_types("bkg", ["bkg"], "NULL"))


def _virtual_types(population, names, location):
    ids = np.arange(len(names)) + _FIRST_TYPE_ID
    columns = {"pop_name": names, "ei": "e", "location": location, "model_type": "virtual", "population": population}
    return pd.DataFrame({"node_type_id": ids, **columns})


def _lgn_word(name):
    """Translate ``kpeak0_non_dom`` into SONATA's ``kpeaks_non_dom_0``."""
    match = re.fullmatch(r"(w|kpeak|delay)([01])(_non_dom)?", name)
    if match:
        return f"{_SUBUNIT_WORDS[match[1]]}{match[3] or '_dom'}_{match[2]}"
    return "sf_sep" if name == "separation" else name


def read_lgn_units(path, types_path):
    """Read the LGN units.

    Parameters
    ----------
    path, types_path : Path

    Returns
    -------
    pandas.DataFrame
        One row per unit, columns as in Circuit.lgn_units.
    """
    table = read_type_table(types_path, "node_type_id", {"pop_name": str})
    with open_hdf5(path) as file:
        kind, columns, group = _read_population(file, "lgn", table, types_path)
        order = json.loads(group.attrs.get("column_order", "null")) or _LGN_COLUMNS
    columns["model"] = table.pop_name.to_numpy(dtype=str)[kind]
    missing = [name for name in order if _lgn_word(name) not in columns]
    if missing:
        word = _lgn_word(missing[0])
        raise InputError(f"{path}:/nodes/lgn/0/{word} is missing; {near_name_hint(word, columns)}.")
    return pd.DataFrame({name: columns[_lgn_word(name)] for name in order})


def count_background_units(path, types_path):
    """Number of background units in a node file."""
    table = read_type_table(types_path, "node_type_id", {})
    with open_hdf5(path) as file:
        return len(_read_population(file, "bkg", table, types_path)[0])


def _write_population(file, name, type_ids, columns):
    group = file.create_group(f"nodes/{name}")
    n_nodes = len(type_ids)
    write_dataset(group, "node_id", np.arange(n_nodes, dtype=np.uint64))
    write_dataset(group, "node_type_id", np.asarray(type_ids, dtype=np.int64))
    write_dataset(group, "node_group_id", np.zeros(n_nodes, dtype=np.uint32))
    write_dataset(group, "node_group_index", np.arange(n_nodes, dtype=np.uint64))
    properties = group.create_group("0")
    for column, values in columns.items():
        write_dataset(properties, column, values)
    return group


def _read_population(file, name, table, types_path):
    group = read_group(file, f"nodes/{name}")
    type_ids = read_dataset(group, "node_type_id", integer=True)
    node_ids = read_dataset(group, "node_id", len(type_ids), integer=True)
    where = f"{file.filename}:{group.name}"
    if not np.array_equal(node_ids, np.arange(len(node_ids))):
        raise InputError(f"{where}/node_id: expected 0 to {len(node_ids) - 1} in order. Sort the nodes by id.")
    type_index = table.index.get_indexer(type_ids)
    bad = np.flatnonzero(type_index < 0)
    if len(bad):
        raise InputError(
            f"{where}/node_type_id[{first_offenders(bad)}] holds {first_offenders(type_ids[bad])}, which {types_path} "
            "does not list. Expected every node type there: is the table cut short, or of another circuit?"
        )
    properties = read_group(group, "0")
    columns = {column: read_dataset(properties, column, len(type_ids)) for column in properties}
    return type_index.astype(np.int32), columns, group
