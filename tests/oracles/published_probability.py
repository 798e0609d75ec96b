"""The published probability of a recurrent connection, from the formula and the tables of ``models/data`` alone.

An oracle: it shares no code with the builder.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.parameters import read_class_pairs, read_connection_probability, read_populations

# Pairs further apart have p < 1e-13: those of 66,652 neurons add up to less than 0.0005 connections.
_NEGLIGIBLE_EXPONENT = 30.0


class Rules(NamedTuple):
    """The published parameters, (T, T) arrays over [pre, post] cell types in the order of ``cell_types``.

    pmax; sigma_along, sigma_across, shift [um], with respect to the tuning axis of the target; like, unlike: factors
    at an orientation difference of 0 and of 90 deg.
    """

    pmax: np.ndarray
    sigma_along: np.ndarray
    sigma_across: np.ndarray
    shift: np.ndarray
    like: np.ndarray
    unlike: np.ndarray


class Cells(NamedTuple):
    """Neurons; (N,) arrays.

    x, z [um]; angle [deg]; cosine, sine: of the angle; cell_type, inhibitory: int; size: synapses onto the cell over
    the mean of its population; outside: 0 within 1.5 core radii, where sources are displaced, else 1.
    """

    x: np.ndarray
    z: np.ndarray
    angle: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray
    cell_type: np.ndarray
    inhibitory: np.ndarray
    size: np.ndarray
    outside: np.ndarray


def cell_types():
    """The 19 cell types in the order of their populations: pandas.DataFrame of the first population of each."""
    return read_populations().reset_index().drop_duplicates("cell_type").set_index("cell_type")


def published_rules():
    """Gather the parameters of the formula from the tables: Rules."""
    types = cell_types()
    pairs = [(pre, post) for pre in types.synapse_class for post in types.synapse_class]
    of_class = read_class_pairs().loc[pairs]
    shape = (len(types), len(types))
    sigma, b = (of_class[name].to_numpy().reshape(shape) for name in ("sigma_um", "orientation_b_ratio"))
    pmax = read_connection_probability().pmax.unstack().loc[types.index, types.index].to_numpy()
    excitatory = (types.ei == "e").to_numpy()[:, None]
    like = np.where(b > 0, 2 / (1 + b), 1.0)
    return Rules(
        pmax=pmax,
        sigma_along=np.where(excitatory, sigma / 1.5, sigma),
        sigma_across=np.where(excitatory, sigma * 1.5, sigma),
        shift=np.broadcast_to(np.where(excitatory, -50.0, 50.0), shape).copy(),
        like=like,
        unlike=np.where(b > 0, b * like, 1.0),
    )


def read_cells(circuit):
    """Gather what the formula depends on in every neuron: Cells."""
    nodes, populations = circuit.nodes, read_populations().loc[circuit.pop_name]
    mean_size = np.trunc(populations.n_synapses_scale * np.exp(populations.n_synapses_shape**2 / 2)).to_numpy()
    displaced_within = 1.5 * circuit.provenance["core_radius_um"]
    return Cells(
        x=nodes.x,
        z=nodes.z,
        angle=nodes.tuning_angle,
        cosine=np.cos(np.radians(nodes.tuning_angle)),
        sine=np.sin(np.radians(nodes.tuning_angle)),
        cell_type=cell_types().index.get_indexer(populations.cell_type).astype(np.int64),
        inhibitory=(populations.ei == "i").to_numpy().astype(np.int64),
        size=nodes.target_size / mean_size,
        outside=(np.sqrt(nodes.x**2 + nodes.z**2) > displaced_within).astype(np.int64),
    )


@njit
def published_probability(rules, cells, i, j):
    """Probability of a connection from neuron i to neuron j.

    Source
    ------
    biorealistic-v1-model, edge_funcs.py (compute_pair_type_parameters, connect_cells).
    """
    a, b = cells.cell_type[i], cells.cell_type[j]
    dx, dz = cells.x[i] - cells.x[j], cells.z[i] - cells.z[j]
    mu = 0.0 if cells.outside[j] else rules.shift[a, b]
    u = (dx - mu * cells.cosine[j]) * cells.cosine[j] + (dz - mu * cells.sine[j]) * cells.sine[j]
    v = -(dx - mu * cells.cosine[j]) * cells.sine[j] + (dz - mu * cells.sine[j]) * cells.cosine[j]
    exponent = 0.5 * ((u / rules.sigma_along[a, b]) ** 2 + (v / rules.sigma_across[a, b]) ** 2)
    if exponent > _NEGLIGIBLE_EXPONENT:
        return 0.0
    orientation = abs(abs(abs(180.0 - abs(cells.angle[i] - cells.angle[j])) - 90.0) - 90.0)
    factor = rules.like[a, b] + (rules.unlike[a, b] - rules.like[a, b]) / 90.0 * orientation
    return min(1.0, rules.pmax[a, b] * math.exp(-exponent) * factor * cells.size[j])


def count_reciprocal(circuit, neurons, rules=None):
    """Pairs among some neurons that are connected both ways, which independent connections are by chance only.

    Parameters
    ----------
    circuit : Circuit
    neurons : (n,) int array
        Takes 17 n^2 bytes.
    rules : Rules, optional

    Returns
    -------
    int, float, float
        Observed, expected, and standard deviation of the number of pairs.
    """
    p = _probability_matrix(read_cells(circuit), rules or published_rules(), neurons)
    place = np.full(circuit.n_neurons, -1)
    place[neurons] = np.arange(len(neurons))
    projection, connected = circuit.projections["v1_to_v1"], np.zeros(p.shape, dtype=bool)
    for i in neurons:
        row = slice(*projection.indptr[i : i + 2])
        posts = place[projection.target[row] // circuit.n_receptors]
        connected[place[i], posts[posts >= 0]] = True
    both = (p * p.T)[np.triu_indices(len(neurons), 1)]
    observed = np.count_nonzero(np.triu(connected & connected.T, 1))
    return observed, both.sum(), np.sqrt(np.sum(both * (1 - both)))


@njit(nogil=True)
def _probability_matrix(cells, rules, neurons):
    p = np.zeros((len(neurons), len(neurons)))
    for a in range(len(neurons)):
        for b in range(len(neurons)):
            if a != b:
                p[a, b] = published_probability(rules, cells, neurons[a], neurons[b])
    return p
