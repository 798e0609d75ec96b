"""Circuits with one thing broken: each must end in an error that says what, where, what was expected and what to do."""

import json
from dataclasses import dataclass

import h5py
import numpy as np
import pytest

from twincortex.models.errors import InputError
from twincortex.models.sonata import read_circuit, write_circuit

from circuits import small_random_circuit


@dataclass(frozen=True)
class Broken:
    """One way to break a circuit folder, and what the message must hold."""

    file: str
    damage: object
    message: str
    keeps_checksums: bool = False


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove(path):
    path.unlink()


def hdf5(edit):
    def damage(path):
        with h5py.File(path, "r+") as file:
            edit(file)

    return damage


def put(dataset, index, value):
    def edit(file):
        file[dataset][index] = value

    return hdf5(edit)


def rename(old, new):
    return hdf5(lambda file: file.move(old, new))


def shorten(dataset):
    def edit(file):
        kept = file[dataset][:-3]
        del file[dataset]
        file[dataset] = kept

    return hdf5(edit)


def retype(dataset, dtype):
    def edit(file):
        values = file[dataset][:].astype(dtype)
        del file[dataset]
        file[dataset] = values

    return hdf5(edit)


def link_to_another_file(name):
    def edit(file):
        del file[name]
        file[name] = h5py.ExternalLink("lgn_v1_edges.h5", "edges/lgn_to_v1/" + name.partition("v1_to_v1/")[2])

    return hdf5(edit)


def replace(old, new):
    return lambda path: path.write_text(path.read_text().replace(old, new))


def edit_json(**changes):
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def first_weight_of_sign(sign):
    """Flip the sign of the first weight that has it."""

    def edit(file):
        weight = file["edges/v1_to_v1/0/syn_weight"]
        place = int(np.flatnonzero(np.sign(weight[:]) == sign)[0])
        weight[place] = -weight[place]

    return hdf5(edit)


EDGES, NODES, TYPES = "network/v1_v1_edges.h5", "network/v1_nodes.h5", "network/v1_node_types.csv"
EDGE_TYPES, LGN, BKG = "network/v1_v1_edge_types.csv", "network/lgn_nodes.h5", "network/bkg_nodes.h5"
GROUP = "edges/v1_to_v1"

BROKEN = {
    "edges cut short": Broken(
        EDGES, cut, r"v1_v1_edges.h5 has [\d,]+ bytes, but [\d,]+ were written.*copy the circuit", True
    ),
    "edges cut short, unlisted": Broken(EDGES, cut, r"v1_v1_edges.h5 cannot be read as HDF5.*cut short"),
    "edges missing": Broken(EDGES, remove, r"v1_v1_edges.h5 is missing. Copy the whole circuit", True),
    "edges missing, unlisted": Broken(EDGES, remove, r"v1_v1_edges.h5 does not exist"),
    "configuration missing": Broken(
        "circuit_config.json", remove, r"holds no circuit_config.json. Expected the --out folder"
    ),
    "configuration cut": Broken("circuit_config.json", cut, r"circuit_config.json is not JSON.*cut short"),
    "configuration without a population": Broken(
        "circuit_config.json",
        replace('"v1_to_v1"', '"v1_to_vl"'),
        r"v1_v1_edges.h5:/ holds no group 'edges/v1_to_vl'",
    ),
    "configuration without a file": Broken(
        "circuit_config.json",
        replace('"nodes_file"', '"node_file"'),
        r"'nodes_file' is missing; did you mean 'node_file'",
    ),
    "configuration without networks": Broken(
        "circuit_config.json", edit_json(networks=[]), r"'networks' is \[\]; expected an object"
    ),
    "configuration with text for nodes": Broken(
        "circuit_config.json", edit_json(networks={"nodes": "x"}), r"'nodes' is 'x'; expected a list"
    ),
    "configuration of another place": Broken(
        "circuit_config.json", replace("$BASE_DIR/network", "../network"), r"outside .*; correct the name"
    ),
    "configuration with an unknown variable": Broken(
        "circuit_config.json", replace("$NETWORK_DIR/lgn_nodes", "$NET/lgn_nodes"), r"manifest does not define. Known:"
    ),
    "configuration names a file that is not there": Broken(
        "circuit_config.json", replace("v1_v1_edges.h5", "v1_v1_edges_x.h5"), r"v1_v1_edges_x.h5 does not exist", True
    ),
    "checksums cut": Broken("checksums.json", cut, r"checksums.json is not JSON", True),
    "checksums without pairs": Broken(
        "checksums.json",
        edit_json(files={"network/v1_nodes.h5": {"bytes": 9, "data": [[5, 3]]}}),
        r"checksums.json is damaged",
        True,
    ),
    "checksums of another place": Broken(
        "checksums.json", edit_json(files={"../../x": {"bytes": 1}}), r"names '../../x', outside", True
    ),
    "table changed": Broken(
        TYPES, replace("VisL4", "VisL5"), r"v1_node_types.csv was changed after it was written", True
    ),
    "weight changed": Broken(
        EDGES, put(f"{GROUP}/0/syn_weight", 5, 0.0), r"weights_hash is \w+\.\.\., but checksums", True
    ),
    "delay changed": Broken(
        NODES, put("nodes/v1/0/x", 3, 0.5), r"topology_hash is \w+\.\.\., but checksums.json", True
    ),
    "weight not a number": Broken(
        EDGES,
        put(f"{GROUP}/0/syn_weight", 5, np.nan),
        r"/edges/v1_to_v1/0/syn_weight\[5\] is missing or not finite; expected pA",
        True,
    ),
    "inhibitory weight positive": Broken(
        EDGES,
        first_weight_of_sign(-1),
        r"0/syn_weight\[\d+\] is \d.*: weights of the wrong sign. Inhibitory cells need weights <= 0",
    ),
    "excitatory weight negative": Broken(EDGES, first_weight_of_sign(1), r"wrong sign.* excitatory cells .* >= 0 pA"),
    "LGN weight negative": Broken(
        "network/lgn_v1_edges.h5",
        put("edges/lgn_to_v1/0/syn_weight", 7, -1.0),
        r"lgn_to_v1/0/syn_weight\[7\] is -1.0: weights of the",
    ),
    "source out of range": Broken(
        EDGES,
        put(f"{GROUP}/source_node_id", 9, 40),
        r"/edges/v1_to_v1/source_node_id\[9\] holds 40; expected ids of 40 v1 units, 0 to 39",
    ),
    "target out of range": Broken(
        EDGES,
        put(f"{GROUP}/target_node_id", slice(0, 9), 4_000_000_000),
        r"target_node_id\[0, 1, 2, 3, 4, ... \(9 in all",
    ),
    "weights missing": Broken(
        EDGES, rename(f"{GROUP}/0/syn_weight", f"{GROUP}/0/syn_wieght"), r"did you mean 'syn_wieght'"
    ),
    "weights short": Broken(EDGES, shorten(f"{GROUP}/0/syn_weight"), r"syn_weight has 775 entries; expected 778"),
    "targets short": Broken(EDGES, shorten(f"{GROUP}/target_node_id"), r"target_node_id has 775 entries; expected 778"),
    "ids not whole": Broken(EDGES, retype(f"{GROUP}/source_node_id", float), r"expected an array of whole numbers"),
    "weights text": Broken(EDGES, retype(f"{GROUP}/0/syn_weight", "S9"), r"expected an array of numbers"),
    "weights elsewhere": Broken(
        EDGES, link_to_another_file(f"{GROUP}/0/syn_weight"), r"syn_weight refers to another file. Copy the data"
    ),
    "group elsewhere": Broken(
        EDGES, link_to_another_file(f"{GROUP}/0"), r"v1_to_v1/0 refers to another file. Copy the data"
    ),
    "group missing": Broken(EDGES, rename("edges/v1_to_v1", "edges/v1_to_vl"), r"no group 'edges/v1_to_v1'"),
    "edge type unknown": Broken(
        EDGES, put(f"{GROUP}/edge_type_id", 4, 99), r"edge_type_id\[4\] holds 99, which .* not list"
    ),
    "edge types cut": Broken(EDGE_TYPES, cut, r"v1_v1_edge_types.csv"),
    "edge types missing": Broken(EDGE_TYPES, remove, r"v1_v1_edge_types.csv does not exist"),
    "edge types without delay": Broken(
        EDGE_TYPES, replace("delay", "delays"), r"no column 'delay'; did you mean 'delays'"
    ),
    "edge type twice": Broken(EDGE_TYPES, replace("\n101 ", "\n100 "), r"edge_type_id 100 occurs twice"),
    "delay no number": Broken(EDGE_TYPES, replace(" 2.06 ", " two "), r"column delay: could not convert"),
    "delay negative": Broken(
        EDGE_TYPES, replace(" 2.06 ", " -2.06 "), r"delay of types .*: expected a positive number"
    ),
    "delay not in the file's table": Broken(
        EDGE_TYPES, replace(" 2.06 ", " 2.07 "), r"attribute delay_ms lacks delays"
    ),
    "synapse of another folder": Broken(
        EDGE_TYPES, replace("e23_to_pv.json", "../../x.json"), r"names '../../x.json', outside .*synaptic_models"
    ),
    "receptor out of range": Broken(
        "components/synaptic_models/e23_to_pv.json", edit_json(receptor_type=9), r"receptor_type 9; expected 1 to 8"
    ),
    "receptor not a number": Broken(
        "components/synaptic_models/e23_to_pv.json", edit_json(receptor_type="a"), r"receptor_type 'a'; expected 1 to 8"
    ),
    "nodes cut": Broken(NODES, cut, r"v1_nodes.h5 cannot be read as HDF5"),
    "position not a number": Broken(NODES, put("nodes/v1/0/z", 3, np.inf), r"/nodes/v1/0/z\[3\] is not finite"),
    "tuning angle missing": Broken(
        NODES, rename("nodes/v1/0/tuning_angle", "nodes/v1/0/tuning"), r"tuning_angle is missing; did you mean 'tuning'"
    ),
    "node ids shuffled": Broken(NODES, put("nodes/v1/node_id", 3, 7), r"nodes/v1/node_id does not count from 0 to 39"),
    "node type unknown": Broken(NODES, put("nodes/v1/node_type_id", 3, 7), r"node_type_id\[3\] holds 7, which"),
    "population missing": Broken(NODES, rename("nodes/v1", "nodes/V1"), r"holds no group 'nodes/v1'"),
    "LGN filters missing": Broken(
        LGN, rename("nodes/lgn/0/kpeaks_dom_0", "nodes/lgn/0/kpeak_dom_0"), r"kpeaks_dom_0 is missing; did you mean"
    ),
    "background units fewer": Broken(
        BKG, hdf5(lambda file: [file.move(f"nodes/bkg/{n}", n) for n in ("node_id",)]), r"nodes/bkg/node_id is missing"
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_circuit_is_refused_with_a_clear_message(circuit_folder, case):
    broken = BROKEN[case]
    broken.damage(circuit_folder / broken.file)
    if not broken.keeps_checksums:
        (circuit_folder / "checksums.json").unlink()
    with pytest.raises(InputError, match=broken.message):
        read_circuit(circuit_folder)


CELL_MODEL_CHANGES = {
    "parameter missing": ({"g": None}, r"_glif_lif_asc_config.json: g is nan; expected finite numbers"),
    "parameter text": ({"t_ref": "long"}, r"no number for t_ref"),
    "capacitance of zero": ({"C_m": 0.0}, r"C_m is .*more than 0"),
    "time constant of zero": ({"tau_syn_fast": [0.0] * 8}, r"tau_syn_fast is .*more than 0"),
    "negative refractory period": ({"t_ref": -1.0}, r"t_ref is .*0 or more"),
    "after-spike current missing": ({"asc_amps": [1.0]}, r"no number for asc_amps\[1\]"),
    "receptors of another number": (
        {"tau_syn_fast": [1.0, 2.0]},
        r"tau_syn_fast is \[1. 2.\]; expected .* as many as in",
    ),
}


@pytest.mark.parametrize("case", CELL_MODEL_CHANGES)
def test_a_broken_cell_model_is_refused_by_name(circuit_folder, case):
    changes, message = CELL_MODEL_CHANGES[case]
    (circuit_folder / "checksums.json").unlink()
    path = sorted((circuit_folder / "components" / "cell_models").iterdir())[3]
    edit_json(**changes)(path)
    with pytest.raises(InputError, match=message) as caught:
        read_circuit(circuit_folder)
    assert path.name in str(caught.value)


def test_a_cell_model_without_a_parameter_is_refused_with_a_near_name(circuit_folder):
    (circuit_folder / "checksums.json").unlink()
    path = sorted((circuit_folder / "components" / "cell_models").iterdir())[3]
    replace('"C_m"', '"Cm"')(path)
    with pytest.raises(InputError, match="no number for C_m; did you mean 'Cm'"):
        read_circuit(circuit_folder)


def test_a_flipped_bit_in_the_weights_is_found(circuit, circuit_folder):
    path = circuit_folder / "network" / "v1_v1_edges.h5"
    content = bytearray(path.read_bytes())
    place = content.find(circuit.projections["v1_to_v1"].weight[100:110].tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"v1_v1_edges.h5:/edges/v1_to_v1/0/syn_weight cannot be read"):
        read_circuit(circuit_folder)


def test_files_of_two_circuits_do_not_mix(circuit_folder, tmp_path):
    write_circuit(small_random_circuit(seed=5), tmp_path / "other")
    for name in ("v1_v1_edges.h5", "v1_v1_edge_types.csv"):
        (tmp_path / "other" / "network" / name).replace(circuit_folder / "network" / name)
    with pytest.raises(InputError, match=r"v1_v1_edge\w+\.\w+ has [\d,]+ bytes|was changed"):
        read_circuit(circuit_folder)
