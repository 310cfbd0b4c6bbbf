"""The speaker's part of a raw video, frame by frame, as trackers want it: small, upright, and one person at a time.

A small picture that is all about one face is passed on as it is. Otherwise a square around the speaker's face, found in
the first of every five frames, is cut out of these five. So a frame depends on itself and the first of its five, on the
video's opening, and, where several people are in the picture, on who was followed before. Nothing but the opening is
kept, however long the video is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.config import MediaConfig
from magictalk_core.media.container import MediaError, PacketCount, reading, to_rgb
from magictalk_core.media.crop import CropBox, face_crop
from magictalk_core.media.decode import at_constant_rate, open_frames
from magictalk_core.media.following import PROBE_EVERY, Detector, Follower, Opening, main_person, opened, probe_picture
from magictalk_core.media.picture import CropReader, ScaledBox, Sighting, upright_size
from magictalk_core.media.picture_folder import PictureFolder
from magictalk_core.media.scores import face_scores
from magictalk_core.media.shots import ShotWatch
from magictalk_core.media.timed import Timed
from magictalk_core.media.turning import FrameTurner
from magictalk_core.vocabulary.clips import Reason

__all__ = ["LARGE_PICTURE", "SpeakerPicture", "SpeakerWatch", "speaker_pictures", "standardized_pictures"]

LARGE_PICTURE = 512
"""A picture with a longer side, in pixels, is always cut to its speaker."""

_WATCHED_FRAMES = 90_000
_GRID_STEPS = 16
_WHOLE_FACE_SHARE = 0.25
"""Least side of a face, as a share of the picture's longer one, for which trackers need no closer look."""
_CROP_SCALE = MediaConfig().crop_scale


@dataclass(frozen=True, eq=False)
class SpeakerPicture:
    """One frame. `rgb` (h, w, 3) is the square `crop` of the whole picture, scaled to at most LARGE_PICTURE; the whole
    picture where `crop` is None; None where there is no face. `width`, `height`: of the whole picture, upright;
    `turned_deg`: clockwise, so that it stands upright."""

    rgb: NDArray[np.uint8] | None
    crop: CropBox | None
    width: int
    height: int
    turned_deg: int = 0


def speaker_pictures(
    video: Path | PictureFolder,
    fps: float,
    load_detector: Callable[[], Detector],
    threads: int = 1,
    count: PacketCount | None = None,
    watch: SpeakerWatch | None = None,
) -> Iterator[SpeakerPicture]:
    """The frames of `video` at `fps`, decoded on so many threads. Raises `MediaError` (no_video, unreadable).

    `count` hears of the packets, and `watch` of what is seen.
    """
    detector = load_detector()
    with open_frames(video, threads, count=count) as timed:
        frames = opened(_frames(timed, fps), detector, None)
        reader: _SpeakerReader | None = None
        last: tuple[Any, SpeakerPicture] | None = None
        for number, (frame, opening) in enumerate(frames):
            if opening is not None and reader is None:
                reader = _SpeakerReader(detector, opening, frame, watch is not None)
            probing = reader is not None and number % PROBE_EVERY == 0
            if last is None or last[0] is not frame or probing:
                with reading():
                    last = (frame, _no_face(frame) if reader is None else reader.read(frame, number))
            if watch is not None:
                watch.add(frame, last[1], reader.sighting if reader is not None else Sighting(None, ()))
            yield last[1]


def standardized_pictures(video: Path, fps: float, threads: int = 1) -> Iterator[SpeakerPicture]:
    """The frames of a standardized clip, whole: it was turned and cut to its speaker when it was made."""
    with open_frames(video, threads) as timed:
        last: tuple[Any, SpeakerPicture] | None = None
        for frame in _frames(timed, fps):
            if last is None or last[0] is not frame:
                with reading():
                    last = (frame, _whole(frame, 0))
            yield last[1]


def _frames(timed: Iterator[Timed[Any]], fps: float) -> Iterator[Any]:
    frames = at_constant_rate(timed, fps)
    first = next(frames, None)
    if first is None:
        raise MediaError(Reason.UNREADABLE, "the video has no frame that can be decoded")
    yield first
    yield from frames


def _whole(frame: Any, turned_deg: int) -> SpeakerPicture:
    rgb = to_rgb(frame)
    return SpeakerPicture(rgb, None, rgb.shape[1], rgb.shape[0], turned_deg)


def _no_face(frame: Any) -> SpeakerPicture:
    return SpeakerPicture(None, None, *upright_size(frame))


def _is_all_about_one_face(opening: Opening, width: int, height: int) -> bool:
    """Whether a tracker finds the speaker in the whole picture, and nobody else."""
    longer = max(width, height)
    least = min(opening.start.width, opening.start.height)
    alone = all(len(faces) <= 1 for faces in opening.faces)
    return longer <= LARGE_PICTURE and alone and least >= _WHOLE_FACE_SHARE * longer


class SpeakerWatch:
    """What is seen of a video while its speaker is read, as the scan of a corpus clip sees it: faces in one of every
    five frames, and how the picture changes. Of the first hour, for which there is memory."""

    def __init__(self) -> None:
        self._frames = 0
        self._sightings: list[Sighting] = []
        self._shots = ShotWatch()
        self._last: SpeakerPicture | None = None

    def add(self, frame: Any, picture: SpeakerPicture, sighting: Sighting) -> None:
        """The next frame, what is read of it, and who was seen in the last of every five."""
        if self._frames < _WATCHED_FRAMES:
            if self._frames % PROBE_EVERY == 0:
                self._sightings.append(sighting)
            self._shots.add(frame)
            self._last = picture
        self._frames += 1

    def scores(self) -> dict[str, float]:
        """By the names of the gates' scores. Without a face only its share, 0."""
        speaker, last = main_person(self._sightings), self._last
        faces = [box for box in speaker if box is not None]
        if last is None or not faces:
            return {"face_share": 0.0}
        crop = face_crop(faces, last.width, last.height, _CROP_SCALE)
        found = face_scores(speaker, self._sightings, crop)
        del found["sharpness"]  # measured in small pictures, where a small face looks blurred
        return found | self._shots.scores(crop, last.width, last.height, last.turned_deg)


class _SpeakerReader:
    """Turns frames upright and cuts them to the speaker's face, found in one of every five or in the next that shows
    it. `sighting`: what the last of every five shows; of a picture that is not cut only where it is `watched`."""

    def __init__(self, detector: Detector, opening: Opening, first: Any, watched: bool = False) -> None:
        self.sighting = Sighting(None, ())
        self._watched = watched
        self._turned_deg = opening.turned_deg
        self._turner = FrameTurner(opening.turned_deg)
        self._is_whole = _is_all_about_one_face(opening, *upright_size(first))
        self._follower = Follower(detector, opening)
        self._crop: CropBox | None = None
        self._reader: CropReader | None = None

    def read(self, frame: Any, number: int) -> SpeakerPicture:
        upright = self._turner(frame)
        if self._is_whole:
            if self._watched and number % PROBE_EVERY == 0:
                self.sighting = self._follower.look(*probe_picture(frame, self._turned_deg))
            return _whole(upright, self._turned_deg)
        is_probe = number % PROBE_EVERY == 0
        if is_probe or self._crop is None:
            self._look(frame, upright, is_probe)
        size = upright_size(upright)
        if self._crop is None or self._reader is None:
            return SpeakerPicture(None, None, *size, self._turned_deg)
        return SpeakerPicture(self._reader.read_rgb(upright), self._crop, *size, self._turned_deg)

    def _look(self, frame: Any, upright: Any, is_probe: bool) -> None:
        seen = self._follower.look(*probe_picture(frame, self._turned_deg), is_probe)
        if is_probe:
            self.sighting = seen
        face = seen.face
        if face is None:
            self._crop = None
            return
        crop = face_crop([_snapped(face)], *upright_size(upright), _CROP_SCALE)
        if crop != self._crop or self._reader is None:
            self._crop, self._reader = crop, CropReader(upright, crop, min(crop.size, LARGE_PICTURE))


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
