"""Aligned crops: one face track per clip, taken from the recording, and the same box for every method.

Crops are cut in memory from the frames that are judged; nothing is encoded in between. The box of a frame is a square
around the detected face, its centre and side smoothed over the clip by a running median, so that a detector's jitter
moves no crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from magictalk_core.errors import PermanentError
from magictalk_core.faces.detection import FaceDetector
from magictalk_core.faces.face_box import FaceBox, choose_face
from magictalk_core.media.crop import CropBox, apply_crop

__all__ = ["CROP_SIZE", "MARGIN", "FaceTrack", "Frames", "NoFace", "crops_of", "shrunk", "track_face", "whole_frames"]


class NoFace(PermanentError):
    """No frame of a clip shows a face that could be cut out or animated."""


Frames = NDArray[np.uint8]
"""(n, h, w, 3) RGB."""

CROP_SIZE = 256
MARGIN = 1.7
"""Side of the crop over the longer side of the detected face: head and chin with some ground around them, as the crops
of VoxCeleb that face-vid2vid and its followers are trained on."""
_MEDIAN = 13
"""Frames of the running median: SyncNet's pipeline for real videos."""


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """Smoothed centre (n, 2) and side (n,) of the face in pixels of frames `width` x `height`; `found` is the share of
    frames in which it was detected, the others are filled from their neighbours."""

    centres: NDArray[np.float64]
    sides: NDArray[np.float64]
    width: int
    height: int
    found: float

    def boxes(self, margin: float = MARGIN) -> list[CropBox]:
        """A square per frame, `margin` times the face."""
        sizes = np.maximum(2, np.round(self.sides * margin)).astype(int)
        corners = np.round(self.centres - sizes[:, None] / 2).astype(int)
        return [CropBox(int(x), int(y), int(s)) for (x, y), s in zip(corners, sizes, strict=True)]

    def scaled_to(self, width: int, height: int) -> FaceTrack:
        """The same track in frames of another size that show the same picture."""
        scale = np.array([width / self.width, height / self.height])
        return FaceTrack(self.centres * scale, self.sides * scale.mean(), width, height, self.found)


def track_face(frames: Frames, detector: FaceDetector) -> FaceTrack:
    """The track of the face that the frames are about. Raises `NoFace` where no frame shows one."""
    height, width = frames.shape[1:3]
    seen = [choose_face(detector.detect(frame), width, height) for frame in frames]
    known = [i for i, box in enumerate(seen) if box is not None]
    if not known:
        raise NoFace(f"no face in any of {len(frames)} frames")
    values = np.array([_centre_and_side(box) for box in seen if box is not None])
    filled = np.column_stack([np.interp(np.arange(len(frames)), known, column) for column in values.T])
    smooth = np.column_stack([median_filter(column, _MEDIAN, mode="nearest") for column in filled.T])
    return FaceTrack(smooth[:, :2], smooth[:, 2], width, height, len(known) / len(frames))


def whole_frames(frames: Frames) -> FaceTrack:
    """A track whose boxes are the whole of square frames: of pictures that are framed already."""
    n, height, width = frames.shape[:3]
    return FaceTrack(np.full((n, 2), width / 2), np.full(n, width / MARGIN), width, height, 1.0)


def _centre_and_side(box: FaceBox) -> tuple[float, float, float]:
    return box.x + box.width / 2, box.y + box.height / 2, max(box.width, box.height)


def crops_of(frames: Frames, boxes: Sequence[CropBox], size: int | None = CROP_SIZE) -> Frames:
    """(n, size, size, 3) of frames and their boxes; edges are repeated where a box leaves the picture.

    Without `size` nothing is scaled: all crops have the side of the median box. Raises `PermanentError` where there are
    fewer boxes than frames.
    """
    if len(boxes) < len(frames):
        raise PermanentError(f"{len(frames)} frames, but a face track of {len(boxes)}")
    if size is not None:
        return np.stack([apply_crop(f, box, size) for f, box in zip(frames, boxes, strict=False)])
    side = int(np.median([box.size for box in boxes]))
    moved = [CropBox(b.x + (b.size - side) // 2, b.y + (b.size - side) // 2, side) for b in boxes]
    return np.stack([apply_crop(f, box, side) for f, box in zip(frames, moved, strict=False)])


def shrunk(frame: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A square frame at `size` pixels, at most its own side; averaged, never enlarged."""
    return apply_crop(frame, CropBox(0, 0, frame.shape[1]), size)
