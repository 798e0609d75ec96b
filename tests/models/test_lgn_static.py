"""LGN rates for pictures that stand still: closed form against pixels, polarity, symmetry over orientations."""

import numpy as np
import pytest

from twincortex.models.column.lgn_units import build_lgn_units
from twincortex.models.lgn import LgnModel
from twincortex.models.stimuli import FullFieldFlash, ImageSequence, StaticGrating


@pytest.fixture(scope="module")
def units():
    return build_lgn_units(seed=1).iloc[::23].reset_index(drop=True)


@pytest.fixture(scope="module")
def model(units):
    return LgnModel(units)


def movies():
    images = np.random.default_rng(0).uniform(-1, 1, (3, 80, 120)).astype(np.float32)
    return {
        "images": ImageSequence(1900.0, images, order=np.array([2, 0, 0, 1, 2]), onset=101.0, frame_ms=170.0),
        "a sequence to the last frame": ImageSequence(500.0, images, order=np.array([1, 2])),
        "static grating": StaticGrating(1500.0, orientation=30.0, phase=70.0, onset=150.0, presentation=900.0),
        "flash": FullFieldFlash(300.0, luminance_step=-0.5, onset=20.0, presentation=1.0),
    }


@pytest.mark.parametrize("name", movies())
def test_the_closed_form_is_what_the_pixels_give(model, name):
    movie = movies()[name]
    np.testing.assert_allclose(model.rates(movie), model.pixel_rates(movie), atol=1e-3)  # float32 and an FFT


def test_on_units_answer_to_a_white_flash_and_off_units_to_a_black_one(model, units):
    gray = model.rates(FullFieldFlash(100.0, luminance_step=0.0, presentation=100.0))
    white, black = (model.rates(FullFieldFlash(100.0, luminance_step=step, presentation=100.0)) for step in (1.0, -1.0))
    is_on, is_off = (units.model.str.startswith(name).to_numpy() for name in ("sON_", "sOFF_"))
    for liked, disliked, chosen in ((white, black, is_on), (black, white, is_off)):
        assert chosen.any()
        assert np.all(liked[:, chosen].max(axis=0) > gray[:, chosen].max(axis=0) + 5)
        assert np.all(disliked[:, chosen].mean(axis=0) < gray[:, chosen].mean(axis=0))


def test_no_orientation_of_static_gratings_drives_the_lgn_more(model):
    means = [
        np.mean(
            [model.rates(StaticGrating(250.0, orientation=angle, phase=phase)).mean() for phase in (0.0, 90.0, 180.0)]
        )
        for angle in (0.0, 45.0, 90.0, 135.0)
    ]
    assert np.ptp(means) < 0.05 * np.mean(means)  # 757 units and three phases
