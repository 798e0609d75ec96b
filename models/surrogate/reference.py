"""The reference engine: a plain loop over time steps with autograd, obviously right. It judges every faster engine.

The order within a step is the contract of DESIGN 4: integrate, threshold, deliver, reset.
"""

from dataclasses import dataclass

import torch
from torch import nn

from twincortex.models.equations import glif3
from twincortex.models.errors import InputError, first_offenders, near_name_hint
from twincortex.models.propagators import compute_propagators
from twincortex.models.surrogate.delivery import Connections, deliver_events, deliver_spikes, shared_tensor
from twincortex.models.surrogate.inputs import schedule_arrivals
from twincortex.models.surrogate.sparse_maps import Elements, SparseMap
from twincortex.models.surrogate.spike_functions import GradientShaping, scale_gradient, spike

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


class ReferenceColumn(nn.Module):
    """A circuit as a torch module on the CPU; its parameters are the weights in canonical order.

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
        self.propagators = compute_propagators(equation_set, circuit.node_types, dt, after_spike_current)
        self.shaping = shaping or GradientShaping()
        self.dt, self.dtype = dt, dtype
        self.n_neurons, self.n_receptors = circuit.n_neurons, circuit.n_receptors
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
        self._spread_propagators(self.propagators, torch.from_numpy(circuit.nodes.type_index).long())

    def _spread_propagators(self, p, type_index):
        """Spread the numbers of the cell models over the neurons; state s of neuron i is row ``s * N + i``."""
        n, touched = self.n_neurons, p.reset_touched.nonzero()[0]
        states, reset_states = Elements(len(p.states), n), Elements(len(touched), n)
        inbox = Elements(self.n_receptors, n, by_neuron=True)

        def per_neuron(values):
            return torch.from_numpy(values).to(self.dtype).T[:, type_index]

        self._step = SparseMap(p.rows, p.cols, per_neuron(p.values), states, states)
        self._jump = SparseMap(p.jump_rows, p.jump_receptors, per_neuron(p.jump_values), states, inbox)
        reset_rows = touched.searchsorted(p.reset_rows)
        self._spike_reset = SparseMap(reset_rows, p.reset_cols, per_neuron(p.reset_values), reset_states, states)
        self.held = torch.from_numpy(p.held.nonzero()[0])
        self.reset_touched = torch.from_numpy(touched)
        self.offset = per_neuron(p.offset)[:, :, None]
        self.reset_offset = per_neuron(p.reset_offset[:, touched])[:, :, None]
        for name, values in {"rest": p.rest, "threshold": p.threshold, "scale": p.threshold - p.rest}.items():
            setattr(self, name, torch.from_numpy(values).to(self.dtype)[type_index, None])
        self.refractory_steps = torch.from_numpy(p.refractory_steps)[type_index, None]

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
        x = torch.zeros(len(self.propagators.states), self.n_neurons, batch, dtype=self.dtype)
        x[self.propagators.threshold_state] = self.rest
        silence = torch.zeros(self.n_neurons, batch, dtype=self.dtype)
        history = (silence,) * self.connections[RECURRENT].max_delay
        return State(x, torch.zeros(self.n_neurons, batch, dtype=torch.int64), history, {})

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
            Trials that differ in number, spikes of another number of units, a current of another shape.
        """
        batch = self._count_trials(inputs, state)
        self._check_current(current, n_steps)
        state = state or self.initial_state(batch)
        # Sorted: the order of sums decides the last bit, and must not depend on how a set happens to be ordered.
        sources = sorted({*inputs, *state.pending})
        arrivals = {name: self._arrivals(name, inputs.get(name), state) for name in sources}
        arriving = {name: a.by_step(n_steps) for name, a in arrivals.items()}
        x, refractory, history = state.x, state.refractory, state.history
        membrane, record_v = self.propagators.threshold_state, list(record_v)
        spikes, potentials, recorded = [], [], []
        for n in range(n_steps):
            x = self._integrate(x, refractory > 0, None if current is None else current[n])
            v = x[membrane].clone()  # a view, kept until the end, would keep all states of the step
            z = spike(v - self.threshold, self.scale, self.shaping) * (refractory == 0)
            recent = torch.stack(history, dim=1).flatten(0, 1)
            inbox = deliver_spikes(self.weights[RECURRENT], recent, self.connections[RECURRENT])
            for source, steps in arriving.items():
                name = f"{source}_to_v1"
                inbox = inbox + deliver_events(self.weights[name], self.connections[name], *steps[n], batch)
            x = x + self._jump(inbox).view_as(x)
            x, refractory = self._reset(x, refractory, z.detach() > 0)
            history = (self._damp(z, self.shaping.recurrent_factor), *history[:-1])
            spikes.append(z)
            potentials.append(v)
            recorded.append(x[membrane][record_v])
        pending = {name: a.after(n_steps) for name, a in arrivals.items()}
        return Rollout(
            *(_by_trial(part) for part in (spikes, potentials, recorded)), State(x, refractory, history, pending)
        )

    def _count_trials(self, inputs, state):
        for source, trains in inputs.items():
            if f"{source}_to_v1" not in self.connections:
                known = [name.removesuffix("_to_v1") for name in self.connections if name != RECURRENT]
                raise InputError(f"inputs name the source {source!r}; {near_name_hint(source, known)}.")
            n_units = self.connections[f"{source}_to_v1"].n_sources
            other = [trial for trial, one in enumerate(trains) if one.n_units != n_units]
            if other:
                raise InputError(
                    f"{source} spikes of {trains[other[0]].n_units:,} units in trials {first_offenders(other)}; the "
                    f"circuit has {n_units:,}. Make the input for this circuit."
                )
        counts = {len(trains) for trains in inputs.values()} | ({state.x.shape[2]} if state else set())
        if len(counts) > 1:
            raise InputError(f"sources and state have {sorted(counts)} trials; expected one number for all.")
        return counts.pop() if counts else 1

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

    @staticmethod
    def _damp(x, factor):
        return x if factor == 1 else scale_gradient(x, factor)

    def _integrate(self, x, is_held, current):
        """x <- P x + b; held states stay where the neuron is refractory."""
        if current is not None:
            x = x.clone()
            x[self.propagators.states.index("i_e")] = current[:, None]
        if self.shaping.voltage_factor != 1:
            factor = torch.ones(len(x), 1, 1, dtype=x.dtype)
            factor[self.propagators.threshold_state] = self.shaping.voltage_factor
            x = scale_gradient(x, factor)
        after = self._step(x.flatten(0, 1)).view_as(x) + self.offset
        return after.index_copy(0, self.held, torch.where(is_held, x[self.held], after[self.held]))

    def _reset(self, x, refractory, is_spike):
        """Apply the reset where a neuron spiked and count down its refractory period."""
        after = self._spike_reset(x.flatten(0, 1)).view(-1, *x.shape[1:]) + self.reset_offset
        x = x.index_copy(0, self.reset_touched, torch.where(is_spike, after, x[self.reset_touched]))
        return x, torch.where(is_spike, self.refractory_steps, (refractory - 1).clamp(min=0))


def _weights(projection, trained_dtype):
    """The weights of a projection as a parameter: a copy where they are trained, the circuit's own where not."""
    weight = shared_tensor(projection.weight)
    if trained_dtype is None:
        return nn.Parameter(weight, requires_grad=False)
    return nn.Parameter(weight.to(trained_dtype, copy=True))


def _by_trial(steps):
    """Stack T tensors of (N, B) as (T, B, N)."""
    return torch.stack(steps).transpose(1, 2)
