"""Intervals and p-values of resampling: coverage, uniformity, scipy's bootstrap."""

import numpy as np
import pytest
import scipy.stats

from twincortex.analysis.resampling import (
    difference_of_means,
    mean_with_limits,
    percentile_interval,
    resampled_means,
    type_means,
)
from twincortex.models.errors import InputError


def test_intervals_hold_the_mean_95_times_in_100():
    random = np.random.default_rng(1)
    samples = random.exponential(2.0, (60, 1000))  # 1,000 experiments of 60 neurons
    low, high = percentile_interval(resampled_means(samples, random, 400))
    # Skewed samples of 60 are covered a little less than normal ones; 4 standard errors of a share of 1,000 are 0.028.
    assert np.mean((low < 2) & (high > 2)) == pytest.approx(0.94, abs=0.03)


def test_limits_are_those_of_scipy():
    values = np.random.default_rng(2).lognormal(size=200)
    ours = mean_with_limits(values, seed=1, purpose="test", n_bootstrap=10_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(3)
    ).confidence_interval
    spread = theirs.high - theirs.low
    assert (ours["low"], ours["high"]) == pytest.approx(theirs, abs=0.04 * spread)  # noise of two 2.5 % quantiles


def test_missing_values_are_left_out_and_drawn_with_their_neuron():
    values = np.array([[1.0, np.nan], [3.0, 5.0]])
    means = resampled_means(values, np.random.default_rng(4), 200)
    assert set(means[:, 0]) == {1.0, 2.0, 3.0}
    assert set(means[~np.isnan(means[:, 1]), 1]) == {5.0}
    np.testing.assert_array_equal(np.isnan(means[:, 1]), means[:, 0] == 1.0)


def test_type_means_come_from_the_pia_downwards_with_their_numbers():
    cell_type = np.array(["L6_Exc", "L1_Inh", "L6_Exc", "L4_PV", "L4_PV"])
    table = type_means([2.0, 7.0, 4.0, np.nan, np.nan], cell_type)
    assert table.cell_type.tolist() == ["L1_Inh", "L4_PV", "L6_Exc"]
    assert table.n.tolist() == [1, 0, 2]
    np.testing.assert_array_equal(table["mean"], [7.0, np.nan, 3.0])
    assert table.low.isna().tolist() == [True, True, False]  # one neuron has no interval
    assert (table.low.iloc[2], table.high.iloc[2]) == (2.0, 4.0)
    with pytest.raises(InputError, match="cell types L7_Exc are unknown"):
        type_means([1.0], ["L7_Exc"])


def test_permutation_p_is_uniform_without_a_difference_and_small_with_one():
    random = np.random.default_rng(5)
    found = [
        difference_of_means(random.exponential(size=30), random.exponential(size=8), n_bootstrap=2, n_permutations=199)
        for _ in range(150)
    ]
    assert scipy.stats.kstest([one["p"] for one in found], "uniform").pvalue > 0.001
    apart = difference_of_means(random.normal(2, 1, 30), random.normal(0, 1, 20), n_permutations=999)
    assert apart["p"] == 2 / 1000  # two-sided, none of the permutations comes near
    assert apart["difference"] == pytest.approx(2, abs=4 * np.sqrt(1 / 30 + 1 / 20))  # 4 standard errors
    assert apart["high"] - apart["low"] == pytest.approx(2 * 1.96 * np.sqrt(1 / 30 + 1 / 20), rel=0.35)


def test_small_groups_have_no_interval():
    assert np.isnan(list(difference_of_means([], [1.0]).values())).all()
    found = difference_of_means([3.0], [1.0, 2.0])
    assert found["difference"] == 1.5
    assert np.isnan([found["low"], found["p"]]).all()
