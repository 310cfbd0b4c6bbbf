"""Picture metrics that a network judges: LPIPS, landmarks, identity, expression."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.pictures.networks import (
    Judge,
    emotion_fan,
    face_api_expression,
    fer_expression,
    identity,
    landmarks,
    lpips_alex,
    lpips_vgg,
    syncnet,
)
from magictalk_core.evaluation.pictures.values import NO_TRUTH, Made, PictureValue
from magictalk_core.judges.expression import shown_emotion
from magictalk_core.judges.syncnet import SIDE as SYNCNET_SIDE
from magictalk_core.judges.syncnet import syncnet_crops
from magictalk_core.media.decode import read_audio
from magictalk_core.metrics.identity import csim
from magictalk_core.metrics.picture_blinks import blinks_per_minute
from magictalk_core.metrics.picture_landmarks import LANDMARK_DISTANCES, landmark_distance
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["SAME_PERSON", "expressions", "eye_blinks", "identities", "landmark_distances", "perceptual", "synchrony"]

SAME_PERSON = 0.6
"""Distance of two embeddings below which dlib and face-api take both for one person."""
_NO_FACE = "no face is seen in these pictures"


def perceptual(made: Made) -> list[PictureValue]:
    """LPIPS with both trunks, frame by frame."""
    found = []
    for name, judge in (("lpips_alex", lpips_alex()), ("lpips_vgg", lpips_vgg())):
        if judge.network is None:
            found.append(made.missing(name, judge))
            continue
        value = None
        if made.clip.has_truth:
            value = float(judge.use().distance(made.truth, made.crops).mean())
        found.append(made.value(name, value, NO_TRUTH, weights=judge.weights))
    return found


def landmark_distances(made: Made) -> list[PictureValue]:
    """LMD in its four forms. One detector looks at both videos."""
    judge = landmarks()
    if judge.network is None:
        return [made.missing(name, judge) for name in LANDMARK_DISTANCES]
    values: dict[str, float | None] = dict.fromkeys(LANDMARK_DISTANCES)
    if made.clip.has_truth:
        values = landmark_distance(made.clip.points[: len(made.crops)], made.points)
    reason = _NO_FACE if made.clip.has_truth else NO_TRUTH
    return [made.value(name, value, reason, weights=judge.weights) for name, value in values.items()]


def eye_blinks(made: Made) -> list[PictureValue]:
    """Blinks per minute, from the openness of the eyes: their lids' distance over their width."""
    judge = landmarks()
    if judge.network is None:
        return [made.missing("picture_blinks_per_minute", judge)]
    openness = np.nanmean([_openness(made.points[:, eye]) for eye in (slice(36, 42), slice(42, 48))], axis=0)
    rate = blinks_per_minute(openness, FRAME_RATE)
    return [made.value("picture_blinks_per_minute", rate, "eyes seen for less than a second", weights=judge.weights)]


def _openness(eye: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) of six points of an eye (n, 6, 2) in iBUG's order: the eye aspect ratio of Soukupova and Cech."""
    corner, up1, up2, other, low2, low1 = (eye[:, i] for i in range(6))
    lids = np.linalg.norm(up1 - low1, axis=1) + np.linalg.norm(up2 - low2, axis=1)
    return np.asarray(lids / np.maximum(2 * np.linalg.norm(corner - other, axis=1), 1e-9))


def synchrony(made: Made) -> list[PictureValue]:
    """SyncNet's LSE-D, LSE-C and offset, of the crops and frame rate of its own protocol."""
    judge, names = syncnet(), ("lse_d", "lse_c", "lse_offset")
    if judge.network is None:
        return [made.missing(name, judge) for name in names]
    track = made.clip.track.scaled_to(*made.frames.shape[2:0:-1])
    boxes = np.column_stack([track.centres - track.sides[:, None] / 2, track.sides, track.sides])
    values: tuple[float | None, ...] = (None, None, None)
    reason = "the clip has no sound"
    if made.clip.audio is not None:
        crops = syncnet_crops(made.frames, boxes[: len(made.frames)])
        sound = (read_audio(made.clip.audio) * 32767).round().clip(-32768, 32767).astype(np.int16)
        reason = "shorter than 6 frames"
        if min(len(crops), len(sound) // 640) >= 6:
            found = judge.use().score(crops, sound)
            values = (found.distance, found.confidence, float(abs(found.offset)))
    return [
        made.value(name, value, reason, weights=judge.weights, size=SYNCNET_SIDE)
        for name, value in zip(names, values, strict=True)
    ]


def identities(made: Made) -> list[PictureValue]:
    """Whether the person is that of the portrait: cosine of the embeddings, and share of frames taken for the same."""
    judge = identity()
    if judge.network is None:
        return [made.missing(name, judge) for name in ("csim", "same_person")]
    seen = judge.use().embeddings(made.crops[:: made.every], made.points[:: made.every])
    asked = made.clip.identity
    likeness = csim(seen, asked) if np.isfinite(asked).all() else None
    distances = np.linalg.norm(seen - asked, axis=1)
    known = distances[np.isfinite(distances)]
    same = float((known < SAME_PERSON).mean()) if len(known) else None
    return [
        made.value("csim", likeness, _NO_FACE, weights=judge.weights),
        made.value("same_person", same, _NO_FACE, weights=judge.weights),
    ]


def expressions(made: Made) -> list[PictureValue]:
    """Whether each judge reads the emotion of the style from the whole clip: 1 or 0."""
    face_api, fer = face_api_expression(), fer_expression()
    return [
        _fan_expression(made),
        _expression(made, "face_api_emotion_accuracy", face_api, with_points=True),
        _expression(made, "fer_emotion_accuracy", fer, with_points=False),
    ]


def _fan_expression(made: Made) -> PictureValue:
    judge = emotion_fan(made.clip.emotion_fan)

    def shown() -> str | None:
        found: str | None = judge.use().shown(made.crops[:: made.every])
        return found

    return _accuracy(made, "emotion_fan_accuracy", judge, judge.network.learned if judge.network else (), shown)


def _expression(made: Made, name: str, judge: Judge, with_points: bool) -> PictureValue:
    def shown() -> str | None:
        network, frames = judge.use(), made.crops[:: made.every]
        points = (made.points[:: made.every],) if with_points else ()
        return shown_emotion(network.probabilities(frames, *points), network.labels)

    return _accuracy(made, name, judge, judge.network.labels if judge.network else (), shown)


def _accuracy(
    made: Made, name: str, judge: Judge, known: Collection[str], shown: Callable[[], str | None]
) -> PictureValue:
    """1 where the judge, which knows the emotions `known`, is `shown` the wanted one in the whole clip, else 0."""
    if judge.network is None:
        return made.missing(name, judge)
    wanted = made.clip.emotion
    if wanted is None or wanted not in known:
        why = "the clip has no emotion label" if wanted is None else f"the judge knows no {wanted}"
        return made.value(name, None, why, weights=judge.weights)
    found = shown()
    return made.value(name, None if found is None else float(found == wanted), _NO_FACE, weights=judge.weights)
