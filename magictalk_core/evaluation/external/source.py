"""Where the videos of one system come from: its own code, run here, or a folder of finished ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from magictalk_core.config import ExternalConfig
from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.external.clips import TestClip
from magictalk_core.evaluation.external.delivery import Delivered, Refused, Wanted, deliver
from magictalk_core.evaluation.external.finished import Match, match_videos
from magictalk_core.evaluation.external.folder import Given
from magictalk_core.evaluation.external.readiness import Build, build_of, lacking
from magictalk_core.evaluation.external.run_clip import commands, run_clip
from magictalk_core.evaluation.external.system import ExternalSystem
from magictalk_core.evaluation.external.systems import system_named
from magictalk_core.portrait.provenance import sign_video
from magictalk_core.portrait.signing import must_be_able_to_sign
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.vocabulary.external import ExternalReason
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["GIVEN", "RUN", "Outcome", "Source", "open_source"]

RUN, GIVEN = "run", "given"
_VERSION = "1"
_NO_RECORD = "none"


@dataclass(frozen=True)
class Outcome:
    """The video that was delivered, or why there is none."""

    video: Delivered | None
    reason: ExternalReason | None = None
    detail: str | None = None

    @classmethod
    def of(cls, result: Delivered | Refused) -> Outcome:
        if isinstance(result, Delivered):
            return cls(result)
        return cls(None, result.reason, result.detail)


class Source(Protocol):
    """The videos of `system`, clip by clip."""

    @property
    def system(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def unmatched(self) -> Sequence[Path]: ...

    def work(self, clip: TestClip, target: Path) -> Work:
        """The identity of the clip's video."""

    def make(self, clip: TestClip, target: Path) -> Outcome:
        """Write the video to `target`, or say why not. Raises `MachineError` alone."""


def open_source(workspace: Workspace, config: ExternalConfig, clip_ids: Sequence[str]) -> Source:
    """Raises `UserError` where the folder of videos is not there, or no adapter has the name."""
    if config.videos is not None:
        return _Folder(workspace, config.system, match_videos(config.videos, clip_ids))
    system = system_named(config.system)
    missing = lacking(system, config)
    hashes = RememberedHashes(workspace.file_hashes)
    build = None if missing or config.checkout is None else build_of(system, config.checkout, hashes)
    must_be_able_to_sign()
    return _Program(workspace, system, config, missing, build)


@dataclass(frozen=True)
class _Program:
    workspace: Workspace
    adapter: ExternalSystem
    config: ExternalConfig
    missing: tuple[str, ...]
    build: Build | None

    origin = RUN
    unmatched: Sequence[Path] = ()

    @property
    def system(self) -> str:
        return self.adapter.name

    @property
    def commit(self) -> str | None:
        return None if self.build is None else self.build.commit

    def work(self, clip: TestClip, target: Path) -> Work:
        steps = commands(self.adapter, self.config, clip.emotion)
        settings: Mapping[str, Any] = {
            "system": self.system,
            "adapter": self.adapter.version,
            "build": _NO_RECORD if self.build is None else self.build.digest,
            # What is missing is part of the identity: the row that says so is looked at again when something came.
            "missing": list(self.missing),
            "commands": [[_portable(word, self.config), step.folder] for step in steps for word in step.argv],
            "environment": dict(self.config.environment),
            "size": self.config.size,
            "limits": [self.config.timeout_s, self.config.memory_gb],
            "motion": clip.motion_md5,
        }
        inputs = clip.inputs(self.workspace.home)
        return Work(self.workspace.home, "external_video", target, _VERSION, inputs, settings)

    def make(self, clip: TestClip, target: Path) -> Outcome:
        refusal = self._refusal(clip)
        if refusal is not None:
            return Outcome.of(refusal)
        try:
            portrait = clip.portrait()
        except PermanentError as error:
            return Outcome(None, ExternalReason.NO_PORTRAIT, str(error))
        if clip.audio is None:
            return Outcome(None, ExternalReason.NO_SOUND, "the clip has no sound")
        given = Given(portrait, clip.audio, clip.style_video)
        log = self.workspace.logs / "external" / self.system / f"{target.stem}.txt"
        runs = self.workspace.cache("external")
        result = run_clip(self.adapter, self.config, given, clip.emotion, clip.frames, runs, target, log)
        if isinstance(result, Delivered):
            try:
                sign_video(target, self.work(clip, target))
            except Exception as error:  # c2pa raises one class per message; of a container that it cannot write to
                target.unlink()
                return Outcome(None, ExternalReason.UNREADABLE, f"it cannot be signed: {error}")
        return Outcome.of(result)

    def _refusal(self, clip: TestClip) -> Refused | None:
        """Why the system is not asked for this clip."""
        if self.missing:
            count = f"{len(self.missing)} thing{'s are' if len(self.missing) > 1 else ' is'} missing"
            return Refused(ExternalReason.NOT_READY, f"{count}: {'; '.join(self.missing)}")
        if self.adapter.speakers and clip.speaker not in self.adapter.speakers:
            known = ", ".join(self.adapter.speakers)
            return Refused(ExternalReason.UNSUPPORTED, f"has a model of {known} alone, not of {clip.speaker}")
        if self.adapter.emotions and clip.emotion not in self.adapter.emotions:
            return Refused(ExternalReason.UNSUPPORTED, f"knows no emotion `{clip.emotion}`")
        return None


def _portable(word: str, config: ExternalConfig) -> str:
    """A word of a command without where things lie on this machine."""
    return "{python}" if word == str(config.python) else word


@dataclass(frozen=True)
class _Folder:
    workspace: Workspace
    system: str
    match: Match

    origin = GIVEN
    commit: str | None = None

    @property
    def unmatched(self) -> Sequence[Path]:
        return self.match.unmatched

    def work(self, clip: TestClip, target: Path) -> Work:
        home, file = self.workspace.home, self.match.found.get(clip.clip_id)
        inputs = clip.inputs(home) if file is None else (*clip.inputs(home), input_of(home, "video_file", file))
        several = [path.name for path in self.match.ambiguous.get(clip.clip_id, ())]
        settings = {"system": self.system, "several": several, "frames": clip.frames}
        return Work(home, "external_video", target, _VERSION, inputs, settings)

    def make(self, clip: TestClip, target: Path) -> Outcome:
        several = self.match.ambiguous.get(clip.clip_id)
        if several:
            return Outcome(None, ExternalReason.AMBIGUOUS, ", ".join(path.name for path in several))
        file = self.match.found.get(clip.clip_id)
        if file is None:
            return Outcome(None, ExternalReason.MISSING, "no file of the folder is named after the clip")
        return Outcome.of(deliver([file], target, Wanted(clip.frames, None), clip.audio))
