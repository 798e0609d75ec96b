import h5py
import numpy as np
import pytest

from twincortex.models.delays import rounded_delays, rounding_of_delays
from twincortex.models.errors import InputError
from twincortex.models.nest import edge_slices, open_circuit_folder
from twincortex.models.nest.edge_slices import read_edge_slices, read_edge_types
from twincortex.models.sonata import write_weights
from twincortex.models.sonata.checksums import CHECKSUMS

from circuits import small_random_circuit


def test_a_folder_tells_of_its_circuit_without_holding_its_edges(circuit, written_circuit):
    folder = open_circuit_folder(written_circuit)
    assert folder.n_neurons == circuit.n_neurons
    assert (folder.topology_hash, folder.weights_hash) == (circuit.topology_hash, circuit.weights_hash)
    for name, projection in circuit.projections.items():
        assert folder.projections[name].n_sources == projection.n_sources
        assert folder.projections[name].n_edges_per_delay.sum() == projection.n_edges


def test_edges_come_in_slices_and_only_those_that_are_wanted(circuit, written_circuit, monkeypatch):
    monkeypatch.setattr(edge_slices, "_SLICE", 100)
    file = open_circuit_folder(written_circuit).projections["v1_to_v1"]
    projection = circuit.projections["v1_to_v1"]
    is_wanted = np.arange(40) % 3 == 0
    types, _ = read_edge_types(file.types_path)
    slices = list(read_edge_slices(file.path, "v1", types, is_wanted))
    wanted = is_wanted[projection.sources()]
    assert len(slices) == -(-projection.n_edges // 100)
    assert np.array_equal(np.concatenate([part.edge for part in slices]), np.flatnonzero(wanted))
    assert np.array_equal(np.concatenate([part.weight for part in slices]), projection.weight[wanted])
    posts = projection.posts(circuit.n_receptors)[wanted]
    assert np.array_equal(np.concatenate([part.target for part in slices]), posts)


@pytest.mark.parametrize(
    ("dataset", "value", "message"),
    [
        ("0/syn_weight", np.nan, r"v1_v1_edges.h5:/edges/v1_to_v1/0/syn_weight\[5\] is not finite"),
        ("0/syn_weight", None, r"syn_weight\[.*\] is of the wrong sign for its unit"),
        ("0/syn_weight", 0.0, "weights_hash is .* but checksums.json has"),
        ("source_node_id", 40, r"source_node_id\[5\] is out of range"),
        ("target_node_id", 4000, r"target_node_id\[5\] is out of range"),
        ("edge_type_id", 7, r"edge_type_id\[5\] is missing in .*v1_v1_edge_types.csv"),
    ],
)
def test_edges_that_were_changed_in_place_are_refused(circuit_folder, dataset, value, message):
    with h5py.File(circuit_folder / "network" / "v1_v1_edges.h5", "r+") as file:
        values = file[f"edges/v1_to_v1/{dataset}"]
        if value is None:
            values[...] = -values[...]
        else:
            values[5] = value
    with pytest.raises(InputError, match=message):
        open_circuit_folder(circuit_folder)


def test_trained_weights_of_another_circuit_are_refused(written_circuit, tmp_path):
    write_weights(small_random_circuit(seed=4), tmp_path, "trained")
    with pytest.raises(InputError, match=r"v1_v1_edges_trained.h5 holds weights of the circuit .*, not of this one"):
        open_circuit_folder(written_circuit, tmp_path, "trained")


def test_a_folder_of_others_is_read_as_a_circuit_first(circuit_folder):
    (circuit_folder / CHECKSUMS).unlink()
    with pytest.raises(InputError, match=r"holds no checksums\.json with a topology_hash, .* Expected a folder that"):
        open_circuit_folder(circuit_folder)


def test_delays_of_a_folder_are_rounded_like_those_of_its_circuit(circuit, written_circuit):
    for name, file in open_circuit_folder(written_circuit).projections.items():
        rounded = rounding_of_delays(file.n_edges_per_delay, file.delay_ms, 1.0)
        assert rounded == rounded_delays(circuit, 1.0)[name]
