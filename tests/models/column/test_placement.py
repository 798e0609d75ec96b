import numpy as np
import pytest
import scipy.stats

from twincortex.models.column.placement import count_neurons, make_node_types, place_neurons
from twincortex.models.column.sizes import COLUMN_SIZES, column_size
from twincortex.models.errors import InputError
from twincortex.models.parameters import read_cell_models, read_populations

SEED = 1


@pytest.fixture(scope="module")
def nodes():
    return place_neurons(200.0, SEED)


@pytest.fixture(scope="module")
def populations(nodes):
    return read_populations().loc[make_node_types().pop_name[nodes.type_index]]


@pytest.mark.parametrize(
    ("name", "n_neurons"), [("tiny", 1141), ("profile", 4239), ("small", 16728), ("core", 66652), ("full", 203816)]
)
def test_named_sizes_have_the_published_number_of_neurons(name, n_neurons):
    assert count_neurons(COLUMN_SIZES[name].radius_um, SEED).sum() == n_neurons


def test_populations_of_the_full_column_have_the_published_size():
    counts = np.bincount(make_population_number(), count_neurons(700.0, SEED))
    published = [1847, 51400, 2797, 1690, 1224, 6395, 13857, 15989, 17055, 1004, 3638, 1945]
    published += [20075, 7457, 1148, 576, 3268, 2883, 46099, 289, 1590, 1590]
    np.testing.assert_array_equal(counts, published)


def make_population_number():
    names = list(read_populations().index)
    return [names.index(name) for name in read_cell_models().pop_name]


def test_whole_numbers_of_cells_are_not_rounded_up():
    expected = -(-(read_cell_models().n_full.to_numpy() * 70**2) // 700**2)  # ceil, in whole numbers
    np.testing.assert_array_equal(count_neurons(70.0, SEED), expected)


def test_fluctuating_counts_scatter_as_poisson():
    mean = count_neurons(200.0, SEED)
    deviation = (count_neurons(200.0, SEED, fluctuate=True) - mean) / np.sqrt(mean)
    # The variance of 201 values of variance 1 has a standard deviation of 0.1.
    assert np.var(deviation) == pytest.approx(1.0, abs=0.4)


def test_a_radius_makes_a_custom_column_with_half_of_it_as_core():
    size = column_size(120.0)
    assert (size.name, size.radius_um, size.core_radius_um) == ("custom", 120.0, 60.0)
    assert column_size(120.0, 80.0).core_radius_um == 80.0


def test_an_unknown_size_names_the_near_one():
    with pytest.raises(InputError, match="did you mean 'small'"):
        column_size("smal")


@pytest.mark.parametrize(("radius", "core"), [(-5.0, None), (float("nan"), None), (100.0, 150.0), ("tiny", 10.0)])
def test_impossible_radii_are_refused(radius, core):
    with pytest.raises(InputError, match="radius"):
        column_size(radius, core)


def test_neurons_fill_the_disk_evenly(nodes):
    radius = np.hypot(nodes.x, nodes.z)
    assert radius.min() >= 1.0
    assert radius.max() <= 200.0
    assert scipy.stats.kstest((radius**2 - 1) / (200.0**2 - 1), "uniform").pvalue > 1e-3
    azimuth = np.arctan2(nodes.z, nodes.x) / (2 * np.pi) + 0.5
    assert scipy.stats.kstest(azimuth, "uniform").pvalue > 1e-3


def test_neurons_fill_their_layer_evenly_below_the_pia(nodes, populations):
    depth = (-nodes.y - populations.depth_upper_um) / (populations.depth_lower_um - populations.depth_upper_um)
    assert scipy.stats.kstest(depth, "uniform").pvalue > 1e-3


def test_tuning_angles_of_each_cell_model_go_round_the_circle(nodes):
    for count, angles in zip(count_neurons(200.0, SEED), split_by_model(nodes), strict=True):
        np.testing.assert_allclose(angles, np.arange(count) * 360.0 / count, atol=1e-9)


def split_by_model(nodes):
    return np.split(nodes.tuning_angle, np.flatnonzero(np.diff(nodes.type_index)) + 1)


def test_target_sizes_are_lognormal_and_at_least_one(nodes, populations):
    deviation = np.log(nodes.target_size / populations.n_synapses_scale) / populations.n_synapses_shape
    # Rounding to whole synapses moves the logarithm of sizes around 2,000 by less than the test can see.
    assert scipy.stats.kstest(deviation, "norm").pvalue > 1e-3
    assert nodes.target_size.min() >= 1


def test_node_types_carry_the_cell_models_and_their_receptors():
    node_types, models = make_node_types(), read_cell_models()
    np.testing.assert_array_equal(node_types.node_type_id, models.index)
    np.testing.assert_array_equal(node_types.parameters["C_m"], models.C_m_pF)
    assert node_types.receptor_parameters["tau_fast"].shape == (201, 8)
    # LGN onto L4 excitatory cells, receptor 0: spec of the column, synaptic kinetics.
    l4 = np.flatnonzero(node_types.pop_name == "e4Rorb")[0]
    kinetics = [node_types.receptor_parameters[name][l4, 0] for name in ("tau_fast", "tau_slow", "amp_slow")]
    np.testing.assert_allclose(kinetics, [1.875, 2.428, 0.527], atol=5e-4)


def test_a_column_added_for_other_equations_reaches_the_circuit(monkeypatch):
    more = read_cell_models().assign(asc_decay_2_per_ms=0.02)
    monkeypatch.setattr("twincortex.models.column.placement.read_cell_models", lambda: more)
    assert make_node_types().parameters["asc_decay_2"].tolist() == [0.02] * 201


def test_another_seed_moves_every_neuron_but_keeps_its_type(nodes):
    other = place_neurons(200.0, SEED + 1)
    np.testing.assert_array_equal(other.type_index, nodes.type_index)
    assert not np.any(other.x == nodes.x)
