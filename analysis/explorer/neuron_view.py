"""One neuron: where it is, how it responds, what it hears and what it tells."""

import numpy as np

from twincortex.analysis.explorer.json_columns import as_column, as_number
from twincortex.models.errors import InputError
from twincortex.models.neuropixels import read_neuropixels_summary
from twincortex.models.parameters import read_populations

QUANTITIES = ("evoked_rate_Hz", "spontaneous_rate_Hz", "preferred_direction_rate_Hz", "OSI", "DSI")
RECORDED_LEVELS = {"low": "quantile_0.100", "median": "quantile_0.500", "high": "quantile_0.900"}


def neuron(subject, node_id):
    """Everything that the page says of one neuron.

    Parameters
    ----------
    subject : Subject
    node_id : int

    Returns
    -------
    dict
        id, type, population, x, depth, z [um], tuning_angle [deg]; tuning (None without an evaluation); incoming and
        outgoing, sums of weights by partner.

    Raises
    ------
    InputError
        There is no such neuron.
    """
    circuit = subject.circuit
    if not 0 <= node_id < circuit.n_neurons:
        raise InputError(f"neuron {node_id}: expected 0 to {circuit.n_neurons - 1:,}.")
    nodes = circuit.nodes
    return {
        "id": node_id,
        "type": int(subject.type_number[node_id]),
        "population": str(circuit.node_types.pop_name[nodes.type_index[node_id]]),
        "x": as_number(nodes.x[node_id]),
        "depth": as_number(-nodes.y[node_id]),
        "z": as_number(nodes.z[node_id]),
        "tuning_angle": as_number(nodes.tuning_angle[node_id]),
        "tuning": _tuning(subject, node_id) if subject.evaluation else None,
        "incoming": incoming_weights(subject, node_id),
        "outgoing": outgoing_weights(subject, node_id),
    }


def incoming_weights(subject, node_id):
    """Connections onto a neuron, by the type of the presynaptic cells, then LGN and background.

    Parameters
    ----------
    subject : Subject
    node_id : int

    Returns
    -------
    list of dict
        partner; n, connections; before and, of a run, after: sum of the weights [pA].
    """
    rows = []
    for name, projection in subject.circuit.projections.items():
        first = node_id * subject.circuit.n_receptors
        edges = np.flatnonzero((projection.target >= first) & (projection.target < first + subject.circuit.n_receptors))
        if projection.source == "v1":
            pre = np.searchsorted(projection.indptr, edges, side="right") - 1
            rows += _sums_by_type(subject, edges, pre)
        elif len(edges):
            rows.append({"partner": projection.source.upper()} | _sums(subject, name, edges))
    return rows


def outgoing_weights(subject, node_id):
    """Connections that a neuron makes, by the type of the postsynaptic cells.

    Parameters
    ----------
    subject : Subject
    node_id : int

    Returns
    -------
    list of dict
        As of `incoming_weights`.
    """
    projection = subject.circuit.projections["v1_to_v1"]
    edges = np.arange(*projection.indptr[node_id : node_id + 2])
    return _sums_by_type(subject, edges, projection.target[edges] // subject.circuit.n_receptors)


def _sums_by_type(subject, edges, partners):
    of_partner = subject.type_number[partners]
    return [
        {"partner": subject.types[number]} | _sums(subject, "v1_to_v1", edges[of_partner == number])
        for number in np.unique(of_partner)
    ]


def _sums(subject, name, edges):
    sums = {
        stage: as_number(circuit.projections[name].weight[edges].sum(dtype=float))
        for stage, circuit in subject.circuits.items()
    }
    return {"n": len(edges)} | sums


def _tuning(subject, node_id):
    evaluation = subject.evaluation
    protocol = evaluation.facts["protocol"]
    networks = {
        network: {"curve": as_column(measured["curve"][node_id])}
        | {"standard_error": _standard_error(measured["grating_counts"][node_id], protocol["grating_ms"])}
        | {name: as_number(measured[name][node_id]) for name in (*QUANTITIES, "preferred_direction")}
        for network, measured in evaluation.networks.items()
    }
    pop_name = subject.circuit.node_types.pop_name[subject.circuit.nodes.type_index[node_id]]
    return {
        "direction": evaluation.direction.tolist(),
        "n_trials": protocol["n_trials"],
        "networks": networks,
        "recorded": _recorded(read_populations().neuropixels_type.get(pop_name)),
    }


def _standard_error(counts, window_ms):
    """Of the mean rate over trials, from (D, K) counts, list of D [Hz]; None with one trial."""
    n_trials = counts.shape[1]
    if n_trials < 2:
        return [None] * len(counts)
    return as_column(counts.std(axis=1, ddof=1) * (1000 / window_ms / np.sqrt(n_trials)))


def _recorded(recorded_type):
    """Median and middle 80 percent of the recorded units of a type; None where the type was not recorded."""
    if recorded_type is None:
        return None
    rows = read_neuropixels_summary().loc[recorded_type]
    spread = {
        quantity: {name: as_number(rows.at[quantity, column]) for name, column in RECORDED_LEVELS.items()}
        | {"n": int(rows.at[quantity, "n_units"])}
        for quantity in QUANTITIES
    }
    return {"type": recorded_type, "quantities": spread}
