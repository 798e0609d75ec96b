"""Responsiveness, reliability and contrast preference against what made-up neurons were made with."""

import numpy as np
import pytest
import scipy.stats
from synthetic_experiments import contrast_experiment, tuned_rates

from twincortex.analysis.contrast_preference import (
    pearson,
    preference_table,
    preferred_contrast_range,
    quasi_poisson_p,
    read_recorded_preferences,
    responsiveness,
    tuning_reliability,
)
from twincortex.analysis.grating_counts import grating_counts
from twincortex.models.errors import InputError
from twincortex.models.parameters import read_populations

CONTRASTS = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8])


def test_quasi_poisson_p_is_that_of_scipy_for_whole_numbers():
    blank = np.array([[3, 5, 4, 8]])  # mean 5, variance 14 / 3
    phi = 14 / 3 / 5
    total = 60 * phi  # so that k is 60
    driven, suppressed = quasi_poisson_p(np.array([total]), 10, blank)
    mu = 50 / phi
    assert driven[0] == pytest.approx(scipy.stats.poisson.sf(59, mu), rel=1e-9)
    assert suppressed[0] == pytest.approx(scipy.stats.poisson.cdf(60, mu), rel=1e-9)


@pytest.mark.parametrize("dispersion", [1, 3])
def test_false_alarms_are_as_many_as_the_level_says(dispersion):
    random = np.random.default_rng(1)
    # Sums of `dispersion` spikes at a time; so many blanks that the expected count is known.
    blank = dispersion * random.poisson(9 / dispersion, (3000, 1000))
    total = dispersion * random.poisson(9 / dispersion, (3000, 40)).sum(axis=1)
    for p in quasi_poisson_p(total, 40, blank):
        assert np.mean(p < 0.01) == pytest.approx(0.01, abs=0.007)  # 4 standard errors, steps of whole spikes


def test_silent_and_regular_blanks_have_a_defined_p():
    blank = np.array([[0, 0, 0, 0], [2, 2, 2, 2]])
    driven, suppressed = quasi_poisson_p(np.array([1, 20]), 10, blank)
    assert driven[0] == pytest.approx(1 - np.exp(-2.5))  # one spike expected in four blanks
    assert driven[1] == pytest.approx(scipy.stats.poisson.sf(19, 20))
    assert suppressed[1] == pytest.approx(scipy.stats.poisson.cdf(20, 20))
    assert quasi_poisson_p(np.array([0]), 10, blank[1:])[0] == 1
    with pytest.raises(InputError, match="1 blanks"):
        quasi_poisson_p(np.array([1]), 1, np.array([[1]]))


def test_driven_and_suppressed_neurons_are_told_apart():
    rates = np.repeat([15.0, 5.0, 10.0], 40)[:, None, None] * np.ones((1, 6, 8))
    counts = grating_counts(contrast_experiment(rates, CONTRASTS, ["L5_ET"] * 120, np.full(120, 10.0)))
    driven, suppressed = (p.reshape(3, 40) < 0.01 for p in responsiveness(counts))
    assert driven[0].all()
    assert suppressed[1].all()
    assert not driven[1].any()
    # The 30 blanks carry more noise than the 480 responses, so an indifferent neuron is called out too often.
    assert (driven[2] | suppressed[2]).mean() < 0.6


def test_reliability_is_that_of_signal_and_noise():
    random = np.random.default_rng(2)
    rates = np.concatenate(
        [tuned_rates(np.full((200, 6), 10.0), random.uniform(0, 360, (200, 1))), np.full((200, 6, 8), 10.0)]
    )
    counts = grating_counts(contrast_experiment(rates, CONTRASTS, ["L5_ET"] * 400, np.ones(400)))
    reliability = tuning_reliability(counts)
    assert reliability.shape == (400, 6)
    # Over directions: variance 10^2 (2 .3^2 + 2 .1^2) = 20 Hz^2 of signal, 10 / (1.8 * 5) = 1.1 of noise in a half.
    assert np.median(reliability[:200]) == pytest.approx(20 / 21.1, abs=0.03)
    assert reliability[200:].mean() == pytest.approx(0, abs=4 / np.sqrt(1200 * 7))  # r of 8 points has variance 1/7
    with pytest.raises(InputError, match="one trial per grating"):
        tuning_reliability(grating_counts(contrast_experiment(rates[:1], CONTRASTS, ["L5_ET"], np.ones(1), n_trials=1)))


def test_pearson_is_that_of_numpy_and_undefined_where_constant():
    a, b = np.random.default_rng(3).normal(size=(2, 4, 9))
    np.testing.assert_allclose(pearson(a, b), [np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)])
    assert np.isnan(pearson(np.ones(3), np.arange(3.0)))


def test_high_band_and_low_pass_neurons_are_told_apart():
    def sigmoid(c50):
        return 1 / (1 + np.exp(-10 * (CONTRASTS - c50)))

    # Up to a contrast of .8 a steepness of 10 bends little, so the rates are high, and the band is the narrowest.
    shapes = {"high": sigmoid(0.4), "low": 1 - sigmoid(0.3), "band": sigmoid(0.4) * (1 - sigmoid(0.4)) * 4}
    rates = np.repeat([4 + 40 * shape for shape in shapes.values()], 30, axis=0)[:, :, None] * np.ones(8)
    counts = grating_counts(contrast_experiment(rates, CONTRASTS, ["L4_Exc"] * 90, np.ones(90), n_trials=20))
    found = preferred_contrast_range(counts).reshape(3, 30)
    for name, of_kind in zip(shapes, found, strict=True):
        assert np.mean(of_kind == name) > 0.8, name


def test_a_band_that_is_flat_over_the_contrasts_shown_does_not_win():
    contrasts = np.array([0.1, 0.8])  # the product of the sigmoids around 0.45 is the same at both
    rates = np.tile([[2.0], [20.0]], (10, 1, 8))
    counts = grating_counts(contrast_experiment(rates, contrasts, ["L4_Exc"] * 10, np.ones(10)))
    assert (preferred_contrast_range(counts) == "high").all()


def test_the_table_counts_neurons_beside_the_units_that_were_recorded():
    rising = 1 / (1 + np.exp(-10 * (CONTRASTS - 0.4)))
    rates = np.repeat([2.0, 60.0], [10, 5])[:, None, None] * rising[:, None] * np.ones(8)
    types = np.array(["L5_NP"] * 10 + ["L4_PV"] * 5)
    table = preference_table(grating_counts(contrast_experiment(rates, CONTRASTS, types, np.full(15, 3.0))))
    table = table.set_index("cell_type")
    assert table.loc["L4_PV", ["n", "driven", "suppressed", "high"]].tolist() == [5, 5, 0, 5]
    assert table.loc["L5_NP", ["n", "driven", "suppressed"]].tolist() == [10, 0, 10]
    assert table.loc["L5_NP", ["recorded_n", "recorded_driven", "recorded_high"]].tolist() == [493, 324, 230]


def test_recorded_preferences_add_up():
    recorded = read_recorded_preferences()
    parts = recorded[["high_units", "band_units", "low_units"]].sum(axis=1)
    assert (parts == recorded.driven_units).all()
    assert (recorded.driven_units <= recorded.n_units).all()
    assert recorded.n_units.sum() == 1627  # units of the recordings that were shown contrast gratings
    assert set(recorded.index) <= set(read_populations().neuropixels_type)
