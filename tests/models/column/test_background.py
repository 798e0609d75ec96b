import numpy as np
import pytest
import scipy.stats

from twincortex.models.column.background import choose_distinct, connect_background
from twincortex.models.column.placement import make_node_types, place_neurons
from twincortex.models.parameters import read_cell_models, read_populations, receptor_layout

SEED = 1


@pytest.fixture(scope="module")
def nodes():
    return place_neurons(100.0, SEED)


@pytest.fixture(scope="module")
def background(nodes):
    return connect_background(nodes, make_node_types(), SEED)


def test_every_neuron_listens_to_four_different_units(nodes, background):
    pairs = np.stack([background.posts(receptor_layout().n_receptors), background.sources()])
    assert pairs.shape[1] == 4 * len(nodes.x)
    assert np.unique(pairs, axis=1).shape == pairs.shape
    np.testing.assert_array_equal(np.bincount(pairs[0]), 4)


def test_units_are_chosen_equally_often(background):
    assert background.n_sources == 100
    assert scipy.stats.chisquare(np.diff(background.indptr)).pvalue > 1e-3


def test_weights_are_the_tuned_ones_of_the_cell_model(nodes, background):
    post = background.posts(receptor_layout().n_receptors)
    tuned = read_cell_models().bkg_weight_pA.to_numpy()[nodes.type_index[post]]
    np.testing.assert_array_equal(background.weight, tuned.astype(np.float32))
    # Tuned, not initial: the paper's population means lie between 2.2 and 31 pA.
    means = read_cell_models().groupby("pop_name").bkg_weight_pA.mean()
    assert 2 < means.min() < means.max() < 32


def test_background_arrives_after_one_millisecond_at_the_receptor_of_external_input(nodes, background):
    layout = receptor_layout()
    np.testing.assert_array_equal(background.delay_ms[background.delay_code], 1.0)
    post_class = read_populations().synapse_class[make_node_types().pop_name].to_numpy()
    expected = np.array([layout.index["exc", post] for post in post_class])
    post, receptor = np.divmod(background.target, layout.n_receptors)
    np.testing.assert_array_equal(receptor, expected[nodes.type_index[post]])


def test_every_choice_of_distinct_units_is_equally_likely():
    chosen = np.sort(choose_distinct(np.random.default_rng(SEED), 5, 3, 20_000), axis=1)
    _, counts = np.unique(chosen, axis=0, return_counts=True)
    assert len(counts) == 10
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
