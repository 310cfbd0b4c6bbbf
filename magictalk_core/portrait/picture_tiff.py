"""TIFF pictures that Pillow does not know: floats and 32 bits in colour, half and double precision in grey."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from PIL import Image

from magictalk_core.errors import UserError
from magictalk_core.portrait.picture_values import to_eight_bits

__all__ = ["is_tiff", "open_deep_tiff"]

_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO = 0
_MOST_BYTES = 1 << 30
_ORIENTATION = 0x0112


def is_tiff(head: bytes) -> bool:
    return head.startswith(_BEGINNINGS)


def open_deep_tiff(file: BinaryIO) -> tuple[Image.Image, str | None]:
    """The first page in eight bits, with its orientation as EXIF, and a remark where its range had to be guessed.

    Raises `UserError` for what is no picture of one, three or four channels, and whatever tifffile raises.
    """
    # Imported here: it is needed for few files, and takes a tenth of a second.
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as opened:
        page = opened.pages.first
        if page.nbytes > _MOST_BYTES:
            raise UserError(f"a TIFF of {page.nbytes:,} bytes, expected at most {_MOST_BYTES:,}: save it smaller")
        values = page.asarray()
        if page.axes == "SYX":
            values = np.moveaxis(values, 0, -1)
        elif page.axes not in ("YX", "YXS"):
            raise UserError(f"a TIFF with axes {page.axes or 'of nothing'}, expected a still picture: save it as PNG")
        orientation = page.tags.get(_ORIENTATION)
        inverted = page.photometric == _WHITE_IS_ZERO
    if values.ndim == 3 and values.shape[2] not in (1, 3, 4):
        raise UserError(f"a TIFF of {values.shape[2]} channels, expected 1, 3 or 4: save it as PNG")
    eight, remark = to_eight_bits(values)
    image = Image.fromarray((255 - eight if inverted else eight).squeeze())
    if orientation is not None:
        image.getexif()[_ORIENTATION] = orientation.value
    return image, remark
