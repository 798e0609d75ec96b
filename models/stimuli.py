"""Movies that the LGN sees: 80 x 120 pixels of one degree, 1,000 frames a second, luminance -1 to 1 around gray 0.

A new stimulus is one dataclass with one method, ``luminance``, and one row in ``STIMULI``. Its parameters are fields
made by ``_parameter``, from which ``stimulus_options`` lists them for the command line.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import InputError, first_offenders, near_name_hint

N_ROWS, N_COLUMNS = 80, 120
FRAME = 1.0  # ms


def _parameter(default, text):
    """Field of a stimulus with its default and what it means, unit included."""
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
        _require_whole_frames("duration", self.duration, smallest=1)

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
    direction: float = _parameter(0.0, "drift of the grating [deg]: 0 right, 90 up")
    spatial_frequency: float = _parameter(0.04, "of the grating [cycles/deg]")
    temporal_frequency: float = _parameter(2.0, "of the grating [Hz]")
    contrast: float = _parameter(0.8, "of the grating [0 to 1]")
    phase: float = _parameter(0.0, "of the grating [deg]")
    onset: float = _parameter(0.0, "gray before the grating [ms]")

    def __post_init__(self):
        super().__post_init__()
        _require_whole_frames("onset", self.onset, smallest=0)
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
        shape = np.shape(self.recording)
        if len(shape) != 3 or shape[0] == 0 or shape[1:] != (N_ROWS, N_COLUMNS):
            raise InputError(
                f"movie of shape {shape}: expected (frames, {N_ROWS}, {N_COLUMNS}), one frame per ms and one degree "
                "per pixel. Resample it."
            )
        bad = [number for number, frame in enumerate(self.recording) if not np.abs(frame).max() <= 1]  # NaN is bad too
        if bad:
            raise InputError(
                f"movie: luminance outside -1 to 1, or not finite, in frames {first_offenders(bad)}. Rescale it so "
                "that gray is 0."
            )

    @property
    def duration(self):
        """Length of the recording [ms]."""
        return FRAME * len(self.recording)

    def frames(self, start, stop):
        """Cut frames out of the recording, (stop - start, 80, 120) float32."""
        return np.asarray(self.recording[start:stop], dtype=np.float32)


STIMULI = {"gray": Gray, "grating": DriftingGrating}


def make_stimulus(name, duration, **parameters):
    """Make a stimulus of the table by its name.

    Parameters
    ----------
    name : str
        ``"gray"`` or ``"grating"``.
    duration : float [ms]
    **parameters
        The other attributes of the stimulus, for example ``direction=45.0``.

    Returns
    -------
    Movie

    Raises
    ------
    InputError
        Unknown stimulus or parameter, or a value it cannot have.
    """
    if name not in STIMULI:
        raise InputError(f"stimulus {name!r} does not exist; {near_name_hint(name, STIMULI)}.")
    known = {field.name for field in _parameters(STIMULI[name])}
    for parameter in parameters:
        if parameter not in known:
            hint = near_name_hint(parameter, known) if known else "it has no parameters but its duration"
            raise InputError(f"stimulus {name!r} has no parameter {parameter!r}; {hint}.")
    return STIMULI[name](duration=duration, **parameters)


def stimulus_options():
    """Parameters of all stimuli of the table, for the command line.

    Returns
    -------
    dict of str -> (float, str)
        Name of the parameter to its default and what it means, unit included. A name means the same in all stimuli.
    """
    fields = [field for stimulus in STIMULI.values() for field in _parameters(stimulus)]
    return {field.name: (field.default, field.metadata["help"]) for field in fields}


def _parameters(stimulus):
    return [field for field in dataclasses.fields(stimulus) if field.name != "duration"]


def _require_whole_frames(name, time, smallest):
    if not np.isfinite(time) or time != round(time / FRAME) * FRAME or time < smallest * FRAME:
        raise InputError(
            f"{name} {time} ms: expected a whole number of frames of {FRAME:g} ms, at least {smallest}. Round it."
        )
