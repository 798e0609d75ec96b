"""What all movies share: 80 x 120 pixels of one degree, 1,000 frames a second, luminance -1 to 1 around gray 0."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import InputError, first_offenders

N_ROWS, N_COLUMNS = 80, 120
FRAME = 1.0  # ms


def parameter(default, text):
    """Make the field of a stimulus with its default and what it means, unit included."""
    return dataclasses.field(default=default, metadata={"help": text})


def pixel_centres():
    """Azimuth of the columns, (120,) array [deg], and elevation of the rows, (80,) array [deg], upwards."""
    return np.arange(N_COLUMNS) + 0.5, np.arange(N_ROWS) + 0.5


class Movie:
    """What all stimuli share. Frames are made when asked for, so that long movies need no memory.

    Pixel (row, column) is centred at azimuth column + 0.5 deg and elevation row + 0.5 deg; row 0 is the lowest,
    elevation runs upwards.

    Attributes
    ----------
    duration : float [ms]
        A whole number of frames.
    """

    duration: float

    def __post_init__(self):
        require_whole_frames("duration", self.duration, smallest=1)

    @property
    def n_frames(self):
        """Number of frames, one per millisecond."""
        return round(self.duration / FRAME)

    def luminance(self, time, x, y):
        """Luminance of the movie.

        Parameters
        ----------
        time : (n, 1, 1) array [ms]
            From the start of the movie.
        x : (120,) array [deg]
            Azimuth.
        y : (80, 1) array [deg]
            Elevation, upwards.

        Returns
        -------
        (n, 80, 120) array, or one that broadcasts to it
        """
        raise NotImplementedError

    def frames(self, start, stop):
        """Draw some frames.

        Parameters
        ----------
        start, stop : int
            First frame, and the one after the last.

        Returns
        -------
        (stop - start, 80, 120) float32 array
        """
        time = FRAME * np.arange(start, stop)[:, None, None]
        x, y = pixel_centres()
        shape = (stop - start, N_ROWS, N_COLUMNS)
        return np.broadcast_to(self.luminance(time, x, y[:, None]), shape).astype(np.float32)

    def chunks(self, n_frames) -> Iterator[np.ndarray]:
        """Draw all frames, at most ``n_frames`` at a time, as (n, 80, 120) float32 arrays."""
        for start in range(0, self.n_frames, n_frames):
            yield self.frames(start, min(start + n_frames, self.n_frames))


@dataclass(frozen=True)
class Gray(Movie):
    """A gray screen."""

    duration: float

    def luminance(self, time, x, y):
        """Zero everywhere."""
        return np.zeros_like(time)


@dataclass(frozen=True, eq=False)
class RecordedMovie(Movie):
    """A movie of the user's own.

    Attributes
    ----------
    recording : (n_frames, 80, 120) array
        Luminance -1 to 1, gray 0, one frame per millisecond, one degree per pixel. Row 0 is the lowest elevation: flip
        images that count rows from the top.

    Raises
    ------
    InputError
        Another shape, or values that are not finite or outside -1 to 1.
    """

    recording: np.ndarray

    def __post_init__(self):
        require_pictures("movie", "frames", self.recording)

    @property
    def duration(self):
        """Length of the recording [ms]."""
        return FRAME * len(self.recording)

    def frames(self, start, stop):
        """Cut frames out of the recording, (stop - start, 80, 120) float32."""
        return np.asarray(self.recording[start:stop], dtype=np.float32)


def require_whole_frames(name, time, smallest):
    """Refuse a time that is no whole number of frames.

    Parameters
    ----------
    name : str
        What the time is.
    time : float [ms]
    smallest : int
        How many frames it has at least.

    Raises
    ------
    InputError
    """
    if not np.isfinite(time) or time != round(time / FRAME) * FRAME or time < smallest * FRAME:
        raise InputError(
            f"{name} {time} ms: expected a whole number of frames of {FRAME:g} ms, at least {smallest}. Round it."
        )


def require_pictures(name, kind, pictures):
    """Refuse what is no stack of pictures for the LGN.

    Parameters
    ----------
    name, kind : str
        What the stack is, and what each of its pictures is: ``"movie"``, ``"frames"``.
    pictures : (n, 80, 120) array
        Luminance -1 to 1.

    Raises
    ------
    InputError
        Another shape, no picture, or values that are not finite or outside -1 to 1.
    """
    shape = np.shape(pictures)
    if len(shape) != 3 or shape[0] == 0 or shape[1:] != (N_ROWS, N_COLUMNS):
        raise InputError(
            f"{name} of shape {shape}: expected ({kind}, {N_ROWS}, {N_COLUMNS}), one degree per pixel and for movies "
            "one frame per ms. Resample it."
        )
    bad = [number for number, picture in enumerate(pictures) if not np.abs(picture).max() <= 1]  # NaN is bad too
    if bad:
        raise InputError(
            f"{name}: luminance outside -1 to 1, or not finite, in {kind} {first_offenders(bad)}. Rescale it so that "
            "gray is 0."
        )
