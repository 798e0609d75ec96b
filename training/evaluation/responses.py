"""What is kept of the trials of an evaluation: counts per neuron, Fano factors of pools, spikes of one trial."""

from dataclasses import dataclass

import numpy as np

from twincortex.models.observables import fano_factor_curve, rates_of
from twincortex.models.tuning import measure_tuning
from twincortex.training.evaluation.pools import FanoPools, fano_bins


@dataclass(frozen=True)
class Responses:
    """Responses of one network to the trials of an evaluation.

    Attributes
    ----------
    grating_counts, gray_counts : (N, D, K) int32 arrays
        Spikes of every neuron in both windows, per direction and trial.
    fano : dict of condition -> (n_bins, n_pools) float array
        Fano factor of every pool for the bins of `fano_bins`; NaN where a pool is silent.
    raster_times : (n,) float array [ms]
    raster_ids : (n,) int array
        Spikes of the core in the first trial.
    """

    grating_counts: np.ndarray
    gray_counts: np.ndarray
    fano: dict
    raster_times: np.ndarray
    raster_ids: np.ndarray

    def tuning(self, protocol):
        """Measure every neuron.

        Parameters
        ----------
        protocol : EvaluationProtocol

        Returns
        -------
        Tuning
        """
        spontaneous = self.gray_counts.mean(axis=(1, 2)) * (1000 / protocol.gray_ms)
        rates = self.grating_counts * (1000 / protocol.grating_ms)
        return measure_tuning(rates, spontaneous, protocol.directions)

    def fano_curve(self, condition):
        """Mean Fano factor over the pools that fired, (n_bins,), and how many those are."""
        fired = ~np.isnan(self.fano[condition]).any(axis=0)
        curve = self.fano[condition][:, fired]
        return curve.mean(axis=1) if fired.any() else np.full(len(curve), np.nan), int(fired.sum())


class ResponseMeter:
    """Reduces spike trains, trial by trial, to Responses.

    Parameters
    ----------
    core : Core
    protocol : EvaluationProtocol
    """

    def __init__(self, core, protocol):
        self.core, self.protocol = core, protocol
        shape = (core.n_neurons, protocol.n_directions, protocol.n_trials)
        self._counts = {name: np.zeros(shape, dtype=np.int32) for name in protocol.windows_ms}
        self._pools = {name: FanoPools(name, core, protocol) for name in protocol.windows_ms}
        self._raster = None

    def add(self, number, trains):
        """Measure one trial.

        Parameters
        ----------
        number : int
            The trials of the first direction come first.
        trains : SpikeTrains
        """
        protocol = self.protocol
        direction, trial = divmod(number, protocol.n_trials)
        for name, (start, stop) in protocol.windows_ms.items():
            counts = rates_of(trains, start, stop) * ((stop - start) / 1000)
            self._counts[name][:, direction, trial] = np.rint(counts)
            self._pools[name].add(number, trains)
        if number == 0:
            chosen = np.isin(trains.node_ids, self.core.neurons)
            self._raster = trains.times[chosen], trains.node_ids[chosen]

    def responses(self):
        """What was measured, once all trials are.

        Returns
        -------
        Responses
        """
        times, ids = self._raster
        return Responses(
            grating_counts=self._counts["evoked"],
            gray_counts=self._counts["spontaneous"],
            fano={name: _fano_of_pools(pools, self.protocol.dt) for name, pools in self._pools.items()},
            raster_times=times,
            raster_ids=ids,
        )


def _fano_of_pools(pools, dt):
    bin_ms, _ = fano_bins(pools.window_ms, pools.condition)
    bin_steps = np.maximum(np.rint(bin_ms / dt), 1).astype(int)
    fano = np.stack(fano_factor_curve(pools.counts.astype(float), bin_steps.tolist()))
    fano[:, pools.counts.sum(axis=0) == 0] = np.nan
    return fano
