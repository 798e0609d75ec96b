"""The column as the page draws it: layers, types and a sample of its neurons."""

import numpy as np

from twincortex.analysis.explorer.json_columns import as_column
from twincortex.analysis.wiring_rules import cell_type_properties
from twincortex.models.parameters import read_populations
from twincortex.models.randomness import philox

MAX_NEURONS = 20_000
MIN_OF_A_TYPE = 100
UNKNOWN_TYPE = {"layer": "", "ei": "", "color": "#888888", "color_bright": "#cccccc"}
# What neurons can be colored by; those of an evaluation for each of its networks.
MEASURED = ("OSI", "DSI", "evoked_rate_Hz", "spontaneous_rate_Hz", "preferred_direction")


def overview(subject):
    """What the page needs first: the subject in words, cell types, layers, what there is to see.

    Parameters
    ----------
    subject : Subject

    Returns
    -------
    dict
    """
    nodes = subject.circuit.nodes
    evaluation = subject.evaluation
    return {
        "name": subject.folder.resolve().name,
        "kind": "run" if subject.is_run else "circuit",
        "description": subject.description,
        "n_neurons": subject.circuit.n_neurons,
        "radius_um": float(np.hypot(nodes.x, nodes.z).max(initial=0)),
        "core_radius_um": subject.core_radius_um,
        "types": [_describe_type(subject, number, name) for number, name in enumerate(subject.types)],
        "layers": _layers(),
        "networks": list(evaluation.networks) if evaluation else [],
        "stages": list(subject.circuits),
        "remarks": list(evaluation.remarks) if evaluation else [],
        "missing": [{"what": what, "command": command} for what, command in subject.missing],
    }


def neurons(subject):
    """A sample of the neurons, spread over the cell types, with what they can be colored by.

    Parameters
    ----------
    subject : Subject

    Returns
    -------
    dict
        Columns over the sample: id, type (number), x, depth, z [um], tuning_angle [deg]; measured, by network, the
        columns of an evaluation; and shown and total, neurons.
    """
    nodes = subject.circuit.nodes
    ids = sample_by_type(subject.type_number, MAX_NEURONS)
    networks = subject.evaluation.networks if subject.evaluation else {}
    return {
        "shown": len(ids),
        "total": subject.circuit.n_neurons,
        "id": ids.tolist(),
        "type": subject.type_number[ids].tolist(),
        "x": as_column(nodes.x[ids], 1),
        "depth": as_column(-nodes.y[ids], 1),
        "z": as_column(nodes.z[ids], 1),
        "tuning_angle": as_column(nodes.tuning_angle[ids], 1),
        "measured": {
            network: {name: as_column(measured[name][ids]) for name in MEASURED}
            for network, measured in networks.items()
        },
    }


def sample_by_type(type_number, n_most, n_least=MIN_OF_A_TYPE):
    """Choose neurons at random, each type with its share of all, but with a few at least, or all it has.

    Parameters
    ----------
    type_number : (N,) int array
    n_most : int
        All are chosen where there are no more; otherwise n_least more per type at most.
    n_least : int
        Of each type.

    Returns
    -------
    (n,) int array
        Ascending; the same on every call.
    """
    n = len(type_number)
    if n <= n_most:
        return np.arange(n)
    chosen = []
    for number, count in enumerate(np.bincount(type_number)):
        share = min(count, max(n_least, count * n_most // n))
        members = np.flatnonzero(type_number == number)
        chosen.append(philox(0, "explorer: neurons shown", number).choice(members, share, replace=False))
    return np.sort(np.concatenate(chosen))


def _describe_type(subject, number, name):
    properties = cell_type_properties()
    known = properties.loc[name].to_dict() if name in properties.index else UNKNOWN_TYPE
    n = int((subject.type_number == number).sum())
    return {"name": name, "n": n} | {key: known[key] for key in UNKNOWN_TYPE}


def _layers():
    depths = read_populations().drop_duplicates("layer")
    return [
        {"name": f"L{row.layer}", "upper_um": float(row.depth_upper_um), "lower_um": float(row.depth_lower_um)}
        for row in depths.itertuples()
    ]
