"""Neurons, LGN units and background units as SONATA node files."""

import json
import re

import numpy as np
import pandas as pd

from twincortex.models.hdf5.writing import hdf5_to_write, write_dataset
from twincortex.models.parameters import read_external_inputs, read_populations
from twincortex.models.sonata.cell_models import cell_model_file, write_cell_models
from twincortex.models.sonata.tables import stamp_provenance, write_type_table

_FIRST_TYPE_ID = 100
NODE_WORDS = {"x": "x", "y": "y", "z": "z", "tuning_angle": "tuning_angle", "target_size": "target_sizes"}
_SUBUNIT_WORDS = {"w": "weight", "kpeak": "kpeaks", "delay": "delay"}
_SUBUNIT_COLUMNS = ["w0", "w1", "kpeak0", "kpeak1", "delay0", "delay1"]
LGN_COLUMNS = ["model", "x", "y", "spatial_size", *_SUBUNIT_COLUMNS]
LGN_COLUMNS += [*(f"{name}_non_dom" for name in _SUBUNIT_COLUMNS), "tuning_angle", "separation"]


def write_v1_nodes(network, cell_models, circuit):
    """Write ``v1_nodes.h5``, ``v1_node_types.csv`` and one JSON file per cell model.

    Parameters
    ----------
    network, cell_models : Path
        Folders.
    circuit : Circuit
    """
    nodes, types = circuit.nodes, circuit.node_types
    columns, gaps = _node_columns(nodes)
    order = {"parameters": [*types.parameters], "receptor_parameters": [*types.receptor_parameters]}
    if gaps or len(columns) < len(NODE_WORDS):
        order |= {"nodes": [*columns], "gaps": gaps}
    units = "x, y, z: um (y: minus the depth); tuning_angle: degrees; target_sizes: synapses"
    with hdf5_to_write(network / "v1_nodes.h5") as file:
        stamp_provenance(file, circuit, units)
        group = _write_population(file, "v1", types.node_type_id[nodes.type_index], columns)
        group.attrs["column_order"] = json.dumps(order)
    write_type_table(network / "v1_node_types.csv", _v1_type_table(types))
    write_cell_models(cell_models, types)


def _node_columns(nodes):
    """Columns of which at least one value is known, and the words of those that have gaps (NaN)."""
    columns = {word: getattr(nodes, name) for name, word in NODE_WORDS.items()}
    known = {word: ~np.isnan(values) for word, values in columns.items()}
    known[NODE_WORDS["target_size"]] = nodes.target_size > 0
    columns = {word: values for word, values in columns.items() if known[word].any() or not len(values)}
    return columns, [word for word, values in columns.items() if np.isnan(values).any()]


def _v1_type_table(types):
    populations = read_populations().reindex(types.pop_name)
    shape, scale = populations.n_synapses_shape.to_numpy(), populations.n_synapses_scale.to_numpy()
    location = "VisL" + populations.layer.astype("str").str.replace("6", "6a")
    return pd.DataFrame(
        {
            "node_type_id": types.node_type_id,
            "pop_name": types.pop_name,
            "ei": populations.ei.to_numpy() if types.ei is None else np.where(types.ei == "", "NULL", types.ei),
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


def write_external_nodes(network, circuit):
    """Write the LGN units, and the other sources of input, as virtual nodes.

    Parameters
    ----------
    network : Path
        Folder.
    circuit : Circuit
    """
    for projection in circuit.projections.values():
        source = projection.source
        if source == "lgn" and len(circuit.lgn_units.columns):
            _write_lgn_units(network, circuit)
        elif source != "v1":
            with hdf5_to_write(network / f"{source}_nodes.h5") as file:
                stamp_provenance(file, circuit, "")
                _write_population(file, source, np.full(projection.n_sources, _FIRST_TYPE_ID), {})
            ei = "e" if source in read_external_inputs().index else "NULL"
            write_type_table(network / f"{source}_node_types.csv", _virtual_types(source, [source], "NULL", ei))


def _write_lgn_units(network, circuit):
    units = circuit.lgn_units
    models, kind = np.unique(units.model.to_numpy(dtype=str), return_inverse=True)
    columns = {lgn_word(name): units[name].to_numpy() for name in units if name != "model"}
    text = "x, y, spatial_size, sf_sep: degrees of visual field; kpeaks, delay: ms; tuning_angle: degrees"
    with hdf5_to_write(network / "lgn_nodes.h5") as file:
        stamp_provenance(file, circuit, text)
        group = _write_population(file, "lgn", kind + _FIRST_TYPE_ID, columns)
        group.attrs["column_order"] = json.dumps([*units])
    write_type_table(network / "lgn_node_types.csv", _virtual_types("lgn", models, "LGN", "e"))


def _virtual_types(population, names, location, ei):
    ids = np.arange(len(names)) + _FIRST_TYPE_ID
    columns = {"pop_name": names, "ei": ei, "location": location, "model_type": "virtual", "population": population}
    return pd.DataFrame({"node_type_id": ids, **columns})


def lgn_word(name):
    """Name of a column in SONATA: translate ``kpeak0_non_dom`` into SONATA's ``kpeaks_non_dom_0``."""
    match = re.fullmatch(r"(w|kpeak|delay)([01])(_non_dom)?", name)
    if match:
        return f"{_SUBUNIT_WORDS[match[1]]}{match[3] or '_dom'}_{match[2]}"
    return "sf_sep" if name == "separation" else name


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
