"""Simulate rollouts in any engine, and keep a part of each."""

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from twincortex.analysis.experiments.inputs import RolloutInputs
from twincortex.analysis.experiments.parts import measure
from twincortex.models.equivalence import run_trials
from twincortex.models.progress import no_progress
from twincortex.models.recording import Run

ENGINES = ("torch", "torch-cuda", "torch-reference", "brian-cpp", "brian-cuda", "brian")


@dataclass(frozen=True)
class Simulation:
    """How rollouts are simulated.

    Attributes
    ----------
    engine : str
    seed : int
        Of the noise.
    dt : float [ms]
    precision : str
        ``"float32"`` in torch only.
    batch : int
        Rollouts at once, in torch.
    """

    engine: str
    seed: int = 2025
    dt: float = 1.0
    precision: str = "float64"
    batch: int = 1

    def run_of(self, rollout, variant):
        """What is asked of the engine, a Run."""
        current = None if variant.current_pA is None else variant.current_pA[None].astype(np.float64)
        return Run(rollout.movie.duration, self.dt, precision=self.precision, current=current)


def run_rollouts(rollouts, experiment, circuit, simulation, keep, progress=no_progress):
    """Simulate rollouts one batch after the other.

    Parameters
    ----------
    rollouts : list of Rollout
        Some of those of the experiment.
    experiment : Experiment
    circuit : Circuit
    simulation : Simulation
    keep : callable
        Called with each Rollout and the SpikeTrains of population v1, as soon as they are there.
    progress : callable
        Called with ("rollouts", done, in all).
    """
    inputs, done = RolloutInputs(circuit, simulation.seed), 0
    for variant_name, batch in _batches(rollouts, simulation.batch):
        variant = experiment.variants[variant_name]
        changed = variant.change(circuit) if variant.change else circuit
        trials = [inputs.of(rollout) for rollout in batch]
        recordings = run_trials(simulation.engine, changed, trials, simulation.run_of(batch[0], variant))
        for rollout, recording in zip(batch, recordings, strict=True):
            keep(rollout, recording.spikes)
        done += len(batch)
        progress("rollouts", done, len(rollouts))


def _batches(rollouts, size):
    """Yield variant and rollouts that are simulated at once: neighbours of one variant and duration."""
    for (variant, _), group in groupby(rollouts, key=lambda rollout: (rollout.variant, rollout.movie.duration)):
        group = list(group)
        for start in range(0, len(group), size):
            yield variant, group[start : start + size]


def keeper(parts, is_core):
    """Make what `run_rollouts` keeps rollouts with: it writes their parts.

    Parameters
    ----------
    parts : Parts
    is_core : (N,) bool array

    Returns
    -------
    callable
    """
    return lambda rollout, trains: parts.write(rollout, measure(rollout, trains, is_core))
