"""What both torch engines share: a circuit as a torch module, its state, its input and the checks of it."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import nn

from twincortex.models.equations import glif3
from twincortex.models.errors import InputError, first_offenders, near_name_hint
from twincortex.models.propagators import compute_propagators
from twincortex.models.surrogate.delivery import Connections, shared_tensor
from twincortex.models.surrogate.inputs import schedule_arrivals
from twincortex.models.surrogate.spike_functions import GradientShaping

RECURRENT = "v1_to_v1"


@dataclass(frozen=True)
class State:
    """What one rollout hands to the next.

    Attributes
    ----------
    x : (S, N, B) tensor
        State variables in mV and pA.
    refractory : (N, B) int tensor
        Steps each neuron is still held.
    history : tuple of D (N, B) tensors
        Spikes of the last D steps, newest first; D is the longest recurrent delay.
    pending : dict of str -> Arrivals
        External spikes on their way.
    """

    x: torch.Tensor
    refractory: torch.Tensor
    history: tuple
    pending: dict

    def detach(self):
        """The same state, cut from the graph that produced it."""
        return State(self.x.detach(), self.refractory, tuple(z.detach() for z in self.history), self.pending)


@dataclass(frozen=True)
class Rollout:
    """Activity of T steps.

    Attributes
    ----------
    spikes : (T, B, N) tensor of 0 and 1
    v : (T, B, N) tensor [mV]
        Membrane potential of each step as compared with the threshold, before the reset.
    v_recorded : (T, B, n) tensor [mV]
        Of the recorded neurons, at the end of each step, after the reset.
    state : State
    """

    spikes: torch.Tensor
    v: torch.Tensor
    v_recorded: torch.Tensor
    state: State


class Column(nn.Module):
    """A circuit as a torch module; its parameters are the weights in canonical order.

    Connections and the weights that are not trained are those of the circuit, in its memory.

    Parameters
    ----------
    circuit : Circuit
    dt : float [ms]
    equation_set : EquationSet, optional
        Default: GLIF3 with the receptors of the circuit.
    after_spike_current : str
        ``"exact"`` or ``"step_mean"`` (see compute_propagators).
    shaping : GradientShaping
    dtype : torch.dtype
        float64 to compare engines, float32 to train.
    trained : collection of str
        Projections whose weights need gradients; they get weights of their own.

    Attributes
    ----------
    weights : nn.ParameterDict
        ``v1_to_v1``, ``lgn_to_v1``, ``bkg_to_v1``: (E,) tensors [pA]; trained ones in dtype, the others float32 and
        not to be written to.
    """

    def __init__(
        self,
        circuit,
        dt=1.0,
        equation_set=None,
        after_spike_current="exact",
        shaping=None,
        dtype=torch.float64,
        trained=(RECURRENT, "bkg_to_v1"),
    ):
        super().__init__()
        equation_set = equation_set or glif3(circuit.n_receptors)
        _check_trained(trained, circuit.projections)
        self.propagators = compute_propagators(equation_set, circuit.node_types, dt, after_spike_current)
        self.shaping = shaping or GradientShaping()
        self.dt, self.dtype = dt, dtype
        self.n_neurons, self.n_receptors = circuit.n_neurons, circuit.n_receptors
        self.type_index = torch.from_numpy(circuit.nodes.type_index).long()
        self.rest = torch.from_numpy(self.propagators.rest).to(dtype)[self.type_index, None]
        self.connections = {
            name: Connections(projection, dt, self.n_neurons * self.n_receptors)
            for name, projection in circuit.projections.items()
        }
        self.weights = nn.ParameterDict(
            {
                name: _weights(projection, dtype if name in trained else None)
                for name, projection in circuit.projections.items()
            }
        )

    @property
    def device(self):
        """Where the weights are."""
        return self.weights[RECURRENT].device

    def initial_state(self, batch):
        """All neurons at rest (E_L), no currents, nothing on its way.

        Parameters
        ----------
        batch : int
            Trials B.

        Returns
        -------
        State
        """
        place = {"dtype": self.dtype, "device": self.device}
        x = torch.zeros(len(self.propagators.states), self.n_neurons, batch, **place)
        x[self.propagators.threshold_state] = self.rest
        silence = torch.zeros(self.n_neurons, batch, **place)
        history = (silence,) * self.connections[RECURRENT].max_delay
        return State(x, torch.zeros(self.n_neurons, batch, dtype=torch.int64, device=self.device), history, {})

    def forward(self, inputs, n_steps, state=None, current=None, record_v=()):
        """Simulate a batch of trials.

        Parameters
        ----------
        inputs : dict of source ("lgn", "bkg") -> sequence of SpikeTrains
            One per trial; times are counted from the start of this rollout. A source that is left out is silent.
        n_steps : int
            Steps T.
        state : State, optional
            Where an earlier rollout ended; default: at rest.
        current : (T, N) tensor [pA], optional
            Injected into every trial.
        record_v : sequence of int
            Neurons whose potential after the reset is recorded.

        Returns
        -------
        Rollout

        Raises
        ------
        InputError
            Trials that differ in number, spikes of another number of units or before the rollout, a current of another
            shape, the state of another column, fewer than one step, neurons to record that are not there.
        """
        self._check_state(state)
        batch = self._count_trials(inputs, state)
        self._check_current(current, n_steps)
        self._check_steps(n_steps, record_v)
        state = state or self.initial_state(batch)
        # Sorted: the order of sums decides the last bit, and must not depend on how a set happens to be ordered.
        sources = sorted({*inputs, *state.pending})
        arrivals = {name: self._arrivals(name, inputs.get(name), state) for name in sources}
        x, refractory, history, activity = self._run(arrivals, n_steps, state, current, list(record_v))
        pending = {name: a.after(n_steps) for name, a in arrivals.items()}
        return Rollout(*(part.transpose(1, 2) for part in activity), State(x, refractory, history, pending))

    @abstractmethod
    def _run(self, arrivals, n_steps, state, current, record_v):
        """Simulate; return x, refractory, history as of State, and (T, N, B) spikes, v and v_recorded."""

    def _count_trials(self, inputs, state):
        for source, trains in inputs.items():
            known = [name.removesuffix("_to_v1") for name in self.connections if name != RECURRENT]
            if source not in known:
                raise InputError(f"inputs name the source {source!r}; {near_name_hint(source, known)}.")
            n_units = self.connections[f"{source}_to_v1"].n_sources
            other = [trial for trial, one in enumerate(trains) if one.n_units != n_units]
            if other:
                raise InputError(
                    f"{source} spikes of {trains[other[0]].n_units:,} units in trials {first_offenders(other)}; the "
                    f"circuit has {n_units:,}. Make the input for this circuit."
                )
            early = [trial for trial, one in enumerate(trains) if len(one.times) and one.times[0] <= 0]
            if early:
                raise InputError(
                    f"{source} spikes at or before 0 ms in trials {first_offenders(early)}; times are counted from the "
                    "start of the rollout."
                )
        counts = {len(trains) for trains in inputs.values()} | ({state.x.shape[2]} if state else set())
        if len(counts) > 1:
            raise InputError(f"sources and state have {sorted(counts)} trials; expected one number for all.")
        if 0 in counts:
            raise InputError("sources or state have 0 trials; expected at least 1. Leave out a source that is silent.")
        return counts.pop() if counts else 1

    def _check_state(self, state):
        """Refuse the state of another column, which would make compiled kernels read beyond their arrays."""
        if state is None:
            return
        batch, depth = state.x.shape[-1], self.connections[RECURRENT].max_delay
        shapes = [tuple(part.shape) for part in (state.x, state.refractory, *state.history)]
        expected = [(len(self.propagators.states), self.n_neurons, batch), *[(self.n_neurons, batch)] * (1 + depth)]
        if (shapes, state.x.dtype, state.x.device.type) != (expected, self.dtype, self.device.type):
            raise InputError(
                f"the state has x {shapes[0]} {state.x.dtype} on {state.x.device}, refractory {shapes[1]} and "
                f"{len(shapes) - 2} steps of history; this column needs x {expected[0]} {self.dtype} on {self.device}, "
                f"refractory {expected[1]} and {depth} steps. Take it from a rollout of this column."
            )
        for source, arrivals in state.pending.items():
            connections = self.connections.get(f"{source}_to_v1")
            n_rows = connections.n_rows if connections else 0
            if len(arrivals.row) and (arrivals.row.max() >= n_rows or arrivals.trial.max() >= batch):
                raise InputError(
                    f"the state has {source} spikes on their way that do not fit this column. Take it from a rollout "
                    "of this column."
                )

    def _check_steps(self, n_steps, record_v):
        if n_steps < 1:
            raise InputError(f"n_steps {n_steps}: expected at least 1.")
        missing = [neuron for neuron in record_v if not 0 <= neuron < self.n_neurons]
        if missing:
            raise InputError(
                f"record_v names the neurons {first_offenders(missing)}; the circuit has 0 to {self.n_neurons - 1:,}."
            )

    def _check_current(self, current, n_steps):
        if current is None:
            return
        if "i_e" not in self.propagators.states:
            name = self.propagators.equation_set.name
            raise InputError(f"{name}: the equations have no variable i_e that an injected current could enter.")
        if current.shape != (n_steps, self.n_neurons):
            raise InputError(
                f"injected current has shape {tuple(current.shape)}; expected {(n_steps, self.n_neurons)}, one row per "
                "step."
            )

    def _arrivals(self, source, trains, state):
        if trains is None:
            return state.pending[source]
        arrivals = schedule_arrivals(trains, self.connections[f"{source}_to_v1"], self.dt, self.dtype)
        return arrivals.merged_with(state.pending[source]) if source in state.pending else arrivals

    def _apply(self, fn, recurse=True):
        """Refuse ``.to()``, ``.float()`` and the like: connections and propagators would stay what they were."""
        raise InputError("a column cannot be moved or converted; make it with the dtype and device that you want.")


def _check_trained(trained, projections):
    for name in trained:
        if name not in projections:
            raise InputError(f"trained names the projection {name!r}; {near_name_hint(name, projections)}.")


def _weights(projection, trained_dtype):
    """The weights of a projection as a parameter: a copy where they are trained, the circuit's own where not."""
    weight = shared_tensor(projection.weight)
    if trained_dtype is None:
        return nn.Parameter(weight, requires_grad=False)
    return nn.Parameter(weight.to(trained_dtype, copy=True))
