"""The indices of a SONATA edge file, by which other programs find edges: do they say what the edges say?"""

import numpy as np

from twincortex.models.errors import FileError, first_offenders
from twincortex.models.hdf5.access import names_in, refuse
from twincortex.models.hdf5.reading import find_dataset, read_group, read_rows

_INDICES = {"source": "source_to_target", "target": "target_to_source"}
# libsonata reads the first name, BMTK the second.
_RANGES = ("node_id_to_ranges", "node_id_to_range")
_SLICE = 2**21


def check_indices(population, node_ids, n_nodes):
    """Look for indices that are missing or contradict the edges.

    Parameters
    ----------
    population : h5py.Group
        Of the edges.
    node_ids : dict of "source" or "target" -> (E,) int array
        Of the file.
    n_nodes : dict of "source" or "target" -> int

    Yields
    ------
    FileError
        Ours do not need the indices, so these are no more than warnings.
    """
    indices = read_group(population, "indices") if "indices" in names_in(population) else None
    for side, name in _INDICES.items():
        if indices is None or name not in names_in(indices):
            where = f"{population.name}/indices/{name}"
            message = f"{population.file.filename}:{where} is missing: other programs will be slow to find edges."
            yield FileError(message, population.file.filename, where)
            continue
        index = read_group(indices, name)
        for ranges in [word for word in _RANGES if word in names_in(index)] or _RANGES[:1]:
            try:
                _check_index(index, ranges, node_ids[side], n_nodes[side])
            except FileError as error:
                yield error


def _check_index(index, name, node_ids, n_nodes):
    bounds = read_rows(find_dataset(index, name, n_nodes, integer=True, ndim=2)).astype(np.int64)
    ranges = find_dataset(index, "range_to_edge_id", integer=True, ndim=2)
    if bounds.shape[1] != 2 or ranges.shape[1] != 2:
        refuse(
            index, name, "has rows of another length than 2. Expected a first and a last one. Index the edges again."
        )
    # Nodes without edges may have any empty range.
    used = np.flatnonzero(bounds[:, 1] > bounds[:, 0])
    bad = used[(bounds[used, 0] < 0) | (bounds[used, 1] > ranges.shape[0])]
    if len(bad):
        refuse(index, name, f"leads outside range_to_edge_id at nodes {first_offenders(bad)}. Index the edges again.")
    node_of_range = np.full(ranges.shape[0], -1, dtype=np.int64)
    node_of_range[_expand(*bounds[used].T)] = np.repeat(used, np.diff(bounds[used], axis=1)[:, 0])
    _check_ranges(index, ranges, node_of_range, node_ids)


def _check_ranges(index, ranges, node_of_range, node_ids):
    times_seen = np.zeros(len(node_ids), dtype=np.uint8)
    for first in range(0, ranges.shape[0], _SLICE):
        starts, stops = read_rows(ranges, slice(first, first + _SLICE)).astype(np.int64).T
        nodes = node_of_range[first : first + _SLICE]
        bad = np.flatnonzero((starts < 0) | (stops < starts) | (stops > len(node_ids)))
        if len(bad) or (stops - starts).sum() > len(node_ids):
            refuse(
                index, "range_to_edge_id", f"[{first_offenders(first + bad)}] is no range of edges. Index them again."
            )
        edges = _expand(starts, stops)
        bad = edges[node_ids[edges] != np.repeat(nodes, stops - starts)]
        if len(bad):
            refuse(
                index, "range_to_edge_id", f"finds the edges {first_offenders(bad)} at other nodes. Index them again."
            )
        times_seen[edges] = np.minimum(times_seen[edges], 1) + 1
    bad = np.flatnonzero(times_seen != 1)
    if len(bad):
        refuse(index, "range_to_edge_id", f"does not hold the edges {first_offenders(bad)} once. Index them again.")


def _expand(starts, stops):
    """All numbers of some ranges, one after the other."""
    n_of_range = stops - starts
    before = np.cumsum(n_of_range) - n_of_range
    return np.arange(n_of_range.sum()) + np.repeat(starts - before, n_of_range)
