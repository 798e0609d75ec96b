"""Turn connections drawn target by target into rows by source, in the canonical order of a Projection."""

from typing import NamedTuple

import numpy as np
from numba import njit

BUCKET_BITS = 9  # sources per bucket (512): its connections fit into the cache of one core while they are sorted


class Block(NamedTuple):
    """Connections onto consecutive targets, grouped by bucket of sources.

    Attributes
    ----------
    first : int
        First target.
    packed : (n,) uint32 array
        ``source << shift | target - first``, sorted by (bucket, target).
    start : (n_buckets + 1,) int64 array
    """

    first: int
    packed: np.ndarray
    start: np.ndarray


class Topology(NamedTuple):
    """Recurrent connections without weights; the fields of the same names of Projection."""

    indptr: np.ndarray
    target: np.ndarray
    delay_code: np.ndarray
    delay_ms: np.ndarray


class Labels(NamedTuple):
    """What the target array and the delays of a connection follow from.

    Attributes
    ----------
    synapse_class : (N,) int array
    receptor, delay_code : (n_classes, n_classes) int arrays
        ``[pre, post]``.
    n_receptors : int
    delay_ms : (n_delays,) float64 array, ascending
    """

    synapse_class: np.ndarray
    receptor: np.ndarray
    delay_code: np.ndarray
    n_receptors: int
    delay_ms: np.ndarray


@njit(cache=True, nogil=True)
def group_stably(slot, n_slots, values):
    """Sort values by slot and keep the order within a slot (counting sort).

    Parameters
    ----------
    slot : (n,) int array
        0 .. n_slots - 1.
    n_slots : int
    values : (n,) array

    Returns
    -------
    (n,) array, (n_slots + 1,) int64 array
        Sorted values and where each slot starts.
    """
    start = np.zeros(n_slots + 1, dtype=np.int64)
    for s in slot:
        start[s + 1] += 1
    for s in range(n_slots):
        start[s + 1] += start[s]
    place = start[:-1].copy()
    grouped = np.empty_like(values)
    for k in range(len(values)):
        grouped[place[slot[k]]] = values[k]
        place[slot[k]] += 1
    return grouped, start


def targets_per_block(n_neurons, at_most=2048):
    """How many targets share a block so that source and target fit into 32 bits: a power of two."""
    shift = min(32 - int(n_neurons - 1).bit_length(), int(at_most).bit_length() - 1)
    return 1 << shift


def pack_block(first, sources, in_degree, n_neurons):
    """Group the connections of one block by bucket of sources.

    Parameters
    ----------
    first : int
        First target of the block.
    sources : (n,) uint32 array
        Target by target.
    in_degree : (n_targets,) int array
    n_neurons : int

    Returns
    -------
    Block
    """
    shift = np.uint32(targets_per_block(n_neurons).bit_length() - 1)
    local = np.repeat(np.arange(len(in_degree), dtype=np.uint32), in_degree)
    n_buckets = ((n_neurons - 1) >> BUCKET_BITS) + 1
    return Block(first, *group_stably(sources >> np.uint32(BUCKET_BITS), n_buckets, sources << shift | local))


def collect_by_source(blocks, labels, run):
    """Sort the connections of all blocks by source, delay and target.

    Parameters
    ----------
    blocks : list of Block
        Covering all N targets in ascending order; emptied, so that their memory can go.
    labels : Labels
    run : callable
        ``run(function, tasks)`` calls the function for every task, in any order, perhaps in parallel.

    Returns
    -------
    Topology
        Only delays that occur.
    """
    n_neurons = len(labels.synapse_class)
    per_bucket = sum(np.diff(block.start) for block in blocks)
    bucket_start = np.concatenate([[0], np.cumsum(per_bucket)])
    indptr = np.zeros(n_neurons + 1, dtype=np.int64)
    target = np.empty(bucket_start[-1], dtype=np.int32)
    delay_code = np.empty(bucket_start[-1], dtype=np.uint8)
    delay_used = np.zeros(len(labels.delay_ms), dtype=bool)

    def fill(bucket):
        begin, end = bucket_start[bucket], bucket_start[bucket + 1]
        first = bucket << BUCKET_BITS
        last = min(first + (1 << BUCKET_BITS), n_neurons)
        row_ends, target[begin:end], delay_code[begin:end] = sort_bucket(blocks, bucket, (first, last), labels)
        indptr[first + 1 : last + 1] = begin + row_ends
        delay_used[delay_code[begin:end]] = True

    run(fill, range(len(per_bucket)))
    blocks.clear()
    if not delay_used.all():
        delay_code = (np.cumsum(delay_used) - 1).astype(np.uint8)[delay_code]
    return Topology(indptr, target, delay_code, labels.delay_ms[delay_used])


def sort_bucket(blocks, bucket, sources, labels):
    """Sort the connections of one bucket.

    Parameters
    ----------
    blocks : list of Block
    bucket : int
    sources : (int, int)
        First neuron of the bucket, and the one after the last.
    labels : Labels

    Returns
    -------
    (n_sources,) int64 array, (n,) int32 array, (n,) uint8 array
        End of each row relative to the bucket; targets; delay codes.
    """
    shift = np.uint32(targets_per_block(len(labels.synapse_class)).bit_length() - 1)
    parts = [block.packed[block.start[bucket] : block.start[bucket + 1]] for block in blocks]
    packed = np.concatenate(parts)
    base = np.repeat(np.array([block.first for block in blocks], dtype=np.int32), [len(part) for part in parts])
    post = base + (packed & ((np.uint32(1) << shift) - np.uint32(1))).astype(np.int32)
    source = (packed >> shift).astype(np.int32)
    n_delays = len(labels.delay_ms)
    code = labels.delay_code[labels.synapse_class[source], labels.synapse_class[post]]
    post, start = group_stably((source - sources[0]) * n_delays + code, (sources[1] - sources[0]) * n_delays, post)
    row_ends = start[n_delays::n_delays]
    sorted_code = np.repeat(np.tile(np.arange(n_delays, dtype=np.uint8), sources[1] - sources[0]), np.diff(start))
    pre_class = np.repeat(labels.synapse_class[sources[0] : sources[1]], np.diff(row_ends, prepend=0))
    receptor = labels.receptor[pre_class, labels.synapse_class[post]]
    return row_ends, post * np.int32(labels.n_receptors) + receptor, sorted_code
