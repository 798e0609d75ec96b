"""Projections written as SONATA edge files: one HDF5 column per property, connections in canonical order."""

import numpy as np

from twincortex.models.hdf5.writing import create_dataset, hdf5_to_write, write_dataset
from twincortex.models.progress import no_progress
from twincortex.models.sonata.edge_columns import count_per_neuron, fill_columns, sort_by_neuron
from twincortex.models.sonata.tables import stamp_provenance

# edge_group_id is created but never written: every connection is in group 0, which is HDF5's fill value.
_ID_COLUMNS = ("source_node_id", "target_node_id", "edge_type_id", "edge_group_id")
# Edges are written this many at a time, so that their columns never stand in memory beside the circuit: one HDF5 chunk.
_SLICE = 2**18
# Edges of one block while the index by target is written; each block reads all targets once.
_SORTED_AT_ONCE = 2**23


def write_edges(path, edge_types, progress=no_progress):
    """Write the HDF5 file of one projection, but for what `stamp_edges` adds.

    Parameters
    ----------
    path : Path
    edge_types : EdgeTypes
        Of the projection to write.
    progress : callable
        Called with (stage, done, total); what it raises ends the writing.
    """
    projection = edge_types.projection
    with hdf5_to_write(path) as file:
        group = file.create_group(f"edges/{projection.source}_to_v1")
        group.attrs["delay_ms"] = projection.delay_ms
        _write_columns(group, edge_types, progress)
        # Not when Python lets go of the datasets, which may be late: the same circuit gives the same bytes.
        file.flush()
        _write_indices(group.create_group("indices"), edge_types, progress)
        file.flush()


def stamp_edges(path, circuit):
    """Write into an edge file which circuit it belongs to.

    Parameters
    ----------
    path : Path
    circuit : Circuit
        Whole: its hashes are over all projections.
    """
    with hdf5_to_write(path, "r+") as file:
        stamp_provenance(file, circuit, units="syn_weight: pA (signed, all synapses of the connection); delay: ms")


def _write_columns(group, edge_types, progress):
    projection, n_edges = edge_types.projection, edge_types.projection.n_edges
    columns = {name: create_dataset(group, name, (n_edges,), np.uint32) for name in _ID_COLUMNS}
    columns["source_node_id"].attrs["node_population"] = projection.source
    columns["target_node_id"].attrs["node_population"] = "v1"
    index_type = _smallest_type(n_edges)
    group_index = create_dataset(group, "edge_group_index", (n_edges,), index_type)
    weight = create_dataset(group, "0/syn_weight", (n_edges,), np.float32, units="pA")
    for start, stop in _slices(n_edges):
        sources, posts, type_ids = np.empty((3, stop - start), dtype=np.uint32)
        fill_columns(edge_types.edges, edge_types.ids, start, sources, posts, type_ids)
        columns["source_node_id"][start:stop] = sources
        columns["target_node_id"][start:stop] = posts
        columns["edge_type_id"][start:stop] = type_ids
        group_index[start:stop] = np.arange(start, stop, dtype=index_type)
        weight[start:stop] = projection.weight[start:stop]
        progress(f"writing {projection.source} to v1", stop, n_edges)
    if projection.n_synapses is not None:
        # Not `nsyns`: BMTK would multiply the weight by it, and syn_weight is already the sum over the synapses.
        write_dataset(group, "0/n_syns_", projection.n_synapses)


def _write_indices(group, edge_types, progress):
    projection, edges = edge_types.projection, edge_types.edges
    index_type = _smallest_type(projection.n_edges)
    by_source = group.create_group("source_to_target")
    rows = np.arange(projection.n_sources + 1)
    write_dataset(by_source, "node_id_to_ranges", _pairs(rows).astype(np.uint64))
    write_dataset(by_source, "range_to_edge_id", _pairs(projection.indptr).astype(index_type))
    by_target = group.create_group("target_to_source")
    start = count_per_neuron(edges.target, edges.n_receptors, len(edges.node_type))
    write_dataset(by_target, "node_id_to_ranges", _pairs(start).astype(np.uint64))
    ranges = create_dataset(by_target, "range_to_edge_id", (projection.n_edges, 2), index_type)
    for begin, ids in _edges_by_target(edges, start, index_type):
        for first, last in _slices(begin + len(ids), begin):
            of_slice = ids[first - begin : last - begin]
            ranges[first:last] = np.stack([of_slice, of_slice + index_type(1)], axis=1)
            progress(f"indexing {projection.source} to v1", last, projection.n_edges)
    for index in (by_source, by_target):
        # libsonata reads node_id_to_ranges, BMTK node_id_to_range: one dataset under both names.
        index["node_id_to_range"] = index["node_id_to_ranges"]


def _slices(stop, start=0):
    """Yield (start, stop) of consecutive slices of edges; the borders between them are those of HDF5 chunks."""
    for first in range(start - start % _SLICE, stop, _SLICE):
        yield max(first, start), min(first + _SLICE, stop)


def _pairs(borders):
    return np.stack([borders[:-1], borders[1:]], axis=1)


def _smallest_type(n_edges):
    """Readers convert the numbers of edges, and half as many bytes are written twice as fast."""
    return np.uint32 if n_edges < 2**32 else np.uint64


def _edges_by_target(edges, start, index_type):
    """Yield all edges in the order of their targets, block by block, each with its place in that order.

    Sorting block after block needs no more than a block of numbers beside the circuit.
    """
    first = 0
    while first < len(start) - 1:
        stop = max(np.searchsorted(start, start[first] + _SORTED_AT_ONCE, side="right") - 1, first + 1)
        ids = np.empty(start[stop] - start[first], dtype=index_type)
        sort_by_neuron(edges.target, edges.n_receptors, start[first : stop + 1], first, ids)
        yield start[first], ids
        first = stop
