"""Synchrony: Fano factors of random pools of excitatory cells against the recorded curve."""

import numpy as np
import torch

from twincortex.models.neuropixels import read_fano_curve
from twincortex.models.observables import fano_factor_curve
from twincortex.training.pool_counts import count_in_pools


def synchrony_loss(activity, targets, n_pools=500, settle_ms=200.0):
    """Squared distance of the Fano factor of random excitatory pools from the recorded curve, mean over bin widths.

    Parameters
    ----------
    activity : Activity
    targets : Targets
    n_pools : int
        See `draw_fano_pools`.
    settle_ms : float [ms]
        Left out at the start, but never more than 40 % of the rollout.

    Returns
    -------
    value : () tensor
    parts : dict
        Mean Fano factor of the model and of the recordings over the same bin widths.

    Source
    ------
    Ito et al. (2025), which has curves for rollouts of 500 and 2000 ms only; `read_fano_curve` has them for any length.
    Widths are the recorded ones, to the nearest step.
    """
    n_steps = len(activity.spikes)
    first = round(min(settle_ms / activity.dt, 0.4 * n_steps))
    bin_ms, recorded = read_fano_curve((n_steps - first) * activity.dt, activity.condition)
    bin_steps = np.maximum(np.rint(bin_ms / activity.dt), 1).astype(int).tolist()
    n_trials = activity.spikes.shape[1]
    trial, cell, pool = draw_fano_pools(n_trials, len(targets.excitatory_core), n_pools, activity.random("fano_pools"))
    trial, cell, pool = (torch.as_tensor(ids, device=activity.spikes.device) for ids in (trial, cell, pool))
    counts = count_in_pools(
        activity.spikes_by_member, targets.excitatory_core[cell] * n_trials + trial, pool, n_pools, first
    )
    model = torch.stack([fano.mean() for fano in fano_factor_curve(counts, bin_steps)])
    recorded = model.new_tensor(recorded)
    value = ((model - recorded) ** 2).mean()
    return value, {"fano_model": model.detach().mean(), "fano_recorded": recorded.mean()}


def draw_fano_pools(n_trials, n_cells, n_pools, random, mean_size=70.0, sd_size=30.0, min_size=15):
    """Draw pools of cells whose spikes are counted together.

    Parameters
    ----------
    n_trials, n_cells, n_pools : int
    random : numpy.random.Generator
    mean_size, sd_size : float
        Pool sizes are normal, rounded down, between min_size (or n_cells if that is less) and n_cells.
    min_size : int

    Returns
    -------
    trial, cell, pool : (n_members,) int64 arrays
        One row per member. Each pool sees one random trial. Cells are dealt from a shuffled deck, shuffled anew when it
        runs short, so that no cell is twice in a pool.
    """
    sizes = np.clip(random.normal(mean_size, sd_size, n_pools).astype(int), min(min_size, n_cells), n_cells)
    trials = random.integers(n_trials, size=n_pools)
    deck, dealt, cells = random.permutation(n_cells), 0, []
    for size in sizes:
        if dealt + size > n_cells:
            deck, dealt = random.permutation(n_cells), 0
        cells.append(deck[dealt : dealt + size])
        dealt += size
    return np.repeat(trials, sizes), np.concatenate(cells), np.repeat(np.arange(n_pools), sizes)
