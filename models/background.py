"""The background: units that fire at random at a high rate and stand for the rest of the brain."""

import numpy as np

from twincortex.models.errors import InputError
from twincortex.models.parameters import read_external_inputs
from twincortex.models.randomness import philox
from twincortex.models.spikes import SpikeTrains

BIN = 0.25  # ms


def background_spikes(duration, *, seed, trial=0, n_units=None, rate=None):
    """Draw the spikes of the background units: one Bernoulli trial per unit and bin of 0.25 ms.

    Parameters
    ----------
    duration : float [ms]
    seed, trial : int
    n_units : int, optional
        Default 100 (``external_inputs.csv``).
    rate : float [Hz], optional
        Default 250, that is p = 0.0625 per bin.

    Returns
    -------
    SpikeTrains
        Population ``"bkg"``, stamped at the end of the bin, on the grid of dt 0.25 and of 1 ms. In 1 ms a unit fires
        Binomial(4, p) times; a Poisson count of the same mean would raise the rate of the column in gray by 7 %.

    Raises
    ------
    InputError
        The rate is negative or beyond one spike per bin, or the duration is not a positive number.

    Source
    ------
    biorealistic-v1-model, bkg_spike_generation.py, which stamps 0.01 ms after the start of the bin.
    """
    bkg = read_external_inputs().loc["bkg"]
    n_units = int(bkg.n_units) if n_units is None else n_units
    rate = float(bkg.rate_Hz) if rate is None else rate
    probability = rate * 1e-3 * BIN
    if not 0 <= probability <= 1:
        raise InputError(f"background rate {rate} Hz: expected 0 to {1e3 / BIN:g} Hz, one spike per bin of {BIN} ms.")
    if not (np.isfinite(duration) and duration > 0):
        raise InputError(f"background duration {duration} ms: expected a positive number.")
    n_bins = int(np.floor(duration / BIN * (1 + 1e-12)))
    uniform = philox(seed, "background_spikes", trial).random((n_bins, n_units))
    bins, unit = np.nonzero(uniform < probability)
    return SpikeTrains("bkg", n_units, (bins + 1) * BIN, unit)
