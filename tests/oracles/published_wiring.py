"""Recurrent connections of a column, counted in several ways, against the published probability of all pairs."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import njit
from oracles.deviations import count_deviations
from oracles.published_probability import published_probability, published_rules, read_cells

CLASS_PAIRS = ("ee", "ei", "ie", "ii")  # pre, post
DISTANCE_BIN_UM, DIRECTION_BIN_DEG = 20.0, 5.0
SIZE_BINS = np.geomspace(0.1, 8.0, 20)
_TARGETS_PER_TASK = 512


class Tally(NamedTuple):
    """Connections counted in several ways; the last axis holds their (expected) number and its variance.

    by_type : (T, T, 2)
    by_distance : (4, n_bins, 2)
        Class pair, lateral distance in bins of DISTANCE_BIN_UM.
    by_direction : (4, n_bins, 2)
        Class pair, difference of tuning angles from 0 to 180 deg in bins of DIRECTION_BIN_DEG.
    along, across : (2, 4, 2 n_bins, 2)
        Target outside of 1.5 core radii, class pair, offset of the source along the tuning axis of the target and
        across it, in bins of DISTANCE_BIN_UM from minus to plus the diameter of the column.
    in_degree, out_degree : (N, 2)
    """

    by_type: np.ndarray
    by_distance: np.ndarray
    by_direction: np.ndarray
    along: np.ndarray
    across: np.ndarray
    in_degree: np.ndarray
    out_degree: np.ndarray


class RecurrentCheck(NamedTuple):
    """What is observed and expected of the connections onto some targets.

    observed, expected : Tally; targets : (n,) int array; n_self, n_duplicates : int.
    """

    observed: Tally
    expected: Tally
    targets: np.ndarray
    n_self: int
    n_duplicates: int


def check_recurrent(circuit, targets=None, rules=None, n_threads=None):
    """Count the recurrent connections onto some targets and sum the published probability over the same pairs.

    Parameters
    ----------
    circuit : Circuit
    targets : (n,) int array, optional
        All neurons by default.
    rules : Rules, optional
        ``published_rules()`` by default; others show what the comparison can see.
    n_threads : int, optional
        All processors by default. A million pairs take about 15 ms of one.

    Returns
    -------
    RecurrentCheck
    """
    cells, rules = read_cells(circuit), rules or published_rules()
    n_bins = math.ceil(2 * circuit.provenance["radius_um"] / DISTANCE_BIN_UM)
    targets = np.arange(circuit.n_neurons) if targets is None else np.sort(targets)
    tasks = [targets[first : first + _TARGETS_PER_TASK] for first in range(0, len(targets), _TARGETS_PER_TASK)]

    def add_some(some_tasks):
        tally = _empty_tally(len(rules.pmax), n_bins, circuit.n_neurons)
        for task in some_tasks:
            _add_expected(tally, cells, rules, task)
        return tally

    n_threads = n_threads or os.cpu_count()
    with ThreadPoolExecutor(n_threads) as pool:
        parts = list(pool.map(add_some, [tasks[start::n_threads] for start in range(n_threads)]))
    expected = Tally(*(sum(arrays) for arrays in zip(*parts, strict=True)))
    observed = _empty_tally(len(rules.pmax), n_bins, circuit.n_neurons)
    is_target = np.isin(np.arange(circuit.n_neurons), targets)
    projection = circuit.projections["v1_to_v1"]
    n_self, n_duplicates = _add_observed(
        observed, cells, projection.indptr, projection.target, circuit.n_receptors, is_target
    )
    return RecurrentCheck(observed, expected, targets, n_self, n_duplicates)


def deviations_of(check, cells):
    """Deviations of the connections from their expectation in every way they were counted.

    Parameters
    ----------
    check : RecurrentCheck
    cells : Cells

    Returns
    -------
    dict of str -> Deviations
    """
    observed, expected = check.observed, check.expected
    counts = {
        "pairs of cell types": (observed.by_type, expected.by_type),
        "pairs of classes": (observed.by_distance.sum(axis=1), expected.by_distance.sum(axis=1)),
        "distance": (observed.by_distance, expected.by_distance),
        "direction difference": (observed.by_direction, expected.by_direction),
    }
    for number, place in enumerate(("inside", "outside")):
        counts[f"offset along the tuning axis, {place}"] = observed.along[number], expected.along[number]
        counts[f"offset across the tuning axis, {place}"] = observed.across[number], expected.across[number]
    counts |= {
        "size of the target": tuple(by_size(tally, cells, check.targets)[..., :2] for tally in (observed, expected)),
        "in-degree": (observed.in_degree[check.targets], expected.in_degree[check.targets]),
        "out-degree": (observed.out_degree, expected.out_degree),
    }
    return {name: count_deviations(*pair) for name, pair in counts.items()}


def by_size(tally, cells, targets):
    """Connections by the relative size of the target, in bins of SIZE_BINS.

    Parameters
    ----------
    tally : Tally
    cells : Cells
    targets : (n,) int array

    Returns
    -------
    (2, n_bins, 3) array
        Excitatory and inhibitory targets; connections, their variance, and connections over size: what would be left
        were all sizes the mean.
    """
    n_bins = len(SIZE_BINS) - 1
    bins = np.clip(np.searchsorted(SIZE_BINS, cells.size[targets]) - 1, 0, n_bins - 1)
    kind = cells.inhibitory[targets] * n_bins + bins
    number, variance = tally.in_degree[targets].T
    columns = number, variance, number / cells.size[targets]
    return np.stack([np.bincount(kind, column, 2 * n_bins) for column in columns], axis=-1).reshape(2, n_bins, 3)


def _empty_tally(n_types, n_bins, n_neurons):
    shapes = (
        (n_types, n_types), (4, n_bins), (4, round(180 / DIRECTION_BIN_DEG)), (2, 4, 2 * n_bins), (2, 4, 2 * n_bins),
        (n_neurons,), (n_neurons,),
    )  # fmt: skip
    return Tally(*(np.zeros((*shape, 2)) for shape in shapes))


@njit
def _add(tally, cells, i, j, number, variance):
    pair = 2 * cells.inhibitory[i] + cells.inhibitory[j]
    dx, dz = cells.x[i] - cells.x[j], cells.z[i] - cells.z[j]
    middle, outside = tally.along.shape[2] // 2, cells.outside[j]
    distance = int(math.sqrt(dx * dx + dz * dz) / DISTANCE_BIN_UM)
    along = middle + math.floor((dx * cells.cosine[j] + dz * cells.sine[j]) / DISTANCE_BIN_UM)
    across = middle + math.floor((dz * cells.cosine[j] - dx * cells.sine[j]) / DISTANCE_BIN_UM)
    direction = 180.0 - abs(180.0 - abs(cells.angle[i] - cells.angle[j]))
    direction = min(int(direction / DIRECTION_BIN_DEG), tally.by_direction.shape[1] - 1)
    for k, value in ((0, number), (1, variance)):
        tally.by_type[cells.cell_type[i], cells.cell_type[j], k] += value
        tally.by_distance[pair, distance, k] += value
        tally.by_direction[pair, direction, k] += value
        tally.along[outside, pair, along, k] += value
        tally.across[outside, pair, across, k] += value
        tally.in_degree[j, k] += value
        tally.out_degree[i, k] += value


@njit(nogil=True)
def _add_expected(tally, cells, rules, targets):
    for j in targets:
        for i in range(len(cells.x)):
            if i != j:
                p = published_probability(rules, cells, i, j)
                if p > 0.0:
                    _add(tally, cells, i, j, p, p * (1.0 - p))


@njit(nogil=True)
def _add_observed(tally, cells, indptr, target, n_receptors, is_target):
    n_self, n_duplicates = 0, 0
    last_source = np.full(len(cells.x), -1)
    for i in range(len(cells.x)):
        for edge in range(indptr[i], indptr[i + 1]):
            j = target[edge] // n_receptors
            n_self += i == j
            n_duplicates += last_source[j] == i
            last_source[j] = i
            if is_target[j]:
                _add(tally, cells, i, j, 1.0, 0.0)
    return n_self, n_duplicates
