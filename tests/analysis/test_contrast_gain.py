"""Contrast: known slopes, selectivity, push-pull and gains come back from made-up spikes."""

import numpy as np
import pytest
from synthetic_experiments import DIRECTIONS, contrast_experiment, experiment, tuned_rates

from twincortex.analysis.contrast_gain import (
    contrast_curves,
    contrast_preference_index,
    contrast_slopes,
    push_pull,
)
from twincortex.analysis.gain_fits import fit_gain, gain_of_types
from twincortex.analysis.grating_counts import aligned_tuning, grating_counts, selectivity, selectivity_of_noise
from twincortex.models.errors import InputError

CONTRASTS = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
TYPES = np.repeat(["L2/3_VIP", "L4_SST", "L4_Exc"], [40, 30, 60])
SLOPE = {"L2/3_VIP": -6.0, "L4_SST": 8.0, "L4_Exc": 4.0}  # Hz per decade


@pytest.fixture(scope="module")
def counts():
    """Neurons whose rate is linear in the logarithm of contrast, all with OSI 0.3 and DSI 0.1."""
    random = np.random.default_rng(1)
    slope = np.array([SLOPE[name] for name in TYPES]) * random.uniform(0.8, 1.2, len(TYPES))
    mean = 12 + np.outer(slope, np.log10(CONTRASTS) - np.log10(CONTRASTS).mean())
    rates = tuned_rates(mean, random.uniform(0, 360, (len(TYPES), 1)))
    return grating_counts(contrast_experiment(rates, CONTRASTS, TYPES, np.full(len(TYPES), 10.0)))


def test_counts_are_arranged_by_contrast_and_direction_in_whatever_order_they_were_shown(counts):
    rates = np.arange(2 * 5 * 8).reshape(2, 5, 8) * 20.0
    types = ["L1_Inh", "L4_PV"]
    found = grating_counts(contrast_experiment(rates, CONTRASTS, types, np.array([5.0, 300.0]), n_trials=50))
    np.testing.assert_array_equal(found.contrast, CONTRASTS)
    np.testing.assert_array_equal(found.direction, DIRECTIONS)
    error = np.sqrt(np.maximum(rates, 1) / (1.8 * 50))  # of a Poisson rate
    assert (np.abs(found.rate - rates) < 5 * error).all()
    assert found.blank_count.shape == (2, 150)
    np.testing.assert_allclose(found.blank_rate, [5, 300], rtol=0.15)


def test_neurons_outside_the_core_and_other_windows_do_not_count():
    dataset = experiment(
        np.ones((2, 1, 3), dtype=int),
        {"contrast": [0.8, 0.8], "direction_deg": [0.0, 180.0]},
        ["L4_Exc"] * 3,
        is_core=[True, False, True],
    )
    assert len(grating_counts(dataset).count) == 2
    assert len(grating_counts(dataset, core_only=False).count) == 3
    assert grating_counts(dataset, window="gray").count.sum() == 0
    assert grating_counts(dataset).rate == pytest.approx(1 / 1.8)


def test_a_grid_with_gaps_is_refused():
    conditions = {"contrast": [0.2, 0.2, 0.8], "direction_deg": [0.0, 180.0, 0.0]}
    with pytest.raises(InputError, match=r"contrast 0\.8 direction 180: fewer than 1 conditions"):
        grating_counts(experiment(np.ones((3, 1, 1)), conditions, ["L4_Exc"]))
    with pytest.raises(InputError, match="no condition with a contrast above 0"):
        grating_counts(experiment(np.ones((1, 1, 1)), {"contrast": [0.0], "direction_deg": [np.nan]}, ["L4_Exc"]))


def test_curves_hold_rate_and_selectivity_that_spikes_were_drawn_from(counts):
    curves = contrast_curves(counts).set_index(["quantity", "cell_type", "contrast"]).sort_index()
    assert curves.loc[("rate_Hz", "L4_Exc", 0.0), "mean"] == pytest.approx(10, abs=0.2)
    rate = curves.loc[("rate_Hz", "L4_SST", 0.8)]
    truth = 12 + 8 * (np.log10(0.8) - np.log10(CONTRASTS).mean())
    assert rate.low < truth < rate.high
    assert rate.n == 30
    # 180 s at 12 Hz and 8 directions: noise adds about (1 / 1,700 spikes) / (2 * .3) to an OSI of .3.
    for quantity, expected in (("OSI", 0.3), ("DSI", 0.1)):
        assert curves.loc[(quantity, "L4_Exc", 0.2), "mean"] == pytest.approx(expected, abs=0.01)
    # 1,700 spikes: sqrt(pi / 4 / 1,700) = .021, tuned or not.
    assert curves.loc[("noise", "L4_Exc", 0.2), "mean"] == pytest.approx(0.021, rel=0.05)


def test_few_spikes_look_selective_and_the_noise_says_how_much():
    rates = np.full((300, 1, 8), 1.0)
    flat = grating_counts(contrast_experiment(rates, [0.8], ["L4_Exc"] * 300, np.ones(300), n_trials=5))
    curves = contrast_curves(flat).set_index("quantity")
    assert curves["mean"].OSI > 0.08  # sqrt(pi / 4 / 72 spikes) = .10
    assert curves["mean"].noise == pytest.approx(curves["mean"].OSI, rel=0.1)  # 300 neurons
    assert np.isnan(selectivity_of_noise(np.ones((3, 8, 1)))).all()  # one trial tells nothing


def test_slow_neurons_have_no_selectivity():
    osi, _ = selectivity(np.array([[0.4, 0.0], [0.6, 0.0]]), np.array([0.0, 180.0]))
    np.testing.assert_array_equal(np.isnan(osi), [True, False])


def test_slopes_are_those_of_the_rates(counts):
    slopes = contrast_slopes(counts)
    for name, slope in SLOPE.items():
        of_type = slopes[counts.cell_type == name]
        assert of_type.mean() == pytest.approx(slope, abs=4 * of_type.std() / np.sqrt(len(of_type)))
    index = contrast_preference_index(counts)
    assert (index[counts.cell_type == "L2/3_VIP"] < 0).all()
    assert (index[counts.cell_type == "L4_SST"] > 0).all()


def test_a_slope_needs_two_contrasts():
    one = grating_counts(contrast_experiment(np.ones((1, 1, 8)), [0.8], ["L4_Exc"], np.ones(1)))
    with pytest.raises(InputError, match="at least two contrasts"):
        contrast_slopes(one)


def test_push_pull_is_found_where_it_is_and_only_there(counts):
    table = push_pull(contrast_slopes(counts), counts.cell_type).set_index("vip")
    row = table.loc["L2/3_VIP"]
    assert (row.opposite, row.n_vip, row.n_sst) == ("yes", 40, 30)
    assert row.low < 14 < row.high
    assert row.p < 0.001
    assert list(table.index) == ["L2/3_VIP", "all VIP"]  # the other layers have no such cells
    random = np.random.default_rng(6)
    same = push_pull(random.normal(5, 1, len(TYPES)), TYPES)
    assert (same.opposite == "no").all()
    assert (same.p > 0.01).all()
    swapped = push_pull(-contrast_slopes(counts), counts.cell_type)
    assert (swapped.opposite == "reversed").all()
    with pytest.raises(InputError, match="no VIP or no SST cell"):
        push_pull(np.ones(2), np.array(["L4_Exc", "L4_VIP"]))


def test_fit_of_gain_equals_the_solution_by_hand():
    fit = fit_gain(np.array([0.0, 2.0, 4.0]), np.array([1.0, 4.0, 10.0]))
    assert (fit["divisor"], fit["subtrahend"]) == pytest.approx((9 / 4, 0.5))  # means 2 and 5; sxy 18, sxx 8
    assert fit["only_divisor"] == pytest.approx(48 / 20)
    assert fit["only_subtrahend"] == pytest.approx(3)
    assert fit["r2"] == pytest.approx(1 - (0.25 + 1 + 0.25) / 42)
    assert np.isnan(fit_gain(np.ones(3), np.array([1.0, 2.0, 3.0]))["divisor"])


@pytest.mark.parametrize(
    ("divisor", "subtrahend", "better"), [(2.0, 0.0, "divisive"), (1.0, 5.0, "subtractive"), (1.5, 2.0, None)]
)
def test_known_gains_lie_in_their_intervals_and_the_right_kind_wins(divisor, subtrahend, better):
    random = np.random.default_rng(7)
    controlled = tuned_rates(random.lognormal(1.5, 0.4, (120, 5)), random.uniform(0, 360, (120, 1)))
    found = [
        grating_counts(contrast_experiment(rates, CONTRASTS, ["L4_Exc"] * 80 + ["L5_IT"] * 40, np.ones(120), seed=seed))
        for seed, rates in enumerate((controlled, divisor * controlled + subtrahend))
    ]
    fits = gain_of_types(found[0].rate, found[1].rate, found[0])
    assert fits.n.tolist() == [80, 40]
    for _, fit in fits.iterrows():
        assert fit.divisor_low < divisor < fit.divisor_high
        assert fit.subtrahend_low < subtrahend < fit.subtrahend_high
        assert fit.divisor_high - fit.divisor_low < 0.5
        assert better in (None, fit.better)


def test_gains_of_different_grids_are_refused(counts):
    with pytest.raises(InputError, match="Expected the same neurons"):
        gain_of_types(counts.rate, counts.rate[:, :2], counts)


def test_aligned_tuning_starts_at_the_preferred_direction():
    preferred = np.array([0.0, 90.0, 315.0])
    rates = tuned_rates(np.full((3, 2), 10.0), preferred[:, None])
    aligned = aligned_tuning(rates, DIRECTIONS)
    np.testing.assert_allclose(aligned, np.broadcast_to(aligned[0, 0], aligned.shape))
    assert aligned[0, 0].argmax() == 0
    np.testing.assert_array_equal(aligned_tuning(np.zeros((1, 2, 8)), DIRECTIONS), np.zeros((1, 2, 8)))
