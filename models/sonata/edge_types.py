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
from twincortex.models.sonata.edge_columns import Edges, mark_combinations
from twincortex.models.sonata.tables import write_type_table

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
    def edges(self):
        """What `edge_columns` computes the columns of the edge file from, an Edges."""
        projection, nodes = self.projection, self.circuit.nodes
        population = np.zeros(projection.n_sources, dtype=np.int64)
        if projection.source == "v1":
            population = np.searchsorted(self.source_populations, self.circuit.node_types.pop_name)[nodes.type_index]
        arrays = projection.indptr, projection.target, projection.delay_code, population, nodes.type_index
        return Edges(*map(np.ascontiguousarray, arrays), self.circuit.n_receptors)

    @cached_property
    def _occurs(self):
        n_types = len(self.circuit.node_types.node_type_id)
        n_receptors, n_delays = self.circuit.n_receptors, len(self.projection.delay_ms)
        occurs = np.zeros((len(self.source_populations), n_types, n_receptors, n_delays), dtype=bool)
        mark_combinations(self.edges, occurs)
        return occurs

    @cached_property
    def ids(self):
        """Edge type id of every combination, (n_populations, n_types, n_receptors, n_delays) uint32; 0 where unused."""
        ids = np.zeros(self._occurs.shape, dtype=np.uint32)
        ids[self._occurs] = np.arange(np.count_nonzero(self._occurs)) + _FIRST_TYPE_ID
        return ids

    def table(self):
        """Edge types as the rows of a SONATA edge types file, with the receptor index in a column of its own."""
        populations, types, receptors, delays = np.nonzero(self._occurs)
        names = self.source_populations[populations]
        node_types = self.circuit.node_types
        pre = _synapse_classes(self.source_populations)[populations]
        post = _synapse_classes(node_types.pop_name)[types]
        queries = np.char.add(np.char.add("pop_name=='", names), "'") if self.projection.source == "v1" else "*"
        return pd.DataFrame(
            {
                "edge_type_id": self.ids[self._occurs],
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
