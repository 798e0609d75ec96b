"""The background: rate, counts per step, stamps, repeatability."""

import numpy as np
import pytest
import scipy.stats

from twincortex.models.background import background_spikes
from twincortex.models.errors import InputError


def test_units_fire_at_250_hz():
    trains = background_spikes(10_000.0, seed=1)
    assert (trains.population, trains.n_units) == ("bkg", 100)
    expected = 40_000 * 100 * 0.0625
    assert trains.n_spikes == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - 0.0625)))  # four standard errors


def test_counts_at_dt_1_ms_are_binomial():
    steps = background_spikes(10_000.0, seed=2)
    per_step = np.bincount(steps.steps(1.0) * 100 + steps.node_ids, minlength=10_000 * 100)
    observed = np.bincount(per_step, minlength=5)
    expected = 1e6 * scipy.stats.binom.pmf(np.arange(5), 4, 0.0625)
    assert scipy.stats.chisquare(observed, expected).pvalue > 1e-3


def test_stamps_close_their_bin_and_fall_on_the_grid():
    trains = background_spikes(1000.0, seed=3)
    assert trains.times.min() == 0.25
    assert trains.times.max() == 1000.0
    trains.check_within(1000.0)
    np.testing.assert_array_equal(trains.times, 0.25 * (trains.steps(0.25) + 1))
    np.testing.assert_array_equal(trains.steps(1.0), trains.steps(0.25) // 4)


def test_at_most_one_spike_per_bin():
    trains = background_spikes(1000.0, seed=3)
    assert len(np.unique(trains.steps(0.25) * 100 + trains.node_ids)) == trains.n_spikes


def test_a_trial_repeats_exactly_and_a_longer_run_begins_the_same():
    short, long, other = (background_spikes(t, seed=5, trial=k) for t, k in ((500.0, 7), (800.0, 7), (500.0, 8)))
    is_early = long.times <= 500.0
    np.testing.assert_array_equal(short.times, long.times[is_early])
    np.testing.assert_array_equal(short.node_ids, long.node_ids[is_early])
    assert not np.array_equal(short.times[:1000], other.times[:1000])


@pytest.mark.parametrize(("duration", "rate"), [(1000.0, 4001.0), (1000.0, -1.0), (0.0, 250.0), (np.nan, 250.0)])
def test_impossible_requests_are_refused(duration, rate):
    with pytest.raises(InputError, match="expected"):
        background_spikes(duration, seed=1, rate=rate)
