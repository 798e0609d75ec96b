"""Edge types: source population, target cell model, receptor and delay, which the connections of a type share.

SONATA keeps them in a CSV and the receptor in a JSON file of NEST's; the weight stays with each connection.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from twincortex.models.circuit import Circuit, Projection
from twincortex.models.parameters import read_populations, receptor_layout
from twincortex.models.sonata_tables import write_type_table

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

    circuit: Circuit
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
        return np.ravel_multi_index(
            (populations, types, receptors, self.projection.delay_code[start:stop]), self._shape
        )

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
    classes = [
        known.get(name, "exc" if name in ("lgn", "bkg") else re.sub(r"[^\w.-]", "_", name)) for name in pop_names
    ]
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
