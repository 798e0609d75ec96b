"""Filters of the LGN units: one Gaussian in space and two cosine bumps in log time per subunit (FilterNet).

Simple units have one subunit; composite units, sONsOFF and sONtOFF, have a dominant OFF and a displaced ON subunit.
"""

from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import InputError, first_offenders, near_name_hint
from twincortex.models.parameters import read_lgn_units

N_BUMP_TAPS = 600  # a bump lasts at most 600 ms beyond its delay
_BUMP_OFFSET = 0.3  # ms, keeps the logarithm of time finite
_BUMP_SPACING = np.log(200.0 + _BUMP_OFFSET) - np.log(100.0 + _BUMP_OFFSET)
_BLOCK = 2048  # units whose kernels are made at once in float64
_SIZE_TO_SIGMA = 1.0 / 3.0


@dataclass(frozen=True)
class CompositeResponse:
    """Measured response of a composite unit type, which fixes the latencies and amplitudes of its two subunits.

    Attributes
    ----------
    crossing_off, crossing_on : float [ms]
        Where the temporal kernel of each subunit changes its sign.
    max_off, max_on : float [Hz]
        Largest response to a black and to a white spot.
    off_scale : float
        Factor on the amplitude of the OFF subunit.
    """

    crossing_off: float
    crossing_on: float
    max_off: float
    max_on: float
    off_scale: float


# BMTK, filternet/default_setters/cell_loaders.py
COMPOSITE_RESPONSES = {
    "sONsOFF_001": CompositeResponse(crossing_off=115.0, crossing_on=121.0, max_off=35.0, max_on=21.0, off_scale=1.0),
    "sONtOFF_001": CompositeResponse(crossing_off=64.8, crossing_on=93.5, max_off=46.0, max_on=31.0, off_scale=0.7),
}


@dataclass(frozen=True)
class Subunits:
    """Linear filters, each followed by its own threshold; a unit fires at the summed rate of its subunits.

    Attributes
    ----------
    unit : (S,) int array
        LGN unit of each subunit. The first n_units are the only or dominant subunits, in order; the others follow.
    x, y : (S,) arrays [deg]
    sigma : (S,) array [deg]
        Of the Gaussian in space.
    amplitude : (S,) array
        Signed factor on the filtered movie.
    spontaneous : (S,) array [Hz]
    kernel : (n_taps, S) float32 array [Hz]
        Tap k weighs the frame k ms back.
    """

    unit: np.ndarray
    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    amplitude: np.ndarray
    spontaneous: np.ndarray
    kernel: np.ndarray


def temporal_kernels(weights, peaks, delays):
    """Sum two raised-cosine bumps in log time for each filter.

    Parameters
    ----------
    weights : (2, n) array
    peaks : (2, n) array [ms]
        Where each bump is largest, without its delay.
    delays : (2, n) array [ms]
        Truncated to whole milliseconds.

    Returns
    -------
    (n_taps, n) float32 array
        ``sum_j w_j b_j(k + 1 - delay_j)`` for tap k, with ``b_j(t) = (1 + cos(pi (ln(t + 0.3) - ln peak_j) / (2 d))) /
        2`` within two spacings d = ln(200.3 / 100.3) of its peak, scaled to unit Euclidean norm, for t = 1 to 600 ms.
        Taps after the last that any filter uses are left out.

    Source
    ------
    BMTK, filternet/lgnmodel/fitfuns.py and temporalfilter.py; the bumps are those of Pillow et al. (2008).
    """
    delays = np.trunc(delays)
    n_taps = N_BUMP_TAPS + int(delays[0].max())
    kernel = np.empty((n_taps, np.shape(weights)[1]), dtype=np.float32)
    for start in range(0, kernel.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        bumps = [_cosine_bump(n_taps, peaks[j, block], delays[j, block], delays[0, block]) for j in range(2)]
        kernel[:, block] = weights[0, block] * bumps[0] + weights[1, block] * bumps[1]
    is_used = kernel.any(axis=1)
    return kernel[: n_taps - int(np.argmax(is_used[::-1]))]


def _cosine_bump(n_taps, peak, delay, first_delay):
    tap = np.arange(n_taps)[:, None]
    time = tap + 1.0 - delay
    is_inside = (time >= 1.0) & (tap < N_BUMP_TAPS + first_delay)
    log_distance = np.log(np.maximum(time, 1.0) + _BUMP_OFFSET) - np.log(peak)
    bump = 0.5 + 0.5 * np.cos(np.clip(log_distance * np.pi / (2.0 * _BUMP_SPACING), -np.pi, np.pi))
    bump *= is_inside
    return bump / np.sqrt(np.sum(bump**2, axis=0))


def zero_crossings(kernel):
    """First tap below zero between the largest and the smallest tap of each kernel.

    Parameters
    ----------
    kernel : (n_taps, n) array

    Returns
    -------
    (n,) int array [ms]

    Raises
    ------
    InputError
        A kernel does not fall from its maximum through zero.
    """
    tap = np.arange(len(kernel))[:, None]
    is_after = (tap > kernel.argmax(axis=0)) & (tap <= kernel.argmin(axis=0)) & (kernel < 0)
    bad = np.flatnonzero(~is_after.any(axis=0))
    if len(bad):
        raise InputError(
            f"temporal kernels {first_offenders(bad)} do not fall from their maximum through zero, which composite LGN "
            "units need. Give them w0 > 0 > w1 and kpeak0 < kpeak1."
        )
    return is_after.argmax(axis=0)


def build_subunits(units):
    """Make the filters of all LGN units.

    Parameters
    ----------
    units : pandas.DataFrame
        As made by ``column.lgn_units.build_lgn_units``.

    Returns
    -------
    Subunits

    Raises
    ------
    InputError
        A unit type that is not in ``lgn_units.csv``.
    """
    types, model = read_lgn_units(), units.model.to_numpy(dtype=str)
    for name in np.unique(model):
        if name not in types.index:
            raise InputError(f"LGN unit type {name!r} is not in lgn_units.csv; {near_name_hint(name, types.index)}.")
    composite = np.flatnonzero(np.isin(model, list(COMPOSITE_RESPONSES)))
    unit = np.concatenate([np.arange(len(units)), composite])
    dominant, other = _filter_parameters(units, ""), _filter_parameters(units.iloc[composite], "_non_dom")
    weights, peaks, delays = np.concatenate([dominant, other], axis=2)
    amplitude = np.where(np.char.find(model, "ON") >= 0, 1.0, -1.0)[unit]
    spontaneous = types.spontaneous_Hz.reindex(model).to_numpy()
    for name, response in COMPOSITE_RESPONSES.items():
        off = np.flatnonzero(model == name)
        on = len(units) + np.searchsorted(composite, off)
        sums = []
        for chosen, crossing in ((on, response.crossing_on), (off, response.crossing_off)):
            delay, before = _delay_to_crossing(crossing, weights[:, chosen], peaks[:, chosen], delays[:, chosen])
            delays[:, chosen] = delay
            sums.append(before)
        amplitude[off] = _off_amplitude(response, *sums, spontaneous[off])
    angle = np.deg2rad(units.tuning_angle.to_numpy()[composite])
    shift = np.zeros((2, len(unit)))
    shift[:, len(units) :] = units.separation.to_numpy()[composite] * np.stack([np.cos(angle), np.sin(angle)])
    return Subunits(
        unit=unit,
        x=units.x.to_numpy()[unit] + shift[0],
        y=units.y.to_numpy()[unit] + shift[1],
        sigma=units.spatial_size.to_numpy()[unit] * _SIZE_TO_SIGMA,
        amplitude=amplitude,
        spontaneous=(spontaneous / np.bincount(unit))[unit],
        kernel=temporal_kernels(weights, peaks, delays),
    )


def _filter_parameters(units, ending):
    """Weights, peaks and delays as one (3, 2, n) array."""
    names = [[f"{name}{j}{ending}" for j in range(2)] for name in ("w", "kpeak", "delay")]
    return np.stack([units[pair].to_numpy().T for pair in names])


def _delay_to_crossing(crossing, weights, peaks, delays):
    """Delays that bring the sign change of each kernel to the measured latency, and its sum up to there."""
    if not weights.size:
        return delays, np.empty(0)
    kernel = temporal_kernels(weights, peaks, delays)
    crossed = zero_crossings(kernel)
    late = np.flatnonzero(crossed > crossing)
    if len(late):
        raise InputError(
            f"temporal kernels {first_offenders(late)} change sign later than {crossing} ms, so that no delay brings "
            "them to the measured latency. Use faster kernels."
        )
    sum_before = np.where(np.arange(len(kernel))[:, None] < crossed, kernel, 0.0).sum(axis=0, dtype=np.float64)
    return delays + (crossing - crossed), sum_before


def _off_amplitude(response, on_sum, off_sum, spontaneous):
    """Amplitude of the OFF subunit that gives the measured ratio of responses when the ON subunit has amplitude 1."""
    balance = -response.off_scale * response.max_off / response.max_on * on_sum / off_sum
    return balance - spontaneous * (response.max_off - response.max_on) / (response.max_on * off_sum)
