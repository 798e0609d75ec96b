"""What a Brian2 network consists of: its structure, and the numbers that may change between runs of a compiled project."""

from dataclasses import dataclass

import numpy as np

from twincortex.models.brian.constants import Constant, cell_model_constants
from twincortex.models.brian.external_spikes import SpikeInput, generator_arrays, plan_spike_inputs
from twincortex.models.circuit import Circuit
from twincortex.models.equations import glif3
from twincortex.models.errors import InputError
from twincortex.models.propagators import Propagators, compute_propagators
from twincortex.models.recording import Run

AMPERE_PER_PA = 1e-12


@dataclass(frozen=True)
class Pathway:
    """The connections of one projection that share a delay: one Synapses object.

    One object per delay, with the delay as its constant, because Brian2CUDA runs per-connection delays on a single
    multiprocessor. Its first connection is there twice, the first time with weight 0: Brian2CUDA stops its slow search
    for duplicates at the first one, and Brian2 would write an array of a single weight into the program text, where a
    re-run could not replace it.

    Attributes
    ----------
    name : str
        Projection and delay, for example ``"lgn_to_v1_2"``.
    projection, source : str
    delay : int
        Steps.
    copies : int
        Replicas of every source unit (see ``external_spikes.py``).
    edges : (e,) int array
        Positions in the canonical order of the projection.
    """

    name: str
    projection: str
    source: str
    delay: int
    copies: int
    edges: np.ndarray

    def endpoints(self, projection):
        """Sources and targets of every synapse.

        Parameters
        ----------
        projection : Projection

        Returns
        -------
        sources, targets : (1 + copies * e,) int32 arrays
            Targets are elements of the inbox, post * n_receptors + receptor.
        """
        sources, targets = projection.sources()[self.edges], projection.target[self.edges]
        replica = np.repeat(np.arange(self.copies, dtype=np.int32), len(self.edges))
        sources = np.tile(sources, self.copies) + replica * np.int32(projection.n_sources)
        targets = np.tile(targets, self.copies)
        return np.concatenate([sources[:1], sources]), np.concatenate([targets[:1], targets])

    def weights(self, projection):
        """Weight of every synapse, (1 + copies * e,) float64 [A]."""
        weight = projection.weight[self.edges].astype(np.float64) * AMPERE_PER_PA
        return np.concatenate([[0.0], np.tile(weight, self.copies)])


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
    arrays : dict of "group.variable" -> 1-d array, SI units
        Every number that may change between two runs of a compiled project; the rest is the structure.
    """

    circuit: Circuit
    run: Run
    propagators: Propagators
    constants: tuple[Constant, ...]
    pathways: tuple[Pathway, ...]
    spike_inputs: dict[str, SpikeInput]
    arrays: dict[str, np.ndarray]


def plan_network(circuit, inputs, run, equation_set=None):
    """Decide which Brian2 objects simulate a circuit, and with which numbers.

    Parameters
    ----------
    circuit : Circuit
    inputs : dict of source -> SpikeTrains
        A source that is left out is silent.
    run : Run
    equation_set : EquationSet, optional
        Default: GLIF3 with the receptors of the circuit.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        Inputs or a neuron to record that do not fit the circuit, a dt that makes a delay 0 steps, equations that do not
        fit the cell models.
    """
    if run.precision != "float64":
        raise InputError(f"precision {run.precision!r}: the Brian2 engine computes in float64. Leave precision out.")
    run.check_record_v(circuit.n_neurons)
    _check_current(circuit, run)
    equation_set = equation_set or glif3(circuit.n_receptors)
    propagators = compute_propagators(equation_set, circuit.node_types, run.dt, run.after_spike_current)
    constants = tuple(cell_model_constants(propagators, circuit.node_types))
    spike_inputs = plan_spike_inputs(circuit, inputs, run)
    pathways = tuple(_plan_pathways(circuit, spike_inputs, run.dt))
    arrays = {f"cell_models.{constant.name}": at_least_two(constant.values) for constant in constants}
    for name, spike_input in spike_inputs.items():
        generators, timebins = generator_arrays(spike_input, inputs.get(name), run)
        arrays |= {f"{name}.neuron_index": generators, f"{name}._timebins": timebins}
    for pathway in pathways:
        arrays[f"{pathway.name}.w"] = pathway.weights(circuit.projections[pathway.projection])
    if run.current is not None:
        arrays["injected_current.values"] = np.ravel(run.current) * AMPERE_PER_PA
    return Plan(circuit, run, propagators, constants, pathways, spike_inputs, arrays)


def _plan_pathways(circuit, spike_inputs, dt):
    for name, projection in circuit.projections.items():
        steps = projection.delay_steps(dt)
        copies = spike_inputs[projection.source].copies if projection.source in spike_inputs else 1
        for delay in np.unique(steps).tolist():
            yield Pathway(f"{name}_{delay}", name, projection.source, delay, copies, np.flatnonzero(steps == delay))


def _check_current(circuit, run):
    if run.current is not None and run.current.shape != (run.n_steps, circuit.n_neurons):
        raise InputError(
            f"injected current has shape {run.current.shape}; expected {(run.n_steps, circuit.n_neurons)}, one row per step."
        )


def at_least_two(values):
    """Repeat a single value: Brian2 writes arrays of length 1 into the program text, where a re-run cannot replace them."""
    return np.repeat(values, 2) if len(values) == 1 else values
