"""Sums over connections by the response correlation of their two neurons: all that indices and slopes are made of."""

import numpy as np
from numba import njit

N_BINS = 20
BIN_WIDTH = 0.1
SLOPE_RANGE = (-0.2, 0.5)
# Columns: connections and weight per bin of correlation, then n, x, y, xx, xy, yy of the connections in SLOPE_RANGE.
N_COLUMNS = 2 * N_BINS + 6


def bin_centers():
    """Centers of the bins of correlation, (20,) array, from -0.95 to 0.95."""
    return BIN_WIDTH * (np.arange(N_BINS) + 0.5) - 1


def response_vectors(responses):
    """Standardize the responses of every neuron, so that a scalar product of two is their Pearson correlation.

    Parameters
    ----------
    responses : (N, S) array
        Mean response of every neuron to every stimulus, for example tuning curves [Hz].

    Returns
    -------
    (N, S) float64 array
        NaN for neurons whose response is the same to all stimuli, such as silent ones: they have no correlation.
    """
    deviation = np.asarray(responses, dtype=np.float64)
    deviation = deviation - deviation.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(deviation, axis=1, keepdims=True)
    # Rounding leaves deviations of some 1e-16 of the mean where there are none.
    varies = norm > 1e-9 * np.abs(responses).max(axis=1, keepdims=True, initial=0)
    return np.divide(deviation, norm, out=np.full(deviation.shape, np.nan), where=varies & (norm > 0))


@njit(cache=True, nogil=True)
def correlations(pre, post, vectors):
    """Pearson correlation of the responses of both neurons of every connection.

    Parameters
    ----------
    pre, post : (E,) int arrays
    vectors : (N, S) array
        From `response_vectors`.

    Returns
    -------
    (E,) array
        -1 to 1; NaN where one of the neurons has none.
    """
    r = np.empty(len(pre))
    for edge in range(len(pre)):
        product = 0.0
        for stimulus in range(vectors.shape[1]):
            product += vectors[pre[edge], stimulus] * vectors[post[edge], stimulus]
        r[edge] = product if np.isnan(product) else min(1.0, max(-1.0, product))
    return r


@njit(cache=True, nogil=True)
def sum_by_correlation(r, strength, group, n_groups):
    """Sum connections and their strength per bin of correlation, and the moments of a straight line.

    Parameters
    ----------
    r : (E,) array
        From `correlations`; connections without one are left out.
    strength : (E,) array
        In any unit, for example the magnitude of the weight [pA].
    group : (E,) int array
        Counted from 0.
    n_groups : int

    Returns
    -------
    (n_groups, N_COLUMNS) array
        Sums of disjoint sets of connections add up.
    """
    sums = np.zeros((n_groups, N_COLUMNS))
    for edge in range(len(r)):
        x, y = r[edge], strength[edge]
        if np.isnan(x):
            continue
        row = sums[group[edge]]
        # 1e-9: a correlation of 0.5 belongs to the bin that begins there, whatever its last digit.
        place = min(N_BINS - 1, int((x + 1.0 + 1e-9) / BIN_WIDTH))
        row[place] += 1
        row[N_BINS + place] += y
        if SLOPE_RANGE[0] <= x <= SLOPE_RANGE[1]:
            row[2 * N_BINS] += 1
            row[2 * N_BINS + 1] += x
            row[2 * N_BINS + 2] += y
            row[2 * N_BINS + 3] += x * x
            row[2 * N_BINS + 4] += x * y
            row[2 * N_BINS + 5] += y * y
    return sums


def bin_means(sums, min_per_bin=1):
    """Mean strength per bin of correlation.

    Parameters
    ----------
    sums : (..., N_COLUMNS) array
        From `sum_by_correlation`.
    min_per_bin : int
        Bins with fewer connections are NaN.

    Returns
    -------
    (..., 20) array
    """
    n, total = sums[..., :N_BINS], sums[..., N_BINS : 2 * N_BINS]
    return np.divide(total, n, out=np.full(n.shape, np.nan), where=n >= max(min_per_bin, 1))


def straight_line(sums):
    """Slope of strength over correlation within SLOPE_RANGE by least squares.

    Parameters
    ----------
    sums : (..., N_COLUMNS) array

    Returns
    -------
    slope, standard_error, mean, n : (...) arrays
        Slope in the unit of strength per unit of correlation; its error takes connections as independent; the mean
        strength in the range; connections in the range. NaN below three connections or for one correlation only.
    """
    n, x, y, xx, xy, yy = np.moveaxis(sums[..., 2 * N_BINS :], -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        sxx, sxy, syy = xx - x * x / n, xy - x * y / n, yy - y * y / n
        determined = (n > 2) & (sxx > 1e-12 * xx)
        slope = np.where(determined, sxy / sxx, np.nan)
        residual = np.maximum(syy - slope * sxy, 0)
        return slope, np.sqrt(residual / (n - 2) / sxx), np.where(n > 0, y / n, np.nan), n
