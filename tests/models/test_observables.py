"""Observables against closed forms, on numpy arrays and on torch tensors alike."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import iv

from twincortex.models.errors import InputError
from twincortex.models.observables import (
    crowd_selectivity,
    fano_factor_curve,
    firing_rate,
    isi_cv,
    orientation_selectivity,
    preferred_direction,
    rates_of,
)
from twincortex.models.spikes import from_steps

KINDS = {"numpy": np.asarray, "torch": torch.as_tensor}
DIRECTIONS = np.arange(0, 360, 7.5)  # fine enough that sums over von Mises curves equal integrals to rounding


@pytest.fixture(params=KINDS)
def array(request):
    return KINDS[request.param]


def von_mises(direction, preferred, kappa):
    return np.exp(kappa * np.cos(np.deg2rad(direction - preferred)))


@pytest.mark.parametrize("kappa", [0.1, 1.0, 4.0])
def test_selectivity_of_von_mises_tuning_is_a_ratio_of_bessel_functions(array, kappa):
    rates = 7.0 * von_mises(DIRECTIONS, 33.0, kappa)
    osi, dsi = orientation_selectivity(array(rates), array(DIRECTIONS))
    assert float(osi) == pytest.approx(iv(2, kappa) / iv(0, kappa), abs=1e-12)  # rounding
    assert float(dsi) == pytest.approx(iv(1, kappa) / iv(0, kappa), abs=1e-12)


def test_preferred_direction_of_von_mises_tuning_is_its_peak(array):
    peaks = np.array([1.0, 89.0, 91.0, 179.0, 181.0, 271.0, 359.0])
    rates = von_mises(DIRECTIONS, peaks[:, None], 2.0)
    found = preferred_direction(array(rates), array(DIRECTIONS))
    np.testing.assert_allclose(np.asarray(found), peaks, atol=1e-9)  # rounding


def test_orientation_tuning_with_a_weaker_opposite_peak_keeps_its_preferred_direction(array):
    rates = von_mises(DIRECTIONS, 200.0, 3.0) + 0.6 * von_mises(DIRECTIONS, 20.0, 3.0)
    assert float(preferred_direction(array(rates), array(DIRECTIONS))) == pytest.approx(200.0)


def test_silent_cells_have_no_selectivity(array):
    silent = array(np.zeros((2, 8)))
    direction = array(np.arange(8) * 45.0)
    for value in (*orientation_selectivity(silent, direction), preferred_direction(silent, direction)):
        assert np.isnan(np.asarray(value)).all()


@given(scale=st.floats(1e-3, 1e3), turn=st.integers(0, 7), seed=st.integers(0, 100))
def test_selectivity_ignores_scale_and_rotation(scale, turn, seed):
    rates = np.random.default_rng(seed).random(8)
    direction = np.arange(8) * 45.0
    turned = orientation_selectivity(scale * np.roll(rates, turn), direction)
    np.testing.assert_allclose(turned, orientation_selectivity(rates, direction), atol=1e-12)  # rounding


def test_a_crowd_that_samples_all_tuning_angles_has_the_selectivity_of_its_cells(array):
    n_cells, kappa = 48, 1.5
    tuning_angle = np.arange(n_cells) * 360 / n_cells
    delta = np.array([[0.0], [111.0]]) - tuning_angle
    membership = np.full((n_cells, 1), 1 / n_cells)
    osi, dsi = crowd_selectivity(array(von_mises(delta, 0.0, kappa)), array(delta), array(membership))
    assert float(osi[0]) == pytest.approx(iv(2, kappa) / iv(0, kappa), abs=1e-12)  # rounding
    assert float(dsi[0]) == pytest.approx(iv(1, kappa) / iv(0, kappa), abs=1e-12)


def test_a_silent_crowd_has_selectivity_zero(array):
    osi, dsi = crowd_selectivity(array(np.zeros((2, 3))), array(np.ones((2, 3))), array(np.full((3, 1), 1 / 3)))
    assert float(osi[0]) == float(dsi[0]) == 0


def test_firing_rate_is_in_hertz_whatever_dt(array):
    spikes = np.zeros((400, 2))
    spikes[::40, 1] = 1
    np.testing.assert_allclose(np.asarray(firing_rate(array(spikes), dt=1.0)), [0, 25])
    np.testing.assert_allclose(np.asarray(firing_rate(array(spikes), dt=0.25)), [0, 100])


def test_rates_of_recorded_trains_count_the_steps_between_start_and_stop():
    trains = from_steps("v1", 3, [0, 1, 2, 2, 3], [0, 0, 2, 2, 0], dt=0.1)
    np.testing.assert_allclose(rates_of(trains, 0.0, 0.4), [7500, 0, 5000])
    # A step ends at 3 * 0.1, which as doubles is later than 0.3.
    np.testing.assert_allclose(rates_of(trains, 0.1, 0.3), [5000, 0, 10000])
    with pytest.raises(InputError, match="expected a stop after the start"):
        rates_of(trains, 1.0, 1.0)


def test_rates_of_trains_are_those_of_their_spikes_per_step():
    counts = np.random.default_rng(4).poisson(0.2, size=(200, 6))
    steps, ids = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0).T
    rates = rates_of(from_steps("v1", 6, steps, ids, 0.5), 0.0, 100.0)
    np.testing.assert_allclose(rates, firing_rate(counts.astype(float), 0.5))


def test_poisson_counts_have_a_fano_factor_of_one(array):
    counts = np.random.default_rng(1).poisson(0.3, size=(12_000, 20)).astype(float)
    for width, fano in zip((1, 10, 100), fano_factor_curve(array(counts), (1, 10, 100)), strict=True):
        n_bins = 12_000 // width
        deviation = np.sqrt(2 / n_bins / 20)  # standard error of a variance, over 20 pools
        assert np.asarray(fano).mean() == pytest.approx(1 - 1 / n_bins, abs=5 * deviation)


def test_regular_counts_have_a_fano_factor_of_zero_and_bursts_one_of_their_size(array):
    regular = np.ones((60, 1))
    bursts = np.zeros((60_000, 1))
    bursts[np.random.default_rng(2).permutation(60_000)[:600]] = 5.0
    assert float(fano_factor_curve(array(regular), [7])[0][0]) == 0
    assert float(fano_factor_curve(array(bursts), [1])[0][0]) == pytest.approx(
        5 * (1 - 0.01)
    )  # m = p b, var = p b^2 - m^2


def test_silent_pools_and_an_incomplete_last_bin_do_not_count(array):
    counts = np.zeros((10, 2))
    counts[9, 1] = 50  # falls into the incomplete bin
    np.testing.assert_array_equal(np.asarray(fano_factor_curve(array(counts), [3])[0]), [0, 0])


def test_interspike_intervals_of_a_poisson_process_vary_by_their_mean_and_those_of_a_clock_do_not():
    rng = np.random.default_rng(3)
    trains = [np.cumsum(rng.exponential(20, 4000)), np.arange(1, 100) * 7.0, np.array([5.0])]
    times, ids = np.concatenate(trains), np.repeat(np.arange(3), list(map(len, trains)))
    shuffled = rng.permutation(len(times))
    cv = isi_cv(times[shuffled], ids[shuffled], n_units=4)
    assert cv[0] == pytest.approx(1, abs=5 / np.sqrt(4000))  # standard error of the CV of n exponentials is 1/sqrt(n)
    assert cv[1] == pytest.approx(0, abs=1e-7)  # square root of rounding
    assert np.isnan(cv[2:]).all()


def test_gradients_flow_through_every_observable_of_the_losses():
    rates = torch.rand(3, 8, dtype=torch.float64, requires_grad=True)
    direction = torch.arange(8, dtype=torch.float64) * 45
    assert torch.autograd.gradcheck(lambda r: orientation_selectivity(r, direction), rates)
    assert torch.autograd.gradcheck(lambda r: tuple(fano_factor_curve(r, [1])), rates)
