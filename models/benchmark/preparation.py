"""The circuit and the input that all engines get, written as SONATA folders."""

import numpy as np

from twincortex.models.background import background_spikes
from twincortex.models.benchmark.random_circuit import make_random_circuit
from twincortex.models.inputs import check_stimulable, read_inputs, write_inputs
from twincortex.models.lgn import lgn_rates, lgn_spikes
from twincortex.models.sonata import read_circuit, write_circuit
from twincortex.models.spikes import SpikeTrains
from twincortex.models.stimuli import make_stimulus

CIRCUIT = "circuit"


def prepare(settings, folder):
    """Make or read the circuit, draw the spikes of every trial, and write them.

    Parameters
    ----------
    settings : Settings
    folder : Path
        A random circuit is written to ``circuit``, the input of trial b to ``trial_b``.

    Returns
    -------
    dict
        What the engines are given: neurons, connections, bytes, and the factor of the background's weights.
    """
    if settings.circuit is None:
        circuit, facts = _random_circuit(settings)
        write_circuit(circuit, folder / CIRCUIT)
    else:
        circuit, facts = read_circuit(settings.circuit), {"folder": settings.circuit}
        check_stimulable(circuit)
    trials = _draw_trials(circuit, settings)
    about = {"duration": settings.duration, "dt": settings.dt, "topology_hash": circuit.topology_hash}
    for number, inputs in enumerate(trials):
        write_inputs(folder / f"trial_{number}", inputs, about)
    return facts | {
        "neurons": circuit.n_neurons,
        "connections": {name: projection.n_edges for name, projection in circuit.projections.items()},
        "circuit_bytes": sum(_bytes_of(projection) for projection in circuit.projections.values()),
        "input_spikes": sum(trains.n_spikes for inputs in trials for trains in inputs.values()),
        "topology_hash": circuit.topology_hash,
        "weights_hash": circuit.weights_hash,
    }


def read_trials(folder, circuit, n_trials):
    """Read the input of the first trials: list of dict of source -> SpikeTrains, without sources that have no units.

    Parameters
    ----------
    folder : Path
    circuit : Circuit or nest.CircuitFolder
    n_trials : int
    """
    trials = [read_inputs(folder / f"trial_{number}", circuit)[0] for number in range(n_trials)]
    return [{source: trains for source, trains in inputs.items() if trains.n_units} for inputs in trials]


def circuit_folder(settings, folder):
    """Where the engines find the circuit."""
    return settings.circuit or folder / CIRCUIT


def _bytes_of(projection):
    return sum(part.nbytes for part in vars(projection).values() if isinstance(part, np.ndarray))


def _draw_trials(circuit, settings):
    """A drifting grating where there is an LGN to see it; and the background."""
    n_background = circuit.projections["bkg_to_v1"].n_sources
    movie, units = make_stimulus("grating", settings.duration), circuit.lgn_units
    rates = lgn_rates(units, movie) if len(units) else None
    silence = SpikeTrains("lgn", 0, np.zeros(0), np.zeros(0, dtype=np.int64))
    return [
        {
            "lgn": silence if rates is None else lgn_spikes(rates, seed=settings.seed, trial=trial),
            "bkg": background_spikes(settings.duration, seed=settings.seed, trial=trial, n_units=n_background),
        }
        for trial in range(settings.batch)
    ]


def _random_circuit(settings):
    # It imports torch, which the process that measures NEST shall not.
    from twincortex.models.benchmark.calibration import scale_background

    return scale_background(make_random_circuit(settings.neurons, settings.synapses, settings.seed), settings)
