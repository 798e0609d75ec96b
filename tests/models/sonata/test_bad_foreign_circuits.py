"""A circuit of others with one thing changed: read all the same, or refused with a message that says what and where."""

import json

import h5py
import numpy as np
import pytest

from twincortex.models.errors import InputError
from twincortex.models.sonata import read_circuit

from foreign_circuits import CIRCUIT_CONFIG, write_foreign_circuit

L4, L45, NOISE = "net/l4_l4_edges.h5:edges/l4_to_l4", "net/l4_l5_edges.h5:edges/l4_to_l5", "net/noise_l5_edges.h5"
L4_TYPES, L45_TYPES = "net/l4_l4_edge_types.csv", "net/l4_l5_edge_types.csv"
L5_NODES = "net/l5_nodes.h5:nodes/l5"


@pytest.fixture
def configuration(tmp_path):
    return write_foreign_circuit(tmp_path / "theirs")


def text(file, old, new):
    """Replace text in a file."""

    def change(folder):
        content = (folder / file).read_text()
        assert old in content
        (folder / file).write_text(content.replace(old, new))

    return change


def dataset(place, name, values, **options):
    """Replace a dataset, or add one."""
    file, _, group = place.partition(":")

    def change(folder):
        with h5py.File(folder / file, "r+") as hdf5:
            attributes = {}
            if name in hdf5[group]:
                attributes = dict(hdf5[group][name].attrs)
                del hdf5[group][name]
            made = hdf5[group].create_dataset(name, data=values, **options)
            made.attrs.update(attributes)

    return change


def delete(place, *names):
    file, _, group = place.partition(":")

    def change(folder):
        with h5py.File(folder / file, "r+") as hdf5:
            for name in names:
                del hdf5[group][name]

    return change


def config(**changes):
    """Change entries of the configuration."""
    return lambda folder: (folder / "config.circuit.json").write_text(json.dumps(CIRCUIT_CONFIG | changes))


def networks(**changes):
    return config(networks=CIRCUIT_CONFIG["networks"] | changes)


def cell(name, **changes):
    def change(folder):
        path = folder / "parts" / "cells" / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def node_population(place, name):
    file, _, path = place.partition(":")

    def change(folder):
        with h5py.File(folder / file, "r+") as hdf5:
            hdf5[path].attrs["node_population"] = name

    return change


NODES_OF_NOISE = {"nodes_file": "$NET/noise_nodes.h5", "node_types_file": None}
REFUSED = {
    "biophysical cells": (
        text("net/l4_node_types.csv", "e point_process", "e biophysical"),
        "model_type biophysical is",
    ),
    "both kinds in one population": (
        text("net/l5_node_types.csv", "7 NULL NULL point_neuron", "7 NULL NULL virtual"),
        "holds both virtual nodes and",
    ),
    "no model template": (
        text("net/l4_node_types.csv", "nest:glif_psc ", "NULL "),
        "no model_template for the node type 101",
    ),
    "a model of another simulator": (
        text("net/l5_node_types.csv", "nest:iaf_psc_alpha", "nrn:IntFire1"),
        "'nrn:IntFire1' is not supported",
    ),
    "a function that makes cells": (
        text("net/l5_node_types.csv", "dynamics_params\n", "dynamics_params model_processing\n"),
        "rows 0, 1 do not have the 7 values of the header",
    ),
    "no cell model": (text("net/l4_node_types.csv", "glif1.json", "NULL"), "no dynamics_params for the node type 101"),
    "a cell model elsewhere": (text("net/l4_node_types.csv", "glif1.json", "../../../x.json"), "x.json', outside"),
    "a type that is not in the table": (
        text("net/l5_node_types.csv", "7 NULL", "8 NULL"),
        r"node_type_id\[1\] holds 7, which",
    ),
    "a group that is not there": (dataset(L5_NODES, "node_group_id", [1, 4, 1]), "holds no group '4'"),
    "an index beyond its group": (
        dataset(L5_NODES, "node_group_index", [1, 0, 9]),
        "has 2 entries, but a row names entry 9",
    ),
    "no word on groups": (
        delete(L5_NODES, "node_group_id", "node_group_index"),
        r"node_group_id is missing, and there are the groups \[0, 1\]",
    ),
    "edges onto virtual nodes": (
        node_population(f"{L4}/target_node_id", "noise"),
        "leads onto the virtual population noise",
    ),
    "a population that is not there": (
        node_population(f"{L4}/source_node_id", "l6"),
        "node_population 'l6', which is not in the circuit",
    ),
    "plastic synapses": (
        text(L4_TYPES, "nest:static_synapse", "stdp_synapse"),
        "model_template stdp_synapse in rows 2",
    ),
    "columns of other synapses": (
        dataset(L4, "0/tau_rec", np.ones(4)),
        "tau_rec belong to synapses that are not static",
    ),
    "types of other synapses": (text(L45_TYPES, "PSP_correction", "u_syn"), "u_syn belong to synapses"),
    "parameters of each edge": (
        dataset(L4, "0/dynamics_params/weight", np.ones(4)),
        "gives edges parameters of their own",
    ),
    "a template of each edge": (
        dataset(L4, "0/model_template", np.ones(4)),
        "is given per edge. Expected it in the table",
    ),
    "a synapse file of unknown words": (
        text("parts/synapses/first.json", "}", ', "tau_plus": 3.0}'),
        "tau_plus is 3.0, which is not understood",
    ),
    "a receptor that the target lacks": (
        text(L45_TYPES, "7.0 2.0 NULL second.json", "7.0 2.0 NULL by_sign.json"),
        r"receptor_type\[3\] is nan, which the cell models of the targets lack",
    ),
    "a receptor that nobody has": (text("parts/synapses/second.json", "2", "7"), "receptor_type 7; expected 1 to 4"),
    "two receptors": (
        text(
            "net/thalamus_l4_edge_types.csv",
            "receptor_type\n5 1.7 static_synapse 1",
            "receptor_type dynamics_params\n5 1.7 static_synapse 1 x.json",
        ),
        "but the configuration has no|x.json does not exist",
    ),
    "no weight": (delete(NOISE + ":edges/noise_to_l5", "0/syn_weight"), "has no column 'syn_weight'"),
    "no weight for a type": (
        text(L4_TYPES, "2.5 1.5", "NULL 1.5"),
        "no syn_weight for the types 1, and none with the edges",
    ),
    "no weight in one group": (text(L45_TYPES, "7.0 2.0", "NULL 2.0"), r"syn_weight\[3\] is missing or not finite"),
    "no delay for a type": (text(L4_TYPES, "2.5 1.5", "2.5 NULL"), "no delay for the types 1"),
    "a delay of zero": (text(L4_TYPES, "2.5 1.5", "2.5 0.0"), "delay of types 1: expected a positive number"),
    "a delay of zero of one edge": (
        dataset(NOISE + ":edges/noise_to_l5", "0/delay", [1.0, 0.0]),
        r"delay\[1\] is 0.0; expected positive",
    ),
    "half a synapse": (dataset(L4, "0/nsyns", [1.0, 0.5, 1.0, 1.0]), r"nsyns\[1\] is 0.5; expected whole numbers"),
    "too many synapses": (dataset(L4, "0/nsyns", [1, 70_000, 1, 1]), r"nsyns\[1\] is 70000; expected whole numbers"),
    "a weight beyond float32": (
        dataset(NOISE + ":edges/noise_to_l5", "0/syn_weight", [1e300, 1.0]),
        "beyond the range of float32",
    ),
    "an inhibitory cell that excites": (text(L4_TYPES, "-4.0 0.8", "4.0 0.8"), "weights of the wrong sign"),
    "a table with commas": (
        lambda folder: text(L4_TYPES, " ", ",")(folder),
        "do not have the|no column 'edge_type_id'",
    ),
    "a quote that never ends": (text(L4_TYPES, "2 pop_name", '2 "pop_name'), "is not a table of types"),
    "a number that is none": (text(L4_TYPES, "2.5 1.5", "2.5 1_5e"), "could not convert"),
    "gap junctions": (networks(gap_juncs=[{"x": 1}]), "gap_juncs' is a list of gap junctions"),
    "the same population twice": (
        networks(nodes=[*CIRCUIT_CONFIG["networks"]["nodes"], NODES_OF_NOISE]),
        "'noise' is a population of nodes that comes twice",
    ),
    "an entry that is a number": (networks(nodes=[7]), "'nodes_file' is missing"),
    "no neurons": (networks(nodes=CIRCUIT_CONFIG["networks"]["nodes"][2:], edges=[]), "no population of point neurons"),
    "components of one population": (
        networks(nodes=[{**NODES_OF_NOISE, "populations": {"noise": {"type": "virtual", "x_dir": "y"}}}]),
        "given for the population 'noise' alone",
    ),
    "an unknown entry": (
        networks(nodes=[{**NODES_OF_NOISE, "nodes_fil": "x"}]),
        "'nodes_fil' is no entry of a file of nodes; did you mean",
    ),
    "a folder of the simulator's": (
        config(manifest=CIRCUIT_CONFIG["manifest"] | {"$NET": "${workingdir}/net"}),
        "uses a variable that the manifest does not define",
    ),
    "variables in a circle": (
        config(manifest={"$BASE": "$NET", "$NET": "$BASE", "$PARTS": "."}),
        "uses a variable that",
    ),
    "variables that explode": (
        config(manifest={"$NET": "$A0", "$PARTS": "."} | {f"$A{i}": f"$A{i + 1}$A{i + 1}" for i in range(60)}),
        "becomes longer than 4096 letters",
    ),
    "a manifest of numbers": (config(manifest={"$NET": 3}), r"'\$NET' is 3; expected text"),
    "a file name that is too long": (
        text("config.circuit.json", "$NET/noise_nodes.h5", "n" * 3000),
        "which is no file name|does not exist",
    ),
    "a file name with a zero": (
        text("config.circuit.json", "$NET/noise_nodes.h5", "a\\u0000b"),
        "which is no file name",
    ),
    "the root of the machine": (text("config.circuit.json", "$NET/noise_nodes.h5", "/etc/passwd"), "outside .*theirs"),
    "a name twice in one object": (
        text("parts/cells/iaf.json", '"E_L"', '"I_e": 0.0, "E_L"'),
        "I_e occurs twice in one object",
    ),
    "NaN in JSON": (text("parts/cells/iaf.json", "2.5", "NaN"), "is not JSON: NaN is no number"),
    "a depth of a hundred thousand": (
        lambda folder: (folder / "parts/cells/iaf.json").write_text("[" * 10**5),
        "is not JSON",
    ),
    "an own parameter of unknown effect": (
        dataset(L5_NODES, "0/dynamics_params/tau_x", [1.0]),
        "nodes have tau_x of their own, which a neuron_config lacks",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_a_clear_message(configuration, case):
    change, message = REFUSED[case]
    change(configuration.parent)
    with pytest.raises(InputError, match=message):
        read_circuit(configuration)


def soft_links(folder):
    with h5py.File(folder / "net" / "l4_l4_edges.h5", "r+") as file:
        group = file["edges/l4_to_l4"]
        group.move("0/nsyns", "elsewhere")
        group["0/nsyns"] = h5py.SoftLink("/edges/l4_to_l4/elsewhere")


def big_endian(folder):
    with h5py.File(folder / "net" / "l4_l4_edges.h5", "r+") as file:
        group = file["edges/l4_to_l4"]
        for name in ("edge_type_id", "0/nsyns"):
            values = group[name][:].astype(">i4")
            del group[name]
            group[name] = values


SAME = {
    "compressed": dataset(L4, "0/nsyns", np.array([2, 1, 3, 1]), compression="gzip", shuffle=True, chunks=(2,)),
    "soft links within the file": soft_links,
    "the other byte order": big_endian,
    "node ids left out": delete("net/l4_nodes.h5:nodes/l4", "node_id"),
    "groups spelled out": lambda folder: [
        dataset(L4, "edge_group_id", np.zeros(4, "u2"))(folder),
        dataset(L4, "edge_group_index", np.arange(4))(folder),
    ],
    "groups of zeros that nobody wrote": lambda folder: [
        dataset(L4, "edge_group_index", np.arange(4))(folder),
        _unwritten(folder / "net" / "l4_l4_edges.h5", "edges/l4_to_l4/edge_group_id", 4),
    ],
    "a file that is not enabled": networks(
        edges=[*CIRCUIT_CONFIG["networks"]["edges"], {"edges_file": "$NET/none.h5", "enabled": False}]
    ),
    "text in a cell model": cell("iaf.json", comment="no dynamics"),
    "other spellings of NULL": text(L4_TYPES, "NULL", "None"),
    "edge populations named by the configuration": networks(
        edges=[
            {**entry, "populations": {name: {}}}
            for entry, name in zip(
                CIRCUIT_CONFIG["networks"]["edges"],
                ("l4_to_l4", "l4_to_l5", "thalamus_to_l4", "noise_to_l5"),
                strict=True,
            )
        ]
    ),
}


def _unwritten(path, name, n):
    with h5py.File(path, "r+") as file:
        file.create_dataset(name, shape=(n,), dtype="u2", chunks=(2,))


@pytest.mark.parametrize("case", SAME)
def test_it_is_the_same_circuit(configuration, case):
    expected = read_circuit(configuration)
    SAME[case](configuration.parent)
    circuit = read_circuit(configuration)
    assert (circuit.topology_hash, circuit.weights_hash) == (expected.topology_hash, expected.weights_hash)


def test_parameters_of_single_neurons_split_their_type(configuration):
    dataset(L5_NODES, "1/dynamics_params/tau_m", [10.0, 40.0])(configuration.parent)
    circuit = read_circuit(configuration)
    assert circuit.neuron_parameter("g").tolist() == [5.0, 5.0, 5.0, 8.0, 8.0, 5.0, 5.0, 20.0]


def test_names_of_single_neurons_split_their_type(configuration):
    dataset("net/l4_nodes.h5:nodes/l4", "0/pop_name", np.array(["a", "b", "a", "c", "c"], dtype="S1"))(
        configuration.parent
    )
    assert read_circuit(configuration).pop_name.tolist()[:5] == ["a", "b", "a", "c", "c"]


def test_names_out_of_a_library_are_understood(configuration):
    place = "net/l4_nodes.h5:nodes/l4"
    dataset(place, "0/pop_name", np.array([0, 1, 0, 1, 1]))(configuration.parent)
    dataset(place, "0/@library/pop_name", ["first", "second"])(configuration.parent)
    assert read_circuit(configuration).pop_name.tolist()[:5] == ["first", "second", "first", "second", "second"]
