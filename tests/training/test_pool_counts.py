"""Sums and pools of spikes: their gradients meet in one tensor, and are those of torch's own functions."""

import pytest

from twincortex.models import before_torch  # noqa: F401

# isort: split
import torch

from twincortex.training.pool_counts import count_in_pools, total_and_each

SLOT, POOL, N_POOLS, FIRST = torch.tensor([0, 2, 3, 2]), torch.tensor([0, 0, 1, 1]), 2, 3


def gradient_of(score, seed=0):
    spikes = (torch.rand(10, 4, generator=torch.Generator().manual_seed(seed)) < 0.5).double().requires_grad_()
    score(spikes).backward()
    return spikes.grad


@pytest.mark.parametrize(("of_totals", "of_pools"), [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0)])
def test_gradients_of_totals_and_of_pools_add_up(of_totals, of_pools):
    def score(spikes):
        total, each = total_and_each(spikes)
        value = of_totals * (total**3).sum() if of_totals else 0
        return value + (of_pools * (count_in_pools(each, SLOT, POOL, N_POOLS, FIRST) ** 3).sum() if of_pools else 0)

    def expected(spikes):
        pools = spikes.new_zeros(len(spikes) - FIRST, N_POOLS).index_add(1, POOL, spikes[FIRST:, SLOT])
        return of_totals * (spikes.sum(0) ** 3).sum() + of_pools * (pools**3).sum()

    torch.testing.assert_close(gradient_of(score), gradient_of(expected))
