"""Weights before and after: lognormal fits, similarities per pair, flipped signs and moved zeros."""

import numpy as np
import pytest

from twincortex.models.similarity import similarity
from twincortex.training.evaluation.synaptic_weights import (
    compare_pairs,
    count_violations,
    fit_lognormal,
    mean_weight_similarity,
)


def with_recurrent(circuit, weight):
    return circuit.with_weights({"v1_to_v1": weight})


def test_lognormal_weights_are_fitted():
    magnitude = np.random.default_rng(1).lognormal(1.5, 0.7, 20_000)
    fit = fit_lognormal(np.r_[magnitude, 0.0])  # zeros take no part
    assert fit.mu == pytest.approx(1.5, abs=0.02)  # standard error 0.005
    assert fit.sigma == pytest.approx(0.7, abs=0.02)
    assert fit.similarity > 0.98
    assert fit_lognormal(np.geomspace(1, 100, 20_000)).similarity < fit.similarity


@pytest.mark.parametrize("magnitude", [np.zeros(3), np.array([2.0]), np.full(5, 2.0)])
def test_weights_that_do_not_vary_have_no_fit(magnitude):
    assert np.isnan(fit_lognormal(magnitude).sigma)


def test_unchanged_weights_are_the_same_in_every_pair(tiny):
    pairs = compare_pairs(tiny, tiny)
    assert sum(pair.n for pair in pairs) == tiny.projections["v1_to_v1"].n_edges
    assert {pair.similarity for pair in pairs} == {1.0}
    assert mean_weight_similarity(pairs)[0] == 1.0


def test_a_pair_is_compared_with_itself_before(tiny):
    edges = tiny.projections["v1_to_v1"]
    chosen = (tiny.cell_type[edges.sources()] == "L4_Exc") & (tiny.cell_type[edges.posts(tiny.n_receptors)] == "L4_PV")
    weight = np.where(chosen, 2 * edges.weight, edges.weight)
    pairs = {(pair.pre_type, pair.post_type): pair for pair in compare_pairs(tiny, with_recurrent(tiny, weight))}
    changed = pairs.pop(("L4_Exc", "L4_PV"))
    assert changed.n == chosen.sum()
    assert changed.similarity == similarity(edges.weight[chosen], 2 * edges.weight[chosen]).value < 1
    assert changed.after.mu - changed.before.mu == pytest.approx(np.log(2), abs=1e-6)  # float32 weights
    assert changed.after.sigma == pytest.approx(changed.before.sigma, abs=1e-6)
    assert {pair.similarity for pair in pairs.values()} == {1.0}


def test_pairs_with_few_connections_are_not_averaged(tiny):
    pairs = compare_pairs(tiny, tiny)
    n_pairs = mean_weight_similarity(pairs)[1]
    assert n_pairs == sum(pair.n >= 15 for pair in pairs) < len(pairs)
    assert np.isnan(mean_weight_similarity([])[0])


def test_flipped_signs_and_moved_zeros_are_counted(tiny):
    before = tiny.projections["v1_to_v1"].weight.copy()
    before[:4] = 0
    after = before.copy()
    after[:2] = 1.0
    after[10:15] = 0
    after[20:23] *= -1
    counts = count_violations(with_recurrent(tiny, before), with_recurrent(tiny, after))
    assert counts["v1_to_v1"] == {
        "connections": len(before),
        "changed": 10,
        "sign_flipped": 3,
        "moved_from_zero": 2,
        "moved_to_zero": 5,
    }
    assert counts["lgn_to_v1"]["changed"] == 0
