"""Contrast: gratings of several contrasts and directions, and blank trials."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from twincortex.analysis.experiments.cohorts import find_cohort, held_down
from twincortex.analysis.experiments.protocols.options import check_options, option
from twincortex.analysis.experiments.table import INTACT, Experiment, Rollout, Variant, Window
from twincortex.models.randomness import philox
from twincortex.models.stimuli import DriftingGrating, Gray


@dataclass(frozen=True)
class Contrast:
    """Gray, then a drifting grating of random phase, in every contrast and direction; and trials that stay gray.

    Blank trials are several conditions of contrast 0 without a direction, so that all conditions have as many trials.
    Windows: ``gray`` before the onset, ``grating`` from `count_after_ms` after it. A cohort may be held down in all
    trials: ``silenced`` (neuron) says who is; the inputs are the same as without.

    Source
    ------
    biorealistic-v1-model, stimulus_trials.py (6 contrasts x 8 directions x 10 trials, 30 blanks, random phases) and
    contrast_spike_aggregation.py (spikes of 700 to 2,500 ms count). Its trials end at 2,500 ms after 3,000 ms of movie;
    these last until 3,000 ms as well.
    """

    contrasts: tuple = option((0.05, 0.1, 0.2, 0.4, 0.6, 0.8), "of the gratings [0 to 1]", at_least=0)
    directions: int = option(8, "spread evenly over the circle, from 0 deg", at_least=1)
    trials: int = option(10, "of each condition", at_least=1)
    blanks: int = option(3, "conditions that stay gray", at_least=0)
    settle_ms: float = option(100.0, "gray before anything is measured [ms]", at_least=0)
    gray_ms: float = option(400.0, "gray that is measured [ms]", at_least=1)
    grating_ms: float = option(2500.0, "grating [ms]", at_least=1)
    count_after_ms: float = option(200.0, "of the grating, before spikes count [ms]", at_least=0)
    count_ms: float = option(1800.0, "for which spikes count [ms]", at_least=1)
    spatial_frequency: float = option(0.04, "of the gratings [cycles/deg]")
    temporal_frequency: float = option(2.0, "of the gratings [Hz]")
    silence: str = option("", "cohort that is held down in all trials, named as in `silence`, such as PV")
    current_pA: float = option(-1000.0, "injected into its neurons [pA]")
    seed: int = option(2025, "of phases and noise")

    def __post_init__(self):
        check_options(self)

    def declare(self, circuit, is_core):
        """Declare the experiment.

        Parameters
        ----------
        circuit : Circuit
        is_core : (N,) bool array

        Returns
        -------
        Experiment
        """
        conditions = self._conditions()
        phase = philox(self.seed, "experiment_phases_of_trials").uniform(0, 360, (len(conditions), self.trials))
        phase[conditions.contrast == 0] = np.nan
        gray = Gray(self._onset_ms + self.grating_ms)
        rollouts = []
        for row in conditions.itertuples():
            for trial in range(self.trials):
                movie = gray if row.contrast == 0 else self._grating(row, float(phase[row.Index, trial]))
                rollouts.append(self._rollout(row.Index, trial, movie))
        units = {"contrast": "1", "direction_deg": "deg", "phase_deg": "deg"}
        columns, variants = {"phase_deg": (("condition", "trial"), phase)}, {INTACT: Variant()}
        if self.silence:
            silenced = find_cohort(circuit, is_core, self.silence)
            columns["silenced"], variants = (("neuron",), silenced), {INTACT: held_down(silenced, self.current_pA)}
        return Experiment("contrast", conditions, units, tuple(rollouts), variants, columns)

    @property
    def _onset_ms(self):
        return self.settle_ms + self.gray_ms

    def _conditions(self):
        directions = 360.0 / self.directions * np.arange(self.directions)
        rows = [(contrast, direction) for contrast in self.contrasts for direction in directions]
        rows += [(0.0, np.nan)] * self.blanks
        return pd.DataFrame(rows, columns=["contrast", "direction_deg"])

    def _grating(self, condition, phase):
        return DriftingGrating(
            duration=self._onset_ms + self.grating_ms,
            direction=float(condition.direction_deg),
            phase=phase,
            onset=self._onset_ms,
            spatial_frequency=self.spatial_frequency,
            temporal_frequency=self.temporal_frequency,
            contrast=float(condition.contrast),
        )

    def _rollout(self, condition, trial, movie):
        at, first = {"condition": condition, "trial": trial}, self._onset_ms + self.count_after_ms
        gray = Window(**at, name="gray", start_ms=self.settle_ms, stop_ms=self._onset_ms)
        grating = Window(**at, name="grating", start_ms=first, stop_ms=first + self.count_ms)
        return Rollout(
            name=f"{condition:04}_{trial:03}",
            movie=movie,
            noise_trial=condition * self.trials + trial,
            windows=(gray, grating),
            keeps_spikes=trial == 0,
        )
