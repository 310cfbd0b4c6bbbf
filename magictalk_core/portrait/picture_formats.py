"""Which picture formats are read, what is left out of a file before it is, and what is said of the other formats."""

from __future__ import annotations

import io
import shlex
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from PIL import UnidentifiedImageError

__all__ = ["FORMATS", "refusal", "without_comments"]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM")
"""What Pillow may try. Others hand the file to programs beside it: EPS is run by Ghostscript."""

_PNG = b"\x89PNG\r\n\x1a\n"
_COMMENTS = {b"tEXt", b"zTXt", b"iTXt"}
_PROFILE = b"iCCP"
_TURNING_COMMENTS = (b"Raw profile type exif", b"Raw profile type APP1", b"XML:com.adobe.xmp")
_SMALL_COMMENT = 16_384
_LARGEST_PROFILE = 1_000_000
"""Unpacked; Pillow gives up at 2^20 bytes."""

_OURS = (_PNG, b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")
_FOREIGN_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_BEGINNINGS = (
    (b"%!PS", "EPS"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"\0\0\x01\0", "ICO"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"\x1aE\xdf\xa3", "Matroska"),
)
_DRAWN = ("EPS", "PDF", "SVG")
"""Made of lines, not of pixels: ffmpeg does not read them."""


def without_comments(file: BinaryIO) -> BinaryIO:
    """The file, or of a PNG a copy in memory without its texts and without a huge colour profile.

    Pillow unpacks them before the picture and gives up at a megabyte, which prompts of picture generators and camera
    profiles exceed. A small text that may hold the EXIF orientation stays.
    """
    if file.read(len(_PNG)) != _PNG:
        file.seek(0)
        return file
    kept = io.BytesIO()
    kept.write(_PNG)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        body = file.read(length + 4)
        if kind in _COMMENTS and not (length < _SMALL_COMMENT and body.startswith(_TURNING_COMMENTS)):
            continue
        if kind == _PROFILE and _is_huge(body):
            continue
        kept.write(head + body)
    kept.seek(0)
    return kept


def _is_huge(profile: bytes) -> bool:
    """Whether the profile of this chunk (name, 0, method, zlib stream, checksum) is larger than any in use."""
    packed = profile.partition(b"\0")[2][1:-4]
    unpacked = zlib.decompressobj()
    try:
        unpacked.decompress(packed, _LARGEST_PROFILE)
    except zlib.error:
        return False  # Pillow leaves it out itself
    return bool(unpacked.unconsumed_tail)


def refusal(file: BinaryIO, path: Path, error: Exception) -> str:
    """Why the file is not read, in one line with the next step; `error` is Pillow's."""
    file.seek(0)
    head = file.read(4096)
    if not head:
        return "not readable as a picture: the file is empty (0 bytes)"
    unknown = isinstance(error, UnidentifiedImageError)
    if not unknown or _is_ours(head):
        why = "what follows its first bytes is not of its format" if unknown else " ".join(str(error).split())
        return f"not readable as a picture: the file is damaged ({why}): save it again"
    foreign = _foreign_format(head)
    if foreign is None:
        return f"not readable as a picture; expected one of {', '.join(FORMATS)}"
    return f"format {foreign} is not on the list ({', '.join(FORMATS)}); {_next_step(foreign, path)}"


def _is_ours(head: bytes) -> bool:
    is_webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    return is_webp or head.startswith(_OURS) or head[4:12] in {b"ftypavif", b"ftypavis"}


def _foreign_format(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return "HEIC" if head[8:12] in _FOREIGN_BRANDS else "MP4"
    if b"<svg" in head.lower():
        return "SVG"
    return next((name for beginning, name in _BEGINNINGS if head.startswith(beginning)), None)


def _next_step(name: str, path: Path) -> str:
    if name in _DRAWN:
        return "save it as PNG"
    step = f"convert with: ffmpeg -i {shlex.quote(path.name)} -frames:v 1 {shlex.quote(path.stem + '-converted.png')}"
    return step + (" (a recent ffmpeg: old ones give one tile of a phone's picture)" if name == "HEIC" else "")
