"""Columns and index of a SONATA edge file, computed from the arrays of a projection piece by piece.

Compiled, and without Python's lock, so that they are computed while other threads build or write.
"""

from typing import NamedTuple

import numpy as np
from numba import njit


class Edges(NamedTuple):
    """What the columns of the edges follow from.

    Attributes
    ----------
    indptr, target, delay_code : arrays
        Of Projection.
    population : (n_sources,) int64 array
        Number of the source population of each presynaptic unit.
    node_type : (N,) int array
        Row of the cell model of each neuron.
    n_receptors : int
    """

    indptr: np.ndarray
    target: np.ndarray
    delay_code: np.ndarray
    population: np.ndarray
    node_type: np.ndarray
    n_receptors: int


@njit(cache=True, nogil=True)
def mark_combinations(edges, occurs):
    """Note which combinations of source population, cell model, receptor and delay occur.

    Parameters
    ----------
    edges : Edges
    occurs : (n_populations, n_types, n_receptors, n_delays) bool array
        Set to True where an edge has the combination.
    """
    n_receptors = np.uint32(edges.n_receptors)
    for source in range(len(edges.indptr) - 1):
        occurs_here = occurs[edges.population[source]]
        for edge in range(edges.indptr[source], edges.indptr[source + 1]):
            target = np.uint32(edges.target[edge])
            post = target // n_receptors
            occurs_here[edges.node_type[post], target - post * n_receptors, edges.delay_code[edge]] = True


@njit(cache=True, nogil=True)
def fill_columns(edges, type_id, start, sources, posts, type_ids):
    """Compute the columns of the edges from ``start`` on.

    Parameters
    ----------
    edges : Edges
    type_id : (n_populations, n_types, n_receptors, n_delays) uint32 array
    start : int
    sources, posts, type_ids : (n,) uint32 arrays
        Filled.
    """
    n_receptors = np.uint32(edges.n_receptors)
    edge, stop = start, start + len(sources)
    source = np.searchsorted(edges.indptr, start, side="right") - 1
    while edge < stop:
        type_id_here = type_id[edges.population[source]]
        end = min(edges.indptr[source + 1], stop)
        for e in range(edge, end):
            target = np.uint32(edges.target[e])
            post = target // n_receptors
            sources[e - start] = source
            posts[e - start] = post
            type_ids[e - start] = type_id_here[edges.node_type[post], target - post * n_receptors, edges.delay_code[e]]
        edge = end
        source += 1


@njit(cache=True, nogil=True)
def count_per_neuron(target, n_receptors, n_neurons):
    """Count the edges onto every neuron.

    Parameters
    ----------
    target : (E,) int32 array
        ``post * n_receptors + receptor``.
    n_receptors, n_neurons : int

    Returns
    -------
    (N + 1,) int64 array
        Where the edges of each neuron start when sorted by neuron.
    """
    start = np.zeros(n_neurons + 1, dtype=np.int64)
    for entry in target:
        start[np.uint32(entry) // np.uint32(n_receptors) + 1] += 1
    return np.cumsum(start)


@njit(cache=True, nogil=True)
def sort_by_neuron(target, n_receptors, start, first, ids):
    """Sort the edges onto consecutive neurons by neuron (counting sort).

    Parameters
    ----------
    target : (E,) int32 array
        ``post * n_receptors + receptor``.
    n_receptors : int
    start : (n + 1,) int64 array
        Where the edges of these neurons start when all edges are sorted by neuron.
    first : int
        First of these neurons.
    ids : (start[-1] - start[0],) uint array
        Filled with the numbers of the edges, ascending for each neuron.
    """
    n_receptors = np.uint32(n_receptors)
    place = start[:-1] - start[0]
    width = np.uint32((len(start) - 1) * n_receptors)
    for edge in range(len(target)):
        offset = np.uint32(target[edge] - np.int32(first * n_receptors))  # wraps around below the first neuron
        if offset < width:
            neuron = offset // n_receptors
            ids[place[neuron]] = edge
            place[neuron] += 1
