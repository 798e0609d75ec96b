"""What rounding delays to whole steps changes, for reports and recordings."""

import numpy as np

from twincortex.models.circuit import delay_steps

# Delays are given to microseconds; what is nearer to a whole number of steps is only rounded as doubles are.
_SAME_MS = 1e-6


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
    return {name: _rounded(projection, dt) for name, projection in circuit.projections.items()}


def _rounded(projection, dt):
    n_edges = np.bincount(projection.delay_code, minlength=len(projection.delay_ms))
    occurs = n_edges > 0
    n_edges, delay_ms = n_edges[occurs], projection.delay_ms[occurs]
    change = delay_steps(delay_ms, dt) * dt - delay_ms
    is_changed = np.abs(change) > _SAME_MS
    change[~is_changed] = 0.0
    return {
        "n_changed": int(n_edges[is_changed].sum()),
        "of": projection.n_edges,
        "mean_change_ms": float(n_edges @ change) / max(projection.n_edges, 1),
        "max_change_ms": float(np.abs(change).max(initial=0.0)),
    }
