"""Build `magictalk_core/sample_corpus/astronaut.npz`: what the sample corpus knows about `skimage.data.astronaut()`.

`landmarks` (468, 3) by the project's tracker; `person` and `hair` (330, 512) mattes of 0..255 for the upper part of the
picture, by GrabCut from hand-placed seeds. The picture itself is NASA's, in the public domain.

    python scripts/dev/build_sample_portrait.py [preview.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from magictalk_core.faces.landmarks import portrait_landmarks
from magictalk_core.faces.mesh import FACE_OVAL

OUT = Path(__file__).parents[2] / "magictalk_core" / "sample_corpus" / "astronaut.npz"
ROWS = 330
S = 2
"""Segmentation runs at twice the size, so that the mattes have soft borders."""

PERHAPS, SURE, NOT = int(cv2.GC_PR_FGD), int(cv2.GC_FGD), int(cv2.GC_BGD)


def _at(*values: float) -> tuple[int, ...]:
    return tuple(round(S * v) for v in values)


def _grab(picture: NDArray[np.uint8], seeds: NDArray[np.uint8]) -> NDArray[np.uint8]:
    cv2.setRNGSeed(0)
    cv2.grabCut(picture, seeds, None, np.zeros((1, 65)), np.zeros((1, 65)), 8, cv2.GC_INIT_WITH_MASK)
    return np.where((seeds == SURE) | (seeds == PERHAPS), 255, 0).astype(np.uint8)


def _soft(mask: NDArray[np.uint8], blur: float) -> NDArray[np.uint8]:
    return cv2.resize(cv2.GaussianBlur(mask, (0, 0), blur), None, fx=1 / S, fy=1 / S, interpolation=cv2.INTER_AREA)


def _person(picture: NDArray[np.uint8], oval: NDArray[np.int32]) -> NDArray[np.uint8]:
    seeds = np.full(picture.shape[:2], NOT, np.uint8)
    shoulders = np.array([(10, 300), (60, 235), (115, 215), (211, 240), (305, 230), (358, 270), (385, 330), (10, 330)])
    inner = np.array([(20, 300), (70, 245), (115, 230), (211, 260), (300, 245), (350, 275), (375, 330), (20, 330)])
    cv2.ellipse(seeds, _at(226, 105), _at(92, 97), 0, 0, 360, PERHAPS, -1)
    cv2.ellipse(seeds, (_at(211, 224), _at(228, 154), 35), PERHAPS, -1)
    cv2.fillPoly(seeds, [shoulders * S], PERHAPS)
    cv2.ellipse(seeds, (_at(211, 224), _at(196, 122), 35), SURE, -1)
    cv2.fillPoly(seeds, [inner * S], SURE)
    cv2.fillPoly(seeds, [oval], SURE)
    cv2.rectangle(seeds, _at(190, 170), _at(255, 215), SURE, -1)
    for spot, size in (((263, 171), (5, 5)), ((181, 26), (9, 8))):
        cv2.ellipse(seeds, _at(*spot), _at(*size), 0, 0, 360, NOT, -1)
    mask = _grab(picture, seeds)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    mask = np.where(labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA]), 255, 0).astype(np.uint8)
    # One pixel less, so that no rim of the old background comes along.
    return _soft(cv2.erode(mask, np.ones((3, 3), np.uint8)), 1.6)


def _hair(picture: NDArray[np.uint8], person: NDArray[np.uint8], oval: NDArray[np.int32]) -> NDArray[np.uint8]:
    seeds = np.full(picture.shape[:2], NOT, np.uint8)
    head = np.zeros_like(seeds)
    cv2.ellipse(head, _at(226, 80), _at(84, 76), 0, 0, 360, 1, -1)
    inside = cv2.resize(person, None, fx=S, fy=S) > 128
    seeds[(head == 1) & inside] = PERHAPS
    cv2.ellipse(seeds, _at(230, 38), _at(36, 14), 0, 0, 360, SURE, -1)
    cv2.ellipse(seeds, _at(166, 88), _at(8, 26), 0, 0, 360, SURE, -1)
    cv2.ellipse(seeds, _at(287, 92), _at(10, 26), 0, 0, 360, SURE, -1)
    face = oval.reshape(-1, 2)
    low = face[face[:, 1] > 92 * S]
    cv2.fillPoly(seeds, [low], NOT)
    for spot, size in (((177, 124), (5, 9)), ((272, 130), (5, 9)), ((217, 93), (30, 7)), ((193, 86), (6, 5))):
        cv2.ellipse(seeds, _at(*spot), _at(*size), 0, 0, 360, NOT, -1)
    return np.minimum(_soft(_grab(picture, seeds), 2.5), person)


def main() -> None:
    rgb = skimage.data.astronaut()
    landmarks = portrait_landmarks(rgb)
    assert landmarks is not None
    big = cv2.resize(rgb[:ROWS, :, ::-1], None, fx=S, fy=S, interpolation=cv2.INTER_CUBIC)
    oval = np.round(landmarks[list(FACE_OVAL), :2] * S).astype(np.int32)
    person = _person(big, oval)
    hair = _hair(big, person, oval)
    np.savez_compressed(OUT, landmarks=landmarks.astype(np.float32), person=person, hair=hair)
    print(OUT.stat().st_size, "bytes")
    if len(sys.argv) > 1:
        blue = np.array([180, 60, 40])
        small = rgb[:ROWS, :, ::-1].astype(float)
        views = [small * (m[..., None] / 255.0) + blue * (1 - m[..., None] / 255.0) for m in (person, hair)]
        cv2.imwrite(sys.argv[1], cv2.resize(np.hstack(views)[:230], None, fx=1.5, fy=1.5).astype(np.uint8))


if __name__ == "__main__":
    main()
