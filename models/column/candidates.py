"""Candidate connections onto one target: a hazard walk through the grid that visits only neurons likely to connect.

Testing every pair costs N^2. Instead each neuron becomes a candidate with a probability slightly above its probability p
of connecting, and is then accepted with the ratio of the two: what remains is exactly Bernoulli(p), for every pair.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.connection_probability import connection_probability, offset_in_spreads
from twincortex.models.column.hashed_draws import exp_of_negative, exponential, uniform

# Where the bound on p exceeds this, a walk would save nothing and every neuron of the grid cell is a candidate.
WALK_BELOW = 0.5


class BoundedCells(NamedTuple):
    """Grid cells of one source type, seen from one target.

    Attributes
    ----------
    start : (n_cells + 1,) int64 array
        First neuron of each cell, in the order of the grid.
    bound : (n_cells,) float64 array
        Upper bound of the distance factor over the cell.
    largest : float
        Largest of the bounds.
    n_rows : int
    """

    start: np.ndarray
    bound: np.ndarray
    largest: float
    n_rows: int


class Candidates(NamedTuple):
    """Room for the candidates of one type onto one target.

    Attributes
    ----------
    source : (N,) int64 array
        Position in the order of the grid.
    bound : (N,) float64 array
        Bound of its cell; infinite where every neuron of the cell is a candidate.
    x, z, tuning_angle, neuron : (N,) arrays
        Copied from the grid.
    accepted : (N,) bool array
    """

    source: np.ndarray
    bound: np.ndarray
    x: np.ndarray
    z: np.ndarray
    tuning_angle: np.ndarray
    neuron: np.ndarray
    accepted: np.ndarray


@njit(error_model="numpy")
def bound_distance_factor(rule, target, grid, source_type, bound):
    """Upper bound of the distance factor over each grid cell, written to ``bound``; returns the largest.

    The offset in spreads of the cell's centre is shortened by the extent of the cell in that direction.
    """
    n_rows = grid.n_rows[source_type]
    half = 0.5 * grid.cell_um[source_type]
    origin_x, origin_z = grid.corner_um + half - target.x, grid.corner_um + half - target.z
    for row in range(n_rows):
        dx = origin_x + row * 2.0 * half
        for column in range(n_rows):
            along, across = offset_in_spreads(rule, target, dx, origin_z + column * 2.0 * half)
            distance = math.sqrt(along * along + across * across) + 1e-12
            u, v = along / distance / rule.sigma_along, across / distance / rule.sigma_across
            extent_x = abs(u * target.axis_x - v * target.axis_z)
            extent_z = abs(u * target.axis_z + v * target.axis_x)
            nearest = max(0.0, distance - half * (extent_x + extent_z))
            bound[row * n_rows + column] = exp_of_negative(-0.5 * nearest * nearest)
    return bound[: n_rows * n_rows].max()


@njit(error_model="numpy", fastmath={"reassoc"})
def sum_of_bounds(start, bound, first, last, limit):
    """Sum of the bounds over all neurons of the grid cells first..last, leaving out cells with a bound above limit."""
    total = 0.0
    for cell in range(first, last):
        total += (start[cell + 1] - start[cell]) * (bound[cell] if bound[cell] <= limit else 0.0)
    return total


@njit(error_model="numpy")
def take_cells_above(cells, limit, found):
    """Make every neuron of the grid cells with a bound above limit a candidate; returns how many."""
    n_found = 0
    for cell in range(cells.n_rows * cells.n_rows):
        if cells.bound[cell] > limit:
            for source in range(cells.start[cell], cells.start[cell + 1]):
                found.source[n_found] = source
                found.bound[n_found] = np.inf
                n_found += 1
    return n_found


@njit(error_model="numpy")
def walk_cells(cells, limit, hazard, key, found, n_found):
    """Walk through the grid cells and stop at neurons, each of hazard ``hazard * bound``; returns how many in all.

    A neuron of hazard h is stopped at with probability 1 - exp(-h), independently of all others: the distances between
    stops are exponential, and the walk starts anew behind each neuron that it stopped at.
    """
    start, bound = cells.start, cells.bound
    draw = 0
    remaining = exponential(key, draw) / hazard
    for row in range(cells.n_rows):
        first, last = row * cells.n_rows, (row + 1) * cells.n_rows
        row_total = sum_of_bounds(start, bound, first, last, limit)
        if remaining >= row_total:
            remaining -= row_total
            continue
        for cell in range(first, last):
            if bound[cell] > limit:
                continue
            source, end = start[cell], start[cell + 1]
            while remaining < (end - source) * bound[cell]:
                source = min(source + np.int64(remaining / bound[cell]), end - 1)
                found.source[n_found] = source
                found.bound[n_found] = bound[cell]
                n_found += 1
                source += 1
                draw += 1
                remaining = exponential(key, draw) / hazard
            remaining -= (end - source) * bound[cell]
    return n_found


@njit(error_model="numpy")
def find_candidates(cells, peak, key, found):
    """Find the candidates among the neurons of one type.

    Parameters
    ----------
    cells : BoundedCells
    peak : float
        Upper bound of the probability where the distance factor is 1.
    key : uint64
        Key of the random stream of this target and type.
    found : Candidates
        Receives them.

    Returns
    -------
    int, float
        Number of candidates; hazard per unit of bound, that is, a neuron is a candidate with probability
        ``1 - exp(-hazard * bound)``.
    """
    likeliest = min(peak * cells.largest, WALK_BELOW)
    if likeliest <= 0.0:
        return 0, 0.0
    # -log(1 - p) lies below its chord between 0 and the likeliest, so this is enough hazard for every bound up to there.
    hazard = -math.log1p(-likeliest) / likeliest * peak
    limit = WALK_BELOW / peak
    n_found = take_cells_above(cells, limit, found) if cells.largest > limit else 0
    return walk_cells(cells, limit, hazard, key, found, n_found), hazard


@njit(error_model="numpy")
def accept_candidates(rule, target, grid, found, n_found, hazard, key):
    """Decide which candidates connect: each with its probability of connecting over that of being a candidate."""
    # Copied first, because LLVM does not vectorise arithmetic on scattered elements.
    for candidate in range(n_found):
        source = found.source[candidate]
        found.x[candidate] = grid.x[source]
        found.z[candidate] = grid.z[source]
        found.tuning_angle[candidate] = grid.tuning_angle[source]
        found.neuron[candidate] = grid.neuron[source]
    for candidate in range(n_found):
        probability = connection_probability(
            rule, target, found.x[candidate], found.z[candidate], found.tuning_angle[candidate]
        )
        candidacy = 1.0 - exp_of_negative(-hazard * found.bound[candidate])
        found.accepted[candidate] = uniform(key, found.neuron[candidate]) * candidacy < probability
