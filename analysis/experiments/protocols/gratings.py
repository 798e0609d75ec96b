"""Gratings: gray, then a drifting grating, in eight directions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from twincortex.analysis.experiments.protocols.options import check_options, option
from twincortex.analysis.experiments.table import INTACT, Experiment, Rollout, Window
from twincortex.models.randomness import philox
from twincortex.models.stimuli import DriftingGrating


@dataclass(frozen=True)
class Gratings:
    """Gray that is not measured, gray that is, then a grating, measured from its onset, as in `twincortex evaluate`.

    Trials of a direction share its phase, which is random, and differ in their noise.

    Source
    ------
    biorealistic-v1-model: 0.04 cycles/deg, 2 Hz, contrast 0.8, 8 directions x 10 trials.
    """

    directions: int = option(8, "spread evenly over the circle, from 0 deg", at_least=1)
    trials: int = option(10, "of each direction", at_least=1)
    settle_ms: float = option(500.0, "gray before anything is measured [ms]", at_least=0)
    gray_ms: float = option(2000.0, "gray that is measured [ms]", at_least=1)
    grating_ms: float = option(2000.0, "grating [ms]", at_least=1)
    contrast: float = option(0.8, "of the grating [0 to 1]", at_least=0)
    spatial_frequency: float = option(0.04, "of the grating [cycles/deg]")
    temporal_frequency: float = option(2.0, "of the grating [Hz]")
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
        conditions, units = self.grating_conditions()
        return Experiment("gratings", conditions, units, tuple(self.rollouts(self.movies(), 0, INTACT, "first_trials")))

    def grating_conditions(self):
        """Table of conditions, one per direction, and the units of its columns."""
        direction = 360.0 / self.directions * np.arange(self.directions)
        phase = philox(self.seed, "experiment_phases").uniform(0, 360, self.directions)
        conditions = pd.DataFrame({"direction_deg": direction, "phase_deg": phase, "contrast": self.contrast})
        return conditions, {"direction_deg": "deg", "phase_deg": "deg", "contrast": "1"}

    def movies(self):
        """One DriftingGrating per direction, list."""
        conditions, _ = self.grating_conditions()
        onset = self.settle_ms + self.gray_ms
        return [
            DriftingGrating(
                duration=onset + self.grating_ms,
                direction=float(row.direction_deg),
                phase=float(row.phase_deg),
                onset=onset,
                spatial_frequency=self.spatial_frequency,
                temporal_frequency=self.temporal_frequency,
                contrast=self.contrast,
            )
            for row in conditions.itertuples()
        ]

    def rollouts(self, movies, first_condition, variant, keep):
        """Every trial of every direction, shown to one variant of the circuit.

        Parameters
        ----------
        movies : list of DriftingGrating
            Of `movies`: variants that share them have the same input.
        first_condition : int
            Number of the condition of the first direction.
        variant : str
        keep : str
            Whose spikes are kept: ``"first_trials"``, or the ``"first_rollout"`` only.

        Returns
        -------
        list of Rollout
        """
        onset = self.settle_ms + self.gray_ms
        found = []
        for direction, movie in enumerate(movies):
            for trial in range(self.trials):
                at = {"condition": first_condition + direction, "trial": trial}
                gray = Window(**at, name="gray", start_ms=self.settle_ms, stop_ms=onset)
                grating = Window(**at, name="grating", start_ms=onset, stop_ms=movie.duration)
                found.append(
                    Rollout(
                        name=f"{first_condition + direction:04}_{trial:03}",
                        movie=movie,
                        noise_trial=direction * self.trials + trial,
                        windows=(gray, grating),
                        variant=variant,
                        keeps_spikes=trial == 0 and (keep == "first_trials" or direction == 0),
                    )
                )
        return found


def for_every_variant(gratings, variants, name, extra):
    """Show the same gratings with the same noise to every variant of a circuit.

    Parameters
    ----------
    gratings : Gratings
    variants : dict of str -> Variant
        The first is what the others are compared with.
    name : str
        Of the experiment.
    extra : dict of column -> callable
        From the name of a variant to what stands in the column of its conditions.

    Returns
    -------
    Experiment
    """
    base, units = gratings.grating_conditions()
    tables, rollouts, movies = [], [], gratings.movies()
    for number, variant in enumerate(variants):
        tables.append(base.assign(**{column: value(variant) for column, value in extra.items()}))
        rollouts += gratings.rollouts(movies, number * len(base), variant, "first_rollout")
    by_movie = {id(movie): number for number, movie in enumerate(movies)}
    rollouts.sort(key=lambda rollout: by_movie[id(rollout.movie)])  # LGN rates are made once per movie
    return Experiment(name, pd.concat(tables, ignore_index=True), units, tuple(rollouts), variants)
