"""Circuit and propagators -> Brian2 objects, the same for every target.

``cell_models`` hold the constants, ``neurons`` the states, ``inbox`` (one element per neuron and receptor) collects
what arrives in a step: a presynaptic spike adds one number per connection. Within a step, Brian2's schedule runs

    before_groups    injected current
    groups           states advance (held ones stay still while refractory)
    thresholds       neurons and external units spike
    synapses         weights of the spikes that arrive now are added to the inbox
    after_synapses   the inbox is added to the receptor states
    resets           neurons that spiked are reset
    after_resets     the inbox is emptied
    after_resets     relays count the external spikes that arrive in the next step
    end              potentials are recorded

which is the order of DESIGN 4. All names are lower case: Brian2CUDA lower-cases what it is told on the command line.
"""

from dataclasses import dataclass

import brian2
import numpy as np
from brian2.equations.equations import PARAMETER, Equations, SingleEquation

from twincortex.models.brian import statements
from twincortex.models.brian.plan import at_least_two

SCHEDULE = ["start", "groups", "thresholds", "synapses", "resets", "end"]


@dataclass(frozen=True)
class BrianNetwork:
    """A network ready to run.

    Attributes
    ----------
    network : brian2.Network
    spikes : brian2.SpikeMonitor
    voltage : brian2.StateMonitor or None
        None where no potential is recorded.
    """

    network: brian2.Network
    spikes: brian2.SpikeMonitor
    voltage: brian2.StateMonitor | None

    def variable(self, name):
        """Brian2 variable of ``"group.variable"``."""
        group, _, variable = name.partition(".")
        return self.network[group].variables[variable]


def build_network(plan):
    """Make the Brian2 objects on the active device, whose clock must have been set to the dt of the run.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    BrianNetwork
    """
    cell_models = _cell_models(plan)
    inbox = _inbox(plan.circuit)
    neurons = _neurons(plan, cell_models, inbox)
    sources = {"v1": neurons} | {name: _generator(plan, name) for name in plan.spike_inputs}
    spikes = brian2.SpikeMonitor(neurons, name="spikes")
    network = brian2.Network(cell_models, inbox, *sources.values(), spikes, name="column")
    for pathway in plan.pathways:
        network.add(_connect(plan, pathway, sources[pathway.source], inbox))
    voltage = None
    if plan.run.record_v:
        state = plan.propagators.states[plan.propagators.threshold_state]
        voltage = brian2.StateMonitor(neurons, state, record=list(plan.run.record_v), when="end", name="voltage")
        network.add(voltage)
    network.schedule = SCHEDULE
    return BrianNetwork(network, spikes, voltage)


def run_network(brian_network, run):
    """Run for the duration of a run (on a standalone device: take note to do so)."""
    brian_network.network.run(run.n_steps * run.dt * brian2.ms, namespace={})


def _cell_models(plan):
    parameters = [
        SingleEquation(PARAMETER, constant.name, dimensions=constant.dimensions, flags=["constant"])
        for constant in plan.constants
    ]
    n_models = len(at_least_two(plan.constants[0].values))
    cell_models = brian2.NeuronGroup(n_models, Equations(parameters), name="cell_models", namespace={})
    for constant in plan.constants:
        cell_models.variables[constant.name].set_value(plan.arrays[f"cell_models.{constant.name}"]())
    return cell_models


def _inbox(circuit):
    inbox = brian2.NeuronGroup(circuit.n_neurons * circuit.n_receptors, "weight : amp", name="inbox", namespace={})
    inbox.run_regularly("weight = 0*amp", when="after_resets", name="clear_inbox")
    return inbox


def _neurons(plan, cell_models, inbox):
    circuit, propagators = plan.circuit, plan.propagators
    membrane = propagators.states[propagators.threshold_state]
    equations = propagators.equation_set.equations
    neurons = brian2.NeuronGroup(
        circuit.n_neurons,
        Equations([equation for equation in equations.values() if equation.type != PARAMETER]),
        threshold=statements.threshold_condition(propagators),
        reset=statements.reset_statements(propagators),
        refractory=statements.REFRACTORY_CONSTANT,
        method=statements.MultiplyAndAdd(propagators),
        name="neurons",
        namespace={},
    )
    constants = {constant.name: (cell_models, constant.name) for constant in plan.constants}
    _read_through(neurons, "cell_model", circuit.nodes.type_index, constants)
    first_element = np.arange(circuit.n_neurons) * circuit.n_receptors
    for receptor in np.unique(propagators.jump_receptors).tolist():
        name = statements.inbox_variable(receptor)
        _read_through(neurons, f"element_{receptor}", first_element + receptor, {name: (inbox, "weight")})
    neurons.run_regularly(statements.delivery_statements(propagators), when="after_synapses", name="deliver")
    rest = propagators.rest[circuit.nodes.type_index]
    neurons.variables[membrane].set_value(rest * propagators.state_unit_si[propagators.threshold_state])
    if plan.run.current is not None:
        _inject_current(neurons, plan)
    return neurons


def _read_through(neurons, index_name, index, variables):
    """Let neurons see variables of another group through one index, as Brian2's linked variables do with one each."""
    index = np.asarray(index, dtype=np.int32)
    neurons.variables.add_array(
        index_name, size=len(index), values=index, dtype=np.int32, constant=True, read_only=True
    )
    for name, (group, variable) in variables.items():
        neurons.variables.add_reference(name, group, variable, index=index_name)


def _inject_current(neurons, plan):
    current = plan.arrays["injected_current.values"]().reshape(plan.run.current.shape) * brian2.amp
    current = brian2.TimedArray(current, dt=plan.run.dt * brian2.ms, name="injected_current")
    neurons.namespace["injected_current"] = current
    neurons.run_regularly("i_e = injected_current(t, i)", when="before_groups", name="inject")


def _generator(plan, name):
    return brian2.SpikeGeneratorGroup(
        plan.spike_inputs[name].n_generators,
        plan.arrays[f"{name}.neuron_index"](),
        plan.arrays[f"{name}._timebins"]() * plan.run.dt * brian2.ms,
        sorted=True,
        name=name,
    )


def _connect(plan, pathway, source, inbox):
    """Synapses of a pathway, and the relay between them and a generator whose units have replicas."""
    projection, step = plan.circuit.projections[pathway.projection], plan.run.dt * brian2.ms
    delay, statement, relay = pathway.delay, "weight_post += w", []
    if pathway.source in plan.spike_inputs and plan.spike_inputs[pathway.source].is_relayed:
        relay = _relay(plan, pathway, source)
        delay, statement, source = 0, "weight_post += n_spikes_pre*w", relay[0]
    synapses = brian2.Synapses(
        source,
        inbox,
        "w : amp (constant)",
        on_pre=statement,
        delay=None if delay is None else delay * step,
        name=pathway.name,
        namespace={},
    )
    synapses.connect(i=pathway.sources(projection), j=pathway.targets(projection))
    synapses.w = plan.arrays[f"{pathway.name}.w"]() * brian2.amp
    if delay is None:
        # Whole steps: Brian2 rounds halves up where the circuit rounds them to even.
        synapses.delay = pathway.delays(projection) * step
    _forget_endpoints()
    return [*relay, synapses]


def _forget_endpoints():
    """Free the copies of sources and targets with which a standalone device would answer questions that nobody asks."""
    cached = getattr(brian2.get_device(), "array_cache", {})
    for variable in cached:
        if variable.name in ("sources", "targets", "_synaptic_pre", "_synaptic_post"):
            cached[variable] = None


def _relay(plan, pathway, generator):
    """Group with a unit per external unit that spikes when its spikes arrive, n_spikes of them at once.

    Counting takes the whole delay: a spike of step n with delay d is counted at the end of step n + d - 1, the relay
    spikes in step n + d, and its synapses have no delay of their own.
    """
    spike_input = plan.spike_inputs[pathway.source]
    name = f"{pathway.name}_relay"
    relay = brian2.NeuronGroup(
        spike_input.n_units, "n_spikes : 1", threshold="n_spikes > 0", reset="n_spikes = 0", name=name, namespace={}
    )
    delay = (pathway.delay - 1) * plan.run.dt * brian2.ms
    count = brian2.Synapses(
        generator, relay, on_pre="n_spikes_post += 1", delay=delay, name=f"{pathway.name}_count", namespace={}
    )
    count.pre.when = "after_resets"
    replicas = np.arange(spike_input.n_generators)
    count.connect(i=replicas, j=replicas % spike_input.n_units)
    return [relay, count]
