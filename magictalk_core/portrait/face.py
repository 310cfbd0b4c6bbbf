"""Which face of a portrait is moved, and what about it will not look well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from magictalk_core.errors import UserError
from magictalk_core.faces.face_box import FaceBox
from magictalk_core.faces.face_mesh import MIN_PRESENCE, FaceMesh, MeshResult, load_face_mesh
from magictalk_core.faces.head_pose import angles_of
from magictalk_core.faces.solver import face_frame
from magictalk_core.faces.visible import lips_contrast

__all__ = ["PortraitFace", "find_face", "remarks_of"]

SMALL_PX = 100
"""A face of fewer pixels gives a soft video."""

_UNSURE_PRESENCE = 0.6
"""Where nothing is surely a face, what may be one is moved too, with a word: a dog has 0.88."""
_PROFILE_DEG = 55.0
_COVERED = 8.0
"""Lips that stand out less are covered, or none; as the quality gate `min_lips_contrast` has it."""
_TURNED_DEG = {"pitch": 30.0, "yaw": 30.0, "roll": 20.0}
"""From there on the warped picture shows that it is flat."""
_ON_ITS_SIDE_DEG = 45.0
_ONE_PLACE = 0.1
_KEYPOINTS = ((33, 133), (263, 362), (4,), (13, 14))
"""Of the mesh, what the detector calls right eye, left eye, tip of the nose and mouth."""
_TURNS = {1: "a quarter to the left", 2: "by half", 3: "a quarter to the right"}
_TOUCHING = 0.02
"""Share of the face's width that counts as the border."""
_SAME_FACE = 0.5


@dataclass(frozen=True, eq=False)
class PortraitFace:
    """Face `number` of `of`, the largest is 1; `landmarks` (468, 3) pixels of `rgb` (h, w, 3), which is the picture,
    turned by right angles where the face lay on its side. `warnings`: what will not look well, one line each."""

    rgb: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    number: int
    of: int
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        low, high = self.landmarks[:, 0].min(), self.landmarks[:, 0].max()
        middle = (low + high) / 2 / self.rgb.shape[1]
        where = "left" if middle < 1 / 3 else "right" if middle > 2 / 3 else "middle"
        return f"{self.number} of {self.of}, {high - low:.0f} px wide, {where}"


def find_face(rgb: NDArray[np.uint8], number: int | None = None) -> PortraitFace:
    """The face of that number, the largest by default. Raises `UserError` where it is not there.

    A picture in which no face stands upright is tried on its other sides.
    """
    upright, turns = _upright(load_face_mesh(), rgb)
    if not upright.faces:
        upright, turns = _View.of(load_face_mesh(_UNSURE_PRESENCE), rgb), 0
    faces = upright.faces
    if not faces:
        raise UserError(f"no face found; expected a picture with one face, frontal, at least {SMALL_PX} px wide")
    chosen = 1 if number is None else number
    if not 1 <= chosen <= len(faces):
        raise UserError(f"--face {chosen}: the picture has {len(faces)}, the largest is --face 1")
    warnings = remarks_of(faces[chosen - 1], upright.rgb)
    if turns:
        warnings.insert(0, f"the face did not stand upright: the picture is turned {_TURNS[turns]}")
    if len(faces) > 1 and number is None:
        warnings.insert(0, f"{len(faces)} faces, the largest is taken: --face 2 takes the next one")
    return PortraitFace(upright.rgb, faces[chosen - 1].landmarks, chosen, len(faces), tuple(warnings))


@dataclass(frozen=True, eq=False)
class _View:
    """A picture in one of its four orientations, its faces, the largest first, and how sure that one is.

    Over a face that lies on its side the networks may lay a mesh that stands upright; then detector and mesh see eyes
    and mouth in different places. Measured on eleven portraits: upright at most 0.06 of the face's width apart, on
    another side at least 0.07, upside down at least 0.15; the detector is surest of the upright one in all of them.
    """

    rgb: NDArray[np.uint8]
    faces: list[MeshResult]
    score: float
    stands: bool

    @classmethod
    def of(cls, mesh: FaceMesh, rgb: NDArray[np.uint8]) -> _View:
        found = mesh.find_all(rgb)
        if not found:
            return cls(rgb, [], 0.0, False)
        box, face = found[0]
        stands = abs(_angles(face)["roll"]) <= _ON_ITS_SIDE_DEG and _disagreement(box, face) <= _ONE_PLACE
        return cls(rgb, _distinct([mesh for _, mesh in found]), box.score, stands)


def _upright(mesh: FaceMesh, rgb: NDArray[np.uint8]) -> tuple[_View, int]:
    """The view in which the largest face stands upright, and the quarter turns to the left that lead there."""
    best, best_turns = _View.of(mesh, rgb), 0
    if best.stands:
        return best, 0
    for turns in _TURNS:
        view = _View.of(mesh, np.ascontiguousarray(np.rot90(rgb, turns)))
        if view.stands and view.score > best.score:
            best, best_turns = view, turns
    return best, best_turns


def _disagreement(box: FaceBox, face: MeshResult) -> float:
    """How far apart detector and mesh see eyes, nose and mouth, in widths of the face."""
    points = face.landmarks[:, :2]
    places = np.stack([points[list(indices)].mean(axis=0) for indices in _KEYPOINTS])
    return float(np.linalg.norm(places - box.keypoints[: len(places)], axis=1).max() / max(face.width, 1e-6))


def _distinct(faces: list[MeshResult]) -> list[MeshResult]:
    """Without smaller meshes over half of which a larger one lies."""
    kept: list[MeshResult] = []
    for face in faces:
        if all(_overlap(face, other) < _SAME_FACE for other in kept):
            kept.append(face)
    return kept


def _overlap(face: MeshResult, other: MeshResult) -> float:
    """Share of the rectangle of `face` that lies in that of `other`."""
    (low, high), (low2, high2) = _corners(face), _corners(other)
    common = np.clip(np.minimum(high, high2) - np.maximum(low, low2), 0, None)
    return float(common.prod() / max(float((high - low).prod()), 1e-6))


def _corners(face: MeshResult) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)


def _angles(face: MeshResult) -> dict[str, float]:
    turned = angles_of(Rotation.from_matrix(face_frame(face.landmarks).rotation))
    return dict(zip(("pitch", "yaw", "roll"), map(float, turned), strict=True))


def remarks_of(face: MeshResult, rgb: NDArray[np.uint8]) -> list[str]:
    """What will not look well of a face in a picture (h, w, 3), one line each."""
    found = []
    if face.presence < MIN_PRESENCE:
        found.append(
            f"hardly the face of a person: confidence {face.presence:.2f}, people have at least {MIN_PRESENCE}; "
            "mouth and eyes may move in the wrong places"
        )
    contrast = lips_contrast(rgb, face.landmarks)
    if contrast is not None and contrast < _COVERED:
        found.append(
            "the mouth does not stand out from what is around it: where a hand or a mask covers it, that moves"
        )
    if face.width < SMALL_PX:
        found.append(f"the face is {face.width:.0f} px wide, fewer than {SMALL_PX}: the video will be soft")
    (left, top), (right, bottom) = _corners(face)
    height, width = rgb.shape[:2]
    room = {"left": left, "top": top, "right": width - right, "bottom": height - bottom}
    sides = [side for side, pixels in room.items() if pixels < _TOUCHING * face.width]
    if sides:
        found.append(f"the face touches the border ({', '.join(sides)}): what is cut off is made up")
    for name, degrees in _angles(face).items():
        if name == "yaw" and abs(degrees) > _PROFILE_DEG:
            found.append(
                f"a profile, yaw {degrees:.0f} degrees: half of the face is not in the picture, take a frontal one"
            )
        elif abs(degrees) > _TURNED_DEG[name]:
            found.append(f"the head is turned, {name} {degrees:.0f} degrees: the video will look flat")
    return found
