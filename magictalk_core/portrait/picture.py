"""Reading a still portrait, in any of the forms that people have, as eight bits of red, green and blue.

What one would want to know of it is told as remarks: that a picture was reduced, stands on white, or is the first of
many.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from magictalk_core.errors import UserError
from magictalk_core.portrait.picture_colours import to_srgb
from magictalk_core.portrait.picture_formats import FORMATS, refusal, without_comments
from magictalk_core.portrait.picture_tiff import is_tiff, open_deep_tiff
from magictalk_core.portrait.picture_values import deep_values, is_deep, to_eight_bits

__all__ = ["MAX_PIXELS", "MOST_READ", "Picture", "read_picture", "read_pixels"]

MAX_PIXELS = 64_000_000
"""A larger picture is reduced to half its side, a third and so on, until it has no more."""

MOST_READ = {"JPEG": 1_000_000_000, "MPO": 1_000_000_000}
"""Pixels that a file may have. A JPEG is reduced while it is decoded; others stand in memory whole, at four bytes."""
_MOST_READ_WHOLE = 300_000_000

_DAMAGED_EXIF = "its EXIF data are damaged: whether it must be turned is not known"
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What takes a picture of that EXIF orientation upright."""


@dataclass(frozen=True, eq=False)
class Picture:
    """`rgb` (h, w, 3); `remarks`: what was done to the file's own picture, one line each."""

    rgb: NDArray[np.uint8]
    remarks: tuple[str, ...]


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """The pixels of `read_picture` alone."""
    return read_picture(path).rgb


def read_picture(path: Path) -> Picture:
    """The first picture of a file, upright by its EXIF data, transparency laid over white.

    Decodes in this process: for files of strangers take `commands.untrusted.picture_of`. Raises `UserError`; its text
    leaves the naming of the file to the caller.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path)
    except OSError as error:
        raise UserError(f"not readable as a picture: {error.strerror}") from error


def _read(file: BinaryIO, path: Path) -> Picture:
    remarks: list[str] = []
    try:
        with _own_limits() as told, _opened(file, remarks) as image:
            reduced = _reduced(image, remarks)
            # Asked when the picture is loaded: a PNG keeps them behind it.
            upright = _UPRIGHT.get(_orientation(image, remarks))
            rgb = _over_white(reduced if upright is None else reduced.transpose(upright), remarks)
        if any("EXIF" in str(one.message) for one in told):
            remarks.append(_DAMAGED_EXIF)
        return Picture(rgb, tuple(dict.fromkeys(remarks)))
    except (UserError, MemoryError):
        raise
    except Exception as error:  # decoders of strangers' files raise what they like
        raise UserError(refusal(file, path, error)) from error


def _opened(file: BinaryIO, remarks: list[str]) -> Image.Image:
    try:
        return Image.open(without_comments(file), formats=FORMATS)
    except UnidentifiedImageError:
        file.seek(0)
        if not is_tiff(file.read(4)):
            raise
    image, remark = open_deep_tiff(file)
    remarks += [remark] if remark else []
    return image


@contextmanager
def _own_limits() -> Iterator[list[warnings.WarningMessage]]:
    """Without Pillow's bound on pixels, which knows no reduction; yields its warnings, which nobody else would read."""
    for decoder in ("PIL", "tifffile"):
        # What they complain of is in their exceptions, or does not matter.
        logging.getLogger(decoder).setLevel(logging.CRITICAL)
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            yield told
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _reduction(image: Image.Image) -> int:
    """By which whole number the sides are divided."""
    pixels, most = image.width * image.height, MOST_READ.get(str(image.format), _MOST_READ_WHOLE)
    if pixels > most:
        raise UserError(f"{image.width}x{image.height} pixels, expected at most {most:,} in all: save it smaller")
    return math.ceil(math.sqrt(pixels / MAX_PIXELS))


def _orientation(image: Image.Image, remarks: list[str]) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF of strangers: anything can be wrong with it, and the picture is still a picture
        remarks.append(_DAMAGED_EXIF)
        return 1


def _reduced(image: Image.Image, remarks: list[str]) -> Image.Image:
    """The first picture in eight bits a channel, loaded, of at most `MAX_PIXELS`."""
    factor, (width, height) = _reduction(image), image.size
    if getattr(image, "is_animated", False) and image.format != "MPO":
        remarks.append("several pictures in one file: the first one is taken")
    image.draft(None, (max(1, width // factor), max(1, height // factor)))  # in its own mode
    image.load()
    left = max(1, round(factor * image.width / width))
    if is_deep(image):
        values, remark = to_eight_bits(deep_values(image))
        remarks += [remark] if remark else []
        plain: Image.Image = Image.fromarray(values)
    elif image.mode == "CMYK":
        plain = image
    else:
        plain = image.convert("RGBA" if image.has_transparency_data else "RGB")
        plain.info = image.info
    small, remark = to_srgb(plain.reduce(left) if left > 1 else plain)
    remarks += [remark] if remark else []
    if small.size != (width, height):
        remarks.append(f"{width}x{height} pixels, reduced to {small.width}x{small.height}")
    return small


def _over_white(image: Image.Image, remarks: list[str]) -> NDArray[np.uint8]:
    if image.mode != "RGBA":
        return np.asarray(image.convert("RGB"))
    alpha = np.asarray(image.getchannel("A"))
    least, most = int(alpha.min()), int(alpha.max())
    if most == 0:
        remarks.append("every pixel is transparent: its transparency is ignored")
        return np.asarray(image.convert("RGB"))
    if least < 255:
        remarks.append("transparent: stands on white")
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))
