"""Unit PSP: peak depolarization of a passive cell by a synapse of weight 1 pA, which turns PSPs in mV into weights in pA."""

import numpy as np
import pandas as pd

from twincortex.models.errors import InputError, near_name_hint
from twincortex.models.parameters import (
    PRESYNAPTIC_CLASSES,
    read_cell_models,
    read_class_pairs,
    read_populations,
    read_synapse_kinetics,
)

UNIT_PSPS = ("recomputed", "published")

_TIMES_MS = np.geomspace(0.05, 300.0, 400)  # brackets every peak: time constants lie between 0.7 and 60 ms
_GOLDEN = (np.sqrt(5) - 1) / 2
_N_REFINEMENTS = 40  # shrinks a bracket to 1e-8 of its width; the peak is flat, so its height is exact long before


def unit_psps(choice="recomputed"):
    """Unit PSP of every cell model for every presynaptic class.

    Parameters
    ----------
    choice : str
        ``"recomputed"`` from the kinetics and the cell parameters of our tables, or ``"published"``: the numbers that the
        paper's weights were made with, which are older than its kinetics (they differ by up to 70 % for some inhibitory
        classes).

    Returns
    -------
    pandas.DataFrame [mV / pA]
        Index node_type_id (201 rows), columns ``exc`` (LGN, background) and the nine classes.

    Raises
    ------
    InputError
        Unknown choice.

    Source
    ------
    biorealistic-v1-model, precomputed v1_synapse_amps.
    """
    if choice not in UNIT_PSPS:
        raise InputError(f"unknown unit PSPs {choice!r}: {near_name_hint(choice, UNIT_PSPS)}")
    models = read_cell_models()
    post_class = read_populations().synapse_class[models.pop_name].to_numpy()
    kinetics, pairs = read_synapse_kinetics(), read_class_pairs()
    table = pd.DataFrame(index=models.index, columns=list(PRESYNAPTIC_CLASSES), dtype=np.float64)
    for pre in PRESYNAPTIC_CLASSES:
        of_model = kinetics.reindex([(pre, post) for post in post_class])
        table[pre] = passive_peak(
            models.g_nS.to_numpy(),
            models.C_m_pF.to_numpy(),
            *(of_model[column].to_numpy() for column in ("tau_fast_ms", "tau_slow_ms", "amp_slow")),
        )
        if choice == "published" and pre == "exc":
            table[pre] = models.unit_psp_exc_mV_per_pA_published
        elif choice == "published":
            table[pre] /= pairs.unit_psp_published_ratio.reindex([(pre, post) for post in post_class]).to_numpy()
    return table


def passive_peak(g, C_m, tau_fast, tau_slow, amp_slow):
    """Peak of the passive response to one double-alpha current whose fast part peaks at 1 pA.

    Parameters
    ----------
    g : (n,) array [nS]
    C_m : (n,) array [pF]
    tau_fast, tau_slow : (n,) arrays [ms]
    amp_slow : (n,) array

    Returns
    -------
    (n,) array [mV]
        Located on a grid of times and refined by golden-section search, to a relative 1e-9.
    """
    g, C_m, tau_fast, tau_slow, amp_slow = (np.asarray(a, dtype=np.float64)[:, None] for a in (g, C_m, tau_fast, tau_slow, amp_slow))

    def response(t):
        tau_m = C_m / g
        return alpha_response(t, tau_fast, tau_m, C_m) + amp_slow * alpha_response(t, tau_slow, tau_m, C_m)

    peak = np.argmax(response(_TIMES_MS[None, :]), axis=1)[:, None]
    low, high = _TIMES_MS[np.maximum(peak - 1, 0)], _TIMES_MS[np.minimum(peak + 1, len(_TIMES_MS) - 1)]
    for _ in range(_N_REFINEMENTS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        rising = response(left) < response(right)
        low, high = np.where(rising, left, low), np.where(rising, high, right)
    return response((low + high) / 2)[:, 0]


def alpha_response(t, tau, tau_m, C_m):
    """Passive response at time t to the current ``t/tau exp(1 - t/tau)`` pA.

    Parameters
    ----------
    t, tau, tau_m : arrays [ms]
        Time since onset, of the alpha's peak, of the membrane.
    C_m : array [pF]

    Returns
    -------
    array [mV]
        ``e t^2/(C_m tau) exp(-t/tau_m) (1 - (1 + x) exp(-x))/x^2`` with ``x = t (1/tau - 1/tau_m)``, also where tau equals
        tau_m.
    """
    x = t * (1 / tau - 1 / tau_m)
    small = np.abs(x) < 1e-3
    safe = np.where(small, 1.0, x)
    shape = np.where(small, 0.5 - x / 3 + x**2 / 8, (1 - (1 + safe) * np.exp(-safe)) / safe**2)
    return np.e * t**2 / (C_m * tau) * np.exp(-t / tau_m) * shape
