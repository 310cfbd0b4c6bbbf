"""A video to rows of the `frames` table."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from magictalk_core.faces.arkit import ARKIT_NAMES, POSE_NAMES
from magictalk_core.faces.tracker import FaceObservation, Tracker, TrackerChoice, open_tracker
from magictalk_core.media.decode import read_frames
from magictalk_core.tables.schema import FRAMES

__all__ = ["BLENDSHAPES_VERSION", "extract_clip", "extract_video"]

BLENDSHAPES_VERSION = "1"
"""Bumped when the same video and tracker would give other rows."""

FPS = 25


def _nullable(values: NDArray[np.floating]) -> pa.Array:
    return pa.array(values.astype(np.float32), mask=~np.isfinite(values))


def frames_table(clip_id: str, observations: list[FaceObservation], tracker: str) -> pa.Table:
    """FRAMES rows: what is not seen is null."""
    n = len(observations)
    coefficients = np.array([o.coefficients for o in observations]).reshape(n, len(ARKIT_NAMES))
    pose = np.array([o.pose for o in observations]).reshape(n, len(POSE_NAMES))
    columns: dict[str, object] = {
        "clip_id": [clip_id] * n,
        "frame_index": np.arange(n, dtype=np.int32),
        "time_s": np.arange(n) / FPS,
        "face_found": [o.face_found for o in observations],
        "confidence": _nullable(np.array([o.confidence for o in observations], np.float64)),
    }
    columns |= {name: _nullable(coefficients[:, i]) for i, name in enumerate(ARKIT_NAMES)}
    columns |= {name: _nullable(pose[:, i]) for i, name in enumerate(POSE_NAMES)}
    columns["tracker"] = [tracker] * n
    return pa.table({name: columns[name] for name in FRAMES.names}, schema=FRAMES.schema())


def extract_video(video: Path, clip_id: str, tracker: Tracker) -> pa.Table:
    """Track every frame of `video` at 25 frames per second."""
    return frames_table(clip_id, list(tracker.track(read_frames(video, FPS))), tracker.id)


def extract_clip(video: Path, clip_id: str, tracker: str) -> pa.Table:
    """`extract_video` with a tracker of its own: what a child process runs."""
    return extract_video(video, clip_id, open_tracker(cast(TrackerChoice, tracker)))
