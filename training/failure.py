"""What is kept of an update that is not finite: its inputs, the state before it, and where it went wrong first."""

import json
from pathlib import Path

import torch

from twincortex.models.atomic_output import new_folder
from twincortex.models.inputs import write_inputs
from twincortex.training.checkpoints import take_apart, write_state
from twincortex.training.finite_check import first_bad_connection, first_bad_index
from twincortex.training.targets import CONDITIONS

MARKER = "failure.json"
# Steps of V before and after the first bad one.
_BEFORE, _AFTER = 20, 5


def write_failure(run_folder, trainer, circuit, error):
    """Write ``failure/`` into a run folder; its checkpoints stay as they are.

    Of several processes the first writes it, and each in whose trials a potential is not finite writes
    ``failure_of_process_<rank>/``.

    ``failure.json`` names the step, the seed, the directions and phases of the batch, and the first neuron, weight and
    gradient that are not finite. ``inputs/<condition>_trial_<n>`` are for ``twincortex simulate``, ``state`` is the
    training state before the update, as in a checkpoint.

    Parameters
    ----------
    run_folder : str or Path
    trainer : Trainer
        After a step that was refused. Its rollouts are run again: nothing is kept for this in steps that succeed.
    circuit : Circuit
    error : DivergedError

    Returns
    -------
    str
        Where it went wrong, for people; empty where nothing is written.
    """
    folder, state = _failure_folder(run_folder, trainer.processes.rank), trainer.state
    stimulations = {condition: trainer.stimulate(condition) for condition in CONDITIONS}
    neuron = _first_bad_neuron(trainer, circuit, stimulations)
    if neuron is None and not trainer.processes.is_writer:
        return ""
    facts = {
        "error": str(error),
        "step": state.step + 1,
        "seed": trainer.config.seed,
        "directions_deg": stimulations["evoked"].direction.tolist(),
        "phases_deg": stimulations["evoked"].phase.tolist(),
        "first_bad_neuron": neuron,
        "first_bad_weight": _first_bad(circuit, state.column, lambda weight: weight),
        "first_bad_gradient": _first_bad(circuit, state.column, lambda weight: weight.grad),
    }
    with new_folder(folder, MARKER, overwrite=True) as partial:
        for condition, stimulation in stimulations.items():
            _write_trials(partial / "inputs", condition, stimulation, trainer, circuit)
        (partial / "state").mkdir()
        write_state(partial / "state", *take_apart(state, circuit))
        (partial / MARKER).write_text(json.dumps(facts, indent=2) + "\n")
    return f"{_describe(facts)} Inputs and state are in {folder}; the last checkpoint stays."


def _failure_folder(run_folder, rank):
    return Path(run_folder) / ("failure" if rank == 0 else f"failure_of_process_{rank}")


def _first_bad(circuit, column, part):
    parts = {name: part(weight) for name, weight in column.weights.items()}
    found = {name: tensor for name, tensor in parts.items() if tensor is not None}
    return first_bad_connection(circuit.projections, found, circuit.n_receptors)


def _first_bad_neuron(trainer, circuit, stimulations):
    """The first neuron, in time, whose potential is not finite, in the state after gray or in one of the rollouts."""
    column, settled = trainer.state.column, trainer.settled_state()
    place = first_bad_index(settled.x.permute(2, 1, 0))
    if place:
        trial, neuron, variable = place
        facts = {"condition": "settle", "trial": trial, "variable": column.propagators.states[variable]}
        return facts | _identify(circuit, neuron)
    for condition, stimulation in stimulations.items():
        with torch.no_grad():
            v = column(stimulation.inputs, trainer.n_steps(condition), settled).v
        if place := first_bad_index(v):
            step, trial, neuron = place
            facts = {"condition": condition, "trial": trial, "step": step, "time_ms": step * trainer.config.protocol.dt}
            return facts | _identify(circuit, neuron) | _trace(v[:, trial, neuron], step)
    return None


def _identify(circuit, neuron):
    return {"node_id": neuron, "pop_name": str(circuit.node_types.pop_name[circuit.nodes.type_index[neuron]])}


def _trace(v, step):
    first = max(0, step - _BEFORE)
    values = [value if abs(value) < float("inf") else None for value in v[first : step + _AFTER].tolist()]
    return {"v_first_step": first, "v_mV": values}


def _write_trials(folder, condition, stimulation, trainer, circuit):
    protocol = trainer.config.protocol
    n_steps, seed = trainer.n_steps(condition), trainer.config.seed
    facts = {"duration": n_steps * protocol.dt, "dt": protocol.dt, "topology_hash": circuit.topology_hash}
    for trial in range(protocol.batch):
        inputs = {source: trains[trial] for source, trains in stimulation.inputs.items()}
        more = {"condition": condition, "trial": trial, "seed": seed, "step": trainer.state.step + 1}
        write_inputs(folder / f"{condition}_trial_{trial}", inputs, facts | more)


def _describe(facts):
    neuron, weight = facts["first_bad_neuron"], facts["first_bad_weight"]
    words = []
    if weight:
        words.append("the weight from {projection} unit {source} to neuron {target} is {value}".format(**weight))
    if neuron:
        words.append("neuron {node_id} ({pop_name}) in trial {trial} of {condition}".format(**neuron))
        words[-1] += f" from {neuron['time_ms']:g} ms on" if "time_ms" in neuron else " from before the rollouts on"
    return f"First of all: {'; '.join(words)}." if words else "All weights and potentials are finite."
