"""LGN rates and spikes: spontaneous and evoked rates, closed form against pixels, drift direction, spike statistics."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from twincortex.models.column import hashed_draws
from twincortex.models.column.lgn_units import build_lgn_units
from twincortex.models.errors import InputError
from twincortex.models.lgn import LgnModel, lgn_rates, lgn_spikes
from twincortex.models.parameters import read_lgn_units
from twincortex.models.randomness import philox, splitmix64
from twincortex.models.stimuli import DriftingGrating, Gray, RecordedMovie, pixel_centres


@pytest.fixture(scope="module")
def units():
    return build_lgn_units(seed=1)


@pytest.fixture(scope="module")
def some_units(units):
    return units.iloc[::23].reset_index(drop=True)


def test_gray_gives_the_tabulated_spontaneous_rates(units):
    rates = lgn_rates(units, Gray(20.0))
    expected = read_lgn_units().spontaneous_Hz[units.model].to_numpy()
    np.testing.assert_allclose(rates, np.tile(expected, (20, 1)), rtol=1e-6)  # float32
    assert rates.mean() == pytest.approx(3.84, abs=0.005)  # spec/network.md 7.2


def test_standard_gratings_give_six_and_a_half_hertz(units):
    model = LgnModel(units)
    movies = (DriftingGrating(3000.0, direction=direction, onset=500.0) for direction in range(0, 360, 45))
    rates = [model.rates(movie)[500:].mean() for movie in movies]
    assert np.mean(rates) == pytest.approx(6.46, rel=0.02)  # spec/network.md 7.2; one seed of units
    assert np.ptp(rates) < 0.05  # no direction is special


def test_the_closed_form_is_what_the_pixels_give(some_units):
    model = LgnModel(some_units)
    movie = DriftingGrating(900.0, direction=30.0, phase=70.0, onset=150.0)
    closed, pixels = model.grating_rates(movie), model.pixel_rates(movie)
    assert np.corrcoef(closed.ravel(), pixels.ravel())[0, 1] > 0.9999
    np.testing.assert_allclose(closed, pixels, atol=1e-3)  # float32 and an FFT of 2,048 frames


def literal_grating_rates(model, grating):
    """The closed form frame by frame in numpy."""
    real, imaginary = model._cumulative_response(grating.angular_frequency)
    x, y = pixel_centres()
    phasor = model._along_x @ np.exp(1j * (grating.spatial_phase(x, 0.0) - grating.spatial_phase(0.0, 0.0)))
    phasor *= model._along_y @ np.exp(1j * grating.spatial_phase(0.0, y))
    phasor *= model.subunits.amplitude * grating.contrast
    cosine, sine = phasor.real.astype(np.float32), phasor.imag.astype(np.float32)
    spontaneous, onset = model.subunits.spontaneous.astype(np.float32), round(grating.onset)
    drive = np.tile(spontaneous, (grating.n_frames, 1))
    for step in range(grating.n_frames - onset):
        tap = min(step, len(real) - 1)
        turn = np.exp(-1j * grating.angular_frequency * step)
        c, s = np.float32(turn.real), np.float32(turn.imag)
        evoked = real[tap] * (sine * c + cosine * s) + imaginary[tap] * (cosine * c - sine * s)
        drive[onset + step] = evoked + spontaneous
    rectified = np.maximum(drive, 0)
    rectified[:, model._second] += rectified[:, model.n_units :]
    return rectified[:, : model.n_units]


def test_compiled_grating_rates_are_those_of_numpy_to_the_last_bit(some_units):
    model = LgnModel(some_units)
    assert len(model._second) > 10
    longer_than_the_kernel = DriftingGrating(700.0, direction=200.0, phase=10.0, onset=40.0)
    np.testing.assert_array_equal(
        model.rates(longer_than_the_kernel), literal_grating_rates(model, longer_than_the_kernel)
    )


def test_away_from_the_edges_the_blur_is_that_of_a_gaussian(units):
    inner = units[(units.model == "sON_TF4") & units.x.between(20, 100) & units.y.between(20, 60)].reset_index(
        drop=True
    )
    model = LgnModel(inner)
    movie = DriftingGrating(1200.0, direction=65.0, spatial_frequency=0.08)
    kernel, sigma = model.subunits.kernel.astype(float), inner.spatial_size.to_numpy() / 3
    lag = np.exp(1j * movie.angular_frequency * np.arange(len(kernel))) @ kernel
    blur = 0.8 * np.exp(-2 * (np.pi * sigma * 0.08) ** 2)
    phase = movie.spatial_phase(inner.x.to_numpy(), inner.y.to_numpy()) - movie.angular_frequency * 1100
    expected = np.maximum(blur * np.imag(np.exp(1j * phase) * lag) + 8.25, 0)
    np.testing.assert_allclose(model.rates(movie)[1100], expected, atol=0.02)  # the Gaussian is cut at 4 sigma


def test_any_movie_is_filtered_in_space_and_in_time(some_units):
    recording = np.random.default_rng(2).uniform(-1, 1, (1700, 80, 120)).astype(np.float32)  # two stretches of the FFT
    model = LgnModel(some_units)
    rates = model.rates(RecordedMovie(recording))
    subunits = model.subunits
    unit = int(np.flatnonzero(some_units.tuning_angle.notna())[0])
    expected = 0.0
    for part in np.flatnonzero(subunits.unit == unit):
        x, y = np.arange(120) + 0.5 - subunits.x[part], np.arange(80) + 0.5 - subunits.y[part]
        gaussian = np.exp(-(x**2 + y[:, None] ** 2) / (2 * subunits.sigma[part] ** 2))
        seen = recording.reshape(len(recording), -1) @ (gaussian / gaussian.sum()).ravel()
        filtered = np.convolve(seen, subunits.kernel[:, part])[: len(seen)]
        expected += np.maximum(subunits.amplitude[part] * filtered + subunits.spontaneous[part], 0)
    np.testing.assert_allclose(rates[:, unit], expected, atol=0.01)  # the Gaussian is cut at 4 sigma


@pytest.mark.parametrize(("direction", "axis"), [(0.0, (1, 0)), (90.0, (0, 1)), (180.0, (-1, 0)), (270.0, (0, -1))])
def test_units_respond_in_the_order_in_which_the_grating_passes_them(units, direction, axis):
    pair = units[units.model == "sON_TF2"].iloc[[0, 0]].reset_index(drop=True)
    pair["x"], pair["y"] = 60.5 + 5.0 * axis[0] * np.arange(2), 40.5 + 5.0 * axis[1] * np.arange(2)
    rates = lgn_rates(pair, DriftingGrating(2000.0, direction=direction))
    # 5 deg at 50 deg/s last 100 ms; the transient is over after 700 ms.
    np.testing.assert_allclose(rates[800:, 1], rates[700:-100, 0], atol=1e-3)
    assert np.ptp(rates[700:, 0]) > 5


def test_units_outside_the_field_are_refused(some_units):
    with pytest.raises(InputError, match=r"subunits 0, 1, 2, 3, 4, \.\.\. .* see no pixel"):
        LgnModel(some_units.assign(x=200.0))


def test_spikes_have_the_rate_and_are_poisson():
    rates = np.full((4000, 200), 30.0, dtype=np.float32)
    trains = lgn_spikes(rates, seed=1)
    expected = 30.0 * 4.0 * 200
    assert trains.n_spikes == pytest.approx(expected, abs=4 * np.sqrt(expected))  # four standard errors
    counts = np.histogram2d(trains.times, trains.node_ids, bins=(np.arange(0, 4001, 100), np.arange(201)))[0]
    fano = counts.var() / counts.mean()
    assert fano == pytest.approx(1.0, abs=4 * np.sqrt(2 / counts.size))


@pytest.mark.parametrize(("rate", "n_units"), [(0.01, 4000), (5.0, 500), (900.0, 50), (20_000.0, 5)])
def test_the_mean_rate_is_exact_at_any_rate(rate, n_units):
    rates = np.full((2000, n_units), rate, dtype=np.float32)
    expected = rate * 2.0 * n_units
    assert lgn_spikes(rates, seed=4).n_spikes == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_counts_per_frame_are_poisson():
    trains = lgn_spikes(np.full((1000, 300), 1500.0), seed=2)
    per_frame = np.bincount(trains.steps(1.0) * 300 + trains.node_ids, minlength=300_000)
    observed = np.bincount(np.minimum(per_frame, 8), minlength=9)
    expected = scipy.stats.poisson.pmf(np.arange(9), 1.5)
    expected[8] = 1 - expected[:8].sum()
    assert scipy.stats.chisquare(observed, 300_000 * expected).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_invert_the_poisson_distribution_at_the_uniform_numbers_of_their_frame_and_unit(dtype):
    rates = np.random.default_rng(1).exponential(300.0, (50, 40)).astype(dtype)
    rates[::7] *= 20
    trains = lgn_spikes(rates, seed=9, trial=4)
    counts = np.bincount(trains.steps(1.0) * 40 + trains.node_ids, minlength=rates.size).reshape(rates.shape)
    uniform = philox(9, "lgn_spikes", 4).random(rates.shape)
    expected = (rates * 1e-3).astype(float)
    more_than = [uniform < scipy.special.gammainc(n + 1.0, expected) for n in range(400)]
    np.testing.assert_array_equal(counts, np.sum(more_than, axis=0))


def test_spikes_stay_in_their_frame_and_are_uniform_within_it():
    rates = np.zeros((50, 400), dtype=np.float32)
    rates[20] = 800.0
    trains = lgn_spikes(rates, seed=3)
    assert np.all(trains.steps(1.0) == 20)
    assert 20.0 < trains.times.min() < trains.times.max() <= 21.0
    assert set(trains.steps(0.25)) == {80, 81, 82, 83}
    ticks = np.rint(trains.times * 1000)
    np.testing.assert_array_equal(trains.times, ticks / 1000)
    assert scipy.stats.kstest(ticks - 20_000 - np.linspace(0, 1, len(ticks)), "uniform", (0, 1000)).pvalue > 1e-3


def test_no_spike_lies_outside_the_movie():
    trains = lgn_spikes(np.full((10, 2000), 500.0), seed=8)
    trains.check_within(10.0)
    assert trains.times.min() >= 0.001
    assert (trains.steps(1.0).min(), trains.steps(1.0).max()) == (0, 9)
    assert lgn_spikes(np.zeros((10, 5)), seed=8).n_spikes == 0


def test_a_longer_movie_begins_with_the_same_spikes():
    rates = np.random.default_rng(0).uniform(0, 40, (600, 50)).astype(np.float32)
    long, short = lgn_spikes(rates, seed=5, trial=2), lgn_spikes(rates[:300], seed=5, trial=2)
    np.testing.assert_array_equal(long.times[: short.n_spikes], short.times)
    np.testing.assert_array_equal(long.node_ids[: short.n_spikes], short.node_ids)
    assert long.times[short.n_spikes] > 300.0
    assert not np.array_equal(lgn_spikes(rates, seed=5, trial=3).times, long.times)


@pytest.mark.parametrize("factor", [0.0, 3.0])
def test_the_rate_of_one_unit_moves_no_spike_of_another(factor):
    rates = np.random.default_rng(0).uniform(0, 400, (200, 50)).astype(np.float32)
    changed = rates.copy()
    changed[:, 7] *= factor
    before, after = lgn_spikes(rates, seed=5), lgn_spikes(changed, seed=5)
    kept_before, kept_after = (trains.node_ids != 7 for trains in (before, after))
    np.testing.assert_array_equal(before.times[kept_before], after.times[kept_after])
    np.testing.assert_array_equal(before.node_ids[kept_before], after.node_ids[kept_after])
    assert before.n_spikes != after.n_spikes


def test_a_higher_rate_adds_spikes_and_keeps_those_there_were():
    low, high = (set(lgn_spikes(np.full((100, 20), rate), seed=6).times) for rate in (100.0, 2000.0))
    assert low < high


def test_spike_times_are_uniform_and_independent_of_frame_unit_and_spike():
    trains = lgn_spikes(np.full((200, 100), 2000.0), seed=7)
    phase = np.rint(trains.times * 1000) - 1000 * trains.steps(1.0)
    # The distance of 40,000 whole ticks from uniform: 1e-3 is their spacing.
    assert scipy.stats.ks_1samp((phase - 0.5) / 1000, scipy.stats.uniform.cdf).statistic < 1.95 / np.sqrt(40_000) + 1e-3
    of_frame, of_unit = (
        np.bincount(group, phase) / np.bincount(group) for group in (trains.steps(1.0), trains.node_ids)
    )
    for means, n_each in ((of_frame, 200), (of_unit, 400)):
        scatter = means.var() / (1000**2 / 12 / n_each)
        assert scatter == pytest.approx(1.0, abs=4 * np.sqrt(2 / len(means)) + 0.05)  # groups vary in size


def test_spikes_of_one_unit_in_one_frame_differ_in_time():
    trains = lgn_spikes(np.full((1, 1), 50_000.0), seed=1)
    assert trains.n_spikes > 20
    assert len(np.unique(trains.times)) > 0.9 * trains.n_spikes  # of 50 in 1,000 ticks, one or two coincide


def test_the_hash_is_that_of_the_compiled_kernels():
    keys, counters = np.array([0, 7, 2**64 - 5], dtype=np.uint64), np.array([0, 17_399, 2**40])
    one_by_one = [hashed_draws.splitmix64(key, counter) for key, counter in zip(keys, counters, strict=True)]
    np.testing.assert_array_equal(splitmix64(keys, counters), np.array(one_by_one, dtype=np.uint64))


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_impossible_rates_are_refused(bad):
    rates = np.ones((10, 3))
    rates[4, 1] = bad
    with pytest.raises(InputError, match="negative or not finite"):
        lgn_spikes(rates, seed=1)
