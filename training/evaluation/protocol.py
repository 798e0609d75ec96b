"""What an evaluation shows: gray, then a grating, in trials that no training has seen."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import InputError
from twincortex.models.randomness import philox
from twincortex.models.recording import Run


@dataclass(frozen=True)
class EvaluationProtocol:
    """Trials of an evaluation: gray that is not measured, gray that is, then a grating, measured from its onset.

    Attributes
    ----------
    n_directions : int
        Spread evenly over the circle, from 0 deg.
    n_trials : int
        Per direction. Trials of one direction share its phase and differ in their noise.
    settle_ms, gray_ms, grating_ms : float [ms]
        In this order; the first is not measured.
    spatial_frequency : float [cycles/deg]
    temporal_frequency : float [Hz]
    contrast : float
    fano_settle_ms : float [ms]
        Left out of gray and grating before spikes of pools are counted.
    n_pools : int
        Pools of excitatory cells for the Fano factor.
    dt : float [ms]
    seed : int
        Of phases, noise and pools, which draw from streams of their own: the same number as a training's seed gives
        other inputs than that training had.
    """

    n_directions: int = 8
    n_trials: int = 10
    settle_ms: float = 500.0
    gray_ms: float = 2000.0
    grating_ms: float = 2000.0
    spatial_frequency: float = 0.04
    temporal_frequency: float = 2.0
    contrast: float = 0.8
    fano_settle_ms: float = 200.0
    n_pools: int = 1000
    dt: float = 1.0
    seed: int = 2025

    def __post_init__(self):
        """Refuse what no engine could run or nobody could measure."""
        for name, least in (("n_directions", 3), ("n_trials", 1), ("n_pools", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} {getattr(self, name)}: expected {least} or more.")
        shortest = self.fano_settle_ms + 10
        for name in ("gray_ms", "grating_ms"):
            if not getattr(self, name) >= shortest:
                raise InputError(f"{name} {getattr(self, name):g}: expected {shortest:g} ms or more.")
        if not self.settle_ms >= 0:
            raise InputError(f"settle_ms {self.settle_ms:g}: expected 0 ms or more.")
        for name in ("gray_ms", "grating_ms", "fano_settle_ms"):
            Run(getattr(self, name), self.dt)  # a positive, whole number of steps, or InputError

    @property
    def directions(self):
        """Directions of the gratings, (D,) [deg]."""
        return 360.0 / self.n_directions * np.arange(self.n_directions)

    @property
    def phases(self):
        """Phases of the gratings, (D,) [deg]: random, one per direction."""
        return philox(self.seed, "evaluation_phases").uniform(0, 360, self.n_directions)

    @property
    def onset_ms(self):
        """When the grating appears [ms]."""
        return self.settle_ms + self.gray_ms

    @property
    def duration_ms(self):
        """Length of a trial [ms]."""
        return self.onset_ms + self.grating_ms

    @property
    def windows_ms(self):
        """Start and stop [ms] of what is measured, by condition ("spontaneous", "evoked")."""
        return {"spontaneous": (self.settle_ms, self.onset_ms), "evoked": (self.onset_ms, self.duration_ms)}

    @property
    def fano_windows_ms(self):
        """Start and stop [ms] of the counting for Fano factors, by condition."""
        return {name: (start + self.fano_settle_ms, stop) for name, (start, stop) in self.windows_ms.items()}

    def random(self, purpose):
        """Open the random stream of a purpose."""
        return philox(self.seed, f"evaluation_{purpose}")

    def description(self):
        """Fields, directions, phases and windows, ready for JSON."""
        derived = {
            "directions_deg": self.directions.tolist(),
            "phases_deg": self.phases.round(6).tolist(),
            "windows_ms": self.windows_ms,
            "fano_windows_ms": self.fano_windows_ms,
        }
        return dataclasses.asdict(self) | derived
