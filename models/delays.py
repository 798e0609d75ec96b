"""Delays of connections in canonical order: where each of them begins and ends, and what rounding them changes."""

from typing import NamedTuple

import numpy as np

from twincortex.models.circuit import delay_steps
from twincortex.models.errors import InputError, first_offenders

# Delays are given to microseconds; what is nearer to a whole number of steps is only rounded as doubles are.
_SAME_MS = 1e-6


class DelayRuns(NamedTuple):
    """Runs of connections that share source and delay: one after the other, they are all connections of a projection.

    Attributes
    ----------
    source : (n,) int64 array, ascending
    delay_code : (n,) uint8 array
        Ascending within a source.
    n_edges : (n,) int64 array
        Connections of each run, at least 1.
    """

    source: np.ndarray
    delay_code: np.ndarray
    n_edges: np.ndarray


def delay_runs(projection):
    """Find the runs of a projection, with one byte of working memory per connection.

    Parameters
    ----------
    projection : Projection

    Returns
    -------
    DelayRuns

    Raises
    ------
    InputError
        The connections of a source are not sorted by delay.
    """
    code, n_edges = projection.delay_code, projection.n_edges
    starts = np.union1d(np.flatnonzero(code[1:] != code[:-1]) + 1, projection.indptr[:-1])
    starts = starts[starts < n_edges]
    runs = DelayRuns(
        source=np.searchsorted(projection.indptr, starts, side="right") - 1,
        delay_code=code[starts],
        n_edges=np.diff(starts, append=n_edges),
    )
    is_unsorted = (np.diff(runs.source) == 0) & (np.diff(projection.delay_ms[runs.delay_code]) <= 0)
    if is_unsorted.any():
        sources = first_offenders(runs.source[1:][is_unsorted])
        raise InputError(
            f"{projection.source}_to_v1: the connections of sources {sources} are not sorted by delay. Make the "
            "projection with circuit.sort_projection."
        )
    return runs


def rounded_delays(circuit, dt):
    """Tell how many delays become others when they are rounded to whole steps, and by how much.

    Parameters
    ----------
    circuit : Circuit
    dt : float [ms]

    Returns
    -------
    dict of projection name -> dict
        ``n_changed`` connections ``of`` all; ``mean_change_ms`` over all connections, signed (positive: later);
        ``max_change_ms``, the largest absolute change.

    Raises
    ------
    InputError
        See `circuit.delay_steps`.
    """
    return {
        name: rounding_of_delays(edges_per_delay(projection), projection.delay_ms, dt)
        for name, projection in circuit.projections.items()
    }


def edges_per_delay(projection):
    """Connections of every delay, (n_delays,) int64."""
    runs = delay_runs(projection)
    counts = np.zeros(len(projection.delay_ms), dtype=np.int64)
    np.add.at(counts, runs.delay_code, runs.n_edges)
    return counts


def rounding_of_delays(n_edges, delay_ms, dt):
    """Tell of one projection what `rounded_delays` tells of a circuit.

    Parameters
    ----------
    n_edges : (n_delays,) int array
        Connections of every delay.
    delay_ms : (n_delays,) float64 array [ms]
    dt : float [ms]

    Returns
    -------
    dict
    """
    n_all = int(n_edges.sum())
    occurs = n_edges > 0
    n_edges, delay_ms = n_edges[occurs], delay_ms[occurs]
    change = delay_steps(delay_ms, dt) * dt - delay_ms
    is_changed = np.abs(change) > _SAME_MS
    change[~is_changed] = 0.0
    return {
        "n_changed": int(n_edges[is_changed].sum()),
        "of": n_all,
        "mean_change_ms": float(n_edges @ change) / max(n_all, 1),
        "max_change_ms": float(np.abs(change).max(initial=0.0)),
    }
