"""Images: natural images one after the other in random order; static gratings and full-field flashes alike."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from twincortex.analysis.experiments.image_sets import load_images
from twincortex.analysis.experiments.protocols.options import check_options, option
from twincortex.analysis.experiments.table import Experiment, Rollout, Window
from twincortex.models.randomness import philox
from twincortex.models.stimuli import FullFieldFlash, ImageSequence, StaticGrating

NATURAL, STATIC_GRATING, FLASH, GRAY = "natural", "static_grating", "flash", "gray"
_MOST_ROLLOUTS = 1000  # of a repetition and group of pictures: the next counts its noise on from there
_UNITS = {"orientation_deg": "deg", "spatial_frequency": "cycles/deg", "phase_deg": "deg", "luminance_step": "1"}


@dataclass(frozen=True)
class Images:
    """Gray, then pictures without a gap; a repetition shows each once, in an order of its own.

    Conditions are pictures, trials are repetitions; window: ``stimulus``, as long as a picture is shown. Natural images
    are shown apart from static gratings and flashes. A repetition takes several rollouts of the same length, so that
    rates of the LGN fit into memory; the last of them may end with gray. The condition ``gray`` is the end of the gray
    before the first.

    Source
    ------
    biorealistic-v1-model, image_decoding (250 ms per image, 118 images, 50 repetitions).
    """

    images: str = option("", "folder of png, jpg or tif files (default: patches of photographs of scikit-image)")
    n_images: int = option(0, "drawn from the folder (default 0: all of it; 40 patches)", at_least=0)
    trials: int = option(10, "repetitions", at_least=1)
    image_ms: float = option(250.0, "for which a picture is shown and its spikes count [ms]", at_least=1)
    gray_ms: float = option(500.0, "gray before the pictures [ms]", at_least=1)
    rms_contrast: float = option(0.3, "of the natural images [mean luminance]; 0 shows them as they are", at_least=0)
    orientations: int = option(6, "of static gratings; 0: no static gratings", at_least=0)
    spatial_frequencies: tuple = option((0.04,), "of static gratings [cycles/deg]")
    phases: int = option(4, "of static gratings", at_least=1)
    contrast: float = option(0.8, "of static gratings [0 to 1]", at_least=0)
    flashes: tuple = option((-1.0, 1.0), "luminance of full-field flashes [-1 black to 1 white]; 0: no flashes")
    pictures_per_rollout: int = option(20, "at most", at_least=1)
    seed: int = option(2025, "of the choice of images, their order and the noise")

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
        groups = [self._natural()] + ([self._artificial()] if self.orientations or any(self.flashes) else [])
        gray = pd.DataFrame({"stimulus": [GRAY], "image": [GRAY]})
        conditions = pd.concat([gray, *(table for table, _ in groups)], ignore_index=True)
        n_rollouts = [-(-len(pictures) // self.pictures_per_rollout) for _, pictures in groups]
        n_each = max(-(-len(pictures) // n) for (_, pictures), n in zip(groups, n_rollouts, strict=True))
        rollouts, first = [], len(gray)
        for group, (_, pictures) in enumerate(groups):
            rollouts += self._sequences(group, pictures, first, n_rollouts[group], n_each)
            first += len(pictures)
        return Experiment("images", conditions.fillna({"source": "", "licence": ""}), _UNITS, tuple(rollouts))

    def _natural(self):
        """Natural images: their conditions, and (n, 80, 120) pictures."""
        found = load_images(self.images or None, self.n_images or None, self.seed, self.rms_contrast or None)
        table = {"stimulus": NATURAL, "image": found.names, "source": found.sources, "licence": found.licences}
        return pd.DataFrame(table), found.images

    def _artificial(self):
        """Static gratings and flashes: their conditions, and (n, 80, 120) pictures."""
        rows, pictures = [], []
        for orientation in 180.0 / max(self.orientations, 1) * np.arange(self.orientations):
            for frequency in self.spatial_frequencies:
                for phase in 360.0 / self.phases * np.arange(self.phases):
                    shown = {"orientation": float(orientation), "spatial_frequency": frequency, "phase": float(phase)}
                    still = StaticGrating(self.image_ms, contrast=self.contrast, presentation=self.image_ms, **shown)
                    name = f"{orientation:g} deg, {frequency:g} cycles/deg, phase {phase:g} deg"
                    rows.append((STATIC_GRATING, name, orientation, frequency, phase, np.nan))
                    pictures.append(still.pictures()[0])
        for step in filter(None, self.flashes):
            flash = FullFieldFlash(self.image_ms, luminance_step=step, presentation=self.image_ms)
            rows.append((FLASH, f"luminance {step:+g}", np.nan, np.nan, np.nan, step))
            pictures.append(flash.pictures()[0])
        return pd.DataFrame(rows, columns=["stimulus", "image", *_UNITS]), np.stack(pictures)

    def _sequences(self, group, pictures, first_condition, n_rollouts, n_each):
        """Rollouts of all repetitions of a group of pictures."""
        found = []
        for trial in range(self.trials):
            order = philox(self.seed, "experiment_order_of_images", group, trial).permutation(len(pictures))
            for number, shown in enumerate(np.array_split(order, n_rollouts)):
                movie = ImageSequence(
                    duration=self.gray_ms + n_each * self.image_ms,
                    images=pictures,
                    order=shown,
                    onset=self.gray_ms,
                    frame_ms=self.image_ms,
                )
                windows = [
                    self._window(first_condition + int(picture), trial, self.gray_ms + place * self.image_ms)
                    for place, picture in enumerate(shown)
                ]
                if group == number == 0:
                    windows.append(self._window(0, trial, self.gray_ms - self.image_ms))
                found.append(
                    Rollout(
                        name=f"{group}_{trial:03}_{number:03}",
                        movie=movie,
                        noise_trial=(2 * trial + group) * _MOST_ROLLOUTS + number,
                        windows=tuple(windows),
                        keeps_spikes=trial == 0,
                    )
                )
        return found

    def _window(self, condition, trial, start_ms):
        return Window(condition, trial, "stimulus", start_ms, start_ms + self.image_ms)
