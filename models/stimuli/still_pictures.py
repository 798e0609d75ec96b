"""Movies of pictures that stand still: static gratings, full-field flashes, sequences of images."""

from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import InputError, first_offenders
from twincortex.models.stimuli.gratings import DriftingGrating
from twincortex.models.stimuli.movie import (
    FRAME,
    N_COLUMNS,
    N_ROWS,
    Movie,
    parameter,
    require_pictures,
    require_whole_frames,
)

_GRAY = -1  # in place of the number of a picture


class StillPictures(Movie):
    """A movie of a few pictures, each shown until the next; gray before the first.

    A new one says what its pictures are and when they are shown. The LGN answers to these movies in closed form.
    """

    def pictures(self):
        """Draw the pictures, each once.

        Returns
        -------
        (n_pictures, 80, 120) float32 array
        """
        raise NotImplementedError

    def scenes(self):
        """Say when which picture appears.

        Returns
        -------
        first_frame : (n_scenes,) int array
            Ascending.
        picture : (n_scenes,) int array
            Number of the picture, -1 for gray.
        """
        raise NotImplementedError

    def frames(self, start, stop):
        """Show the pictures, (stop - start, 80, 120) float32."""
        first_frame, picture = self.scenes()
        scene = np.searchsorted(first_frame, np.arange(start, stop), side="right") - 1
        shown = np.where(scene >= 0, picture[scene], _GRAY)
        frames = np.zeros((stop - start, N_ROWS, N_COLUMNS), dtype=np.float32)
        frames[shown != _GRAY] = self.pictures()[shown[shown != _GRAY]]
        return frames


@dataclass(frozen=True)
class StaticGrating(StillPictures):
    """A sinusoidal grating that appears on gray, stands still, and gives way to gray.

    Attributes
    ----------
    orientation : float [deg]
        The direction across its bars, as the direction of a drifting grating with the same bars: 0 are vertical bars,
        90 horizontal ones. Other papers measure along the bars, 90 deg away.
    spatial_frequency : float [cycles/deg]
    contrast : float
        0 to 1.
    phase : float [deg]
    onset : float [ms]
        Gray until then.
    presentation : float [ms]
        How long the grating is shown; gray afterwards.
    """

    duration: float
    orientation: float = parameter(0.0, "of the static grating [deg]: 0 vertical bars, 90 horizontal ones")
    spatial_frequency: float = parameter(0.04, "of the grating [cycles/deg]")
    contrast: float = parameter(0.8, "of the grating [0 to 1]")
    phase: float = parameter(0.0, "of the grating [deg]")
    onset: float = parameter(0.0, "gray before the stimulus [ms]")
    presentation: float = parameter(250.0, "how long a static grating or a flash is shown [ms]")

    def __post_init__(self):
        super().__post_init__()
        if not np.isfinite(self.orientation):
            raise InputError(f"orientation {self.orientation}: expected a finite number.")
        _require_time_for("presentation", self, n_pictures=1)
        self._standing()

    def _standing(self):
        return DriftingGrating(
            duration=FRAME,
            direction=self.orientation,
            spatial_frequency=self.spatial_frequency,
            temporal_frequency=0.0,
            contrast=self.contrast,
            phase=self.phase,
        )

    def pictures(self):
        """Draw the grating, (1, 80, 120) float32."""
        return self._standing().frames(0, 1)

    def scenes(self):
        """The grating from its onset on, gray after its presentation."""
        return _shown_once(self.onset, self.presentation)


@dataclass(frozen=True)
class FullFieldFlash(StillPictures):
    """The whole screen turns brighter or darker for a while.

    Attributes
    ----------
    luminance_step : float
        -1 (black) to 1 (white).
    onset : float [ms]
        Gray until then.
    presentation : float [ms]
        How long the flash lasts; gray afterwards.
    """

    duration: float
    luminance_step: float = parameter(1.0, "of the flash, from gray [-1 black to 1 white]")
    onset: float = parameter(0.0, "gray before the stimulus [ms]")
    presentation: float = parameter(250.0, "how long a static grating or a flash is shown [ms]")

    def __post_init__(self):
        super().__post_init__()
        if not abs(self.luminance_step) <= 1:
            raise InputError(f"luminance_step {self.luminance_step}: expected -1 (black) to 1 (white).")
        _require_time_for("presentation", self, n_pictures=1)

    def pictures(self):
        """Fill the screen, (1, 80, 120) float32."""
        return np.full((1, N_ROWS, N_COLUMNS), self.luminance_step, dtype=np.float32)

    def scenes(self):
        """The flash from its onset on, gray after its presentation."""
        return _shown_once(self.onset, self.presentation)


@dataclass(frozen=True, eq=False)
class ImageSequence(StillPictures):
    """Images shown one after the other without a gap; gray before the first and after the last.

    Attributes
    ----------
    images : (n_images, 80, 120) array
        Luminance -1 to 1, gray 0, one degree per pixel. Row 0 is the lowest elevation.
    order : (n_shown,) int array
        Which image is shown, from the onset on; an image may come again.
    onset : float [ms]
        Gray until then.
    frame_ms : float [ms]
        How long each image stays, a whole number of frames of the movie.

    Raises
    ------
    InputError
        Images that cannot be shown, numbers of images that do not exist, or more of them than the duration holds.
    """

    duration: float
    images: np.ndarray
    order: np.ndarray
    onset: float = 0.0
    frame_ms: float = 250.0

    def __post_init__(self):
        super().__post_init__()
        require_pictures("image set", "images", self.images)
        order = np.asarray(self.order)
        if order.ndim != 1 or not len(order) or not np.issubdtype(order.dtype, np.integer):
            raise InputError(
                f"order of shape {order.shape} and type {order.dtype}: expected the numbers of the images to show."
            )
        bad = np.flatnonzero((order < 0) | (order >= len(self.images)))
        if len(bad):
            raise InputError(
                f"order asks for image {order[bad[0]]} at place {first_offenders(bad)}: expected 0 to "
                f"{len(self.images) - 1}, the numbers of the {len(self.images)} images."
            )
        _require_time_for("frame_ms", self, n_pictures=len(order))

    def pictures(self):
        """Return the images, (n_images, 80, 120) float32."""
        return np.asarray(self.images, dtype=np.float32)

    def scenes(self):
        """The images in their order from the onset on, then gray."""
        n_shown = len(self.order)
        first_frame = round(self.onset / FRAME) + round(self.frame_ms / FRAME) * np.arange(n_shown + 1)
        return first_frame, np.append(self.order, _GRAY)


def _shown_once(onset, presentation):
    return np.rint(np.array([onset, onset + presentation]) / FRAME).astype(int), np.array([0, _GRAY])


def _require_time_for(name, movie, n_pictures):
    """Refuse onsets and lengths of presentation that are no whole frames or do not fit in the duration."""
    length = getattr(movie, name)
    require_whole_frames("onset", movie.onset, smallest=0)
    require_whole_frames(name, length, smallest=1)
    needed = movie.onset + n_pictures * length
    if needed > movie.duration:
        what = f"{n_pictures} pictures of {length:g} ms" if n_pictures > 1 else f"{name} {length:g} ms"
        raise InputError(
            f"{what} after an onset of {movie.onset:g} ms: expected an end within the duration {movie.duration:g} ms. "
            f"Choose a duration of {needed:g} ms or more."
        )
