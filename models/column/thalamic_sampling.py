"""Compiled kernels of the LGN to V1 rule: choose the units of each cell.

Choosing n units without replacement with probabilities in proportion to w is the same as giving every unit an arrival
time E / w, with E exponential, and taking the n that arrive first (Efraimidis & Spirakis 2006). Every E is a hash of
(seed, cell, unit), so units that cannot arrive in time need not be looked at, and nothing depends on threads.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.compiled_kernels import compile_cached
from twincortex.models.column.connection_probability import orientation_difference
from twincortex.models.column.hashed_draws import exp_of_negative, exponential, log_of_fraction, splitmix64, uniform
from twincortex.models.column.selection import largest_of, nth_smallest
from twincortex.models.column.thalamic_synapses import MAX_SYNAPSES, Chosen, draw_multiplicities, give_synapses

CANDIDATE_RADIUS = 40.0  # deg around the centre of the receptive field
SPREAD = 5.0  # deg, of the Gaussian by which units are chosen
SHIFT = 2.5  # deg along the tuning axis, against it for sustained units and with it for transient ones
ELONGATION = 1.5  # of the receptive field across its tuning axis, ratio of the squared axes
COMPOSITE_TOLERANCE = 15.0  # deg of orientation between a cell and the composite units it takes
MAX_UNITS = np.iinfo(np.uint16).max + 1
# Of the squared distance over 2 SPREAD^2.
_PER_SQUARE_ALONG, _PER_SQUARE_ACROSS = ELONGATION / (2.0 * SPREAD**2), 1.0 / (ELONGATION * 2.0 * SPREAD**2)
_SMALLEST_EXPONENTIAL = 1e-16  # below the smallest value that hashed_draws.exponential returns


class Field(NamedTuple):
    """LGN units in the order of square tiles of the visual field, within a tile by model.

    unit, model : (n,) int64, models that a cell may ignore being the first and the last; x, y [deg]; shift : (n,) in
    SHIFT; tuning_angle [deg], NaN in simple units; start : (n_tiles, n_models + 1) int64, of each model; tile_x,
    tile_y : (n_tiles,) [deg]; tile_radius : float [deg], of a circle around every tile.
    """

    unit: np.ndarray
    model: np.ndarray
    x: np.ndarray
    y: np.ndarray
    shift: np.ndarray
    tuning_angle: np.ndarray
    start: np.ndarray
    tile_x: np.ndarray
    tile_y: np.ndarray
    tile_radius: float


class Rules(NamedTuple):
    """What a cell likes, for every preferred temporal frequency and sign.

    preference : (n_rules, n_models), 0 for units that are ignored; deadline : (n_grid,) arrival times;
    expected : (n_rules, n_grid), units expected before each deadline in an unbounded field.
    """

    preference: np.ndarray
    deadline: np.ndarray
    expected: np.ndarray


class Cells(NamedTuple):
    """V1 cells as targets; (N,) arrays.

    x, y [deg]: centre of the receptive field; axis_x, axis_y: direction of its shift; tuning_angle [deg]; rule: row of
    Rules; n_wanted: connections; yule: parameter of the multiplicities; key: uint64, of the random stream.
    """

    x: np.ndarray
    y: np.ndarray
    axis_x: np.ndarray
    axis_y: np.ndarray
    tuning_angle: np.ndarray
    rule: np.ndarray
    n_wanted: np.ndarray
    yule: np.ndarray
    key: np.ndarray


class _ReceptiveField(NamedTuple):
    """The columns of Cells that say where and how one cell looks; floats."""

    x: float
    y: float
    axis_x: float
    axis_y: float
    tuning_angle: float


class _Arrivals(NamedTuple):
    """Units that arrived, by place in Field, and their times; preferred, here : scratch; (n_units,) arrays."""

    place: np.ndarray
    time: np.ndarray
    preferred: np.ndarray
    here: np.ndarray


@njit
def _weighted_distance(cell, x, y, shift):
    """Squared distance of a shifted unit in the elongated receptive field, over 2 SPREAD^2."""
    along = (x - cell.x) * cell.axis_x + (y - cell.y) * cell.axis_y + SHIFT * shift
    across = (y - cell.y) * cell.axis_x - (x - cell.x) * cell.axis_y
    return along * along * _PER_SQUARE_ALONG + across * across * _PER_SQUARE_ACROSS


@njit
def _tile_factor(cell, dx, dy, radius):
    """Upper bound of exp(-distance) in a tile whose centre is (dx, dy) away; 0 if it is out of reach."""
    if dx * dx + dy * dy > (CANDIDATE_RADIUS + radius) ** 2:
        return 0.0
    along = max(0.0, abs(dx * cell.axis_x + dy * cell.axis_y) - radius - SHIFT)
    across = max(0.0, abs(dy * cell.axis_x - dx * cell.axis_y) - radius)
    return exp_of_negative(-(along * along * _PER_SQUARE_ALONG + across * across * _PER_SQUARE_ACROSS))


@njit
def _collect(field, cell, preference, deadline, key, arrivals):
    """Find the units that arrive at a cell before a deadline; return how many."""
    first_model, last_model, n_found = 0, len(preference), 0
    while preference[first_model] == 0.0:
        first_model += 1
    while preference[last_model - 1] == 0.0:
        last_model -= 1
    strongest = largest_of(preference, len(preference))
    for tile in range(len(field.tile_x)):
        dx, dy = field.tile_x[tile] - cell.x, field.tile_y[tile] - cell.y
        latest = deadline * strongest * _tile_factor(cell, dx, dy, field.tile_radius)
        first, last = field.start[tile, first_model], field.start[tile, last_model]
        here = arrivals.here[: last - first]
        if latest < _SMALLEST_EXPONENTIAL or not _draw(key, field.unit[first:last], latest, here):
            continue
        for k in range(last - first):
            arrivals.preferred[k] = preference[field.model[first + k]]
        _time_arrivals(
            cell, field.x[first:last], field.y[first:last], field.shift[first:last], arrivals.preferred, here
        )
        _send_back_turned(cell, field.tuning_angle[first:last], here)
        for k in range(last - first):
            arrivals.place[n_found], arrivals.time[n_found] = first + k, here[k]
            n_found += here[k] < deadline
    return n_found


@njit
def _draw(key, unit, latest, draw):
    """Draw the uniform number behind each arrival time; return whether any unit can arrive in time."""
    n_in_time = 0
    for k in range(len(unit)):
        number = uniform(key, unit[k])
        draw[k] = number
        n_in_time += 1.0 - number <= latest  # -ln(number) >= 1 - number
    return n_in_time > 0


@njit(error_model="numpy")
def _time_arrivals(cell, x, y, shift, preferred, here):
    """Turn the draws into arrival times, infinite for units that are too far."""
    for k in range(len(x)):
        weight = preferred[k] * exp_of_negative(-_weighted_distance(cell, x[k], y[k], shift[k]))
        dx, dy = x[k] - cell.x, y[k] - cell.y
        time = -log_of_fraction(here[k]) / weight
        here[k] = np.inf if dx * dx + dy * dy > CANDIDATE_RADIUS**2 else time


@njit
def _send_back_turned(cell, tuning_angle, time):
    """Make the arrival times infinite of units of another orientation; simple units have a NaN, which passes."""
    for k in range(len(time)):
        is_turned = orientation_difference(tuning_angle[k], cell.tuning_angle) >= COMPOSITE_TOLERANCE
        time[k] = np.inf if is_turned else time[k]


@njit
def _collect_enough(field, cell, rules, rule, n_wanted, key, arrivals):
    """Find the units that arrive first at a cell, at least as many as it wants if there are; return how many."""
    aim = n_wanted + 4.0 * math.sqrt(n_wanted) + 4.0
    while True:
        step = 0
        while step < len(rules.deadline) and rules.expected[rule, step] < aim:
            step += 1
        deadline = rules.deadline[step] if step < len(rules.deadline) else np.inf
        n_found = _collect(field, cell, rules.preference[rule], deadline, key, arrivals)
        if n_found >= n_wanted or deadline == np.inf:
            return n_found
        aim *= 1.2 * aim / (n_found + 1.0)  # part of the receptive field lies outside the visual field


@njit
def _choose_first(field, cell, arrivals, n_found, n_wanted, key, chosen):
    """Choose the units that arrived first; return how many."""
    last = np.inf
    if n_found > n_wanted:
        for arrival in range(n_found):
            chosen.ranked[arrival] = arrivals.time[arrival]
        last = nth_smallest(chosen.ranked[:n_found], n_wanted) if n_wanted > 0 else -np.inf
    n_chosen = 0
    for arrival in range(n_found):
        arrivals.place[n_chosen] = arrivals.place[arrival]
        n_chosen += arrivals.time[arrival] <= last
    n_chosen = min(n_chosen, n_wanted)
    for choice in range(n_chosen):
        place = arrivals.place[choice]
        chosen.unit[choice] = field.unit[place]
        chosen.distance[choice] = _weighted_distance(cell, field.x[place], field.y[place], field.shift[place])
    for choice in range(n_chosen):
        chosen.patience[choice] = exponential(key, chosen.unit[choice])
    return n_chosen


def connect_cells(rule, first, last):
    """Choose the LGN units and their synapse counts for the V1 cells ``first`` to ``last - 1``.

    Parameters
    ----------
    rule : (Field, Cells, Rules)
    first, last : int

    Returns
    -------
    connections : (n,) uint32 array
        ``unit << 16 | synapses``, cell by cell.
    n_found, largest : (last - first,) int64 arrays
        Connections of each cell, and the synapses of its largest; where these are above MAX_SYNAPSES they do not fit.
    """
    field, cells, _ = rule
    n_units = len(field.unit)
    connections = np.empty(np.minimum(cells.n_wanted[first:last], n_units).sum(), np.uint32)
    n_found, largest = np.zeros((2, last - first), np.int64)
    room = (
        _Arrivals(np.empty(n_units, np.int64), *np.empty((3, n_units))),
        Chosen(np.empty(n_units, np.int64), *np.empty((5, n_units))),
        np.zeros(MAX_SYNAPSES + 2, np.int64),
    )
    compile_cached(_cells_kernel)(rule, first, room, connections, n_found, largest)
    return connections[: n_found.sum()], n_found, largest


def _cells_kernel(sources):
    def kernel(rule, first, room, connections, n_found, largest):
        field, cells, rules = rule
        arrivals, chosen, n_with = room
        end = 0
        for k in range(len(n_found) if sources > 0 else 0):
            i = first + k
            cell = _ReceptiveField(cells.x[i], cells.y[i], cells.axis_x[i], cells.axis_y[i], cells.tuning_angle[i])
            keys = splitmix64(cells.key[i], 0), splitmix64(cells.key[i], 1), splitmix64(cells.key[i], 2)
            n_arrived = _collect_enough(field, cell, rules, cells.rule[i], cells.n_wanted[i], keys[0], arrivals)
            n = _choose_first(field, cell, arrivals, n_arrived, cells.n_wanted[i], keys[2], chosen)
            largest[k] = draw_multiplicities(keys[1], cells.yule[i], n, n_with)
            give_synapses(chosen, n, n_with, largest[k], connections[end : end + n])
            n_found[k] = n
            end += n

    return kernel
