"""Random numbers and exponentials for compiled kernels.

Each draw is a hash of (key, counter), so it depends neither on threads nor on the order of calls.
"""

import numpy as np
from numba import njit

from twincortex.models import randomness
from twincortex.models.column.compiled_kernels import compile_cached

_TO_52_BITS = np.uint64(12)
_BITS_OF_1, _BITS_OF_ROOT_HALF = np.int64(0x3FF0000000000000), np.int64(0x3FE6A09E667F3BCD)
_LOG_SERIES = (
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)

splitmix64 = njit(randomness.splitmix64)


@njit
def uniform(key, counter):
    """Draw from (0, 1); both ends are excluded."""
    bits = np.int64(splitmix64(key, counter) >> _TO_52_BITS) | _BITS_OF_1
    return (np.int64(bits).view(np.float64) - 1.0) + 2.0**-53


@njit
def exponential(key, counter):
    """Draw from the exponential distribution of mean 1."""
    return -log_of_fraction(uniform(key, counter))


@njit(error_model="numpy")
def log_of_fraction(x):
    """``log(x)`` for normal x > 0, to 1e-15.

    Written out because LLVM vectorises it, which it does not do for a call of ``math.log``.

    Source
    ------
    The minimax polynomial of fdlibm, e_log.c.
    """
    bits = np.float64(x).view(np.int64)
    power = (bits - _BITS_OF_ROOT_HALF) >> np.int64(52)
    # x = 2^power (1 + f), and log(1 + f) is a series in s.
    f = np.int64(bits - (power << np.int64(52))).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    series = 1.479819860511658591e-01
    for coefficient in _LOG_SERIES:
        series = coefficient + z * series
    half = 0.5 * f * f
    return f - (half - s * (half + z * series)) + np.float64(power) * 0.6931471805599453


@njit
def exp_of_negative(x):
    """``exp(x)`` for x <= 0, to 3e-13; arguments below -700 count as -700.

    Written out because LLVM vectorises it, which it does not do for a call of ``math.exp``.
    """
    x = max(x, -700.0)
    # The sum with 1.5 * 2^52 is a whole number, and stands in the last bits of the sum.
    shifted = x * 1.4426950408889634 + 6755399441055744.0
    power = shifted - 6755399441055744.0
    # ln 2 in two parts: the first has few enough digits for its multiple to be exact.
    rest = (x - power * 0.693145751953125) - power * 1.42860682030941723212e-6
    series = 1.0 / 362880 + rest / 3628800
    for factorial in (40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0):
        series = 1.0 / factorial + rest * series
    bits = np.float64(shifted).view(np.int64)
    return series * np.int64((bits + np.int64(1023)) << np.int64(52)).view(np.float64)


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
    compile_cached(_pairs_kernel)(key, pre, post, draws)
    return draws


def _pairs_kernel(sources):
    def kernel(key, pre, post, draws):
        for connection in range(len(draws) if sources > 0 else 0):
            draws[connection] = uniform(splitmix64(key, post[connection]), pre[connection])

    return kernel
