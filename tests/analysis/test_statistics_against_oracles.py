"""Fano factor and ISI-CV against elephant, Kolmogorov-Smirnov against scipy, OSI and DSI against closed forms."""

import numpy as np
import pytest
import scipy.stats
from synthetic_experiments import DIRECTIONS, tuned_rates

from twincortex.analysis.grating_counts import selectivity
from twincortex.models.observables import fano_factor_curve, isi_cv, orientation_selectivity
from twincortex.models.similarity import similarity
from twincortex.models.spikes import from_steps


@pytest.fixture(scope="module")
def elephant():
    return pytest.importorskip("elephant.statistics", reason="elephant is in the extra dev")


@pytest.fixture(scope="module")
def trains():
    """Gamma-distributed intervals of orders 1 to 4 at 5 to 40 Hz, and a unit of one spike, 30 s in steps of 1 ms."""
    random = np.random.default_rng(1)
    order, rate = random.integers(1, 5, 12), random.uniform(5, 40, 12)
    times = [np.cumsum(random.gamma(k, 1000 / r / k, 2000)) for k, r in zip(order, rate, strict=True)]
    steps = [np.unique(one[one < 29_999].astype(int)) for one in times] + [np.array([77])]
    ids = np.repeat(np.arange(13), list(map(len, steps)))
    return from_steps("v1", 13, np.concatenate(steps), ids, 1.0)


def test_isi_cv_is_that_of_elephant(elephant, trains):
    ours = isi_cv(trains.times, trains.node_ids, 13)
    for unit in range(12):
        intervals = elephant.isi(trains.times[trains.node_ids == unit])
        assert ours[unit] == pytest.approx(elephant.cv(intervals), rel=1e-12)
    assert np.isnan(ours[12])


@pytest.mark.parametrize("width", [1, 10, 250])
def test_fano_factors_are_those_of_elephant(elephant, trains, width):
    import neo
    import quantities

    counts = np.zeros((30_000, 13))
    np.add.at(counts, (np.rint(trains.times).astype(int) - 1, trains.node_ids), 1)
    ours = fano_factor_curve(counts, [width])[0]
    for unit in range(12):
        # Elephant takes one train per window: the bins of ours, cut out of the recording.
        times = trains.times[trains.node_ids == unit] - 0.5  # from the end of a step to its middle
        of_bin = np.split(times, np.searchsorted(times, np.arange(width, 30_000, width)))
        cut = [neo.SpikeTrain(one * quantities.ms, t_stop=30_000 * quantities.ms) for one in of_bin[: 30_000 // width]]
        if width > 1 or unit == 0:  # 30,000 trains a unit take long
            assert ours[unit] == pytest.approx(elephant.fanofactor(cut), rel=1e-12)


def test_similarity_is_one_minus_the_distance_of_scipy():
    random = np.random.default_rng(2)
    for n, m in ((5, 400), (60, 60), (300, 17)):
        a, b = random.lognormal(0, 1, n).round(1), random.lognormal(0.4, 1, m).round(1)  # with ties
        assert similarity(a, b).value == pytest.approx(1 - scipy.stats.ks_2samp(a, b).statistic, abs=1e-12)


@pytest.mark.parametrize("preferred", [0.0, 33.0, 200.0])
def test_selectivity_of_cosine_tuning_is_its_coefficients(preferred):
    # r = R (1 + 2 a cos 2 d + 2 b cos d) has OSI a and DSI b, whatever the directions that are sampled.
    for osi, dsi in ((0.3, 0.1), (0.0, 0.4), (0.45, 0.0)):
        found = selectivity(tuned_rates(7.0, preferred, osi, dsi), DIRECTIONS)
        assert found == pytest.approx((osi, dsi), abs=1e-12)


def test_selectivity_of_extremes():
    one_direction = np.eye(8)[3] * 20
    assert orientation_selectivity(one_direction, DIRECTIONS) == pytest.approx((1, 1))
    opposite_directions = one_direction + np.eye(8)[7] * 20
    assert orientation_selectivity(opposite_directions, DIRECTIONS) == pytest.approx((1, 0), abs=1e-12)
    assert orientation_selectivity(np.full(8, 4.0), DIRECTIONS) == pytest.approx((0, 0), abs=1e-12)
    # A von Mises bump of width kappa sampled at 8 directions, direction by direction.
    rates = np.exp(2 * np.cos(np.deg2rad(DIRECTIONS)))
    by_hand = [
        abs(sum(r * np.exp(1j * h * np.deg2rad(d)) for r, d in zip(rates, DIRECTIONS, strict=True))) for h in (2, 1)
    ]
    assert orientation_selectivity(rates, DIRECTIONS) == pytest.approx(np.array(by_hand) / rates.sum())
