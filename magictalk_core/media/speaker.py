"""The speaker's part of a raw video, frame by frame, as trackers want it: small, and always one person.

A small picture is passed on as it is. In a large one faces are looked for in every fifth frame, and a square around the
speaker's is cut out of this frame and the four that follow. So a frame depends on itself and the first of its five,
and, where several people are in the picture, on who was followed before. Nothing is kept, however long the video is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.config import MediaConfig
from magictalk_core.media.container import MediaError, PacketCount, reading, to_rgb
from magictalk_core.media.crop import CropBox, face_crop, follow_speaker, same_face
from magictalk_core.media.decode import at_constant_rate, open_frames
from magictalk_core.media.picture import CropReader, ScaledBox, scale_box, small_rgb, upright_size
from magictalk_core.media.picture_folder import PictureFolder
from magictalk_core.media.scan import Detector
from magictalk_core.vocabulary.clips import Reason

__all__ = ["LARGE_PICTURE", "SpeakerPicture", "speaker_pictures"]

LARGE_PICTURE = 512
"""A picture with a longer side, in pixels, is cut to its speaker; a standardized clip is passed on as it is."""

_PROBE_EVERY = 5
_DETECT_SIDE_PX = 640
_GRID_STEPS = 16
_LOOK_AGAIN = 2.5
_CROP_SCALE = MediaConfig().crop_scale


@dataclass(frozen=True, eq=False)
class SpeakerPicture:
    """One frame. `rgb` (h, w, 3) is the square `crop` of the whole picture, scaled to at most LARGE_PICTURE; the whole
    picture where `crop` is None; None where there is no face. `width`, `height`: of the whole picture."""

    rgb: NDArray[np.uint8] | None
    crop: CropBox | None
    width: int
    height: int


def speaker_pictures(
    video: Path | PictureFolder,
    fps: float,
    load_detector: Callable[[], Detector],
    threads: int = 1,
    count: PacketCount | None = None,
) -> Iterator[SpeakerPicture]:
    """The frames of `video` at `fps`, decoded on so many threads. Raises `MediaError` (no_video, unreadable).

    The detector is loaded for large pictures only. `count` hears of the packets.
    """
    with open_frames(video, threads, count=count) as timed:
        frames = at_constant_rate(timed, fps)
        first = next(frames, None)
        if first is None:
            raise MediaError(Reason.UNREADABLE, "the video has no frame that can be decoded")
        read = _whole if max(upright_size(first)) <= LARGE_PICTURE else _SpeakerReader(load_detector()).read
        last: tuple[Any, SpeakerPicture] | None = None
        for number, frame in enumerate(chain([first], frames)):
            if last is None or last[0] is not frame:
                with reading():
                    last = (frame, read(frame, number))
            yield last[1]


def _whole(frame: Any, _: int) -> SpeakerPicture:
    rgb = to_rgb(frame)
    return SpeakerPicture(rgb, None, rgb.shape[1], rgb.shape[0])


class _SpeakerReader:
    """Cuts frames to the face found in the first of every five, or in the next one that shows it."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._face: ScaledBox | None = None
        self._block = -1
        self._crop: CropBox | None = None
        self._reader: CropReader | None = None

    def read(self, frame: Any, number: int) -> SpeakerPicture:
        width, height = upright_size(frame)
        if number // _PROBE_EVERY != self._block or self._crop is None:
            self._block = number // _PROBE_EVERY
            self._look(frame)
        if self._crop is None or self._reader is None:
            return SpeakerPicture(None, None, width, height)
        return SpeakerPicture(self._reader.read_rgb(frame), self._crop, width, height)

    def _look(self, frame: Any) -> None:
        rgb, scale = small_rgb(frame, _DETECT_SIDE_PX)
        seen = [scale_box(box, scale) for box in self._detector.detect(rgb)]
        (face,) = follow_speaker([seen], self._face)
        if self._face is not None and (face is None or not same_face(face, self._face)):
            # Beside a large face a small one is missed in the whole picture.
            (again,) = follow_speaker([_look_again(self._detector, rgb, scale, self._face)])
            face = again or face
        if face is None:
            self._crop = None
            return
        self._face = face
        crop = face_crop([_snapped(face)], *upright_size(frame), _CROP_SCALE)
        if crop != self._crop or self._reader is None:
            self._crop, self._reader = crop, CropReader(frame, crop, min(crop.size, LARGE_PICTURE))


def _look_again(detector: Detector, rgb: NDArray[np.uint8], scale: float, face: ScaledBox) -> list[ScaledBox]:
    """Faces in the small picture's part around a face seen before."""
    side = round(_LOOK_AGAIN * max(face.width, face.height) / scale)
    x = max(0, round((face.x + face.width / 2) / scale - side / 2))
    y = max(0, round((face.y + face.height / 2) / scale - side / 2))
    part = np.ascontiguousarray(rgb[y : y + side, x : x + side])
    if not part.size:
        return []
    boxes = (scale_box(box, scale) for box in detector.detect(part))
    return [replace(box, x=box.x + x * scale, y=box.y + y * scale) for box in boxes]


def _snapped(face: ScaledBox) -> ScaledBox:
    """The face on a grid of a sixteenth of its side: one that hardly moves keeps its square, and what reads it."""
    side = max(face.width, face.height)
    step = 2.0 ** round(math.log2(side / _GRID_STEPS))
    side = math.ceil(side / step) * step
    x, y = (
        round((at + extent / 2) / step) * step - side / 2
        for at, extent in ((face.x, face.width), (face.y, face.height))
    )
    return replace(face, x=x, y=y, width=side, height=side)
