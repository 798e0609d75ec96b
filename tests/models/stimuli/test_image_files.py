"""Image files: luminance, crop, which way is up, contrast, and files that cannot be shown."""

import json

import numpy as np
import pytest
from PIL import Image

from twincortex.models.command_line import main
from twincortex.models.errors import InputError
from twincortex.models.stimuli.image_files import find_images, read_luminance, read_pictures, scale_contrast

PIXELS = np.random.default_rng(0).integers(0, 256, (160, 240), dtype=np.uint8)


def saved(folder, name, pixels, **options):
    Image.fromarray(pixels).save(folder / name, **options)
    return folder / name


@pytest.fixture
def folder(tmp_path):
    for name, factor in (("b.png", 1), ("a.tif", -1)):
        saved(tmp_path, name, PIXELS[::factor])
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_bytes(b"nor this")
    return tmp_path


def test_images_are_found_in_the_order_of_their_names(folder):
    assert [path.name for path in find_images(folder)] == ["a.tif", "b.png"]


def test_black_is_minus_one_and_white_is_one_whatever_the_file(tmp_path):
    ramp = np.linspace(0, 255, 120).astype(np.uint8) + np.zeros((80, 1), dtype=np.uint8)
    expected = ramp[0] / 127.5 - 1
    colour, opaque = np.repeat(ramp[..., None], 3, axis=2), np.full((80, 120, 1), 255, dtype=np.uint8)
    files = {"gray.png": ramp, "gray.tif": ramp, "colour.png": colour, "opaque.png": np.dstack([colour, opaque])}
    for name, pixels in files.items():
        np.testing.assert_allclose(read_luminance(saved(tmp_path, name, pixels))[0], expected, atol=1e-6)
    for name in ("deep.png", "deep.tif"):
        deep = saved(tmp_path, name, ramp.astype(np.uint16) * 257)
        np.testing.assert_allclose(read_luminance(deep)[0], expected, atol=1e-6)
    jpeg = saved(tmp_path, "a.jpg", ramp, quality=95)
    np.testing.assert_allclose(read_luminance(jpeg)[0], expected, atol=0.05)  # a few gray values of 127.5


def test_colours_weigh_as_much_as_they_are_bright(tmp_path):
    green = np.zeros((80, 120, 3), dtype=np.uint8) + np.array([0, 255, 0], dtype=np.uint8)
    assert read_luminance(saved(tmp_path, "a.png", green)).mean() == pytest.approx(2 * 0.587 - 1, abs=0.005)  # 8 bit


def test_transparent_pixels_are_gray(tmp_path):
    clear = np.zeros((80, 120, 4), dtype=np.uint8)
    assert np.abs(read_luminance(saved(tmp_path, "a.png", clear))).max() < 0.005  # 8 bit


def test_the_top_row_of_a_picture_is_the_highest_elevation(tmp_path):
    pixels = np.zeros((80, 120), dtype=np.uint8)
    pixels[0] = 255
    pixels[:, -1] = 128
    picture = read_pictures([saved(tmp_path, "a.png", pixels)])[0]
    assert np.all(picture[79, :-1] == 1)
    assert np.all(picture[:79, :-1] == -1)
    assert np.abs(picture[:, 119]).max() < 0.005  # the right of the picture stays right


def test_a_photograph_taken_sideways_is_turned_upright(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: the first row is the right side
    path = saved(tmp_path, "a.png", np.ascontiguousarray(np.rot90(PIXELS)), exif=turned)
    np.testing.assert_allclose(read_luminance(path), PIXELS / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(160, 300), (220, 240)])
def test_images_are_cropped_around_their_centre_not_squeezed(tmp_path, height, width):
    pixels = np.full((height, width), 255, dtype=np.uint8)
    top, left = (height - 160) // 2, (width - 240) // 2
    pixels[top : top + 160, left : left + 240] = PIXELS
    cropped, whole = read_pictures([saved(tmp_path, "a.png", pixels), saved(tmp_path, "b.png", PIXELS)])
    np.testing.assert_array_equal(cropped, whole)


def test_shrinking_averages_and_keeps_the_mean(tmp_path):
    fine = np.zeros((800, 1200), dtype=np.uint8)
    fine[:, ::2] = 255  # bars far finer than a pixel
    picture = read_pictures([saved(tmp_path, "a.png", fine)])[0]
    assert np.abs(picture[1:-1, 1:-1]).max() < 0.05  # aliasing would leave a contrast of 1


def test_scaling_sets_mean_and_contrast_and_tells_what_it_cut():
    pictures = np.random.default_rng(1).normal(0.4, 0.1, (2, 80, 120))
    scaled, cut = scale_contrast(pictures, 0.2)
    np.testing.assert_allclose(scaled.mean(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=(1, 2)), 0.2, rtol=1e-4)
    assert not cut.any()
    scaled, cut = scale_contrast(pictures, 0.5)
    np.testing.assert_allclose(cut, 0.0455, atol=0.01)  # beyond two standard deviations; 9,600 pixels
    np.testing.assert_array_equal(cut, (np.abs(scaled) == 1).mean(axis=(1, 2)))


@pytest.mark.parametrize("contrast", [0.0, -0.3, 1.5, np.nan])
def test_contrasts_that_cannot_be_are_refused(contrast):
    with pytest.raises(InputError, match="rms_contrast"):
        scale_contrast(np.zeros((1, 80, 120)), contrast)


def test_pictures_of_one_luminance_have_no_contrast_to_scale():
    pictures = np.random.default_rng(1).uniform(-1, 1, (4, 80, 120))
    pictures[[1, 3]] = 0.7
    with pytest.raises(InputError, match="images 1, 3 are of one luminance"):
        scale_contrast(pictures)


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no image: expected files that end in \.png"):
        find_images(tmp_path)
    with pytest.raises(InputError, match="there is no such folder"):
        find_images(tmp_path / "none")


def test_all_files_that_cannot_be_shown_are_named(folder):
    (folder / "c.png").write_bytes((folder / "b.png").read_bytes()[:5000])
    (folder / "d.jpg").write_bytes(b"no picture at all")
    saved(folder, "e.png", PIXELS[:50])
    saved(folder, "f.tif", PIXELS.astype(np.float32))
    Image.fromarray(PIXELS).save(folder / "g.tif", save_all=True, append_images=[Image.fromarray(PIXELS)])
    with pytest.raises(InputError, match="5 of 7 images cannot be shown") as refused:
        read_pictures(find_images(folder))
    for complaint in (
        "c.png (damaged",
        "d.jpg (damaged",
        "e.png (75 x 50 pixels",
        "f.tif (pixels of kind F",
        "g.tif (2 p",
    ):
        assert complaint in str(refused.value)


def test_stimulate_shows_the_images_of_a_folder(capsys, written_circuit, folder):
    out = folder / "inputs"
    show = ["stimulate", str(written_circuit), "--stimulus", "images", "--images", str(folder), "--onset", "100"]
    assert main([*show, "--out", str(out)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["duration"], facts["frame_ms"], facts["images"]) == (600.0, 250.0, ["a.tif", "b.png"])
    assert facts["spikes"]["lgn"] > 0
    assert json.loads((out / "stimulus.json").read_text())["pixels_sha256"] == facts["pixels_sha256"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--stimulus", "images"], "Name their folder with --images"),
        (["--stimulus", "images", "--images", "x", "--contrast", "1"], "'images' has no parameter 'contrast'"),
        (["--stimulus", "gray", "--frame-ms", "50"], "'gray' has no parameter 'frame_ms'"),
        (["--stimulus", "image"], "did you mean 'images'"),
    ],
)
def test_options_of_other_stimuli_are_refused(capsys, written_circuit, tmp_path, options, complaint):
    assert main(["stimulate", str(written_circuit), *options, "--out", str(tmp_path / "out")]) == 2
    assert complaint in capsys.readouterr().err
