"""Face detection with BlazeFace (short range) on LiteRT, as MediaPipe runs it: anchors, letterbox, weighted NMS."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.bundle_file import BUNDLE, bundle_member
from magictalk_core.faces.face_box import FaceBox
from magictalk_core.faces.litert import LiteRtModel
from magictalk_core.weights.resolver import find, resolve

__all__ = ["FaceDetector", "load_face_detector"]

_WHEEL_MODEL = "face_detection_short_range.tflite"

_MIN_LOGIT = 0.0
"""A score of 0.5, MediaPipe's own threshold."""

NMS_IOU = 0.3
_SURE = 0.7
"""Score of a face that ends the search. Cloth and hands score up to 0.68 in a whole picture whose face is too small to
be seen there, faces of ../shared/samples at least 0.75."""
_TILE_SHARES = (0.6, 0.4)
"""Sides of the square tiles, as shares of the shorter picture side, that are searched when the whole picture shows no
sure face: BlazeFace short range misses faces below about a fifth of the picture. A tile below the network's own 128
pixels would only be enlarged and is not searched."""


_CLOSER_LOOKS, _CLOSER_SCALE = 3, 2.0
"""How many unsure faces of the whole picture are looked at again, and in how many times their side."""

_PLACES = [0, 2, 3, 4, 5, 6, 7]
"""Of the eight pairs that the network gives for a face, those that are places: the centre and six points. The other
one is its size."""

Candidates = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Overlapping detections: (n, 8, 2) centre, size and six points in pixels, and their scores (n,)."""


def _is_sure(candidates: Candidates) -> bool:
    return bool((candidates[1] >= _SURE).any())


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
    """BlazeFace short range. Not safe for use from several threads.

    `as_mediapipe` samples the picture exactly as MediaPipe does, at single points and without a search of tiles, for
    results equal to its own. Otherwise large pictures are averaged down and small faces are searched for in tiles.
    """

    def __init__(self, model: LiteRtModel, as_mediapipe: bool = False) -> None:
        self._model = model
        self._anchors = _anchors(model.side)
        self._as_mediapipe = as_mediapipe

    def detect(self, rgb: NDArray[np.uint8]) -> list[FaceBox]:
        """Faces of the picture (h, w, 3 or more, of which three are read), best first."""
        whole = self._candidates(rgb, 0, 0)
        if self._as_mediapipe or _is_sure(whole):
            return _suppress(*whole)
        found = [whole]
        for look in (self._closer, self._tiles):
            for candidates in look(rgb, whole):
                found.append(candidates)
            if any(map(_is_sure, found)):
                break
        boxes = _suppress(np.concatenate([v for v, _ in found]), np.concatenate([s for _, s in found]))
        # What the closer look leaves unsure, beside a sure face, is none.
        least = _SURE if boxes and boxes[0].score >= _SURE else 0.0
        return [box for box in boxes if box.score >= least]

    def _closer(self, rgb: NDArray[np.uint8], whole: Candidates) -> Iterator[Candidates]:
        """Around what may be faces in the whole picture: a face is surer there, cloth and hands are not."""
        for box in _suppress(*whole)[:_CLOSER_LOOKS]:
            side = round(_CLOSER_SCALE * max(box.width, box.height))
            x = max(0, round(box.x + (box.width - side) / 2))
            y = max(0, round(box.y + (box.height - side) / 2))
            part = rgb[y : y + side, x : x + side]
            if min(part.shape[:2]) > 1:
                yield self._candidates(part, x, y)

    def _tiles(self, rgb: NDArray[np.uint8], _: Candidates) -> Iterator[Candidates]:
        """In ever smaller squares, until one size of them shows a sure face."""
        height, width = rgb.shape[:2]
        for share in _TILE_SHARES:
            side = int(share * min(height, width))
            if side < self._model.side:
                return
            step, sure = max(1, side // 2), False
            for y in range(0, height - side + 1, step):
                for x in range(0, width - side + 1, step):
                    candidates = self._candidates(rgb[y : y + side, x : x + side], x, y)
                    sure = sure or _is_sure(candidates)
                    yield candidates
            if sure:
                return

    def _candidates(self, rgb: NDArray[np.uint8], left: int, top: int) -> Candidates:
        """Detect in one region of the picture; coordinates of the whole."""
        side = self._model.side
        square, scale, offset = (_sampled if self._as_mediapipe else _averaged)(rgb, side)
        raw, logits = self._model.run_picture(square[:, :, :3], 1 / 127.5, -1.0)
        keep = np.flatnonzero(logits[0, :, 0] >= _MIN_LOGIT)
        scores = 1 / (1 + np.exp(-np.minimum(logits[0, keep, 0], 80)))
        values = raw[0, keep].reshape(-1, 8, 2)
        values[:, _PLACES] += self._anchors[keep][:, None] * side
        # Back from the network's square to the region, then to the picture.
        values *= scale
        values[:, _PLACES] += offset + np.array([left, top], np.float32)
        return values, scores


Fitted = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]


def _averaged(rgb: NDArray[np.uint8], side: int) -> Fitted:
    """The picture shrunk into a square by area averaging, black around it, and the way back (scale, offset)."""
    height, width = rgb.shape[:2]
    scale = side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(rgb, size, interpolation=method)
    pad_x, pad_y = (side - size[0]) // 2, (side - size[1]) // 2
    square = np.zeros((side, side, small.shape[2]), np.uint8)
    square[pad_y : pad_y + size[1], pad_x : pad_x + size[0]] = small
    back = np.array([width / size[0], height / size[1]], np.float32)
    return square, back, -np.array([pad_x, pad_y], np.float32) * back


def _sampled(rgb: NDArray[np.uint8], side: int) -> Fitted:
    """The same as MediaPipe fits it: bilinear samples, corner on corner, black where the square has no picture."""
    height, width = rgb.shape[:2]
    scale = max(width, height) / side
    offset = np.array([(width - side * scale) / 2, (height - side * scale) / 2], np.float32)
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    square = cv2.warpAffine(rgb, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(square, np.uint8), np.array([scale, scale], np.float32), offset


def _suppress(values: NDArray[np.float32], scores: NDArray[np.float32]) -> list[FaceBox]:
    """Weighted non-maximum suppression: overlapping detections are averaged by their scores."""
    boxes = values[:, :2].reshape(-1, 4)
    left, result = np.argsort(-scores, kind="stable"), []
    while len(left):
        same = _iou(boxes[left[0]], boxes[left]) > NMS_IOU
        group, weights = left[same], scores[left[same]]
        (x, y), (width, height), *points = np.tensordot(weights, values[group], 1) / weights.sum()
        box = (float(x - width / 2), float(y - height / 2), float(width), float(height))
        result.append(FaceBox(*box, float(scores[left[0]]), np.array(points)))
        left = left[~same]
    return result


def load_face_detector() -> FaceDetector:
    """The detector of the mediapipe wheel, or its equal from `face_landmarker.task` where only that is here.

    Fetched from the package index when neither is here; raises `TransientError` when that fails.
    """
    if find(_WHEEL_MODEL) is None and find(BUNDLE) is not None:
        return FaceDetector(LiteRtModel(bundle_member("face_detector.tflite")))
    return FaceDetector(LiteRtModel(resolve(_WHEEL_MODEL).read_bytes()))
