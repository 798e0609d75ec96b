"""The torch engine's answer to ``simulate``: no gradients, any duration, several trials at once."""

from itertools import pairwise

import numpy as np
import torch

from twincortex.models.memory_forecast import NEURON_STEPS_AT_ONCE
from twincortex.models.recording import Recording
from twincortex.models.spikes import SpikeTrains, from_steps
from twincortex.models.surrogate.engines import make_column


def simulate(circuit, inputs, run, equation_set=None, progress=None, **engine):
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
    **engine
        engine and device of `make_column`.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        Spikes outside the run, a neuron to record that is not there, a dt that makes a delay 0 steps.
    """
    return simulate_trials(circuit, [inputs], run, equation_set, progress, **engine)[0]


def simulate_trials(circuit, trials, run, equation_set=None, progress=None, **engine):
    """Simulate several trials at once: the propagators are read from memory once for all of them.

    Parameters
    ----------
    circuit : Circuit
    trials : sequence of dict of source -> SpikeTrains
        As in `simulate`, one per trial.
    run, equation_set, progress, engine
        As in `simulate`.

    Returns
    -------
    list of Recording
    """
    run.check_record_v(circuit.n_neurons)
    for trains in (trains for inputs in trials for trains in inputs.values()):
        trains.check_within(run.duration)
    dtype = torch.float32 if run.precision == "float32" else torch.float64
    options = {"dt": run.dt, "equation_set": equation_set, "after_spike_current": run.after_spike_current}
    column = make_column(circuit, **engine, **options, dtype=dtype, trained=())
    current = None if run.current is None else torch.from_numpy(run.current).to(dtype)
    n_at_once = max(1, NEURON_STEPS_AT_ONCE // (circuit.n_neurons * len(trials)))
    bounds = [*range(0, run.n_steps, n_at_once), run.n_steps]
    pieces = {name: [_cut(inputs[name], bounds, run.dt) for inputs in trials] for name in trials[0]}
    spikes, potentials, state = [], [], None
    with torch.no_grad():
        for number, (start, stop) in enumerate(pairwise(bounds)):
            part = {name: [of_trial[number] for of_trial in of_source] for name, of_source in pieces.items()}
            now = None if current is None else current[start:stop]
            rollout = column(part, stop - start, state, now, run.record_v)
            state = rollout.state
            spikes.append(np.stack(np.nonzero(rollout.spikes.cpu().numpy())) + np.array([[start], [0], [0]]))
            potentials.append(rollout.v_recorded.double().cpu().numpy())
            if progress:
                progress(stop)
    spikes, potentials = np.concatenate(spikes, axis=1), np.concatenate(potentials)
    return [_recording(circuit, run, column, spikes, potentials, trial) for trial in range(len(trials))]


def _cut(trains, bounds, dt):
    """Spikes between one bound [steps] and the next, with times counted from the bound."""
    places = np.searchsorted(trains.steps(dt), bounds)
    pieces = zip(bounds, map(slice, places[:-1], places[1:]), strict=False)
    return [
        SpikeTrains(trains.population, trains.n_units, trains.times[piece] - start * dt, trains.node_ids[piece])
        for start, piece in pieces
    ]


def _recording(circuit, run, column, spikes, potentials, trial):
    step, _, neuron = spikes[:, spikes[1] == trial]
    return Recording(
        spikes=from_steps("v1", circuit.n_neurons, step, neuron, run.dt),
        v=potentials[:, trial],
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
