"""The reference engine: a plain loop over time steps with autograd, obviously right. It judges every faster engine.

The order within a step is the contract of DESIGN 4: integrate, threshold, deliver, reset.
"""

import torch

from twincortex.models.surrogate.column import RECURRENT, Column
from twincortex.models.surrogate.delivery import deliver_events, deliver_spikes
from twincortex.models.surrogate.sparse_maps import Elements, SparseMap
from twincortex.models.surrogate.spike_functions import scale_gradient, spike


class ReferenceColumn(Column):
    """A circuit on the CPU, step after step in torch; parameters are those of Column."""

    def __init__(self, circuit, dt=1.0, equation_set=None, after_spike_current="exact", **options):
        super().__init__(circuit, dt, equation_set, after_spike_current, **options)
        self._spread_propagators(self.propagators, self.type_index)

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
        for name, values in {"threshold": p.threshold, "scale": p.threshold - p.rest}.items():
            setattr(self, name, torch.from_numpy(values).to(self.dtype)[type_index, None])
        self.refractory_steps = torch.from_numpy(p.refractory_steps)[type_index, None]

    def _run(self, arrivals, n_steps, state, current, record_v):
        batch = state.x.shape[2]
        arriving = {name: a.by_step(n_steps) for name, a in arrivals.items()}
        x, refractory, history = state.x, state.refractory, state.history
        membrane = self.propagators.threshold_state
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
        return x, refractory, history, tuple(torch.stack(part) for part in (spikes, potentials, recorded))

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
