"""Circuits with the weights of chosen pairs of cell types scaled or shuffled."""

import numpy as np

from twincortex.analysis.experiments.cohorts import in_group
from twincortex.models.errors import InputError
from twincortex.models.randomness import philox


def find_pairs(circuit, pairs):
    """Find the recurrent connections of pairs of cell types.

    Parameters
    ----------
    circuit : Circuit
    pairs : sequence of str
        ``"PRE:POST"``, each a cell type or class as of `cohorts.in_group`.

    Returns
    -------
    dict of str -> (n,) int64 array
        Connections in canonical order. A connection of two pairs belongs to the first.

    Raises
    ------
    InputError
        A pair is not of that form, unknown, or has no connection of its own.
    """
    projection = circuit.projections["v1_to_v1"]
    pre, post = projection.sources(), projection.posts(circuit.n_receptors)
    found, is_free = {}, np.ones(projection.n_edges, dtype=bool)
    for pair in pairs:
        if pair.count(":") != 1 or pair in found:
            raise InputError(f"pair {pair!r}: expected PRE:POST, such as L4_Exc:L2/3_PV, each once.")
        of_pre, of_post = (in_group(circuit, name) for name in pair.split(":"))
        chosen = is_free & of_pre[pre] & of_post[post]
        if not chosen.any():
            raise InputError(f"pair {pair!r}: no connection that is not of an earlier pair. Choose another pair.")
        found[pair], is_free = np.flatnonzero(chosen), is_free & ~chosen
    return found


def scale_weights(circuit, pairs, factor):
    """Multiply the weights of pairs.

    Parameters
    ----------
    circuit : Circuit
    pairs : dict of str -> (n,) int array
        Of `find_pairs`.
    factor : float
        Not negative: no cell changes its sign.

    Returns
    -------
    Circuit
    """
    weight = circuit.projections["v1_to_v1"].weight.copy()
    for edges in pairs.values():
        weight[edges] *= np.float32(factor)
    return circuit.with_weights({"v1_to_v1": weight})


def shuffle_weights(circuit, pairs, seed):
    """Exchange the magnitudes of weights at random within each pair; every connection keeps its sign.

    Parameters
    ----------
    circuit : Circuit
    pairs : dict of str -> (n,) int array
        Of `find_pairs`.
    seed : int

    Returns
    -------
    Circuit
    """
    weight = circuit.projections["v1_to_v1"].weight.copy()
    for number, edges in enumerate(pairs.values()):
        magnitude = philox(seed, "shuffled_weights", number).permutation(np.abs(weight[edges]))
        weight[edges] = np.copysign(magnitude, weight[edges])
    return circuit.with_weights({"v1_to_v1": weight})
