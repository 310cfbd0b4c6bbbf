"""Opening untrusted media: local files of known formats only, bounded pictures, upright orientation."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from magictalk_core.errors import MachineError, PermanentError
from magictalk_core.media.asf import asf_duration
from magictalk_core.media.formats import FORMATS, refusal
from magictalk_core.storage.machine import machine_trouble
from magictalk_core.vocabulary.clips import Reason

__all__ = [
    "MAX_SIDE_PX",
    "SEEK_FROM_S",
    "MediaError",
    "PacketCount",
    "check_side",
    "declared_duration",
    "decode_packets",
    "explain",
    "has_true_length",
    "open_media",
    "orientation",
    "reading",
    "scaler",
    "seek_before",
    "stream_start",
    "to_rgb",
    "turn",
]

MAX_SIDE_PX = 8192
SEEK_FROM_S = 5.0
"""What begins earlier is read from the beginning of the file."""

_LOCAL, _ASF = "file:", "asf"
_TRUE_LENGTH = frozenset({"wav", "w64", "aiff", "au", "caf", "flac", "mov,mp4,m4a,3gp,3g2,mj2"})
_DISPLAY_MATRIX = "DISPLAYMATRIX"


class MediaError(PermanentError):
    """A media file that cannot be used. `reason` is the code for the clip table; the message names no folder."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def explain(error: Exception) -> str:
    """One line about a decoder error, without paths: it ends in data files."""
    text = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {' '.join(str(text).split())}"


@contextmanager
def reading() -> Iterator[None]:
    """Decoder errors inside the block become `MediaError` (unreadable), and trouble of the machine `MachineError`.

    Want of memory stays what it is: whoever set the limit knows whose fault it is.
    """
    try:
        yield
    except av.FFmpegError as error:
        trouble = machine_trouble(error)
        if trouble is not None:
            raise MachineError(trouble) from error
        if isinstance(error, MemoryError):
            raise
        raise MediaError(Reason.UNREADABLE, f"no decodable media: {explain(error)}") from error


@contextmanager
def open_media(path: Path) -> Iterator[Any]:
    """An open input container. Raises `MediaError` (unreadable) for what is not a local media file of `FORMATS`.

    Decoder errors inside the block become `MediaError` too.
    """
    if not path.is_file():
        raise MediaError(Reason.UNREADABLE, f"expected a media file, found no file `{path.name}`")
    if path.stat().st_size == 0:
        raise MediaError(Reason.UNREADABLE, "the file is empty (0 bytes)")
    limits = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
    # The `file:` prefix keeps a name such as `http:x.mp4` a name.
    url = f"{_LOCAL}{path.absolute()}"
    with reading(), _opened(path, url, limits) as container:
        yield container


def _opened(path: Path, url: str, limits: dict[str, str]) -> Any:
    try:
        return av.open(url, container_options=limits, metadata_errors="replace")
    except av.ArgumentError as error:
        # What the library says of a format that may not run.
        refused = refusal(path, limits)
        if refused is None:
            raise
        raise MediaError(Reason.UNREADABLE, refused) from error


def check_side(width: int, height: int, max_side: int) -> None:
    if max(width, height) > max_side:
        raise MediaError(Reason.UNREADABLE, f"picture of {width}x{height}, expected at most {max_side} pixels a side")


def stream_start(stream: Any) -> float:
    """Presentation time of the first frame or sample of a stream, seconds; may be negative."""
    return float((stream.start_time or 0) * stream.time_base)


@dataclass
class PacketCount:
    """How many packets were read and how many the decoder refused, and how many pictures were made progressive."""

    read: int = 0
    bad: int = 0
    combed: int = 0


def decode_packets(container: Any, stream: Any, count: PacketCount | None = None) -> Iterator[Any]:
    """Frames of a stream in presentation order. A packet that does not decode is counted and skipped; a file that
    breaks off ends the iteration."""
    count = count if count is not None else PacketCount()
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.InvalidDataError, av.error.EOFError):
            return
        count.read += 1
        try:
            frames = packet.decode()
        except (av.error.InvalidDataError, av.error.EOFError):
            count.bad += 1
            continue
        yield from frames


def declared_duration(container: Any, stream: Any | None) -> tuple[float, bool]:
    """Length that the headers claim, seconds (0: unknown), and whether it is the stream's own or the whole file's."""
    counted = container.format.name == "avi" and stream is not None and stream.type == "video"
    if stream is not None and counted and stream.frames and stream.average_rate:
        # The duration of an AVI without its index is guessed from its size; the number of frames is in the header.
        return float(stream.frames / stream.average_rate), True
    if container.format.name == _ASF and (declared := asf_duration(_path_of(container))) is not None:
        # Of a file that is not whole the library guesses it from the rate and the size of what is there.
        return declared, False
    if stream is not None and stream.duration:
        return float(stream.duration * stream.time_base), True
    tag = "" if stream is None else stream.metadata.get("DURATION", "")
    parts = tag.replace("\x00", "").split(":")
    if len(parts) == 3 and all(p.replace(".", "", 1).isdigit() for p in parts):
        hours, minutes, seconds = map(float, parts)
        # Matroska's tag is the time of the stream's end on the file's clock.
        return 3600 * hours + 60 * minutes + seconds - max(0.0, stream_start(stream)), True
    return (container.duration or 0) / av.time_base, False


def has_true_length(container: Any) -> bool:
    """Whether the headers hold the length of the sound; other formats guess it from the size of the file."""
    if container.format.name == _ASF:
        return asf_duration(_path_of(container)) is not None
    return container.format.name in _TRUE_LENGTH


def _path_of(container: Any) -> Path:
    return Path(container.name.removeprefix(_LOCAL))


def orientation(frame: Any) -> tuple[bool, bool, bool]:
    """(transpose, then flip x, then flip y) that turn the coded picture upright, from the display matrix."""
    data = frame.side_data.get(_DISPLAY_MATRIX)
    if data is None:
        return False, False, False
    # x' = a x + c y, y' = b x + d y; 16.16 fixed point, rows of 3. Anything between right angles is rounded to one.
    a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
    if abs(a) >= abs(b):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def turn(rgb: NDArray[np.uint8], turned: tuple[bool, bool, bool]) -> NDArray[np.uint8]:
    """The picture (h, w, 3) after `orientation`."""
    transpose, flip_x, flip_y = turned
    if transpose:
        rgb = rgb.transpose(1, 0, 2)
    if flip_x:
        rgb = rgb[:, ::-1]
    if flip_y:
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)


_local = threading.local()


def scaler(step: str) -> VideoReformatter:
    """This thread's scaler for a step. A frame's own, and one shared by steps, is set up again for every frame, which
    costs more than the scaling."""
    known: dict[str, VideoReformatter] = _local.__dict__.setdefault("scalers", {})
    return known.setdefault(step, VideoReformatter())


def to_rgb(frame: Any) -> NDArray[np.uint8]:
    """The frame as upright RGB, uint8 (h, w, 3). Colour matrix and range are the frame's own."""
    rgb: Any = scaler("whole").reformat(frame, format="rgb24", threads=1).to_ndarray()
    return turn(rgb, orientation(frame))


def seek_before(container: Any, stream: Any, start_s: float) -> None:
    """To the key frame before `start_s`; a file without an index is read from its beginning."""
    target = (stream_start(stream) + start_s - 1.0) / float(stream.time_base)
    try:
        container.seek(int(target), stream=stream, backward=True)
    except av.FFmpegError:
        container.seek(0)
