"""Tuning of every neuron to the direction of gratings: rates, selectivity, preferred direction and its significance."""

from dataclasses import dataclass

import numpy as np
import scipy.stats

from twincortex.models.neuropixels import MIN_PREFERRED_RATE_HZ
from twincortex.models.observables import orientation_selectivity, preferred_direction

SIGNIFICANT = 0.05
_BLOCK = 20_000  # neurons


@dataclass(frozen=True)
class Tuning:
    """What is measured of every neuron; the quantities are those of the recordings.

    Attributes
    ----------
    direction : (D,) array [deg]
    curve : (N, D) array [Hz]
        Mean rate over trials, per direction.
    evoked_rate_Hz : (N,) array
        Mean over directions and trials.
    spontaneous_rate_Hz : (N,) array
        During gray.
    preferred_direction_rate_Hz : (N,) array
        The largest of the curve.
    OSI, DSI : (N,) arrays
        NaN below 0.5 Hz at the preferred direction, as in the recordings.
    preferred_direction : (N,) array [deg]
        As of `observables.preferred_direction`; NaN for silent cells.
    orientation_p : (N,) array
        Of `orientation_significance`.
    """

    direction: np.ndarray
    curve: np.ndarray
    evoked_rate_Hz: np.ndarray
    spontaneous_rate_Hz: np.ndarray
    preferred_direction_rate_Hz: np.ndarray
    OSI: np.ndarray
    DSI: np.ndarray
    preferred_direction: np.ndarray
    orientation_p: np.ndarray

    @property
    def is_tuned(self):
        """Cells that have an OSI, and an orientation that differs from none (p < 0.05), (N,) bool."""
        return ~np.isnan(self.OSI) & (self.orientation_p < SIGNIFICANT)


def measure_tuning(rates, spontaneous_rate, direction, min_preferred_rate_Hz=MIN_PREFERRED_RATE_HZ):
    """Measure every neuron.

    Parameters
    ----------
    rates : (N, D, K) array [Hz]
        Per neuron, direction and trial.
    spontaneous_rate : (N,) array [Hz]
    direction : (D,) array [deg]
        Evenly spaced over the circle.
    min_preferred_rate_Hz : float [Hz]
        Cells with less at their best direction have no OSI and DSI.

    Returns
    -------
    Tuning
    """
    curve = rates.mean(axis=2)
    preferred_rate = curve.max(axis=1)
    osi, dsi = orientation_selectivity(curve, direction)
    responds = preferred_rate >= min_preferred_rate_Hz
    return Tuning(
        direction=direction,
        curve=curve,
        evoked_rate_Hz=curve.mean(axis=1),
        spontaneous_rate_Hz=spontaneous_rate,
        preferred_direction_rate_Hz=preferred_rate,
        OSI=np.where(responds, osi, np.nan),
        DSI=np.where(responds, dsi, np.nan),
        preferred_direction=preferred_direction(curve, direction),
        orientation_p=orientation_significance(rates, direction),
    )


def orientation_significance(rates, direction):
    """Test whether the orientation vectors of single trials differ from zero (Hotelling's T-squared).

    Parameters
    ----------
    rates : (N, D, K) array [Hz]
        Trial k of all directions makes one vector, sum r exp(2 i direction).
    direction : (D,) array [deg]

    Returns
    -------
    (N,) array
        p value; NaN with fewer than three trials, and where the vectors of all trials lie on a line, as those of nearly
        silent cells do.

    Source
    ------
    Mazurek, Kager and Van Hooser (2014), for n trials ``F = (n - 2) T2 / (2 (n - 1))`` with 2 and n - 2 degrees of
    freedom. V1_GLIF_model tests against the mean of the two components instead of zero.
    """
    n_neurons, _, n_trials = rates.shape
    p = np.full(n_neurons, np.nan)
    if n_trials < 3:
        return p
    harmonic = np.exp(2j * np.deg2rad(direction))
    for start in range(0, n_neurons, _BLOCK):
        vector = np.einsum("ndk,d->nk", rates[start : start + _BLOCK], harmonic)
        p[start : start + _BLOCK] = _hotelling_p(vector.real, vector.imag)
    return p


def _hotelling_p(x, y):
    """p of two-dimensional samples, rows of (N, n) arrays, against a mean of zero."""
    n = x.shape[1]
    mean_x, mean_y = x.mean(axis=1), y.mean(axis=1)
    var_x, var_y = x.var(axis=1, ddof=1), y.var(axis=1, ddof=1)
    covariance = ((x - mean_x[:, None]) * (y - mean_y[:, None])).sum(axis=1) / (n - 1)
    determinant = var_x * var_y - covariance**2
    is_regular = determinant > 1e-12 * np.maximum(var_x, var_y) ** 2
    quadratic = var_y * mean_x**2 - 2 * covariance * mean_x * mean_y + var_x * mean_y**2
    with np.errstate(invalid="ignore", divide="ignore"):
        t2 = n * quadratic / determinant
    p = scipy.stats.f.sf((n - 2) * t2 / (2 * (n - 1)), 2, n - 2)
    return np.where(is_regular, p, np.nan)


def circular_distance(a, b, period=360.0):
    """Distance of angles on a circle, 0 to half the period.

    Parameters
    ----------
    a, b : arrays [deg]
    period : float [deg]
        360 for directions, 180 for orientations.

    Returns
    -------
    array [deg]
    """
    return np.abs((np.asarray(a) - b + period / 2) % period - period / 2)
