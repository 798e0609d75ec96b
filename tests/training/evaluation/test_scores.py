"""Scores of synthetic responses through the whole path: spikes of Poisson neurons, counts, tuning, similarities."""

import dataclasses

import numpy as np
import pytest

from twincortex.models.errors import InputError
from twincortex.models.neuropixels import read_neuropixels_units
from twincortex.models.spikes import SpikeTrains
from twincortex.training.evaluation.agreement import preferred_direction_agreement
from twincortex.training.evaluation.core import find_core
from twincortex.training.evaluation.protocol import EvaluationProtocol
from twincortex.training.evaluation.record import describe_fano, describe_network, ready_for_json, score_network
from twincortex.training.evaluation.responses import ResponseMeter
from twincortex.training.evaluation.scores import QUANTITIES, mean_scores, score_core

PROTOCOL = EvaluationProtocol(n_trials=5, n_pools=100)


@pytest.fixture(scope="module")
def core(tiny):
    return find_core(tiny)


def poisson_spikes(rate, duration, random):
    """Spikes of (T, N) rates [Hz], one row per ms."""
    step, unit = np.nonzero(random.random(rate.shape) < rate / 1000)
    return SpikeTrains("v1", rate.shape[1], step + 1.0, unit)


def measured(core, circuit, gray_rate, evoked_rate):
    """Responses of Poisson neurons with these rates (N,) in gray and (N, D) during gratings."""
    meter, random = ResponseMeter(core, PROTOCOL), np.random.default_rng(2)
    onset = round(PROTOCOL.onset_ms)
    for number in range(PROTOCOL.n_directions * PROTOCOL.n_trials):
        rate = np.empty((round(PROTOCOL.duration_ms), circuit.n_neurons))
        rate[:onset], rate[onset:] = gray_rate, evoked_rate[:, number // PROTOCOL.n_trials]
        meter.add(number, poisson_spikes(rate, PROTOCOL.duration_ms, random))
    return meter.responses()


@pytest.fixture(scope="module")
def synthetic(core, tiny):
    """Neurons with the rate 8 (1 + .8 cos 2 d + .2 cos d) around their tuning angle, 3 Hz in gray."""
    delta = np.deg2rad(PROTOCOL.directions - tiny.nodes.tuning_angle[:, None])
    rates = 8 * (1 + 0.8 * np.cos(2 * delta) + 0.2 * np.cos(delta))
    return measured(core, tiny, np.full(tiny.n_neurons, 3.0), rates.clip(0))


def test_tuning_of_poisson_neurons_is_found_by_the_whole_path(synthetic):
    tuning = synthetic.tuning(PROTOCOL)
    # 640 spikes a cell: means over 1,141 cells are good to 0.005, and noise lengthens short vectors a little.
    assert tuning.OSI.mean() == pytest.approx(0.4, abs=0.01)
    assert tuning.DSI.mean() == pytest.approx(0.1, abs=0.02)
    assert tuning.evoked_rate_Hz.mean() == pytest.approx(8, rel=0.01)
    assert tuning.spontaneous_rate_Hz.mean() == pytest.approx(3, rel=0.01)


def test_measured_directions_agree_with_assigned_ones(synthetic, core, tiny):
    rows = preferred_direction_agreement(core, synthetic.tuning(PROTOCOL), tiny.nodes.tuning_angle)
    row = rows["L4_Exc"]
    assert row["n_tuned"] == row["n_cells"] > 50
    assert row["orientation_median_deg"] < 5
    assert row["orientation_within_22.5_deg"] == 1.0
    assert row["direction_within_45_deg"] > 0.9  # the direction vector is 0.1 long, so some cells turn round


def test_agreement_with_other_angles_is_that_of_chance(synthetic, core, tiny):
    shuffled = np.random.default_rng(1).uniform(0, 360, tiny.n_neurons)
    row = preferred_direction_agreement(core, synthetic.tuning(PROTOCOL), shuffled)["L4_Exc"]
    n = row["n_tuned"]
    assert row["direction_within_45_deg"] == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / n))  # 4 standard errors
    assert row["direction_median_deg"] == pytest.approx(90, abs=4 * 90 / np.sqrt(n))


def test_pools_of_poisson_neurons_have_a_fano_factor_of_1_less_the_shortfall(synthetic, core):
    for condition in ("evoked", "spontaneous"):
        curve = describe_fano(synthetic, PROTOCOL, condition)
        n_bins = np.floor(1800 / np.rint(curve["bin_ms"]))
        np.testing.assert_allclose(curve["model"], 1 - 1 / n_bins, atol=0.12)  # 100 pools of few bins at the end
        assert curve["n_pools"] == 100
        assert curve["bin_ms"][-1] < 1800 / 5
        expected = np.abs(np.array(curve["model"]) - curve["recorded"]).mean()
        assert curve["mean_absolute_error"] == pytest.approx(expected)


def test_synchronous_neurons_have_a_larger_fano_factor_than_independent_ones(synthetic, core, tiny):
    meter, random = ResponseMeter(core, PROTOCOL), np.random.default_rng(3)
    for number in range(PROTOCOL.n_directions * PROTOCOL.n_trials):
        steps = np.flatnonzero(random.random(4500) < 0.005)
        times, ids = np.repeat(steps + 1.0, tiny.n_neurons), np.tile(np.arange(tiny.n_neurons), len(steps))
        meter.add(number, SpikeTrains("v1", tiny.n_neurons, times, ids))
    synchronous = meter.responses()
    assert synchronous.fano_curve("evoked")[0].min() > 10 * synthetic.fano_curve("evoked")[0].max()


def test_silent_pools_are_left_out_and_a_silent_network_has_no_curve(core, tiny):
    meter = ResponseMeter(core, PROTOCOL)
    for number in range(PROTOCOL.n_directions * PROTOCOL.n_trials):
        meter.add(number, SpikeTrains("v1", tiny.n_neurons, np.zeros(0), np.zeros(0, dtype=int)))
    curve = describe_fano(meter.responses(), PROTOCOL, "evoked")
    assert curve["n_pools"] == 0
    assert ready_for_json(curve)["mean_absolute_error"] is None


def test_cells_with_the_recorded_values_are_as_similar_as_can_be(core, synthetic):
    tuning = synthetic.tuning(PROTOCOL)
    units = read_neuropixels_units()
    values = {quantity: getattr(tuning, quantity).copy() for quantity in QUANTITIES}
    random = np.random.default_rng(1)
    for name in np.unique(core.recorded_type):
        cells = core.neurons[core.recorded_type == name]
        for quantity, of_all in values.items():
            of_all[cells] = random.choice(units.loc[[name], quantity].dropna(), len(cells))
    scores = score_core(core, dataclasses.replace(tuning, **values))
    large = [score for score in scores if score.similarity.n[0] > 100 and not score.flag]
    assert {score.name for score in large} == {"L2/3 Exc", "L4 Exc", "L5 Exc", "L6 Exc"}
    # 1.63 sqrt(1/n + 1/m): the 1 % level of the distance for 100 cells or more and 163 units or more.
    assert min(score.similarity.value for score in large) > 1 - 1.63 * np.sqrt(1 / 100 + 1 / 163)


def test_types_with_few_cells_or_units_and_subtypes_are_flagged_and_not_averaged(core, synthetic):
    scores = score_core(core, synthetic.tuning(PROTOCOL))
    flags = {(score.name, score.quantity): score.flag for score in scores}
    assert flags["L4 Exc", "OSI"] == ""
    assert flags["L5 ET", "OSI"].endswith("a subtype")
    assert "fewer than 15 recorded units" in flags["L2/3 SST", "OSI"]  # 3 units have an OSI, 18 a rate
    assert "recorded units" not in flags["L2/3 SST", "evoked_rate_Hz"]
    for score in scores:
        assert bool(score.flag) == (min(score.similarity.n) < 15 or score.name in ("L5 IT", "L5 ET", "L5 NP"))
    means = mean_scores(scores)
    averaged = [score.similarity.value for score in scores if score.quantity == "OSI" and not score.flag]
    assert means["OSI"][0] == pytest.approx(np.mean(averaged))
    assert means["OSI"][2] == len(averaged)


def test_a_network_is_described_with_both_n_and_intervals(core, synthetic, tiny):
    result = score_network(core, PROTOCOL, synthetic, n_bootstrap=50)
    described = ready_for_json(describe_network(core, PROTOCOL, result, tiny))
    row = described["table"]["L4 Exc"]["OSI"]
    assert row["n_recorded"] == 297
    assert row["n_model"] == np.sum(core.recorded_type == "L4 Exc")
    low, high = row["interval"]
    assert 0 <= low <= high <= 1
    assert row["in_mean"]
    assert described["mean_similarity"]["OSI"]["n_types"] >= 1
    assert len(described["table"]) == 20  # 17 types and three subtypes


def test_only_neurons_within_the_radius_are_scored(tiny):
    core = find_core(tiny, 30.0)
    distance = np.hypot(tiny.nodes.x, tiny.nodes.z)
    assert set(core.neurons) == set(np.flatnonzero(distance < 30))
    assert np.isin(core.excitatory, core.neurons).all()
    assert len(core.recorded_type) == len(core.neurons)
    with pytest.raises(InputError, match="radius 0 um: 0 of 1,141"):
        find_core(tiny, 0.0)
