"""The torch engine's answer to ``simulate``: no gradients, any duration, several trials at once."""

from itertools import pairwise

import numpy as np
import torch

from twincortex.models.errors import InputError
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
    dtype = torch.float32 if run.precision == "float32" else torch.float64
    options = {"dt": run.dt, "equation_set": equation_set, "after_spike_current": run.after_spike_current}
    column = make_column(circuit, **engine, **options, dtype=dtype, trained=())
    spikes, potentials = simulate_column(column, trials, run, progress)
    return [_recording(circuit, run, column, *of_trial) for of_trial in zip(spikes, potentials, strict=True)]


def simulate_column(column, trials, run, progress=None):
    """Simulate several trials with a column as it is, from rest and without gradients.

    Parameters
    ----------
    column : Column
        Its own dt, equations and precision hold, not those of the run.
    trials : sequence of dict of source -> SpikeTrains
    run : Run
        Duration, neurons to record and current.
    progress : callable, optional
        As in `simulate`.

    Returns
    -------
    spikes : list of SpikeTrains
    potentials : list of (n_steps, n_recorded) float64 arrays [mV]

    Raises
    ------
    InputError
        Spikes outside the run, a run of another dt than the column.
    """
    if run.dt != column.dt:
        raise InputError(f"a run of dt {run.dt:g} ms on a column of dt {column.dt:g} ms. Make both the same.")
    for trains in (trains for inputs in trials for trains in inputs.values()):
        trains.check_within(run.duration)
    current = None if run.current is None else torch.from_numpy(run.current).to(column.dtype)
    if current is not None and len(current) == 1:
        current = current.expand(run.n_steps, -1)  # without copies of the row
    n_at_once = max(1, NEURON_STEPS_AT_ONCE // (column.n_neurons * len(trials)))
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
    (step, trial, neuron), potentials = np.concatenate(spikes, axis=1), np.concatenate(potentials)
    of_trial = [trial == number for number in range(len(trials))]
    trains = [from_steps("v1", column.n_neurons, step[mine], neuron[mine], run.dt) for mine in of_trial]
    return trains, [potentials[:, number] for number in range(len(trials))]


def _cut(trains, bounds, dt):
    """Spikes between one bound [steps] and the next, with times counted from the bound."""
    places = np.searchsorted(trains.steps(dt), bounds)
    pieces = zip(bounds, map(slice, places[:-1], places[1:]), strict=False)
    return [
        SpikeTrains(trains.population, trains.n_units, trains.times[piece] - start * dt, trains.node_ids[piece])
        for start, piece in pieces
    ]


def _recording(circuit, run, column, spikes, potentials):
    return Recording(
        spikes=spikes,
        v=potentials,
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
