"""What a Brian2 network consists of: its structure, and the numbers that may change from run to run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from twincortex.models.brian.constants import Constant, cell_model_constants
from twincortex.models.brian.external_spikes import SpikeInput, generator_arrays, plan_spike_inputs
from twincortex.models.circuit import Circuit, delay_steps
from twincortex.models.delays import edges_per_delay
from twincortex.models.equations import glif3
from twincortex.models.errors import InputError, first_offenders
from twincortex.models.memory_forecast import MANY_CONNECTIONS
from twincortex.models.propagators import Propagators, compute_propagators
from twincortex.models.recording import Run

AMPERE_PER_PA = 1e-12


@dataclass(frozen=True)
class Pathway:
    """One Synapses object: the connections of a projection, or those of them that share a delay.

    Its first connection is there twice, the first time with weight 0: Brian2CUDA stops its slow search for duplicates
    at the first one, and Brian2 would write an array of a single weight into the program text, where a re-run could
    not replace it. What it says about its connections is computed when asked for and kept by nobody.

    Attributes
    ----------
    name : str
        Projection, and delay where there is one: ``"lgn_to_v1_2"``.
    projection, source : str
    steps : (n_delays,) int array
        Delay in steps of every delay code of the projection; 0 where the pathway takes no such connection.
    """

    name: str
    projection: str
    source: str
    steps: np.ndarray

    @property
    def delay(self):
        """The delay that all connections share, int [steps]; None where they have several."""
        delays = np.unique(self.steps[self.steps > 0])
        return int(delays[0]) if len(delays) == 1 else None

    def sources(self, projection):
        """Source of every synapse, (1 + e,) int32."""
        return self._of_synapses(projection, projection.sources())

    def targets(self, projection):
        """Element of the inbox of every synapse, post * n_receptors + receptor, (1 + e,) int32."""
        return self._of_synapses(projection, projection.target)

    def delays(self, projection):
        """Delay of every synapse, (1 + e,) int64 [steps]."""
        return self.steps[self._of_synapses(projection, projection.delay_code)].astype(np.int64)

    def weights(self, projection):
        """Weight of every synapse, (1 + e,) float64 [A]."""
        weights = self._of_synapses(projection, projection.weight).astype(np.float64)
        weights *= AMPERE_PER_PA
        weights[0] = 0
        return weights

    def _of_synapses(self, projection, values):
        is_taken = self.steps > 0
        if not is_taken.all():
            values = values[is_taken[projection.delay_code]]
        return np.concatenate([values[:1], values])


@dataclass(frozen=True)
class Plan:
    """All that a target needs to simulate a circuit.

    Attributes
    ----------
    circuit : Circuit
    run : Run
    propagators : Propagators
    constants : tuple of Constant
        Of the cell models.
    pathways : tuple of Pathway
    spike_inputs : dict of source -> SpikeInput
    arrays : dict of "group.variable" -> callable that returns a 1-d array, SI units
        Every number that may change between two runs of a compiled project; the rest is the structure. Made when
        called for: the weights take 8 bytes per connection.
    """

    circuit: Circuit
    run: Run
    propagators: Propagators
    constants: tuple[Constant, ...]
    pathways: tuple[Pathway, ...]
    spike_inputs: dict[str, SpikeInput]
    arrays: dict[str, Callable[[], np.ndarray]]


def plan_network(circuit, inputs, run, equation_set=None, one_delay_each=None):
    """Decide which Brian2 objects simulate a circuit, and with which numbers.

    Parameters
    ----------
    circuit : Circuit
    inputs : dict of source -> SpikeTrains
        A source that is left out is silent.
    run : Run
    equation_set : EquationSet, optional
        Default: GLIF3 with the receptors of the circuit.
    one_delay_each : bool, optional
        One Synapses object per delay and projection, instead of one per projection. Brian2CUDA needs it: it runs mixed
        delays on a single multiprocessor. On a CPU it takes 40 % off the time of an event and 2 s of compiling per
        object on top; default: for circuits of more than 5 million connections.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        Inputs, a current or a neuron to record that do not fit the circuit, weights that are not finite, a dt that
        makes a delay 0 steps, equations that do not fit the cell models.
    """
    if run.precision != "float64":
        raise InputError(f"precision {run.precision!r}: the Brian2 engine computes in float64. Leave precision out.")
    run.check_record_v(circuit.n_neurons)
    _check_weights(circuit)
    equation_set = equation_set or glif3(circuit.n_receptors)
    propagators = compute_propagators(equation_set, circuit.node_types, run.dt, run.after_spike_current)
    _check_current(circuit, run, propagators)
    constants = tuple(cell_model_constants(propagators, circuit.node_types))
    spike_inputs = plan_spike_inputs(circuit, inputs, run)
    if one_delay_each is None:
        one_delay_each = sum(projection.n_edges for projection in circuit.projections.values()) > MANY_CONNECTIONS
    pathways = tuple(_plan_pathways(circuit, spike_inputs, run.dt, one_delay_each))
    arrays = {f"cell_models.{constant.name}": partial(at_least_two, constant.values) for constant in constants}
    for name, spike_input in spike_inputs.items():
        generators, timebins = generator_arrays(spike_input, inputs.get(name), run)
        arrays |= {f"{name}.neuron_index": partial(np.asarray, generators)}
        arrays |= {f"{name}._timebins": partial(np.asarray, timebins)}
    for pathway in pathways:
        arrays[f"{pathway.name}.w"] = partial(pathway.weights, circuit.projections[pathway.projection])
    if run.current is not None:
        arrays["injected_current.values"] = lambda: np.ravel(run.current) * AMPERE_PER_PA
    return Plan(circuit, run, propagators, constants, pathways, spike_inputs, arrays)


def _plan_pathways(circuit, spike_inputs, dt, one_delay_each):
    for name, projection in circuit.projections.items():
        steps = np.where(edges_per_delay(projection) > 0, delay_steps(projection.delay_ms, dt), 0)
        is_relayed = projection.source in spike_inputs and spike_inputs[projection.source].is_relayed
        if one_delay_each or is_relayed:
            for delay in np.unique(steps[steps > 0]).tolist():
                one = np.where(steps == delay, steps, 0)
                yield Pathway(f"{name}_{delay}", name, projection.source, one)
        elif projection.n_edges:
            yield Pathway(name, name, projection.source, steps)


def _check_weights(circuit):
    for name, projection in circuit.projections.items():
        bad = np.flatnonzero(~np.isfinite(projection.weight))
        if len(bad):
            raise InputError(
                f"{name}: weights of connections {first_offenders(bad)} are not finite. Repair the weights."
            )


def _check_current(circuit, run, propagators):
    if run.current is None:
        return
    if run.current.shape not in ((run.n_steps, circuit.n_neurons), (1, circuit.n_neurons)):
        raise InputError(
            f"injected current has shape {run.current.shape}; expected {(run.n_steps, circuit.n_neurons)}, row = step, "
            "or a single row for all steps."
        )
    if "i_e" not in propagators.states:
        raise InputError(f"{propagators.equation_set.name}: no variable i_e that an injected current could enter.")


def at_least_two(values):
    """Repeat a single value: Brian2 writes arrays of length 1 into the program text, where no re-run replaces them."""
    return np.repeat(values, 2) if len(values) == 1 else values
