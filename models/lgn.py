"""Movie to LGN firing rates to LGN spikes (FilterNet): filter in space, filter in time, rectify, draw spikes."""

import numpy as np
import scipy.fft
import scipy.sparse
import scipy.special
from numba import njit

from twincortex.models.errors import InputError, first_offenders
from twincortex.models.lgn_filters import build_subunits
from twincortex.models.lgn_static import see_pictures, still_drives
from twincortex.models.randomness import philox, splitmix64, stream_key
from twincortex.models.spikes import SpikeTrains
from twincortex.models.stimuli import FRAME, N_COLUMNS, N_ROWS, DriftingGrating, Gray, StillPictures, pixel_centres

_FFT_LENGTH = 2048  # frames filtered at once, of which the length of the temporal kernel is overlap
_FFT_BLOCK = 1024  # subunits filtered at once
_GAUSSIAN_REACH = 4.0  # a spatial kernel is cut at this many sigma
_SPIKE_BLOCK = 16  # frames whose spikes are drawn at once: their numbers stay in the cache of a processor
_TICKS = 1000  # spike times lie on NEST's grid of 1 us
_ROUNDING = 1 + 1e-9  # a bound stays one, however it is rounded


class LgnModel:
    """Response model of the LGN units: keeps the filters, and for gratings their response, from movie to movie.

    Parameters
    ----------
    units : pandas.DataFrame
        As made by ``column.lgn_units.build_lgn_units``.

    Source
    ------
    BMTK FilterNet, ``rate = max(0, amplitude (kernel_t * (kernel_s . movie)) + spontaneous)`` for each subunit.
    """

    def __init__(self, units):
        self.n_units = len(units)
        self.subunits = build_subunits(units)
        self._second = self.subunits.unit[self.n_units :]
        self._along_x = _pixel_weights(self.subunits.x, self.subunits.sigma, N_COLUMNS)
        self._along_y = _pixel_weights(self.subunits.y, self.subunits.sigma, N_ROWS)
        self._pixel_kernel = None
        self._complex_weights, self._grating_response = None, (None, None, None)

    def rates(self, movie):
        """Firing rate of every unit.

        Parameters
        ----------
        movie : Movie
            Gray, gratings and still pictures take the closed form, all others go through the pixels.

        Returns
        -------
        (n_frames, n_units) float32 array [Hz]
        """
        if isinstance(movie, DriftingGrating):
            return self.grating_rates(movie)
        if isinstance(movie, Gray):
            return np.tile(self._rectify(self.subunits.spontaneous.astype(np.float32)), (movie.n_frames, 1))
        if isinstance(movie, StillPictures):
            return self.still_rates(movie)
        return self.pixel_rates(movie)

    def grating_rates(self, grating):
        """Firing rates for a drifting grating in closed form; the same as from its pixels, onset and edges included.

        Parameters
        ----------
        grating : DriftingGrating

        Returns
        -------
        (n_frames, n_units) float32 array [Hz]
            t ms after the onset a subunit with temporal kernel K has the rate ``[A c Im(G exp(-i w t) C(t)) +
            spontaneous]+`` with ``C(t) = sum_{k<=t} K[k] exp(i w k)`` and G the spatial kernel's sum over the phasors
            of the pixels, which is separable: ``exp(i phi - 2 pi^2 sigma^2 f^2)`` for phase phi, away from the edges.
        """
        real, imaginary = self._cumulative_response(grating.angular_frequency)
        if self._complex_weights is None:  # else each product would convert them
            self._complex_weights = self._along_x.astype(complex), self._along_y.astype(complex)
        along_x, along_y = self._complex_weights
        x, y = pixel_centres()
        phasor = along_x @ np.exp(1j * (grating.spatial_phase(x, 0.0) - grating.spatial_phase(0.0, 0.0)))
        phasor *= along_y @ np.exp(1j * grating.spatial_phase(0.0, y))
        phasor *= self.subunits.amplitude * grating.contrast
        onset = round(grating.onset / FRAME)
        turn = np.exp(-1j * grating.angular_frequency * FRAME * np.arange(grating.n_frames - onset))
        spontaneous = self.subunits.spontaneous.astype(np.float32)
        rates = np.empty((grating.n_frames, self.n_units), dtype=np.float32)
        rates[:onset] = self._rectify(spontaneous)
        place = tuple(part.astype(np.float32) for part in (phasor.real, phasor.imag))
        turn = tuple(part.astype(np.float32) for part in (turn.real, turn.imag))
        _fill_grating_rates(rates[onset:], turn, place, (real, imaginary), spontaneous, self._second)
        return rates

    def _cumulative_response(self, angular_frequency):
        """Real and imaginary part of C(t), two (n_taps, S) float32 arrays; the last frequency is kept."""
        kept = self._grating_response
        if kept[0] != angular_frequency:
            kernel = self.subunits.kernel
            turn = np.exp(1j * angular_frequency * FRAME * np.arange(len(kernel)))[:, None]
            parts = [np.empty_like(kernel), np.empty_like(kernel)]
            for part, factor in zip(parts, (turn.real, turn.imag), strict=True):
                np.multiply(kernel, factor.astype(np.float32), out=part)
                np.cumsum(part, axis=0, out=part)
            self._grating_response = kept = (angular_frequency, *parts)
        return kept[1:]

    def still_rates(self, movie):
        """Firing rates for pictures that stand still in closed form; the same as from the pixels of every frame.

        Parameters
        ----------
        movie : StillPictures

        Returns
        -------
        (n_frames, n_units) float32 array [Hz]
        """
        step_response, _ = self._cumulative_response(0.0)
        seen = see_pictures(movie.pictures(), self._along_x, self._along_y)
        seen *= self.subunits.amplitude.astype(np.float32)
        spontaneous = self.subunits.spontaneous.astype(np.float32)
        rates = np.empty((movie.n_frames, self.n_units), dtype=np.float32)
        for frame, drive in enumerate(still_drives(movie, seen, step_response)):
            rates[frame] = self._rectify(drive + spontaneous)
        return rates

    def pixel_rates(self, movie):
        """Firing rates for any movie, from its pixels.

        Parameters
        ----------
        movie : Movie
            Gray before its first frame.

        Returns
        -------
        (n_frames, n_units) float32 array [Hz]
        """
        if self._pixel_kernel is None:
            self._pixel_kernel = _pixel_kernel(self._along_x, self._along_y)
        kernel = self.subunits.kernel
        n_past = len(kernel) - 1
        past = np.zeros((len(self.subunits.unit), n_past), dtype=np.float32)
        rates = np.empty((movie.n_frames, self.n_units), dtype=np.float32)
        start = 0
        for frames in movie.chunks(_FFT_LENGTH - n_past):
            seen = self._pixel_kernel @ np.ascontiguousarray(frames.reshape(len(frames), -1).T)
            seen = np.hstack([past, seen])
            drive = _convolve(seen, kernel)[:, n_past:] * self.subunits.amplitude.astype(np.float32)[:, None]
            drive += self.subunits.spontaneous.astype(np.float32)[:, None]
            rates[start : start + len(frames)] = self._rectify(drive.T)
            past = seen[:, len(frames) :]
            start += len(frames)
        return rates

    def _rectify(self, drive):
        """Rectify each subunit and add up those of a unit, (..., S) to (..., n_units)."""
        rectified = np.maximum(drive, 0)
        rates = rectified[..., : self.n_units]
        rates[..., self._second] += rectified[..., self.n_units :]
        return rates


def _convolve(seen, kernel):
    """Circular convolution of each row with its own kernel; right where the kernel does not reach over the start."""
    filtered = np.empty_like(seen)
    for start in range(0, len(seen), _FFT_BLOCK):
        block = slice(start, start + _FFT_BLOCK)
        spectrum = scipy.fft.rfft(seen[block], _FFT_LENGTH)
        spectrum *= scipy.fft.rfft(np.ascontiguousarray(kernel[:, block].T), _FFT_LENGTH)
        filtered[block] = scipy.fft.irfft(spectrum, _FFT_LENGTH)[:, : seen.shape[1]]
    return filtered


def _pixel_weights(centre, sigma, n_pixels):
    """Gaussians sampled at the pixel centres, cut at 4 sigma and at the edges, each with sum 1, (S, n_pixels)."""
    distance = np.abs(np.arange(n_pixels) + 0.5 - centre[:, None]) / sigma[:, None]
    weight = np.where(distance <= _GAUSSIAN_REACH, np.exp(-0.5 * distance**2), 0.0)
    blind = np.flatnonzero(~weight.any(axis=1))
    if len(blind):
        raise InputError(
            f"LGN subunits {first_offenders(blind)} see no pixel of the {N_COLUMNS} x {N_ROWS} deg field; expected "
            "positions inside it. Move them."
        )
    return weight / weight.sum(axis=1, keepdims=True)


def _pixel_kernel(along_x, along_y):
    """Outer product of the two weights of each subunit, as a sparse (S, 9600) matrix."""
    x, y = scipy.sparse.csr_array(along_x.astype(np.float32)), scipy.sparse.csr_array(along_y.astype(np.float32))
    width, height = np.diff(x.indptr), np.diff(y.indptr)
    indptr = np.concatenate([[0], np.cumsum(width * height)])
    subunit = np.repeat(np.arange(len(width)), width * height)
    row, column = np.divmod(np.arange(indptr[-1]) - indptr[subunit], width[subunit])
    row, column = row + y.indptr[subunit], column + x.indptr[subunit]
    pixel = y.indices[row] * N_COLUMNS + x.indices[column]
    return scipy.sparse.csr_array((y.data[row] * x.data[column], pixel, indptr), shape=(len(width), N_ROWS * N_COLUMNS))


def lgn_rates(units, movie):
    """Firing rates of LGN units that see a movie; make an LgnModel where several movies follow each other.

    Parameters
    ----------
    units : pandas.DataFrame
    movie : Movie

    Returns
    -------
    (n_frames, n_units) float32 array [Hz]
    """
    return LgnModel(units).rates(movie)


def lgn_spikes(rates, *, seed, trial=0):
    """Draw spikes of an inhomogeneous Poisson process whose rate is constant within each frame of 1 ms.

    Parameters
    ----------
    rates : (n_frames, n_units) array [Hz]
    seed, trial : int
        The numbers that decide how often and when a unit fires in a frame depend on nothing but seed, trial, frame,
        unit and how many units there are: a longer movie begins with the same spikes, and a unit whose rate did not
        change keeps its own.

    Returns
    -------
    SpikeTrains
        Population ``"lgn"``. Frame k holds stamps in (k, k + 1] ms, uniform on NEST's grid of 1 us, so that the same
        file serves every dt; a unit may spike several times in one frame.

    Raises
    ------
    InputError
        A rate is negative or not finite.

    Source
    ------
    BMTK splits each frame into Bernoulli sub-bins instead, which loses a few spikes at high rates.
    """
    if rates.size and not (rates.min() >= 0 and np.isfinite(rates.max())):
        raise InputError("LGN rates are negative or not finite; expected Hz >= 0. Check the movie and the LGN units.")
    timing, n_units = stream_key(seed, f"lgn_spike_times {trial}"), rates.shape[1]
    place, count = _poisson_counts(*_find_candidates(rates, philox(seed, "lgn_spikes", trial)))
    frame, unit = np.divmod(np.repeat(place, count), n_units)
    earlier = np.arange(len(frame)) - np.repeat(np.cumsum(count) - count, count)
    bits = splitmix64(splitmix64(splitmix64(timing, frame), unit), earlier)
    tick = _TICKS * frame + 1 + (bits % np.uint64(_TICKS)).astype(np.int64)
    # Sorted as whole numbers, which is faster than by two keys.
    tick, unit = np.divmod(np.sort(tick * n_units + unit), n_units)
    return SpikeTrains("lgn", n_units, tick / _TICKS * FRAME, unit)


def _find_candidates(rates, random):
    """Draw a uniform number for each unit and frame; return place, number and expected count where it is less."""
    rates = np.ascontiguousarray(rates, dtype=np.float32 if rates.dtype == np.float32 else np.float64)
    scale, n_units = rates.dtype.type(1e-3 * FRAME), rates.shape[1]
    block, places, drawn = np.empty((_SPIKE_BLOCK, n_units)), [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for start in range(0, len(rates), _SPIKE_BLOCK):
        uniform = random.random(out=block[: len(rates) - start])
        place = _places_below(uniform, rates[start : start + _SPIKE_BLOCK], scale)
        places.append(start * n_units + place)
        drawn.append(uniform.ravel()[place])
    place = np.concatenate(places)
    return place, np.concatenate(drawn), (rates.ravel()[place] * scale).astype(np.float64)


def _poisson_counts(place, uniform, expected):
    """Invert the Poisson distribution, P(count > n) = gammainc(n + 1, expected); return places and counts above 0."""
    count = np.zeros(len(place), dtype=np.int64)
    open_, n, bound = np.arange(len(place)), 0, expected * _ROUNDING
    while len(open_):
        open_ = open_[uniform[open_] < scipy.special.gammainc(n + 1.0, expected[open_])]
        n += 1
        count[open_] = n
        # P(count > n) < expected^(n + 1) / (n + 1)!, which is cheaper.
        bound = bound * expected / (n + 1)
        open_ = open_[uniform[open_] < bound[open_]]
    return place[count > 0], count[count > 0]


@njit(cache=True, nogil=True)
def _places_below(uniform, rates, scale):
    """Find where a uniform number is below the rate times scale, both (n_frames, n_units): (n,) flat int64 indices."""
    uniform, rates = uniform.ravel(), rates.ravel()
    places, n = np.empty(len(uniform), np.int64), 0
    for i in range(len(uniform)):
        if uniform[i] < rates[i] * scale:
            places[n] = i
            n += 1
    return places[:n].copy()


@njit(cache=True, nogil=True)
def _fill_grating_rates(rates, turn, place, response, spontaneous, second):
    """Rates of all units in all frames since the onset.

    Parameters
    ----------
    rates : (n_frames, n_units) float32 array [Hz]
        Filled.
    turn : two (n_frames,) float32 arrays
        Real and imaginary part of exp(-i w t).
    place : two (S,) float32 arrays
        Of A c G.
    response : two (n_taps, S) float32 arrays
        Of C(t).
    spontaneous : (S,) float32 array [Hz]
    second : (S - n_units,) int array
        Units of the subunits beyond the first of each.
    """
    (c, s), (cosine, sine), n_units = turn, place, rates.shape[1]
    for step in range(len(rates)):
        tap = min(step, len(response[0]) - 1)
        real, imaginary, frame, turned = response[0][tap], response[1][tap], rates[step], (c[step], s[step])
        for unit in range(n_units):
            frame[unit] = _rate(unit, turned, (cosine, sine), (real, imaginary), spontaneous)
        for number in range(len(second)):
            frame[second[number]] += _rate(n_units + number, turned, (cosine, sine), (real, imaginary), spontaneous)


@njit
def _rate(subunit, turn, place, response, spontaneous):
    (c, s), cosine, sine = turn, place[0][subunit], place[1][subunit]
    drive = response[0][subunit] * (sine * c + cosine * s) + response[1][subunit] * (cosine * c - sine * s)
    drive += spontaneous[subunit]
    return np.float32(0) if drive < 0 else drive  # what is no number stays so
