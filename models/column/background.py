"""Background input: every neuron listens to a few of 100 shared units that fire at random."""

import numpy as np

from twincortex.models.circuit import sort_projection
from twincortex.models.parameters import read_cell_models, read_external_inputs, read_populations, receptor_layout
from twincortex.models.randomness import philox

UNITS_PER_NEURON = 4


def connect_background(nodes, node_types, seed):
    """Connect the background units to the column.

    Parameters
    ----------
    nodes : Nodes
    node_types : NodeTypes
    seed : int

    Returns
    -------
    Projection
        Four distinct units per neuron, one synapse each, with the tuned weight of the cell model. The pool is shared,
        so neurons have a little noise in common.

    Source
    ------
    biorealistic-v1-model, edge_funcs.py (select_bkg_sources), bkg_v1_edge_types of the paper's networks.
    """
    source = read_external_inputs().loc["bkg"]
    layout, n_neurons = receptor_layout(), len(nodes.x)
    post_class = read_populations().synapse_class[node_types.pop_name]
    receptor = np.array([layout.index[source.synapse_class, post] for post in post_class])
    weight = read_cell_models().bkg_weight_pA.loc[node_types.node_type_id].to_numpy()
    units = choose_distinct(philox(seed, "column: background units"), int(source.n_units), UNITS_PER_NEURON, n_neurons)
    post = np.repeat(np.arange(n_neurons), UNITS_PER_NEURON)
    return sort_projection(
        "bkg",
        int(source.n_units),
        units.ravel(),
        post * layout.n_receptors + receptor[nodes.type_index[post]],
        np.full(len(post), source.delay_ms),
        weight[nodes.type_index[post]],
    )


def choose_distinct(rng, n_units, n_chosen, n_times):
    """Choose units without replacement, many times.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_units, n_chosen, n_times : int

    Returns
    -------
    (n_times, n_chosen) int64 array
        Distinct within a row; every set equally likely.
    """
    chosen = rng.integers(0, n_units - np.arange(n_chosen), size=(n_times, n_chosen))
    for k in range(1, n_chosen):
        # The draw counts only the units that are left: step over those taken before, in ascending order.
        for taken in np.sort(chosen[:, :k], axis=1).T:
            chosen[:, k] += chosen[:, k] >= taken
    return chosen
