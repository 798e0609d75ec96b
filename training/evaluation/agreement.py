"""Measured preferred directions against the tuning angles that cells were given when the column was built."""

import numpy as np

from twincortex.models.parameters import read_populations
from twincortex.models.tuning import circular_distance

NEAR_DEG = (22.5, 45.0)


def preferred_direction_agreement(core, tuning, tuning_angle):
    """Compare measured with assigned directions and orientations, over the tuned cells of the core.

    Parameters
    ----------
    core : Core
    tuning : Tuning
    tuning_angle : (N,) array [deg]
        As assigned.

    Returns
    -------
    dict of cell type -> dict
        Of the 19 types: n_cells, n_tuned, and over the tuned ones the median distance and the fractions within 22.5 and
        45 deg, for direction (by chance: 90 deg, 1/8, 1/4) and orientation (by chance: 45 deg, 1/4, 1/2); None where
        there is no tuned cell.
    """
    rows = {}
    for name in read_populations().cell_type.unique():
        cells = core.neurons[core.cell_type == name]
        tuned = cells[tuning.is_tuned[cells]]
        row = {"n_cells": len(cells), "n_tuned": len(tuned)}
        for what, period in (("direction", 360.0), ("orientation", 180.0)):
            distance = circular_distance(tuning.preferred_direction[tuned], tuning_angle[tuned], period)
            row |= _describe(what, distance)
        rows[name] = row
    return rows


def _describe(what, distance):
    if not len(distance):
        return dict.fromkeys([f"{what}_median_deg", *(f"{what}_within_{near:g}_deg" for near in NEAR_DEG)])
    within = {f"{what}_within_{near:g}_deg": float(np.mean(distance <= near)) for near in NEAR_DEG}
    return {f"{what}_median_deg": float(np.median(distance)), **within}
