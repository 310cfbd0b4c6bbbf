"""Face detection with BlazeFace (short range) on LiteRT, as MediaPipe runs it: anchors, letterbox, weighted NMS."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.litert import LiteRtModel
from magictalk_core.weights.resolver import find, resolve

__all__ = ["FaceBox", "FaceDetector", "centrality", "choose_face", "load_face_detector"]

_WHEEL_MODEL = "face_detection_short_range.tflite"

MIN_SCORE = 0.5
NMS_IOU = 0.3
_TILE_SHARES = (0.6, 0.4)
"""Sides of the square tiles, as shares of the shorter picture side, that are searched when the whole picture shows no
face: BlazeFace short range misses faces below about a fifth of the picture. A tile below the network's own 128 pixels
would only be enlarged and is not searched."""


@dataclass(frozen=True, eq=False)
class FaceBox:
    """A face in pixels; `keypoints` (6, 2): right eye, left eye, nose tip, mouth, right ear, left ear (subject's)."""

    x: float
    y: float
    width: float
    height: float
    score: float
    keypoints: NDArray[np.float32]


def _anchors(side: int) -> NDArray[np.float32]:
    """Centres (896, 2) in 0..1: two per cell of the 16x16 map, six per cell of the 8x8 map."""
    layers = []
    for stride, per_cell in ((8, 2), (16, 6)):
        cells = side // stride
        centres = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
        layers.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(layers).astype(np.float32)


def _iou(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    top_left = np.maximum(box[:2] - box[2:4] / 2, boxes[:, :2] - boxes[:, 2:4] / 2)
    bottom_right = np.minimum(box[:2] + box[2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2)
    overlap = np.clip(bottom_right - top_left, 0, None).prod(axis=1)
    union = box[2:4].prod() + boxes[:, 2:4].prod(axis=1) - overlap
    return np.asarray(overlap / np.maximum(union, 1e-9))


class FaceDetector:
    """BlazeFace short range. Not safe for use from several threads."""

    def __init__(self, model: LiteRtModel) -> None:
        self._model = model
        self._anchors = _anchors(model.side)

    def detect(self, rgb: NDArray[np.uint8]) -> list[FaceBox]:
        """Faces of the picture (h, w, 3), best first; searches tiles when the whole picture shows none."""
        height, width = rgb.shape[:2]
        found = self._square(rgb, 0, 0, width, height)
        for share in _TILE_SHARES:
            if found:
                break
            side = int(share * min(height, width))
            if side < self._model.side:
                break
            step = max(1, side // 2)
            for y in range(0, height - side + 1, step):
                for x in range(0, width - side + 1, step):
                    found += self._square(rgb[y : y + side, x : x + side], x, y, side, side)
        return _suppress(found)

    def _square(self, rgb: NDArray[np.uint8], left: int, top: int, width: int, height: int) -> list[FaceBox]:
        """Detect in one region, letterboxed to a square; boxes in coordinates of the whole picture."""
        side = self._model.side
        scale = side / max(width, height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(rgb, size, interpolation=method)
        pad_x, pad_y = (side - size[0]) // 2, (side - size[1]) // 2
        image = np.full((side, side, 3), -1.0, np.float32)
        image[pad_y : pad_y + size[1], pad_x : pad_x + size[0]] = small.astype(np.float32) / 127.5 - 1.0
        raw, logits = self._model.run(image)
        scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -80, 80)))
        keep = scores >= MIN_SCORE
        values = raw[0, keep].reshape(-1, 8, 2) / side
        values[:, [0, 2, 3, 4, 5, 6, 7]] += self._anchors[keep][:, None]
        # Back from the letterboxed square to the region, then to the picture.
        values *= side
        values[:, [0, 2, 3, 4, 5, 6, 7]] -= np.array([pad_x, pad_y], np.float32)
        values /= np.array([size[0] / width, size[1] / height], np.float32)
        values[:, [0, 2, 3, 4, 5, 6, 7]] += np.array([left, top], np.float32)
        return [_box(v[0], v[1], v[2:], float(s)) for v, s in zip(values, scores[keep], strict=True)]


def _box(
    centre: NDArray[np.float32], size: NDArray[np.float32], keypoints: NDArray[np.float32], score: float
) -> FaceBox:
    (x, y), (width, height) = centre - size / 2, size
    return FaceBox(float(x), float(y), float(width), float(height), score, keypoints)


def _suppress(found: list[FaceBox]) -> list[FaceBox]:
    """Weighted non-maximum suppression: overlapping detections are averaged by their scores."""
    if not found:
        return []
    rows = np.array([[b.x + b.width / 2, b.y + b.height / 2, b.width, b.height] for b in found], np.float32)
    points = np.stack([b.keypoints for b in found])
    scores = np.array([b.score for b in found], np.float32)
    left, result = np.argsort(-scores, kind="stable"), []
    while len(left):
        best = left[0]
        same = _iou(rows[best], rows[left]) > NMS_IOU
        group, weights = left[same], scores[left[same]]
        box = np.average(rows[group], axis=0, weights=weights)
        result.append(_box(box[:2], box[2:], np.average(points[group], axis=0, weights=weights), float(scores[best])))
        left = left[~same]
    return result


def centrality(x: float, y: float) -> float:
    """1 at the centre of the picture, falling to a seventh in its corners; `x`, `y` in shares of the picture."""
    return float(np.exp(-4 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)))


def choose_face(boxes: list[FaceBox], width: int, height: int) -> FaceBox | None:
    """The face a picture is about: the largest product of score, area and nearness to the centre."""

    def weight(box: FaceBox) -> float:
        near = centrality((box.x + box.width / 2) / width, (box.y + box.height / 2) / height)
        return box.score * box.width * box.height * near

    return max(boxes, key=weight, default=None)


def load_face_detector() -> FaceDetector:
    """The detector of the mediapipe wheel, or its equal from `face_landmarker.task` where only that is here.

    Fetched from the package index when neither is here; raises `TransientError` when that fails.
    """
    from magictalk_core.faces.bundle import BUNDLE, bundle_model

    if find(_WHEEL_MODEL) is None and find(BUNDLE) is not None:
        return FaceDetector(bundle_model("face_detector.tflite"))
    return FaceDetector(LiteRtModel(resolve(_WHEEL_MODEL).read_bytes()))
