"""Trackers: a picture in, coefficients and head pose out. A frame's values depend on that frame alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.arkit import ARKIT_NAMES, POSE_NAMES
from magictalk_core.faces.face_mesh import FaceMesh, load_face_mesh
from magictalk_core.faces.head_pose import pose_from_frame
from magictalk_core.faces.solver import face_frame, solve
from magictalk_core.weights.resolver import find

__all__ = ["NO_FACE", "FaceObservation", "LiteRtTracker", "Tracker", "TrackerChoice", "open_tracker", "tracker_id"]

TrackerChoice = Literal["auto", "mediapipe", "litert"]

LITERT_ID = "litert-geometric/1"
MEDIAPIPE_ID = "mediapipe/1"
FACE_LANDMARKER = "face_landmarker.task"


@dataclass(frozen=True, eq=False)
class FaceObservation:
    """One frame. `landmarks` (468 or 478, 3) pixels or None; `coefficients` (52,) in ARKIT_NAMES order with NaN for
    channels the tracker cannot see; `pose` (6,) in POSE_NAMES order; `confidence` NaN where the tracker gives none."""

    face_found: bool
    confidence: float
    landmarks: NDArray[np.float32] | None
    coefficients: NDArray[np.float32]
    pose: NDArray[np.float32]


NO_FACE = FaceObservation(
    False, float("nan"), None, np.full(len(ARKIT_NAMES), np.nan, np.float32), np.full(len(POSE_NAMES), np.nan, np.float32)
)


class Tracker(Protocol):
    """`id` is `<kind>/<version>`; `track` yields one observation per RGB frame (h, w, 3)."""

    id: str

    def track(self, frames: Iterable[NDArray[np.uint8]]) -> Iterator[FaceObservation]: ...


class LiteRtTracker:
    """Landmarks by LiteRT, coefficients by the geometric solver. Needs nothing that a package index does not carry."""

    id = LITERT_ID

    def __init__(self, mesh: FaceMesh) -> None:
        self._mesh = mesh

    def track(self, frames: Iterable[NDArray[np.uint8]]) -> Iterator[FaceObservation]:
        for rgb in frames:
            found = self._mesh.find(rgb)
            if found is None:
                yield NO_FACE
                continue
            frame = face_frame(found.landmarks)
            pose = pose_from_frame(frame.rotation, frame.scale, frame.centre, rgb.shape[1], rgb.shape[0])
            yield FaceObservation(True, found.presence, found.landmarks, solve(frame), pose)


def tracker_id(choice: TrackerChoice) -> str:
    """The id of the tracker that `choice` means here, without loading it. `auto` looks for the Face Landmarker file."""
    if choice == "litert" or (choice == "auto" and find(FACE_LANDMARKER) is None):
        return LITERT_ID
    return MEDIAPIPE_ID


def open_tracker(choice: TrackerChoice) -> Tracker:
    """Load the tracker. `mediapipe` without its file is an error that says where to get it."""
    if tracker_id(choice) == LITERT_ID:
        return LiteRtTracker(load_face_mesh())
    from magictalk_core.faces.mediapipe_tracker import MediaPipeTracker

    return MediaPipeTracker()
