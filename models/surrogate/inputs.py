"""External spikes of a batch of trials, sorted by the step in which they arrive."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch


@dataclass(frozen=True)
class Arrivals:
    """Arrivals over one external projection.

    Attributes
    ----------
    step : (n,) int64 tensor, ascending
        Step whose delivery slot they reach.
    trial, row : (n,) int64 tensors
        Row of Connections.
    count : (n,) tensor
        Spikes of the unit in one step.
    """

    step: torch.Tensor
    trial: torch.Tensor
    row: torch.Tensor
    count: torch.Tensor

    def by_step(self, n_steps):
        """(row, trial, count) of each of the first n_steps steps, as a list of tuples."""
        bounds = torch.searchsorted(self.step, torch.arange(n_steps + 1)).tolist()
        cuts = [slice(first, last) for first, last in pairwise(bounds)]
        return [(self.row[cut], self.trial[cut], self.count[cut]) for cut in cuts]

    def sorted_by_row(self):
        """The same, where arrivals of the same step and row follow one another."""
        order = torch.argsort(self.row, stable=True)
        order = order[torch.argsort(self.step[order], stable=True)]
        return Arrivals(self.step[order], self.trial[order], self.row[order], self.count[order])

    def after(self, stop):
        """Arrivals of step ``stop`` and later, with steps counted from stop."""
        cut = slice(int(torch.searchsorted(self.step, stop)), None)
        return Arrivals(self.step[cut] - stop, self.trial[cut], self.row[cut], self.count[cut])

    def merged_with(self, other):
        """Arrivals of both, sorted by step."""
        step = torch.cat([self.step, other.step])
        order = torch.argsort(step, stable=True)
        return Arrivals(
            step[order],
            torch.cat([self.trial, other.trial])[order],
            torch.cat([self.row, other.row])[order],
            torch.cat([self.count, other.count])[order],
        )


def schedule_arrivals(trains, connections, dt, dtype):
    """Turn one SpikeTrains per trial into Arrivals.

    Parameters
    ----------
    trains : sequence of SpikeTrains
        One per trial.
    connections : Connections
    dt : float [ms]
    dtype : torch.dtype

    Returns
    -------
    Arrivals
        A spike of step n arrives once per delay d of its projection, in step n + d.
    """
    step = np.concatenate([train.steps(dt) for train in trains])
    unit = np.concatenate([train.node_ids for train in trains])
    trial = np.repeat(np.arange(len(trains)), [len(train.node_ids) for train in trains])
    n_units, n_trials = connections.n_sources, len(trains)
    key, count = np.unique((step * n_trials + trial) * n_units + unit, return_counts=True)
    step, trial, unit = key // n_units // n_trials, key // n_units % n_trials, key % n_units
    arrival = np.add.outer(connections.delays, step).ravel()
    row = connections.rows(unit, connections.delays[:, None]).ravel()
    order = np.argsort(arrival, kind="stable")
    repeated = [np.tile(array, len(connections.delays))[order] for array in (trial, count)]
    return Arrivals(
        torch.from_numpy(arrival[order]),
        torch.from_numpy(repeated[0]),
        torch.from_numpy(row[order]),
        torch.from_numpy(repeated[1]).to(dtype),
    )
