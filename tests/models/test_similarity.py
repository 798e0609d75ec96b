"""Similarities against scipy and closed forms; bootstrap intervals against the truth."""

import numpy as np
import pytest
import scipy.stats

from twincortex.models.similarity import Similarity, bootstrap_interval, mean_similarity, similarity


def generator(seed=1):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_similarity_is_one_minus_the_distance_that_scipy_finds(seed):
    random = generator(seed)
    # Small integers tie within and between the samples.
    a, b = random.poisson(3, 40 + seed).astype(float), random.poisson(4, 25)
    expected = 1 - scipy.stats.ks_2samp(a, b).statistic
    assert similarity(a, b).value == pytest.approx(expected, abs=1e-12)  # rounding


def test_the_same_sample_has_similarity_1_and_disjoint_ones_0():
    values = generator().normal(size=50)
    assert similarity(values, values[::-1]).value == 1
    assert similarity(values, values + 100).value == 0


def test_shifted_uniform_samples_have_the_closed_form():
    grid = (np.arange(1000) + 0.5) / 1000
    assert similarity(grid, grid + 0.3).value == pytest.approx(0.7, abs=1.1e-3)  # one value of 1,000 may tie


def test_increasing_functions_change_nothing():
    a, b = generator().lognormal(size=(2, 60))
    assert similarity(np.log10(a + 1e-3), np.log10(b + 1e-3)).value == similarity(a, b).value


def test_missing_values_are_left_out_and_counted_out():
    found = similarity(np.array([1.0, np.nan, 2.0]), np.array([1.0, 2.0, np.nan, np.nan]))
    assert (found.value, found.n) == (1.0, (2, 2))
    empty = similarity(np.array([np.nan]), np.arange(3.0), 10, generator())
    assert np.isnan(empty.value)
    assert empty.n == (0, 3)
    assert np.isnan(empty.interval).all()


def test_resampled_similarities_are_those_of_resampled_samples():
    a, b = generator().normal(size=20), generator(2).normal(0.5, size=30)
    found = similarity(a, b, 200, generator(3)).resampled
    random = generator(4)
    naive = [
        1 - scipy.stats.ks_2samp(random.choice(a, 20), random.choice(b, 30), method="asymp").statistic
        for _ in range(2000)
    ]
    assert found.shape == (200,)
    # Standard error of a mean of 200 is 0.007.
    assert found.mean() == pytest.approx(np.mean(naive), abs=0.03)
    assert found.std() == pytest.approx(np.std(naive), rel=0.25)


def test_intervals_cover_the_similarity_of_the_populations():
    random, covered = generator(), 0
    truth = 1 - (2 * scipy.stats.norm.cdf(0.5) - 1)  # of normal distributions one standard deviation apart
    for _ in range(100):
        low, high = similarity(random.normal(size=150), random.normal(1, size=150), 200, random).interval
        covered += low <= truth <= high
    # 91 % were found for samples like these, with 400 repetitions; chance leaves 82 of 100.
    assert covered >= 82


def test_the_same_seed_gives_the_same_resampled_similarities():
    a, b = generator().normal(size=(2, 30))
    first, again, other = (similarity(a, b, 50, generator(seed)).resampled for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_mean_similarity_averages_values_and_resampled_values():
    one = Similarity(0.5, (20, 20), np.array([0.4, 0.5, 0.6]))
    other = Similarity(0.9, (20, 20), np.array([0.8, 0.9, 1.0]))
    value, (low, high) = mean_similarity([one, other])
    assert value == pytest.approx(0.7)
    assert (low, high) == (pytest.approx(0.605), pytest.approx(0.795))  # .6 .7 .8 at 2.5 and 97.5 %, reflected at .7
    assert np.isnan(mean_similarity([])[0])


def test_intervals_are_reflected_and_stay_between_0_and_1():
    resampled = np.linspace(0.6, 0.8, 101)  # 2.5 and 97.5 %: .605, .795
    assert bootstrap_interval(0.75, resampled) == (pytest.approx(0.705), pytest.approx(0.895))
    assert bootstrap_interval(0.95, resampled)[1] == 1.0
