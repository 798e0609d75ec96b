"""Time the torch engines: forward and backward apart, with the memory that they take."""

import numpy as np
import torch

from twincortex.models.benchmark.preparation import circuit_folder, read_trials
from twincortex.models.benchmark.timing import summarize, time_call
from twincortex.models.errors import InputError
from twincortex.models.peak_memory import memory_now, peak_memory
from twincortex.models.randomness import philox
from twincortex.models.sonata import read_circuit
from twincortex.models.surrogate import FusedColumn, make_column
from twincortex.models.surrogate.column import RECURRENT

# Of the potentials in the loss [1/mV]: spikes and potentials then reach the weights about alike.
_V_FACTOR = 0.01


def measure_torch(name, settings, folder):
    """Run a torch engine several times on the same input, after a warm-up.

    The loss is the sum of spikes and potentials with fixed random weights, so its gradient is these weights.

    Parameters
    ----------
    name : str
        ``"fused"`` or ``"reference"``.
    settings : Settings
    folder : Path
        Of `preparation.prepare`; spikes and gradients of the last repeat are written to ``<name>.npz``.

    Returns
    -------
    dict
        Times [s], spikes, memory [bytes].
    """
    torch.set_num_threads(settings.threads)
    circuit = read_circuit(circuit_folder(settings, folder))
    trials = read_trials(folder, circuit, settings.batch)
    inputs = {source: [inputs[source] for inputs in trials] for source in trials[0]}
    gradients = None if settings.forward_only else _random_gradients(circuit.n_neurons, settings)
    memory_before = memory_now()
    column, made = time_call(lambda: _make_column(name, circuit, settings))
    laps, gathers = [], []
    for _ in range(1 + settings.repeats):
        column.zero_grad()
        column.gather_seconds = torch.zeros(1, dtype=torch.float64)
        rollout, forward, backward = _run_once(column, inputs, settings, gradients)
        laps.append((forward, backward))
        gathers.append(float(column.gather_seconds))
        spikes = torch.nonzero(rollout.spikes).numpy(force=True).astype(np.int32)
        del rollout
    found = {"spikes": spikes}
    if gradients:
        found["gradient"] = column.weights[RECURRENT].grad.numpy(force=True)
    np.savez(folder / f"{name}.npz", **found)
    forward, backward = zip(*laps[1:], strict=True)
    return {
        "seconds_to_make": made.seconds,
        "seconds_of_warm_up": laps[0][0].seconds + (laps[0][1].seconds if gradients else 0.0),
        "forward": _summary(forward),
        "backward": _summary(backward) if gradients else None,
        "total": _summary(forward, backward) if gradients else _summary(forward),
        "gather_seconds": float(np.median(gathers[1:])) or None,
        "spikes": len(spikes),
        **_memory(column, memory_before),
    }


def _summary(*laps):
    """Summary of the sums of some laps over the repeats."""
    return summarize(
        [sum(lap.seconds for lap in one) for one in zip(*laps, strict=True)],
        [sum(lap.cpu_seconds for lap in one) for one in zip(*laps, strict=True)],
    )


def _make_column(name, circuit, settings):
    options = {
        "dt": settings.dt,
        "after_spike_current": settings.after_spike_current,
        "dtype": getattr(torch, settings.dtype),
        "trained": () if settings.forward_only else (RECURRENT, "bkg_to_v1"),
    }
    device = settings.device if name == "fused" else "cpu"
    column = make_column(circuit, name, device, {"reduced": settings.precision == "fast"}, **options)
    if name == "fused" and not isinstance(column, FusedColumn):
        raise InputError("the fused engine needs a C++ compiler: set CXX, or install g++.")
    return column


def _random_gradients(n_neurons, settings):
    """Weights of spikes and potentials in the loss, two (T, B, N) tensors, trials contiguous as in the engines."""
    rng, shape = philox(settings.seed, "benchmark: loss"), (settings.n_steps, n_neurons, settings.batch)
    drawn = [rng.standard_normal(shape, dtype=np.float32) for _ in range(2)]
    of_spikes, of_v = (torch.from_numpy(one).to(getattr(torch, settings.dtype)).transpose(1, 2) for one in drawn)
    return of_spikes, _V_FACTOR * of_v


def _run_once(column, inputs, settings, gradients):
    wait = (lambda: torch.cuda.synchronize(column.device)) if column.device.type == "cuda" else None
    with torch.set_grad_enabled(gradients is not None):
        rollout, forward = time_call(lambda: column(inputs, settings.n_steps), wait)
    if gradients is None:
        return rollout, forward, None
    gradients = [one.to(column.device) for one in gradients]
    outputs = [rollout.spikes, rollout.v]
    return rollout, forward, time_call(lambda: torch.autograd.backward(outputs, gradients), wait)[1]


def _memory(column, before):
    """Peak memory, and how much of it came after circuit and input had been loaded."""
    peak = peak_memory()
    on_device = torch.cuda.max_memory_allocated(column.device) if column.device.type == "cuda" else None
    return {
        "peak_bytes": peak,
        "bytes_with_circuit_and_input": before,
        "bytes_above_circuit": peak - before,
        "peak_bytes_on_device": on_device,
    }
