"""The validator: copy a small circuit, change one thing, and expect exactly these findings."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from twincortex.models.errors import InputError
from twincortex.models.sonata import read_circuit, validate_folder

from foreign_circuits import write_foreign_circuit

EDGES, GROUP = "v1_v1_edges.h5", "/edges/v1_to_v1"


@pytest.fixture
def folder(circuit_folder):
    """Our circuit without its checksums, so that the files speak for themselves."""
    (circuit_folder / "checksums.json").unlink()
    return circuit_folder


@pytest.fixture
def theirs(tmp_path):
    return write_foreign_circuit(tmp_path / "theirs")


def places(path):
    """(severity, file, dataset, index) of every finding."""
    found = validate_folder(path)
    return [(one.severity, one.file and Path(one.file).name, one.dataset, one.index) for one in found]


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def put(dataset, index, value):
    def change(file):
        file[dataset][index] = value

    return change


def test_a_sound_circuit_has_no_findings(written_circuit):
    assert validate_folder(written_circuit) == []


def test_a_circuit_of_others_has_warnings_only(theirs):
    severities = {
        (one.severity, one.message.partition("edges/")[2] or one.message[:30]) for one in validate_folder(theirs)
    }
    assert {severity for severity, _ in severities} == {"warning"}
    missing = [message for _, message in severities if "is missing: other programs" in message]
    assert len(missing) == 8, "two indices of four populations of edges"


CHANGES = {
    "a source out of range": (EDGES, put(f"{GROUP}/source_node_id", 9, 40), f"{GROUP}/source_node_id", (9,)),
    "targets out of range": (
        EDGES,
        put(f"{GROUP}/target_node_id", slice(3, 9), 99),
        f"{GROUP}/target_node_id",
        (3, 4, 5, 6, 7),
    ),
    "an unknown edge type": (EDGES, put(f"{GROUP}/edge_type_id", 4, 99), f"{GROUP}/edge_type_id", (4,)),
    "a weight that is no number": (EDGES, put(f"{GROUP}/0/syn_weight", 5, np.nan), f"{GROUP}/0/syn_weight", (5,)),
    "a weight of the wrong sign": (
        "lgn_v1_edges.h5",
        put("/edges/lgn_to_v1/0/syn_weight", 7, -1.0),
        "/edges/lgn_to_v1/0/syn_weight",
        (7,),
    ),
    "an unknown node type": ("v1_nodes.h5", put("/nodes/v1/node_type_id", 3, 7), "/nodes/v1/node_type_id", (3,)),
    "a position that is no number": ("v1_nodes.h5", put("/nodes/v1/0/z", 3, np.inf), "/nodes/v1/0/z", (3,)),
}


@pytest.mark.parametrize("case", CHANGES)
def test_one_change_is_one_finding_with_its_place(folder, case):
    name, change, dataset, index = CHANGES[case]
    edit(folder / "network" / name, change)
    fatal = [place for place in places(folder) if place[0] == "fatal"]
    assert fatal == [("fatal", name, dataset, index)]
    with pytest.raises(InputError):
        read_circuit(folder)


def test_findings_of_all_files_are_collected(folder):
    edit(folder / "network" / EDGES, put(f"{GROUP}/source_node_id", 9, 40))
    edit(folder / "network" / EDGES, put(f"{GROUP}/target_node_id", 2, 41))
    edit(folder / "network" / EDGES, put(f"{GROUP}/0/syn_weight", 5, np.inf))
    edit(folder / "network" / "bkg_v1_edges.h5", put("/edges/bkg_to_v1/0/syn_weight", 0, -1.0))
    edit(
        folder / "network" / "lgn_v1_edges.h5", lambda file: file.move("edges/lgn_to_v1/0/n_syns_", "edges/lgn_to_v1/n")
    )
    assert [place for place in places(folder) if place[0] == "fatal"] == [
        ("fatal", EDGES, f"{GROUP}/source_node_id", (9,)),
        ("fatal", EDGES, f"{GROUP}/target_node_id", (2,)),
        ("fatal", EDGES, f"{GROUP}/0/syn_weight", (5,)),
        ("fatal", "bkg_v1_edges.h5", "/edges/bkg_to_v1/0/syn_weight", (0,)),
    ]


def test_every_broken_cell_model_is_found(folder):
    broken = sorted((folder / "components" / "cell_models").iterdir())[2:4]
    for path, change in zip(broken, ({"C_m": 0.0}, {"spike_dependent_threshold": True}), strict=True):
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    found = {(name, word) for _, name, word, _ in places(folder)}
    assert found == {(broken[0].name, "C_m"), (broken[1].name, "spike_dependent_threshold")}


def test_every_changed_file_is_found_by_its_checksum(circuit_folder):
    (circuit_folder / "network" / "v1_node_types.csv").write_text("x")
    (circuit_folder / "network" / "lgn_nodes.h5").unlink()
    found = {name for severity, name, _, _ in places(circuit_folder) if severity == "fatal"}
    assert {"v1_node_types.csv", "lgn_nodes.h5"} <= found


def test_missing_indices_are_warnings(folder):
    edit(folder / "network" / EDGES, lambda file: file.pop(f"{GROUP}/indices/source_to_target"))
    assert places(folder) == [("warning", EDGES, f"{GROUP}/indices/source_to_target", ())]
    read_circuit(folder)


@pytest.mark.parametrize(
    ("dataset", "index", "value", "message"),
    [
        ("source_to_target/range_to_edge_id", (3, 1), 10**6, "range_to_edge_id .*is no range of edges"),
        ("target_to_source/range_to_edge_id", (5, slice(None)), [700, 701], "finds the edges 700 at other nodes"),
        ("target_to_source/node_id_to_ranges", (5, 1), 10**6, "leads outside range_to_edge_id at nodes 5"),
    ],
)
def test_indices_that_contradict_the_edges_are_warnings(folder, dataset, index, value, message):
    edit(folder / "network" / EDGES, put(f"{GROUP}/indices/{dataset}", index, value))
    found = validate_folder(folder)
    assert {one.severity for one in found} == {"warning"}
    assert any(re.search(message, one.message) for one in found)


def test_a_hash_that_does_not_fit_is_fatal(circuit_folder):
    edit(circuit_folder / "network" / EDGES, put(f"{GROUP}/0/syn_weight", 5, 0.0))
    (finding,) = validate_folder(circuit_folder)
    assert finding.severity == "fatal"
    assert "weights_hash is" in finding.message


def test_a_missing_configuration_is_the_only_finding(tmp_path):
    (finding,) = validate_folder(tmp_path)
    assert "holds no circuit_config.json" in finding.message


def test_weights_of_both_signs_of_a_unit_are_a_warning(theirs):
    def both_signs(file):
        file["edges/noise_to_l5/source_node_id"][...] = 1

    edit(theirs.parent / "net" / "noise_l5_edges.h5", both_signs)
    messages = [one.message for one in validate_folder(theirs) if one.severity == "warning"]
    assert any("noise units 1 have weights of both signs" in message for message in messages)
