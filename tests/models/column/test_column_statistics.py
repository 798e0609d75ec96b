"""A built column against the published rules on the same neurons, and what that comparison can see."""

import dataclasses
from functools import cache

import numpy as np
import pytest
from oracles.deviations import largest_by_chance, summarize
from oracles.lgn_sampler import compare_with_sampler, count_wrong_cells
from oracles.published_inputs import (
    check_background,
    count_by_population,
    largest_difference_of_weights,
    population_rows,
)
from oracles.published_probability import (
    cell_types,
    count_reciprocal,
    published_probability,
    published_rules,
    read_cells,
)
from oracles.published_weights import check_psps, unit_psps
from oracles.published_wiring import check_recurrent, deviations_of

from twincortex.models.column import build_column
from twincortex.models.parameters import read_cell_models

pytestmark = pytest.mark.xdist_group("column statistics")

SEED = 1
N_TARGETS, N_RECIPROCAL, LGN_CELLS_PER_POPULATION = 4000, 2000, 20


@cache
def small():
    return build_column("small", SEED)


def some_neurons(n):
    return np.random.default_rng(SEED).choice(small().n_neurons, n, replace=False)


def assert_chance(z, name, independent=True):
    """Chance exceeds the first bound once in 1,000 times, the second once in 5,000."""
    summary = summarize(z, independent)
    assert summary["largest_abs_z"] < summary["largest_abs_z_once_in_1000"], (name, summary)
    assert not independent or 1e-4 < summary["p_value"] < 1 - 1e-4, (name, summary)


# --- the oracle ------------------------------------------------------------------------------------------------------
def test_the_oracle_gives_the_probabilities_worked_out_by_hand():
    cells, rules = read_cells(small()), published_rules()
    excitatory, inhibitory = cell_types().index.get_loc("L4_Exc"), cell_types().index.get_loc("L4_PV")
    # Neuron 0 is the target, at the origin with its axis along x; the sources are 1: behind it, 2: ahead, 3: across.
    place = {"x": [0.0, -50.0, 50.0, -50.0], "z": [0.0, 0.0, 0.0, 127.0 * 1.5], "angle": [0.0, 180.0, 45.0, 90.0]}
    place |= {"cosine": [1.0] * 4, "sine": [0.0] * 4, "size": [1.2] * 4, "outside": [0] * 4}
    cells = cells._replace(
        **{name: np.array(values) for name, values in place.items()},
        cell_type=np.array([excitatory, excitatory, inhibitory, excitatory]),
    )
    pmax = rules.pmax * 1.2
    assert published_probability(rules, cells, 1, 0) == pytest.approx(pmax[excitatory, excitatory] * 4 / 3)
    assert published_probability(rules, cells, 2, 0) == pytest.approx(pmax[inhibitory, excitatory])
    expected = pmax[excitatory, excitatory] * 2 / 3 * np.exp(-0.5)
    assert published_probability(rules, cells, 3, 0) == pytest.approx(expected)
    far = cells._replace(outside=np.ones(4, dtype=int))
    expected = pmax[inhibitory, excitatory] * np.exp(-0.5 * (50 / 96.6) ** 2)
    assert published_probability(rules, far, 2, 0) == pytest.approx(expected)


def test_the_oracle_finds_the_published_unit_psps():
    published = read_cell_models().unit_psp_exc_mV_per_pA_published
    # The published table is rounded to 0.001 mV and agrees within 1 % beyond that.
    np.testing.assert_allclose(unit_psps(["exc"])[0], published, rtol=0.01, atol=0.0006)


# --- recurrent connections -------------------------------------------------------------------------------------------
def test_connections_are_as_many_as_the_published_probabilities_add_up_to():
    check = check_recurrent(small(), some_neurons(N_TARGETS))
    assert (check.n_self, check.n_duplicates) == (0, 0)
    deviations = deviations_of(check, read_cells(small()))
    for name, deviation in deviations.items():
        assert_chance(deviation.z, name)
    assert np.abs(deviations["pairs of cell types"].z).max() < 4.0  # one in 50 seeds has a larger one by chance


def test_connections_are_reciprocal_by_chance_only():
    observed, expected, sd = count_reciprocal(small(), some_neurons(N_RECIPROCAL))
    assert expected > 1000
    assert observed == pytest.approx(expected, abs=4 * sd)


def one_pair_more_likely(rules):
    number, pmax = cell_types().index.get_loc("L2/3_Exc"), rules.pmax.copy()
    pmax[number, number] *= 1.03
    return rules._replace(pmax=pmax)


WRONG_RULES = {
    "pairs of cell types": one_pair_more_likely,
    "distance": lambda rules: rules._replace(
        sigma_along=1.02 * rules.sigma_along, sigma_across=1.02 * rules.sigma_across, pmax=rules.pmax / 1.04
    ),
    "direction difference": lambda rules: rules._replace(like=0.97 * rules.like, unlike=1.06 * rules.unlike),
    "offset along the tuning axis, inside": lambda rules: rules._replace(shift=0.9 * rules.shift),
    "offset across the tuning axis, inside": lambda rules: rules._replace(
        sigma_along=1.04 * rules.sigma_along, sigma_across=rules.sigma_across / 1.04
    ),
}


@pytest.mark.parametrize("statistic", WRONG_RULES)
def test_the_comparison_sees_a_rule_that_is_a_few_percent_off(statistic):
    """The builder keeps to the published rule; the wrong one is given to the comparison."""
    check = check_recurrent(small(), some_neurons(N_TARGETS // 2), WRONG_RULES[statistic](published_rules()))
    z = deviations_of(check, read_cells(small()))[statistic].z
    assert np.abs(z).max() > largest_by_chance(len(z)), summarize(z)


def test_the_comparison_sees_sizes_that_belong_to_other_cells():
    nodes = small().nodes
    larger = dataclasses.replace(nodes, target_size=np.rint(nodes.target_size**0.9 * 2).astype(np.int32))
    other = dataclasses.replace(small(), nodes=larger)
    z = deviations_of(check_recurrent(other, some_neurons(1000)), read_cells(other))["size of the target"].z
    assert np.abs(z).max() > largest_by_chance(len(z)), summarize(z)


# --- weights ---------------------------------------------------------------------------------------------------------
def test_psps_follow_the_published_lognormals():
    psps, _ = check_psps(small())
    assert len(psps) > 140
    assert not psps.n_beyond.any()
    for name in ("mean_z", "variance_z", "limit_z"):
        assert_chance(psps[name].to_numpy(), name)
    for name in ("scale_z", "shape_z"):
        assert_chance(psps[name].dropna().to_numpy(), name, independent=False)
    assert psps.quantile_p.min() > 1e-3 / len(psps)


@pytest.mark.parametrize("statistic", ["mean_z", "variance_z"])
def test_the_comparison_sees_psps_that_are_one_percent_off(statistic):
    weight = small().projections["v1_to_v1"].weight
    typical = np.median(np.abs(weight))
    changed = 1.01 * weight if statistic == "mean_z" else weight * (np.abs(weight) / typical) ** 0.01
    psps, _ = check_psps(small().with_weights({"v1_to_v1": changed}))
    assert psps[statistic].abs().max() > largest_by_chance(len(psps))


# --- LGN and background ----------------------------------------------------------------------------------------------
def lgn_cells(n_per_population):
    population = population_rows(small()).population
    rng = np.random.default_rng(SEED)
    return np.concatenate(
        [rng.permutation(np.flatnonzero(population == name))[:n_per_population] for name in population.unique()]
    )


def test_lgn_connections_and_synapses_per_population_are_the_published_ones():
    populations = count_by_population(small())
    for name in ("connections_z", "synapses_z", "synapses_given_connections_z"):
        assert_chance(populations[name].to_numpy(), name)
    assert populations.multiplicity_p.min() > 1e-3 / len(populations)
    assert set(count_wrong_cells(small()).values()) == {0}
    assert largest_difference_of_weights(small()) < 1e-6  # float32


def test_lgn_units_are_those_that_an_independent_sampler_chooses():
    sampler = compare_with_sampler(small(), lgn_cells(LGN_CELLS_PER_POPULATION), SEED)
    assert len(sampler) == 27
    assert_chance(sampler.z.to_numpy(), "sampler", independent=False)


@pytest.mark.parametrize(
    ("statistic", "change"),
    [
        ("azimuth", {"x": 0.85}),
        ("elevation", {"z": 0.75}),
        ("offset along, sustained", {"tuning_angle": 0.8}),
    ],
)
def test_the_sampler_sees_cells_out_of_place(statistic, change):
    """Cells are taken from one side, where the change is a shift in one direction."""
    nodes = small().nodes
    ((name, factor),) = change.items()
    side = np.flatnonzero(getattr(nodes, name) > np.quantile(getattr(nodes, name), 0.9))
    moved = dataclasses.replace(nodes, **{name: factor * getattr(nodes, name)})
    cells = np.random.default_rng(SEED).choice(side, 60, replace=False)
    z = compare_with_sampler(dataclasses.replace(small(), nodes=moved), cells, SEED).z
    assert abs(z[statistic]) > 4.0


def test_background_is_four_units_per_cell_with_the_tuned_weights():
    background = check_background(small())
    wrong = background["n_wrong_cells"], background["n_wrong_weights"], background["delays_ms"]
    assert wrong == (0, 0, [1.0])
    assert 1e-4 < background["unit_p"] < 1 - 1e-4
