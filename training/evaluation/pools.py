"""Pools of excitatory cells whose spikes are counted together, for Fano factors."""

import numpy as np
import scipy.sparse

from twincortex.models.neuropixels import read_fano_curve
from twincortex.training.synchrony import draw_fano_pools

# Bins from a fifth of the window on are too few to have a variance.
_FEWEST_BINS = 5


def fano_bins(window_ms, condition):
    """Bins for which Fano factors are compared.

    Parameters
    ----------
    window_ms : float [ms]
    condition : str
        ``"evoked"`` or ``"spontaneous"``.

    Returns
    -------
    bin_ms : (n,) array [ms]
        The recorded bin widths below a fifth of the window.
    fano : (n,) array
        Of the recordings.
    """
    bin_ms, fano = read_fano_curve(window_ms, condition)
    used = bin_ms < window_ms / _FEWEST_BINS
    return bin_ms[used], fano[used]


class FanoPools:
    """Spike counts of pools of excitatory core cells, each in one random trial.

    Parameters
    ----------
    condition : str
    core : Core
    protocol : EvaluationProtocol

    Attributes
    ----------
    counts : (n_steps, n_pools) uint16 array
        Spikes per step of the window.
    """

    def __init__(self, condition, core, protocol):
        self.condition, self.dt = condition, protocol.dt
        self._start, stop = protocol.fano_windows_ms[condition]
        self.window_ms = stop - self._start
        n_trials, n_cells = protocol.n_directions * protocol.n_trials, len(core.excitatory)
        random = protocol.random(f"fano_pools_{condition}")
        self._trial, self._cell, self._pool = draw_fano_pools(n_trials, n_cells, protocol.n_pools, random)
        self._cells = core.excitatory
        self.counts = np.zeros((round(self.window_ms / self.dt), protocol.n_pools), dtype=np.uint16)

    def add(self, trial, trains):
        """Count the spikes of the pools that see this trial.

        Parameters
        ----------
        trial : int
            Number among the trials of all directions.
        trains : SpikeTrains
        """
        mine = self._trial == trial
        n_steps, n_pools = self.counts.shape
        step = trains.steps(self.dt) - round(self._start / self.dt)
        place = np.full(trains.n_units, -1)
        place[self._cells] = np.arange(len(self._cells))
        cell = place[trains.node_ids]
        used = (step >= 0) & (step < n_steps) & (cell >= 0)
        shape = (n_steps, len(self._cells))
        fired = scipy.sparse.csr_array((np.ones(used.sum(), np.int32), (step[used], cell[used])), shape)
        members = (np.ones(mine.sum(), np.int32), (self._cell[mine], self._pool[mine]))
        counts = fired @ scipy.sparse.csr_array(members, shape=(len(self._cells), n_pools))
        self.counts += counts.toarray().astype(np.uint16)
