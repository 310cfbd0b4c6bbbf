"""Every third-party weight file that the project can use: origin, sha256, licence, and what needs it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WEIGHTS", "WeightFile"]


@dataclass(frozen=True)
class WeightFile:
    """`source` is the official address, or `pypi:<requirement>!<member>` for a member of a wheel on a package index."""

    name: str
    sha256: str
    licence: str
    needed_by: str
    source: str

    @property
    def in_registry(self) -> bool:
        """Whether a package index carries it, so that it can be fetched anywhere pip works."""
        return self.source.startswith("pypi:")

    @property
    def requirement(self) -> str:
        """The wheel that holds the file, for a file in a registry."""
        return self.source.removeprefix("pypi:").partition("!")[0]

    @property
    def member(self) -> str:
        """Where in the wheel the file lies, for a file in a registry."""
        return self.source.partition("!")[2]


_WHEEL = "pypi:mediapipe==0.10.21!mediapipe/modules"

WEIGHTS: dict[str, WeightFile] = {
    file.name: file
    for file in (
        WeightFile(
            "face_landmarker.task",
            "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            "Apache-2.0",
            "trackers mediapipe and litert-blendshapes: 478 landmarks, 51 coefficients, head matrix",
            "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        ),
        WeightFile(
            "face_detection_short_range.tflite",
            "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
            "Apache-2.0",
            "face detection of every tracker and of the face crop",
            f"{_WHEEL}/face_detection/face_detection_short_range.tflite",
        ),
        WeightFile(
            "face_landmark.tflite",
            "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
            "Apache-2.0",
            "tracker litert-geometric and portraits: 468 landmarks",
            f"{_WHEEL}/face_landmark/face_landmark.tflite",
        ),
    )
}
