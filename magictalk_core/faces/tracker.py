"""Trackers: a picture in, coefficients and head pose out. A frame's values depend on that frame alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.bundle import BUNDLE, BlendshapeNetwork
from magictalk_core.faces.face_mesh import FaceMesh, load_bundle_mesh, load_face_mesh
from magictalk_core.faces.head_pose import pose_from_frame
from magictalk_core.faces.observation import NO_FACE, FaceObservation, observe_face
from magictalk_core.faces.solver import face_frame, solve
from magictalk_core.weights.resolver import find

__all__ = [
    "FaceObservation",
    "LiteRtTracker",
    "Tracker",
    "TrackerChoice",
    "blendshapes_tracker",
    "geometric_tracker",
    "open_tracker",
    "tracker_id",
]

TrackerChoice = Literal["auto", "mediapipe", "litert"]

MEDIAPIPE_ID = "mediapipe/2"
BLENDSHAPES_ID = "litert-blendshapes/1"
GEOMETRIC_ID = "litert-geometric/2"
"""The number counts changes of the values that a tracker gives for the same picture."""


class Tracker(Protocol):
    """`id` is `<kind>/<version>`; `track` yields one observation per RGB frame (h, w, 3)."""

    id: str

    def track(self, frames: Iterable[NDArray[np.uint8]]) -> Iterator[FaceObservation]: ...


class LiteRtTracker:
    """Landmarks by LiteRT; `coefficients` turns landmarks (468 or 478, 3) in pixels into (52,) ARKit coefficients."""

    def __init__(
        self, tracker: str, mesh: FaceMesh, coefficients: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    ) -> None:
        self.id = tracker
        self._mesh = mesh
        self._coefficients = coefficients

    def track(self, frames: Iterable[NDArray[np.uint8]]) -> Iterator[FaceObservation]:
        for rgb in frames:
            yield observe_face(rgb, self._mesh.detector, self._observe)

    def _observe(self, rgb: NDArray[np.uint8]) -> FaceObservation:
        found = self._mesh.find(rgb)
        if found is None:
            return NO_FACE
        frame = face_frame(found.landmarks)
        pose = pose_from_frame(frame.rotation, frame.scale, frame.centre, rgb.shape[1], rgb.shape[0])
        return FaceObservation(True, found.presence, found.landmarks, self._coefficients(found.landmarks), pose)


def geometric_tracker() -> Tracker:
    """Networks of the mediapipe wheel and the geometric solver: needs nothing that a package index does not carry."""
    return LiteRtTracker(GEOMETRIC_ID, load_face_mesh(), lambda landmarks: solve(face_frame(landmarks)))


def blendshapes_tracker() -> Tracker:
    """The networks of `face_landmarker.task` on LiteRT; close to MediaPipe's coefficients without its graph."""
    return LiteRtTracker(BLENDSHAPES_ID, load_bundle_mesh(), BlendshapeNetwork().solve)


def tracker_id(choice: TrackerChoice) -> str:
    """The id of the tracker that `choice` means here, without loading it.

    `auto` is `mediapipe` where `face_landmarker.task` is found, otherwise `litert`. `litert` runs the blend shape
    network of that file where it is found, otherwise the geometric solver.
    """
    if choice == "mediapipe":
        return MEDIAPIPE_ID
    if find(BUNDLE) is None:
        return GEOMETRIC_ID
    return MEDIAPIPE_ID if choice == "auto" else BLENDSHAPES_ID


def open_tracker(choice: TrackerChoice) -> Tracker:
    """Load the tracker. `mediapipe` without its file is a `PermanentError` that says where to get it."""
    tracker = tracker_id(choice)
    if tracker == GEOMETRIC_ID:
        return geometric_tracker()
    if tracker == BLENDSHAPES_ID:
        return blendshapes_tracker()
    from magictalk_core.faces.mediapipe_tracker import MediaPipeTracker

    return MediaPipeTracker()
