"""Draw all connections onto a block of targets: the compiled loop over targets and presynaptic cell types."""

from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.candidates import (
    BoundedCells,
    accept_candidates,
    bound_distance_factor,
    describe_candidates,
    find_candidates,
    room_for_candidates,
)
from twincortex.models.column.compiled_kernels import compile_cached
from twincortex.models.column.connection_probability import PairRule, rule_between, target_at
from twincortex.models.column.grid import SourceGrid
from twincortex.models.column.hashed_draws import splitmix64
from twincortex.models.column.wiring_tables import Targets

# Expected connections per target, only to guess how much room a block needs.
_GUESSED_IN_DEGREE = 600


class Wiring(NamedTuple):
    """Everything that decides who connects to whom.

    Attributes
    ----------
    grid : SourceGrid
    targets : Targets
    rules : PairRule of (T, T) arrays
    walk_key, accept_key : uint64
        Keys of the random streams that find candidates and that accept them.
    """

    grid: SourceGrid
    targets: Targets
    rules: PairRule
    walk_key: np.uint64
    accept_key: np.uint64


def draw_block(wiring, first, last):
    """Draw the connections onto targets first..last; it depends on nothing but the wiring and these targets.

    Parameters
    ----------
    wiring : Wiring
    first, last : int

    Returns
    -------
    sources : (n,) uint32 array
        Presynaptic neurons, target by target.
    in_degree : (last - first,) int64 array
    """
    n_neurons = len(wiring.targets.x)
    found = room_for_candidates(n_neurons)
    bound = np.empty(int(wiring.grid.n_rows.max()) ** 2)
    in_degree = np.zeros(last - first, dtype=np.int64)
    kernel = compile_cached(_block_kernel)
    room = np.empty((last - first) * min(_GUESSED_IN_DEGREE, n_neurons), dtype=np.uint32)
    parts, i = [], first
    while i < last:
        n_targets = kernel(wiring, (i, last), bound, found, room, in_degree[i - first :])
        n_sources = in_degree[i - first : i - first + n_targets].sum()
        parts.append(room[:n_sources].copy())
        i += n_targets
        if n_targets == 0:
            room = np.empty(2 * len(room), dtype=np.uint32)
    return np.concatenate(parts), in_degree


def _block_kernel(sources):
    def kernel(wiring, block, bound, found, sources_found, in_degree):
        return connect_block(wiring, block, bound, found, sources_found, in_degree) if sources > 0 else 0

    return kernel


@njit
def connect_block(wiring, block, bound, found, sources, in_degree):
    """Connect targets ``block[0]..block[1]`` until ``sources`` is full; returns how many targets are complete."""
    n_sources = 0
    for i in range(block[0], block[1]):
        n_after = connect_target(wiring, i, bound, found, sources, n_sources)
        if n_after < 0:
            return i - block[0]
        in_degree[i - block[0]] = n_after - n_sources
        n_sources = n_after
    return block[1] - block[0]


@njit
def connect_target(wiring, i, bound, found, sources, n_sources):
    """Draw the connections onto neuron i behind ``sources[:n_sources]``; returns the new end, or -1 without room."""
    grid, post_type = wiring.grid, wiring.targets.cell_type[i]
    target = target_at(wiring.targets, i)
    walk_key, accept_key = splitmix64(wiring.walk_key, i), splitmix64(wiring.accept_key, i)
    cloud, largest, n_found = (0.0, 0.0, 0.0, 0.0), 0.0, 0
    for pre_type in grid.type_order:
        rule = rule_between(wiring.rules, pre_type, post_type)
        # The bounds depend on the cloud and the grid only, which most types share with the one before.
        this_cloud = (grid.cell_um[pre_type], rule.displacement, rule.sigma_along, rule.sigma_across)
        if this_cloud != cloud:
            cloud, largest = this_cloud, bound_distance_factor(rule, target, grid, pre_type, bound)
        cells = BoundedCells(grid.cell_start[pre_type], grid.n_in_cell[pre_type], bound, largest, grid.n_rows[pre_type])
        n_before = n_found
        n_found = find_candidates(rule, target, cells, splitmix64(walk_key, pre_type), found, n_before)
        describe_candidates(rule, grid, found, n_before, n_found)
    if n_sources + n_found > len(sources):
        return -1
    accept_candidates(target, found, n_found, accept_key)
    for candidate in range(n_found):
        neuron = grid.neuron[found.source[candidate]]
        if found.accepted[candidate] and neuron != i:
            sources[n_sources] = neuron
            n_sources += 1
    return n_sources
