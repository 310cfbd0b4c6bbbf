"""One portrait in the forms of file that people have; each writes itself into a folder."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from tests.face_fixtures import astronaut

__all__ = ["DAMAGED", "FOREIGN", "SAME_FACE", "Form", "plain"]

Form = Callable[[Path], None]
"""Writes the file of that path."""

_ORIENTATION = 0x0112
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def plain() -> Image.Image:
    return Image.fromarray(astronaut())


def _rgb() -> NDArray[np.uint8]:
    return astronaut()


def _grey() -> NDArray[np.uint8]:
    return np.asarray(plain().convert("L"))


def _alpha() -> NDArray[np.uint8]:
    """Opaque inside an ellipse around the head."""
    y, x = np.mgrid[:256, :256]
    return np.where(((x - 128) / 115) ** 2 + ((y - 128) / 125) ** 2 < 1, 255, 0).astype(np.uint8)


def saved(make: Callable[[], Image.Image], **options: object) -> Form:
    return lambda path: make().save(path, **options)  # type: ignore[arg-type]


def array(make: Callable[[], NDArray[np.generic]]) -> Form:
    """As Pillow writes it."""
    return lambda path: Image.fromarray(make()).save(path)


def tiff(make: Callable[[], NDArray[np.generic]], photometric: str = "minisblack", **options: object) -> Form:
    """As microscopes, renderers and scientific programs write it."""
    return lambda path: tifffile.imwrite(path, make(), photometric=photometric, **options)


def _png16(values: NDArray[np.uint8], colour: int) -> Form:
    return lambda path: path.write_bytes(png(values.astype(np.uint16) * 257, colour)) and None


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(values: NDArray[np.uint16], colour: int, more: bytes = b"") -> bytes:
    """16 bits a channel; `colour` is PNG's number; `more` stands before the picture."""
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour, 0, 0, 0)
    picture = chunk(b"IDAT", zlib.compress(lines, 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + picture + chunk(b"IEND", b"")


def _with_chunk(kind: bytes, body: Callable[[], bytes]) -> Form:
    def write(path: Path) -> None:
        path.write_bytes(png(_rgb().astype(np.uint16) * 257, 2, chunk(kind, body())))

    return write


def _turned(orientation: int) -> Form:
    def write(path: Path) -> None:
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        plain().transpose(_UNDO[orientation]).save(path, exif=exif, quality=95)

    return write


def _swapping_profile() -> bytes:
    """A profile in which what is stored as red is blue: sRGB with two names exchanged."""
    content = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = content.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
    return content.replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be")).replace(b"sRGB", b"Swap")


def _swapped(mode: str = "RGB") -> Form:
    picture = Image.fromarray(np.ascontiguousarray(_rgb()[..., ::-1])).convert(mode)
    return lambda path: picture.save(path, icc_profile=_swapping_profile(), **_BEST.get(path.suffix, {}))


_BEST: dict[str, dict[str, object]] = {".jpg": {"quality": 95, "subsampling": 0}, ".webp": {"lossless": True}}


def _broken_exif(path: Path) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION], exif[0x010F] = 1, "x" * 50
    plain().save(path, exif=exif, quality=95)
    content = bytearray(path.read_bytes())
    begins = content.find(b"Exif\0\0") + 14
    content[begins : begins + 16] = b"\xff" * 16
    path.write_bytes(content)


def _odd_exif(path: Path) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 99
    plain().save(path, exif=exif, quality=95)


def _animation(**options: object) -> Form:
    more = [ImageOps.mirror(plain())] * 2
    return lambda path: plain().save(path, save_all=True, append_images=more, **options)  # type: ignore[arg-type]


def _bright_lamp() -> NDArray[np.float32]:
    """As a renderer writes it: white is 1, a lamp is 40, a pixel is lost."""
    values = (_grey() / 255).astype(np.float32)
    values[:12, :64], values[0, 0], values[0, 1] = 40.0, np.nan, np.inf
    return values


def _large(side: int, mode: str = "RGB", **options: object) -> Form:
    return lambda path: plain().convert(mode).resize((side, side)).save(path, **options)  # type: ignore[arg-type]


_MANY, _WHITE, _WHOLE = "the first one is taken", "stands on white", ""

SAME_FACE: dict[str, tuple[Form, str]] = {
    "plain.jpg": (saved(plain, quality=95), _WHOLE),
    "progressive.jpg": (saved(plain, quality=95, progressive=True), _WHOLE),
    "jpeg_named.png": (lambda path: plain().save(path, "JPEG", quality=95), _WHOLE),
    "cmyk.jpg": (saved(lambda: plain().convert("CMYK"), quality=95), _WHOLE),
    "phone.mpo": (saved(plain, save_all=True, append_images=[plain().resize((64, 64))], quality=95), _WHOLE),
    "plain.webp": (saved(plain, quality=95), _WHOLE),
    "plain.bmp": (saved(plain), _WHOLE),
    "plain.avif": (saved(plain, quality=95), _WHOLE),
    "plain.jp2": (saved(plain), _WHOLE),
    "plain.ppm": (saved(plain), _WHOLE),
    "plain.tif": (saved(plain), _WHOLE),
    "lab.tif": (saved(lambda: plain().convert("LAB")), _WHOLE),
    "ycbcr.tif": (saved(lambda: plain().convert("YCbCr")), _WHOLE),
    "planes.tif": (tiff(lambda: _rgb().transpose(2, 0, 1), "rgb", planarconfig="separate"), _WHOLE),
    "palette.png": (saved(lambda: plain().quantize(256)), _WHOLE),
    "still.gif": (saved(lambda: plain().quantize(256)), _WHOLE),
    "animated.gif": (_animation(duration=100), _MANY),
    "animated.webp": (_animation(quality=95), _MANY),
    "animated.png": (_animation(), _MANY),
    "pages.tif": (tiff(lambda: np.stack([_rgb()] * 2), "rgb"), _MANY),
    "grey.png": (array(_grey), _WHOLE),
    "grey_alpha.png": (array(lambda: np.dstack([_grey(), np.full_like(_grey(), 255)])), _WHOLE),
    "grey16.png": (_png16(_grey(), 0), _WHOLE),
    "grey_alpha16.png": (_png16(np.dstack([_grey(), np.full_like(_grey(), 255)]), 4), _WHOLE),
    "rgb16.png": (_png16(_rgb(), 2), _WHOLE),
    "grey16.tif": (array(lambda: _grey().astype(np.uint16) * 257), _WHOLE),
    "grey12.tif": (array(lambda: _grey().astype(np.uint16) * 16), "white is 4095"),
    "white_is_zero16.tif": (tiff(lambda: 65535 - _grey().astype(np.uint16) * 257, "miniswhite"), _WHOLE),
    "int32.tif": (array(lambda: _grey().astype(np.int32) * 257), _WHOLE),
    "int32_of_255.tif": (array(lambda: _grey().astype(np.int32)), _WHOLE),
    "int16.tif": (tiff(lambda: _grey().astype(np.int16) * 128), _WHOLE),
    "unsigned32.tif": (tiff(lambda: _grey().astype(np.uint32) << 24), _WHOLE),
    "float.tif": (array(lambda: (_grey() / 255).astype(np.float32)), _WHOLE),
    "float_of_255.tif": (array(lambda: _grey().astype(np.float32)), _WHOLE),
    "float_from_minus_1.tif": (array(lambda: (_grey() / 127.5 - 1).astype(np.float32)), "black is -1"),
    "float_with_lamp.tif": (array(_bright_lamp), "white is"),
    "half.tif": (tiff(lambda: (_grey() / 255).astype(np.float16)), _WHOLE),
    "double.tif": (tiff(lambda: _grey() / 255), _WHOLE),
    "rgb_float.tif": (tiff(lambda: (_rgb() / 255).astype(np.float32), "rgb"), _WHOLE),
    "rgb_float_turned.tif": (
        tiff(lambda: np.rot90(_rgb() / 255).astype(np.float32), "rgb", extratags=[(274, "H", 1, 6, True)]),
        _WHOLE,
    ),
    "cutout.png": (array(lambda: np.dstack([_rgb(), _alpha()])), _WHITE),
    "cutout.webp": (saved(lambda: Image.fromarray(np.dstack([_rgb(), _alpha()])), lossless=True), _WHITE),
    "alpha_of_nothing.png": (array(lambda: np.dstack([_rgb(), np.zeros((256, 256), np.uint8)])), "is ignored"),
    **{f"exif{number}.jpg": (_turned(number), _WHOLE) for number in _UNDO},
    "exif_of_99.jpg": (_odd_exif, _WHOLE),
    "exif_broken.jpg": (_broken_exif, "EXIF data are damaged"),
    "comment.png": (_with_chunk(b"zTXt", lambda: b"workflow\0\0" + zlib.compress(b"{} " * 30_000_000, 1)), _WHOLE),
    "profile.png": (_with_chunk(b"iCCP", lambda: b"p\0\0" + zlib.compress(np.random.default_rng(0).bytes(1_600_000))),
                    _WHOLE),
    **{f"profile.{suffix}": (_swapped(), _WHOLE) for suffix in ("jpg", "webp", "tif")},
    "own_colours.png": (_swapped("RGBA"), _WHOLE),
    "profile_damaged.jpg": (saved(plain, quality=95, icc_profile=b"not a profile" * 20), "colour profile is damaged"),
    "81_megapixels.jpg": (_large(9_000, quality=60), "9000x9000 pixels, reduced to 4500x4500"),
    "65_megapixels.tif": (_large(8_050, "L"), "8050x8050 pixels, reduced to 4025x4025"),
}  # fmt: skip
"""Form, and what is said of it; the face is where it is in the plain picture."""


def _cut(form: Form) -> Form:
    def write(path: Path) -> None:
        form(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return write


def _flipped_bit(path: Path) -> None:
    plain().save(path)
    content = bytearray(path.read_bytes())
    content[content.find(b"IDAT") + 200] ^= 0xFF
    path.write_bytes(content)


def bytes_of(content: bytes) -> Form:
    return lambda path: path.write_bytes(content) and None


DAMAGED: dict[str, tuple[Form, str]] = {
    "cut.jpg": (_cut(saved(plain)), "the file is damaged"),
    "cut.png": (_cut(saved(plain)), "the file is damaged"),
    "cut.webp": (_cut(saved(plain)), "the file is damaged"),
    "flipped_bit.png": (_flipped_bit, "the file is damaged"),
    "bad_length.png": (bytes_of(b"\x89PNG\r\n\x1a\n\0\0\0\x20IHDR" + bytes(300)), "the file is damaged"),
    "no_frame.jpg": (bytes_of(b"\xff\xd8\xff\xd9" + bytes(300)), "the file is damaged"),
    "no_chunk.webp": (bytes_of(b"RIFF\x20\0\0\0WEBPXXXX" + bytes(300)), "the file is damaged"),
    "empty.png": (lambda path: path.touch(), "the file is empty"),
    "words.png": (bytes_of(b"not a picture"), "expected one of PNG, JPEG"),
    "noise.jpg": (bytes_of(np.random.default_rng(0).bytes(3000)), "expected one of PNG, JPEG"),
}
"""Form, and what is said of it."""

FOREIGN: dict[str, tuple[Form, str]] = {
    "me.heic": (bytes_of(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400)), "HEIC"),
    "my holiday.HEIC": (bytes_of(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(400)), "HEIC"),
    "me.jxl": (bytes_of(b"\xff\x0a" + bytes(50)), "JPEG XL"),
    "me.psd": (bytes_of(b"8BPS" + bytes(50)), "PSD"),
    "me.svg": (bytes_of(b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>"), "SVG"),
    "me.pdf": (bytes_of(b"%PDF-1.4\n"), "PDF"),
}
"""Form, and the format that is named."""
