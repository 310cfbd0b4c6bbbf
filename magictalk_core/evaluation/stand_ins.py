"""Parts of ours in place of the field's, and which of them a number was computed with.

Tables say it in a column `stand_ins`, in one shape everywhere: `tracker=litert-geometric/3; speech=deepspeech-small-1`,
or `none`. The report and the console read that column, so that no number is shown without its stand-ins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from magictalk_core.evaluation.baselines import LOUDNESS, MEAN_MOTION, STYLE_MEAN, STYLE_REPLAY
from magictalk_core.evaluation.table import CHANCE, GROUND_TRUTH, TRUE_CURVES
from magictalk_core.preparation.reader import CorpusReader, usable_clips
from magictalk_core.storage.parquet import read_table
from magictalk_core.storage.schema import FRAMES
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.stand_ins import PORTRAIT, StandIn
from magictalk_core.work.manifest import read_manifest
from magictalk_core.workspace import Workspace

__all__ = [
    "EMOTION_FAN",
    "NONE",
    "PORTRAIT",
    "PartsUsed",
    "StandIn",
    "described",
    "named_stand_ins",
    "stand_ins_of",
    "stand_ins_text",
    "trackers_of",
]

NONE = "none"
"""What a table says of a number that no stand-in took part in."""


@dataclass(frozen=True)
class PartsUsed:
    """What ran before the models and their scores: ids of trackers, of the speech features, name of the rig if any."""

    trackers: tuple[str, ...]
    feature_id: str
    rig: str | None = None

    @classmethod
    def of(cls, workspace: Workspace, corpora: Sequence[str], rig: str | None = None) -> PartsUsed:
        """From the rows that were used: those of packed clips and of test clips, whatever a preset would mean now."""
        data = TrainingSet.open(workspace.training_set)
        trackers: set[str] = set()
        for corpus in corpora:
            test = usable_clips(CorpusReader(workspace, corpus), Split.TEST)["clip_id"]
            trackers.update(trackers_of(workspace, corpus, {*data.index["clip_id"], *test}))
        return cls(tuple(sorted(trackers)), str(data.info["feature_id"]), rig)


def trackers_of(workspace: Workspace, corpus: str, clips: Iterable[str]) -> tuple[str, ...]:
    """Ids of the trackers in the frames of these clips, sorted."""
    wanted, found = pa.array(sorted(clips), pa.string()), set()
    for name, _ in read_manifest(workspace.manifest(corpus)).entries:
        if name.startswith("blendshapes/"):
            rows = read_table(FRAMES, workspace.dataset(corpus) / name, columns=["clip_id", "tracker"])
            found.update(rows.filter(pc.is_in(rows["clip_id"], wanted))["tracker"].unique().to_pylist())
    return tuple(sorted(found))


_REFERENCE_TRACKERS = ("mediapipe", "litert-blendshapes")
"""Kinds that run the networks of `face_landmarker.task`."""

_SPEECH_EFFECTS = {
    "logmel-29-1": "knows no letters; less invariant to the voice",
    "deepspeech-small-1": "the same network, small, trained on synthetic voices: hears real ones less surely",
    "whisper-tiny-en-l2": "Whisper's first two layers: hears real voices more surely, but is no DeepSpeech",
}
"""Features that are no published DeepSpeech."""

_SYNC = StandIn(
    "sync",
    "sync_expert",
    "SyncNet (LSE-D, LSE-C)",
    "judges coefficients, not pixels, and was trained on this training set: not comparable with any LSE",
)
_JUDGES = StandIn(
    "sync",
    "sync_expert_judges",
    "SyncNet (LSE-D, LSE-C)",
    "three experts that lip refinement never saw, trained on this training set: not comparable with any LSE",
)
_EMOTION = StandIn(
    "emotion",
    "motion_emotion",
    "Emotion-FAN",
    "judges coefficients, not pictures, and was trained on this training set",
)
EMOTION_FAN = StandIn(
    "emotion",
    "emotion_fan",
    "Emotion-FAN of EAT's authors",
    "the same network, trained on this training set's speakers: another judge than the paper's",
)
"""Behind what the project's own Emotion-FAN reads from pictures."""


_ORDER = ("tracker", "speech", "sync", "rig", "portrait", "emotion")

_ON_THE_RIG = ("lmd_rig", "bilabial", "labiodental", "seen_closure")
_OF_EMOTION = ("style_accuracy", "style_dynamics_accuracy")

_WITHOUT_FEATURES = frozenset((GROUND_TRUTH, CHANCE, TRUE_CURVES, MEAN_MOTION, STYLE_MEAN, STYLE_REPLAY, LOUDNESS))
"""Methods that no speech feature took part in; `loudness` hears the sound itself."""


def _tracker(tracker: str) -> StandIn | None:
    if tracker.split("/")[0] in _REFERENCE_TRACKERS:
        return None
    effect = "coefficients from 468 landmarks; gaze, nose and cheeks are not seen"
    return StandIn("tracker", tracker, "MediaPipe Face Landmarker", effect if "geometric" in tracker else "")


def _speech(feature_id: str) -> StandIn | None:
    effect = _SPEECH_EFFECTS.get(feature_id)
    return None if effect is None else StandIn("speech", feature_id, "DeepSpeech 0.9.3", effect)


def _rig(name: str | None) -> StandIn | None:
    if name is None or not name.startswith("magictalk-builtin"):
        return None
    return StandIn("rig", name, "the paper's ARKit avatar", "distances are measured on this rig")


def stand_ins_of(parts: PartsUsed, method: str, metric: str) -> tuple[StandIn, ...]:
    """The stand-ins behind the number `metric` of `method`.

    Every number stands on tracked motion, as its truth or as what was learned. Speech features are behind every method
    that hears them, the sync experts behind what they judge and behind their own rows, the rig behind distances on its
    vertices and between its lips.
    """
    by_judges = metric.startswith("sync_judge")
    by_expert = metric.startswith(_SYNC.used) or method.endswith(_SYNC.used)
    found = [_tracker(tracker) for tracker in parts.trackers]
    if by_expert or by_judges or method not in _WITHOUT_FEATURES:
        found.append(_speech(parts.feature_id))
    found.append(_SYNC if by_expert else _JUDGES if by_judges else None)
    found.append(_rig(parts.rig) if metric.startswith(_ON_THE_RIG) else None)
    found.append(_EMOTION if metric in _OF_EMOTION else None)
    return tuple(stand_in for stand_in in found if stand_in is not None)


def stand_ins_text(parts: PartsUsed, method: str, metric: str) -> str:
    """`stand_ins_of` as the column `stand_ins` holds it."""
    return "; ".join(map(str, stand_ins_of(parts, method, metric))) or NONE


def named_stand_ins(rows: Iterable[Mapping[Any, Any]]) -> tuple[str, ...]:
    """What the column `stand_ins` of the rows of a table names, each once."""
    return tuple(sorted({one for row in rows if row["stand_ins"] != NONE for one in row["stand_ins"].split("; ")}))


def described(texts: Iterable[str]) -> tuple[StandIn, ...]:
    """The stand-ins that cells of a column `stand_ins` name, each once, in the order of their parts."""
    named = {one for text in texts if text != NONE for one in text.split("; ")}
    known: list[StandIn | None] = [_SYNC, _JUDGES, _EMOTION, EMOTION_FAN, PORTRAIT]
    for part, describe in (("tracker", _tracker), ("speech", _speech), ("rig", _rig)):
        known += [describe(one.removeprefix(f"{part}=")) for one in sorted(named) if one.startswith(f"{part}=")]
    found = [stand_in for stand_in in known if stand_in is not None and str(stand_in) in named]
    return tuple(sorted(found, key=lambda stand_in: _ORDER.index(stand_in.part)))
