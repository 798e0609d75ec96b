"""How projections become edge files: slices, indices, checksums, and files that were written by earlier versions."""

import h5py
import numpy as np
import pytest

from twincortex.models.sonata import edges as edge_files
from twincortex.models.sonata import read_circuit, write_circuit
from twincortex.models.sonata.edge_types import EdgeTypes


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 7), (3, 7), (3, 40), (7, 21), (8, 9)])
def test_slices_cover_every_edge_once_and_share_borders(monkeypatch, start, stop):
    monkeypatch.setattr("twincortex.models.sonata.edges._SLICE", 7)
    found = list(edge_files._slices(stop, start))
    assert [edge for first, last in found for edge in range(first, last)] == list(range(start, stop))
    assert all(last % 7 == 0 for _, last in found[:-1])


def test_edges_written_in_slices_are_the_same(circuit, tmp_path, monkeypatch):
    monkeypatch.setattr("twincortex.models.sonata.edges._SLICE", 7)
    write_circuit(circuit, tmp_path / "circuit")
    assert read_circuit(tmp_path / "circuit").topology_hash == circuit.topology_hash


@pytest.mark.parametrize("index_type", [np.uint32, np.uint64])
@pytest.mark.parametrize("at_once", [1, 50, 10**6])
def test_the_index_by_target_is_the_same_however_many_edges_are_sorted_at_once(
    circuit, monkeypatch, at_once, index_type
):
    edges = EdgeTypes(circuit, circuit.projections["v1_to_v1"]).edges
    posts = circuit.projections["v1_to_v1"].posts(circuit.n_receptors)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(posts, minlength=circuit.n_neurons))])
    monkeypatch.setattr(edge_files, "_SORTED_AT_ONCE", at_once)
    starts, ids = zip(*edge_files._edges_by_target(edges, bounds, index_type), strict=True)
    assert np.array_equal(np.concatenate(ids), np.argsort(posts, kind="stable"))
    assert np.array_equal(starts, np.cumsum([0, *map(len, ids)])[:-1])


def test_edge_indices_carry_the_names_of_libsonata_and_of_bmtk(written_circuit):
    with h5py.File(written_circuit / "network" / "v1_v1_edges.h5") as file:
        for name in ("source_to_target", "target_to_source"):
            index = file["edges/v1_to_v1/indices"][name]
            assert index["node_id_to_range"] == index["node_id_to_ranges"]


def test_the_same_circuit_gives_the_same_bytes(circuit, written_circuit, tmp_path):
    write_circuit(circuit, tmp_path / "circuit")
    for path in (path for path in written_circuit.rglob("*") if path.is_file()):
        assert (tmp_path / "circuit" / path.relative_to(written_circuit)).read_bytes() == path.read_bytes(), path.name


def test_the_bytes_do_not_depend_on_when_python_lets_go_of_the_datasets(
    circuit, written_circuit, tmp_path, monkeypatch
):
    kept, create = [], edge_files.create_dataset

    def create_and_keep(*arguments, **attributes):
        kept.append(create(*arguments, **attributes))
        return kept[-1]

    monkeypatch.setattr(edge_files, "create_dataset", create_and_keep)
    write_circuit(circuit, tmp_path / "circuit")
    for path in sorted((written_circuit / "network").glob("*_edges.h5")):
        assert (tmp_path / "circuit" / "network" / path.name).read_bytes() == path.read_bytes(), path.name


def test_every_dataset_of_an_edge_file_carries_a_checksum(written_circuit):
    unchecked = []

    def look(name, entry):
        if isinstance(entry, h5py.Dataset) and not entry.fletcher32:
            unchecked.append(name)

    with h5py.File(written_circuit / "network" / "lgn_v1_edges.h5") as file:
        file.visititems(look)
        assert {"indices", "0", "edge_group_id"} <= set(file["edges/lgn_to_v1"])
    assert unchecked == []


@pytest.mark.parametrize(("n_edges", "expected"), [(0, np.uint32), (2**32 - 1, np.uint32), (2**32, np.uint64)])
def test_edges_are_numbered_in_as_few_bytes_as_hold_them(n_edges, expected):
    assert edge_files._smallest_type(n_edges) is expected


def test_a_circuit_of_an_earlier_version_is_read_as_ever(circuit, circuit_folder):
    (circuit_folder / "checksums.json").unlink()
    for source in ("v1", "lgn", "bkg"):
        with h5py.File(circuit_folder / "network" / f"{source}_v1_edges.h5", "r+") as file:
            for index in file[f"edges/{source}_to_v1/indices"].values():
                ranges = index["range_to_edge_id"][...].astype(np.uint64)
                del index["range_to_edge_id"]
                index["range_to_edge_id"] = ranges
            del file.attrs["seed"]
    back = read_circuit(circuit_folder)
    assert (back.topology_hash, back.weights_hash) == (circuit.topology_hash, circuit.weights_hash)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # BMTK asks pandas for it
@pytest.mark.parametrize("source", ["v1", "lgn", "bkg"])
def test_bmtk_finds_connections_from_both_sides(circuit, written_circuit, source):
    sonata = pytest.importorskip("bmtk.utils.sonata", reason="bmtk is not installed")
    network = written_circuit / "network"
    stems = {"v1_node", f"{source}_node", f"{source}_v1_edge"}
    files = sonata.File([str(network / f"{s}s.h5") for s in stems], [str(network / f"{s}_types.csv") for s in stems])
    edges, projection = files.edges[f"{source}_to_v1"], circuit.projections[f"{source}_to_v1"]
    sources, posts = projection.sources(), projection.posts(circuit.n_receptors)
    for neuron in range(circuit.n_neurons):
        onto = posts == neuron
        found = [(edge.source_node_id, edge["syn_weight"], edge["delay"]) for edge in edges.get_target(neuron)]
        delays = projection.delay_ms[projection.delay_code[onto]]
        assert found == list(zip(sources[onto], projection.weight[onto], delays, strict=True))
    for unit in range(projection.n_sources):
        assert [edge.target_node_id for edge in edges.get_source(unit)] == posts[sources == unit].tolist()
