"""What a target hands back, in Brian2's units, and its translation into a Recording."""

from dataclasses import dataclass

import brian2
import numpy as np

from twincortex.models.recording import Recording
from twincortex.models.spikes import from_steps

ENGINES = {"numpy": "brian", "cython": "brian", "cpp": "brian-cpp", "cuda": "brian-cuda"}


@dataclass(frozen=True)
class Outcome:
    """Results of a run.

    Attributes
    ----------
    spike_times : (n,) float array [s]
        Start of the step in which each spike was emitted.
    spike_ids : (n,) int array
    v : (n_steps, n_recorded) float array [V]
    """

    spike_times: np.ndarray
    spike_ids: np.ndarray
    v: np.ndarray


def as_recording(outcome, plan, target, settings):
    """Translate an Outcome.

    Parameters
    ----------
    outcome : Outcome
    plan : Plan
    target : str
    settings : dict
        What the target adds to the settings of the recording.

    Returns
    -------
    Recording
    """
    run, circuit = plan.run, plan.circuit
    steps = np.rint(outcome.spike_times / (run.dt * 1e-3)).astype(np.int64)
    return Recording(
        spikes=from_steps("v1", circuit.n_neurons, steps, outcome.spike_ids, run.dt),
        v=outcome.v * 1e3,
        v_ids=np.array(run.record_v, dtype=np.int64),
        dt=run.dt,
        duration=run.duration,
        engine=ENGINES[target],
        settings={
            "equations": plan.propagators.equation_set.name,
            "after_spike_current": run.after_spike_current,
            "precision": run.precision,
            "target": target,
            "brian2": brian2.__version__,
            "topology_hash": circuit.topology_hash,
            "weights_hash": circuit.weights_hash,
            **settings,
        },
    )
