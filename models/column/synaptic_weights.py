"""Weights of the recurrent connections: a lognormal PSP, scaled to the size and the excitability of the target."""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from twincortex.models.column.hashed_draws import uniform_per_pair
from twincortex.models.column.unit_psp import unit_psp
from twincortex.models.column.weight_rules import Pairs
from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.parameters import (
    POSTSYNAPTIC_CLASSES,
    read_cell_models,
    read_class_pairs,
    read_populations,
    read_synapse_kinetics,
    receptor_layout,
)
from twincortex.models.randomness import stream_key

UNIT_PSPS = ("recomputed", "published")
# PSPs beyond these quantiles are cut off.
LOWEST_QUANTILE, HIGHEST_QUANTILE = 0.001, 0.999
# Where the synapse counts of the targets vary more than the PSPs, weights vary by this shape only.
SMALLEST_SHAPE = 0.001

_PER_TASK = 1 << 17  # connections
_AT_ONCE = 1 << 14  # connections: working arrays stay in the cache


class WeightLaw(NamedTuple):
    """Lognormal law of the weights, per presynaptic class and cell model of the target.

    Attributes
    ----------
    shape : (n_classes, M) float64 array
        Standard deviation of the logarithm.
    median : (n_classes, M) float64 array [pA]
        Signed; to be divided by the number of synapses onto the target.
    synapse_class : (M,) int64 array
        Index into POSTSYNAPTIC_CLASSES.
    is_excitatory : (M,) bool array
    """

    shape: np.ndarray
    median: np.ndarray
    synapse_class: np.ndarray
    is_excitatory: np.ndarray


def weight_law(node_types, unit_psp_source="recomputed"):
    """Law of the weights of all kinds of connections.

    Parameters
    ----------
    node_types : NodeTypes
    unit_psp_source : str
        See ``unit_psp_table``.

    Returns
    -------
    WeightLaw
        With the PSPs of a pair of classes lognormal (s, m), target sizes lognormal (s_n, S) and unit PSP U:
        ``shape = sqrt(s^2 - s_n^2)`` and ``median = sign m S / U``, so that over targets of all sizes the PSPs are
        lognormal (s, m) again.

    Source
    ------
    biorealistic-v1-model, build_network.py (syn_weight_by_experimental_distribution).
    """
    populations = read_populations().loc[node_types.pop_name]
    unit = unit_psp_table(unit_psp_source).loc[node_types.node_type_id]
    is_excitatory = read_populations().drop_duplicates("synapse_class").set_index("synapse_class").ei == "e"
    size_shape, size_scale = populations.n_synapses_shape.to_numpy(), populations.n_synapses_scale.to_numpy()
    shapes, medians = [], []
    for pre in POSTSYNAPTIC_CLASSES:
        psp = read_class_pairs().reindex([(pre, post) for post in populations.synapse_class])
        variance = psp.psp_shape.to_numpy() ** 2 - size_shape**2
        shapes.append(np.where(variance < 0, SMALLEST_SHAPE, np.sqrt(np.maximum(variance, 0))))
        sign = 1.0 if is_excitatory[pre] else -1.0
        medians.append(sign * psp.psp_scale_mV.to_numpy() * size_scale / unit[pre].to_numpy())
    synapse_class = populations.synapse_class.map(POSTSYNAPTIC_CLASSES.index).to_numpy(dtype=np.int64)
    return WeightLaw(np.stack(shapes), np.stack(medians), synapse_class, (populations.ei == "e").to_numpy())


def unit_psp_table(source="recomputed"):
    """Unit PSP of every cell model for every presynaptic class.

    Parameters
    ----------
    source : str
        ``"recomputed"`` from the kinetics and the cell parameters of our tables, or ``"published"``: the numbers behind
        the paper's weights, which are older than its kinetics and differ by up to 70 % for some inhibitory classes.

    Returns
    -------
    pandas.DataFrame [mV / pA]
        Index node_type_id (201 rows), columns the nine classes.

    Raises
    ------
    InputError
        Unknown source.
    """
    if source not in UNIT_PSPS:
        raise InputError(f"unknown unit PSPs {source!r}: {near_name_hint(source, UNIT_PSPS)}")
    models = read_cell_models()
    post_class = read_populations().synapse_class[models.pop_name]
    columns = {}
    for pre in POSTSYNAPTIC_CLASSES:
        pairs = [(pre, post) for post in post_class]
        kinetics = read_synapse_kinetics().reindex(pairs)[["tau_fast_ms", "tau_slow_ms", "amp_slow"]].to_numpy().T
        columns[pre] = unit_psp(models.C_m_pF, models.g_nS, *kinetics)
        if source == "published":
            columns[pre] = columns[pre] / read_class_pairs().unit_psp_published_ratio.reindex(pairs).to_numpy()
    return pd.DataFrame(columns, index=models.index)


def draw_weights(topology, nodes, law, rule, seed, n_threads=None, progress=None):
    """Draw the weight of every recurrent connection.

    Parameters
    ----------
    topology : Topology or Projection
        Connections by source.
    nodes : Nodes
    law : WeightLaw
    rule : callable
        One of WEIGHT_RULES.
    seed : int
    n_threads : int, optional
        All processors by default; the result does not depend on it.
    progress : callable, optional
        Called with (done, total) sources.

    Returns
    -------
    (E,) float32 array [pA]
        Not positive for inhibitory sources; a function of the seed and of the two neurons alone.
    """
    n_receptors, n_neurons, n_types = receptor_layout().n_receptors, len(nodes.x), law.shape.shape[1]
    # A connection of class c onto cell model m follows entry c * n_types + m of the flattened law.
    first_kind = (law.synapse_class[nodes.type_index] * n_types).astype(np.int32)
    is_excitatory = law.is_excitatory[nodes.type_index]
    key = stream_key(seed, "column: recurrent weights")
    weight = np.empty(len(topology.target), dtype=np.float32)

    def fill(rows):
        begin, end = topology.indptr[rows[0]], topology.indptr[rows[1]]
        sources = np.repeat(np.arange(*rows), np.diff(topology.indptr[rows[0] : rows[1] + 1]))
        for first in range(begin, end, _AT_ONCE):
            part = slice(first, min(first + _AT_ONCE, end))
            pre = sources[part.start - begin : part.stop - begin]
            post = (topology.target[part] // n_receptors).astype(np.intp)
            quantile = rule(Pairs(uniform_per_pair(key, pre, post), pre, post, nodes.tuning_angle, is_excitatory))
            deviation = ndtri(np.clip(quantile, LOWEST_QUANTILE, HIGHEST_QUANTILE))
            kind = first_kind.take(pre) + nodes.type_index.take(post)
            median, shape = law.median.take(kind), law.shape.take(kind)
            weight[part] = median / nodes.target_size.take(post) * np.exp(shape * deviation)
        return rows[1]

    borders = np.searchsorted(topology.indptr, np.arange(0, len(weight), _PER_TASK))
    borders = np.unique([0, *np.minimum(borders, n_neurons), n_neurons])
    with ThreadPoolExecutor(n_threads or os.cpu_count()) as pool:
        for done in pool.map(fill, itertools.pairwise(borders)):
            if progress:
                progress(int(done), n_neurons)
    return weight
