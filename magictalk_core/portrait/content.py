"""What a video holds, stream by stream, so that a later change can be named and not only noticed.

Exact: a digest of every decoded picture, and of the packets of the sound. Coarse, since they survive re-encoding:
brightness on a grid of 16 x 16 places five times a second, and the loudness of every 40 ms.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from magictalk_core.config import StrictModel
from magictalk_core.errors import PermanentError
from magictalk_core.media.container import MAX_SIDE_PX, check_side, open_media
from magictalk_core.media.sound import read_sound
from magictalk_core.portrait.label_seen import LabelFinder
from magictalk_core.portrait.pixel_mark import MarkReader
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = [
    "GRID",
    "LOUDNESS_STEP_DB",
    "PRINTS_PER_S",
    "MarkFound",
    "PictureContent",
    "SoundContent",
    "VideoContent",
    "frame_digests",
    "loudness_of",
    "prints_of",
    "read_content",
]

GRID = 16
"""Places along a side at which brightness is kept."""
PRINTS_PER_S = 5
_DIGEST_BYTES = 4
LOUDNESS_STEP_DB = 0.5
_QUIETEST_DB = -100.0
_ENCODER = re.compile(rb"x264 - core \d+[ -~]{20,2000}")
_LONGEST_TEXT = 40_000_000
_LONGEST_GAP_S = 600

Text = Annotated[str, Field(max_length=_LONGEST_TEXT)]


class PictureContent(StrictModel):
    """`digests`, `prints`: packed (`frame_digests`, `prints_of`), `prints_per_s` of these a second. `encoder`: how x264
    says it was asked, or empty."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)
    frames: int = Field(ge=1)
    seconds: float = Field(ge=0)
    md5: str
    digests: Text
    prints: Text
    prints_per_s: int = Field(PRINTS_PER_S, ge=1)
    encoder: str = ""


class SoundContent(StrictModel):
    """`packets`: md5 of the encoded sound; `loudness`: packed (`loudness_of`)."""

    codec: str
    packets: str
    seconds: float = Field(ge=0)
    loudness: Text


class MarkFound(StrictModel):
    """`portrait.pixel_mark.MarkReading` as it comes from a child."""

    payload: str
    score: float
    chance: float
    is_mirrored: bool = False


class VideoContent(StrictModel):
    """A video as it is: `tags` of the container, `mark` as it is read, `label`: how surely the visible word is seen
    (`label_seen.LABEL_SEEN`)."""

    picture: PictureContent
    sound: SoundContent | None
    tags: dict[str, str]
    mark: MarkFound | None = None
    label: float | None = None


def read_content(path: Path, label: str | None = None) -> VideoContent:
    """Decode all of a video. With `label`, of strangers' files, that word is looked for, the mark is read, and there
    are prints of every frame, so that a cut is found where it was made.

    Raises `PermanentError` for what is no video.
    """
    reader, finder = (None, None) if label is None else (MarkReader(), LabelFinder(label))
    with open_media(path) as container:
        tags = {str(key): str(value)[:1000] for key, value in container.metadata.items()}
        picture = _picture(container, reader, finder, PRINTS_PER_S if label is None else FRAME_RATE)
    mark = None if reader is None else reader.read()
    found = None if mark is None else MarkFound(**vars(mark))
    seen = None if finder is None else round(finder.correlation(), 3)
    return VideoContent(picture=picture, sound=_sound(path), tags=tags, mark=found, label=seen)


def _picture(
    container: Any, reader: MarkReader | None, finder: LabelFinder | None, prints_per_s: int
) -> PictureContent:
    if not container.streams.video:
        raise PermanentError("no video stream: expected a video")
    stream = container.streams.video[0]
    whole, digests = hashlib.md5(), bytearray()
    prints: list[NDArray[np.uint8]] = []
    encoder, width, height, last_s = "", 0, 0, 0.0
    for number, (frame, first) in enumerate(_frames(container, stream)):
        if number == 0:
            encoder, width, height = first, frame.width, frame.height
            check_side(width, height, MAX_SIDE_PX)
        planes = _planes(frame)
        single = hashlib.md5(b"".join(plane.tobytes() for plane in planes)).digest()
        whole.update(single)
        digests += single[:_DIGEST_BYTES]
        last_s = number / FRAME_RATE if frame.time is None else float(frame.time)
        due = int(last_s * prints_per_s + 1e-6) + 1 - len(prints)
        if due > _LONGEST_GAP_S * prints_per_s:
            raise PermanentError(f"nothing is shown for {due / prints_per_s:.0f} seconds: no video of ours")
        if due > 0:
            print_now = np.asarray(cv2.resize(planes[0], (GRID, GRID), interpolation=cv2.INTER_AREA), np.uint8)
            prints += [print_now] * due
        if reader is not None and number % FRAME_RATE % 5 == 0:
            reader.add(planes)
        if finder is not None and number % FRAME_RATE == 0:
            finder.add(planes[0])
    if not digests:
        raise PermanentError("the video stream has no frame that can be decoded")
    frames = len(digests) // _DIGEST_BYTES
    rate = float(stream.average_rate or FRAME_RATE)
    return PictureContent(
        width=width,
        height=height,
        frames=frames,
        seconds=round(last_s + 1 / rate, 3),
        md5=whole.hexdigest(),
        digests=_packed(np.frombuffer(bytes(digests), np.uint8)),
        prints=_packed(_changes(np.stack(prints))),
        prints_per_s=prints_per_s,
        encoder=encoder,
    )


def _frames(container: Any, stream: Any) -> Iterator[tuple[Any, str]]:
    """Decoded frames, each with what the first packet says of the encoder."""
    encoder = None
    for packet in container.demux(stream):
        if encoder is None:
            found = _ENCODER.search(bytes(packet)) if packet.size else None
            encoder = "" if found is None else found.group().decode("ascii")
        for frame in packet.decode():
            yield frame, encoder


def _planes(frame: Any) -> list[NDArray[np.uint8]]:
    """Y, Cb and Cr, halved colours, even sides."""
    width, height = frame.width // 2 * 2 or 2, frame.height // 2 * 2 or 2
    if frame.format.name != "yuv420p" or (width, height) != (frame.width, frame.height):
        frame = frame.reformat(width=width, height=height, format="yuv420p")
    packed = frame.to_ndarray()
    half = packed[height:].reshape(2, height // 2, width // 2)
    return [packed[:height], half[0], half[1]]


def _sound(path: Path) -> SoundContent | None:
    packets = hashlib.md5()
    with open_media(path) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        codec = str(stream.codec_context.name)
        for packet in container.demux(stream):
            packets.update(bytes(packet))
    samples = read_sound(path, SAMPLE_RATE, own_clock=True).samples
    step = SAMPLE_RATE // FRAME_RATE
    parts = samples[: len(samples) // step * step].reshape(-1, step)
    power = (parts.astype(np.float64) ** 2).mean(axis=1)
    level = 10 * np.log10(np.maximum(power, 10 ** (_QUIETEST_DB / 10)))
    steps = np.clip(np.rint((level - _QUIETEST_DB) / LOUDNESS_STEP_DB), 0, 255).astype(np.uint8)
    seconds = round(len(samples) / SAMPLE_RATE, 3)
    return SoundContent(codec=codec, packets=packets.hexdigest(), seconds=seconds, loudness=_packed(steps))


def frame_digests(picture: PictureContent) -> list[bytes]:
    """The beginning of the md5 of every decoded picture."""
    raw = _unpacked(picture.digests).tobytes()
    return [raw[i : i + _DIGEST_BYTES] for i in range(0, len(raw), _DIGEST_BYTES)]


def prints_of(picture: PictureContent) -> NDArray[np.uint8]:
    """Brightness (n, 16, 16), `prints_per_s` of them a second from the first frame."""
    changes = _unpacked(picture.prints)
    if len(changes) % GRID**2:
        raise PermanentError(f"expected prints of {GRID} x {GRID} values, found {len(changes)} in all")
    return np.cumsum(changes.reshape(-1, GRID, GRID), axis=0, dtype=np.uint8)


def loudness_of(sound: SoundContent) -> NDArray[np.float64]:
    """Level of every 40 ms in dB below full scale, (n,)."""
    return _unpacked(sound.loudness).astype(np.float64) * LOUDNESS_STEP_DB + _QUIETEST_DB


def _changes(prints: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """From each to the next, modulo 256: a face that moves little packs to a third."""
    return np.diff(prints, axis=0, prepend=np.zeros((1, GRID, GRID), np.uint8))


def _packed(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode("ascii")


def _unpacked(text: str) -> NDArray[np.uint8]:
    """Raises `PermanentError` for what was not packed so; a stranger wrote it."""
    try:
        opened = zlib.decompressobj()
        raw = opened.decompress(base64.b64decode(text, validate=True), _LONGEST_TEXT)
    except (ValueError, zlib.error) as error:
        raise PermanentError(f"the content statement cannot be unpacked: {error}") from error
    if opened.unconsumed_tail:
        raise PermanentError(f"the content statement is larger than {_LONGEST_TEXT} bytes")
    return np.frombuffer(raw, np.uint8)
