"""Connections drawn target by target become rows by source, and give their memory back on the way."""

import os
import threading

import numpy as np
import pytest

from twincortex.models.circuit import sort_projection
from twincortex.models.column import by_source, by_unit
from twincortex.models.column.scratch import copy_to_scratch, pieces_per_block
from twincortex.models.column.selection import largest_of, nth_smallest, smallest_of

SEED = 1


def run_in_any_order(function, tasks):
    for task in reversed(list(tasks)):
        function(task)


def random_pairs(n_targets, n_sources, probability):
    """Targets and sources of random connections, target by target."""
    rng = np.random.default_rng(SEED)
    return np.nonzero(rng.random((n_targets, n_sources)) < probability)


# --- recurrent -------------------------------------------------------------------------------------------------------
def labels(n_neurons, delays=(0.9, 1.1, 1.7)):
    """Two classes; 1.1 ms is for connections within class 0, 0.9 ms into class 1 and 1.7 ms from 1 to 0."""
    return by_source.Labels(
        synapse_class=np.random.default_rng(2).integers(0, 2, n_neurons).astype(np.int8),
        receptor=np.array([[0, 2], [1, 0]], dtype=np.int32),
        delay_rank=np.array([[1, 0], [1, 0]]),
        delay_code=np.array([[0, 1], [0, 2]], dtype=np.uint8),
        n_receptors=3,
        delay_ms=np.array(delays),
    )


def pack_blocks(post, pre, n_neurons):
    size = by_source.targets_per_block(n_neurons)
    degree = np.bincount(post, minlength=n_neurons)
    ends = np.cumsum(degree)
    return [
        by_source.pack_block(first, pre[ends[first] - degree[first] : ends[last - 1]], degree[first:last], n_neurons)
        for first in range(0, n_neurons, size)
        for last in [min(first + size, n_neurons)]
    ]


def test_recurrent_rows_are_those_of_a_plain_sort():
    n_neurons = 5000  # three blocks, ten buckets, which the pieces divide unevenly
    post, pre = random_pairs(n_neurons, n_neurons, 0.01)
    label = labels(n_neurons)
    blocks = pack_blocks(post, pre.astype(np.uint32), n_neurons)
    topology = by_source.collect_by_source(blocks, label, run_in_any_order)
    kind = label.synapse_class[pre], label.synapse_class[post]
    delay = label.delay_ms[label.delay_code[kind[0], label.delay_rank[kind]]]
    target = post * label.n_receptors + label.receptor[kind]
    expected = sort_projection("v1", n_neurons, pre, target, delay, np.zeros(len(pre)))
    for name, values in topology._asdict().items():
        np.testing.assert_array_equal(values, getattr(expected, name))
    assert not any(piece is not None for block in blocks for piece in block.pieces)


def test_delays_that_no_connection_has_are_left_out():
    label = labels(4)._replace(synapse_class=np.zeros(4, dtype=np.int8))
    blocks = pack_blocks(np.array([0, 3]), np.array([1, 2], dtype=np.uint32), 4)
    topology = by_source.collect_by_source(blocks, label, run_in_any_order)
    assert topology.delay_ms.tolist() == [1.1]
    assert topology.delay_code.tolist() == [0, 0]


# --- LGN -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n_units", [1, 700, 1025])
def test_lgn_rows_are_those_of_a_plain_sort(n_units):
    n_cells, per_block = 300, 100
    post, unit = random_pairs(n_cells, n_units, 0.1)
    n_synapses = np.random.default_rng(3).geometric(0.01, len(post))
    cell_target, cell_weight = np.arange(n_cells) * 4 + 1, np.linspace(0.5, 2.0, n_cells)
    bits = by_unit.piece_bits(n_units, n_blocks=3)
    blocks = []
    for first in range(0, n_cells, per_block):
        here = (post >= first) & (post < first + per_block)
        connections = (unit[here] << 16 | n_synapses[here]).astype(np.uint32)
        n_found = np.bincount(post[here] - first, minlength=per_block)
        blocks.append(by_unit.pack_block(connections, n_found, n_units, bits))
    rows = by_unit.collect_by_unit(blocks, cell_target.astype(np.int32), cell_weight, n_units, bits, run_in_any_order)
    weight = cell_weight[post] * n_synapses
    expected = sort_projection("lgn", n_units, unit, cell_target[post], np.ones(len(post)), weight, n_synapses)
    for name, values in rows._asdict().items():
        np.testing.assert_array_equal(values, getattr(expected, name))
    assert not any(piece is not None for block in blocks for piece in block.pieces)


# --- scratch memory --------------------------------------------------------------------------------------------------
def resident_bytes():
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the system does not tell the memory of a process")
def test_scratch_goes_back_to_the_system_piece_by_piece():
    pieces = []
    make = threading.Thread(target=lambda: pieces.extend(copy_to_scratch(np.ones(1 << 14)) for _ in range(500)))
    before = resident_bytes()
    make.start()
    make.join()
    full = resident_bytes()
    assert full - before > 0.9 * 500 * 2**17
    del pieces[::2]
    assert full - resident_bytes() > 0.9 * 250 * 2**17


def test_a_scratch_copy_holds_the_values():
    values = np.arange(1000, dtype=np.uint32)
    np.testing.assert_array_equal(copy_to_scratch(values), values)
    assert copy_to_scratch(values[:0]).dtype == np.uint32


def test_blocks_are_cut_into_as_many_pieces_as_the_system_can_map():
    assert pieces_per_block(1) == pieces_per_block(1000) == 32
    assert 1 <= 10_000 * pieces_per_block(10_000) <= 32_768
    assert pieces_per_block(10**6) == 1


# --- selection -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("values", [[3.0], [2.0, 1.0], [1.0] * 7, [5.0, 1.0, 5.0, 3.0, 1.0]])
def test_the_nth_smallest_of_few_values_is_found(values):
    for n in range(1, len(values) + 1):
        assert nth_smallest(np.array(values), n) == sorted(values)[n - 1]


def test_the_nth_smallest_of_many_values_is_found():
    values = np.random.default_rng(SEED).normal(size=1001)
    for n in (1, 2, 500, 1001):
        assert nth_smallest(values.copy(), n) == np.sort(values)[n - 1]
    assert smallest_of(values, 100) == values[:100].min()
    assert largest_of(values, 100) == values[:100].max()
