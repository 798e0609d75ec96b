"""Movie to LGN firing rates to LGN spikes (FilterNet): filter in space, filter in time, rectify, draw spikes."""

import numpy as np
import scipy.fft
import scipy.sparse
import scipy.special

from twincortex.models.errors import InputError, first_offenders
from twincortex.models.lgn_filters import build_subunits
from twincortex.models.randomness import philox, splitmix64, stream_key
from twincortex.models.spikes import SpikeTrains
from twincortex.models.stimuli import FRAME, N_COLUMNS, N_ROWS, DriftingGrating, Gray, pixel_centres

_FFT_LENGTH = 2048  # frames filtered at once, of which the length of the temporal kernel is overlap
_FFT_BLOCK = 1024  # subunits filtered at once
_GAUSSIAN_REACH = 4.0  # a spatial kernel is cut at this many sigma
_SPIKE_BLOCK = 128  # frames whose spikes are drawn at once
_TICKS = 1000  # spike times lie on NEST's grid of 1 us


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
        self._grating_response = (None, None, None)

    def rates(self, movie):
        """Firing rate of every unit.

        Parameters
        ----------
        movie : Movie
            Gray and gratings take the closed form, all others go through the pixels.

        Returns
        -------
        (n_frames, n_units) float32 array [Hz]
        """
        if isinstance(movie, DriftingGrating):
            return self.grating_rates(movie)
        if isinstance(movie, Gray):
            return np.tile(self._rectify(self.subunits.spontaneous.astype(np.float32)), (movie.n_frames, 1))
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
        x, y = pixel_centres()
        phasor = self._along_x @ np.exp(1j * (grating.spatial_phase(x, 0.0) - grating.spatial_phase(0.0, 0.0)))
        phasor *= self._along_y @ np.exp(1j * grating.spatial_phase(0.0, y))
        phasor *= self.subunits.amplitude * grating.contrast
        cosine, sine = phasor.real.astype(np.float32), phasor.imag.astype(np.float32)
        spontaneous = self.subunits.spontaneous.astype(np.float32)
        onset = round(grating.onset / FRAME)
        rates = np.empty((grating.n_frames, self.n_units), dtype=np.float32)
        rates[:onset] = self._rectify(spontaneous)
        for step in range(grating.n_frames - onset):
            tap = min(step, len(real) - 1)
            turn = np.exp(-1j * grating.angular_frequency * FRAME * step)
            c, s = np.float32(turn.real), np.float32(turn.imag)
            drive = real[tap] * (sine * c + cosine * s) + imaginary[tap] * (cosine * c - sine * s)
            rates[onset + step] = self._rectify(drive + spontaneous)
        return rates

    def _cumulative_response(self, angular_frequency):
        """Real and imaginary part of C(t), two (n_taps, S) float32 arrays; the last frequency is kept."""
        if self._grating_response[0] != angular_frequency:
            kernel = self.subunits.kernel
            turn = np.exp(1j * angular_frequency * FRAME * np.arange(len(kernel)))[:, None]
            parts = [np.empty_like(kernel), np.empty_like(kernel)]
            for part, factor in zip(parts, (turn.real, turn.imag), strict=True):
                np.multiply(kernel, factor.astype(np.float32), out=part)
                np.cumsum(part, axis=0, out=part)
            self._grating_response = (angular_frequency, *parts)
        return self._grating_response[1:]

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
    counting, timing = philox(seed, "lgn_spikes", trial), stream_key(seed, f"lgn_spike_times {trial}")
    n_units = rates.shape[1]
    times, node_ids = [np.empty(0)], [np.empty(0, dtype=np.int64)]
    for start in range(0, len(rates), _SPIKE_BLOCK):
        expected = rates[start : start + _SPIKE_BLOCK] * (1e-3 * FRAME)
        place, count = _poisson_counts(counting.random(expected.shape), expected)
        frame, unit = np.divmod(np.repeat(place, count), n_units)
        earlier = np.arange(len(frame)) - np.repeat(np.cumsum(count) - count, count)
        bits = splitmix64(splitmix64(splitmix64(timing, start + frame), unit), earlier)
        tick = 1 + bits % np.uint64(_TICKS)
        times.append((_TICKS * (start + frame) + tick.astype(np.int64)) / _TICKS * FRAME)
        node_ids.append(unit)
    return SpikeTrains("lgn", n_units, np.concatenate(times), np.concatenate(node_ids))


def _poisson_counts(uniform, expected):
    """Invert the Poisson distribution, P(count > n) = gammainc(n + 1, expected); return places and counts above 0."""
    place = np.flatnonzero(uniform < expected)  # P(count > 0) < expected
    uniform, expected = uniform.ravel()[place], expected.ravel()[place].astype(np.float64)
    count = np.zeros(len(place), dtype=np.int64)
    while True:
        is_more = uniform < scipy.special.gammainc(count + 1.0, expected)
        if not is_more.any():
            return place[count > 0], count[count > 0]
        count += is_more
