"""Surrogates are finite everywhere, nonzero where they have to be, and only touch the gradient."""

import pytest
import torch

from twincortex.models.errors import InputError
from twincortex.models.surrogate.spike_functions import (
    REFERENCE_SHAPING,
    SURROGATES,
    GradientShaping,
    scale_gradient,
    spike,
)

# Where the bump is mathematically zero (triangular) or underflows in float64 (Gaussian beyond 27 widths).
REACH = {"triangular": 1.0, "gaussian": 26.0, "exponential": 700.0}


@pytest.mark.parametrize("name", SURROGATES)
def test_surrogate_is_finite_from_minus_200_to_100_mv_and_nonzero_within_its_reach(name):
    shaping = GradientShaping(name, width=0.28, gain=0.05)
    v = torch.linspace(-200, 100, 30_001, dtype=torch.float64)
    excess, scale = (v + 45.0).requires_grad_(), torch.tensor(30.0, dtype=torch.float64)
    spike(excess, scale, shaping).sum().backward()
    assert torch.isfinite(excess.grad).all()
    within = excess.abs() / scale < shaping.width * REACH[name]
    assert (excess.grad[within] > 0).all()
    # dz/dV in 1/mV: the slope in units of V_th - E_L over V_th - E_L.
    assert excess.grad.max() == pytest.approx(shaping.gain / 30.0, rel=1e-3)


@pytest.mark.parametrize("name", SURROGATES)
def test_a_spike_is_emitted_only_strictly_above_the_threshold(name):
    x = torch.tensor([-1e-300, 0.0, 1e-300], dtype=torch.float64)
    assert spike(x, torch.tensor(30.0, dtype=torch.float64), GradientShaping(name)).tolist() == [0.0, 0.0, 1.0]


def test_scaled_gradients_leave_the_value_alone():
    x = torch.tensor([2.0, -3.0], dtype=torch.float64, requires_grad=True)
    y = scale_gradient(x, 0.1)
    y.square().sum().backward()
    assert y.tolist() == x.tolist()
    torch.testing.assert_close(x.grad, 0.1 * 2 * x.detach())


def test_the_reference_shaping_is_a_named_option():
    assert (REFERENCE_SHAPING.surrogate, REFERENCE_SHAPING.gain) == ("triangular", 0.1)
    assert (REFERENCE_SHAPING.recurrent_factor, REFERENCE_SHAPING.voltage_factor) == (0.1, 0.5)


@pytest.mark.parametrize(("change", "expected"), [({"surrogate": "gausian"}, "gaussian"), ({"width": 0.0}, "width")])
def test_bad_shaping_is_refused_with_a_hint(change, expected):
    with pytest.raises(InputError, match=expected):
        GradientShaping(**change)
