"""Targets of a circuit: who is compared with which recorded cells, and the draw of target rates."""

import dataclasses

import numpy as np
import pytest
import torch

from twincortex.models.errors import InputError
from twincortex.models.neuropixels import read_neuropixels_summary
from twincortex.training.targets import circuit_targets, rate_targets

from circuits import small_random_circuit


@pytest.fixture(scope="module")
def circuit():
    return small_random_circuit(1, n=120)


@pytest.fixture(scope="module")
def targets(circuit):
    return circuit_targets(circuit, seed=5, core_radius_um=40.0)


def test_core_and_annulus_share_out_the_column(circuit, targets):
    core, annulus = targets.regions
    assert sorted([*core.neurons, *annulus.neurons]) == list(range(circuit.n_neurons))
    assert np.hypot(circuit.nodes.x, circuit.nodes.z)[core.neurons].max() < 40
    assert (core.weight, annulus.weight) == (1.0, 0.1)


def test_without_an_annulus_there_is_one_region(circuit):
    assert len(circuit_targets(circuit, seed=5, core_radius_um=200.0).regions) == 1


def test_neurons_of_all_three_l5_subtypes_are_l5_excitatory(circuit, targets):
    l5 = targets.cell_types.index("L5 Exc")
    of_l5 = np.concatenate([region.neurons[region.type_index == l5] for region in targets.regions])
    expected = np.flatnonzero(np.isin(circuit.cell_type, ["L5_IT", "L5_ET", "L5_NP"]))
    assert sorted(of_l5) == expected.tolist()
    assert len(set(circuit.cell_type[of_l5])) > 1


def test_neurons_are_ordered_by_type_with_levels_up_to_one(targets):
    for region in targets.regions:
        assert (np.diff(region.type_index) >= 0).all()
        for k in np.unique(region.type_index):
            n = np.sum(region.type_index == k)
            np.testing.assert_array_equal(region.level[region.type_index == k], np.arange(1, n + 1) / n)
            np.testing.assert_array_equal(region.membership[region.type_index == k, k], 1 / n)
            assert region.type_share[k] == n / len(region.neurons)
        assert set(np.flatnonzero(region.membership.any(0))) == set(region.type_index)


def test_selectivity_targets_are_the_recorded_means_and_say_how_many_units_they_rest_on(targets):
    summary = read_neuropixels_summary()
    for k, name in enumerate(targets.cell_types):
        row = summary.loc[name]
        assert (targets.osi[k], targets.dsi[k]) == (row["mean"]["OSI"], row["mean"]["DSI"])
        assert targets.n_recorded[k] == row.n_units["OSI"]


@pytest.mark.parametrize("cell_type", ["L2/3 Exc", "L4 PV", "L5 SST"])
@pytest.mark.parametrize("condition", ["evoked", "spontaneous"])
def test_many_target_rates_are_distributed_as_the_recorded_units(cell_type, condition):
    rates = rate_targets(cell_type, condition, 40_000, seed=1)
    recorded = read_neuropixels_summary().loc[cell_type, f"{condition}_rate_Hz"]
    silent = 1 / (recorded.n_units + 1)
    levels = np.array([0.25, 0.5, 0.75, 0.9])
    fraction_below = [np.mean(rates < recorded[f"quantile_{level:.3f}"]) for level in levels]
    # One silent unit of n + 1; the rest is five standard errors of a fraction of 40,000 draws.
    np.testing.assert_allclose(fraction_below, levels, atol=silent + 5 * np.sqrt(0.25 / 40_000))


def test_target_rates_are_a_pure_function_of_the_seed_and_differ_between_types_and_regions(circuit, targets):
    again = circuit_targets(circuit, seed=5, core_radius_um=40.0)
    other = circuit_targets(circuit, seed=6, core_radius_um=40.0)
    np.testing.assert_array_equal(targets.regions[0].rate_Hz["evoked"], again.regions[0].rate_Hz["evoked"])
    assert not np.array_equal(targets.regions[0].rate_Hz["evoked"], other.regions[0].rate_Hz["evoked"])
    draws = [rate_targets("L4 Exc", "evoked", 5, 5, *counters) for counters in [(0, 0), (1, 0), (0, 1)]]
    assert len({tuple(draw) for draw in draws}) == 3


def test_tensors_carry_the_same_numbers_and_leave_the_connections_in_the_memory_of_the_circuit(circuit, targets):
    tensors = targets.to(dtype=torch.float32)
    expected = targets.regions[1].rate_Hz["spontaneous"].astype(np.float32)
    np.testing.assert_array_equal(tensors.regions[1].rate_Hz["spontaneous"], expected)
    assert tensors.regions[0].neurons.dtype == torch.int64
    assert tensors.cell_types == targets.cell_types
    edges = circuit.projections["v1_to_v1"]
    for tensor, array in ((tensors.weights[0].initial, edges.weight), (tensors.weights[0].target, edges.target)):
        assert tensor.data_ptr() == array.ctypes.data


def test_an_empty_core_is_refused(circuit):
    with pytest.raises(InputError, match=r"core_radius_um 0.0: 0 of 120 neurons .* Choose a radius"):
        circuit_targets(circuit, seed=5, core_radius_um=0.0)


def test_a_population_without_recordings_is_refused(circuit):
    pop_name = circuit.node_types.pop_name.astype(object)
    pop_name[0] = "e7New"
    unknown = dataclasses.replace(circuit, node_types=dataclasses.replace(circuit.node_types, pop_name=pop_name))
    with pytest.raises(InputError, match="e7New have no counterpart"):
        circuit_targets(unknown, seed=5)
