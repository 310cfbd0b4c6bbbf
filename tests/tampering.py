"""What people and platforms do to a video, done with PyAV: six kinds, each with or without the manifest kept."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.decode import read_audio
from magictalk_core.media.encode import write_video

Frame = NDArray[np.uint8]


def frames_of(path: Path) -> list[Frame]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def tags_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return dict(container.metadata)


def remuxed(path: Path, out: Path, *, tags: bool = True, packets: int | None = None) -> Path:
    """The same packets in a new container, the first `packets` pictures of them; without `tags` if so wished."""
    with av.open(str(path)) as source, av.open(str(out), "w", options={"movflags": "use_metadata_tags"}) as target:
        if tags:
            target.metadata.update(source.metadata)
        copies = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        shown = 0
        for packet in source.demux():
            if packet.dts is None:
                continue
            is_picture = packet.stream.type == "video"
            if packets is not None and (
                shown >= packets if is_picture else packet.pts * packet.time_base > packets / 25
            ):
                continue
            shown += is_picture
            packet.stream = copies[packet.stream.index]
            target.mux(packet)
    return out


def reencoded(path: Path, out: Path, crf: int = 28, scale: float = 1.0, preset: str = "medium") -> Path:
    """As a platform does it: x264 at `crf`, scaled, sound as AAC of another rate."""
    frames = frames_of(path)
    height, width = (int(side * scale) // 2 * 2 for side in frames[0].shape[:2])
    sound = read_audio(path)
    with av.open(str(out), "w", options={"movflags": "use_metadata_tags"}) as target:
        target.metadata.update(tags_of(path))
        video = target.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": preset})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = target.add_stream("aac", rate=16_000, layout="mono")
        audio.bit_rate = 48_000
        for number, frame in enumerate(frames):
            scaled = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
            picture = av.VideoFrame.from_ndarray(scaled, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            target.mux(video.encode(picture))
        target.mux(video.encode(None))
        for start in range(0, len(sound), 1024):
            block = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = 16_000, start, Fraction(1, 16_000)
            target.mux(audio.encode(block))
        target.mux(audio.encode(None))
    return out


def cut(path: Path, out: Path, first: int, last: int) -> Path:
    """Frames `first` to `last`, encoded anew, with their sound."""
    sound = read_audio(path)[first * 640 : last * 640]
    write_video(out, frames_of(path)[first:last], 25, sound, metadata=_own(tags_of(path)))
    return out


def swapped_sound(path: Path, out: Path, other: NDArray[np.float32]) -> Path:
    """The picture's packets with another sound."""
    with av.open(str(path)) as source, av.open(str(out), "w", options={"movflags": "use_metadata_tags"}) as target:
        target.metadata.update(source.metadata)
        (stream,) = source.streams.video
        copy = target.add_stream_from_template(stream)
        audio = target.add_stream("aac", rate=16_000, layout="mono")
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
        for start in range(0, len(other), 1024):
            block = av.AudioFrame.from_ndarray(other[None, start : start + 1024], format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = 16_000, start, Fraction(1, 16_000)
            target.mux(audio.encode(block))
        target.mux(audio.encode(None))
    return out


def altered(path: Path, out: Path, change: Callable[[int, Frame], Frame], crf: int = 18) -> Path:
    """Every frame through `change`, encoded anew."""

    def changed() -> Iterator[Frame]:
        for number, frame in enumerate(frames_of(path)):
            yield change(number, frame.copy())

    write_video(out, changed(), 25, read_audio(path), crf=crf, metadata=_own(tags_of(path)))
    return out


def _own(tags: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name in ("title", "comment", "digital_source_type")}


def without_label(_: int, frame: Frame) -> Frame:
    """The lower left corner painted over with what stands above it."""
    height = frame.shape[0] // 8
    frame[-height:, : frame.shape[1] // 2] = frame[-2 * height : -height, : frame.shape[1] // 2]
    return frame


def with_manifest_of(original: Path, tampered: Path) -> Path:
    """`tampered` with the C2PA box of `original` behind it, as somebody would who wants to keep the badge."""
    data = original.read_bytes()
    place = 0
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        if kind == b"uuid":
            tampered.write_bytes(tampered.read_bytes() + data[place : place + size])
            return tampered
        place += size
    raise AssertionError(f"{original} has no C2PA box")
