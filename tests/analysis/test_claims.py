"""Claims: verdicts follow what was put into synthetic experiments and wiring."""

import numpy as np
import pytest
from synthetic_experiments import DIRECTIONS, contrast_experiment, experiment

from twincortex.analysis.claims import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    contrast_claims,
    stability_claims,
    wiring_claims,
)
from twincortex.analysis.correlation_sums import correlations, response_vectors
from twincortex.analysis.layer_rules import excitation_by_layer, inhibition_by_layer
from twincortex.analysis.response_correlation import Resampling

from fabricated_wiring import fabricated_wiring

CONTRASTS = np.array([0.1, 0.3, 0.8])
TYPES = ["L2/3_VIP"] * 20 + ["L4_SST"] * 20 + ["L4_Exc"] * 40 + ["L4_PV"] * 20
QUICK = Resampling(n_bootstrap=60, n_shuffles=20)


def contrast_rates(vip=-1.0):
    """VIP cells change by `vip` of what the others do; all are tuned."""
    rising = np.log10(CONTRASTS / CONTRASTS[0])
    factor = np.where(np.array(TYPES) == "L2/3_VIP", vip, 1.0)
    tuning = 1 + 0.5 * np.cos(np.radians(DIRECTIONS[None] - np.arange(len(TYPES))[:, None] * 20))
    return (5 + 3 * factor[:, None] * rising)[:, :, None] * tuning[:, None]


def experiments_of(rates, released):
    def counted(of_rates, seed):
        return contrast_experiment(of_rates, CONTRASTS, TYPES, np.full(len(TYPES), 4.0), seed=seed)

    without = counted(released, 1)
    silenced = np.array(TYPES) == "L4_PV"
    return counted(rates, 0), without.assign_coords(silenced=("neuron", silenced))


def verdicts(table):
    return dict(zip(table.claim, table.verdict, strict=True))


def test_opposite_slopes_and_multiplied_responses_are_reproduced():
    rates = contrast_rates()
    table = contrast_claims(*experiments_of(rates, 2 * rates))
    assert set(verdicts(table).values()) == {REPRODUCED}
    assert "divisor above 1 in 3 of 3 cell types, in 3 of them better" in table.measured.iloc[-1]


def test_equal_slopes_and_a_constant_more_are_not():
    rates = contrast_rates(vip=1.0)
    assert set(verdicts(contrast_claims(*experiments_of(rates, rates + 5))).values()) == {NOT_REPRODUCED}


def test_too_few_cells_are_not_testable():
    intact, without = experiments_of(contrast_rates(), contrast_rates())
    few = np.flatnonzero((np.array(TYPES) != "L4_SST") | (np.cumsum(np.array(TYPES) == "L4_SST") <= 10))
    table = contrast_claims(intact.isel(neuron=few), without.isel(neuron=few))
    assert table.verdict.iloc[0] == NOT_TESTABLE


def images_experiment(growth=1.0, n_images=20, n_trials=10, n_neurons=100):
    rate = 8 * np.linspace(1, growth, n_trials)
    count = np.random.default_rng(0).poisson(rate[None, :, None] * 0.25, size=(n_images, n_trials, n_neurons))
    conditions = {"image": np.arange(n_images).astype(str), "stimulus": np.array(["natural"] * n_images)}
    return experiment(count, conditions, ["L4_Exc"] * n_neurons, {"stimulus": 250.0})


@pytest.mark.parametrize(("growth", "verdict"), [(1.0, REPRODUCED), (1.5, NOT_REPRODUCED)])
def test_a_drift_through_images_is_not_stable(growth, verdict):
    contrast, _ = experiments_of(contrast_rates(), contrast_rates())
    assert stability_claims(contrast, images_experiment(growth)).verdict.tolist() == [REPRODUCED, verdict]


def test_cells_that_run_away_are_not_stable():
    rates = contrast_rates()
    rates[0, -1] = 200
    contrast, _ = experiments_of(rates, rates)
    row = stability_claims(contrast, images_experiment()).iloc[0]
    assert row.verdict == NOT_REPRODUCED
    assert "1 % of cells above 100 Hz" in row.measured


@pytest.mark.parametrize(("deep_slope", "verdict"), [(-0.4, REPRODUCED), (0.0, NOT_REPRODUCED)])
def test_rules_that_were_put_into_the_wiring_are_found(deep_slope, verdict):
    types = ("L2/3_Exc", "L2/3_PV", "L5_IT", "L5_PV", "L6_Exc")
    edges, responses = fabricated_wiring(seed=1, n=1000, n_edges=200_000, types=types, noise=0.2)
    r = correlations(edges.pre.to_numpy(), edges.post.to_numpy(), response_vectors(responses))
    is_deep = edges.post_type.isin(["L5_IT", "L6_Exc"]).to_numpy()
    slope = np.where(edges.weight_pA > 0, 0.3, np.where(is_deep, deep_slope, 0.0))
    edges = edges.assign(weight_pA=edges.weight_pA * (1 + slope * r))
    table = wiring_claims(excitation_by_layer(edges, responses, QUICK), inhibition_by_layer(edges, responses, QUICK))
    assert table.verdict.tolist() == [REPRODUCED, verdict, verdict]
    assert table.measured.iloc[0].startswith("L2/3 +")
