"""An independent model of the torch engine for tests: dense matrices, one neuron vector per state, plain autograd.

Slow and literal: it shares nothing with ReferenceColumn but the Propagators, so an index mistake in one is not in the
other.
"""

import torch

from twincortex.models.surrogate.spike_functions import SURROGATES


def surrogate_spike(x, shaping):
    """Heaviside forward; backward the derivative of the surrogate's primitive, by the straight-through trick."""
    slope = SURROGATES[shaping.surrogate](x.detach(), shaping.width, shaping.gain)
    return (x.detach() > 0).to(x.dtype) + slope * (x - x.detach())


def dense_weights(projection, dt, n_targets, weight):
    """One dense (n_sources, n_targets) matrix per delay in steps."""
    steps, sources = torch.from_numpy(projection.delay_steps(dt)), torch.from_numpy(projection.sources()).long()
    target = torch.from_numpy(projection.target).long()
    matrices = {}
    for delay in steps.unique().tolist():
        chosen = steps == delay
        empty = torch.zeros(projection.n_sources, n_targets, dtype=weight.dtype)
        matrices[delay] = empty.index_put((sources[chosen], target[chosen]), weight[chosen], accumulate=True)
    return matrices


def dense_rollout(circuit, propagators, inputs, weights, shaping, n_steps):
    """Simulate one trial; returns spikes and potentials before reset, both (T, N)."""
    p, n, n_receptors, dt = propagators, circuit.n_neurons, circuit.n_receptors, propagators.dt
    of_neuron = circuit.nodes.type_index
    step = torch.zeros(n, len(p.states), len(p.states), dtype=torch.float64)
    step[:, p.rows, p.cols] = torch.from_numpy(p.values[of_neuron])
    offset = torch.from_numpy(p.offset[of_neuron])
    reset = torch.zeros_like(step)
    reset[:, p.reset_rows, p.reset_cols] = torch.from_numpy(p.reset_values[of_neuron])
    jump = torch.zeros(n, len(p.states), n_receptors, dtype=torch.float64)
    jump[:, p.jump_rows, p.jump_receptors] = torch.from_numpy(p.jump_values[of_neuron])
    threshold = torch.from_numpy(p.threshold[of_neuron])
    distance = torch.from_numpy(circuit.neuron_parameter("V_th") - circuit.neuron_parameter("E_L"))
    held, touched = torch.from_numpy(p.held), torch.from_numpy(p.reset_touched)
    matrices = {name: dense_weights(pr, dt, n * n_receptors, weights[name]) for name, pr in circuit.projections.items()}
    emitted = {f"{name}_to_v1": _counts(trains, dt, n_steps) for name, trains in inputs.items()}
    emitted["v1_to_v1"] = []
    x = torch.zeros(n, len(p.states), dtype=torch.float64)
    x[:, p.threshold_state] = torch.from_numpy(circuit.neuron_parameter("E_L"))
    hold = torch.zeros(n, dtype=torch.int64)
    spikes, potentials = [], []
    damp = torch.ones(len(p.states), dtype=torch.float64)
    damp[p.threshold_state] = shaping.voltage_factor
    for now in range(n_steps):
        x = _damped(x, damp)
        after = (step @ x[:, :, None])[:, :, 0] + offset
        x = torch.where((hold > 0)[:, None] & held, x, after)
        v = x[:, p.threshold_state]
        z = surrogate_spike((v - threshold) / distance, shaping) * (hold == 0)
        inbox = sum(
            emitted[name][now - delay] @ matrix
            for name, by_delay in matrices.items() for delay, matrix in by_delay.items() if now >= delay
        )  # fmt: skip
        if torch.is_tensor(inbox):
            x = x + (jump @ inbox.view(n, n_receptors, 1))[:, :, 0]
        fired = z.detach() > 0
        after = (reset @ x[:, :, None])[:, :, 0] + torch.from_numpy(p.reset_offset[of_neuron])
        x = torch.where(fired[:, None] & touched, after, x)
        hold = torch.where(fired, torch.from_numpy(p.refractory_steps[of_neuron]), (hold - 1).clamp(min=0))
        emitted["v1_to_v1"].append(_damped(z, shaping.recurrent_factor))
        spikes.append(z)
        potentials.append(v)
    return torch.stack(spikes), torch.stack(potentials)


def _damped(x, factor):
    """The value of x with its gradient times the factor."""
    return x.detach() + factor * (x - x.detach())


def _counts(trains, dt, n_steps):
    counts = torch.zeros(n_steps, trains.n_units, dtype=torch.float64)
    steps = torch.from_numpy(trains.steps(dt))
    counts.index_put_(
        (steps, torch.from_numpy(trains.node_ids)), torch.ones(len(steps), dtype=torch.float64), accumulate=True
    )
    return counts
