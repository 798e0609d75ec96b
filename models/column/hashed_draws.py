"""Random numbers and exponentials for compiled kernels.

Each draw is a hash of (key, counter), so it depends neither on threads nor on the order of calls.
"""

import math

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLY_2 = np.uint64(0x94D049BB133111EB)
_ONE, _SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(1), np.uint64(30), np.uint64(27), np.uint64(31)
_TO_52_BITS = np.uint64(12)


@njit
def splitmix64(key, counter):
    """Draw number ``counter`` of the SplitMix64 stream ``key``: 64 random bits, also good as the key of a sub-stream.

    Source
    ------
    Steele, Lea & Flood (2014) Fast splittable pseudorandom number generators, Fig. 16 and 17.
    """
    bits = key + (np.uint64(counter) + _ONE) * _GOLDEN
    bits = (bits ^ (bits >> _SHIFT_1)) * _MULTIPLY_1
    bits = (bits ^ (bits >> _SHIFT_2)) * _MULTIPLY_2
    return bits ^ (bits >> _SHIFT_3)


@njit
def uniform(key, counter):
    """Draw from (0, 1); both ends are excluded."""
    return (np.float64(splitmix64(key, counter) >> _TO_52_BITS) + 0.5) * 2.0**-52


@njit
def exponential(key, counter):
    """Draw from the exponential distribution of mean 1."""
    return -math.log(uniform(key, counter))


@njit
def exp_of_negative(x):
    """``exp(x)`` for x <= 0, to 3e-13; arguments below -700 count as -700.

    Written out because LLVM vectorises it, which it does not do for a call of ``math.exp``.
    """
    x = max(x, -700.0)
    power = np.floor(x * 1.4426950408889634 + 0.5)
    # ln 2 in two parts: the first has few enough digits for its multiple to be exact.
    rest = (x - power * 0.693145751953125) - power * 1.42860682030941723212e-6
    series = 1.0 / 362880 + rest / 3628800
    for factorial in (40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0):
        series = 1.0 / factorial + rest * series
    return series * np.int64((np.int64(power) + 1023) << 52).view(np.float64)


@njit(cache=True, nogil=True)
def uniform_per_pair(key, pre, post):
    """Draw one number from (0, 1) for each connection, whatever the order of the connections.

    Parameters
    ----------
    key : uint64
    pre, post : (n,) int arrays

    Returns
    -------
    (n,) float64 array
    """
    draws = np.empty(len(pre))
    for connection in range(len(pre)):
        draws[connection] = uniform(splitmix64(key, post[connection]), pre[connection])
    return draws
