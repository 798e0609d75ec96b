"""Optimizers, one table, times laws: the formula, signs, zeros, clipping, state."""

import doctest
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincortex.models.errors import InputError
from twincortex.training import optimizers
from twincortex.training.optimizers import ExponentiatedAdam, ExponentiatedGradient


def gradient_formula(weight, gradients, lr):
    for gradient in gradients:
        weight = weight * np.exp(-lr * gradient * np.sign(weight))
    return weight


def adam_formula(weight, gradients, lr):
    m = v = np.zeros_like(weight)
    for t, gradient in enumerate(gradients, start=1):
        m = 0.9 * m + (1 - 0.9) * gradient
        v = 0.999 * v + (1 - 0.999) * gradient**2
        rate = lr * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weight = weight * np.exp(-rate * m / (np.sqrt(v) + 1e-11) * np.sign(weight))
    return weight


OPTIMIZERS = {"gradient": (ExponentiatedGradient, gradient_formula), "adam": (ExponentiatedAdam, adam_formula)}
LR = 0.05


@pytest.fixture(params=OPTIMIZERS)
def kind(request):
    return OPTIMIZERS[request.param][0]


def signed_weights(n=50, seed=0, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    weight = rng.lognormal(0, 2, n) * rng.choice([-1, 0, 1], n)
    return torch.nn.Parameter(torch.tensor(weight, dtype=dtype))


def step_along(optimizer, weight, gradients):
    for gradient in gradients:
        weight.grad = torch.as_tensor(gradient, dtype=weight.dtype)
        optimizer.step()
    return weight.detach().numpy().copy()


@pytest.mark.parametrize("n_steps", [1, 7])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_equal_the_formula(name, n_steps):
    kind, formula = OPTIMIZERS[name]
    weight = signed_weights()
    gradients = np.random.default_rng(1).normal(0, 3, (n_steps, 50))
    expected = formula(weight.detach().numpy().copy(), gradients, LR)
    found = step_along(kind([weight], lr=LR), weight, gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)  # rounding of float64


@given(
    dtype=st.sampled_from([torch.float32, torch.float64]),
    size=st.floats(-30, 30),
    max_exponent=st.sampled_from([0.1, 1.0, 50.0, math.inf]),
    seed=st.integers(0, 1000),
)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_sign_ever_flips_and_no_zero_ever_moves(name, dtype, size, max_exponent, seed):
    weight = signed_weights(seed=seed, dtype=dtype)
    before = weight.detach().numpy().copy()
    gradients = np.random.default_rng(seed).normal(0, 10**size, (3, 50))
    after = step_along(OPTIMIZERS[name][0]([weight], lr=1.0, max_exponent=max_exponent), weight, gradients)
    assert np.isfinite(after).all()
    np.testing.assert_array_equal(np.sign(after), np.sign(before))  # so no weight dies either


@given(max_exponent=st.floats(0.01, 3), seed=st.integers(0, 1000))
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_step_is_larger_than_the_largest_exponent(name, max_exponent, seed):
    weight = signed_weights(seed=seed)
    before = weight.detach().numpy().copy()
    gradient = np.random.default_rng(seed).normal(0, 5, (1, 50))
    after = step_along(OPTIMIZERS[name][0]([weight], lr=1.0, max_exponent=max_exponent), weight, gradient)
    moved = before != 0
    assert np.abs(np.log(after[moved] / before[moved])).max() <= max_exponent * (1 + 1e-12)  # rounding


def test_clipped_weights_are_counted_over_all_steps():
    weight = torch.nn.Parameter(torch.tensor([1.0, -1.0, 2.0, 0.0]))
    optimizer = ExponentiatedGradient([weight], lr=1.0, max_exponent=0.5)
    step_along(optimizer, weight, [[0.4, 0.6, -7.0, 9.0], [0.51, 0.0, 0.0, 0.0]])
    assert optimizer.state[weight]["n_clipped"] == 3  # the zero does not move, so it is not clipped


def test_state_dict_round_trip_continues_bitwise(kind):
    gradients = np.random.default_rng(2).normal(0, 1, (6, 50))
    straight = signed_weights(dtype=torch.float32)
    expected = step_along(kind([straight], lr=LR, max_exponent=0.04), straight, gradients)

    first = signed_weights(dtype=torch.float32)
    before = kind([first], lr=LR, max_exponent=0.04)
    step_along(before, first, gradients[:3])
    resumed = torch.nn.Parameter(first.detach().clone())
    after = kind([resumed], lr=99.0)
    after.load_state_dict(before.state_dict())
    assert after.state[resumed]["n_clipped"] == before.state[first]["n_clipped"] > 0
    np.testing.assert_array_equal(step_along(after, resumed, gradients[3:]), expected)


def test_closure_is_evaluated_with_gradients_and_its_loss_returned(kind):
    weight = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = kind([weight], lr=LR)

    def closure():
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(50)]
    assert losses[0] == 13.0
    assert (np.diff(losses) < 0).all()


def test_weights_without_gradient_stay_and_groups_have_their_own_rate(kind):
    fast, slow, frozen = (torch.nn.Parameter(torch.tensor([2.0])) for _ in range(3))
    optimizer = kind([{"params": [fast, frozen], "lr": 0.2}, {"params": [slow]}], lr=0.1)
    (fast + slow).backward()
    optimizer.step()
    assert frozen.item() == 2.0
    torch.testing.assert_close((fast.detach() / 2).log(), 2 * (slow.detach() / 2).log())


def test_order_of_weights_does_not_matter(kind):
    gradients = np.random.default_rng(3).normal(0, 1, (4, 50))
    order = np.random.default_rng(4).permutation(50)
    weight = signed_weights()
    permuted = torch.nn.Parameter(weight.detach()[order].clone())
    found = step_along(kind([permuted], lr=LR), permuted, gradients[:, order])
    np.testing.assert_array_equal(found, step_along(kind([weight], lr=LR), weight, gradients)[order])


def test_schedules_of_torch_apply(kind):
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = kind([weight], lr=LR)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.0)
    step_along(optimizer, weight, [[1.0]])
    schedule.step()
    after_one = weight.item()
    step_along(optimizer, weight, [[1.0]])
    assert weight.item() == after_one != 1.0


def test_gradients_that_are_not_numbers_stay_visible(kind):
    weight = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
    after = step_along(kind([weight], lr=LR), weight, [[math.nan, 1.0]])
    assert np.isnan(after).tolist() == [True, False]


@pytest.mark.parametrize("wrong", [{"lr": -1}, {"max_exponent": 0}, {"eps": -1e-9}, {"betas": (0.9, 1.0)}])
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        ExponentiatedAdam([torch.nn.Parameter(torch.ones(1))], **wrong)


def test_examples_in_the_docstrings_run():
    results = doctest.testmod(optimizers)
    assert results.attempted > 0
    assert results.failed == 0
