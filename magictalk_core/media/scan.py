"""The first pass over a clip: its frames at the constant rate, and where the faces are; and the frames again, cropped.

The raw video is decoded once: its frames wait in memory, in the coded colour format, until the crop is known. A clip
whose frames take more than `KEEP_BYTES` is decoded a second time instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.completeness import is_incomplete, too_many_bad
from magictalk_core.media.container import (
    MediaError,
    PacketCount,
    check_side,
    declared_duration,
    open_media,
    reading,
    to_rgb,
)
from magictalk_core.media.crop import CropBox, Window
from magictalk_core.media.decode import at_constant_rate, timed_frames
from magictalk_core.media.following import PROBE_EVERY, Detector, Follower, Opening, opened, probe_picture
from magictalk_core.media.picture import CropReader, Sighting, upright_size
from magictalk_core.media.scores import SHARPNESS_SIDE, luma, sharpness
from magictalk_core.media.shots import ShotWatch
from magictalk_core.media.streams import video_stream
from magictalk_core.media.turning import FrameTurner
from magictalk_core.vocabulary.clips import Reason

__all__ = ["KEEP_BYTES", "Cut", "Scan", "cropped_frames", "scan_clip"]

KEEP_BYTES = 1_500_000_000
"""Decoded frames kept in memory per clip: about 19 s of 1080p."""

_GRAY_SIDE_PX = 160


@dataclass(frozen=True)
class Cut:
    """The part of the raw video that is the clip, and how to read it. Faces outside of `window` are not the speaker."""

    path: Path
    start_s: float | None
    end_s: float | None
    fps: int
    max_side: int
    window: Window | None = None


@dataclass(frozen=True)
class Scan:
    """What the first pass found. `kept` is None where the frames took too much memory. `turned_deg`: clockwise, as the
    picture stands upright. `sightings`: the faces of every fifth frame, in pixels of the upright picture of `width` x
    `height`; `grays`: the luma of these frames, small, and `gray_scale` the factor from its pixels to the picture's.
    `shots`: how the picture changes."""

    n_frames: int
    kept: Sequence[Any] | None
    turned_deg: int
    sightings: Sequence[Sighting]
    grays: Sequence[NDArray[np.uint8]]
    gray_scale: float
    width: int
    height: int
    shots: ShotWatch


@dataclass
class _Store:
    """Frames in memory until they are too many. The same frame shown twice counts once."""

    frames: list[Any] | None = field(default_factory=list)
    size: int = 0

    def add(self, frame: Any) -> None:
        if self.frames is None:
            return
        if not self.frames or self.frames[-1] is not frame:
            self.size += sum(plane.buffer_size for plane in frame.planes)
        if self.size > KEEP_BYTES:
            self.frames = None
        else:
            self.frames.append(frame)


@dataclass
class _Probes:
    """What every fifth frame shows."""

    detector: Detector
    window: Window | None
    sightings: list[Sighting] = field(default_factory=list)
    lying: list[NDArray[np.uint8]] = field(default_factory=list)
    """Small luma pictures as the frames lie: the first may come before it is known how to turn them."""
    turned_deg: int = 0
    follower: Follower | None = None

    def add(self, frame: Any, opening: Opening | None) -> None:
        rgb, scale = probe_picture(frame, 0)
        self._keep_luma(rgb)
        if opening is None:
            self.sightings.append(Sighting(None, ()))
            return
        if self.follower is None:
            self.follower = Follower(self.detector, opening, self.window)
            self.turned_deg = opening.turned_deg
        upright = np.ascontiguousarray(np.rot90(rgb, -self.turned_deg // 90))
        self.sightings.append(self._measured(self.follower.look(upright, scale), frame, scale))

    def _measured(self, sighting: Sighting, frame: Any, scale: float) -> Sighting:
        """With the sharpness of a small face as in the whole picture: shrunk, a sharp one looks blurred."""
        face = sighting.face
        if face is None or scale == 1.0 or max(face.width, face.height) >= SHARPNESS_SIDE * scale:
            return sighting
        gray = np.rot90(luma(to_rgb(frame)), -self.turned_deg // 90)
        measured = replace(face, sharpness=sharpness(gray, face))
        faces = tuple(measured if one is face else one for one in sighting.faces)
        return replace(sighting, face=measured, faces=faces)

    def _keep_luma(self, rgb: NDArray[np.uint8]) -> None:
        gray = luma(rgb)
        shrink = min(1.0, _GRAY_SIDE_PX / max(gray.shape))
        size = (max(1, round(gray.shape[1] * shrink)), max(1, round(gray.shape[0] * shrink)))
        self.lying.append(np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8))

    def grays(self) -> list[NDArray[np.uint8]]:
        """The small luma pictures, upright."""
        return [np.rot90(gray, -self.turned_deg // 90) for gray in self.lying]


def _constant_rate(container: Any, stream: Any, cut: Cut, count: PacketCount | None = None) -> Iterator[Any]:
    timed = timed_frames(container, stream, cut.start_s, count)
    return at_constant_rate(timed, cut.fps, cut.start_s or 0.0, cut.end_s)


def scan_clip(cut: Cut, detector: Detector, sound_s: float, max_frames: int) -> Scan:
    """Decode the clip and look for faces in every fifth frame.

    `sound_s`: length of the file's own sound, which tells a short picture track from a broken file where the headers
    only name the length of the whole file. Raises `MediaError` (no_video, unreadable, truncated, too_long).
    """
    store, count, probes, shots = _Store(), PacketCount(), _Probes(detector, cut.window), ShotWatch()
    n, last = 0, None
    with open_media(cut.path) as container:
        stream = video_stream(container, cut.max_side)
        if stream is None:
            raise MediaError(Reason.NO_VIDEO, "the file has no video stream")
        declared = declared_duration(container, stream)
        frames = _constant_rate(container, stream, cut, count)
        for last, opening in opened(_small_enough(frames, cut.max_side), detector, cut.window):
            if n % PROBE_EVERY == 0:
                probes.add(last, opening)
            shots.add(last)
            store.add(last)
            n += 1
            if n > max_frames:
                raise MediaError(Reason.TOO_LONG, f"more than {max_frames / cut.fps:.0f} s of video")
    _check_complete(n / cut.fps, cut, declared, sound_s, count)
    width, height = upright_size(last)
    if probes.turned_deg % 180:
        width, height = height, width
    grays = probes.grays()
    scale = width / grays[-1].shape[1]
    seen = (probes.turned_deg, probes.sightings, grays, scale, width, height)
    return Scan(n, store.frames, *seen, shots)


def _small_enough(frames: Iterator[Any], max_side: int) -> Iterator[Any]:
    for frame in frames:
        check_side(frame.width, frame.height, max_side)
        yield frame


def _check_complete(found_s: float, cut: Cut, declared: tuple[float, bool], sound_s: float, count: PacketCount) -> None:
    """Refuse a clip of which a noticeable part is not there, or does not decode."""
    if found_s == 0:
        raise MediaError(Reason.UNREADABLE, "no frame could be decoded")
    length, is_of_stream = declared
    end = length if cut.end_s is None else min(cut.end_s, length)
    expected = end - (cut.start_s or 0.0)
    reached = found_s if is_of_stream else max(found_s, sound_s)
    if is_incomplete(reached, expected):
        raise MediaError(Reason.TRUNCATED, f"decoding stops at {reached:.2f} s of {expected:.2f} s")
    if too_many_bad(count):
        raise MediaError(Reason.UNREADABLE, f"{count.bad} of {count.read} video packets do not decode")


def cropped_frames(cut: Cut, scan: Scan, crop: CropBox, size: int) -> Iterator[Any]:
    """The frames of the clip as the encoder takes them (`CropReader`), from memory or from a second decode."""
    if scan.kept is not None:
        yield from _crop_each(scan.kept, crop, size, scan.turned_deg)
        return
    with open_media(cut.path) as container:
        stream = video_stream(container, cut.max_side)
        yield from _crop_each(_constant_rate(container, stream, cut), crop, size, scan.turned_deg)


def _crop_each(frames: Sequence[Any] | Iterator[Any], crop: CropBox, size: int, turned_deg: int) -> Iterator[Any]:
    turner = FrameTurner(turned_deg)
    reader: CropReader | None = None
    last: tuple[Any, Any] | None = None
    for frame in frames:
        if last is None or last[0] is not frame:
            with reading():
                upright = turner(frame)
                reader = reader or CropReader(upright, crop, size)
                last = (frame, reader.read(upright))
        yield last[1]
