"""A test clip as pictures: its frames, the track of its face, its aligned crops, and the portrait that is animated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.comparison import resting_frame
from magictalk_core.evaluation.pictures.crops import CROP_SIZE, FaceTrack, Frames, NoFace, crops_of, track_face
from magictalk_core.evaluation.pictures.networks import identity, landmarks
from magictalk_core.faces.detection import FaceDetector
from magictalk_core.media.decode import read_frames
from magictalk_core.preparation.reader import CorpusReader

__all__ = ["OF_THE_RECORDING", "OF_THE_RIG", "NoFace", "PictureClip", "open_clip", "read_video"]

OF_THE_RECORDING = "face track of the recording"
OF_THE_RIG = "whole frame, against the rig moved by the recording's curves"
"""What part of a frame is cut out, and against what it is held."""


@dataclass(frozen=True, eq=False)
class PictureClip:
    """`frames` (n, h, w, 3) of the recording, `crops` (n, 256, 256, 3) of it, `motion` (n, 58) as tracked.

    `audio`: the file with the clip's sound, or None. `portrait` is the frame that is animated and `rest` (58,) the
    expression it shows already. `emotion`: MEAD's name, or None.
    """

    clip_id: str
    emotion: str | None
    frames: Frames
    track: FaceTrack
    crops: Frames
    motion: NDArray[np.float32]
    audio: Path | None
    portrait: NDArray[np.uint8]
    rest: NDArray[np.float32]
    has_truth: bool = True
    """Whether somebody recorded what the methods are to show; not when another clip's speech drives it."""
    is_person: bool = True
    """Whether somebody is seen whose identity and expression can be read: not on the rig."""
    emotion_fan: Path | None = None
    """The model folder of the project's own Emotion-FAN, where it was trained."""
    shows: str = OF_THE_RECORDING
    """What part of a frame is cut out, and against what it is held."""

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(n, 68, 2) landmarks of the crops, NaN where no face is seen."""
        return np.asarray(landmarks().use().points(self.crops), np.float64)

    @cached_property
    def identity(self) -> NDArray[np.float64]:
        """(128,) embedding of the portrait, NaN where no face is seen."""
        return np.asarray(identity().use().embeddings(self.portrait[None])[0], np.float64)

    @property
    def side(self) -> int:
        """Of the recording's frames, which are square, pixels."""
        return int(self.frames.shape[1])


def read_video(path: Path, most_frames: int | None = None) -> Frames:
    """(n, h, w, 3) of a video at 25 frames per second. Raises `MediaError` where it cannot be read."""
    found: list[NDArray[np.uint8]] = []
    for frame in read_frames(path):
        if len(found) == most_frames:
            break
        found.append(frame)
    return np.stack(found)


def open_clip(
    reader: CorpusReader, clip_id: str, detector: FaceDetector, most_frames: int | None = None
) -> PictureClip:
    """The clip `clip_id` of the reader's corpus. Raises `NoFace` where it shows none."""
    video, audio = reader.media(clip_id)
    motion, _ = reader.motion(clip_id)
    frames = read_video(video, most_frames)
    frames, motion = frames[: len(motion)], motion[: len(frames)]
    track = track_face(frames, detector)
    portrait, rest = resting_frame(video, motion)
    emotion = reader.row(clip_id)["emotion"]
    crops = crops_of(frames, track.boxes(), CROP_SIZE)
    named = emotion if isinstance(emotion, str) else None
    return PictureClip(clip_id, named, frames, track, crops, motion, audio, portrait, rest)
