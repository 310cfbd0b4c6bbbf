"""Reading a still portrait."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from magictalk_core.errors import UserError

__all__ = ["MAX_PIXELS", "read_picture"]

MAX_PIXELS = 64_000_000


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture as (h, w, 3) RGB: EXIF rotation applied, transparency laid over white."""
    if not path.is_file():
        raise UserError(f"{path}: no such picture")
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(f"{path}: {image.width}x{image.height} pixels, expected at most {MAX_PIXELS}")
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not readable as a picture ({error}); expected png, jpg or webp") from error
    white = Image.new("RGBA", upright.size, "white")
    return np.asarray(Image.alpha_composite(white, upright).convert("RGB"))
