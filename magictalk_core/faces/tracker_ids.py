"""Which tracker a choice means on this machine, by its id; nothing is loaded."""

from __future__ import annotations

from typing import Literal

from magictalk_core.faces.bundle_file import BUNDLE
from magictalk_core.weights.manifest import WEIGHTS
from magictalk_core.weights.resolver import find

__all__ = [
    "BLENDSHAPES_ID",
    "GEOMETRIC_ID",
    "MEDIAPIPE_ID",
    "TrackerChoice",
    "tracker_id",
    "tracker_weights",
    "weight_files",
]

TrackerChoice = Literal["auto", "mediapipe", "litert"]

MEDIAPIPE_ID = "mediapipe/4"
BLENDSHAPES_ID = "litert-blendshapes/3"
GEOMETRIC_ID = "litert-geometric/3"
"""The number counts changes of the values that a tracker gives for the same picture."""


def tracker_id(choice: TrackerChoice) -> str:
    """The id of the tracker that `choice` means here, without loading it.

    `auto` is `mediapipe` where `face_landmarker.task` is found, otherwise `litert`. `litert` runs the networks of that
    file where it is found, otherwise the geometric solver.
    """
    if choice == "mediapipe":
        return MEDIAPIPE_ID
    if find(BUNDLE) is None:
        return GEOMETRIC_ID
    return MEDIAPIPE_ID if choice == "auto" else BLENDSHAPES_ID


def weight_files(tracker: str) -> tuple[str, ...]:
    """The weight files that the tracker of this id runs."""
    return ("face_detection_short_range.tflite", "face_landmark.tflite") if tracker == GEOMETRIC_ID else (BUNDLE,)


def tracker_weights(tracker: str) -> str:
    """`<file> sha256:<digest>` of the weight files that the tracker of this id runs, for the metadata of a table."""
    return ", ".join(f"{name} sha256:{WEIGHTS[name].sha256}" for name in weight_files(tracker))
