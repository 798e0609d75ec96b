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
    bound = np.empty(wiring.grid.n_cells.max())
    found = room_for_candidates(n_neurons, len(bound))
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
        """Connect targets ``block[0]..block[1]`` until there is no more room; returns how many are complete."""
        n_found = 0
        for i in range(block[0], block[1] if sources > 0 else 0):
            n_onto_i = connect_target(wiring, i, bound, found, sources_found[n_found:])
            if n_onto_i < 0:
                return i - block[0]
            in_degree[i - block[0]] = n_onto_i
            n_found += n_onto_i
        return block[1] - block[0]

    return kernel


@njit
def connect_target(wiring, i, bound, found, sources):
    """Draw the connections onto neuron i; returns how many, or -1 where ``sources`` has no room for all candidates."""
    grid, post_type = wiring.grid, wiring.targets.cell_type[i]
    target = target_at(wiring.targets, i)
    walk_key, accept_key = splitmix64(wiring.walk_key, i), splitmix64(wiring.accept_key, i)
    cloud, largest, n_sources = (0.0, 0.0, 0.0, 0.0), 0.0, 0
    for pre_type in grid.type_order:
        rule = rule_between(wiring.rules, pre_type, post_type)
        # The bounds depend on the cloud and the grid only, which most types share with the one before.
        this_cloud = (grid.cell_um[pre_type], rule.displacement, rule.sigma_along, rule.sigma_across)
        if this_cloud != cloud:
            cloud, largest = this_cloud, bound_distance_factor(rule, target, grid, pre_type, bound)
        n_cells = grid.n_cells[pre_type]
        cells = BoundedCells(grid.place, grid.cell_start[pre_type], grid.n_in_cell[pre_type], bound[:n_cells])
        n_found = find_candidates(rule, target, cells, largest, splitmix64(walk_key, pre_type), found)
        if n_sources + n_found > len(sources):
            return -1
        describe_candidates(grid.place, found, n_found)
        accept_candidates(rule, target, found, n_found, accept_key)
        n_sources += keep_accepted(found, n_found, i, sources[n_sources:])
    return n_sources


@njit
def keep_accepted(found, n_found, i, sources):
    """Write down the accepted candidates but neuron i itself; returns how many."""
    n_sources = 0
    for candidate in range(n_found):
        sources[n_sources] = found.neuron[candidate]  # a branch would be mispredicted every other time
        n_sources += found.accepted[candidate] & (found.neuron[candidate] != i)
    return n_sources
