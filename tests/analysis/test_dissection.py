"""Silencing: known changes of rate and selectivity come back, targeted cells do not count."""

import numpy as np
import pytest
from scipy.stats import poisson
from synthetic_experiments import DIRECTIONS, WINDOW_S, experiment, tuned_rates

from twincortex.analysis.dissection import (
    disinhibition_table,
    find_silencing,
    percent_changes,
    selectivity_changes,
    silencings,
)
from twincortex.models.errors import InputError

TYPES = np.repeat(["L4_Exc", "L4_PV", "L4_SST"], [60, 20, 20])
FACTOR = {"PV": {"L4_Exc": 1.5, "L4_PV": 1.0, "L4_SST": 0.7}, "SST": {"L4_Exc": 1.0, "L4_PV": 1.0, "L4_SST": 1.0}}


def silencing_experiment(rates_of, n_trials=10):
    """Poisson counts of (N, D) rates for every cohort, all from the same random numbers; silenced cells 0."""
    cohorts, counts, silenced = list(rates_of), [], []
    for cohort, rates in rates_of.items():
        target = np.char.endswith(TYPES, f"_{cohort}") & (np.arange(len(TYPES)) % 2 == 0)  # half of the type
        uniform = np.random.default_rng(1).random((len(DIRECTIONS), n_trials, len(TYPES)))
        count = poisson.ppf(uniform, rates.T[:, None] * WINDOW_S)
        counts.append(np.where(target, 0, count))
        silenced.append(np.tile(target, (len(DIRECTIONS), 1)))
    conditions = {
        "cohort": np.repeat(cohorts, len(DIRECTIONS)),
        "contrast": np.full(len(DIRECTIONS) * len(cohorts), 0.8),
        "direction_deg": np.tile(DIRECTIONS, len(cohorts)),
    }
    extra = {"silenced": (("condition", "neuron"), np.concatenate(silenced))}
    return experiment(np.concatenate(counts), conditions, TYPES, extra=extra)


@pytest.fixture(scope="module")
def found():
    random = np.random.default_rng(2)
    rates = tuned_rates(random.lognormal(2, 0.3, len(TYPES)), random.uniform(0, 360, len(TYPES)))
    factors = {cohort: np.array([of[name] for name in TYPES])[:, None] for cohort, of in FACTOR.items()}
    rates_of = {"baseline": rates} | {cohort: rates * factor for cohort, factor in factors.items()}
    # Without SST the excitatory cells fire the same on average, without tuning.
    rates_of["SST"][:60] = rates_of["SST"][:60].mean(axis=1, keepdims=True)
    return silencings(silencing_experiment(rates_of))


def test_cohorts_come_with_their_targets_left_out(found):
    assert [(one.cohort, one.n_silenced) for one in found] == [("PV", 10), ("SST", 10)]
    assert (found[0].silenced.cell_type == "L4_PV").sum() == 10
    assert (found[0].baseline.cell_type == "L4_SST").sum() == 20
    assert find_silencing(found, "SST") is found[1]
    with pytest.raises(InputError, match="no cohort 'VIP': Known: PV, SST"):
        find_silencing(found, "VIP")


def test_percent_changes_are_the_factors_that_rates_were_multiplied_with(found):
    changes = percent_changes(found)
    for _, row in changes[changes.cohort == "PV"].iterrows():
        truth = 100 * (FACTOR["PV"][row.cell_type] - 1)
        assert row.low <= truth <= row.high
        assert row.high - row.low < 15
        assert row.n_inputs == 80
    effect = changes.set_index(["cohort", "cell_type"]).effect
    assert effect["PV"].to_dict() == {"L4_Exc": "rises", "L4_PV": "none", "L4_SST": "falls"}
    assert effect["SST", "L4_SST"] == "none"


def test_paired_inputs_make_intervals_of_no_change_narrow(found):
    unchanged = percent_changes(found).set_index(["cohort", "cell_type"]).loc[("PV", "L4_PV")]
    assert (unchanged.percent_change, unchanged.low, unchanged.high) == pytest.approx((0, 0, 0), abs=1e-12)


def test_disinhibition_names_the_types_that_rise(found):
    table = disinhibition_table(percent_changes(found)).set_index("cohort")
    assert table.rising["PV"] == "L4_Exc"
    assert table.loc["PV", ["exc_rise", "exc_fall", "inh_rise", "inh_fall"]].tolist() == [1, 0, 0, 1]
    assert table.exc_percent["PV"] == pytest.approx(50, abs=3)
    assert table.rising["SST"] == ""


def test_lost_tuning_is_seen_in_selectivity(found):
    table = selectivity_changes(found).set_index(["cohort", "cell_type", "quantity"])
    lost = table.loc[("SST", "L4_Exc", "OSI")]
    assert lost.baseline == pytest.approx(0.3, abs=0.02)
    assert lost.change == pytest.approx(-0.27, abs=0.03)  # noise leaves an OSI of about 0.03
    assert lost.high < -0.2
    assert abs(lost.noise_change) < 0.01
    kept = table.loc[("PV", "L4_Exc", "OSI")]
    assert abs(kept.change) < 0.01
    assert kept.n == 60


def test_an_experiment_without_a_baseline_is_refused():
    dataset = silencing_experiment({"PV": np.ones((len(TYPES), 8)), "SST": np.ones((len(TYPES), 8))}, n_trials=1)
    with pytest.raises(InputError, match="cohorts PV, SST: expected baseline"):
        silencings(dataset)


def test_silent_types_have_no_change():
    rates = np.full((len(TYPES), 8), 5.0)
    rates[TYPES == "L4_SST"] = 0
    found = silencings(silencing_experiment({"baseline": rates, "PV": rates}, n_trials=2))
    row = percent_changes(found).set_index("cell_type").loc["L4_SST"]
    assert np.isnan([row.percent_change, row.low, row.high]).all()
    assert row.effect == "none"
