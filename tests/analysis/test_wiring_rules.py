"""Wiring rules: angles, fits against closed forms, the shuffled null, run folders."""

import dataclasses
import shutil

import numpy as np
import pytest
import scipy.stats

from twincortex.analysis.direction_rule import binned_mean, direction_difference, fit_direction_rule, shuffle_p_values
from twincortex.analysis.runs import read_run
from twincortex.analysis.wiring_figures import draw_direction_profiles, draw_effect_heat_maps, draw_weight_histograms
from twincortex.analysis.wiring_rules import pair_table, pooled_rules, wiring_rules
from twincortex.models.errors import InputError

from circuits import small_random_circuit
from fabricated_runs import EXCITATORY_RULE, INHIBITORY_RULE, tuned, write_run


@pytest.fixture(scope="module")
def circuit():
    return small_random_circuit(seed=1, n=400, in_degree=60)


@pytest.fixture(scope="module")
def run_folder(circuit, tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run", circuit, tuned(circuit, noise=0.05))


def within_4_errors(fit, name, truth):
    """Tell whether a coefficient is as near to the truth as 1 - 6e-5 of all estimates are."""
    return abs(fit[name] - truth) < 4 * fit[f"{name}_se"]


@pytest.mark.parametrize(
    ("pre", "post", "difference"),
    [(0, 0, 0), (350, 10, 20), (10, 350, 20), (0, 180, 180), (0, 181, 179), (359, 0, 1), (720, 90, 90), (-90, 90, 180)],
)
def test_direction_differences_fold_to_half_a_circle(pre, post, difference):
    assert direction_difference(pre, post) == difference


def test_fit_equals_the_solution_by_hand():
    # Two connections at each of 0, 90 and 180 degrees, one below and one above the means 5, 1 and 3.
    fit = fit_direction_rule([0, 0, 90, 90, 180, 180], [4, 6, 0, 2, 2, 4]).iloc[0]
    # a = (5 - 3)/2, b + c = (5 + 3)/2, c - b = 1; residual variance 6/3; X^T X = diag(4) and [[6, 2], [2, 6]].
    expected = {"n": 6, "a": 1, "b": 1.5, "c": 2.5, "a_se": 0.5**0.5, "b_se": 0.375**0.5, "c_se": 0.375**0.5}
    expected["b_p"] = 2 * scipy.stats.t.sf(1.5 / 0.375**0.5, 3)
    assert fit[list(expected)].to_dict() == pytest.approx(expected, rel=1e-12)
    assert (fit.a_over_c, fit.b_over_c) == pytest.approx((0.4, 0.6), rel=1e-12)


def test_groups_are_fitted_as_if_each_were_alone():
    rng = np.random.default_rng(2)
    delta, strength, group = rng.uniform(0, 180, 500), rng.lognormal(size=500), rng.integers(0, 5, 500)
    together = fit_direction_rule(delta, strength, group)
    alone = [fit_direction_rule(delta[group == number], strength[group == number]).iloc[0] for number in range(5)]
    np.testing.assert_allclose(together, alone, rtol=1e-9)  # sums in another order


def test_95_percent_intervals_hold_the_truth_95_times_in_100():
    rng = np.random.default_rng(3)
    n_groups, a, b, c = 2000, 0.5, -0.8, 2.0
    delta, group = rng.uniform(0, 180, 60 * n_groups), np.repeat(np.arange(n_groups), 60)
    d = np.radians(delta)
    fit = fit_direction_rule(delta, a * np.cos(d) + b * np.cos(2 * d) + c + rng.normal(0, 1.5, len(d)), group)
    for name, truth in (("a", a / c), ("b", b / c)):
        held = (fit[f"{name}_over_c_low"] < truth) & (truth < fit[f"{name}_over_c_high"])
        assert abs(held.mean() - 0.95) < 4 * np.sqrt(0.95 * 0.05 / n_groups)  # 4 standard errors of the share


def test_limits_of_a_ratio_are_infinite_where_the_mean_may_be_zero():
    strength = np.random.default_rng(4).normal(0, 1, 50)
    fit = fit_direction_rule(np.linspace(0, 180, 50), strength - strength.mean()).iloc[0]
    assert (fit.b_over_c_low, fit.b_over_c_high) == (-np.inf, np.inf)


def test_undetermined_fits_are_nan():
    table = fit_direction_rule([0, 90, 180, *[45] * 10], np.arange(13.0), [0] * 3 + [1] * 10)  # 3 points, 1 angle
    assert table.drop(columns="n").isna().all(axis=None)


def test_p_values_are_uniform_where_there_is_no_rule():
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(400), 50)
    delta, strengths = rng.uniform(0, 180, 20_000), rng.lognormal(0, 0.7, (20_000, 1))
    shuffled = shuffle_p_values(delta, strengths, group, n_shuffles=99, seed=1)[:, 0]
    fitted = fit_direction_rule(delta, strengths[:, 0], group)
    for p in (*shuffled.T, fitted.a_p, fitted.b_p):
        assert scipy.stats.kstest(p, "uniform").pvalue > 0.001


def test_shuffles_find_a_rule_and_repeat_with_their_seed():
    rng = np.random.default_rng(6)
    delta, group = rng.uniform(0, 180, 300), np.zeros(300, dtype=int)
    strengths = (2 + np.cos(np.radians(2 * delta)) + rng.normal(0, 0.5, 300))[:, None]
    p = shuffle_p_values(delta, strengths, group, n_shuffles=199, seed=1)
    assert p[0, 0, 1] == 1 / 200  # none of the shuffles comes near
    np.testing.assert_array_equal(p, shuffle_p_values(delta, strengths, group, n_shuffles=199, seed=1))
    assert np.any(p != shuffle_p_values(delta, strengths, group, n_shuffles=199, seed=2))


def test_pair_table_holds_two_connections_computed_by_hand(circuit):
    projection = circuit.projections["v1_to_v1"]
    nodes = circuit.nodes
    edges = [0, projection.n_edges - 1]
    pre, post = projection.sources()[edges], projection.posts(circuit.n_receptors)[edges]
    angle = nodes.tuning_angle.copy()
    angle[pre], angle[post] = [350.0, 100.0], [20.0, 260.0]
    weight = projection.weight.copy()
    weight[edges] = [-4.0, -8.0]
    circuit = dataclasses.replace(circuit, nodes=dataclasses.replace(nodes, tuning_angle=angle))
    before = circuit.with_weights({"v1_to_v1": weight.copy()})
    weight[edges] = [-5.0, -6.0]
    pairs = pair_table(before, circuit.with_weights({"v1_to_v1": weight})).iloc[edges]
    assert pairs.delta_deg.tolist() == [30.0, 160.0]
    assert pairs.weight_after_pA.tolist() == [-5.0, -6.0]
    assert pairs.relative_change.tolist() == [0.25, -0.25]
    assert pairs[["pre", "post"]].to_numpy().tolist() == np.stack([pre, post], axis=1).tolist()
    assert pairs.pre_type.tolist() == circuit.cell_type[pre].tolist()


def test_pair_table_leaves_out_zero_weights_and_cells_outside_the_core(circuit):
    projection = circuit.projections["v1_to_v1"]
    silent = circuit.with_weights({"v1_to_v1": np.where(np.arange(projection.n_edges) < 100, 0, projection.weight)})
    assert len(pair_table(silent, silent)) == projection.n_edges - 100
    core = pair_table(circuit, circuit, core_radius_um=25.0)
    distance = np.hypot(circuit.nodes.x, circuit.nodes.z)
    assert 0 < len(core) < projection.n_edges
    assert max(distance[core.pre].max(), distance[core.post].max()) < 25.0


def test_wrong_circuits_and_values_are_refused(circuit):
    with pytest.raises(InputError, match="different columns"):
        pair_table(circuit, small_random_circuit(seed=2, n=400, in_degree=60))
    with pytest.raises(InputError, match=r"core_radius_um 0\.1"):
        pair_table(circuit, circuit, core_radius_um=0.1)
    with pytest.raises(InputError, match="connections 1: direction difference or strength is not finite"):
        fit_direction_rule([0, np.nan], [1, 2])
    with pytest.raises(InputError, match="2 direction differences, 1 strengths"):
        fit_direction_rule([0, 90], [1])


def test_injected_rules_come_back_from_the_change_and_from_the_weights(run_folder):
    run = read_run(run_folder)
    pooled = pooled_rules(pair_table(run.before, run.after), n_shuffles=99).set_index(["pre_ei", "when"])
    for ei, (a, b) in (("e", EXCITATORY_RULE), ("i", INHIBITORY_RULE)):
        for _, change in pooled.loc[[(ei, "change")]].iterrows():
            gain = np.exp(0.05**2 / 2)  # mean of the noise
            assert within_4_errors(change, "a", a * gain)
            assert within_4_errors(change, "b", b * gain)
            assert change.b_shuffle_p == 0.01
        for _, after in pooled.loc[[(ei, "after")]].iterrows():
            margin = 2 * (after.b_over_c_high - after.b_over_c_low) / 2  # twice a 95 % interval, about 4 errors
            assert abs(after.b_over_c - b) < margin
        assert (pooled.loc[[(ei, "before")], ["a_q", "b_q"]] > 0.01).all(axis=None)


def test_rules_per_pair_of_types_need_enough_connections(run_folder):
    run = read_run(run_folder)
    pairs = pair_table(run.before, run.after)
    counts = pairs.groupby(["pre_type", "post_type"], observed=True).size()
    rules = wiring_rules(pairs, min_connections=100, n_shuffles=0)
    assert rules.when.value_counts().to_dict() == dict.fromkeys(("before", "after", "change"), (counts >= 100).sum())
    row = rules[(rules.pre_type == "L4_Exc") & (rules.post_type == "L6_Exc") & (rules.when == "change")].iloc[0]
    assert row.n == counts["L4_Exc", "L6_Exc"]
    assert within_4_errors(row, "b", EXCITATORY_RULE[1])
    with pytest.raises(InputError, match="no pair of cell types has min_connections 1,000,000"):
        wiring_rules(pairs, min_connections=1_000_000)


def test_binned_means_are_those_of_each_bin():
    table = binned_mean([0, 10, 179, 180], [1.0, 3.0, 5.0, 5.0], n_bins=3)
    assert table.delta_deg.tolist() == [30, 90, 150]
    assert table.n.tolist() == [2, 0, 2]
    np.testing.assert_array_equal(table["mean"], [2.0, np.nan, 5.0])
    np.testing.assert_allclose(table.standard_error, [1.0, np.nan, 0.0])


def test_figures_have_units_counts_and_seeds(run_folder, tmp_path):
    run = read_run(run_folder)
    pairs = pair_table(run.before, run.after)
    heat_maps = draw_effect_heat_maps(wiring_rules(pairs, n_shuffles=0), run.description)
    examples = (("L4_Exc", "L6_Exc"), ("L5_PV", "L5_PV"), ("L6_VIP", "L1_Inh"))
    profiles = draw_direction_profiles(pairs, run.description, examples)
    for number, figure in enumerate((heat_maps, profiles, draw_weight_histograms(pairs, run.description))):
        figure.savefig(tmp_path / f"{number}.png", dpi=40)
        assert "circuit seed 1; 2 updates, training seed 5" in figure.get_supxlabel()
    assert "(pA)" in profiles.axes[0].get_ylabel()
    n = ((pairs.pre_type == "L4_Exc") & (pairs.post_type == "L6_Exc")).sum()
    assert profiles.axes[0].get_title().endswith(f"n = {n:,}")


def test_an_unfinished_run_is_refused(run_folder, tmp_path):
    with pytest.raises(InputError, match=r"holds no circuit, weights, config\.yaml, metrics\.csv"):
        read_run(tmp_path)
    shutil.copytree(run_folder, tmp_path / "run")
    (tmp_path / "run" / "weights" / "v1_v1_edges_trained.h5").unlink()
    with pytest.raises(InputError, match=r"weights holds no v1_v1_edges_trained\.h5"):
        read_run(tmp_path / "run")


def test_weights_that_did_not_change_have_no_rule_of_change(circuit):
    pairs = pair_table(circuit, circuit)
    change = wiring_rules(pairs, n_shuffles=20).query("when == 'change'")
    assert (change[["a", "b", "c"]] == 0).all(axis=None)
    assert (change[["a_q", "b_q", "a_shuffle_p", "b_shuffle_p"]] == 1).all(axis=None)
