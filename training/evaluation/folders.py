"""Evaluate what is in a folder, and write the evaluation beside it."""

import json
import sys
from pathlib import Path

from twincortex.models.atomic_output import new_folder, refuse_existing
from twincortex.models.errors import InputError
from twincortex.models.package_versions import versions
from twincortex.models.progress import Progress
from twincortex.training.evaluation.core import find_core
from twincortex.training.evaluation.figures import draw_evaluation
from twincortex.training.evaluation.networks import TRAINED, UNTRAINED, read_networks
from twincortex.training.evaluation.record import (
    describe_network,
    describe_weights,
    ready_for_json,
    score_network,
)
from twincortex.training.evaluation.running import choose_batch, measure_responses, simulate_with
from twincortex.training.evaluation.stored_responses import FILE, find_responses, write_responses
from twincortex.training.evaluation.trials import EvaluationTrials

MARKER = "evaluation.json"


def evaluate_folder(options, protocol):
    """Evaluate a circuit or a run.

    Parameters
    ----------
    options : argparse.Namespace
        Of `command.evaluate`.
    protocol : EvaluationProtocol

    Returns
    -------
    out : Path
        Folder with evaluation.json, responses.npz and figures/.
    facts : dict
        evaluation.json.

    Raises
    ------
    InputError
        The folder is neither, a part of it is damaged, or the evaluation would replace something else.
    OutOfMemoryError
        It is forecast not to fit.
    """
    networks = read_networks(options.folder, options.checkpoint)
    out = _out(options, networks)
    refuse_existing(out, MARKER, options.overwrite)
    if networks.is_run:
        _tell(f"evaluating untrained weights and those of {networks.weights_from}")
    core = find_core(networks.any_circuit, options.radius_um)
    identities = _identities(options, networks, protocol)
    responses = _responses(options, networks, core, protocol, identities, out)
    results = {name: score_network(core, protocol, responses[name], options.bootstrap) for name in networks.circuits}
    facts = _facts(options, networks, core, protocol, results)
    with new_folder(out, MARKER, options.overwrite) as partial:
        (partial / MARKER).write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n")
        write_responses(partial / FILE, results, identities, core)
        if not options.no_figures:
            draw_evaluation(partial / "figures", networks, core, protocol, results)
    return out, facts


def _tell(text):
    sys.stderr.write(f"{text}\n")


def _out(options, networks):
    if options.out:
        return Path(options.out)
    if not networks.is_run:
        raise InputError("--out is missing. Name a folder for the evaluation of a circuit.")
    return networks.folder / "evaluation"


def _identities(options, networks, protocol):
    """All that decides what is measured of each network."""
    shared = {
        "protocol": protocol.description(),
        "engine": options.engine,
        "precision": options.precision,
        "radius_um": options.radius_um,
        "versions": versions(),
    }
    return {
        name: ready_for_json(shared | {"topology_hash": circuit.topology_hash, "weights_hash": circuit.weights_hash})
        for name, circuit in networks.circuits.items()
    }


def _responses(options, networks, core, protocol, identities, out):
    """Responses of every network: those of an earlier evaluation, and what is still to be measured."""
    responses = find_responses(out / FILE, identities)
    missing = {name: circuit for name, circuit in networks.circuits.items() if name not in responses}
    for name in responses:
        _tell(f"{name}: measured before in the same way; used again")
    if not missing:
        return responses
    batch = choose_batch(
        options.engine,
        networks.any_circuit,
        protocol,
        n_networks=len(missing),
        asked=options.batch,
        ignore_forecast=options.ignore_memory_forecast,
    )
    trials = EvaluationTrials(networks.any_circuit, protocol)
    simulate = simulate_with(options.engine, protocol, options.precision)
    with Progress("trials") as progress:
        return responses | measure_responses(missing, core, trials, simulate, batch, progress)


def _facts(options, networks, core, protocol, results):
    circuit = networks.any_circuit
    facts = {
        "evaluated": networks.folder.resolve().name,
        "weights_from": networks.weights_from,
        "protocol": protocol.description(),
        "engine": options.engine,
        "precision": options.precision,
        "n_bootstrap": options.bootstrap,
        "versions": versions(),
        "circuit": {
            "topology_hash": circuit.topology_hash,
            "n_neurons": circuit.n_neurons,
            "core_radius_um": core.radius_um,
            "n_core": len(core.neurons),
            "provenance": circuit.provenance,
        },
        "networks": {
            name: describe_network(core, protocol, result, networks.circuits[name]) for name, result in results.items()
        },
    }
    if networks.is_run:
        facts["weights"] = describe_weights(networks.circuits[UNTRAINED], networks.circuits[TRAINED])
    return ready_for_json(facts)
