"""Candidate connections onto one target: a hazard walk through the grid that stops only at neurons likely to connect.

Testing every pair costs N^2. Instead each neuron becomes a candidate with a probability slightly above its probability
p of connecting, and is then accepted with the ratio of the two: what remains is exactly Bernoulli(p), for every pair.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.connection_probability import (
    PairRule,
    connection_probability,
    offset_in_spreads,
    peak_probability,
)
from twincortex.models.column.hashed_draws import exp_of_negative, exponential, uniform

# Where the bound on p exceeds this, a walk would save nothing and every neuron of the grid cell is a candidate.
WALK_BELOW = 0.5


class BoundedCells(NamedTuple):
    """Grid cells of one presynaptic type, seen from one target.

    Attributes
    ----------
    start : (n_cells + 1,) int64 array
        First neuron of each cell, in the order of the grid.
    n_in_cell : (n_cells,) float64 array
    bound : (n_cells,) float64 array
        Upper bound of the distance factor over the cell.
    largest : float
        Largest of the bounds.
    n_rows : int
    """

    start: np.ndarray
    n_in_cell: np.ndarray
    bound: np.ndarray
    largest: float
    n_rows: int


class Candidates(NamedTuple):
    """Room for the candidates of all types onto one target.

    Attributes
    ----------
    source : (N,) int64 array
        Position in the order of the grid.
    hazard : (N,) float64 array
        The neuron is a candidate with probability ``1 - exp(-hazard)``.
    x, z, tuning_angle : (N,) float64 arrays
    rule : PairRule of (N,) float64 arrays
    accepted : (N,) bool array
    """

    source: np.ndarray
    hazard: np.ndarray
    x: np.ndarray
    z: np.ndarray
    tuning_angle: np.ndarray
    rule: PairRule
    accepted: np.ndarray


def room_for_candidates(n_neurons):
    """Make room for as many candidates as there are neurons."""
    columns = [np.empty(n_neurons) for _ in range(9)]
    source, accepted = np.empty(n_neurons, dtype=np.int64), np.empty(n_neurons, dtype=bool)
    return Candidates(source, *columns[:4], PairRule(*columns[4:]), accepted)


@njit(error_model="numpy")
def bound_distance_factor(rule, target, grid, pre_type, bound):
    """Upper bound of the distance factor over each grid cell, written to ``bound``; returns the largest.

    The offset of the cell's centre, in spreads, is shortened by the extent of the cell in that direction.
    """
    n_rows = grid.n_rows[pre_type]
    half = 0.5 * grid.cell_um[pre_type]
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


@njit(error_model="numpy")
def find_candidates(rule, target, cells, key, found, n_found):
    """Find the candidates among the neurons of one type.

    Parameters
    ----------
    rule : PairRule of floats
    target : Target
    cells : BoundedCells
    key : uint64
        Key of the random stream of this target and type.
    found : Candidates
        Receives source and hazard behind those already there.
    n_found : int

    Returns
    -------
    int
        Number of candidates, with those already there.
    """
    peak = peak_probability(rule, target)
    likeliest = min(peak * cells.largest, WALK_BELOW)
    if likeliest <= 0.0:
        return n_found
    if peak * cells.largest > WALK_BELOW:
        n_found = take_likely_cells(cells, WALK_BELOW / peak, found, n_found)
    # -log(1 - p) lies below its chord from 0 to the likeliest, so this is enough hazard for every bound up to there.
    hazard_per_bound = -math.log1p(-likeliest) / likeliest * peak
    return walk_cells(cells, WALK_BELOW / peak, hazard_per_bound, key, found, n_found)


@njit(error_model="numpy")
def take_likely_cells(cells, limit, found, n_found):
    """Make every neuron of the grid cells with a bound above the limit a candidate."""
    for cell in range(cells.n_rows * cells.n_rows):
        if cells.bound[cell] > limit:
            for source in range(cells.start[cell], cells.start[cell + 1]):
                found.source[n_found] = source
                found.hazard[n_found] = np.inf
                n_found += 1
    return n_found


@njit(error_model="numpy")
def walk_cells(cells, limit, hazard_per_bound, key, found, n_found):
    """Walk through the grid cells with bounds up to the limit and stop at neurons in proportion to their hazard.

    A neuron of hazard h is stopped at with probability 1 - exp(-h), independently of all others: the distances between
    stops are exponential, and the walk starts anew behind each neuron that it stopped at.
    """
    start, bound = cells.start, cells.bound
    draw = 0
    remaining = exponential(key, draw) / hazard_per_bound
    for row in range(cells.n_rows):
        first, last = row * cells.n_rows, (row + 1) * cells.n_rows
        row_total = sum_of_bounds(cells.n_in_cell, bound, first, last, limit)
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
                found.hazard[n_found] = hazard_per_bound * bound[cell]
                n_found += 1
                source += 1
                draw += 1
                remaining = exponential(key, draw) / hazard_per_bound
            remaining -= (end - source) * bound[cell]
    return n_found


@njit(error_model="numpy", fastmath={"reassoc"})
def sum_of_bounds(n_in_cell, bound, first, last, limit):
    """Sum of the bounds over all neurons of the grid cells first..last, leaving out cells with a bound above limit."""
    total = 0.0
    for cell in range(first, last):
        total += n_in_cell[cell] * (bound[cell] if bound[cell] <= limit else 0.0)
    return total


@njit(error_model="numpy")
def describe_candidates(rule, grid, found, first, last):
    """Copy what the decision needs: LLVM vectorises it only if nothing is scattered."""
    for candidate in range(first, last):
        place = grid.place[found.source[candidate]]
        found.x[candidate], found.z[candidate], found.tuning_angle[candidate] = place[0], place[1], place[2]
        found.rule.pmax[candidate] = rule.pmax
        found.rule.displacement[candidate] = rule.displacement
        found.rule.sigma_along[candidate] = rule.sigma_along
        found.rule.sigma_across[candidate] = rule.sigma_across
        found.rule.orientation_ratio[candidate] = rule.orientation_ratio


@njit(error_model="numpy")
def accept_candidates(target, found, n_found, key):
    """Decide which candidates connect: each with its probability of connecting over that of being a candidate."""
    rules = found.rule
    for candidate in range(n_found):
        rule = PairRule(
            rules.pmax[candidate],
            rules.displacement[candidate],
            rules.sigma_along[candidate],
            rules.sigma_across[candidate],
            rules.orientation_ratio[candidate],
        )
        probability = connection_probability(
            rule, target, found.x[candidate], found.z[candidate], found.tuning_angle[candidate]
        )
        candidacy = 1.0 - exp_of_negative(-found.hazard[candidate])
        found.accepted[candidate] = uniform(key, found.source[candidate]) * candidacy < probability
