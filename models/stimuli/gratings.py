"""Sinusoidal gratings that drift."""

from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import InputError
from twincortex.models.stimuli.movie import Movie, parameter, require_whole_frames


@dataclass(frozen=True)
class DriftingGrating(Movie):
    """A sinusoidal grating that appears on gray and drifts towards (cos direction, sin direction), elevation upwards.

    Attributes
    ----------
    direction : float [deg]
        0 drifts to the right (growing azimuth), 90 upwards.
    spatial_frequency : float [cycles/deg]
    temporal_frequency : float [Hz]
    contrast : float
        0 to 1.
    phase : float [deg]
    onset : float [ms]
        Gray until then; the grating's own time starts here.

    Source
    ------
    ``contrast sin(2 pi (spatial_frequency (x cos + y sin) - temporal_frequency t) + phase)``, as in the trials of
    biorealistic-v1-model (0.04 cycles/deg, 2 Hz, contrast 0.8, after 500 ms of gray). BMTK spreads its 120 columns from
    0 to 120 deg inclusive; here each pixel has its own degree.
    """

    duration: float
    direction: float = parameter(0.0, "drift of the grating [deg]: 0 right, 90 up")
    spatial_frequency: float = parameter(0.04, "of the grating [cycles/deg]")
    temporal_frequency: float = parameter(2.0, "of the grating [Hz]")
    contrast: float = parameter(0.8, "of the grating [0 to 1]")
    phase: float = parameter(0.0, "of the grating [deg]")
    onset: float = parameter(0.0, "gray before the stimulus [ms]")

    def __post_init__(self):
        super().__post_init__()
        require_whole_frames("onset", self.onset, smallest=0)
        if self.onset >= self.duration:
            raise InputError(f"onset {self.onset} ms: expected less than the duration {self.duration} ms.")
        if not 0 <= self.contrast <= 1:
            raise InputError(f"contrast {self.contrast}: expected 0 to 1, the ratio of amplitude to mean luminance.")
        for name in ("direction", "spatial_frequency", "temporal_frequency", "phase"):
            if not np.isfinite(getattr(self, name)):
                raise InputError(f"{name} {getattr(self, name)}: expected a finite number.")

    def spatial_phase(self, x, y):
        """Phase at a place when the grating appears [rad].

        Parameters
        ----------
        x, y : arrays [deg]
            Azimuth and elevation.
        """
        angle = np.deg2rad(self.direction)
        along = x * np.cos(angle) + y * np.sin(angle)
        return 2.0 * np.pi * self.spatial_frequency * along + np.deg2rad(self.phase)

    @property
    def angular_frequency(self):
        """Temporal frequency [rad/ms]."""
        return 2e-3 * np.pi * self.temporal_frequency

    def luminance(self, time, x, y):
        """Gray before the onset, then the grating."""
        since_onset = time - self.onset
        wave = np.sin(self.spatial_phase(x, y) - self.angular_frequency * since_onset)
        return np.where(since_onset >= 0, self.contrast * wave, 0.0)
