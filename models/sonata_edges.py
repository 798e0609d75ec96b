"""Projections written as SONATA edge files: one HDF5 column per property, connections in canonical order."""

import h5py
import numpy as np

from twincortex.models.hdf5 import create_dataset, write_dataset
from twincortex.models.sonata_edge_types import slices, sources_between
from twincortex.models.sonata_tables import stamp_provenance

# edge_group_id is created but never written: every connection is in group 0, which is HDF5's fill value.
_ID_COLUMNS = ("source_node_id", "target_node_id", "edge_type_id", "edge_group_id", "edge_group_index")
# Edges of one block while the index by target is written; each block reads all targets once.
_SORTED_AT_ONCE = 2**25


def write_edges(path, circuit, edge_types):
    """Write the HDF5 file of one projection.

    Parameters
    ----------
    path : Path
    circuit : Circuit
    edge_types : EdgeTypes
        Of the projection to write.
    """
    projection = edge_types.projection
    n_edges = projection.n_edges
    with h5py.File(path, "w") as file:
        stamp_provenance(file, circuit, units="syn_weight: pA (signed, all synapses of the connection); delay: ms")
        group = file.create_group(f"edges/{projection.source}_to_v1")
        group.attrs["delay_ms"] = projection.delay_ms
        columns = {name: create_dataset(group, name, (n_edges,), np.uint32) for name in _ID_COLUMNS}
        columns["source_node_id"].attrs["node_population"] = projection.source
        columns["target_node_id"].attrs["node_population"] = "v1"
        for start, stop in slices(n_edges):
            columns["source_node_id"][start:stop] = sources_between(projection, start, stop)
            columns["target_node_id"][start:stop] = projection.target[start:stop] // circuit.n_receptors
            columns["edge_type_id"][start:stop] = edge_types.ids(start, stop)
            columns["edge_group_index"][start:stop] = np.arange(start, stop)
        write_dataset(group, "0/syn_weight", projection.weight, units="pA")
        if projection.n_synapses is not None:
            # Not `nsyns`: BMTK would multiply the weight by it, and syn_weight is already the sum over the synapses.
            write_dataset(group, "0/n_syns_", projection.n_synapses)
        _write_indices(group.create_group("indices"), projection, circuit.n_receptors, circuit.n_neurons)


def _write_indices(group, projection, n_receptors, n_neurons):
    by_source = group.create_group("source_to_target")
    bounds = np.stack([projection.indptr[:-1], projection.indptr[1:]], axis=1).astype(np.uint64)
    rows = np.arange(projection.n_sources, dtype=np.uint64)
    write_dataset(by_source, "node_id_to_ranges", np.stack([rows, rows + 1], axis=1))
    write_dataset(by_source, "range_to_edge_id", bounds)
    by_target = group.create_group("target_to_source")
    in_degree = np.zeros(n_neurons, dtype=np.int64)
    for start, stop in slices(projection.n_edges):
        in_degree += np.bincount(projection.target[start:stop] // n_receptors, minlength=n_neurons)
    bounds = np.concatenate([[0], np.cumsum(in_degree)])
    write_dataset(by_target, "node_id_to_ranges", np.stack([bounds[:-1], bounds[1:]], axis=1).astype(np.uint64))
    ranges = create_dataset(by_target, "range_to_edge_id", (projection.n_edges, 2), np.uint64)
    for start, edges in _edges_by_target(projection.target, n_receptors, bounds):
        ranges[start : start + len(edges)] = np.stack([edges, edges + 1], axis=1)
    for index in (by_source, by_target):
        # libsonata reads node_id_to_ranges, BMTK node_id_to_range: one dataset under both names.
        index["node_id_to_range"] = index["node_id_to_ranges"]


def _edges_by_target(target, n_receptors, bounds):
    """Yield all edges in the order of their targets, block by block, each with its place in that order.

    Sorting block after block needs a few bytes an edge beside the circuit; sorting all at once took 36.
    """
    first = 0
    while first < len(bounds) - 1:
        stop = max(np.searchsorted(bounds, bounds[first] + _SORTED_AT_ONCE, side="right") - 1, first + 1)
        edges = np.flatnonzero((target >= first * n_receptors) & (target < stop * n_receptors))
        yield bounds[first], edges[np.argsort(target[edges] // n_receptors, kind="stable")]
        first = stop
