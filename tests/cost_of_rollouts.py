"""What a training step of a torch engine costs: processor time and, in a process of its own, peak memory."""

import dataclasses
import time

import numpy as np
import torch
from peak_memory import peak_memory

from twincortex.models import surrogate
from twincortex.models.circuit import Projection

from circuits import small_random_circuit


def circuit_of(n, n_edges, max_delay):
    """A circuit whose neurons have as many recurrent connections each, spread over the delays and over the column."""
    circuit = small_random_circuit(1, n=n, in_degree=1)
    per_source, n_targets = n_edges // n, n * circuit.n_receptors
    delay_code = (np.arange(per_source) * max_delay // per_source).astype(np.uint8)
    target = np.random.default_rng(1).integers(0, n_targets, (n, per_source), dtype=np.int32)
    for delay in range(max_delay):
        target[:, delay_code == delay] = np.sort(target[:, delay_code == delay])
    recurrent = Projection(
        source="v1",
        n_sources=n,
        indptr=np.arange(n + 1) * per_source,
        target=target.ravel(),
        delay_code=np.tile(delay_code, n),
        delay_ms=np.arange(1.0, max_delay + 1),
        weight=np.full(n * per_source, 0.01, dtype=np.float32),
    )
    return dataclasses.replace(circuit, projections={"v1_to_v1": recurrent})


def train_step(column, n_steps, batch):
    """Forward and backward with a current that makes every neuron fire now and then; returns the spikes."""
    current = torch.full((n_steps, column.n_neurons), 250.0)
    rollout = column({}, n_steps, column.initial_state(batch), current)
    rollout.spikes.mean().backward()
    return rollout.spikes.detach()


def processor_seconds(circuit, n_steps=40, batch=4, repeats=3):
    """Fewest seconds of one training step of the fused engine, of some repeats, and the spikes."""
    column = surrogate.FusedColumn(circuit, dtype=torch.float32, trained=("v1_to_v1",))
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        spikes = train_step(column, n_steps, batch)
        seconds.append(time.process_time() - start)
    return min(seconds), int(spikes.sum())


def peak_bytes(engine, n=1000, n_edges=200_000, n_steps=200, batch=8):
    """Growth of the peak memory of this process in a training step; engine is the name of a class of columns."""
    make = getattr(surrogate, engine)
    warm_up = make(circuit_of(50, 5000, 4), dtype=torch.float32, trained=("v1_to_v1",))
    train_step(warm_up, 2, 1)
    circuit = circuit_of(n, n_edges, 4)
    before = peak_memory()
    train_step(make(circuit, dtype=torch.float32, trained=("v1_to_v1",)), n_steps, batch)
    return peak_memory() - before
