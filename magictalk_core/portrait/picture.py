"""Reading a still portrait."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from magictalk_core.errors import UserError

__all__ = ["FORMATS", "MAX_PIXELS", "read_picture"]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""What Pillow may try. Others hand the file to programs beside it: EPS is run by Ghostscript."""

MAX_PIXELS = 64_000_000


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture as (h, w, 3) RGB: EXIF rotation applied, transparency laid over white.

    Decodes in this process: for files of strangers take `commands.untrusted.picture_of`. Raises `UserError`; its text
    leaves the naming of the file to the caller.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(f"{image.width}x{image.height} pixels, expected at most {MAX_PIXELS:,} in all")
                upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"too many pixels, expected at most {MAX_PIXELS:,}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        # Pillow's own words name the file and often nothing else.
        raise UserError(f"not readable as a picture; expected one of {', '.join(FORMATS)}") from error
    white = Image.new("RGBA", upright.size, "white")
    return np.asarray(Image.alpha_composite(white, upright).convert("RGB"))
