"""Sort presynaptic neurons by cell type and grid cell, so that one bound serves all neurons of a cell."""

from typing import NamedTuple

import numpy as np

EXCITATORY_CELL_UM = 50.0
INHIBITORY_CELL_UM = 100.0


class SourceGrid(NamedTuple):
    """Presynaptic neurons sorted by (cell type, grid cell, neuron).

    Attributes
    ----------
    place : (N, 3) float64 array
        x, z [um] and tuning angle [deg]: read together, so stored together.
    neuron : (N,) int64 array
        Which neuron of the column it is.
    cell_start : (T, n_cells + 1) int64 array
        Where each grid cell of each type starts; cell ``row * n_rows + column`` with rows along x, columns along z.
    n_in_cell : (T, n_cells) float64 array
    n_rows : (T,) int64 array
        The grid of a type has ``n_rows`` x ``n_rows`` cells.
    cell_um : (T,) float64 array [um]
    corner_um : float [um]
        Lowest x and z of the grid.
    type_order : (T,) int64 array
        Types with the same grid stand together.
    """

    place: np.ndarray
    neuron: np.ndarray
    cell_start: np.ndarray
    n_in_cell: np.ndarray
    n_rows: np.ndarray
    cell_um: np.ndarray
    corner_um: float
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
    """
    half_width = float(max(np.abs(nodes.x).max(initial=0.0), np.abs(nodes.z).max(initial=0.0)))
    cell_um = np.where(excitatory, EXCITATORY_CELL_UM, INHIBITORY_CELL_UM)
    n_rows = np.maximum(np.ceil(2 * half_width / cell_um), 1).astype(np.int64)
    last_row = n_rows[cell_type] - 1
    row, column = (
        np.minimum(((position + half_width) / cell_um[cell_type]).astype(np.int64), last_row)
        for position in (nodes.x, nodes.z)
    )
    n_cells = int(np.max(n_rows)) ** 2
    cell = cell_type * n_cells + row * n_rows[cell_type] + column
    order = np.argsort(cell, kind="stable")
    borders = np.searchsorted(cell[order], np.arange(len(excitatory) * n_cells + 1))
    cell_start = np.arange(len(excitatory))[:, None] * n_cells + np.arange(n_cells + 1)
    return SourceGrid(
        np.stack([nodes.x, nodes.z, nodes.tuning_angle], axis=1)[order],
        order,
        borders[cell_start],
        np.diff(borders[cell_start]).astype(np.float64),
        n_rows,
        cell_um,
        -half_width,
        np.argsort(~excitatory, kind="stable"),
    )
