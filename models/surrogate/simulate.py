"""The torch engine's answer to ``simulate``: one trial, no gradients, any duration."""

import numpy as np
import torch

from twincortex.models.recording import Recording
from twincortex.models.spikes import SpikeTrains, from_steps
from twincortex.models.surrogate.reference import ReferenceColumn

STEPS_AT_ONCE = 500


def simulate(circuit, inputs, run, equation_set=None, progress=None):
    """Simulate a circuit in torch.

    Parameters
    ----------
    circuit : Circuit
    inputs : dict of source ("lgn", "bkg") -> SpikeTrains
    run : Run
    equation_set : EquationSet, optional
        Default: GLIF3.
    progress : callable, optional
        Called with the number of steps done, now and then.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        Spikes outside the run, a neuron to record that is not there, a dt that makes a delay 0 steps.
    """
    run.check_record_v(circuit.n_neurons)
    for trains in inputs.values():
        trains.check_within(run.duration)
    dtype = torch.float32 if run.precision == "float32" else torch.float64
    column = ReferenceColumn(circuit, run.dt, equation_set, run.after_spike_current, dtype=dtype, trained=())
    current = None if run.current is None else torch.from_numpy(run.current).to(dtype)
    steps, ids, potentials, state = [], [], [], None
    with torch.no_grad():
        for start in range(0, run.n_steps, STEPS_AT_ONCE):
            n = min(STEPS_AT_ONCE, run.n_steps - start)
            part = {name: [_between(trains, start, start + n, run.dt)] for name, trains in inputs.items()}
            now = None if current is None else current[start : start + n]
            rollout = column(part, n, state, now, run.record_v)
            state = rollout.state
            step, _, neuron = np.nonzero(rollout.spikes.numpy())
            steps.append(step + start)
            ids.append(neuron)
            potentials.append(rollout.v_recorded[:, 0].double().numpy())
            if progress:
                progress(start + n)
    return Recording(
        spikes=from_steps("v1", circuit.n_neurons, np.concatenate(steps), np.concatenate(ids), run.dt),
        v=np.concatenate(potentials),
        v_ids=np.array(run.record_v, dtype=np.int64),
        dt=run.dt,
        duration=run.duration,
        engine="torch",
        settings={
            "equations": column.propagators.equation_set.name,
            "after_spike_current": run.after_spike_current,
            "precision": run.precision,
            "torch": torch.__version__,
            "topology_hash": circuit.topology_hash,
            "weights_hash": circuit.weights_hash,
        },
    )


def _between(trains, start, stop, dt):
    """Spikes of steps start to stop - 1, with times counted from step start."""
    steps = trains.steps(dt)
    cut = slice(*np.searchsorted(steps, [start, stop]))
    return SpikeTrains(trains.population, trains.n_units, trains.times[cut] - start * dt, trains.node_ids[cut])
