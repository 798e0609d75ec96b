"""A circuit made by others, as in foreign_circuits.py: every number that the reader makes of it, by hand."""

import dataclasses
import json
import re

import h5py
import numpy as np
import pytest

from twincortex.models.circuit import validate
from twincortex.models.errors import InputError
from twincortex.models.recording import Run
from twincortex.models.sonata import import_circuit, read_circuit, write_circuit
from twincortex.models.sonata.allen_models import NO_SLOW_PART
from twincortex.models.sonata.import_report import ReadingOptions
from twincortex.models.spikes import from_steps
from twincortex.models.surrogate import simulate

from foreign_circuits import CIRCUIT_CONFIG, write_foreign_circuit


@pytest.fixture
def configuration(tmp_path):
    return write_foreign_circuit(tmp_path / "theirs")


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    return import_circuit(write_foreign_circuit(tmp_path_factory.mktemp("foreign") / "theirs"), dt=1.0)


@pytest.fixture(scope="module")
def theirs(imported):
    return imported[0]


def rows(projection, n_receptors):
    """(source, post, receptor, delay, weight, synapses) of every connection."""
    counts = np.ones(projection.n_edges) if projection.n_synapses is None else projection.n_synapses
    posts, receptors = np.divmod(projection.target, n_receptors)
    delays = projection.delay_ms[projection.delay_code]
    columns = (projection.sources(), posts, receptors, delays, projection.weight.astype(float).round(5), counts)
    return [tuple(row) for row in np.array(columns).T.tolist()]


def test_neurons_of_all_populations_are_numbered_one_after_the_other(theirs):
    assert theirs.n_neurons == 8
    assert theirs.pop_name.tolist() == ["e4", "e4", "e4", "i4", "i4", "LIF", "l5", "LIF"]
    assert theirs.ei.tolist() == ["e", "e", "e", "i", "i", "e", "", "e"]
    assert theirs.cell_type.tolist() == theirs.pop_name.tolist()
    assert theirs.nodes.x.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 5.0]


def test_what_nodes_lack_is_not_a_number(theirs):
    assert np.isnan(theirs.nodes.tuning_angle[[0, 1, 2, 3, 4, 6]]).all()
    assert theirs.nodes.tuning_angle[[5, 7]].tolist() == [180.0, 90.0]
    assert np.isnan(theirs.nodes.z[5:]).all()
    assert theirs.nodes.target_size.tolist() == [0] * 8


def test_cell_models_are_brought_to_one_table(theirs):
    of_type, receptors = theirs.node_types.parameters, theirs.node_types.receptor_parameters
    assert of_type["V_th"].tolist() == [-45.0, -50.0, -50.0, -40.0]
    assert of_type["g"].tolist() == [5.0, 8.0, 10.0, 5.0]
    assert of_type["t_ref"].tolist() == [3.0, 2.0, 2.5, 3.0]
    assert of_type["asc_amp_0"].tolist() == [-9.0, 0.0, 0.0, -4.0]
    assert of_type["asc_amp_1"].tolist() == [-50.0, 0.0, 0.0, pytest.approx(-100.0, rel=1e-15)]
    assert of_type["asc_decay_0"][[0, 3]].tolist() == [0.003, 0.004]
    assert of_type["asc_r_1"].tolist() == [0.5, 1.0, 1.0, 1.0]
    assert receptors["tau_fast"].tolist() == [
        [2, 3, 2, 2],
        [5.5, 8.5, 5.5, 5.5],
        [1.5, 4, 1.5, 1.5],
        [5.5, 8.5, 2.8, 5.8],
    ]
    assert receptors["amp_slow"][0].tolist() == [0.5, 0.25, 0.5, 0.5]
    assert (receptors["amp_slow"][1:] == NO_SLOW_PART).all()


def test_connections_within_and_between_populations_are_one_projection(theirs):
    assert rows(theirs.projections["v1_to_v1"], 4) == [
        (0, 1, 0, 1.5, 2.5, 1),  # weight per type, times nsyns 1
        (0, 5, 0, 3.0, 1.25, 1),  # weight and delay per edge; positive: the excitatory receptor of iaf_psc_alpha
        (1, 3, 0, 1.5, 7.5, 3),  # nsyns 3
        (1, 7, 0, 1.5, 0.5, 1),
        (2, 6, 1, 2.0, 7.0, 1),  # nsyns NULL
        (3, 4, 0, 0.8, -8.0, 2),  # receptor_type 3 has the kinetics of receptor 1
        (3, 7, 1, 2.0, -18.0, 3),  # nsyns 3 per type; negative: the inhibitory receptor
        (4, 0, 1, 0.8, -3.0, 1),
    ]


def test_rows_of_the_same_source_target_receptor_and_delay_are_one_connection(theirs):
    assert rows(theirs.projections["thala_mus_to_v1"], 4) == [
        (0, 0, 0, 1.7, 0.7, 1),
        (1, 0, 0, 1.7, 0.6, 1),
        (2, 1, 0, 1.7, 0.7, 3),
    ]


def test_edges_without_types_have_all_properties_of_their_own(theirs):
    projection = theirs.projections["noise_to_v1"]
    assert rows(projection, 4) == [(0, 7, 0, 1.0, 3.0, 1), (1, 7, 1, 1.0, -2.0, 1)]
    assert projection.n_synapses is None


def test_a_circuit_without_lgn_has_no_lgn_units(theirs):
    assert theirs.lgn_units.empty
    assert list(theirs.projections) == ["v1_to_v1", "thala_mus_to_v1", "noise_to_v1"]


def test_provenance_says_which_neurons_were_which_population(theirs):
    populations = theirs.provenance["populations"]
    assert populations["l5"] == {"kind": "point", "n_nodes": 3, "first_id": 5, "source": None}
    assert populations["thala mus"] == {"kind": "virtual", "n_nodes": 4, "first_id": None, "source": "thala_mus"}


def test_the_report_says_what_was_used_merged_padded_and_ignored(imported):
    report = imported[1].as_dict()
    assert report["populations"]["l5"]["missing"] == [
        "y of 3 of 3 nodes",
        "z of 3 of 3 nodes",
        "tuning_angle of 1 of 3 nodes",
        "target_sizes of 3 of 3 nodes",
    ]
    assert report["populations"]["l5"]["ignored"] == ["rotation"]
    recurrent, thalamic = (report["projections"][f"{name}_to_v1"] for name in ("v1", "thala_mus"))
    assert recurrent["populations"] == ["l4_to_l4", "l4_to_l5"]
    assert recurrent["merged"] == {"receptors": 1, "of": 8}
    assert recurrent["ignored"] == ["PSP_correction", "distance", "source_query", "target_query"]
    assert recurrent["used"]["nsyns"] == ["property of the edges", "column of l4_l5_edge_types.csv"]
    assert (thalamic["rows"], thalamic["connections"], thalamic["synapses"]) == (5, 3, 5)
    assert thalamic["rounded"]["delay_to_steps"]["max_change_ms"] == pytest.approx(0.3)
    assert report["not_used"] == ["components/mechanisms_dir"]
    assert report["cell_models"]["templates"] == {
        f"nest:{name}": 1 for name in ("glif_psc_double_alpha", "glif_psc", "iaf_psc_alpha", "glif_lif_asc_psc")
    }
    assert "thala mus" in json.loads(json.dumps(report))["warnings"][0]["message"]


def test_a_simulation_configuration_leads_to_the_same_circuit(configuration, theirs):
    assert read_circuit(configuration.with_name("config.json")).topology_hash == theirs.topology_hash


def test_networks_inside_a_simulation_configuration_are_read(configuration, theirs):
    inline = configuration.with_name("simulation.json")
    inline.write_text(json.dumps({"run": {"tstop": 1.0}, **CIRCUIT_CONFIG}))
    assert read_circuit(inline).topology_hash == theirs.topology_hash


def test_components_elsewhere_need_a_wider_root(configuration, theirs, tmp_path):
    folder = configuration.parent
    (folder / "parts").rename(tmp_path / "parts")
    configuration.write_text(configuration.read_text().replace("${BASE}/parts", "${BASE}/../parts"))
    with pytest.raises(InputError, match=r"cells', outside .*theirs. Expected a file inside it; .*--root"):
        read_circuit(configuration)
    assert read_circuit(configuration, root=tmp_path).topology_hash == theirs.topology_hash


def test_written_as_ours_it_stays_the_same_bit_by_bit(theirs, tmp_path):
    validate(theirs)
    write_circuit(theirs, tmp_path / "ours")
    back = read_circuit(tmp_path / "ours")
    assert (back.topology_hash, back.weights_hash) == (theirs.topology_hash, theirs.weights_hash)
    assert back.provenance == theirs.provenance
    assert back.lgn_units.empty


def test_nodes_without_any_position_stay_so(theirs, tmp_path):
    nowhere = dataclasses.replace(theirs.nodes, x=np.full(8, np.nan), y=np.full(8, np.nan))
    circuit = dataclasses.replace(theirs, nodes=nowhere)
    write_circuit(circuit, tmp_path / "ours")
    with h5py.File(tmp_path / "ours" / "network" / "v1_nodes.h5") as file:
        assert sorted(file["nodes/v1/0"]) == ["tuning_angle", "z"]
    assert read_circuit(tmp_path / "ours").topology_hash == circuit.topology_hash


def test_it_runs(theirs):
    inputs = {
        "thala_mus": from_steps("thala_mus", 4, np.arange(0, 50), np.arange(50) % 4, 1.0),
        "noise": from_steps("noise", 2, [3, 9], [0, 1], 1.0),
    }
    strong = {"thala_mus_to_v1": 1000 * theirs.projections["thala_mus_to_v1"].weight}
    recording = simulate(theirs.with_weights(strong), inputs, Run(50.0, 1.0, record_v=(0, 5)))
    assert recording.spikes.n_spikes > 0
    assert np.isfinite(recording.v).all()


def test_delays_are_rounded_only_on_request_and_counted(configuration):
    circuit, report = import_circuit(configuration, options=ReadingOptions(delay_resolution_ms=0.5))
    assert circuit.projections["v1_to_v1"].delay_ms.tolist() == [1.0, 1.5, 2.0, 3.0]
    facts = report.projections["v1_to_v1"].rounded["delay"]
    assert facts == {"resolution_ms": 0.5, "n_changed": 2, "of": 8, "max_change_ms": pytest.approx(0.2)}


def test_more_delays_than_fit_need_a_resolution(configuration):
    with h5py.File(configuration.parent / "net" / "noise_l5_edges.h5", "r+") as file:
        group = file["edges/noise_to_l5"]
        for name, values in {"source_node_id": np.zeros(300, int), "target_node_id": np.zeros(300, int)}.items():
            del group[name]
            group[name] = values
            group[name].attrs["node_population"] = "noise" if name == "source_node_id" else "l5"
        for name, values in {"syn_weight": np.ones(300), "delay": 1.0 + 0.01 * np.arange(300)}.items():
            del group[f"0/{name}"]
            group[f"0/{name}"] = values
    with pytest.raises(InputError, match=r"more than 255 distinct delays; .*--delay-resolution-ms"):
        read_circuit(configuration)
    circuit, _ = import_circuit(configuration, options=ReadingOptions(delay_resolution_ms=0.1))
    projection = circuit.projections["noise_to_v1"]
    assert projection.n_edges == len(projection.delay_ms) == 31
    assert projection.weight.sum() == projection.n_synapses.sum() == 300


def test_weights_that_a_function_computes_are_taken_as_written_only_on_request(configuration):
    table = configuration.parent / "net" / "l4_l4_edge_types.csv"
    table.write_text(table.read_text().replace("wmax", "DirectionRule_EE"))
    with pytest.raises(InputError, match=r"weight_function DirectionRule_EE in rows 1 .*--weights-as-written"):
        read_circuit(configuration)
    circuit, _ = import_circuit(configuration, options=ReadingOptions(weights_as_written=True))
    assert circuit.projections["v1_to_v1"].weight[5] == -8.0
    assert circuit.provenance["weights_as_written"] is True


def test_words_of_synapse_files_without_effect_are_named(configuration):
    path = configuration.parent / "parts" / "synapses" / "first.json"
    path.write_text(json.dumps({"receptor_type": 1, "weight": 3.0, "comment": "from e to e"}))
    _, report = import_circuit(configuration)
    ignored = report.projections["v1_to_v1"].ignored
    assert {"weight of the synapse files", "comment of the synapse files"} <= set(ignored)


def test_properties_of_unknown_meaning_are_named(configuration):
    with h5py.File(configuration.parent / "net" / "l4_l4_edges.h5", "r+") as file:
        file["edges/l4_to_l4/0/colour"] = np.ones(4)
    _, report = import_circuit(configuration)
    assert report.projections["v1_to_v1"].not_understood == ["colour"]


def test_a_start_that_nest_would_choose_otherwise_is_a_warning(configuration):
    path = configuration.parent / "parts" / "cells" / "iaf.json"
    path.write_text(json.dumps({word: value for word, value in json.loads(path.read_text()).items() if word != "V_m"}))
    _, report = import_circuit(configuration)
    assert any("V_m is not given: NEST would start" in warning.message for warning in report.warnings)


def test_a_population_that_no_edges_leave_is_a_projection_without_connections(configuration):
    content = json.loads(configuration.read_text())
    content["networks"]["edges"].pop()
    configuration.write_text(json.dumps(content))
    circuit, report = import_circuit(configuration)
    projection = circuit.projections["noise_to_v1"]
    assert (projection.n_sources, projection.n_edges) == (2, 0)
    assert any("no edges leave the population that is called 'noise'" in warning.message for warning in report.warnings)
    assert simulate(circuit, {}, Run(5.0, 1.0)).spikes.n_spikes == 0


@pytest.mark.parametrize("name", ["v1", "NEURONS", "Noise", "1st", "x'); import os; ('", "a_to_v1", "é" * 90])
def test_sources_have_names_that_may_stand_in_code_and_in_file_names(configuration, name):
    with h5py.File(configuration.parent / "net" / "thalamus_nodes.h5", "r+") as file:
        file.move("nodes/thala mus", f"nodes/{name}")
    with h5py.File(configuration.parent / "net" / "thalamus_l4_edges.h5", "r+") as file:
        file["edges/thalamus_to_l4/source_node_id"].attrs["node_population"] = name
    circuit, report = import_circuit(configuration)
    sources = [projection.source for projection in circuit.projections.values()]
    assert all(re.fullmatch(r"[A-Za-z]\w{0,39}", source, re.ASCII) for source in sources)
    assert len({source.lower() for source in sources}) == 3
    assert report.populations[name].source in sources
    assert not {"neurons", "a_to_v1"} & {source.lower() for source in sources}


@pytest.mark.parametrize("function", ["weight_function_recurrent", "weight_function_lgn", "weight_function_bkg"])
def test_weights_of_the_published_column_are_not_multiplied(configuration, function):
    table = configuration.parent / "net" / "l4_l4_edge_types.csv"
    table.write_text(table.read_text().replace("wmax", function))
    circuit, _ = import_circuit(configuration)
    assert rows(circuit.projections["v1_to_v1"], 4)[5] == (3, 4, 0, 0.8, -4.0, 2)
