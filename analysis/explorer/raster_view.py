"""The spikes of one trial, by cell type."""

import numpy as np

from twincortex.analysis.explorer.column_view import sample_by_type
from twincortex.analysis.explorer.json_columns import as_column
from twincortex.models.errors import InputError

MAX_NEURONS = 1500
MIN_OF_A_TYPE = 30


def raster(subject, network):
    """Spikes of the core in the first trial of the evaluation.

    Parameters
    ----------
    subject : Subject
    network : str
        ``"before"`` or ``"after"``.

    Returns
    -------
    dict
        rows, node ids from the top of the raster down: by type from the pia, by tuning angle within a type; row_type;
        time [ms] and row of every spike; windows_ms and direction_deg of the stimulus; shown and total, neurons.

    Raises
    ------
    InputError
        There is no evaluation, or no such network in it.
    """
    evaluation = subject.evaluation
    if evaluation is None:
        raise InputError(f"{subject.folder} holds no evaluation. {subject.missing[0][1]} adds it.")
    if network not in evaluation.networks:
        raise InputError(f"network {network!r}: expected one of {', '.join(evaluation.networks)}.")
    rows = _rows(subject, evaluation.core)
    place = np.full(subject.circuit.n_neurons, -1)
    place[rows] = np.arange(len(rows))
    measured = evaluation.networks[network]
    row = place[measured["raster_ids"]]
    protocol = evaluation.facts["protocol"]
    return {
        "rows": rows.tolist(),
        "row_type": subject.type_number[rows].tolist(),
        "time": as_column(measured["raster_times"][row >= 0], 2),
        "row": row[row >= 0].tolist(),
        "windows_ms": protocol["windows_ms"],
        "direction_deg": protocol["directions_deg"][0],
        "shown": len(rows),
        "total": len(evaluation.core),
    }


def _rows(subject, core):
    chosen = core[sample_by_type(subject.type_number[core], MAX_NEURONS, MIN_OF_A_TYPE)]
    angle = subject.circuit.nodes.tuning_angle[chosen]
    return chosen[np.lexsort((angle, subject.type_number[chosen]))]
