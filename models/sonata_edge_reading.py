"""Projections read from SONATA edge files, into the canonical order of a Projection."""

import numpy as np
import pandas as pd

from twincortex.models.circuit import Projection, sort_projection
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.hdf5 import open_hdf5, read_dataset, read_group
from twincortex.models.sonata_edge_types import slices
from twincortex.models.sonata_tables import inside, read_json, read_type_table

# Edge types whose ids lie this close together are found through a table, ten times faster than by searching.
_DENSE_IDS = 10**7


def read_edges(path, types_path, synapse_folder, source, n_sources, n_neurons, n_receptors):
    """Read one projection.

    Parameters
    ----------
    path, types_path : Path
        HDF5 file and edge types CSV.
    synapse_folder : Path
        Folder of the synapse files.
    source : str
        ``"v1"``, ``"lgn"`` or ``"bkg"``.
    n_sources, n_neurons, n_receptors : int

    Returns
    -------
    Projection

    Raises
    ------
    InputError
        Datasets missing, cut or of different lengths, ids out of range, unknown edge types.
    """
    types = read_type_table(types_path, "edge_type_id", {"dynamics_params": str, "delay": float})
    bad = types.index[~(np.isfinite(types.delay) & (types.delay > 0))].to_numpy()
    if len(bad):
        raise InputError(f"{types_path}: delay of types {first_offenders(bad)}: expected a positive number of ms.")
    receptor_of_type = _read_receptors(types, types_path, synapse_folder, n_receptors)
    with open_hdf5(path) as file:
        group = read_group(file, f"edges/{source}_to_v1")
        sources = _read_ids(group, "source_node_id", n_sources, f"{source} units")
        posts = _read_ids(group, "target_node_id", n_neurons, "neurons", len(sources))
        type_row = _rows_of_types(
            types, read_dataset(group, "edge_type_id", len(sources), integer=True), path, types_path
        )
        properties = read_group(group, "0")
        weight = read_dataset(properties, "syn_weight", len(sources)).astype(np.float32, copy=False)
        n_synapses = (
            read_dataset(properties, "n_syns_", len(sources), integer=True) if "n_syns_" in properties else None
        )
        delay_ms = np.asarray(group.attrs.get("delay_ms", np.unique(types.delay.to_numpy())), dtype=np.float64)
    if not np.isin(types.delay, delay_ms).all():
        raise InputError(
            f"{path}: attribute delay_ms lacks delays of {types_path}. Expected one table: write both again."
        )
    code = np.searchsorted(delay_ms, types.delay).astype(np.uint8)[type_row]
    target = posts.astype(np.int32) * n_receptors + receptor_of_type[type_row]
    if not _is_canonical(sources, code, target):
        return sort_projection(source, n_sources, sources, target, delay_ms[code], weight, n_synapses)
    indptr = np.searchsorted(sources, np.arange(n_sources + 1)).astype(np.int64)
    return Projection(source, n_sources, indptr, target, code, delay_ms, weight, n_synapses)


def _read_ids(group, name, n_nodes, what, length=None):
    ids = read_dataset(group, name, length, integer=True)
    bad = np.flatnonzero((ids < 0) | (ids >= n_nodes))
    if len(bad):
        raise InputError(
            f"{group.file.filename}:{group.name}/{name}[{first_offenders(bad)}] holds {first_offenders(ids[bad])}; "
            f"expected ids of {n_nodes:,} {what}, 0 to {n_nodes - 1}. Do the node and edge files belong together?"
        )
    return ids


def _read_receptors(types, types_path, synapse_folder, n_receptors):
    receptors = {}
    for name in pd.unique(types.dynamics_params):
        path = inside(synapse_folder, str(name), types_path)
        receptor = read_json(path).get("receptor_type")
        if not isinstance(receptor, int) or not 1 <= receptor <= n_receptors:
            raise InputError(
                f"{path}: receptor_type {receptor!r}; expected 1 to {n_receptors}, the receptors of the cell models. "
                "Correct the file."
            )
        receptors[name] = receptor - 1
    return types.dynamics_params.map(receptors).to_numpy(dtype=np.int32)


def _rows_of_types(types, type_ids, path, types_path):
    rows = np.empty(len(type_ids), dtype=np.int32)
    find = _row_finder(types.index.to_numpy())
    for start, stop in slices(len(type_ids)):
        rows[start:stop] = find(type_ids[start:stop].astype(np.int64))
    bad = np.flatnonzero(rows < 0)
    if len(bad):
        raise InputError(
            f"{path}: edge_type_id[{first_offenders(bad)}] holds {first_offenders(type_ids[bad])}, which {types_path} "
            "does not list. Expected every edge type there: is the table cut short, or of another circuit?"
        )
    return rows


def _row_finder(known):
    """Return a function from ids to rows of ``known``, -1 where an id is unknown."""
    first, last = known.min(initial=0), known.max(initial=0)
    if last - first > _DENSE_IDS:
        return pd.Index(known).get_indexer
    row_of_id = np.full(last - first + 2, -1, dtype=np.int32)
    row_of_id[known - first] = np.arange(len(known))
    return lambda ids: row_of_id[np.where((ids >= first) & (ids <= last), ids - first, -1)]


def _is_canonical(sources, code, target):
    later = (code[1:] > code[:-1]) | ((code[1:] == code[:-1]) & (target[1:] > target[:-1]))
    return bool(np.all((sources[1:] > sources[:-1]) | ((sources[1:] == sources[:-1]) & later)))
