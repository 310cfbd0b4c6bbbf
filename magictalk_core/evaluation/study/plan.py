"""Which pairs a study asks for, under which blind names: all of it from one seed."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.study.definition import Study, StudyVideo, Trial
from magictalk_core.storage.hashes import digest_of

__all__ = ["DEGRADED", "StudyClip", "blind_name", "plan_study"]

DEGRADED = "degraded"
"""Stands for the method of a video that an attention check spoils."""


@dataclass(frozen=True)
class StudyClip:
    """A clip of the study: its emotion, and the methods that have a video of it."""

    clip_id: str
    emotion: str | None
    methods: tuple[str, ...]


def blind_name(seed: int, method: str, clip_id: str) -> str:
    """The name under which a video is shown: the same for the same seed, and no hint of what it is."""
    return hashlib.sha256(f"{seed}|{method}|{clip_id}".encode()).hexdigest()[:12]


def plan_study(clips: Sequence[StudyClip], seed: int, pairs_each: int, checks: int) -> Study:
    """Every pair of methods of every clip once, in an order and on sides drawn by `seed`, and attention checks.

    `pairs_each`: how many of the pairs one person sees, 0: all; the page draws which. Checks take turns: a pair in
    which one video stands still in large blocks, and a pair with the answer prescribed. Raises `PermanentError` where
    no clip has videos of two methods.
    """
    random = np.random.default_rng(seed)
    videos: dict[str, StudyVideo] = {}

    def named(method: str, clip: StudyClip) -> str:
        code = blind_name(seed, method, clip.clip_id)
        videos[code] = StudyVideo(method=method, clip_id=clip.clip_id)
        return code

    pairs = [(clip, pair) for clip in clips for pair in itertools.combinations(sorted(clip.methods), 2)]
    if not pairs:
        raise PermanentError("no clip has videos of two methods: configure other systems (`magictalk compare add`)")
    trials = []
    for clip, methods in pairs:
        a, b = (named(methods[i], clip) for i in random.permutation(2))
        trials.append(_trial(clip, a, b))
    for number in range(1, checks + 1):
        clip, methods = pairs[int(random.integers(len(pairs)))]
        codes = [named(methods[0], clip), named(DEGRADED if number % 2 else methods[1], clip)]
        a, b = (codes[i] for i in random.permutation(2))
        check = _trial(clip, a, b)
        kind = {"kind": DEGRADED, "expected": codes[0]} if number % 2 else {
            "kind": "instructed", "expected": ("left", "right")[int(random.integers(2))]
        }  # fmt: skip
        trials.append(check.model_copy(update=kind))
    # What is a check must not show in its name or place.
    trials = [
        trials[at].model_copy(update={"id": f"t{i:03d}"}) for i, at in enumerate(random.permutation(len(trials)), 1)
    ]
    identity = _identity(videos, trials)
    return Study(
        id=identity,
        seed=seed,
        pairs_each=min(pairs_each, len(pairs)) or len(pairs),
        videos=videos,
        trials=tuple(trials),
    )


def _trial(clip: StudyClip, a: str, b: str) -> Trial:
    reference = f"references/{hashlib.sha256(clip.clip_id.encode()).hexdigest()[:12]}.jpg"
    return Trial(id="", clip_id=clip.clip_id, emotion=clip.emotion, reference=reference, a=a, b=b)


def _identity(videos: Mapping[str, StudyVideo], trials: Sequence[Trial]) -> str:
    """The same study asked again has the same id: what was returned still counts."""
    shown = {code: video.model_dump() for code, video in sorted(videos.items())}
    return digest_of({"videos": shown, "trials": [trial.model_dump() for trial in trials]})[:16]
