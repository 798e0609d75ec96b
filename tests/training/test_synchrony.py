"""The synchrony objective against a literal implementation, and the pools it draws."""

import dataclasses

import numpy as np
import pytest
import torch
from activities import random_activity, small_targets
from hypothesis import given
from hypothesis import strategies as st

from twincortex.models.neuropixels import read_fano_curve
from twincortex.training.pool_counts import count_in_pools
from twincortex.training.synchrony import draw_fano_pools, synchrony_loss


def literal_synchrony_loss(activity, targets, n_pools):
    spikes = activity.spikes.numpy()
    n_steps, n_trials, _ = spikes.shape
    spikes = spikes[round(min(200, 0.4 * n_steps)) :]
    bins, recorded = read_fano_curve(len(spikes), activity.condition)
    trial, cell, pool = draw_fano_pools(n_trials, len(targets.excitatory_core), n_pools, activity.random("fano_pools"))
    errors = []
    for width, target in zip(np.maximum(np.rint(bins), 1).astype(int), recorded, strict=True):
        fano = []
        for p in range(n_pools):
            neurons = targets.excitatory_core[cell[pool == p]]
            trace = spikes[:, trial[pool == p][0], neurons].sum(1)
            counts = [trace[start : start + width].sum() for start in range(0, len(trace) - width + 1, width)]
            fano.append(np.var(counts) / max(np.mean(counts), 1e-7))
        errors.append((np.mean(fano) - target) ** 2)
    return np.mean(errors)


@pytest.mark.parametrize(("condition", "n_steps"), [("evoked", 40), ("spontaneous", 77), ("evoked", 500)])
def test_synchrony_loss_equals_its_formula(condition, n_steps):
    circuit, targets, tensors = small_targets()
    activity = random_activity(circuit, condition, n_steps=n_steps)
    value, parts = synchrony_loss(activity, tensors, n_pools=20)
    assert value.item() == pytest.approx(literal_synchrony_loss(activity, targets, 20), rel=1e-11)  # rounding
    assert parts["fano_recorded"] == pytest.approx(
        read_fano_curve(n_steps - round(min(200, 0.4 * n_steps)), condition)[1].mean()
    )


def test_a_rollout_of_500_ms_is_compared_with_the_recorded_curve_of_300_ms():
    circuit, _, tensors = small_targets()
    _, parts = synchrony_loss(random_activity(circuit, n_steps=500), tensors)
    assert parts["fano_recorded"].item() == read_fano_curve(300, "evoked")[1].mean()


@pytest.mark.parametrize("n_threads", [1, 3])
def test_pool_counts_and_their_gradient_are_those_of_torch_to_the_last_bit(n_threads, torch_threads):
    torch_threads(n_threads)
    rng = np.random.default_rng(3)
    spikes = torch.tensor(rng.exponential(1, (11, 30)), dtype=torch.float32, requires_grad=True)
    slot, pool = torch.tensor(rng.integers(30, size=90)), torch.tensor(rng.integers(7, size=90))
    counts = count_in_pools(spikes, slot, pool, 7, first=4)
    members = spikes[4:].index_select(1, slot)
    expected = members.new_zeros(7, 7).index_add(1, pool, members)
    assert torch.equal(counts, expected)
    direction = torch.tensor(rng.normal(size=(7, 7)), dtype=torch.float32)
    gradient, of_torch = (torch.autograd.grad((c * direction).sum(), spikes)[0] for c in (counts, expected))
    assert torch.equal(gradient, of_torch)


def test_gradient_equals_finite_differences():
    circuit, _, tensors = small_targets(n=20)
    activity = random_activity(circuit, n_steps=12, n_trials=1)

    def value(spikes):
        return synchrony_loss(dataclasses.replace(activity, spikes=spikes), tensors, n_pools=5)[0]

    assert torch.autograd.gradcheck(value, activity.spikes.requires_grad_())


def test_independent_poisson_neurons_come_out_at_a_fano_factor_of_one_less_the_shortfall_of_few_bins():
    circuit, targets, _ = small_targets(n=60)
    random = np.random.default_rng(2).random((2000, 20, circuit.n_neurons))
    activity = dataclasses.replace(random_activity(circuit), spikes=torch.tensor(random < 0.01, dtype=torch.float32))
    _, parts = synchrony_loss(activity, targets.to(dtype=torch.float32), n_pools=200)
    n_bins = 1800 // np.maximum(np.rint(read_fano_curve(1800, "evoked")[0]), 1)
    expected = np.mean(0.99 * (1 - 1 / n_bins))  # binomial variance p (1 - p), less the mean of each window
    # Pools of one trial overlap, so count 20 windows: a variance over k bins has the error sqrt(2 / (k - 1) / 20).
    deviation = np.sqrt(np.sum(2 / (n_bins - 1) / 20)) / len(n_bins)
    assert parts["fano_model"].item() == pytest.approx(expected, abs=5 * deviation)


def test_pools_are_a_pure_function_of_seed_step_and_condition():
    circuit, _, tensors = small_targets()
    activity = random_activity(circuit, n_steps=40)
    values = {synchrony_loss(activity, tensors)[0].item() for _ in range(2)}
    assert len(values) == 1
    assert synchrony_loss(dataclasses.replace(activity, step=12), tensors)[0].item() not in values


@given(n_trials=st.integers(1, 4), n_cells=st.integers(1, 300), n_pools=st.integers(1, 60), seed=st.integers(0, 99))
def test_no_cell_is_twice_in_a_pool_and_sizes_stay_in_range(n_trials, n_cells, n_pools, seed):
    trial, cell, pool = draw_fano_pools(n_trials, n_cells, n_pools, np.random.default_rng(seed))
    sizes = np.bincount(pool)
    assert len(sizes) == n_pools
    assert sizes.min() >= min(15, n_cells)
    assert sizes.max() <= n_cells
    assert len(set(zip(pool, cell, strict=True))) == len(cell)
    assert len(set(zip(pool, trial, strict=True))) == n_pools
    assert 0 <= trial.min() <= trial.max() < n_trials
    assert 0 <= cell.min() <= cell.max() < n_cells


def test_pool_sizes_are_70_give_or_take_30():
    sizes = np.bincount(draw_fano_pools(1, 1000, 5000, np.random.default_rng(1))[2])
    # A normal distribution cut at 15 and rounded down: mean 69.8, standard deviation 29.3; five standard errors.
    assert sizes.mean() == pytest.approx(69.8, abs=5 * 29.3 / np.sqrt(5000))
