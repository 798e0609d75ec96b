"""Spike counts of gratings on a grid of contrasts and directions, out of the table of an experiment."""

from dataclasses import dataclass, replace

import numpy as np

from twincortex.models.errors import InputError, first_offenders
from twincortex.models.neuropixels import MIN_PREFERRED_RATE_HZ
from twincortex.models.observables import orientation_selectivity, preferred_direction


@dataclass(frozen=True)
class GratingCounts:
    """Spike counts of N neurons for C contrasts, D directions and K trials.

    Attributes
    ----------
    contrast : (C,) array
        Rising, above 0.
    direction : (D,) array [deg]
        Rising.
    count : (N, C, D, K) int array
        Spikes in the window.
    blank_count : (N, B) array
        Spikes in windows of the same length without a stimulus; B may be 0.
    window_s : float [s]
    cell_type : (N,) str array
        Of the 19 names of the model.
    """

    contrast: np.ndarray
    direction: np.ndarray
    count: np.ndarray
    blank_count: np.ndarray
    window_s: float
    cell_type: np.ndarray

    @property
    def rate(self):
        """Mean over trials, (N, C, D) [Hz]."""
        return self.count.mean(axis=3) / self.window_s

    @property
    def blank_rate(self):
        """Mean over blanks, (N,) [Hz]; NaN without blanks."""
        n_blanks = self.blank_count.shape[1]
        return self.blank_count.sum(axis=1) / (n_blanks * self.window_s if n_blanks else np.nan)

    def of_neurons(self, chosen):
        """The responses of some neurons, by mask or index."""
        return replace(
            self,
            count=self.count[chosen],
            blank_count=self.blank_count[chosen],
            cell_type=self.cell_type[chosen],
        )


def grating_counts(dataset, window="grating", core_only=True):
    """Arrange the conditions of an experiment by contrast and direction.

    Parameters
    ----------
    dataset : xarray.Dataset
        ``spike_count`` (condition, trial, window, neuron) with the coordinates ``contrast`` and ``direction_deg`` of
        its conditions, ``window_ms`` and ``cell_type``, ``is_core`` of its neurons. Conditions of contrast 0 are
        blanks; what differs in other things (phase) counts as further trials.
    window : str
        Which of the windows.
    core_only : bool
        Leave out neurons far from the axis of the column.

    Returns
    -------
    GratingCounts

    Raises
    ------
    InputError
        No grating, or combinations of contrast and direction with fewer conditions than others.
    """
    neurons = np.asarray(dataset.is_core) if core_only else np.ones(dataset.sizes["neuron"], dtype=bool)
    counts = dataset.spike_count.sel(window=window).transpose("neuron", "condition", "trial").to_numpy()
    counts = counts[neurons].astype(np.int64)
    contrast_of, direction_of = np.asarray(dataset.contrast), np.asarray(dataset.direction_deg)
    is_blank = contrast_of == 0
    contrast, direction = np.unique(contrast_of[~is_blank]), np.unique(direction_of[~is_blank])
    if not len(contrast):
        raise InputError("the experiment holds no condition with a contrast above 0. Expected drifting gratings.")
    members = [[np.flatnonzero((contrast_of == c) & (direction_of == d)) for d in direction] for c in contrast]
    _refuse_gaps(members, contrast, direction)
    grid = counts[:, np.array(members)]  # neuron, contrast, direction, condition of the same grating, trial
    return GratingCounts(
        contrast=contrast,
        direction=direction,
        count=grid.reshape(*grid.shape[:3], -1),
        blank_count=counts[:, is_blank].reshape(len(counts), -1),
        window_s=float(dataset.window_ms.sel(window=window)) / 1000,
        cell_type=np.asarray(dataset.cell_type)[neurons].astype(str),
    )


def _refuse_gaps(members, contrast, direction):
    """Raise unless every contrast was shown in every direction equally often."""
    expected = max(len(one) for row in members for one in row)
    gaps = [
        f"contrast {c:g} direction {d:g}"
        for c, row in zip(contrast, members, strict=True)
        for d, one in zip(direction, row, strict=True)
        if len(one) != expected
    ]
    if gaps:
        raise InputError(
            f"{first_offenders(gaps)}: fewer than {expected} conditions. Expected every contrast in every direction; "
            "run the missing conditions (the experiment resumes)."
        )


def selectivity(rate, direction):
    """Orientation and direction selectivity of neurons that respond.

    Parameters
    ----------
    rate : (..., D) array [Hz]
        Trial means.
    direction : (D,) array [deg]

    Returns
    -------
    osi, dsi : (...) arrays
        NaN below 0.5 Hz at the best direction, as in the recordings.
    """
    responds = rate.max(axis=-1) >= MIN_PREFERRED_RATE_HZ
    return tuple(np.where(responds, value, np.nan) for value in orientation_selectivity(rate, direction))


def selectivity_of_noise(count):
    """OSI and DSI that a neuron without tuning would show with the noise that this neuron has from trial to trial.

    Few spikes make a neuron without any tuning look selective, and the more so the fewer they are.

    Parameters
    ----------
    count : (..., D, K) array
        Spikes per direction and trial.

    Returns
    -------
    (...) array
        Mean length of the response vector of noise, sqrt(pi / 4 sum s^2 / K) / sum m over directions, with mean m and
        variance s^2 of the trials of each: that of a vector whose parts are normal and equally large, as with eight
        directions and more. NaN with one trial, and for silent neurons.
    """
    n_trials = count.shape[-1]
    if n_trials < 2:
        return np.full(count.shape[:-2], np.nan)
    power = count.var(axis=-1, ddof=1).sum(axis=-1) / n_trials
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.pi / 4 * power) / count.mean(axis=-1).sum(axis=-1)


def aligned_tuning(rate, direction, reference=None):
    """Turn every neuron's tuning curve so that its preferred direction comes first.

    Parameters
    ----------
    rate : (N, ..., D) array [Hz]
    direction : (D,) array [deg]
        Evenly spaced over the circle.
    reference : (N, D) array [Hz], optional
        Tuning curves that say which direction is preferred; by default the mean of `rate` over its middle axes. Give
        the mean of all conditions that are to be compared: the noise of the one that chooses would favor it.

    Returns
    -------
    (N, ..., D) array [Hz]
        Directions count from the sampled one nearest to the preferred direction. Neurons without one (silent) stay.
    """
    n, n_directions = len(rate), len(direction)
    if reference is None:
        reference = rate.reshape(n, -1, n_directions).mean(axis=1)
    preferred = np.nan_to_num(preferred_direction(reference, direction), nan=direction[0])
    shift = np.rint((preferred - direction[0]) * n_directions / 360).astype(int)
    place = (shift[:, None] + np.arange(n_directions)) % n_directions
    return np.take_along_axis(rate, place.reshape(n, *[1] * (rate.ndim - 2), n_directions), axis=-1)
