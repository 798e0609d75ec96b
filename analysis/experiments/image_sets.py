"""Sets of natural images: those in a folder of the user's, or patches of photographs that Python packages ship."""

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from twincortex.models.errors import InputError
from twincortex.models.randomness import philox
from twincortex.models.stimuli.image_files import (
    RMS_CONTRAST,
    find_images,
    read_luminance,
    read_pictures,
    scale_contrast,
    shrink,
)

N_PATCHES = 40
_PATCH_ROWS, _PATCH_COLUMNS = 120, 180  # 1.5 pixels of a photograph per degree
# Left out are patches of sky or background, of which scaling would show the noise, or with a small highlight, which
# scaling would cut: by the standard deviation of the luminance, and by the share of pixels over 1 / 0.3 of it away.
_LEAST_DEVIATION, _MOST_OUTLIERS = 0.1, 0.01


@dataclass(frozen=True)
class Photograph:
    """A photograph that an installed package ships.

    Attributes
    ----------
    distribution, module : str
        The package as pip and as Python call it.
    path : str
        Inside the package.
    credit, licence : str
    """

    distribution: str
    module: str
    path: str
    credit: str
    licence: str


def _of_scikit_learn(name, credit):
    return Photograph("scikit-learn", "sklearn", f"datasets/images/{name}", credit, "CC BY 2.0")


def _of_scikit_image(name, credit, licence="CC0"):
    return Photograph("scikit-image", "skimage", f"data/{name}", credit, licence)


# Licences as stated by the packages, in sklearn/datasets/images/README.txt and skimage/data/_fetchers.py. All files are
# in the wheels, none is downloaded. Left out are those without a stated licence, of the sky and from microscopes.
PHOTOGRAPHS = (
    _of_scikit_learn("china.jpg", "danielbuechele, Flickr"),
    _of_scikit_learn("flower.jpg", "vultilion, Flickr"),
    _of_scikit_image("astronaut.png", "NASA", "public domain"),
    _of_scikit_image("brick.png", "CC0Textures"),
    _of_scikit_image("camera.png", "Lav Varshney"),
    _of_scikit_image("chelsea.png", "Stefan van der Walt"),
    _of_scikit_image("coffee.png", "Rachel Michetti"),
    _of_scikit_image("coins.png", "Brooklyn Museum", "no known copyright restrictions"),
    _of_scikit_image("grass.png", "linolafett, DeviantArt"),
    _of_scikit_image("gravel.png", "CC0Textures"),
    _of_scikit_image("rocket.jpg", "SpaceX", "public domain"),
)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images to show, and where they are from.

    Attributes
    ----------
    images : (n, 80, 120) float32 array
        Luminance -1 to 1, gray 0, one degree per pixel; row 0 is the lowest elevation.
    names, sources, licences : (n,) tuples of str
        Licences are empty for images of the user's.
    cut : (n,) float array
        Share of the pixels that scaling the contrast cut at -1 or 1.
    rms_contrast : float or None
        Of every image; None where they are shown as they are.
    """

    images: np.ndarray
    names: tuple
    sources: tuple
    licences: tuple
    cut: np.ndarray
    rms_contrast: float | None


def load_images(folder=None, n=None, seed=1, rms_contrast=RMS_CONTRAST):
    """Load images of a folder, or patches of photographs.

    Parameters
    ----------
    folder : str or Path, optional
        With png, jpg or tif files. Default: the photographs that scikit-learn and scikit-image ship.
    n : int, optional
        How many, drawn without replacement (default: all of the folder; 40 patches). Patches are drawn from all
        photographs alike, as far as they have enough.
    seed : int
        Decides which are drawn; the order is that of the names, or of the photographs.
    rms_contrast : float or None
        Standard deviation of the luminance of each image around gray; None shows them as they are, with black -1 and
        white 1.

    Returns
    -------
    ImageSet

    Raises
    ------
    InputError
        No images, fewer than n, some that cannot be shown, or a package that is not installed.
    """
    pictures, names, sources, licences = _photograph_patches(n, seed) if folder is None else _folder(folder, n, seed)
    cut = np.zeros(len(pictures))
    if rms_contrast is not None:
        pictures, cut = scale_contrast(pictures, rms_contrast)
    return ImageSet(pictures, tuple(names), tuple(sources), tuple(licences), cut, rms_contrast)


def _folder(folder, n, seed):
    paths = find_images(folder)
    if n is not None:
        _require_enough(n, len(paths), folder)
        paths = [paths[k] for k in sorted(_shuffled(len(paths), seed)[:n])]
    names = [path.name for path in paths]
    return read_pictures(paths), names, [str(path) for path in paths], [""] * len(paths)


def _photograph_patches(n, seed):
    groups = [_patches(photograph) for photograph in PHOTOGRAPHS]
    n, n_all = N_PATCHES if n is None else n, sum(len(group) for group in groups)
    _require_enough(n, n_all, "the photographs of scikit-learn and scikit-image")
    order = [[(g, k) for k in _shuffled(len(group), seed, g)] for g, group in enumerate(groups)]
    in_turn = [place for place in chain.from_iterable(zip_longest(*order)) if place is not None]
    pictures, names, sources, licences = zip(*(groups[g][k] for g, k in sorted(in_turn[:n])), strict=True)
    return np.stack(pictures), names, sources, licences


def _require_enough(n, n_all, where):
    if not 1 <= n <= n_all:
        raise InputError(f"n {n}: expected 1 to {n_all}, the number of images in {where}.")


def _shuffled(n, seed, *counters):
    return philox(seed, "choice_of_images", *counters).permutation(n).tolist()


def _patches(photograph):
    """Cut a photograph into patches, those with contrast: a list of (picture, name, source, licence)."""
    path = _installed(photograph)
    luminance, file = read_luminance(path), Path(photograph.path).name
    n_rows, n_columns = luminance.shape[0] // _PATCH_ROWS, luminance.shape[1] // _PATCH_COLUMNS
    top, left = (luminance.shape[0] % _PATCH_ROWS) // 2, (luminance.shape[1] % _PATCH_COLUMNS) // 2
    patches = []
    for k in range(n_rows * n_columns):
        y, x = top + _PATCH_ROWS * (k // n_columns), left + _PATCH_COLUMNS * (k % n_columns)
        picture = shrink(luminance[y : y + _PATCH_ROWS, x : x + _PATCH_COLUMNS])
        if _has_contrast(picture):
            source = (
                f"{photograph.credit}; {photograph.distribution} {version(photograph.distribution)}, "
                f"{photograph.path}, {_PATCH_COLUMNS} x {_PATCH_ROWS} pixels from ({x}, {y})"
            )
            patches.append((picture, f"{file} {k}", source, photograph.licence))
    return patches


def _has_contrast(picture):
    deviation = picture.std()
    outliers = np.abs(picture - picture.mean()) > deviation / RMS_CONTRAST
    return deviation >= _LEAST_DEVIATION and outliers.mean() <= _MOST_OUTLIERS


def _installed(photograph):
    spec = find_spec(photograph.module)
    if spec is None:
        raise InputError(
            f"the default images are patches of photographs that {photograph.distribution} ships, and it is not "
            "installed. `pip install twincortex[analysis]`, or give a folder of images."
        )
    path = Path(spec.submodule_search_locations[0], photograph.path)
    if not path.is_file():
        raise InputError(
            f"{photograph.distribution} {version(photograph.distribution)} lacks {photograph.path}, of which the "
            "default images are patches. Install the version of constraints.txt, or give a folder of images."
        )
    return path
