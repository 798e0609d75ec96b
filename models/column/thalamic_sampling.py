"""Compiled kernels of the LGN to V1 rule: choose the units of each cell, give them synapses, sort by unit.

Choosing n units without replacement with probabilities in proportion to w is the same as giving every unit an arrival
time E / w, with E exponential, and taking the n that arrive first (Efraimidis & Spirakis 2006). Every E is a hash of
(seed, cell, unit), so units that cannot arrive in time need not be looked at, and nothing depends on threads.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.compiled_kernels import compile_cached
from twincortex.models.column.hashed_draws import exponential, splitmix64, uniform

CANDIDATE_RADIUS = 40.0  # deg around the centre of the receptive field
SPREAD = 5.0  # deg, of the Gaussian by which units are chosen
SHIFT = 2.5  # deg along the tuning axis, against it for sustained units and with it for transient ones
ELONGATION = 1.5  # of the receptive field across its tuning axis, ratio of the squared axes
COMPOSITE_TOLERANCE = 15.0  # deg of orientation between a cell and the composite units it takes
MAX_SYNAPSES = np.iinfo(np.uint16).max
MAX_UNITS = np.iinfo(np.uint16).max + 1
_SMALLEST_EXPONENTIAL = 1e-16  # below the smallest value that hashed_draws.exponential returns


class Field(NamedTuple):
    """LGN units in the order of square tiles of the visual field.

    unit, model : (n,) int64; x, y [deg]; shift : (n,) in SHIFT; tuning_angle [deg], NaN in simple units;
    tile_start : (n_tiles + 1,) int64; tile_x, tile_y : (n_tiles,) [deg]; tile_radius : float [deg], of a circle around
    every tile.
    """

    unit: np.ndarray
    model: np.ndarray
    x: np.ndarray
    y: np.ndarray
    shift: np.ndarray
    tuning_angle: np.ndarray
    tile_start: np.ndarray
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


class Connections(NamedTuple):
    """Connections in the order of V1 cells.

    start : (N + 1,) int64, room for the wanted ones; n_found : (N,) int64, less where units are lacking; unit,
    n_synapses : (start[-1],) uint16.
    """

    start: np.ndarray
    n_found: np.ndarray
    unit: np.ndarray
    n_synapses: np.ndarray


class _Arrivals(NamedTuple):
    """Units that arrived: order of arrival, time, place in Field, squared distance over 2 SPREAD^2."""

    order: np.ndarray
    time: np.ndarray
    place: np.ndarray
    distance: np.ndarray


@njit
def orientation_difference(angle):
    """Fold an angle between two directions [deg] to the difference of their orientations, 0 to 90 deg."""
    return abs(abs(angle - 90.0) % 180.0 - 90.0)


@njit
def yule_simon(rho, probability):
    """Quantile of the Yule-Simon distribution, P(k > n) = n B(n, rho + 1)."""
    n, beyond = 1, 1.0 / (1.0 + rho)
    while beyond > probability and n <= MAX_SYNAPSES:
        n += 1
        beyond *= n / (n + rho)
    return n


@njit
def _collect(field, cells, preference, cell, deadline, arrivals):
    """Find the units that arrive at a cell before a deadline; return how many."""
    key = splitmix64(cells.key[cell], 0)
    axis_x, axis_y = cells.axis_x[cell], cells.axis_y[cell]
    strongest, n_found = preference.max(), 0
    for tile in range(len(field.tile_x)):
        dx, dy = field.tile_x[tile] - cells.x[cell], field.tile_y[tile] - cells.y[cell]
        if math.hypot(dx, dy) > CANDIDATE_RADIUS + field.tile_radius:
            continue
        along = max(0.0, abs(dx * axis_x + dy * axis_y) - field.tile_radius - SHIFT)
        across = max(0.0, abs(dy * axis_x - dx * axis_y) - field.tile_radius)
        latest = deadline * strongest * math.exp(-_scaled_distance(along, across))
        if latest < _SMALLEST_EXPONENTIAL:
            continue
        for place in range(field.tile_start[tile], field.tile_start[tile + 1]):
            preferred = preference[field.model[place]]
            if preferred == 0.0:
                continue
            draw = uniform(key, field.unit[place])
            if 1.0 - draw > latest:  # -ln(draw) >= 1 - draw: it cannot arrive in time
                continue
            dx, dy = field.x[place] - cells.x[cell], field.y[place] - cells.y[cell]
            if dx * dx + dy * dy > CANDIDATE_RADIUS**2:
                continue
            angle = field.tuning_angle[place] - cells.tuning_angle[cell]  # NaN in simple units, which passes
            if orientation_difference(angle) >= COMPOSITE_TOLERANCE:
                continue
            distance = _scaled_distance(
                dx * axis_x + dy * axis_y + SHIFT * field.shift[place], dy * axis_x - dx * axis_y
            )
            time = -math.log(draw) / (preferred * math.exp(-distance))
            if time < deadline:
                arrivals.order[n_found] = n_found
                arrivals.time[n_found], arrivals.place[n_found], arrivals.distance[n_found] = time, place, distance
                n_found += 1
    return n_found


@njit
def _scaled_distance(along, across):
    """Squared distance in the elongated receptive field over 2 SPREAD^2."""
    return (along * along * ELONGATION + across * across / ELONGATION) / (2.0 * SPREAD * SPREAD)


@njit
def _put_smallest_first(order, value, n):
    """Reorder ``order`` so that value[order[:n]] are its n smallest (Hoare's quickselect)."""
    low, high = 0, len(order) - 1
    while low < high:
        pivot = value[order[(low + high) // 2]]
        left, right = low, high
        while left <= right:
            while value[order[left]] < pivot:
                left += 1
            while value[order[right]] > pivot:
                right -= 1
            if left <= right:
                order[left], order[right] = order[right], order[left]
                left, right = left + 1, right - 1
        if n - 1 <= right:
            high = right
        elif n - 1 >= left:
            low = left
        else:
            return


@njit
def _choose_units(field, cells, rules, cell, arrivals):
    """Put the units of a cell first in ``arrivals.order``; return how many there are."""
    rule, n_wanted = cells.rule[cell], cells.n_wanted[cell]
    aim = n_wanted + 4.0 * math.sqrt(n_wanted) + 4.0
    while True:
        grid = np.searchsorted(rules.expected[rule], aim)
        deadline = rules.deadline[grid] if grid < len(rules.deadline) else np.inf
        n_found = _collect(field, cells, rules.preference[rule], cell, deadline, arrivals)
        if n_found >= n_wanted:
            _put_smallest_first(arrivals.order[:n_found], arrivals.time, n_wanted)
            return n_wanted
        if deadline == np.inf:
            return n_found
        aim *= 1.2 * aim / (n_found + 1.0)  # part of the receptive field lies outside the visual field


@njit
def _draw_multiplicities(cells, cell, n, multiplicity):
    """Draw the numbers of synapses of n connections, largest first; return how many are above 1."""
    key, n_multiple = splitmix64(cells.key[cell], 1), 0
    for number in range(n):
        k = yule_simon(cells.yule[cell], uniform(key, number))
        if k > 1:
            multiplicity[n_multiple] = k
            n_multiple += 1
    multiplicity[:n_multiple] = -np.sort(-multiplicity[:n_multiple])
    return n_multiple


@njit
def _assign_multiplicities(order, distance, patience, multiplicity, n_synapses):
    """Give the multiplicities, largest first, to units chosen in proportion to exp(-k distance); the rest get one.

    Units race for each multiplicity; what is left of the patience of those that lost is again exponential, because the
    exponential distribution has no memory, so one draw per unit serves all races.
    """
    n_synapses[order] = 1
    time = np.empty(len(distance))
    given = 0
    while given < len(multiplicity):
        k, n_same = multiplicity[given], 1
        while given + n_same < len(multiplicity) and multiplicity[given + n_same] == k:
            n_same += 1
        racing = order[given:]
        for runner in racing:  # logarithms, because exp(-k distance) may underflow
            time[runner] = math.log(patience[runner]) + k * distance[runner]
        _put_smallest_first(racing, time, n_same)
        last = -np.inf
        for runner in racing[:n_same]:
            n_synapses[runner] = k
            last = max(last, time[runner])
        given += n_same
        if given < len(multiplicity):
            for runner in racing[n_same:]:
                patience[runner] = max(patience[runner] - math.exp(last - k * distance[runner]), 1e-300)


def connect_cells(field, cells, rules, first, last, connections):
    """Choose the LGN units and their synapse counts for the V1 cells ``first`` to ``last - 1``.

    Parameters
    ----------
    field : Field
    cells : Cells
    rules : Rules
    first, last : int
    connections : Connections
        Filled for these cells; ``n_found`` is -1 where a connection has more than MAX_SYNAPSES synapses.
    """
    compile_cached(_cells_kernel)(field, cells, rules, first, last, connections)


def _cells_kernel(sources):
    def kernel(field, cells, rules, first, last, connections):
        if sources > 0:
            _connect_cells(field, cells, rules, first, last, connections)

    return kernel


@njit
def _connect_cells(field, cells, rules, first, last, connections):
    n_units = len(field.unit)
    arrivals = _Arrivals(np.empty(n_units, np.int64), np.empty(n_units), np.empty(n_units, np.int64), np.empty(n_units))
    patience, n_synapses = np.empty(n_units), np.empty(n_units, np.int64)
    multiplicity = np.empty(n_units, np.int64)
    for cell in range(first, last):
        n_chosen = _choose_units(field, cells, rules, cell, arrivals)
        order = arrivals.order[:n_chosen]
        key = splitmix64(cells.key[cell], 2)
        for chosen in order:
            patience[chosen] = exponential(key, field.unit[arrivals.place[chosen]])
        n_multiple = _draw_multiplicities(cells, cell, n_chosen, multiplicity)
        _assign_multiplicities(order, arrivals.distance, patience, multiplicity[:n_multiple], n_synapses)
        fits = n_multiple == 0 or multiplicity[0] <= MAX_SYNAPSES
        connections.n_found[cell] = n_chosen if fits else -1
        start = connections.start[cell]
        for number, chosen in enumerate(order):
            connections.unit[start + number] = field.unit[arrivals.place[chosen]]
            connections.n_synapses[start + number] = n_synapses[chosen]


@njit(cache=True, nogil=True)
def sort_by_unit(connections, cell_target, cell_weight, n_units):
    """Bring connections from the order of V1 cells into rows by LGN unit, each sorted by target.

    Parameters
    ----------
    connections : Connections
    cell_target : (N,) int32 array, ascending
        ``post * n_receptors + receptor``.
    cell_weight : (N,) float64 array [pA]
        Per synapse.
    n_units : int

    Returns
    -------
    indptr : (n_units + 1,) int64 array
    target : (E,) int32 array
    weight : (E,) float32 array [pA]
        Of all synapses of the connection.
    n_synapses : (E,) uint16 array
    """
    indptr = np.zeros(n_units + 1, np.int64)
    for cell in range(len(cell_target)):
        start = connections.start[cell]
        for connection in range(start, start + connections.n_found[cell]):
            indptr[connections.unit[connection] + 1] += 1
    indptr = np.cumsum(indptr)
    target, n_synapses = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.uint16)
    weight = np.empty(indptr[-1], np.float32)
    next_free = indptr[:-1].copy()
    for cell in range(len(cell_target)):
        start = connections.start[cell]
        for connection in range(start, start + connections.n_found[cell]):
            place = next_free[connections.unit[connection]]
            next_free[connections.unit[connection]] += 1
            target[place] = cell_target[cell]
            weight[place] = cell_weight[cell] * connections.n_synapses[connection]
            n_synapses[place] = connections.n_synapses[connection]
    return indptr, target, weight, n_synapses
