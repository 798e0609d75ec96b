"""The held-out test: gratings that training never showed, run by torch and by Brian2 with the same weights and
spikes."""

from dataclasses import dataclass

import numpy as np

from twincortex.models import surrogate
from twincortex.models.background import background_spikes
from twincortex.models.doctor import examine_machine
from twincortex.models.equivalence import check_engine, compare, run_engine
from twincortex.models.errors import InputError
from twincortex.models.lgn import LgnModel, lgn_spikes
from twincortex.models.observables import rates_of
from twincortex.models.recording import Run
from twincortex.models.stimuli import DriftingGrating

RECORDED_NEURONS = 50


@dataclass(frozen=True)
class HeldOutTrial:
    """A held-out grating after gray.

    Attributes
    ----------
    direction : float [deg]
    inputs : dict of source -> SpikeTrains
    """

    direction: float
    inputs: dict


def check_second_engine(name):
    """Refuse, before training, a second engine that this machine cannot run afterwards.

    Parameters
    ----------
    name : str

    Raises
    ------
    InputError
        Unknown engine, or its compiler or GPU is missing.
    """
    check_engine(name)
    verdict = examine_machine()["verdict"][name]
    if not verdict.startswith("ready"):
        raise InputError(f"validation.engine {name}: {verdict}. Install it, or choose another, for example brian.")


def held_out_test(circuit, trained, validation, protocol):
    """Run the held-out trials in the second engine with the first and the last weights, and in torch with the last.

    Parameters
    ----------
    circuit, trained : Circuit
        With the first and the last weights.
    validation : twincortex.training.config.Validation
    protocol : twincortex.training.config.Protocol

    Returns
    -------
    result : dict
        Ready for JSON: engines, agreement as in `compare_engines`, mean rates of each cell type.
    before, after : list of Recording
        Of the second engine.
    """
    trials = held_out_trials(circuit, validation, protocol)
    before = run_trials(circuit, trials, validation, protocol, validation.engine)
    after = run_trials(trained, trials, validation, protocol, validation.engine)
    in_torch = run_trials(trained, trials, validation, protocol, "torch")
    result = {"engines": ["torch", validation.engine], **compare_engines(in_torch, after), "rates_Hz": {}}
    for name, recordings in {"before": before, "after": after, "after in torch": in_torch}.items():
        result["rates_Hz"][name] = {
            "evoked": rates_per_type(evoked_rates(recordings, validation.gray_ms), circuit.cell_type),
            "spontaneous": rates_per_type(spontaneous_rates(recordings, validation.gray_ms), circuit.cell_type),
        }
    return result, before, after


def held_out_trials(circuit, validation, protocol):
    """Make the trials of the test: one per direction, with phases and noise of their own.

    Parameters
    ----------
    circuit : Circuit
    validation : twincortex.training.config.Validation
    protocol : twincortex.training.config.Protocol
        Spatial and temporal frequency and contrast.

    Returns
    -------
    list of HeldOutTrial
    """
    lgn = LgnModel(circuit.lgn_units)
    duration = validation.gray_ms + validation.grating_ms
    trials = []
    for number, direction in enumerate(validation.directions):
        movie = DriftingGrating(
            duration=duration,
            direction=direction,
            phase=(37.0 + 360.0 * number / len(validation.directions)) % 360.0,
            onset=validation.gray_ms,
            spatial_frequency=protocol.spatial_frequency,
            temporal_frequency=protocol.temporal_frequency,
            contrast=protocol.contrast,
        )
        inputs = {
            "lgn": lgn_spikes(lgn.rates(movie), seed=validation.seed, trial=number),
            "bkg": background_spikes(
                duration, seed=validation.seed, trial=number, n_units=circuit.projections["bkg_to_v1"].n_sources
            ),
        }
        trials.append(HeldOutTrial(direction, inputs))
    return trials


def run_trials(circuit, trials, validation, protocol, engine):
    """Run every trial in one engine.

    Parameters
    ----------
    circuit : Circuit
    trials : list of HeldOutTrial
    validation : twincortex.training.config.Validation
    protocol : twincortex.training.config.Protocol
    engine : str

    Returns
    -------
    list of Recording
    """
    recorded = np.linspace(0, circuit.n_neurons - 1, min(RECORDED_NEURONS, circuit.n_neurons)).astype(int)
    run = Run(validation.gray_ms + validation.grating_ms, protocol.dt, tuple(recorded.tolist()))
    inputs = [trial.inputs for trial in trials]
    if engine == "torch":
        return surrogate.simulate_trials(circuit, inputs, run)
    return [run_engine(engine, circuit, one, run) for one in inputs]


def evoked_rates(recordings, gray_ms):
    """Rate of every neuron during the gratings, mean over trials, (N,) [Hz]."""
    return np.mean([rates_of(recording.spikes, gray_ms, recording.duration) for recording in recordings], axis=0)


def spontaneous_rates(recordings, gray_ms):
    """Rate of every neuron during the gray before the gratings, mean over trials, (N,) [Hz]."""
    return np.mean([rates_of(recording.spikes, 0.0, gray_ms) for recording in recordings], axis=0)


def rates_per_type(rates, cell_type):
    """Mean rate of each cell type.

    Parameters
    ----------
    rates : (N,) array [Hz]
    cell_type : (N,) str array

    Returns
    -------
    dict of str -> float [Hz]
    """
    return {name: float(rates[cell_type == name].mean()) for name in np.unique(cell_type).tolist()}


def compare_engines(recordings, others):
    """Spike mismatches and largest difference of V over all trials.

    Parameters
    ----------
    recordings, others : list of Recording
        The same trials in two engines.

    Returns
    -------
    dict
        spikes (of both), mismatched, max_dv_mV.
    """
    results = [compare(one, other) for one, other in zip(recordings, others, strict=True)]
    return {
        "spikes": [sum(r.spikes.n_spikes for r in recordings), sum(r.spikes.n_spikes for r in others)],
        "mismatched": int(sum(result.mismatched for result in results)),
        "max_dv_mV": float(max(result.max_dv_mV for result in results)),
    }
