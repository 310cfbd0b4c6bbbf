"""FID of every method: Inception features of all its pictures against those of all recordings of a corpus.

A distance of sets and of no single clip: its rows in `picture_scores` have the clip id `<corpus>/*`. The features of a
clip lie beside its other rows in the cache. Without Inception's weights each row says what to fetch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.pictures.clip import OF_THE_RECORDING, OF_THE_RIG, PictureClip
from magictalk_core.evaluation.pictures.crops import CROP_SIZE, Frames, crops_of
from magictalk_core.evaluation.pictures.networks import inception
from magictalk_core.evaluation.pictures.render import Renderer
from magictalk_core.judges.inception import FEATURES
from magictalk_core.metrics.catalogue import PICTURE_METRICS
from magictalk_core.metrics.fid import fid
from magictalk_core.storage.atomic import atomic_path

__all__ = ["FID", "ClipFeatures", "fid_rows"]

FID = "fid"
_TRUTH, _MADE = "truth", "made"
_TOO_FEW = "fewer than two frames"

Features = NDArray[np.float32]
Video = tuple[str, str, str]
"""Method, renderer and head pose."""


class ClipFeatures:
    """What Inception sees in the videos of one clip; nothing where its weights are not here."""

    def __init__(self) -> None:
        self._found: dict[str, Features] = {}

    def add(self, video: Video, frames: Frames, clip: PictureClip, every: int) -> None:
        """The frames of a method, and of what they are held against: the crops of `clip`."""
        _, renderer, _ = video
        if inception().network is None:
            self._found["/".join((_MADE, *video))] = np.zeros((0, FEATURES), np.float32)
            return
        frames = frames[: len(clip.frames)]
        boxes = clip.track.scaled_to(*frames.shape[2:0:-1]).boxes()[: len(frames)]
        self._found["/".join((_MADE, *video))] = _features(crops_of(frames[::every], boxes[::every], CROP_SIZE))
        truth = "/".join((_TRUTH, _reference(renderer)))
        if truth not in self._found:
            self._found[truth] = _features(clip.crops[::every])

    def save(self, path: Path) -> None:
        """As a file of arrays (frames, 2048) by `made/<method>/<renderer>/<pose>` and `truth/<renderer>`."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **self._found)  # type: ignore[arg-type]


def _features(crops: Frames) -> Features:
    return np.asarray(inception().use().features(crops), np.float32)


def _reference(renderer: str) -> str:
    """Whose pictures a renderer's are held against: the rig's the rig's, all others the recording's."""
    return str(Renderer.RIG if renderer == Renderer.RIG else Renderer.RECORDED)


def fid_rows(files: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    """PICTURE_SCORES rows of all videos, corpus by corpus, without `split` and `stand_ins`.

    `files`: clip id -> what `ClipFeatures.save` left of it.
    """
    for corpus in sorted({clip.split("/")[0] for clip in files}):
        own = [dict(np.load(file)) for clip, file in sorted(files.items()) if clip.split("/")[0] == corpus]
        for name in sorted({name for arrays in own for name in arrays if name.startswith(f"{_MADE}/")}):
            _, method, renderer, pose = name.split("/")
            video = {"clip_id": f"{corpus}/*", "method": method, "renderer": renderer, "pose": pose}
            there = [arrays for arrays in own if name in arrays]
            truth = f"{_TRUTH}/{_reference(renderer)}"
            shows = OF_THE_RIG if renderer == Renderer.RIG else OF_THE_RECORDING
            yield video | _value(there, truth, name, shows)


def _value(clips: Sequence[Mapping[str, Features]], truth: str, made: str, shows: str) -> dict[str, Any]:
    judge, value, reason = inception(), None, None
    if judge.network is None:
        reason = judge.missing
    else:
        real, seen = (np.concatenate([arrays[name] for arrays in clips]) for name in (truth, made))
        shows = f"{shows}; {len(seen)} frames of {len(clips)} clips"
        value = fid(real, seen) if min(len(real), len(seen)) >= 2 else None
        reason = _TOO_FEW if value is None else None
    named = {"metric": FID, "value": value, "unit": PICTURE_METRICS[FID].unit, "reason": reason}
    return named | {"weights": judge.weights, "crop": shows, "size": CROP_SIZE}
