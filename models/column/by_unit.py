"""Turn LGN connections drawn cell by cell into rows by LGN unit, in the canonical order of a Projection."""

import itertools
from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.scratch import copy_to_scratch, pieces_per_block


class Block(NamedTuple):
    """Connections of consecutive V1 cells, grouped by piece: consecutive LGN units.

    Attributes
    ----------
    pieces : list of uint32 arrays
        ``unit << 16 | synapses``, cell by cell.
    n_in_piece : (n_pieces, n_cells) int32 array
        Connections of each cell in each piece.
    """

    pieces: list
    n_in_piece: np.ndarray


class Rows(NamedTuple):
    """Connections by LGN unit; the fields of the same names of Projection."""

    indptr: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    n_synapses: np.ndarray


def piece_bits(n_units, n_blocks):
    """Logarithm to base 2 of the number of units in a piece of each block."""
    return max(0, int(-(-n_units // pieces_per_block(n_blocks)) - 1).bit_length())


def pack_block(connections, n_found, n_units, bits):
    """Group the connections of one block by piece.

    Parameters
    ----------
    connections : (n,) uint32 array
        ``unit << 16 | synapses``, cell by cell.
    n_found : (n_cells,) int64 array
        Connections of each cell.
    n_units, bits : int
        LGN units, in pieces of ``2**bits``.

    Returns
    -------
    Block
    """
    packed, n_in_piece = group_by_piece(connections, n_found, np.uint32(bits), ((n_units - 1) >> bits) + 1)
    border = np.concatenate([[0], np.cumsum(n_in_piece.sum(axis=1))])
    return Block([copy_to_scratch(packed[a:b]) for a, b in itertools.pairwise(border)], n_in_piece)


@njit(cache=True, nogil=True)
def group_by_piece(connections, n_found, bits, n_pieces):
    """Sort connections by piece and keep their order within a piece (counting sort); also count them per cell."""
    n_in_piece, k = np.zeros((n_pieces, len(n_found)), np.int32), 0
    place = np.zeros(n_pieces + 1, np.int64)
    for cell in range(len(n_found)):
        for _ in range(n_found[cell]):
            piece = np.int64(connections[k] >> np.uint32(16) >> bits)
            n_in_piece[piece, cell] += 1
            place[piece + 1] += 1
            k += 1
    for piece in range(n_pieces):
        place[piece + 1] += place[piece]
    grouped = np.empty_like(connections)
    for connection in connections:
        piece = np.int64(connection >> np.uint32(16) >> bits)
        grouped[place[piece]] = connection
        place[piece] += 1
    return grouped, n_in_piece


def collect_by_unit(blocks, cell_target, cell_weight, n_units, bits, run):
    """Sort the connections of all blocks by LGN unit and target.

    Parameters
    ----------
    blocks : list of Block
        Covering all N cells in ascending order; their pieces are dropped as soon as they are sorted.
    cell_target : (N,) int32 array, ascending
        ``post * n_receptors + receptor``.
    cell_weight : (N,) float64 array [pA]
        Per synapse.
    n_units, bits : int
        LGN units, in pieces of ``2**bits``.
    run : callable
        ``run(function, tasks)`` calls the function for every task, in any order, perhaps in parallel.

    Returns
    -------
    Rows
        With the weights of all synapses of a connection together.
    """
    per_piece = sum(np.array([len(piece) for piece in block.pieces]) for block in blocks)
    begin = np.concatenate([[0], np.cumsum(per_piece)])
    kinds = np.int32, np.float32, np.uint16
    rows = Rows(np.zeros(n_units + 1, np.int64), *(np.empty(begin[-1], kind) for kind in kinds))

    def fill(piece):
        packed = np.concatenate([block.pieces[piece] for block in blocks])
        n_of_cell = np.concatenate([block.n_in_piece[piece] for block in blocks])
        for block in blocks:
            block.pieces[piece] = None
        first, last = piece << bits, min((piece + 1) << bits, n_units)
        part = slice(begin[piece], begin[piece + 1])
        here = Rows(rows.indptr[first + 1 : last + 1], *(column[part] for column in rows[1:]))
        sort_piece(packed, n_of_cell, first, cell_target, cell_weight, here)
        here.indptr[:] += begin[piece]

    run(fill, range(len(per_piece)))
    return rows


@njit(cache=True, nogil=True)
def sort_piece(packed, n_of_cell, first_unit, cell_target, cell_weight, rows):
    """Sort the connections of one piece by unit (counting sort).

    Parameters
    ----------
    packed : (n,) uint32 array
        ``unit << 16 | synapses``, cell by cell.
    n_of_cell : (N,) int32 array
    first_unit : int
    cell_target, cell_weight : (N,) arrays
        See ``collect_by_unit``.
    rows : Rows
        Receives the connections; in ``indptr`` the end of each row.
    """
    place, k = np.zeros(len(rows.indptr) + 1, np.int64), 0
    for connection in packed:
        place[np.int64(connection >> np.uint32(16)) - first_unit + 1] += 1
    for unit in range(len(rows.indptr)):
        place[unit + 1] += place[unit]
        rows.indptr[unit] = place[unit + 1]
    for cell in range(len(n_of_cell)):
        for _ in range(n_of_cell[cell]):
            unit = np.int64(packed[k] >> np.uint32(16)) - first_unit
            n_synapses = np.int64(packed[k] & np.uint32(0xFFFF))
            rows.target[place[unit]] = cell_target[cell]
            rows.weight[place[unit]] = cell_weight[cell] * n_synapses
            rows.n_synapses[place[unit]] = n_synapses
            place[unit] += 1
            k += 1
