"""The data funnel: how many clips and minutes were found, readable, with sound, with a face, and learned from."""

from __future__ import annotations

import pandas as pd

from magictalk_core.errors import PermanentError
from magictalk_core.report.model import CorpusFunnel, Funnel, FunnelStage, Rejection
from magictalk_core.report.training_use import UNUSED_MEANING, TrainingUse
from magictalk_core.vocabulary.clips import Reason, Split, Status

__all__ = ["IN_TRAINING_SPLIT", "REASON_MEANING", "STAGES", "USED_FOR_TRAINING", "funnel"]

STAGES: tuple[str, ...] = ("found", "readable", "with audio", "with face", "usable")
"""Stages in the order in which a clip passes them."""

IN_TRAINING_SPLIT, USED_FOR_TRAINING = "in the training split", "used for training"
"""The last stage: before a training set is packed, and after."""

_LOST_BEFORE: dict[Reason, int] = {
    Reason.MISSING: 1,
    Reason.UNREADABLE: 1,
    Reason.OUT_OF_CHUNK: 1,
    Reason.LENGTH_MISMATCH: 2,
    Reason.SEVERAL_FACES: 3,
    Reason.FACE_TOO_SMALL: 3,
    Reason.BLURRED: 3,
    Reason.EXTREME_POSE: 3,
    Reason.SCENE_CUT: 3,
    Reason.SEVERAL_SPEAKERS: 3,
    Reason.OCCLUDED: 3,
    Reason.TRUNCATED_FACE: 3,
    Reason.FROZEN: 3,
    Reason.DUPLICATE: 4,
    Reason.SPEAKER_MISMATCH: 4,
    Reason.TRUNCATED: 1,
    Reason.NO_VIDEO: 1,
    Reason.NO_AUDIO: 2,
    Reason.SILENT: 2,
    Reason.NO_FACE: 3,
    Reason.TRACKING_FAILED: 3,
    Reason.SPEECH_FAILED: 2,
    Reason.TOO_SHORT: 4,
    Reason.TOO_LONG: 4,
    Reason.WITHDRAWN: 4,
}

REASON_MEANING: dict[Reason, str] = {
    Reason.UNREADABLE: "the file cannot be decoded",
    Reason.TRUNCATED: "the file ends before its own header says",
    Reason.NO_VIDEO: "there is no picture in the file",
    Reason.NO_AUDIO: "there is no sound in the file",
    Reason.SILENT: "there is a sound track, but nothing to hear",
    Reason.NO_FACE: "too few frames show a face",
    Reason.TRACKING_FAILED: "the face tracker crashed on it, tried again at every run",
    Reason.SPEECH_FAILED: "the speech features crashed on it, tried again at every run",
    Reason.TOO_SHORT: "shorter than the preset allows",
    Reason.TOO_LONG: "longer than the preset allows",
    Reason.WITHDRAWN: "taken back by the person or the owner",
    Reason.MISSING: "listed by the corpus, but not on this disk",
    Reason.OUT_OF_CHUNK: "the listed cut or window lies outside of its file",
    Reason.LENGTH_MISMATCH: "sound and picture differ in length",
    Reason.SCENE_CUT: "a cut or a fade to another picture",
    Reason.SEVERAL_SPEAKERS: "the face of somebody else takes turns with the speaker's",
    Reason.OCCLUDED: "something covers the mouth or the face",
    Reason.TRUNCATED_FACE: "the face reaches over the edge of the picture",
    Reason.SEVERAL_FACES: "another face shares the crop",
    Reason.FACE_TOO_SMALL: "the face has too few pixels",
    Reason.BLURRED: "the face is out of focus or over-compressed",
    Reason.EXTREME_POSE: "the head is turned too far away",
    Reason.FROZEN: "the picture stands still",
    Reason.DUPLICATE: "the same recording as another clip",
    Reason.SPEAKER_MISMATCH: "the voice is not the speaker's",
}


def _minutes(durations: pd.Series) -> float:
    return float(durations.sum()) / 60.0


def _lost_before(status: str, reason: str | None, clip_id: str) -> int:
    """The first stage that a clip does not reach; `len(STAGES)` for a usable clip."""
    if status == Status.OK:
        return len(STAGES)
    try:
        found = Reason.WITHDRAWN if status == Status.WITHDRAWN else Reason(str(reason))
    except ValueError as error:
        known = ", ".join(Reason)
        raise PermanentError(
            f"clip {clip_id}: status {status} with reason {reason!r}; expected one of {known}"
        ) from error
    return _LOST_BEFORE[found]


def _stage(name: str, clips: pd.DataFrame) -> FunnelStage:
    return FunnelStage(name, len(clips), _minutes(clips["seconds"]), int(clips["seconds"].isna().sum()))


def _rejections(clips: pd.DataFrame) -> tuple[Rejection, ...]:
    lost = clips[clips["status"] != Status.OK]
    reasons = lost["reason"].where(lost["status"] != Status.WITHDRAWN, Reason.WITHDRAWN.value)
    rows = []
    for reason in Reason:
        group = lost[reasons == reason.value]
        if len(group):
            minutes = None if group["seconds"].isna().all() else _minutes(group["seconds"])
            rows.append(Rejection(reason.value, len(group), minutes, REASON_MEANING[reason]))
    return tuple(sorted(rows, key=lambda r: (-r.clips, r.reason)))


def _used(train: pd.DataFrame, use: TrainingUse | None) -> FunnelStage:
    if use is None:
        return _stage(IN_TRAINING_SPLIT, train)
    seconds = [use.seconds[clip] for clip in train["clip_id"] if clip in use.seconds]
    return FunnelStage(USED_FOR_TRAINING, len(seconds), sum(seconds) / 60.0)


def _unused(train: pd.DataFrame, use: TrainingUse | None) -> tuple[Rejection, ...]:
    reasons = train["clip_id"].map(dict(use.unused) if use else {})
    return tuple(
        Rejection(reason, int((reasons == reason).sum()), _minutes(train["seconds"][reasons == reason]), meaning)
        for reason, meaning in UNUSED_MEANING.items()
        if (reasons == reason).any()
    )


def _corpus(name: str, clips: pd.DataFrame, use: TrainingUse | None) -> CorpusFunnel:
    stages = [_stage(stage, clips[clips["lost_before"] > i]) for i, stage in enumerate(STAGES)]
    usable = clips[clips["status"] == Status.OK]
    train = usable[usable["split"] == Split.TRAIN]
    held_out = tuple(_stage(split.value, usable[usable["split"] == split]) for split in (Split.VAL, Split.TEST))
    return CorpusFunnel(name, (*stages, _used(train, use)), _rejections(clips), held_out, _unused(train, use))


def funnel(clips: pd.DataFrame, use: TrainingUse | None = None) -> Funnel:
    """The funnel of one or more corpora from rows of the CLIPS table (only its own columns are read).

    The last stage is what `use` says was learned from; without a training set it is the training split.

    The length of a clip is `duration_s`, else the cut that its corpus lists; clips without either count as clips and as
    `unknown_length`. Raises `PermanentError` for a status or reason that the contract does not know.
    """
    frame = clips[["clip_id", "corpus", "split", "status", "reason"]].astype(object)
    cut = clips["end_s"].astype("float64") - clips["start_s"].astype("float64")
    frame = frame.assign(seconds=clips["duration_s"].astype("float64").fillna(cut))
    triples = zip(frame["status"], frame["reason"], frame["clip_id"], strict=True)
    frame = frame.assign(lost_before=[_lost_before(*triple) for triple in triples])
    return Funnel(tuple(_corpus(str(name), group, use) for name, group in frame.groupby("corpus", sort=True)))
