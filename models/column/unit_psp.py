"""Unit PSP: peak depolarization of a passive cell by a synapse of weight 1 pA, by which PSPs in mV become pA."""

import numpy as np

_TIMES_MS = np.geomspace(0.05, 300.0, 400)  # brackets every peak: time constants lie between 0.7 and 60 ms
_GOLDEN_SECTION = (np.sqrt(5) - 1) / 2
_N_REFINEMENTS = 40  # shrink a bracket to 1e-8 of its width; the peak is flat, so its height is exact long before


def unit_psp(C_m, g, tau_fast, tau_slow, amp_slow):
    """Peak of the passive response to one double-alpha current whose fast part peaks at 1 pA.

    Parameters
    ----------
    C_m : (n,) array [pF]
    g : (n,) array [nS]
    tau_fast, tau_slow : (n,) arrays [ms]
    amp_slow : (n,) array
        Peak of the slow alpha relative to the fast one.

    Returns
    -------
    (n,) array [mV / pA]
        Located on a grid of times and refined by golden-section search, to a relative 1e-9.

    Source
    ------
    The published v1_synapse_amps of biorealistic-v1-model are the same quantity, for older kinetics.
    """
    parameters = (np.asarray(values, dtype=np.float64)[:, None] for values in (C_m, g, tau_fast, tau_slow, amp_slow))
    C_m, g, tau_fast, tau_slow, amp_slow = parameters

    def response(t):
        fast, slow = (alpha_response(t, tau, C_m, g) for tau in (tau_fast, tau_slow))
        return fast + amp_slow * slow

    peak = np.argmax(response(_TIMES_MS[None, :]), axis=1)[:, None]
    low, high = _TIMES_MS[np.maximum(peak - 1, 0)], _TIMES_MS[np.minimum(peak + 1, len(_TIMES_MS) - 1)]
    for _ in range(_N_REFINEMENTS):
        left, right = high - _GOLDEN_SECTION * (high - low), low + _GOLDEN_SECTION * (high - low)
        rising = response(left) < response(right)
        low, high = np.where(rising, left, low), np.where(rising, high, right)
    return response((low + high) / 2)[:, 0]


def alpha_response(t, tau, C_m, g):
    """Passive response at time t to the current ``t/tau exp(1 - t/tau)`` pA.

    Parameters
    ----------
    t, tau : arrays [ms]
        Time since onset; time of the peak of the current.
    C_m : array [pF]
    g : array [nS]

    Returns
    -------
    array [mV]
        ``e t^2/(C_m tau) exp(-t/tau_m) (1 - (1 + x) exp(-x))/x^2`` with ``tau_m = C_m/g`` and
        ``x = t (1/tau - 1/tau_m)``; also where tau equals tau_m.
    """
    x = t * (1 / tau - g / C_m)
    small = np.abs(x) < 1e-3
    safe = np.where(small, 1.0, x)
    shape = np.where(small, 0.5 - x / 3 + x**2 / 8, (1 - (1 + safe) * np.exp(-safe)) / safe**2)
    return np.e * t**2 / (C_m * tau) * np.exp(-t * g / C_m) * shape
