"""Time NEST: its call that runs the network, without building it."""

import numpy as np

from twincortex.models.benchmark.preparation import circuit_folder, read_trials
from twincortex.models.benchmark.timing import summarize
from twincortex.models.nest import Processes, open_circuit_folder, simulate_timed
from twincortex.models.recording import Run


def measure_nest(settings, folder):
    """Build and run the first trial several times, after a warm-up, each in a NEST process of its own.

    Parameters
    ----------
    settings : Settings
    folder : Path
        Of `preparation.prepare`; spikes are written to ``nest.npz``.

    Returns
    -------
    dict
        Times [s], spikes, memory [bytes]; None for what NEST does not do.
    """
    circuit = open_circuit_folder(circuit_folder(settings, folder))
    inputs = read_trials(folder, circuit, 1)[0]
    run = Run(settings.duration, settings.dt, after_spike_current=settings.after_spike_current)
    processes = Processes(settings.threads, scratch=folder)
    _, *runs = [simulate_timed(circuit, inputs, run, processes) for _ in range(1 + settings.repeats)]
    spikes = runs[-1][0].spikes
    steps = spikes.steps(settings.dt)
    np.savez(folder / "nest.npz", spikes=np.stack([steps, 0 * steps, spikes.node_ids], axis=1).astype(np.int32))
    forward = summarize(*zip(*(times for _, *times, _ in runs), strict=True))
    return {
        "seconds_to_make": None,
        "seconds_of_warm_up": None,
        "forward": forward,
        "backward": None,
        "total": forward,
        "spikes": spikes.n_spikes,
        "trials": 1,
        "peak_bytes": max(peak for *_, peak in runs),
        "bytes_with_circuit_and_input": None,
        "bytes_above_circuit": None,
        "peak_bytes_on_device": None,
    }
