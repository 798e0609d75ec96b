"""Static gratings, flashes and sequences of images: what they show, when, and what they refuse."""

import numpy as np
import pytest

from twincortex.models.errors import InputError
from twincortex.models.stimuli import DriftingGrating, FullFieldFlash, ImageSequence, StaticGrating, make_stimulus


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(-1, 1, (3, 80, 120)).astype(np.float32)


def test_a_static_grating_is_a_drifting_one_that_stands_still():
    same = {"spatial_frequency": 0.1, "contrast": 0.4, "phase": 45.0}
    still = StaticGrating(300.0, orientation=30.0, onset=100.0, presentation=150.0, **same).frames(0, 300)
    standing = DriftingGrating(1.0, direction=30.0, temporal_frequency=0.0, **same).frames(0, 1)
    np.testing.assert_array_equal(still[100:250], np.repeat(standing, 150, axis=0))
    assert not still[:100].any()
    assert not still[250:].any()


@pytest.mark.parametrize(("orientation", "along_bars"), [(0.0, 0), (90.0, 1)])
def test_orientation_zero_has_vertical_bars(orientation, along_bars):
    frame = StaticGrating(250.0, orientation=orientation).frames(0, 1)[0]
    assert np.ptp(frame, axis=along_bars).max() < 1e-6  # float32
    assert np.ptp(frame, axis=1 - along_bars).min() > 1.5


@pytest.mark.parametrize("step", [-1.0, 0.25])
def test_a_flash_is_uniform_and_lasts_its_presentation(step):
    frames = FullFieldFlash(400.0, luminance_step=step, onset=50.0, presentation=100.0).frames(0, 400)
    assert np.all(frames[50:150] == step)
    assert not frames[:50].any()
    assert not frames[150:].any()


def test_images_change_on_the_millisecond(images):
    frames = ImageSequence(1000.0, images, order=np.array([2, 0, 0]), onset=100.0).frames(0, 1000)
    for first, last, shown in ((100, 349, 2), (350, 599, 0), (600, 849, 0)):
        np.testing.assert_array_equal(frames[first], images[shown])
        np.testing.assert_array_equal(frames[last], images[shown])
    assert not frames[:100].any()
    assert not frames[850:].any()


def test_chunks_of_a_sequence_are_its_frames(images):
    movie = ImageSequence(90.0, images, order=np.array([1, 2]), onset=7.0, frame_ms=40.0)
    np.testing.assert_array_equal(np.concatenate(list(movie.chunks(13))), movie.frames(0, 90))


@pytest.mark.parametrize(
    ("name", "parameters", "complaint"),
    [
        ("static-grating", {"onset": 800.0}, "after an onset of 800 ms: .* Choose a duration of 1050 ms or more"),
        ("static-grating", {"orientation": np.nan}, "orientation nan"),
        ("static-grating", {"contrast": -0.1}, "contrast -0.1"),
        ("static-grating", {"phase": np.inf}, "phase inf"),
        ("static-grating", {"direction": 45.0}, "no parameter 'direction'; did you mean 'orientation'"),
        ("flash", {"luminance_step": 2.0}, "luminance_step 2.0"),
        ("flash", {"luminance_step": np.nan}, "luminance_step nan"),
        ("flash", {"presentation": 0.5}, "presentation 0.5 ms: expected a whole number"),
        ("flash", {"presentation": 0.0}, "at least 1"),
        ("flash", {"onset": -1.0}, "onset -1.0 ms"),
    ],
)
def test_stills_that_cannot_be_are_refused(name, parameters, complaint):
    with pytest.raises(InputError, match=complaint):
        make_stimulus(name, 1000.0, **parameters)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"order": np.array([0, 3, -1])}, r"image 3 at place 1, 2: expected 0 to 2"),
        ({"order": np.array([], dtype=int)}, "order of shape"),
        ({"order": np.array([0.0])}, "type float64"),
        ({"order": np.arange(3), "frame_ms": 400.0}, "3 pictures of 400 ms after an onset of 0 ms"),
        ({"images": np.full((3, 80, 120), 255.0)}, "image set: luminance outside -1 to 1, .* images 0, 1, 2"),
        ({"images": np.zeros((3, 120, 80))}, "image set of shape"),
    ],
)
def test_sequences_that_cannot_be_are_refused(images, changed, complaint):
    with pytest.raises(InputError, match=complaint):
        ImageSequence(**{"duration": 1000.0, "images": images, "order": np.array([0]), **changed})
