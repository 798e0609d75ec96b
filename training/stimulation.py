"""What the column sees in each training step: gratings and gray, as spikes that depend on (seed, step, trial) alone."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from twincortex.models.background import background_spikes
from twincortex.models.lgn import LgnModel, lgn_spikes
from twincortex.models.randomness import philox
from twincortex.models.stimuli import DriftingGrating, Gray
from twincortex.training.processes import Processes

# Rollouts of one step draw from streams of their own: trial number = (step * 3 + rollout) * MAX_BATCH + trial.
ROLLOUTS = ("settle", "evoked", "spontaneous")
MAX_BATCH = 4096


@dataclass(frozen=True)
class Stimulation:
    """Input of one rollout.

    Attributes
    ----------
    inputs : dict of source -> list of SpikeTrains
        One per trial.
    direction, phase : (B * processes,) float arrays [deg] or None
        Of the gratings in all trials of the step.
    """

    inputs: dict
    direction: np.ndarray | None = None
    phase: np.ndarray | None = None


class StimulusProtocol:
    """Makes the inputs of training from a circuit's LGN units.

    Parameters
    ----------
    circuit : Circuit
    protocol : twincortex.training.config.Protocol
    seed : int
    processes : Processes, optional
        Those that share a step; each gets the inputs of its own trials.
    """

    def __init__(self, circuit, protocol, seed, processes=None):
        self.protocol, self.seed, self._processes = protocol, seed, processes or Processes()
        self.n_background = circuit.projections["bkg_to_v1"].n_sources
        self._lgn, self._gray_rates = LgnModel(circuit.lgn_units), {}

    def gray(self, step, rollout, duration):
        """Gray screen for every trial of a batch.

        Parameters
        ----------
        step : int
        rollout : str
            One of ROLLOUTS.
        duration : float [ms]

        Returns
        -------
        Stimulation
        """
        if duration not in self._gray_rates:
            self._gray_rates[duration] = self._lgn.rates(Gray(duration))
        return Stimulation(self._spikes(lambda _: self._gray_rates[duration], step, rollout, duration))

    def gratings(self, step):
        """Drifting gratings of random direction and phase, one per trial.

        Parameters
        ----------
        step : int

        Returns
        -------
        Stimulation
        """
        protocol, n_trials = self.protocol, self.protocol.batch * self._processes.count
        draws = philox(self.seed, "grating_direction_and_phase", step).uniform(0, 360, size=(n_trials, 2))
        own = draws[self._processes.trials(protocol.batch)]
        return Stimulation(
            self._spikes(lambda trial: self._lgn.rates(self._grating(*own[trial])), step, "evoked", protocol.evoked_ms),
            *draws.T,
        )

    def _grating(self, direction, phase):
        protocol = self.protocol
        return DriftingGrating(
            duration=protocol.evoked_ms,
            direction=direction,
            phase=phase,
            spatial_frequency=protocol.spatial_frequency,
            temporal_frequency=protocol.temporal_frequency,
            contrast=protocol.contrast,
        )

    def _spikes(self, rates_of, step, rollout, duration):
        """Spikes of the trials of this process, with LGN rates ``rates_of(trial)``."""
        first = (step * len(ROLLOUTS) + ROLLOUTS.index(rollout)) * MAX_BATCH
        numbers = range(first, first + MAX_BATCH)[self._processes.trials(self.protocol.batch)]

        def draw_lgn(trial):
            return lgn_spikes(rates_of(trial), seed=self.seed, trial=numbers[trial])

        # A trial per thread at a time: its rates take 70 kB per step, its spikes a thousandth.
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            lgn = list(threads.map(draw_lgn, range(self.protocol.batch)))
        return {
            "lgn": lgn,
            "bkg": [
                background_spikes(duration, seed=self.seed, trial=number, n_units=self.n_background)
                for number in numbers
            ],
        }
