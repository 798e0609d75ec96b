"""Turn connections drawn target by target into rows by source, in the canonical order of a Projection."""

import itertools
from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.scratch import copy_to_scratch, pieces_per_block

BUCKET_BITS = 9  # sources per bucket (512): its connections fit into the cache of one core while they are sorted


class Block(NamedTuple):
    """Connections onto consecutive targets, grouped by bucket of sources.

    Attributes
    ----------
    first : int
        First target.
    pieces : list of uint32 arrays
        ``source << shift | target - first``, sorted by (bucket, target); cut between buckets.
    start : (n_buckets + 1,) int64 array
        Where each bucket starts in all pieces together.
    """

    first: int
    pieces: list
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
    receptor : (n_classes, n_classes) int array
        ``[pre, post]``.
    delay_rank : (n_classes, n_classes) int array
        ``[pre, post]``: place among the different delays of the presynaptic class, ascending.
    delay_code : (n_classes, n_classes) uint8 array
        ``[pre, rank]``: index into delay_ms.
    n_receptors : int
    delay_ms : (n_delays,) float64 array, ascending
    """

    synapse_class: np.ndarray
    receptor: np.ndarray
    delay_rank: np.ndarray
    delay_code: np.ndarray
    n_receptors: int
    delay_ms: np.ndarray


class Bucket(NamedTuple):
    """Connections of consecutive sources, block after block.

    Attributes
    ----------
    packed : (n,) uint32 array
    block_end : (n_blocks,) int64 array
        Where the connections of each block end.
    first_target : (n_blocks,) int64 array
        First target of each block.
    shift : int
    first_source, n_sources : int
    """

    packed: np.ndarray
    block_end: np.ndarray
    first_target: np.ndarray
    shift: int
    first_source: int
    n_sources: int


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
    in_degree : (n_targets,) int64 array
    n_neurons : int

    Returns
    -------
    Block
    """
    shift = np.uint32(targets_per_block(n_neurons).bit_length() - 1)
    borders = piece_borders(n_neurons)
    packed, start = group_by_bucket(sources, in_degree, shift, borders[-1])
    return Block(first, [copy_to_scratch(packed[a:b]) for a, b in itertools.pairwise(start[borders])], start)


def piece_borders(n_neurons):
    """First bucket of each piece of a block, (n_pieces + 1,) int64 with the number of buckets at the end."""
    n_blocks = -(-n_neurons // targets_per_block(n_neurons))
    n_buckets = ((n_neurons - 1) >> BUCKET_BITS) + 1
    return np.linspace(0, n_buckets, pieces_per_block(n_blocks) + 1).astype(np.int64)


@njit(cache=True, nogil=True)
def group_by_bucket(sources, in_degree, shift, n_buckets):
    """Pack connections, ``source << shift | target``, and sort them by bucket of sources (counting sort).

    Parameters
    ----------
    sources : (n,) uint32 array
        Target by target.
    in_degree : (n_targets,) int64 array
    shift : uint32
    n_buckets : int

    Returns
    -------
    (n,) uint32 array, (n_buckets + 1,) int64 array
        Packed connections, within a bucket by target, and where each bucket starts.
    """
    start = np.zeros(n_buckets + 1, np.int64)
    for source in sources:
        start[(source >> BUCKET_BITS) + 1] += 1
    for bucket in range(n_buckets):
        start[bucket + 1] += start[bucket]
    place, packed, k = start.copy(), np.empty_like(sources), 0
    for target in range(len(in_degree)):
        for _ in range(in_degree[target]):
            bucket = sources[k] >> BUCKET_BITS
            packed[place[bucket]] = np.uint32(sources[k] << shift) | np.uint32(target)
            place[bucket] += 1
            k += 1
    return packed, start


def collect_by_source(blocks, labels, run):
    """Sort the connections of all blocks by source, delay and target.

    Parameters
    ----------
    blocks : list of Block
        Covering all N targets in ascending order; their pieces are dropped as soon as they are sorted.
    labels : Labels
    run : callable
        ``run(function, tasks)`` calls the function for every task, in any order, perhaps in parallel.

    Returns
    -------
    Topology
        Only delays that occur.
    """
    n_neurons = len(labels.synapse_class)
    row_start = sum(block.start for block in blocks)
    indptr = np.zeros(n_neurons + 1, dtype=np.int64)
    target = np.empty(row_start[-1], dtype=np.int32)
    delay_code = np.empty(row_start[-1], dtype=np.uint8)
    delay_used = np.zeros(len(labels.delay_ms), dtype=bool)

    def fill(task):
        piece, first_of_piece, number = task
        bucket = take_bucket(blocks, piece, first_of_piece, number, n_neurons)
        begin, end = row_start[number], row_start[number + 1]
        rows = indptr[bucket.first_source + 1 : bucket.first_source + bucket.n_sources + 1]
        sort_bucket(bucket, labels, rows, target[begin:end], delay_code[begin:end])
        delay_used[delay_code[begin:end]] = True
        rows += begin

    for piece, (first, last) in enumerate(itertools.pairwise(piece_borders(n_neurons))):
        run(fill, [(piece, first, number) for number in range(first, last)])
        for block in blocks:
            block.pieces[piece] = None
    if not delay_used.all():
        delay_code = (np.cumsum(delay_used) - 1).astype(np.uint8)[delay_code]
    return Topology(indptr, target, delay_code, labels.delay_ms[delay_used])


def take_bucket(blocks, piece, first_of_piece, number, n_neurons):
    """Gather the connections of bucket ``number`` from one piece of all blocks."""
    parts = []
    for block in blocks:
        begin, end = block.start[number : number + 2] - block.start[first_of_piece]
        parts.append(block.pieces[piece][begin:end])
    first_source = number << BUCKET_BITS
    return Bucket(
        packed=np.concatenate(parts),
        block_end=np.cumsum([len(part) for part in parts]),
        first_target=np.array([block.first for block in blocks]),
        shift=targets_per_block(n_neurons).bit_length() - 1,
        first_source=first_source,
        n_sources=min(1 << BUCKET_BITS, n_neurons - first_source),
    )


@njit(cache=True, nogil=True)
def sort_bucket(bucket, labels, row_end, target, delay_code):
    """Sort the connections of one bucket by source, delay and target (counting sort).

    Parameters
    ----------
    bucket : Bucket
    labels : Labels
    row_end : (n_sources,) int64 array
        Receives the end of each row relative to the bucket.
    target : (n,) int32 array
    delay_code : (n,) uint8 array
        Receive the connections.
    """
    n_ranks, shift = len(labels.delay_rank), np.uint32(bucket.shift)
    within_block = (np.uint32(1) << shift) - np.uint32(1)
    pre_class = labels.synapse_class[bucket.first_source : bucket.first_source + bucket.n_sources].astype(np.int64)
    slot, place = np.empty(len(target), np.uint16), np.zeros(bucket.n_sources * n_ranks + 1, np.int64)
    k = 0
    for block in range(len(bucket.block_end)):
        while k < bucket.block_end[block]:
            post = bucket.first_target[block] + np.int64(bucket.packed[k] & within_block)
            source = np.int64(bucket.packed[k] >> shift) - bucket.first_source
            slot[k] = source * n_ranks + labels.delay_rank[pre_class[source], labels.synapse_class[post]]
            place[slot[k] + 1] += 1
            k += 1
    for s in range(bucket.n_sources * n_ranks):
        source, rank = divmod(s, n_ranks)
        place[s + 1] += place[s]
        row_end[source] = place[s + 1]
        delay_code[place[s] : place[s + 1]] = labels.delay_code[pre_class[source], rank]
    k = 0
    for block in range(len(bucket.block_end)):
        while k < bucket.block_end[block]:
            post = bucket.first_target[block] + np.int64(bucket.packed[k] & within_block)
            receptor = labels.receptor[pre_class[slot[k] // n_ranks], labels.synapse_class[post]]
            target[place[slot[k]]] = post * labels.n_receptors + receptor
            place[slot[k]] += 1
            k += 1
