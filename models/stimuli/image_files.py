"""Image files of any size and kind to pictures that the LGN sees: 80 x 120 pixels, luminance -1 to 1, gray 0."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from twincortex.models.errors import InputError, first_offenders
from twincortex.models.stimuli.movie import N_COLUMNS, N_ROWS

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
RMS_CONTRAST = 0.3
_GRAY = (128, 128, 128, 255)
# What pillow raises about files that are none, are cut short, or are too large to be meant.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, TypeError, struct.error, Image.DecompressionBombError)


def find_images(folder):
    """List the image files of a folder; files of other kinds and hidden ones are passed over.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    list of Path
        Files that end in png, jpg, jpeg, tif or tiff, in the order of their names.

    Raises
    ------
    InputError
        There is no such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder. Expected a folder of images.")
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in ENDINGS and path.name[0] != "."]
    if not paths:
        raise InputError(f"{folder} holds no image: expected files that end in {', '.join(ENDINGS)}.")
    return paths


def read_pictures(paths):
    """Read image files as pictures: gray, cropped to 3:2 around their centre, resized to 80 x 120 pixels.

    Parameters
    ----------
    paths : list of Path

    Returns
    -------
    (n, 80, 120) float32 array
        Luminance -1 to 1; row 0 is the bottom of each picture, as elevation runs upwards.

    Raises
    ------
    InputError
        Files that are damaged, of several pages or in a colour space without black and white, or images of which less
        than 120 x 80 pixels are left after cropping.
    """
    pictures, bad = [], []
    for path in paths:
        try:
            pictures.append(shrink(crop_to_screen(read_luminance(path))))
        except InputError as error:
            bad.append(f"{path.name} ({error})")
    if bad:
        raise InputError(
            f"{Path(paths[0]).parent}: {len(bad)} of {len(paths)} images cannot be shown: {first_offenders(bad)}. "
            f"Expected whole gray or colour images of at least {N_COLUMNS} x {N_ROWS} pixels. Replace or remove them."
        )
    return np.stack(pictures)


def read_luminance(path):
    """Read one image file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    (height, width) float32 array
        Gray value (for colours 0.299 R + 0.587 G + 0.114 B, ITU-R 601), linearly from black at -1 to white at 1, top
        row first. No gamma is undone: half of the largest gray value is gray 0, as are transparent pixels.

    Raises
    ------
    InputError
    """
    try:
        with Image.open(path) as file:
            # An MPO is the photograph of a telephone with further versions of it behind.
            if getattr(file, "n_frames", 1) > 1 and file.format != "MPO":
                raise InputError(f"{file.n_frames} pages; save each as a file")
            is_16_bit = file.mode.startswith("I;16") or (file.mode == "I" and file.format == "PNG")
            image = ImageOps.exif_transpose(file)
            if is_16_bit:
                return np.asarray(image, dtype=np.float32) / 32767.5 - 1.0
            if image.mode in ("I", "F", "LAB", "HSV"):
                raise InputError(f"pixels of kind {image.mode}; save it with 8 or 16 bit per pixel and colour")
            if image.mode == "CMYK":
                image = image.convert("RGB")
            image = image.convert("RGBA")
    except _DAMAGE as error:
        raise InputError(f"damaged: {error}") from error
    seen = Image.alpha_composite(Image.new("RGBA", image.size, _GRAY), image).convert("L")
    return np.asarray(seen, dtype=np.float32) / 127.5 - 1.0


def crop_to_screen(luminance):
    """Cut the largest part of 3:2 out of the middle of an image.

    Parameters
    ----------
    luminance : (height, width) array

    Returns
    -------
    (height, width) array
        To the next whole pixel.
    """
    height, width = luminance.shape
    n_rows = min(height, round(width * N_ROWS / N_COLUMNS))
    n_columns = min(width, round(height * N_COLUMNS / N_ROWS))
    top, left = (height - n_rows) // 2, (width - n_columns) // 2
    return luminance[top : top + n_rows, left : left + n_columns]


def shrink(luminance):
    """Resize an image to one pixel per degree, bilinear and without aliasing, and turn its rows upwards.

    Parameters
    ----------
    luminance : (height, width) float32 array
        Top row first.

    Returns
    -------
    (80, 120) float32 array
        Row 0 is the bottom row of the image.

    Raises
    ------
    InputError
        An image of less than 120 x 80 pixels, which would come out blurred.
    """
    height, width = luminance.shape
    if height < N_ROWS or width < N_COLUMNS:
        raise InputError(f"{width} x {height} pixels")
    resized = Image.fromarray(np.ascontiguousarray(luminance)).resize((N_COLUMNS, N_ROWS), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(resized)[::-1], -1.0, 1.0)  # weights add up to 1 but for rounding


def scale_contrast(pictures, rms_contrast=RMS_CONTRAST):
    """Give all pictures the mean luminance of gray and the same contrast.

    Parameters
    ----------
    pictures : (n, 80, 120) array
    rms_contrast : float
        Standard deviation of the luminance over the pixels; at the default few pixels of natural images have to be cut.

    Returns
    -------
    scaled : (n, 80, 120) float32 array
        ``rms_contrast (picture - mean) / standard deviation``, cut at -1 and 1, which leaves a picture that is cut a
        little less contrast.
    cut : (n,) float array
        Share of the pixels of each picture that were cut.

    Raises
    ------
    InputError
        A contrast that cannot be, or pictures of one luminance, which have none.

    Source
    ------
    Equal mean and root mean square contrast, Bex & Makous (2002) Spatial frequency, phase, and the contrast of natural
    images, J Opt Soc Am A 19.
    """
    if not 0 < rms_contrast <= 1:
        raise InputError(
            f"rms_contrast {rms_contrast}: expected more than 0 and at most 1, in units of mean luminance."
        )
    centred = pictures - pictures.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    deviation = centred.std(axis=(1, 2))
    flat = np.flatnonzero(deviation < 1e-6)
    if len(flat):
        raise InputError(
            f"images {first_offenders(flat)} are of one luminance and have no contrast to scale. Remove them, or show "
            "all as they are with rms_contrast None."
        )
    scaled = rms_contrast / deviation[:, None, None] * centred
    return np.clip(scaled, -1, 1).astype(np.float32), (np.abs(scaled) > 1).mean(axis=(1, 2))
