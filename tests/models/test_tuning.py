"""Tuning of Poisson neurons against what they were made with; the significance test against its definition."""

import numpy as np
import pytest
import scipy.stats

from twincortex.models.tuning import circular_distance, measure_tuning, orientation_significance

DIRECTIONS = np.arange(0, 360, 45.0)


def poisson_rates(mean_Hz, n_trials=10, window_s=2.0, seed=1):
    """(N, D) mean rates to (N, D, K) measured rates."""
    counts = np.random.default_rng(seed).poisson(mean_Hz[..., None] * window_s, size=(*mean_Hz.shape, n_trials))
    return counts / window_s


def test_measured_selectivity_is_that_of_the_rates_the_spikes_were_drawn_from():
    # r = R (1 + a cos 2 d + b cos d) has OSI a/2 and DSI b/2.
    preferred = np.linspace(0, 350, 36)
    delta = np.deg2rad(DIRECTIONS - preferred[:, None])
    rates = poisson_rates(20 * (1 + 0.6 * np.cos(2 * delta) + 0.3 * np.cos(delta)), n_trials=50)
    tuning = measure_tuning(rates, np.zeros(36), DIRECTIONS)
    # 16,000 spikes a cell: standard error of a vector length about 0.006, of a direction 1.5 deg.
    np.testing.assert_allclose(tuning.OSI, 0.3, atol=0.025)
    np.testing.assert_allclose(tuning.DSI, 0.15, atol=0.025)
    assert circular_distance(tuning.preferred_direction, preferred).max() < 6
    assert tuning.is_tuned.all()


def test_rates_are_means_over_directions_and_trials_and_the_best_direction():
    rates = np.zeros((1, 8, 2))
    rates[0, 3] = [4.0, 8.0]
    tuning = measure_tuning(rates, np.array([1.5]), DIRECTIONS)
    assert tuning.evoked_rate_Hz[0] == 0.75
    assert tuning.preferred_direction_rate_Hz[0] == 6.0
    assert tuning.spontaneous_rate_Hz[0] == 1.5
    assert tuning.OSI[0] == pytest.approx(1.0)


def test_cells_below_half_a_hertz_at_their_best_direction_have_no_selectivity():
    rates = np.zeros((3, 8, 1))
    rates[:, 2, 0] = [0.0, 0.49, 0.5]
    tuning = measure_tuning(rates, np.zeros(3), DIRECTIONS)
    np.testing.assert_array_equal(np.isnan(tuning.OSI), [True, True, False])
    np.testing.assert_array_equal(np.isnan(tuning.DSI), [True, True, False])


def test_untuned_cells_are_called_tuned_as_often_as_the_level_says():
    p = orientation_significance(poisson_rates(np.full((4000, 8), 10.0)), DIRECTIONS)
    # 5 % of 4,000 cells, five standard errors of 0.0034; T-squared of counts is a little off the normal one.
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.017)


def test_significance_is_hotellings_test_against_zero():
    rates = poisson_rates(np.random.default_rng(5).uniform(2, 9, size=(20, 8)))
    vector = np.einsum("ndk,d->nk", rates, np.exp(2j * np.deg2rad(DIRECTIONS)))
    n = rates.shape[2]
    for cell, p in enumerate(orientation_significance(rates, DIRECTIONS)):
        sample = np.stack([vector[cell].real, vector[cell].imag])
        t2 = n * sample.mean(1) @ np.linalg.solve(np.cov(sample), sample.mean(1))
        assert p == pytest.approx(scipy.stats.f.sf((n - 2) / (2 * (n - 1)) * t2, 2, n - 2), rel=1e-9)  # rounding


def test_cells_that_cannot_be_tested_have_no_p_value():
    rates = np.zeros((2, 8, 5))
    rates[1, 0] = 3.0  # no spread over trials
    assert np.isnan(orientation_significance(rates, DIRECTIONS)).all()
    assert np.isnan(orientation_significance(poisson_rates(np.full((1, 8), 9.0), n_trials=2), DIRECTIONS)).all()


@pytest.mark.parametrize(
    ("a", "b", "direction", "orientation"), [(350, 10, 20, 20), (10, 200, 170, 10), (0, 90, 90, 90)]
)
def test_distances_go_the_short_way_round(a, b, direction, orientation):
    assert circular_distance(a, b) == circular_distance(b, a) == direction
    assert circular_distance(a, b, 180.0) == orientation
