"""Projections as SONATA edge files: HDF5 columns in canonical order, edge types in a CSV, receptors in JSON.

An edge type is a source population, a target cell model, a receptor and a delay. The weight stays with each connection.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property

import h5py
import numpy as np
import pandas as pd

from twincortex.models.circuit import Projection, sort_projection
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.hdf5 import create_dataset, open_hdf5, read_dataset, read_group, write_dataset
from twincortex.models.parameters import read_populations, receptor_layout
from twincortex.models.sonata_tables import inside, read_json, read_type_table, stamp_provenance, write_type_table

# Edges are written this many at a time, so the columns of the file never stand in memory beside the circuit.
_SLICE = 2**22
_FIRST_TYPE_ID = 100


@dataclass(frozen=True)
class EdgeTypes:
    """The edge types that occur in one projection of a circuit.

    Attributes
    ----------
    circuit : Circuit
    projection : Projection
    """

    circuit: object
    projection: Projection

    @cached_property
    def source_populations(self):
        """Names of the source populations; one for all external units."""
        if self.projection.source != "v1":
            return np.array([self.projection.source])
        return np.unique(self.circuit.node_types.pop_name)

    @cached_property
    def _population_of_source(self):
        if self.projection.source != "v1":
            return np.zeros(self.projection.n_sources, dtype=np.int64)
        of_type = np.searchsorted(self.source_populations, self.circuit.node_types.pop_name)
        return of_type[self.circuit.nodes.type_index]

    @property
    def _shape(self):
        n_types = len(self.circuit.node_types.node_type_id)
        return len(self.source_populations), n_types, self.circuit.n_receptors, len(self.projection.delay_ms)

    def keys(self, start, stop):
        """Number the combination (population, cell model, receptor, delay) of edges start to stop, (n,) int64."""
        posts, receptors = np.divmod(self.projection.target[start:stop], self.circuit.n_receptors)
        populations = self._population_of_source[sources_between(self.projection, start, stop)]
        types = self.circuit.nodes.type_index[posts]
        return np.ravel_multi_index((populations, types, receptors, self.projection.delay_code[start:stop]), self._shape)

    @cached_property
    def present(self):
        """Keys that occur, ascending; edge type ids count them from 100."""
        occurs = np.zeros(np.prod(self._shape), dtype=bool)
        for start, stop in slices(self.projection.n_edges):
            occurs[self.keys(start, stop)] = True
        return np.flatnonzero(occurs)

    @cached_property
    def _id_of_key(self):
        ids = np.zeros(np.prod(self._shape), dtype=np.uint32)
        ids[self.present] = np.arange(len(self.present)) + _FIRST_TYPE_ID
        return ids

    def ids(self, start, stop):
        """Edge type ids of edges start to stop, (n,) uint32."""
        return self._id_of_key[self.keys(start, stop)]

    def table(self):
        """Edge types as the rows of a SONATA edge types file, with the receptor index in a column of its own."""
        populations, types, receptors, delays = np.unravel_index(self.present, self._shape)
        names = self.source_populations[populations]
        node_types = self.circuit.node_types
        pre = _synapse_classes(self.source_populations)[populations]
        post = _synapse_classes(node_types.pop_name)[types]
        queries = np.char.add(np.char.add("pop_name=='", names), "'") if self.projection.source == "v1" else "*"
        return pd.DataFrame(
            {
                "edge_type_id": np.arange(len(self.present)) + _FIRST_TYPE_ID,
                "target_query": [f"node_type_id=='{id_}'" for id_ in node_types.node_type_id[types]],
                "source_query": queries,
                "dynamics_params": [_synapse_file(*row) for row in zip(pre, post, receptors, strict=True)],
                "delay": self.projection.delay_ms[delays],
                "model_template": "static_synapse",
                "receptor": receptors,
            }
        )


def _synapse_classes(pop_names):
    known = read_populations().synapse_class
    classes = [known.get(name, "exc" if name in ("lgn", "bkg") else re.sub(r"[^\w.-]", "_", name)) for name in pop_names]
    return np.array(classes)


def _synapse_file(pre, post, receptor):
    # Circuits that do not follow the receptor layout of the column name the receptor.
    usual = receptor_layout().index.get((pre, post)) == receptor
    return f"{pre}_to_{post}.json" if usual else f"{pre}_to_{post}_receptor{receptor + 1}.json"


def slices(n_edges):
    """Yield (start, stop) of consecutive slices of edges that fit in memory beside the circuit."""
    for start in range(0, n_edges, _SLICE):
        yield start, min(start + _SLICE, n_edges)


def sources_between(projection, start, stop):
    """Presynaptic units of edges start to stop, (n,) int64."""
    first = np.searchsorted(projection.indptr, start, side="right") - 1
    last = np.searchsorted(projection.indptr, stop, side="left")
    bounds = np.clip(projection.indptr[first : last + 1], start, stop)
    return np.repeat(np.arange(first, last), np.diff(bounds))


def write_edge_types(path, synapse_folder, edge_types):
    """Write the edge types CSV and the synapse files that it names.

    Parameters
    ----------
    path : Path
    synapse_folder : Path
    edge_types : EdgeTypes
    """
    table = edge_types.table()
    for name, receptor in table[["dynamics_params", "receptor"]].drop_duplicates().itertuples(index=False):
        (synapse_folder / name).write_text(json.dumps({"receptor_type": int(receptor) + 1}) + "\n")
    write_type_table(path, table.drop(columns="receptor"))


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
        columns = {name: create_dataset(group, name, n_edges, np.uint32) for name in _ID_COLUMNS}
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


# edge_group_id is created but never written: every connection is in group 0, which is HDF5's fill value.
_ID_COLUMNS = ("source_node_id", "target_node_id", "edge_type_id", "edge_group_id", "edge_group_index")


def _write_indices(group, projection, n_receptors, n_neurons):
    by_source = group.create_group("source_to_target")
    bounds = np.stack([projection.indptr[:-1], projection.indptr[1:]], axis=1).astype(np.uint64)
    rows = np.arange(projection.n_sources, dtype=np.uint64)
    write_dataset(by_source, "node_id_to_range", np.stack([rows, rows + 1], axis=1))
    write_dataset(by_source, "range_to_edge_id", bounds)
    by_target = group.create_group("target_to_source")
    posts = projection.posts(n_receptors)
    ends = np.cumsum(np.bincount(posts, minlength=n_neurons))
    starts = np.concatenate([[0], ends[:-1]])
    write_dataset(by_target, "node_id_to_range", np.stack([starts, ends], axis=1).astype(np.uint64))
    edges = np.argsort(posts, kind="stable").astype(np.uint64)
    write_dataset(by_target, "range_to_edge_id", np.stack([edges, edges + 1], axis=1))


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
    types = read_type_table(types_path, "edge_type_id", ("dynamics_params", "delay"))
    receptor_of_type = _read_receptors(types, types_path, synapse_folder, n_receptors)
    with open_hdf5(path) as file:
        group = read_group(file, f"edges/{source}_to_v1")
        sources = _read_ids(group, "source_node_id", n_sources, f"{source} units")
        posts = _read_ids(group, "target_node_id", n_neurons, "neurons", len(sources))
        type_row = _rows_of_types(types, read_dataset(group, "edge_type_id", len(sources)), path, types_path)
        properties = read_group(group, "0")
        weight = read_dataset(properties, "syn_weight", len(sources)).astype(np.float32, copy=False)
        n_synapses = read_dataset(properties, "n_syns_", len(sources)) if "n_syns_" in properties else None
        delay_ms = np.asarray(group.attrs.get("delay_ms", np.unique(types.delay)), dtype=np.float64)
    if not np.isin(types.delay, delay_ms).all():
        raise InputError(f"{path}: attribute delay_ms lacks delays of {types_path}. Expected one table: write both again.")
    code = np.searchsorted(delay_ms, types.delay).astype(np.uint8)[type_row]
    target = posts.astype(np.int32) * n_receptors + receptor_of_type[type_row]
    if not _is_canonical(sources, code, target):
        return sort_projection(source, n_sources, sources, target, delay_ms[code], weight, n_synapses)
    indptr = np.searchsorted(sources, np.arange(n_sources + 1)).astype(np.int64)
    return Projection(source, n_sources, indptr, target, code, delay_ms, weight, n_synapses)


def _read_ids(group, name, n_nodes, what, length=None):
    ids = read_dataset(group, name, length)
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
    order = np.argsort(types.index)
    known = types.index.to_numpy()[order]
    row = np.searchsorted(known, type_ids).clip(max=len(known) - 1)
    bad = np.flatnonzero(known[row] != type_ids) if len(known) else np.arange(len(type_ids))
    if len(bad):
        raise InputError(
            f"{path}: edge_type_id[{first_offenders(bad)}] holds {first_offenders(type_ids[bad])}, which {types_path} does "
            "not list. Expected every edge type there: is the table cut short, or of another circuit?"
        )
    return order[row]


def _is_canonical(sources, code, target):
    later = (code[1:] > code[:-1]) | ((code[1:] == code[:-1]) & (target[1:] > target[:-1]))
    return bool(np.all((sources[1:] > sources[:-1]) | ((sources[1:] == sources[:-1]) & later)))
