"""A SONATA folder as the NEST engine knows it: counts, delays and hashes, without ever holding its edges."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twincortex.models.circuit import delay_steps
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.hdf5.reading import open_hdf5, read_dataset, read_group
from twincortex.models.nest.edge_slices import read_edge_slices, read_edge_types
from twincortex.models.parameters import read_external_inputs
from twincortex.models.sonata.checksums import CHECKSUMS, check_files, check_hashes
from twincortex.models.sonata.configuration import Configuration, find_configuration, read_configuration
from twincortex.models.sonata.type_tables import read_type_table
from twincortex.models.sonata.weight_files import find_weights, refuse_other_circuit


@dataclass(frozen=True)
class EdgeFile:
    """A projection in its file.

    Attributes
    ----------
    path, types_path : Path
        HDF5 file and edge types CSV.
    n_sources : int
    delay_ms : (n_delays,) float64 array, ascending
    n_edges_per_delay : (n_delays,) int64 array
    """

    path: Path
    types_path: Path
    n_sources: int
    delay_ms: np.ndarray
    n_edges_per_delay: np.ndarray

    @property
    def n_edges(self):
        """Number of connections."""
        return int(self.n_edges_per_delay.sum())

    def delay_steps(self, dt):
        """Each delay in steps of dt, (n_delays,) uint8 (see `circuit.delay_steps`)."""
        return delay_steps(self.delay_ms, dt)


@dataclass(frozen=True)
class CircuitFolder:
    """Stands in for a Circuit wherever only counts, delays and hashes are asked for.

    Attributes
    ----------
    files : Configuration
    n_neurons : int
    projections : dict of str -> EdgeFile
    topology_hash : str
        As it was when the folder was written.
    weights_hash : str
        Of the weights in the files.
    """

    files: Configuration
    n_neurons: int
    projections: dict
    topology_hash: str
    weights_hash: str


def is_ours(path):
    """Tell whether a circuit has the checksums that `sonata.write_circuit` writes.

    Parameters
    ----------
    path : str or Path
        As for `open_circuit_folder`.
    """
    return (find_configuration(path).parent / CHECKSUMS).is_file()


def open_circuit_folder(path, weights_folder=None, tag=None):
    """Read a folder of `sonata.write_circuit` once, slice by slice, and check it.

    Parameters
    ----------
    path : str or Path
        The folder, or a configuration in it.
    weights_folder : str or Path, optional
        Where the trained weights are. Default: the folder ``network`` of the circuit.
    tag : str, optional
        Take the edge files of `sonata.write_weights` of that tag.

    Returns
    -------
    CircuitFolder

    Raises
    ------
    InputError
        The folder was not written by us or was changed since; ids are out of range, weights not finite or of the wrong
        sign; the weights belong to another circuit.
    """
    files = read_configuration(path)
    root = files.path.parent
    checksums = check_files(root)
    if "topology_hash" not in checksums or set(files.edges) != {f"{source}_to_v1" for source in files.nodes}:
        raise InputError(
            f"{root} holds no {CHECKSUMS} with a topology_hash, or other populations than v1 and its sources. Expected "
            "a folder that twincortex wrote: read this one with twincortex.models.sonata.read_circuit and pass the "
            "Circuit."
        )
    if tag is not None:
        folder = root / "network" if weights_folder is None else weights_folder
        found = find_weights(checksums["topology_hash"], files.edges, folder, tag)
        files = replace(files, edges=files.edges | {name: (file, files.edges[name][1]) for name, file in found.items()})
    sign = {f"{source}_to_v1": _sign_of_weights(source, *paths) for source, paths in files.nodes.items()}
    digest = hashlib.sha256()
    projections = {}
    n_neurons = len(sign["v1_to_v1"])
    for name in sorted(files.edges):
        refuse_other_circuit(files.edges[name][0], checksums["topology_hash"])
        digest.update(name.encode())
        projections[name] = _scan(files.edges[name], name, sign[name], n_neurons, digest)
    circuit = CircuitFolder(files, n_neurons, projections, checksums["topology_hash"], digest.hexdigest())
    check_hashes(circuit, checksums, root, files.paths())
    return circuit


def _sign_of_weights(source, path, types_path):
    """Sign that the weights of every unit have to have, 0 where it is not known (see `circuit.sign_of_sources`)."""
    with open_hdf5(path) as file:
        type_ids = read_dataset(read_group(file, f"nodes/{source}"), "node_type_id", integer=True)
    if source != "v1":
        return np.full(len(type_ids), 1 if source in read_external_inputs().index else 0)
    types = read_type_table(types_path, "node_type_id")
    of_type = np.array([{"e": 1, "i": -1}.get(ei, 0) for ei in types.text("ei")])
    return of_type[types.rows_of(type_ids)]


def _scan(paths, name, sign, n_neurons, digest):
    """Check the edges of a file, count those of every delay, and add their weights to the hash."""
    path, types_path = paths
    types, delay = read_edge_types(types_path)
    n_edges = np.zeros(len(types), dtype=np.int64)
    for edges in read_edge_slices(path, name.removesuffix("_to_v1"), types):
        for column, ids, n in (
            ("source_node_id", edges.source, len(sign)),
            ("target_node_id", edges.target, n_neurons),
        ):
            _refuse(f"{path}:/edges/{name}/{column}", "out of range", edges.edge, (ids < 0) | (ids >= n))
        _refuse(f"{path}:/edges/{name}/edge_type_id", f"missing in {types_path}", edges.edge, edges.type_row < 0)
        where = f"{path}:/edges/{name}/0/syn_weight"
        _refuse(where, "not finite", edges.edge, ~np.isfinite(edges.weight))
        _refuse(where, "of the wrong sign for its unit", edges.edge, sign[edges.source] * edges.weight < 0)
        n_edges += np.bincount(edges.type_row, minlength=len(types))
        digest.update(np.ascontiguousarray(edges.weight))
    delay_ms, row = np.unique(delay, return_inverse=True)
    n_edges_per_delay = np.bincount(row, n_edges, minlength=len(delay_ms)).astype(np.int64)
    return EdgeFile(path, types_path, len(sign), delay_ms, n_edges_per_delay)


def _refuse(where, what, edge, is_bad):
    bad = edge[is_bad]
    if len(bad):
        raise InputError(
            f"{where}[{first_offenders(bad)}] is {what}. The file was changed after it was written: copy the circuit "
            "again, or build it again."
        )
