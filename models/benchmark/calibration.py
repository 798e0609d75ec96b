"""A background that makes neurons fire at a given rate."""

import numpy as np
import torch

from twincortex.models.background import background_spikes
from twincortex.models.errors import InputError
from twincortex.models.surrogate import make_column

BACKGROUND = "bkg_to_v1"
_LONGEST_MS = 200.0
# Of the factor: where the search starts, how often it doubles, and how often it halves; how near the rate is to be.
_START, _DOUBLINGS, _HALVINGS, _NEAR = 0.5, 10, 12, 0.03


def scale_background(circuit, settings):
    """Scale the weights of the background, in short runs of the fused engine, until neurons fire as they should.

    Parameters
    ----------
    circuit : Circuit
    settings : Settings

    Returns
    -------
    circuit : Circuit
    facts : dict
        The factor, and the rate in the last run with it [Hz].

    Raises
    ------
    InputError
        No factor that was tried makes the neurons fire so much.
    """
    tuned = circuit.projections[BACKGROUND].weight
    n_steps = min(settings.n_steps, max(1, int(_LONGEST_MS / settings.dt)))
    seconds = n_steps * settings.dt * 1e-3
    inputs = {"bkg": [background_spikes(1e3 * seconds, seed=settings.seed)]}
    column = make_column(
        circuit, dt=settings.dt, after_spike_current=settings.after_spike_current, trained=(BACKGROUND,)
    )

    @torch.no_grad()
    def rate_at(factor):
        column.weights[BACKGROUND].copy_(torch.from_numpy(factor * tuned))
        return float(column(inputs, n_steps).spikes.sum()) / (circuit.n_neurons * seconds)

    factor, rate = _find_factor(rate_at, settings.rate_Hz)
    facts = {"background_factor": factor, "calibrated_rate_Hz": rate, "calibrated_over_ms": 1e3 * seconds}
    return circuit.with_weights({BACKGROUND: factor * tuned}), facts


def _find_factor(rate_at, wanted):
    """Bisect for the factor with the wanted rate; the best of those tried, and its rate."""
    low, high, tried = _START, 2 * _START, {}
    while (rate := tried.setdefault(high, rate_at(high))) < wanted:
        low, high = high, 2 * high
        if len(tried) > _DOUBLINGS:
            raise InputError(f"--rate-Hz {wanted:g}: a background {low:g} times as strong makes {rate:.3g} Hz only.")
    for _ in range(_HALVINGS):
        if abs(rate - wanted) <= _NEAR * wanted:
            break
        middle = float(np.sqrt(low * high))
        rate = tried[middle] = rate_at(middle)
        low, high = (middle, high) if rate < wanted else (low, middle)
    return min(tried.items(), key=lambda one: abs(one[1] - wanted))
