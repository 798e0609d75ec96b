import dataclasses
import json
from importlib.metadata import version

import h5py
import libsonata
import numpy as np
import pandas as pd
import pytest

from twincortex.models.circuit import sort_projection
from twincortex.models.column import build_column
from twincortex.models.errors import InputError
from twincortex.models.parameters import POSTSYNAPTIC_CLASSES, PRESYNAPTIC_CLASSES
from twincortex.models.sonata import read_circuit, read_weights, write_circuit, write_weights
from twincortex.models.sonata.edge_types import EdgeTypes

from circuits import DELAYS_MS, small_random_circuit

PROJECTIONS = ("v1_to_v1", "lgn_to_v1", "bkg_to_v1")


@pytest.fixture(scope="module")
def sonata(written_circuit):
    return libsonata.CircuitConfig.from_file(str(written_circuit / "circuit_config.json"))


def everything(population):
    return libsonata.Selection([(0, population.size)])


def type_column(folder, stem, population, column):
    table = pd.read_csv(folder / "network" / f"{stem}_types.csv", sep=" ", index_col=0)
    with h5py.File(folder / "network" / f"{stem}s.h5") as file:
        kind = "node" if stem.endswith("node") else "edge"
        return table[column].loc[file[f"{kind}s/{population}/{kind}_type_id"][:]].to_numpy()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_round_trip_keeps_every_bit(tmp_path, seed):
    circuit = small_random_circuit(seed)
    write_circuit(circuit, tmp_path / "circuit")
    back = read_circuit(tmp_path / "circuit")
    assert back.topology_hash == circuit.topology_hash
    assert back.weights_hash == circuit.weights_hash
    assert back.provenance == circuit.provenance


def test_the_round_trip_of_a_real_column_keeps_every_bit(tmp_path):
    circuit = build_column(20.0, seed=1)
    write_circuit(circuit, tmp_path / "circuit")
    back = read_circuit(tmp_path / "circuit")
    assert (back.topology_hash, back.weights_hash) == (circuit.topology_hash, circuit.weights_hash)
    files = {path.name for path in (tmp_path / "circuit" / "components" / "synaptic_models").iterdir()}
    assert files <= {f"{pre}_to_{post}.json" for pre in PRESYNAPTIC_CLASSES for post in POSTSYNAPTIC_CLASSES}


def test_the_round_trip_keeps_array_types(circuit, written_circuit):
    back = read_circuit(written_circuit)
    for mine, theirs in [
        (circuit.nodes, back.nodes),
        *((circuit.projections[n], back.projections[n]) for n in PROJECTIONS),
    ]:
        for name, value in vars(mine).items():
            assert getattr(value, "dtype", None) == getattr(getattr(theirs, name), "dtype", None), name
    assert circuit.lgn_units.equals(back.lgn_units)


def test_delays_that_no_connection_uses_survive(circuit, tmp_path):
    projection = circuit.projections["bkg_to_v1"]
    unused = np.append(projection.delay_ms, 9.0)
    projections = circuit.projections | {"bkg_to_v1": dataclasses.replace(projection, delay_ms=unused)}
    odd = dataclasses.replace(circuit, projections=projections)
    write_circuit(odd, tmp_path / "circuit")
    assert read_circuit(tmp_path / "circuit").topology_hash == odd.topology_hash


def test_a_projection_without_connections_survives(circuit, tmp_path):
    nothing = sort_projection("bkg", 10, *(np.zeros(0, dtype=int) for _ in range(4)))
    empty = dataclasses.replace(circuit, projections=circuit.projections | {"bkg_to_v1": nothing})
    write_circuit(empty, tmp_path / "circuit")
    assert read_circuit(tmp_path / "circuit").topology_hash == empty.topology_hash


def test_cell_models_with_three_after_spike_currents_survive(circuit, tmp_path):
    types = circuit.node_types
    third = {f"{name}_2": types.parameters[f"{name}_1"] * 0.3 for name in ("asc_decay", "asc_amp", "asc_r")}
    types = dataclasses.replace(types, parameters=types.parameters | third)
    more = dataclasses.replace(circuit, node_types=types)
    write_circuit(more, tmp_path / "circuit")
    assert read_circuit(tmp_path / "circuit").topology_hash == more.topology_hash


def with_parameters(circuit, names, per_receptor=()):
    """The circuit with these parameters, in this order, and further ones per receptor; all values differ."""
    rng = np.random.default_rng(2)
    types = circuit.node_types
    m, r = len(types.node_type_id), circuit.n_receptors
    parameters = {name: types.parameters.get(name, rng.normal(size=m)) for name in names}
    receptors = types.receptor_parameters | {name: rng.normal(size=(m, r)) for name in per_receptor}
    types = dataclasses.replace(types, parameters=parameters, receptor_parameters=receptors)
    return dataclasses.replace(circuit, node_types=types)


GLIF1 = ("V_th", "E_L", "V_reset", "g", "C_m", "t_ref")
ASC = tuple(f"{name}_{j}" for name in ("asc_decay", "asc_amp", "asc_r") for j in (0, 1, 2))


@pytest.mark.parametrize(
    "names",
    [GLIF1, GLIF1 + ASC, (*GLIF1, *ASC, "V_m", "tau_nmda"), (*reversed(ASC), *GLIF1), (*GLIF1, "asc_r_1", "asc_r_4")],
)
def test_any_parameters_of_the_cell_models_survive(circuit, tmp_path, names):
    more = with_parameters(circuit, names, ["tau_nmda_of_receptor"])
    write_circuit(more, tmp_path / "circuit")
    back = read_circuit(tmp_path / "circuit")
    assert (back.topology_hash, back.weights_hash) == (more.topology_hash, more.weights_hash)


def test_parameters_of_a_circuit_that_does_not_list_them_are_those_of_its_cell_models(circuit, tmp_path):
    more = with_parameters(circuit, (*GLIF1, *ASC, "tau_nmda"), ["tau_nmda_of_receptor"])
    write_circuit(more, tmp_path / "circuit")
    (tmp_path / "circuit" / "checksums.json").unlink()
    with h5py.File(tmp_path / "circuit" / "network" / "v1_nodes.h5", "r+") as file:
        del file["nodes/v1"].attrs["column_order"]
    assert read_circuit(tmp_path / "circuit").topology_hash == more.topology_hash


def test_edges_in_any_order_give_the_same_circuit(circuit, circuit_folder):
    (circuit_folder / "checksums.json").unlink()
    with h5py.File(circuit_folder / "network" / "v1_v1_edges.h5", "r+") as file:
        group = file["edges/v1_to_v1"]
        order = np.random.default_rng(1).permutation(len(group["source_node_id"]))
        for name in ("source_node_id", "target_node_id", "edge_type_id", "0/syn_weight"):
            group[name][...] = group[name][:][order]
    back = read_circuit(circuit_folder)
    assert (back.topology_hash, back.weights_hash) == (circuit.topology_hash, circuit.weights_hash)


def test_libsonata_reads_every_neuron(circuit, written_circuit, sonata):
    population = sonata.node_population("v1")
    for name, column in {
        "x": "x",
        "y": "y",
        "z": "z",
        "tuning_angle": "tuning_angle",
        "target_size": "target_sizes",
    }.items():
        assert np.array_equal(population.get_attribute(column, everything(population)), getattr(circuit.nodes, name))
    assert np.array_equal(type_column(written_circuit, "v1_node", "v1", "pop_name"), circuit.pop_name)


def test_libsonata_reads_every_lgn_unit(circuit, sonata):
    population = sonata.node_population("lgn")
    for name, column in {
        "x": "x",
        "kpeak1": "kpeaks_dom_1",
        "w0_non_dom": "weight_non_dom_0",
        "separation": "sf_sep",
    }.items():
        values = population.get_attribute(column, everything(population))
        assert np.array_equal(values, circuit.lgn_units[name], equal_nan=True)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_libsonata_reads_every_connection(circuit, written_circuit, sonata, name):
    population, projection = sonata.edge_population(name), circuit.projections[name]
    edges = everything(population)
    assert (population.source, population.target) == (projection.source, "v1")
    assert np.array_equal(population.source_nodes(edges), projection.sources())
    assert np.array_equal(population.target_nodes(edges), projection.posts(circuit.n_receptors))
    assert np.array_equal(population.get_attribute("syn_weight", edges), projection.weight)
    delays = type_column(written_circuit, f"{projection.source}_v1_edge", name, "delay")
    assert np.array_equal(delays, projection.delay_ms[projection.delay_code])


@pytest.mark.parametrize("name", PROJECTIONS)
def test_libsonata_finds_connections_from_both_sides(circuit, sonata, name):
    population, projection = sonata.edge_population(name), circuit.projections[name]
    posts = projection.posts(circuit.n_receptors)
    for node in range(circuit.n_neurons):
        assert np.array_equal(population.afferent_edges(node).flatten(), np.flatnonzero(posts == node))
    for node in range(projection.n_sources):
        assert np.array_equal(population.efferent_edges(node).flatten(), np.arange(*projection.indptr[node : node + 2]))


@pytest.mark.parametrize("name", PROJECTIONS)
def test_synapse_files_hold_the_receptor_as_nest_counts(circuit, written_circuit, name):
    projection = circuit.projections[name]
    files = type_column(written_circuit, f"{projection.source}_v1_edge", name, "dynamics_params")
    folder = written_circuit / "components" / "synaptic_models"
    receptor = {file: json.loads((folder / file).read_text())["receptor_type"] for file in set(files)}
    assert [receptor[file] for file in files] == (projection.target % circuit.n_receptors + 1).tolist()


def test_multiplicities_of_lgn_connections_are_kept(circuit, sonata):
    population = sonata.edge_population("lgn_to_v1")
    counts = population.get_attribute("n_syns_", everything(population))
    assert np.array_equal(counts, circuit.projections["lgn_to_v1"].n_synapses)


def test_cell_models_speak_the_words_of_nest(circuit, written_circuit):
    nest = pytest.importorskip("nest", reason="nest-simulator is not installed")
    nest.verbosity = nest.VerbosityLevel.ERROR
    for id_ in circuit.node_types.node_type_id[:5]:
        path = written_circuit / "components" / "cell_models" / f"{id_}_glif_lif_asc_config.json"
        parameters = json.loads(path.read_text())
        cell = nest.Create("glif_psc_double_alpha", params=parameters)
        for name, value in parameters.items():
            assert np.array_equal(cell.get(name), value), name


@pytest.mark.parametrize("first", [100, -5, 10**12])
def test_edge_types_are_found_whatever_their_ids(circuit, circuit_folder, first):
    (circuit_folder / "checksums.json").unlink()
    network = circuit_folder / "network"
    types = pd.read_csv(network / "v1_v1_edge_types.csv", sep=" ", dtype=str).iloc[::-1]
    spacing = 1 if first < 1000 else 10**9
    types["edge_type_id"] = first + (types["edge_type_id"].astype(int) - 100) * spacing
    types.to_csv(network / "v1_v1_edge_types.csv", sep=" ", index=False)
    with h5py.File(network / "v1_v1_edges.h5", "r+") as file:
        group = file["edges/v1_to_v1"]
        ids = first + (group["edge_type_id"][:].astype(np.int64) - 100) * spacing
        del group["edge_type_id"]
        group["edge_type_id"] = ids
    assert read_circuit(circuit_folder).topology_hash == circuit.topology_hash


def test_files_say_where_they_come_from(circuit, written_circuit):
    for name in ("v1_nodes", "lgn_nodes", "bkg_nodes", "v1_v1_edges", "lgn_v1_edges", "bkg_v1_edges"):
        with h5py.File(written_circuit / "network" / f"{name}.h5") as file:
            assert file.attrs["topology_hash"] == circuit.topology_hash
            assert json.loads(file.attrs["provenance"])["seed"] == 3
            assert file.attrs["generator"] == f"twincortex {version('twincortex')}"
            assert file.attrs["seed"] == "3"
            assert file.attrs["weights_hash"] == circuit.weights_hash
            assert "units" in file.attrs


def test_an_edge_type_is_shared_by_all_its_connections(circuit):
    table = EdgeTypes(circuit, circuit.projections["bkg_to_v1"]).table()
    assert table.source_query.unique().tolist() == ["*"]
    assert set(table.delay) <= set(DELAYS_MS)
    columns = ["target_query", "source_query", "dynamics_params", "delay"]
    assert not table[columns].duplicated().any()


def test_weights_go_to_files_of_their_own_and_back(circuit, tmp_path):
    trained = circuit.with_weights({"v1_to_v1": circuit.projections["v1_to_v1"].weight * 1.5})
    paths = write_weights(trained, tmp_path, "bio_trained")
    assert [path.name for path in paths] == ["v1_v1_edges_bio_trained.h5", "bkg_v1_edges_bio_trained.h5"]
    weights = read_weights(circuit, tmp_path, "bio_trained")
    assert set(weights) == {"v1_to_v1", "bkg_to_v1"}
    assert circuit.with_weights(weights).weights_hash == trained.weights_hash


def test_a_file_of_trained_weights_can_take_the_place_of_the_untrained(circuit, circuit_folder):
    trained = circuit.with_weights({"v1_to_v1": circuit.projections["v1_to_v1"].weight * 1.5})
    (path,) = write_weights(trained, circuit_folder / "network", "x", names=["v1_to_v1"])
    path.replace(circuit_folder / "network" / "v1_v1_edges.h5")
    (circuit_folder / "checksums.json").unlink()
    assert read_circuit(circuit_folder).weights_hash == trained.weights_hash


def edit_configuration(folder, old, new):
    path = folder / "circuit_config.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_configuration_that_names_trained_weights_loads_them(circuit, circuit_folder):
    trained = circuit.with_weights({"v1_to_v1": circuit.projections["v1_to_v1"].weight * 1.5})
    write_weights(trained, circuit_folder / "network", "trained", names=["v1_to_v1"])
    assert read_circuit(circuit_folder).weights_hash == circuit.weights_hash
    edit_configuration(circuit_folder, "v1_v1_edges.h5", "v1_v1_edges_trained.h5")
    back = read_circuit(circuit_folder)
    assert (back.topology_hash, back.weights_hash) == (circuit.topology_hash, trained.weights_hash)


def test_files_may_have_other_names_and_places_inside_the_folder(circuit, circuit_folder):
    (circuit_folder / "checksums.json").unlink()
    (circuit_folder / "network").rename(circuit_folder / "net")
    (circuit_folder / "net" / "v1_nodes.h5").rename(circuit_folder / "net" / "neurons.h5")
    (circuit_folder / "components" / "cell_models").rename(circuit_folder / "cells")
    edit_configuration(circuit_folder, "$BASE_DIR/network", "$BASE_DIR/net")
    edit_configuration(circuit_folder, "v1_nodes.h5", "neurons.h5")
    edit_configuration(circuit_folder, "$COMPONENTS_DIR/cell_models", "cells")
    assert read_circuit(circuit_folder).topology_hash == circuit.topology_hash


def test_weights_lacking_a_projection_are_refused_unless_it_was_not_asked_for(circuit, tmp_path):
    write_weights(circuit, tmp_path, "x", names=["v1_to_v1"])
    with pytest.raises(InputError, match=r"holds no bkg_v1_edges_x.h5. Check the tag 'x'; or copy"):
        read_weights(circuit, tmp_path, "x")
    assert set(read_weights(circuit, tmp_path, "x", names=["v1_to_v1"])) == {"v1_to_v1"}


def test_weights_of_further_projections_are_read_where_there_are_any(circuit, tmp_path):
    write_weights(circuit, tmp_path, "x", names=["v1_to_v1", "bkg_to_v1", "lgn_to_v1"])
    assert set(read_weights(circuit, tmp_path, "x")) == {"v1_to_v1", "bkg_to_v1", "lgn_to_v1"}


def test_weights_of_another_circuit_are_refused(circuit, tmp_path):
    write_weights(small_random_circuit(seed=99), tmp_path, "x")
    with pytest.raises(InputError, match=r"v1_v1_edges_x.h5 holds weights of the circuit .* not of this one"):
        read_weights(circuit, tmp_path, "x")


def test_weights_of_an_unknown_tag_are_refused(circuit, tmp_path):
    with pytest.raises(InputError, match=r"holds no v1_v1_edges_x.h5, .*Check the tag 'x'"):
        read_weights(circuit, tmp_path, "x")


def test_weights_that_are_not_finite_are_never_written(circuit, tmp_path):
    weight = circuit.projections["v1_to_v1"].weight.copy()
    weight[7] = np.nan
    with pytest.raises(InputError, match="v1_to_v1: weights that are not finite at connections 7"):
        write_weights(circuit.with_weights({"v1_to_v1": weight}), tmp_path, "x")
    assert list(tmp_path.iterdir()) == []
