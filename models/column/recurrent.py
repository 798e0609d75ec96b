"""Recurrent connections of a column: who connects to whom, with which delay, onto which receptor.

Targets are drawn in parallel, each from its own random streams, so the network does not depend on the number of
threads. Memory stays near that of the finished connections: until they are sorted by source they take 4 bytes each.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from twincortex.models.column.by_source import Labels, collect_by_source, pack_block, targets_per_block
from twincortex.models.column.grid import sort_sources
from twincortex.models.column.target_blocks import Wiring, draw_block
from twincortex.models.column.wiring_tables import cell_types, make_targets, pair_rules
from twincortex.models.parameters import POSTSYNAPTIC_CLASSES, read_class_pairs, read_populations, receptor_layout
from twincortex.models.randomness import stream_key


def connect_recurrent(nodes, node_types, core_radius_um, seed, n_threads=None, progress=None):
    """Draw the recurrent connections of a column.

    Parameters
    ----------
    nodes : Nodes
    node_types : NodeTypes
    core_radius_um : float [um]
    seed : int
    n_threads : int, optional
        All processors by default; the result does not depend on it.
    progress : callable, optional
        Called with (done, total) targets.

    Returns
    -------
    Topology
        Each pair of different neurons is connected at most once, independently, with its ``connection_probability``.
    """
    n_neurons = len(nodes.x)
    wiring = make_wiring(nodes, node_types, core_radius_um, seed)
    size = targets_per_block(n_neurons)

    def draw(first):
        last = min(first + size, n_neurons)
        return pack_block(first, *draw_block(wiring, first, last), n_neurons)

    with ThreadPoolExecutor(n_threads or os.cpu_count()) as pool:
        blocks = []
        for block in pool.map(draw, range(0, n_neurons, size)):
            blocks.append(block)
            if progress:
                progress(min(len(blocks) * size, n_neurons), n_neurons)
        return collect_by_source(blocks, make_labels(nodes, node_types), lambda *task: list(pool.map(*task)))


def make_wiring(nodes, node_types, core_radius_um, seed):
    """Gather everything that decides who connects to whom."""
    targets = make_targets(nodes, node_types, core_radius_um)
    _, excitatory = cell_types()
    return Wiring(
        sort_sources(nodes, targets.cell_type, excitatory),
        targets,
        pair_rules(),
        stream_key(seed, "column: recurrent candidates"),
        stream_key(seed, "column: recurrent connections"),
    )


def make_labels(nodes, node_types):
    """Gather the receptors and the delays of all pairs of synapse classes."""
    layout = receptor_layout()
    pairs = [(pre, post) for pre in POSTSYNAPTIC_CLASSES for post in POSTSYNAPTIC_CLASSES]
    shape = (len(POSTSYNAPTIC_CLASSES), len(POSTSYNAPTIC_CLASSES))
    delays, code = np.unique(read_class_pairs().delay_ms.reindex(pairs).to_numpy(), return_inverse=True)
    rank, code_of_rank = np.empty(shape, dtype=np.int64), np.zeros(shape, dtype=np.uint8)
    for pre, row in enumerate(code.reshape(shape)):
        different, rank[pre] = np.unique(row, return_inverse=True)
        code_of_rank[pre, : len(different)] = different
    class_of_type = read_populations().synapse_class[node_types.pop_name].map(POSTSYNAPTIC_CLASSES.index)
    return Labels(
        synapse_class=class_of_type.to_numpy(dtype=np.int8)[nodes.type_index],
        receptor=np.array([layout.index[pair] for pair in pairs], dtype=np.int32).reshape(shape),
        delay_rank=rank,
        delay_code=code_of_rank,
        n_receptors=layout.n_receptors,
        delay_ms=delays,
    )
