"""Recurrent connections of a column, drawn target by target in parallel and collected by source.

Each target has its own random streams, so the network does not depend on the number of threads. Memory stays near that of
the finished connections: drawn connections take 4 bytes each until they are sorted by source.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import njit

from twincortex.models.column.candidates import (
    BoundedCells,
    Candidates,
    accept_candidates,
    bound_distance_factor,
    find_candidates,
)
from twincortex.models.column.connection_probability import (
    cell_types,
    make_targets,
    pair_rules,
    rule_between,
    strongest_orientation_factor,
    target_at,
)
from twincortex.models.column.grid import sort_sources
from twincortex.models.column.hashed_draws import splitmix64
from twincortex.models.randomness import stream_key


@njit(error_model="numpy")
def connect_target(i, local, plan, found, records, n_records):
    """Draw the connections onto neuron i and append them to ``records``.

    Returns
    -------
    int
        Number of records so far, or -1 when they do not fit.
    """
    target = target_at(plan.targets, i)
    rule = rule_between(plan.rules, 0, 0)
    n_rows = 0
    for source_type in plan.grid.type_order:
        pass
    return n_records
