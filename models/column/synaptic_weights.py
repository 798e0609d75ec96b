"""Weights of the recurrent connections: a lognormal PSP, scaled to the size and the excitability of the target."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from twincortex.models.column.hashed_draws import uniform_per_pair
from twincortex.models.column.unit_psp import unit_psps
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.parameters import POSTSYNAPTIC_CLASSES, read_class_pairs, read_populations, receptor_layout
from twincortex.models.randomness import stream_key

# PSPs beyond these quantiles are cut off.
LOWEST_QUANTILE, HIGHEST_QUANTILE = 0.001, 0.999
# Where the synapse counts of the targets vary more than their PSPs, weights vary by this shape only.
SMALLEST_SHAPE = 0.001
# Peak over mean of the density of direction differences between excitatory cells, like to like.
LIKE_TO_LIKE_PEAK = 4 / 3
# Jitter of the preferred direction in the like-to-like rule, by whether both cells are inhibitory [deg].
DIRECTION_JITTER, DIRECTION_JITTER_INHIBITORY = 5.0, 10.0

_CHUNK = 1 << 19  # connections at a time, to keep the working arrays small


class Pairs(NamedTuple):
    """What the quantile of a connection's PSP may depend on; arrays over connections.

    Attributes
    ----------
    draw : (n,) float64 array
        Uniform in (0, 1).
    direction_difference : (n,) float64 array [deg]
        Tuning angle of the target minus that of the source, -360 to 360.
    pre_excitatory, post_excitatory : (n,) bool arrays
    """

    draw: np.ndarray
    direction_difference: np.ndarray
    pre_excitatory: np.ndarray
    post_excitatory: np.ndarray


def any_quantile(pairs):
    """PSPs independent of tuning: the rule of the paper's networks (``-nll``, no like-to-like)."""
    return pairs.draw


def like_to_like_quantile(pairs):
    """Stronger PSPs between cells of similar direction preference.

    Source
    ------
    biorealistic-v1-model, build_network.py (syn_weight_by_experimental_distribution, delta_theta_cdf).
    """
    both_excitatory = pairs.pre_excitatory & pairs.post_excitatory
    jitter = np.where(pairs.pre_excitatory | pairs.post_excitatory, DIRECTION_JITTER, DIRECTION_JITTER_INHIBITORY)
    jitter = np.where(both_excitatory, 0.0, jitter * ndtri(pairs.draw))
    difference = np.abs(np.abs((pairs.direction_difference + jitter) % 360 - 180) - 180)
    return np.where(both_excitatory, 1 - direction_difference_cdf(difference), 1 - difference / 180)


def direction_difference_cdf(difference):
    """Share of excitatory pairs with a smaller direction difference.

    Parameters
    ----------
    difference : array [deg]
        0 to 180.

    Returns
    -------
    array
        Integral of a density that falls linearly from 0 to 90 degrees and rises again to 180.
    """
    same, orthogonal = LIKE_TO_LIKE_PEAK, 2 - LIKE_TO_LIKE_PEAK
    x = difference - 90
    curvature = np.where(x < 0, 0.5, -0.5) * (orthogonal - same) / 90
    return (curvature * x**2 + orthogonal * x) / (90 * (same + orthogonal)) + 0.5


WEIGHT_RULES = {"none": any_quantile, "like_to_like": like_to_like_quantile}


class WeightTables(NamedTuple):
    """Lognormal law of the weights.

    Attributes
    ----------
    shape : (n_classes, M) float64 array
        Standard deviation of the logarithm; ``[presynaptic class, cell model of the target]``.
    median : (n_classes, M) float64 array [pA]
        Signed; to be divided by the target size.
    """

    shape: np.ndarray
    median: np.ndarray


def weight_tables(node_types, unit_psp="recomputed"):
    """Law of the weights per presynaptic class and cell model of the target.

    Parameters
    ----------
    node_types : NodeTypes
    unit_psp : str
        See ``unit_psps``.

    Returns
    -------
    WeightTables
        With PSP lognormal (s, m) of the pair of classes, target sizes lognormal (s_n, S) of mean M, unit PSP U:
        ``shape = sqrt(s^2 - s_n^2)`` and ``median = sign m S / U``, so that over targets of all sizes the PSPs are
        lognormal (s, m) again.

    Source
    ------
    biorealistic-v1-model, build_network.py (syn_weight_by_experimental_distribution).
    """
    populations = read_populations().loc[node_types.pop_name]
    unit = unit_psps(unit_psp).loc[node_types.node_type_id]
    pairs = read_class_pairs()
    is_excitatory = read_populations().drop_duplicates("synapse_class").set_index("synapse_class").ei == "e"
    size_shape, size_scale = populations.n_synapses_shape.to_numpy(), populations.n_synapses_scale.to_numpy()
    shape, median = [], []
    for pre in POSTSYNAPTIC_CLASSES:
        law = pairs.reindex([(pre, post) for post in populations.synapse_class])
        variance = law.psp_shape.to_numpy() ** 2 - size_shape**2
        shape.append(np.where(variance < 0, SMALLEST_SHAPE, np.sqrt(np.maximum(variance, 0))))
        sign = 1.0 if is_excitatory[pre] else -1.0
        median.append(sign * law.psp_scale_mV.to_numpy() * size_scale / unit[pre].to_numpy())
    return WeightTables(np.stack(shape), np.stack(median))


def draw_weights(topology, nodes, node_types, seed, options, n_threads=None):
    """Draw the weight of every recurrent connection.

    Parameters
    ----------
    topology : Topology or Projection
        Connections by source.
    nodes : Nodes
    node_types : NodeTypes
    seed : int
    options : WeightOptions
    n_threads : int, optional
        All processors by default; the result does not depend on it.

    Returns
    -------
    (E,) float32 array [pA]
        Negative for inhibitory sources; a function of (seed, source, target) alone.
    """
    n_receptors = receptor_layout().n_receptors
    tables = weight_tables(node_types, options.unit_psp)
    quantile = WEIGHT_RULES[options.weight_rule]
    populations = read_populations().loc[node_types.pop_name]
    class_number = populations.synapse_class.map(POSTSYNAPTIC_CLASSES.index).to_numpy(dtype=np.int64)[nodes.type_index]
    excitatory = (populations.ei == "e").to_numpy()[nodes.type_index]
    key = stream_key(seed, "column: recurrent weights")
    weight = np.empty(len(topology.target), dtype=np.float32)

    def fill(rows):
        begin, end = topology.indptr[rows[0]], topology.indptr[rows[1]]
        pre = np.repeat(np.arange(*rows), np.diff(topology.indptr[rows[0] : rows[1] + 1]))
        post = topology.target[begin:end] // n_receptors
        difference = nodes.tuning_angle[post] - nodes.tuning_angle[pre]
        pairs = Pairs(uniform_per_pair(key, pre, post), difference, excitatory[pre], excitatory[post])
        z = ndtri(np.clip(quantile(pairs), LOWEST_QUANTILE, HIGHEST_QUANTILE))
        law = class_number[pre], nodes.type_index[post]
        weight[begin:end] = tables.median[law] / nodes.target_size[post] * np.exp(tables.shape[law] * z)

    # At least one row each; a row is never split.
    starts = np.unique(np.searchsorted(topology.indptr, np.arange(0, len(weight), _CHUNK)))
    borders = [0, *starts[(starts > 0) & (starts < len(nodes.x))], len(nodes.x)]
    with ThreadPoolExecutor(n_threads or os.cpu_count()) as pool:
        list(pool.map(fill, zip(borders[:-1], borders[1:], strict=True)))
    return weight
