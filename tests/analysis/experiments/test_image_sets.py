"""The default set of natural images, and folders of the user's own."""

import re
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from twincortex.analysis.experiments import image_sets
from twincortex.analysis.experiments.image_sets import PHOTOGRAPHS, Photograph, load_images
from twincortex.models.errors import InputError
from twincortex.models.stimuli import ImageSequence
from twincortex.models.stimuli.image_files import find_images, read_pictures


@pytest.fixture(scope="module")
def default_set():
    return load_images()


def test_the_default_set_is_in_range_of_equal_contrast_and_says_where_it_is_from(default_set):
    images = default_set.images
    assert images.shape == (40, 80, 120)
    assert images.dtype == np.float32
    assert np.abs(images).max() <= 1
    np.testing.assert_allclose(images.std(axis=(1, 2)), 0.3, atol=0.04)  # where highlights are cut it is 0.26
    assert default_set.cut.max() <= 0.01
    assert len(set(default_set.names)) == 40
    assert {name.split()[0] for name in default_set.names} == {photo.path.split("/")[-1] for photo in PHOTOGRAPHS}
    assert all("scikit-" in source for source in default_set.sources)
    assert set(default_set.licences) == {photo.licence for photo in PHOTOGRAPHS}
    ImageSequence(10_000.0, images, np.arange(40))  # accepts them


def test_the_same_seed_draws_the_same_patches(default_set):
    again, other = load_images(seed=1), load_images(seed=2)
    assert again.names == default_set.names != other.names
    np.testing.assert_array_equal(again.images, default_set.images)


def test_a_smaller_set_is_part_of_a_larger_one(default_set):
    assert set(load_images(n=11).names) < set(default_set.names)


def test_patches_do_not_overlap_and_none_is_upside_down():
    all_of_them = load_images(n=65, rms_contrast=None)
    assert len(set(all_of_them.sources)) == 65
    cat = all_of_them.names.index("chelsea.png 0")
    x, y = map(int, re.search(r"from \((\d+), (\d+)\)", all_of_them.sources[cat]).groups())
    photograph = files("skimage") / "data" / "chelsea.png"
    patch = Image.open(photograph).convert("L").crop((x, y, x + 180, y + 120)).resize((120, 80))
    upright = np.flipud(np.asarray(patch) / 127.5 - 1)
    assert np.corrcoef(upright.ravel(), all_of_them.images[cat].ravel())[0, 1] > 0.99  # two ways to resize


def test_images_of_a_folder_come_in_the_order_of_their_names(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 100, 130), dtype=np.uint8)
    for name, image in zip("dbca", pixels, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    found = load_images(tmp_path)
    assert found.names == ("a.png", "b.png", "c.png", "d.png")
    assert found.sources[0] == str(tmp_path / "a.png")
    drawn = load_images(tmp_path, n=2, seed=3)
    assert len(drawn.names) == 2
    assert drawn.names == tuple(sorted(drawn.names))
    as_they_are = load_images(tmp_path, rms_contrast=None)
    np.testing.assert_array_equal(as_they_are.images, read_pictures(find_images(tmp_path)))
    assert not as_they_are.cut.any()


@pytest.mark.parametrize("n", [0, -1, 1000])
def test_more_images_than_there_are_are_refused(n):
    with pytest.raises(InputError, match=f"n {n}: expected 1 to 65"):
        load_images(n=n)


@pytest.mark.parametrize(
    ("photograph", "complaint"),
    [
        (Photograph("scikit-film", "skfilm", "a.png", "", ""), r"scikit-film ships, and it is not installed"),
        (Photograph("scikit-image", "skimage", "data/none.png", "", ""), r"lacks data/none\.png"),
    ],
)
def test_packages_without_the_photographs_are_named(monkeypatch, photograph, complaint):
    monkeypatch.setattr(image_sets, "PHOTOGRAPHS", (photograph,))
    with pytest.raises(InputError, match=complaint):
        load_images()
