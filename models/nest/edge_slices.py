"""Edge files read slice by slice, so that no more than a slice of a projection stands in memory."""

from typing import NamedTuple

import numpy as np

from twincortex.models.errors import InputError, first_offenders
from twincortex.models.hdf5.reading import find_dataset, open_hdf5, read_group, read_rows
from twincortex.models.sonata.type_tables import read_type_table

# 2 million edges, 60 MB; NEST wants five doubles for each.
_SLICE = 2**21


class EdgeSlice(NamedTuple):
    """Consecutive edges of a file, or those of them that are wanted.

    Attributes
    ----------
    edge : (n,) int64 array
        Place in the file.
    source, target : (n,) int64 arrays
    type_row : (n,) int32 array
        Row of the edge types; -1 where they lack it.
    weight : (n,) float32 array [pA]
    """

    edge: np.ndarray
    source: np.ndarray
    target: np.ndarray
    type_row: np.ndarray
    weight: np.ndarray


def read_edge_types(path):
    """Read edge types and their delays.

    Parameters
    ----------
    path : Path
        Edge types CSV.

    Returns
    -------
    types : TypeTable
    delay : (n_types,) float64 array [ms]
    """
    types = read_type_table(path, "edge_type_id")
    delay = types.numbers("delay")
    bad = types.ids[~(np.isfinite(delay) & (delay > 0))]
    if len(bad):
        raise InputError(f"{path}: delay of types {first_offenders(bad)}: expected a positive number of ms.")
    return types, delay


def read_edge_slices(path, source, types, is_wanted=None):
    """Yield the edges of a file, slice by slice.

    Parameters
    ----------
    path : Path
        HDF5 file.
    source : str
        ``"v1"``, ``"lgn"`` or ``"bkg"``.
    types : TypeTable
        Of `read_edge_types`.
    is_wanted : (n_sources,) bool array, optional
        Presynaptic units whose edges are wanted. Default: all.

    Yields
    ------
    EdgeSlice

    Raises
    ------
    InputError
        A dataset is missing, damaged or of another length than its neighbors.
    """
    with open_hdf5(path) as file:
        group = read_group(file, f"edges/{source}_to_v1")
        sources = find_dataset(group, "source_node_id", integer=True)
        n_edges = len(sources)
        targets, ids = (find_dataset(group, name, n_edges, True) for name in ("target_node_id", "edge_type_id"))
        weights = find_dataset(read_group(group, "0"), "syn_weight", n_edges)
        for start in range(0, n_edges, _SLICE):
            here = slice(start, min(start + _SLICE, n_edges))
            source_ids = read_rows(sources, here).astype(np.int64)
            wanted = slice(None) if is_wanted is None else np.flatnonzero(is_wanted[source_ids])
            edge = np.arange(here.start, here.stop)[wanted]
            if len(edge):
                yield EdgeSlice(
                    edge=edge,
                    source=source_ids[wanted],
                    target=read_rows(targets, here)[wanted].astype(np.int64),
                    type_row=types.rows_of(read_rows(ids, here)[wanted]),
                    weight=read_rows(weights, here)[wanted].astype(np.float32, copy=False),
                )
