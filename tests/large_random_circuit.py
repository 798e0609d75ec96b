"""Random circuits as large as the column, made in seconds: for measurements, not for physiology."""

import numpy as np

from twincortex.models.circuit import Circuit, Nodes, Projection
from twincortex.models.column.placement import node_types_of
from twincortex.models.parameters import read_cell_models, receptor_layout

from circuits import some_lgn_units

# Of the column built here, in steps of 1 ms: share of the recurrent connections with each delay, and how many of the
# eight receptors the connections onto a cell model use.
_DELAY_SHARES = {1.0: 0.71, 2.0: 0.25, 3.0: 0.04}
_RECEPTORS_OF_A_MODEL = (4, 5, 5)
_SOURCES_AT_ONCE = 4096


def large_random_circuit(seed, n, n_recurrent, n_lgn_edges, n_lgn=17_400, n_bkg=100, bkg_weight=20.0):
    """Connect neurons of all cell models at random; weights [pA] so small that the background alone makes them fire.

    Parameters
    ----------
    seed : int
    n, n_lgn, n_bkg : int
        Neurons and units.
    n_recurrent, n_lgn_edges : int
        Connections, about.
    bkg_weight : float [pA]

    Returns
    -------
    Circuit
    """
    rng = np.random.default_rng(seed)
    node_types = node_types_of(read_cell_models())
    type_index = (np.arange(n, dtype=np.int64) * len(node_types.node_type_id) // n).astype(np.int32)
    zeros = np.zeros(n)
    nodes = Nodes(type_index, zeros, zeros, zeros, zeros, np.full(n, 1000, dtype=np.int32))
    receptors = _receptors_of_neurons(rng, type_index, len(node_types.node_type_id), receptor_layout().n_receptors)

    def connect(source, n_sources, n_edges, shares, weight):
        return _random_projection(rng, source, n_sources, n_edges, shares, weight, receptors)

    projections = {
        "v1_to_v1": connect("v1", n, n_recurrent, _DELAY_SHARES, 0.01),
        "lgn_to_v1": connect("lgn", n_lgn, n_lgn_edges, {1.7: 1.0}, 0.01),
        "bkg_to_v1": connect("bkg", n_bkg, 4 * n, {1.0: 1.0}, bkg_weight),
    }
    return Circuit(nodes, node_types, some_lgn_units(seed, n_lgn), projections, {"size": "random", "seed": seed})


def _receptors_of_neurons(rng, type_index, n_models, n_receptors):
    """(N, 60) int8: a random element of row i is a receptor of neuron i."""
    rows = []
    for model in range(n_models):
        chosen = rng.permutation(n_receptors)[: _RECEPTORS_OF_A_MODEL[model % len(_RECEPTORS_OF_A_MODEL)]]
        rows.append(np.resize(chosen, 60))
    return np.array(rows, dtype=np.int8)[type_index]


def _random_projection(rng, source, n_sources, n_edges, shares, weight, receptors):
    n_receptors = receptor_layout().n_receptors
    counts = [max(1, round(n_edges / n_sources * share)) for share in shares.values()]
    target = np.empty((n_sources, sum(counts)), dtype=np.int32)
    for first in range(0, n_sources, _SOURCES_AT_ONCE):
        rows = target[first : first + _SOURCES_AT_ONCE]
        post = rng.integers(0, len(receptors), rows.shape, dtype=np.int32)
        rows[:] = post * n_receptors + receptors[post, rng.integers(0, receptors.shape[1], rows.shape, dtype=np.int8)]
        for start, stop in zip(np.cumsum([0, *counts[:-1]]), np.cumsum(counts), strict=True):
            rows[:, start:stop].sort(axis=1)
    return Projection(
        source=source,
        n_sources=n_sources,
        indptr=np.arange(n_sources + 1, dtype=np.int64) * sum(counts),
        target=target.ravel(),
        delay_code=np.tile(np.repeat(np.arange(len(counts), dtype=np.uint8), counts), n_sources),
        delay_ms=np.array(list(shares)),
        weight=weight * rng.uniform(0.5, 1.5, target.size).astype(np.float32),
    )
