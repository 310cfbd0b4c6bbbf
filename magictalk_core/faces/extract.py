"""A video to rows of the `frames` table."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from magictalk_core.faces.detection import load_face_detector
from magictalk_core.faces.observation import FaceObservation, in_whole_picture
from magictalk_core.faces.tracker import Tracker, open_tracker
from magictalk_core.faces.tracker_ids import TrackerChoice
from magictalk_core.faces.visible import Visibility
from magictalk_core.media.container import PacketCount
from magictalk_core.media.picture_folder import PictureFolder
from magictalk_core.media.speaker import SpeakerPicture, SpeakerWatch, speaker_pictures, standardized_pictures
from magictalk_core.storage.schema import FRAMES
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["BLENDSHAPES_VERSION", "DOUBTED", "TURNED", "extract_clip", "extract_video", "frames_table", "observe_video"]

TURNED, DOUBTED = "turned_deg", "visibility"
"""Names in a table's metadata: the degrees clockwise by which the video was turned so that faces stand upright; and the
scores of the clip gates on its face and its shots, as JSON."""

BLENDSHAPES_VERSION = "3"
"""Bumped when the same video and tracker would give other rows."""


def _nullable(values: NDArray[np.floating]) -> pa.Array:
    return pa.array(values.astype(np.float32), mask=~np.isfinite(values))


def frames_table(clip_id: str, observations: Iterable[FaceObservation], tracker: str) -> pa.Table:
    """FRAMES rows: what is not seen is null. Landmarks are dropped as they come: a long video needs little memory."""
    found, confidence, coefficients, pose = [], [], [], []
    for seen in observations:
        found.append(seen.face_found)
        confidence.append(seen.confidence)
        coefficients.append(seen.coefficients)
        pose.append(seen.pose)
    n = len(found)
    values = np.array(coefficients, np.float32).reshape(n, len(ARKIT_NAMES))
    poses = np.array(pose, np.float32).reshape(n, len(POSE_NAMES))
    columns: dict[str, object] = {
        "clip_id": [clip_id] * n,
        "frame_index": np.arange(n, dtype=np.int32),
        "time_s": np.arange(n) / FRAME_RATE,
        "face_found": found,
        "confidence": _nullable(np.array(confidence, np.float64)),
    }
    columns |= {name: _nullable(values[:, i]) for i, name in enumerate(ARKIT_NAMES)}
    columns |= {name: _nullable(poses[:, i]) for i, name in enumerate(POSE_NAMES)}
    columns["tracker"] = [tracker] * n
    return pa.table({name: columns[name] for name in FRAMES.names}, schema=FRAMES.schema())


def observe_video(video: Path, tracker: Tracker, threads: int = 1) -> Iterator[FaceObservation]:
    """The speaker in every frame of `video` at 25 frames per second, in pixels of the whole picture, upright.

    `threads` decode the video; the tracker has its own.
    """
    pictures = speaker_pictures(video, FRAME_RATE, load_face_detector, threads)
    return (in_whole_picture(seen, picture) for picture, seen in _observed(pictures, tracker))


def _observed(pictures: Iterator[SpeakerPicture], tracker: Tracker) -> Iterator[tuple[SpeakerPicture, FaceObservation]]:
    """What the tracker says of each picture, in its own pixels."""
    waiting: deque[SpeakerPicture] = deque()

    def pixels() -> Iterator[NDArray[np.uint8] | None]:
        for picture in pictures:
            waiting.append(picture)
            yield picture.rgb

    for seen in tracker.track(pixels()):
        yield waiting.popleft(), seen


def extract_video(
    video: Path | PictureFolder,
    clip_id: str,
    tracker: Tracker,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
    count: PacketCount | None = None,
) -> pa.Table:
    """Track every frame of `video` at 25 frames per second; `progress` is called with the number of frames done, and
    `count` hears of the packets.

    The table's metadata say under `TURNED` how the picture was turned, and under `DOUBTED` what speaks against it.
    """
    turned_deg, visibility, watch = 0, Visibility(), SpeakerWatch()

    def counted() -> Iterator[FaceObservation]:
        nonlocal turned_deg
        pictures = speaker_pictures(video, FRAME_RATE, load_face_detector, threads, count, watch)
        for done, (picture, seen) in enumerate(_observed(pictures, tracker), start=1):
            turned_deg = picture.turned_deg
            whole = in_whole_picture(seen, picture)
            visibility.add(picture, seen, whole)
            if progress is not None:
                progress(done)
            yield whole

    table = frames_table(clip_id, counted(), tracker.id)
    notes = {TURNED: str(turned_deg), DOUBTED: json.dumps(visibility.scores() | watch.scores())}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **notes})


def extract_clip(video: Path, clip_id: str, tracker: str) -> pa.Table:
    """Track a standardized clip with a tracker of its own: what a child process runs."""
    opened = open_tracker(cast(TrackerChoice, tracker))
    pictures = standardized_pictures(video, FRAME_RATE)
    return frames_table(clip_id, (seen for _, seen in _observed(pictures, opened)), opened.id)
