"""Movies: what they show, where, and which requests they refuse."""

import dataclasses
import re

import numpy as np
import pytest

from twincortex.models.errors import InputError
from twincortex.models.stimuli import (
    STIMULI,
    DriftingGrating,
    Gray,
    RecordedMovie,
    make_stimulus,
    stimulus_options,
)


def test_gray_is_zero():
    frames = Gray(duration=7.0).frames(0, 7)
    assert frames.shape == (7, 80, 120)
    assert frames.dtype == np.float32
    assert not frames.any()


@pytest.mark.parametrize(("direction", "shift"), [(0, (0, 1)), (90, (1, 0)), (180, (0, -1)), (270, (-1, 0))])
def test_a_grating_drifts_towards_its_direction_with_elevation_upwards(direction, shift):
    # 2 Hz over 0.04 cycles/deg is 50 deg/s: one pixel in 20 ms.
    frames = DriftingGrating(duration=100.0, direction=direction).frames(0, 100)
    moved = np.roll(frames[:-20], shift, axis=(1, 2))[:, 1:-1, 1:-1]
    np.testing.assert_allclose(frames[20:, 1:-1, 1:-1], moved, atol=1e-6)  # float32


def test_a_grating_has_its_frequencies_contrast_and_phase():
    movie = DriftingGrating(
        1000.0, direction=30.0, spatial_frequency=0.1, temporal_frequency=3.0, contrast=0.4, phase=45.0
    )
    time, column, row = 321, 17, 58
    along = (column + 0.5) * np.cos(np.pi / 6) + (row + 0.5) * np.sin(np.pi / 6)
    expected = 0.4 * np.sin(2 * np.pi * (0.1 * along - 3.0 * time / 1000) + np.pi / 4)
    assert movie.frames(time, time + 1)[0, row, column] == pytest.approx(expected, abs=1e-6)


def test_a_grating_starts_its_own_time_at_its_onset():
    late, early = DriftingGrating(300.0, onset=100.0), DriftingGrating(200.0)
    assert not late.frames(0, 100).any()
    np.testing.assert_array_equal(late.frames(100, 300), early.frames(0, 200))


def test_chunks_are_the_frames_in_order():
    movie = DriftingGrating(duration=25.0, direction=75.0)
    chunks = list(movie.chunks(10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    np.testing.assert_array_equal(np.concatenate(chunks), movie.frames(0, 25))


def test_a_recording_is_shown_as_it_is():
    recording = np.random.default_rng(0).uniform(-1, 1, (6, 80, 120))
    movie = RecordedMovie(recording)
    assert movie.duration == 6.0
    np.testing.assert_array_equal(movie.frames(2, 5), recording[2:5].astype(np.float32))


@pytest.mark.parametrize(
    ("recording", "complaint"),
    [
        (np.zeros((5, 120, 80)), r"shape \(5, 120, 80\)"),
        (np.zeros((0, 80, 120)), "shape"),
        (np.full((3, 80, 120), 255.0), "frames 0, 1, 2"),
        (np.full((3, 80, 120), np.nan), "not finite"),
    ],
)
def test_recordings_that_are_no_movie_are_refused(recording, complaint):
    with pytest.raises(InputError, match=complaint):
        RecordedMovie(recording)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"contrast": 80.0}, "contrast 80.0"),
        ({"onset": 1000.0}, "onset 1000.0 ms: expected less"),
        ({"onset": 0.5}, "whole number of frames"),
        ({"direction": np.nan}, "direction nan"),
        ({"direktion": 45.0}, "did you mean 'direction'"),
    ],
)
def test_gratings_that_cannot_be_are_refused(parameters, complaint):
    with pytest.raises(InputError, match=complaint):
        make_stimulus("grating", 1000.0, **parameters)


def test_the_table_makes_stimuli_by_name():
    assert make_stimulus("gray", 500.0) == Gray(500.0)
    assert make_stimulus("grating", 500.0, direction=45.0) == DriftingGrating(500.0, direction=45.0)
    with pytest.raises(InputError, match="did you mean 'grating'"):
        make_stimulus("gratings", 500.0)
    with pytest.raises(InputError, match="no parameters but its duration"):
        make_stimulus("gray", 500.0, contrast=0.5)
    with pytest.raises(InputError, match="duration 0"):
        make_stimulus("gray", 0.0)


@pytest.mark.parametrize("name", STIMULI)
def test_every_parameter_of_a_stimulus_is_an_option_with_its_default_and_its_unit(name):
    options = stimulus_options()
    fields = [field for field in dataclasses.fields(STIMULI[name]) if field.name != "duration"]
    assert all(re.search(r"\[.+\]", options[field.name][1]) for field in fields)
    defaults = {field.name: options[field.name][0] for field in fields}
    assert make_stimulus(name, 500.0, **defaults) == make_stimulus(name, 500.0)
    # A name means the same in all stimuli, else the command line could offer it only once.
    assert all(options[field.name] == (field.default, field.metadata["help"]) for field in fields)


def test_options_are_listed_in_the_order_of_the_table():
    assert list(stimulus_options())[:3] == ["direction", "spatial_frequency", "temporal_frequency"]
    assert stimulus_options()["spatial_frequency"] == (0.04, "of the grating [cycles/deg]")
