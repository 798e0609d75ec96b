"""PNG files inside a page: as they are where they are small, with fewer colours and pixels where they are not."""

import base64
import io
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

CAPTION = "Description"  # the keyword of the PNG standard
_WIDTHS = (2000, 1400, 1000, 700)
_COLORS = 256


@dataclass(frozen=True)
class Picture:
    """A picture for a page.

    Attributes
    ----------
    name : str
    caption : str
    address : str
        A data address that holds the whole picture; empty where it cannot be read.
    width, height : int
        Pixels.
    """

    name: str
    caption: str
    address: str
    width: int = 0
    height: int = 0


def embed_picture(path, max_bytes):
    """Make a picture part of a page.

    Parameters
    ----------
    path : Path
    max_bytes : int
        A larger file loses colours, then pixels, until it is small enough (or 700 pixels wide).

    Returns
    -------
    Picture
    """
    name = path.stem.replace("_", " ")
    try:
        with Image.open(path) as image:
            image.load()
            caption = getattr(image, "text", {}).get(CAPTION, name)
            content = _fitting(path.read_bytes(), image, max_bytes)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        return Picture(name, f"{path.name} cannot be read: {error}", "")
    address = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return Picture(name, caption, address, *image.size)


def _fitting(content, image, max_bytes):
    for width in _WIDTHS:
        if len(content) <= max_bytes:
            break
        content = _shrunk(image, min(width, image.width))
    return content


def _shrunk(image, width):
    height = max(1, round(image.height * width / image.width))
    smaller = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    smaller.quantize(_COLORS).save(file, "PNG", optimize=True)
    return file.getvalue()
