"""Images: sparsity of known distributions, stability, decoders at chance and perfect."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_experiments import experiment

from twincortex.analysis.image_decoding import DecodingOptions, decode_images, logistic_accuracy, template_accuracy
from twincortex.analysis.image_responses import ImageCounts, image_counts, image_table, sparsity, stability_table
from twincortex.models.errors import InputError

FAST = DecodingOptions(n_cells=(10,), n_draws=2)


def counts_of(rate, n_repetitions=10, cell_type=None, seed=0):
    """Poisson counts of (I, N) rates per presentation."""
    count = np.random.default_rng(seed).poisson(rate[:, None], (len(rate), n_repetitions, rate.shape[1]))
    types = np.array(["L4_Exc"] * rate.shape[1]) if cell_type is None else np.asarray(cell_type)
    return ImageCounts(np.arange(len(rate)).astype(str), count, 0.25, types)


def test_sparsity_of_known_responses():
    assert sparsity(np.full(20, 3.0), 0) == pytest.approx(0)
    assert sparsity(np.eye(20)[0], 0) == pytest.approx(1)
    assert sparsity(np.array([1.0, 1, 0, 0]), 0) == pytest.approx((1 - 0.5) / 0.75)
    assert np.isnan(sparsity(np.zeros(5), 0))
    assert np.isnan(sparsity(np.ones(1), 0))


def test_sparsity_of_exponential_responses_is_one_half_and_that_of_lognormal_ones_the_closed_form():
    random = np.random.default_rng(1)
    # <r>^2 / <r^2> is 1/2 for an exponential, exp(-s^2) for a lognormal.
    assert sparsity(random.exponential(7, 200_000), 0) == pytest.approx(0.5, abs=0.01)
    assert sparsity(random.lognormal(0, 0.7, 200_000), 0) == pytest.approx(1 - np.exp(-0.49), abs=0.01)


def test_sparsity_has_no_unit_and_goes_along_its_axis():
    responses = np.random.default_rng(2).random((6, 4))
    np.testing.assert_allclose(sparsity(responses, 0), sparsity(9 * responses.T, 1))
    assert sparsity(responses, 0).shape == (4,)


def test_the_table_tells_image_selectivity_from_noise():
    rate = np.random.default_rng(3).exponential(2, (40, 60))
    rate[:, 30:] = 2.0
    table = image_table(counts_of(rate, cell_type=["L4_Exc"] * 30 + ["L4_PV"] * 30)).set_index(
        ["cell_type", "quantity"]
    )
    mean, n = table["mean"], table["n"]
    # Noise of 10 repetitions adds <r> / 10 to <r^2>.
    assert mean["L4_Exc", "lifetime_sparsity"] == pytest.approx(1 - 4 / (8 + 0.2), abs=0.03)
    assert mean["L4_PV", "lifetime_sparsity"] == pytest.approx(1 - 4 / (4 + 0.2), abs=0.01)
    assert mean["L4_PV", "lifetime_sparsity_noise"] == pytest.approx(mean["L4_PV", "lifetime_sparsity"], abs=0.005)
    assert mean["L4_Exc", "rate_Hz"] == pytest.approx(8, rel=0.1)
    assert n["L4_Exc", "lifetime_sparsity"] == 30
    assert n["L4_Exc", "population_sparsity"] == 40  # images


def test_silence_runaway_and_drift_are_seen():
    rate = np.full((5, 40), 2.0)
    rate[:, 0] = 0
    rate[2, 1] = 60  # 240 Hz in one image
    counts = counts_of(rate, n_repetitions=30)
    ramp = np.broadcast_to(np.arange(30)[None, :, None] % 30, counts.count[:, :, 2:].shape)
    counts.count[:, :, 2:] = ramp  # 0 to 29 spikes in 0.25 s
    table = stability_table(counts).set_index("cell_type")
    for name in ("L4_Exc", "all"):
        row = table.loc[name]
        assert (row.n, row.silent, row.runaway) == (40, 1 / 40, 1 / 40)
        assert row.drift_low < row.drift_Hz < row.drift_high
        assert row.drift_Hz == pytest.approx(38 / 40 * 29 / 0.25, rel=0.02)
    steady = stability_table(counts_of(np.full((5, 100), 2.0), n_repetitions=30)).iloc[0]
    assert abs(steady.drift_Hz) < 1


def test_images_are_taken_from_an_experiment():
    count = np.arange(3 * 2 * 2).reshape(3, 2, 2)
    dataset = experiment(
        count,
        {"image": ["a", "b", ""], "stimulus": ["natural", "natural", "flash"]},
        ["L4_Exc", "L4_PV"],
        windows={"gray": 100.0, "stimulus": 250.0},
        is_core=[True, False],
    )
    found = image_counts(dataset)
    assert found.image.tolist() == ["a", "b"]
    np.testing.assert_array_equal(found.count[:, :, 0], count[:2, :, 0])
    np.testing.assert_allclose(found.rate[:, 0], [(0 + 2) / 2 / 0.25, (4 + 6) / 2 / 0.25])
    with pytest.raises(InputError, match="1 conditions with stimulus 'flash'"):
        image_counts(dataset, kind="flash")


def test_images_that_drive_cells_of_their_own_are_decoded_without_error():
    counts = counts_of(0.01 + 20 * np.eye(10))
    table = decode_images(counts, FAST).set_index("decoder")
    assert table.accuracy.logistic > 0.99
    assert table.accuracy.template > 0.99
    assert table.chance.logistic == 0.1
    assert (table.not_converged == 0).all()


def test_decoders_are_at_chance_on_shuffled_labels_and_on_cells_that_no_image_drives():
    n_named = 2 * 10 * 20  # draws x images x repetitions
    margin = 5 * np.sqrt(0.1 * 0.9 / n_named)  # 5 standard errors
    separable = decode_images(counts_of(0.01 + 20 * np.eye(10), n_repetitions=20), FAST).set_index("decoder")
    assert separable.accuracy.shuffled == pytest.approx(0.1, abs=margin)
    indifferent = decode_images(counts_of(np.full((10, 12), 2.0), n_repetitions=20), FAST)
    assert (np.abs(indifferent.accuracy - 0.1) < margin).all()


def test_silent_cells_decode_at_chance():
    accuracy = template_accuracy(np.zeros((10, 20, 5), dtype=int), 5, np.random.default_rng(4))
    assert accuracy == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / 200))  # guesses


def test_more_cells_decode_better_and_the_seed_repeats():
    counts = counts_of(np.random.default_rng(5).exponential(0.5, (15, 50)), n_repetitions=6)
    options = DecodingOptions(n_cells=(5, 40), n_draws=2, n_folds=3, seed=3)
    table = decode_images(counts, options)
    logistic = table[table.decoder == "logistic"].set_index("n_cells").accuracy
    assert logistic[40] > logistic[5] + 0.2
    assert table.equals(decode_images(counts, options))
    assert not table.equals(decode_images(counts, replace(options, seed=4)))


def test_repetitions_that_are_left_out_are_not_trained_on():
    # Every presentation carries a mark of its own, which decodes those trained on, and no others.
    count = np.eye(40, dtype=int).reshape(8, 5, 40)
    accuracy, _ = logistic_accuracy(count, DecodingOptions())
    assert accuracy <= 1 / 8 + 1e-9


def test_what_cannot_be_decoded_is_refused():
    with pytest.raises(InputError, match="the largest cell type has 3"):
        decode_images(counts_of(np.ones((4, 3))), FAST)
    with pytest.raises(InputError, match="one repetition per image"):
        decode_images(counts_of(np.ones((4, 20)), n_repetitions=1), FAST)


def test_fits_that_do_not_end_are_counted():
    counts = counts_of(np.random.default_rng(6).exponential(3, (10, 10)))
    table = decode_images(counts, DecodingOptions(n_cells=(10,), n_draws=1, max_iterations=2)).set_index("decoder")
    assert table.not_converged.logistic == 1
    assert table.not_converged.template == 0
