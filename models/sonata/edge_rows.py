"""Rows of one population of edges in an open SONATA file: who is connected with whom, and by which type."""

import numpy as np

from twincortex.models.errors import FileError, first_offenders, near_name_hint
from twincortex.models.hdf5.access import refuse
from twincortex.models.hdf5.reading import find_dataset, read_attribute, read_group, read_rows
from twincortex.models.sonata.groups import read_groups
from twincortex.models.sonata.node_reading import is_ours
from twincortex.models.sonata.populations import NEURONS
from twincortex.models.sonata.type_tables import one_type, read_type_table

# Rows that are read at once.
SLICE = 2**21


class EdgeRows:
    """The rows of a population of edges.

    Parameters
    ----------
    file : h5py.File
    files : (Path, Path or None)
        Of the edges and of their types.
    name : str
    populations : Populations

    Attributes
    ----------
    group : h5py.Group
    n_rows : int
    source, target : Source
        Where the ends of the edges stand in the circuit.
    types : TypeTable
    used_types : (n_types,) bool array
        Types that occur; all of them in files that we wrote.
    groups : Groups
    is_ours : bool

    Raises
    ------
    FileError
        Datasets missing, cut or of different lengths, populations that the circuit lacks, edges onto virtual nodes.
    """

    def __init__(self, file, files, name, populations):
        self.path, self.name, self.is_ours = files[0], name, is_ours(file)
        self.group = read_group(file, f"edges/{name}")
        self._ids = {"source": find_dataset(self.group, "source_node_id", integer=True)}
        self.n_rows = self._ids["source"].shape[0]
        self._ids["target"] = find_dataset(self.group, "target_node_id", self.n_rows, integer=True)
        self.source, self.target = (self._end(side, populations) for side in ("source", "target"))
        if self.target.name != NEURONS:
            refuse(self.group, "", f"leads onto the virtual population {self.target.name}. Expected point neurons.")
        self.types = one_type() if files[1] is None else read_type_table(files[1], "edge_type_id")
        self.groups = read_groups(self.group, "edge", self.n_rows)
        self.used_types = self._find_used_types()

    def _end(self, side, populations):
        """Source of the circuit in which one end of the edges lies."""
        name = read_attribute(self._ids[side], "node_population")
        if name is None:
            parts = self.name.split("_to_")
            name = parts[0 if side == "source" else -1] if len(parts) == 2 else None
        if not isinstance(name, str) or name not in populations.sources:
            hint = near_name_hint(name, populations.sources)
            refuse(
                self.group,
                f"{side}_node_id",
                f"belongs to node_population {name!r:.80}, which is not in the circuit; {hint}.",
            )
        return populations.sources[name]

    def _find_used_types(self):
        if self.is_ours or self.types.path is None:
            return np.ones(len(self.types), dtype=bool)
        used = np.zeros(len(self.types), dtype=bool)
        for start, stop in self.slices():
            used[self.type_rows(start, stop)] = True
        return used

    def slices(self):
        """Yield (start, stop) of consecutive slices of rows."""
        for start in range(0, self.n_rows, SLICE):
            yield start, min(start + SLICE, self.n_rows)

    def refuse_rows(self, dataset, rows, what):
        """Raise a FileError about some rows."""
        name = f"{self.group.name}/{dataset}"
        raise FileError(f"{self.path}:{name}[{first_offenders(rows)}] {what}", self.path, name, rows)

    def sources(self, start, stop):
        """Presynaptic unit of each row, (n,) int32, numbered as in the projection."""
        return self._nodes("source", self.source, start, stop)

    def posts(self, start, stop):
        """Postsynaptic neuron of each row, (n,) int32."""
        return self._nodes("target", self.target, start, stop)

    def _nodes(self, side, end, start, stop):
        ids = read_rows(self._ids[side], slice(start, stop))
        if len(ids) and (ids.min() < 0 or ids.max() >= end.n_nodes):
            bad = np.flatnonzero((ids < 0) | (ids >= end.n_nodes))
            what = "neurons" if end.name == NEURONS and side == "target" else f"{end.name} units"
            self.refuse_rows(
                f"{side}_node_id",
                start + bad,
                f"holds {first_offenders(ids[bad])}; expected ids of {end.n_nodes:,} {what}, 0 to {end.n_nodes - 1}. "
                "Do the node and edge files belong together?",
            )
        ids = ids.astype(np.int32, copy=False)
        return ids + np.int32(end.first) if end.first else ids

    def type_rows(self, start, stop):
        """Row of the table of types of each edge, (n,) int32."""
        if self.types.path is None:
            return np.zeros(stop - start, dtype=np.int32)
        ids = read_rows(find_dataset(self.group, "edge_type_id", self.n_rows, integer=True), slice(start, stop))
        rows = self.types.rows_of(ids)
        if rows.min(initial=0) < 0:
            bad = np.flatnonzero(rows < 0)
            self.refuse_rows(
                "edge_type_id",
                start + bad,
                f"holds {first_offenders(ids[bad])}, which {self.types.path} does not list. Expected every edge type "
                "there: is the table cut short, or of another circuit?",
            )
        return rows
