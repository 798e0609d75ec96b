"""Times of repeated work: wall time, and the processor time of all threads."""

import statistics
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Lap:
    """One piece of work.

    Attributes
    ----------
    seconds : float
    cpu_seconds : float
        Of all threads of this process.
    """

    seconds: float
    cpu_seconds: float


def time_call(function, wait=None):
    """Call a function.

    Parameters
    ----------
    function : callable
        Without arguments.
    wait : callable, optional
        Waits for what a device still does, before and after.

    Returns
    -------
    result
        Of the function.
    lap : Lap
    """
    if wait:
        wait()
    started, cpu_started = time.perf_counter(), time.process_time()
    result = function()
    if wait:
        wait()
    return result, Lap(time.perf_counter() - started, time.process_time() - cpu_started)


def summarize(seconds, cpu_seconds):
    """Median and spread of repeated work.

    Parameters
    ----------
    seconds, cpu_seconds : sequence of float
        Of every repeat.

    Returns
    -------
    dict
        Median, min, max and all repeats [s]; the median of the processor time.
    """
    return {
        "median": statistics.median(seconds),
        "min": min(seconds),
        "max": max(seconds),
        "repeats": list(seconds),
        "cpu_median": statistics.median(cpu_seconds),
    }
