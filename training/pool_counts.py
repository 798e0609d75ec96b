"""Spike counts over time and of pools of neurons, with gradients in as few passes over all spikes as there can be."""

import torch
from numba import njit
from torch.autograd.function import once_differentiable

from twincortex.training.step_threads import run_by_rows


def total_and_each(spikes):
    """Sum spikes over time, and hand them on to be counted otherwise, so that the gradients of both meet in place.

    Parameters
    ----------
    spikes : (T, n) tensor

    Returns
    -------
    total : (n,) tensor
    each : (T, n) tensor
        The spikes, for `count_in_pools` alone: its gradient is written over.
    """
    return _TotalAndEach.apply(spikes)


class _TotalAndEach(torch.autograd.Function):
    @staticmethod
    def forward(ctx, spikes):
        ctx.set_materialize_grads(False)
        ctx.shape = spikes.shape
        return spikes.sum(0), spikes.view_as(spikes)

    @staticmethod
    @once_differentiable
    def backward(ctx, total_gradient, each_gradient):
        if total_gradient is None:
            return each_gradient
        return total_gradient.expand(ctx.shape) if each_gradient is None else each_gradient.add_(total_gradient)


def count_in_pools(spikes, slot, pool, n_pools, first):
    """Count the spikes of pools in every step.

    Parameters
    ----------
    spikes : (T, n) tensor
        Of every neuron in every trial.
    slot, pool : (m,) int64 tensors
        Members: a column of spikes, and the pool that it is in.
    n_pools : int
    first : int
        Steps before it are left out.

    Returns
    -------
    (T - first, n_pools) tensor
    """
    if spikes.device.type == "cpu":
        return _CountInPools.apply(spikes, slot, pool, n_pools, first)
    members = spikes[first:].index_select(1, slot)
    return members.new_zeros(len(members), n_pools).index_add(1, pool, members)


class _CountInPools(torch.autograd.Function):
    """The same numbers, member after member; torch would copy the spikes of all members, and add them one by one."""

    @staticmethod
    def forward(ctx, spikes, slot, pool, n_pools, first):
        ctx.shape, ctx.first = spikes.shape, first
        ctx.save_for_backward(slot, pool)
        counts = spikes.new_zeros(len(spikes) - first, n_pools)
        run_by_rows(_add_up, (counts, spikes[first:].contiguous()), slot, pool)
        return counts

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        spikes_gradient = gradient.new_zeros(ctx.shape)
        slot, pool = ctx.saved_tensors
        run_by_rows(_add_up, (spikes_gradient[ctx.first :], gradient.contiguous()), pool, slot)
        return spikes_gradient, None, None, None, None


@njit(cache=True, nogil=True)
def _add_up(totals, values, place_of_value, place_of_total):
    """totals[t, b] += values[t, a] for each pair of places a, b, in their order."""
    for step in range(len(totals)):
        total, value = totals[step], values[step]
        for k in range(len(place_of_value)):
            total[place_of_total[k]] += value[place_of_value[k]]
