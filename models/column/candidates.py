"""Candidate connections onto one target: a hazard walk through the grid that stops only at neurons likely to connect.

Testing every pair costs N^2. Instead each neuron becomes a candidate with a probability slightly above its probability
p of connecting, and is then accepted with the ratio of the two: what remains is exactly Bernoulli(p), for every pair.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.connection_probability import (
    connection_probability,
    offset_in_spreads,
    peak_probability,
)
from twincortex.models.column.grid import STRIP
from twincortex.models.column.hashed_draws import exp_of_negative, exponential, uniform
from twincortex.models.column.prefetch import prefetch_row
from twincortex.models.column.selection import largest_of

# Where the bound on p exceeds this, a walk would save nothing and every neuron of the grid cell is a candidate.
WALK_BELOW = 0.5
# Distances of the walk that are drawn at once.
_N_WAITS = 32


class BoundedCells(NamedTuple):
    """Grid cells of one presynaptic type, seen from one target.

    Attributes
    ----------
    place : (N, 4) float64 array
        As in SourceGrid.
    start : (n_cells + 1,) int64 array
        First neuron of each cell, in the order of the grid.
    n_in_cell : (n_cells,) float64 array
    bound : (n_cells,) float64 array
        Upper bound of the distance factor over the cell.
    """

    place: np.ndarray
    start: np.ndarray
    n_in_cell: np.ndarray
    bound: np.ndarray


class Candidates(NamedTuple):
    """Room for the candidates of one type onto one target.

    Attributes
    ----------
    source : (N,) int64 array
        Position in the order of the grid.
    hazard : (N,) float64 array
        The neuron is a candidate with probability ``1 - exp(-hazard)``.
    x, z, tuning_angle : (N,) float64 arrays
    neuron : (N,) uint32 array
    accepted : (N,) bool array
    wait : (_N_WAITS,) float64 array
        Distances of the walk.
    strip_total : (n_strips,) float64 array
    """

    source: np.ndarray
    hazard: np.ndarray
    x: np.ndarray
    z: np.ndarray
    tuning_angle: np.ndarray
    neuron: np.ndarray
    accepted: np.ndarray
    wait: np.ndarray
    strip_total: np.ndarray


def room_for_candidates(n_neurons, n_cells):
    """Make room for as many candidates as there are neurons in as many grid cells."""
    kinds = (np.int64, np.float64, np.float64, np.float64, np.float64, np.uint32, np.bool_)
    return Candidates(
        *(np.empty(n_neurons, dtype=kind) for kind in kinds), np.empty(_N_WAITS), np.empty(n_cells // STRIP)
    )


@njit(error_model="numpy")
def bound_distance_factor(rule, target, grid, pre_type, bound):
    """Upper bound of the distance factor over each grid cell, written to ``bound``; returns the largest.

    The offset of the cell's centre, in spreads, is shortened by the extent of the cell in that direction.
    """
    n_cells, half = grid.n_cells[pre_type], 0.5 * grid.cell_um[pre_type]
    centre_x, centre_z = grid.centre_x[pre_type], grid.centre_z[pre_type]
    along_x, along_z = target.axis_x / rule.sigma_along, target.axis_z / rule.sigma_along
    across_x, across_z = -target.axis_z / rule.sigma_across, target.axis_x / rule.sigma_across
    along_0, across_0 = offset_in_spreads(rule, target, -target.x, -target.z)
    for cell in range(n_cells):
        along = along_0 + centre_x[cell] * along_x + centre_z[cell] * along_z
        across = across_0 + centre_x[cell] * across_x + centre_z[cell] * across_z
        distance = math.sqrt(along * along + across * across) + 1e-12
        extent = abs(along * along_x + across * across_x) + abs(along * along_z + across * across_z)
        nearest = max(0.0, distance - half * extent / distance)
        bound[cell] = exp_of_negative(-0.5 * nearest * nearest)
    return largest_of(bound, n_cells)


@njit(error_model="numpy")
def find_candidates(rule, target, cells, largest, key, found):
    """Find the candidates among the neurons of one type.

    Parameters
    ----------
    rule : PairRule of floats
    target : Target
    cells : BoundedCells
    largest : float
        Largest of the bounds.
    key : uint64
        Key of the random stream of this target and type.
    found : Candidates
        Receives all but ``accepted``.

    Returns
    -------
    int
        Number of candidates.
    """
    peak = peak_probability(rule, target)
    likeliest = min(peak * largest, WALK_BELOW)
    if likeliest <= 0.0:
        return 0
    n_found = 0
    if peak * largest > WALK_BELOW:
        n_found = take_likely_cells(cells, WALK_BELOW / peak, found)
    # -log(1 - p) lies below its chord from 0 to the likeliest, so this is enough hazard for every bound up to there.
    hazard_per_bound = -math.log1p(-likeliest) / likeliest * peak
    return walk_cells(cells, WALK_BELOW / peak, hazard_per_bound, key, found, n_found)


@njit
def take_likely_cells(cells, limit, found):
    """Make every neuron of the grid cells with a bound above the limit a candidate; returns how many."""
    n_found = 0
    for cell in range(len(cells.bound)):
        if cells.bound[cell] > limit:
            for source in range(cells.start[cell], cells.start[cell + 1]):
                found.source[n_found], found.hazard[n_found] = source, np.inf
                n_found += 1
    return n_found


@njit(error_model="numpy")
def walk_cells(cells, limit, hazard_per_bound, key, found, n_found):
    """Walk through the grid cells with bounds up to the limit and stop at neurons in proportion to their hazard.

    A neuron of hazard h is stopped at with probability 1 - exp(-h), independently of all others: the distances between
    stops are exponential, and the walk starts anew behind each neuron that it stopped at.
    """
    n_strips = add_up_strips(cells.n_in_cell, cells.bound, limit, found.strip_total)
    draw = 0
    remaining = draw_wait(key, draw, hazard_per_bound, found.wait)
    for strip in range(n_strips):
        if remaining >= found.strip_total[strip]:
            remaining -= found.strip_total[strip]
            continue
        for cell in range(strip * STRIP, (strip + 1) * STRIP):
            rest_of_cell = bound_of_cell(cells.n_in_cell[cell], cells.bound[cell], limit)
            if remaining < rest_of_cell:
                source, end, bound = cells.start[cell], cells.start[cell + 1], cells.bound[cell]
                while remaining < rest_of_cell:
                    source = min(source + np.int64(remaining / bound), end - 1)
                    found.source[n_found], found.hazard[n_found] = source, hazard_per_bound * bound
                    prefetch_row(cells.place, source)
                    n_found += 1
                    source += 1
                    rest_of_cell = (end - source) * bound
                    draw += 1
                    remaining = draw_wait(key, draw, hazard_per_bound, found.wait)
            remaining -= rest_of_cell
    return n_found


@njit(error_model="numpy")
def draw_wait(key, draw, hazard_per_bound, wait):
    """Distance to the next stop; every _N_WAITS of them are drawn together, which is faster."""
    if draw % _N_WAITS == 0:
        for k in range(_N_WAITS):
            wait[k] = exponential(key, draw + k) / hazard_per_bound
    return wait[draw % _N_WAITS]


@njit(fastmath={"reassoc"})
def add_up_strips(n_in_cell, bound, limit, strip_total):
    """Sum of the bounds over all neurons of each strip of grid cells; returns the number of strips."""
    n_strips = len(bound) // STRIP
    for strip in range(n_strips):
        total = 0.0
        for cell in range(strip * STRIP, (strip + 1) * STRIP):
            total += bound_of_cell(n_in_cell[cell], bound[cell], limit)
        strip_total[strip] = total
    return n_strips


@njit
def bound_of_cell(n_in_cell, bound, limit):
    """Sum of the bounds over all neurons of a grid cell; 0 where the bound is above the limit."""
    return n_in_cell * (bound if bound <= limit else 0.0)


@njit
def describe_candidates(place, found, n_found):
    """Copy what the decision needs: LLVM vectorises it only if nothing is scattered."""
    for candidate in range(n_found):
        source = found.source[candidate]
        found.x[candidate], found.z[candidate] = place[source, 0], place[source, 1]
        found.tuning_angle[candidate], found.neuron[candidate] = place[source, 2], np.uint32(place[source, 3])


@njit(error_model="numpy")
def accept_candidates(rule, target, found, n_found, key):
    """Decide which candidates connect: each with its probability of connecting over that of being a candidate."""
    for candidate in range(n_found):
        probability = connection_probability(
            rule, target, found.x[candidate], found.z[candidate], found.tuning_angle[candidate]
        )
        candidacy = 1.0 - exp_of_negative(-found.hazard[candidate])
        found.accepted[candidate] = uniform(key, found.source[candidate]) * candidacy < probability
