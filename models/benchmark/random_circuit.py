"""Random recurrent circuits of the real cell models, of any number of neurons and connections."""

import numpy as np

from twincortex.models.circuit import Circuit, Nodes, sort_projection
from twincortex.models.column.background import connect_background
from twincortex.models.column.lgn_units import build_lgn_units
from twincortex.models.column.placement import make_node_types
from twincortex.models.parameters import read_cell_models, read_populations, receptor_layout
from twincortex.models.randomness import philox

DELAYS_MS = (1.0, 2.0, 3.0)
# Mean weights for 500 connections onto a neuron. Inhibition is eight times as strong, for there are six times as many
# excitatory cells: the mean of what a neuron gets from the others inhibits, and activity does not run away.
_WEIGHT_PA = {"e": 1.0, "i": -8.0}
_IN_DEGREE = 500
_SPREAD = 0.5  # of the logarithm


def make_random_circuit(n_neurons, n_connections, seed):
    """Connect neurons at random; every cell model is as frequent as in the column.

    Parameters
    ----------
    n_neurons, n_connections : int
        No two connections have the same pre- and postsynaptic neuron.
    seed : int

    Returns
    -------
    Circuit
        Delays of 1, 2 and 3 ms with equal probability; log-normal weights, smaller where a neuron gets more
        connections; the receptor of a connection is that of its two cell models. The background is the column's; the
        LGN is empty.
    """
    node_types = make_node_types()
    frequency = read_cell_models().n_full.to_numpy(dtype=np.float64)
    rng = philox(seed, "random circuit: neurons")
    type_index = np.sort(rng.choice(len(frequency), n_neurons, p=frequency / frequency.sum())).astype(np.int32)
    zeros, ones = np.zeros(n_neurons), np.ones(n_neurons, dtype=np.int32)
    nodes = Nodes(type_index, x=zeros, y=zeros, z=zeros, tuning_angle=zeros, target_size=ones)
    nothing = np.zeros(0, dtype=np.int64)
    projections = {
        "v1_to_v1": _recurrent(type_index, node_types.pop_name, n_connections, seed),
        "lgn_to_v1": sort_projection("lgn", 0, nothing, nothing, nothing, nothing),
        "bkg_to_v1": connect_background(nodes, node_types, seed),
    }
    provenance = {"size": "random", "neurons": n_neurons, "connections": n_connections, "seed": seed}
    return Circuit(nodes, node_types, build_lgn_units(seed).iloc[:0], projections, provenance)


def _recurrent(type_index, pop_name, n_connections, seed):
    n = len(type_index)
    rng = philox(seed, "random circuit: connections")
    pre, post = np.divmod(_distinct(rng, n * (n - 1), n_connections), n - 1)
    post += post >= pre  # no neuron connects to itself
    populations = read_populations().loc[pop_name]
    weight = populations.ei.map(_WEIGHT_PA).to_numpy()[type_index[pre]] * (_IN_DEGREE * n / n_connections)
    return sort_projection(
        "v1",
        n,
        pre,
        post * receptor_layout().n_receptors + _receptors(populations)[type_index[pre], type_index[post]],
        rng.choice(DELAYS_MS, n_connections),
        weight * rng.lognormal(0.0, _SPREAD, n_connections),
    )


def _distinct(rng, n_values, n_drawn):
    """Draw distinct numbers below n_values: (n_drawn,) int64, ascending."""
    values = np.zeros(0, dtype=np.int64)
    while len(values) < n_drawn:
        values = np.union1d(values, rng.integers(0, n_values, n_drawn - len(values) // 2))
    return np.delete(values, rng.choice(len(values), len(values) - n_drawn, replace=False))


def _receptors(populations):
    """Receptor of a connection by the cell models of its two neurons, (M, M)."""
    layout = receptor_layout()
    classes, row = np.unique(populations.synapse_class.to_numpy(dtype=str), return_inverse=True)
    table = np.array([[layout.index[pre, post] for post in classes] for pre in classes])
    return table[row][:, row]
