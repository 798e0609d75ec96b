"""What the engines' numbers say about each other: ratios, rates of memory, and whether the results agree."""

import numpy as np

from twincortex.models.equivalence import mismatched_spikes
from twincortex.models.spikes import from_steps

# The backward gather reads a target and a weight of every connection in every step.
GATHER_BYTES = 8


def rates_of(engine, facts, settings):
    """Rates that follow from an engine's times.

    Parameters
    ----------
    engine : dict
        Of `torch_engines.measure_torch` or `nest_engine.measure_nest`.
    facts : dict
        Of `preparation.prepare`.
    settings : Settings

    Returns
    -------
    dict
        Firing rate; recurrent connections times steps times trials per second; what the backward gather reads, on
        engines that do not tell its time as if it took all of the backward pass.
    """
    n_connections, trials = facts["connections"]["v1_to_v1"], engine.get("trials", settings.batch)
    connection_steps = n_connections * settings.n_steps
    backward = engine["backward"] and engine["backward"]["median"]
    gather = engine.get("gather_seconds") or backward
    return {
        "rate_Hz": engine["spikes"] / (facts["neurons"] * trials * settings.duration * 1e-3),
        "connection_steps_per_s": {
            "forward": connection_steps * trials / engine["forward"]["median"],
            "backward": connection_steps * trials / backward if backward else None,
        },
        "gather_GB_per_s": GATHER_BYTES * connection_steps / gather / 1e9 if gather else None,
    }


def ratios_of(engines, settings, bandwidth):
    """How often an engine is faster or smaller than another.

    Parameters
    ----------
    engines : dict of name -> dict
        Those that ran, with `rates_of`.
    settings : Settings
    bandwidth : dict
        Of `bandwidth.measure_bandwidth`.

    Returns
    -------
    dict
        None where an engine is missing or a pass was not run.
    """
    fused, reference, nest = (engines.get(name) for name in ("fused", "reference", "nest"))
    times = {part: _ratio(_median(reference, part), _median(fused, part)) for part in ("forward", "backward", "total")}
    memory = [engine and engine["bytes_above_circuit"] for engine in (reference, fused)]
    fused_forward = _median(fused, "forward")
    available = bandwidth["device_copy_GB_per_s"] or bandwidth["read_GB_per_s"]
    return {
        "reference_over_fused": {**times, "memory": _ratio(*memory)},
        "nest_over_fused": {
            "forward_per_trial": _ratio(_median(nest, "forward"), fused_forward and fused_forward / settings.batch)
        },
        "gather_over_bandwidth": _ratio(fused and fused["gather_GB_per_s"], available),
    }


def _median(engine, part):
    return engine[part]["median"] if engine and engine[part] else None


def _ratio(numerator, denominator):
    return numerator / denominator if numerator and denominator else None


def agreement_of(names, facts, settings, folder):
    """Whether engines made the same spikes and the same gradients.

    Parameters
    ----------
    names : sequence of str
        Engines that ran; all are compared with the reference, or with the first of them.
    facts, settings, folder
        As in `rates_of` and `preparation.prepare`.

    Returns
    -------
    dict of name -> dict
        Spikes that only one of the two made, in the trials that both ran; largest difference of dL/dw of the recurrent
        connections, relative to the largest dL/dw.
    """
    first = "reference" if "reference" in names else next(iter(names), None)
    results = {name: dict(np.load(folder / f"{name}.npz")) for name in names}
    agreement = {}
    for name in [name for name in names if name != first]:
        n_trials = 1 if "nest" in (name, first) else settings.batch
        spikes = [_trains(results[one]["spikes"], n_trials, facts["neurons"], settings.dt) for one in (name, first)]
        mismatched = len(mismatched_spikes(*spikes, settings.dt))
        gradients = [results[one].get("gradient") for one in (name, first)]
        agreement[name] = {
            "against": first,
            "spikes": [trains.n_spikes for trains in spikes],
            "spikes_mismatched": mismatched,
            "spikes_identical": mismatched == 0,
            "gradient_difference": None if any(one is None for one in gradients) else _difference(*gradients),
        }
    return agreement


def _trains(spikes, n_trials, n_neurons, dt):
    step, trial, neuron = spikes[spikes[:, 1] < n_trials].T.astype(np.int64)
    return from_steps("v1", n_trials * n_neurons, step, trial * n_neurons + neuron, dt)


def _difference(a, b):
    largest = float(np.abs(b).max(initial=0.0))
    return float(np.abs(a - b).max(initial=0.0)) / largest if largest else None
