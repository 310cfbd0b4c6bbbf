"""The three steps of one shard as assets see them: what was written, what to say of it, and what was checked.

Both ways in call these: the partitioned assets, one run per shard, and `<corpus>/shards`, one run for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pandas as pd

from assets.columns import of_shard_table
from assets.metadata import Timer, materialization
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.schema import FRAMES, MEDIA, SPEECH, TableSpec
from magictalk_core.work.isolation import map_isolated
from magictalk_core.work.mapper import TaskMapper
from magictalk_core.workspace import Workspace

__all__ = ["STEPS", "Check", "ShardWork", "StepResult"]


@dataclass(frozen=True)
class Check:
    """A verdict on one shard's table. A `blocking` one that fails stops what comes after."""

    name: str
    passed: bool
    blocking: bool
    description: str
    facts: Mapping[str, Any]

    @property
    def severity(self) -> dg.AssetCheckSeverity:
        return dg.AssetCheckSeverity.ERROR if self.blocking else dg.AssetCheckSeverity.WARN

    def result(self) -> dg.AssetCheckResult:
        """As the asset of the shard returns it."""
        return dg.AssetCheckResult(
            passed=self.passed,
            check_name=self.name,
            severity=self.severity,
            description=self.description,
            metadata=self.facts,
        )

    def evaluation(self, key: dg.AssetKey, shard: str) -> dg.AssetCheckEvaluation:
        """As another asset records it."""
        return dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=self.name,
            passed=self.passed,
            severity=self.severity,
            description=self.description,
            metadata=self.facts,
            blocking=self.blocking,
            partition=shard,
        )


@dataclass(frozen=True)
class StepResult:
    """One written table of one shard."""

    md5: str
    clips: int
    computed: int
    metadata: Mapping[str, Any]
    checks: tuple[Check, ...]

    @property
    def is_sound(self) -> bool:
        return all(check.passed or not check.blocking for check in self.checks)


@dataclass(frozen=True)
class ShardWork:
    """One shard of a corpus, its rows of the index, and how many processes may work on it."""

    workspace: Workspace
    corpus: str
    shard: str
    index: pd.DataFrame
    preset: Preset
    workers: int = 0
    mapper: TaskMapper = map_isolated


def _result(
    work: ShardWork, step: Any, timer: Timer, spec: TableSpec, checks: tuple[Check, ...], **more: Any
) -> StepResult:
    counts = {"clips": step.clips, "clips_computed": step.computed, "clips_rejected": step.rejected}
    columns = of_shard_table(work.corpus, step.path.parent.name)
    about = {"spec": spec, "rows": step.rows, "columns": columns, "in_dvc": True}
    metadata = materialization(step.path, step.md5, timer, **about, **counts, **more)
    return StepResult(step.md5, step.clips, step.computed, metadata, checks)


def media_step(work: ShardWork) -> StepResult:
    from magictalk_core.corpora.registry import load_corpus
    from magictalk_core.preparation.shards import media_shard

    timer = Timer()
    root = load_corpus(work.workspace, work.corpus).root
    how: dict[str, Any] = {"workers": work.workers, "mapper": work.mapper}
    step = media_shard(work.workspace, work.corpus, root, work.shard, work.index, work.preset, **how)
    accepted = step.clips - step.rejected
    facts = {"accepted": accepted, "clips": step.clips}
    check = Check("some_clips_accepted", accepted > 0, False, "at least one clip of the shard is accepted", facts)
    return _result(work, step, timer, MEDIA, (check,))


def blendshapes_step(work: ShardWork) -> StepResult:
    from magictalk_core.preparation.shards import blendshapes_shard

    timer = Timer()
    step = blendshapes_shard(
        work.workspace, work.corpus, work.shard, work.preset, workers=work.workers, mapper=work.mapper
    )
    return _result(work, step, timer, FRAMES, (_frames_match_media(work, "blendshapes", "video_path"),))


def speech_step(work: ShardWork) -> StepResult:
    from magictalk_core.preparation.shards import speech_shard

    timer = Timer()
    step = speech_shard(work.workspace, work.corpus, work.shard, work.preset, workers=work.workers, mapper=work.mapper)
    checks = (_frames_match_media(work, "speech", "audio_path"), _speech_in_range(work), _silence_is_blank(work))
    return _result(work, step, timer, SPEECH, checks, feature_id=work.preset.speech.feature)


STEPS: Mapping[str, Callable[[ShardWork], StepResult]] = {
    "media": media_step,
    "blendshapes": blendshapes_step,
    "speech": speech_step,
}


def _frames_match_media(work: ShardWork, table: str, needs: str) -> Check:
    from magictalk_core.preparation.listing import frame_count_mismatches

    wrong = frame_count_mismatches(work.workspace, work.corpus, work.shard, table, needs)
    about = "every clip of the media table has one row per video frame, within 1"
    return Check("frames_match_media", not wrong, True, about, {"clips": len(wrong), "first": ", ".join(wrong[:5])})


def _speech_in_range(work: ShardWork) -> Check:
    from magictalk_core.preparation.listing import speech_problems_of_shard

    problems = speech_problems_of_shard(work.workspace, work.corpus, work.shard)
    first = "; ".join(f"{clip}: {found[0]}" for clip, found in list(problems.items())[:5])
    about = "finite values in the feature's range, one row per frame, one feature; probabilities sum to 1"
    return Check("values_in_range", not problems, True, about, {"clips": len(problems), "first": first})


def _silence_is_blank(work: ShardWork) -> Check:
    from magictalk_core.preparation.preload import PRELOAD
    from magictalk_core.speech.checks import silence_problems_of

    feature = work.preset.speech.feature
    problems = silence_problems_of(feature, work.workspace.cache("silence"), PRELOAD)
    about = "two seconds of digital silence are heard as CTC's blank, or are even where no letters are heard"
    return Check("silence_is_blank", not problems, False, about, {"feature": feature, "found": "; ".join(problems)})
