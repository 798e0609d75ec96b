"""Counter-based randomness: every draw is a pure function of (seed, purpose, counters).

Nothing depends on the order of calls, on threads or on what was drawn before, so a run resumes without stored generator
states and both engines can be fed the same numbers (DESIGN 7).
"""

import hashlib

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLY_2 = np.uint64(0x94D049BB133111EB)
_ONE, _SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(1), np.uint64(30), np.uint64(27), np.uint64(31)


def _digest(seed, purpose, n_bytes):
    return hashlib.blake2b(f"{int(seed)}/{purpose}".encode(), digest_size=n_bytes).digest()


def philox(seed, purpose, *counters):
    """Open the random stream that belongs to a seed, a purpose and up to three counters.

    Parameters
    ----------
    seed : int
    purpose : str
        What the numbers are for, for example ``"lgn_spikes"``; streams of different purposes are independent.
    *counters : int
        For example the training step, the trial and the unit; at most three, not negative.

    Returns
    -------
    numpy.random.Generator
        Philox 4x64 with the key from (seed, purpose) and the counters in the upper words of its counter, which leaves
        2**64 draws to each stream.

    Raises
    ------
    ValueError
        More than three counters, or a negative one.

    Source
    ------
    Salmon et al. (2011) Parallel random numbers: as easy as 1, 2, 3.
    """
    if len(counters) > 3 or any(counter < 0 for counter in counters):
        raise ValueError(f"counters {counters}: expected at most three, none negative")
    key = np.frombuffer(_digest(seed, purpose, 16), dtype=np.uint64)
    counter = np.zeros(4, dtype=np.uint64)
    counter[1 : 1 + len(counters)] = counters
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def stream_key(seed, purpose):
    """64-bit key of hash-based streams inside compiled kernels.

    Parameters
    ----------
    seed : int
    purpose : str

    Returns
    -------
    numpy.uint64
    """
    return np.frombuffer(_digest(seed, purpose, 8), dtype=np.uint64)[0]


def splitmix64(key, counter):
    """Draw number ``counter`` of the SplitMix64 stream ``key``: 64 random bits, also good as the key of a sub-stream.

    Compiled kernels use the same function, one draw at a time (``column.hashed_draws``).

    Parameters
    ----------
    key : numpy.uint64 or (n,) uint64 array
    counter : (n,) int array

    Returns
    -------
    (n,) uint64 array

    Source
    ------
    Steele, Lea & Flood (2014) Fast splittable pseudorandom number generators, Fig. 16 and 17.
    """
    bits = key + (np.uint64(counter) + _ONE) * _GOLDEN
    bits = (bits ^ (bits >> _SHIFT_1)) * _MULTIPLY_1
    bits = (bits ^ (bits >> _SHIFT_2)) * _MULTIPLY_2
    return bits ^ (bits >> _SHIFT_3)
