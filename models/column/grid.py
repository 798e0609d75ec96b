"""Sort presynaptic neurons by cell type and grid cell, so that one bound serves all neurons of a cell."""

from typing import NamedTuple

import numpy as np

EXCITATORY_CELL_UM = 50.0
INHIBITORY_CELL_UM = 100.0
# Grid cells whose hazards are added up at once: the walk skips a strip at a time, and LLVM unrolls a known number.
STRIP = 16


class SourceGrid(NamedTuple):
    """Presynaptic neurons sorted by (cell type, grid cell, neuron).

    Attributes
    ----------
    place : (N, 4) float64 array
        x, z [um], tuning angle [deg] and which neuron of the column it is: read together, so stored together.
    cell_start : (T, n_cells + 1) int64 array
        Where each grid cell of each type starts.
    n_in_cell : (T, n_cells) float64 array
    centre_x, centre_z : (T, n_cells) float64 arrays [um]
    n_cells : (T,) int64 array
        Grid cells of each type: a multiple of STRIP, the last ones empty.
    cell_um : (T,) float64 array [um]
    type_order : (T,) int64 array
        Types with the same grid stand together.
    """

    place: np.ndarray
    cell_start: np.ndarray
    n_in_cell: np.ndarray
    centre_x: np.ndarray
    centre_z: np.ndarray
    n_cells: np.ndarray
    cell_um: np.ndarray
    type_order: np.ndarray


def sort_sources(nodes, cell_type, excitatory):
    """Sort the neurons of a column into a grid.

    Parameters
    ----------
    nodes : Nodes
    cell_type : (N,) int array
    excitatory : (T,) bool array
        Which cell types are excitatory: they are more numerous and get smaller grid cells.

    Returns
    -------
    SourceGrid
        Rows of grid cells along x, columns along z.
    """
    half_width = float(max(np.abs(nodes.x).max(initial=0.0), np.abs(nodes.z).max(initial=0.0)))
    cell_um = np.where(excitatory, EXCITATORY_CELL_UM, INHIBITORY_CELL_UM)
    n_rows = np.maximum(np.ceil(2 * half_width / cell_um), 1).astype(np.int64)
    last_row = n_rows[cell_type] - 1
    row, column = (
        np.minimum(((position + half_width) / cell_um[cell_type]).astype(np.int64), last_row)
        for position in (nodes.x, nodes.z)
    )
    n_cells = -(-(n_rows**2) // STRIP) * STRIP
    cell = cell_type * n_cells.max() + row * n_rows[cell_type] + column
    order = np.argsort(cell, kind="stable")
    borders = np.searchsorted(cell[order], np.arange(len(excitatory) * n_cells.max() + 1))
    cell_start = borders[np.arange(len(excitatory))[:, None] * n_cells.max() + np.arange(n_cells.max() + 1)]
    # The empty cells at the end stand where the last full one does, so that they raise no bound.
    at = np.divmod(np.minimum(np.arange(n_cells.max()), n_rows[:, None] ** 2 - 1), n_rows[:, None])
    centre_x, centre_z = ((index + 0.5) * cell_um[:, None] - half_width for index in at)
    return SourceGrid(
        np.stack([nodes.x, nodes.z, nodes.tuning_angle, np.arange(len(cell))], axis=1)[order],
        cell_start,
        np.diff(cell_start).astype(np.float64),
        centre_x,
        centre_z,
        n_cells,
        cell_um,
        np.argsort(~excitatory, kind="stable"),
    )
