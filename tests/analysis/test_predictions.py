"""Rules by layer and the predictions made from them: injected rules by layer, direction limits, power, words."""

import numpy as np
import pytest
import scipy.stats

from twincortex.analysis.correlation_sums import correlations, response_vectors
from twincortex.analysis.direction_rule import fit_direction_rule
from twincortex.analysis.layer_rules import direction_rules, excitation_by_layer, inhibition_by_layer
from twincortex.analysis.predictions import COLUMNS, EXPERIMENTS, connections_needed, wiring_predictions
from twincortex.analysis.response_correlation import Resampling

from fabricated_wiring import fabricated_wiring

TYPES = ("L2/3_Exc", "L2/3_PV", "L5_IT", "L5_PV", "L6_Exc")
QUICK = Resampling(n_bootstrap=60, n_shuffles=20)


@pytest.fixture(scope="module")
def trained():
    """Like-to-like excitation everywhere; anti-like-to-like inhibition onto layers 5 and 6 only."""
    edges, responses = fabricated_wiring(seed=1, n=1000, n_edges=200_000, types=TYPES, noise=0.2)
    r = correlations(edges.pre.to_numpy(), edges.post.to_numpy(), response_vectors(responses))
    is_deep = edges.post_type.isin(["L5_IT", "L6_Exc"]).to_numpy()
    slope = np.where(edges.weight_pA > 0, 0.3, np.where(is_deep, -0.4, 0.0))
    return edges.assign(weight_pA=edges.weight_pA * (1 + slope * r)), responses


@pytest.fixture(scope="module")
def tables(trained):
    return excitation_by_layer(*trained, QUICK), inhibition_by_layer(*trained, QUICK)


def test_the_layers_of_an_injected_rule_come_back(tables):
    excitation, inhibition = (table[table.measure == "slope"] for table in tables)
    assert (excitation.low > 0).all()
    assert set(zip(inhibition.pre_layer, inhibition.post_layer, strict=True)) == {
        (pre, post) for pre in ("2/3", "5", "all") for post in ("2/3", "5", "6")
    }
    deep = inhibition.post_layer.isin(["5", "6"])
    assert (inhibition[deep].high < 0).all()
    assert (inhibition[deep].q < 0.05).all()
    assert (inhibition[~deep].q > 0.01).all()
    pooled = inhibition[inhibition.pre_layer == "all"].set_index("post_layer").n
    assert pooled["6"] == inhibition[(inhibition.pre_layer != "all") & (inhibition.post_layer == "6")].n.sum()


def test_all_measures_have_effect_interval_n_and_corrected_p(tables):
    for table in tables:
        assert set(table.measure) == {"like", "anti", "slope", "direction", "orientation"}
        assert table[["effect", "low", "high", "p", "q", "n", "n_post"]].notna().all(axis=None)
        assert (table.q >= table.p - 1e-12).all()


def test_direction_rules_are_those_of_the_fit():
    edges, _ = fabricated_wiring(seed=2, n_edges=5000, types=("L4_Exc",))
    strength = edges.weight_pA.to_numpy()
    row = direction_rules(edges, strength, ["pre_type"], QUICK).iloc[0]
    fit = fit_direction_rule(edges.delta_deg, strength).iloc[0]
    assert (row.direction, row.orientation) == pytest.approx((fit.a_over_c, fit.b_over_c), rel=1e-9)


def test_known_coefficients_lie_in_their_intervals_at_the_nominal_rate():
    held, p = [], []
    for seed in range(100):
        edges, _ = fabricated_wiring(seed=seed, n_edges=6000, types=("L4_Exc",))
        d = np.radians(edges.delta_deg)
        strength = edges.weight_pA * (1 + 0.3 * np.cos(d) - 0.1 * np.cos(2 * d))
        row = direction_rules(edges, strength, ["pre_type"], Resampling(n_bootstrap=100)).iloc[0]
        held.append([row.direction_low < 0.3 < row.direction_high, row.orientation_low < -0.1 < row.orientation_high])
        p.append(direction_rules(edges, edges.weight_pA, ["pre_type"], Resampling(n_bootstrap=100)).direction_p[0])
    # 4 binomial standard errors of 0.95 in 100 are 0.087; percentiles of 100 resamples cost up to 0.02 more.
    np.testing.assert_array_less(0.95 - 0.087 - 0.02, np.mean(held, axis=0))
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.001


def test_predictions_are_made_from_the_numbers(tables):
    table = wiring_predictions(*tables)
    assert list(table.columns) == list(COLUMNS)
    assert set(table.kind) == set(EXPERIMENTS)
    assert (table.experiment == table.kind.map(EXPERIMENTS)).all()
    assert (table[table.kind == "excitation"].verdict == "like-to-like").all()
    deep = table[(table.kind == "inhibition") & table.prediction.str.contains("onto excitatory cells of layer 6")]
    assert (deep.verdict == "anti-like-to-like").all()
    row = deep.iloc[0]
    assert f"weight {50 * row.effect:+.1f} % [{50 * row.low:+.1f}, {50 * row.high:+.1f}]" in row.prediction
    depth = table[table.kind == "depth"].iloc[0]
    assert depth.verdict == "anti-like-to-like"
    assert depth.low < -0.4 < depth.high + 0.2  # slopes are relative to the mean in the range, a little above 1


def test_without_a_rule_no_rule_is_predicted_and_the_change_says_what_training_did(tables):
    edges, responses = fabricated_wiring(seed=9, n=1000, n_edges=200_000, types=TYPES, noise=0.2)
    before = excitation_by_layer(edges, responses, QUICK), inhibition_by_layer(edges, responses, QUICK)
    assert (wiring_predictions(*before).verdict == "no rule").mean() > 0.8
    change = wiring_predictions(*tables, before)
    assert (change[change.kind == "excitation"].change_low > 0).all()
    np.testing.assert_allclose(change.change, change.effect - change.effect_before)


def test_as_many_connections_as_needed_give_the_promised_power():
    rho = 0.2
    n = int(connections_needed(rho))
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2000, n))
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=(2000, n))
    power = np.mean(scipy.stats.pearsonr(x, y, axis=1).pvalue < 0.05)
    assert abs(power - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 2000)  # binomial
    assert connections_needed(0.0) == np.inf


def test_a_group_without_a_slope_is_no_prediction():
    edges, responses = fabricated_wiring(seed=4, n_edges=4000)
    undetermined = inhibition_by_layer(edges, responses, QUICK).assign(q=np.nan, low=np.nan, high=np.nan)
    assert (wiring_predictions(undetermined, undetermined).verdict == "no rule").all()
