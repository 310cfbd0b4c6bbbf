"""Which systems a workspace compares with: looked at, added to its preset, taken out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from magictalk_core.config import ExternalConfig
from magictalk_core.errors import UserError
from magictalk_core.evaluation.external.readiness import lacking
from magictalk_core.evaluation.external.systems import SYSTEMS, system_named, title_of
from magictalk_core.presets.of_workspace import preset_of, store_preset
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import EXTERNAL_VIDEOS
from magictalk_core.vocabulary.external import ExternalState
from magictalk_core.workspace import Workspace

__all__ = ["SystemState", "add_system", "new_config", "remove_system", "system_states"]


@dataclass(frozen=True)
class SystemState:
    """One system: `given_as` code, videos or nothing yet; clips with a video and without; all that it lacks."""

    system: str
    title: str
    given_as: str
    made: int
    failed: int
    lacks: tuple[str, ...]


def system_states(workspace: Workspace) -> list[SystemState]:
    """Every system with an adapter, and every other one that is configured."""
    configured = {one.system: one for one in preset_of(workspace).evaluation.external}
    counts = _counts(workspace)
    return [
        _state(name, configured.get(name), counts.get(name, {}))
        for name in [*SYSTEMS, *(name for name in configured if name not in SYSTEMS)]
    ]


def _state(name: str, config: ExternalConfig | None, counts: dict[str, int]) -> SystemState:
    given_as, lacks = _given(name, config)
    made, failed = (counts.get(state, 0) for state in (ExternalState.MADE, ExternalState.FAILED))
    return SystemState(name, title_of(name), given_as, made, failed, lacks)


def _given(name: str, config: ExternalConfig | None) -> tuple[str, tuple[str, ...]]:
    """How it is given, and what it lacks."""
    if config is None:
        return "-", (f"configuration: magictalk compare add {name}",)
    if config.videos is None:
        return "code", lacking(system_named(name), config)
    return "videos", () if config.videos.is_dir() else (f"videos: no folder {config.videos}",)


def _counts(workspace: Workspace) -> dict[str, dict[str, int]]:
    if not workspace.external_videos.is_file():
        return {}
    table = read_frame(EXTERNAL_VIDEOS, workspace.external_videos, columns=["method", "state"])
    found: dict[str, dict[str, int]] = {}
    for (method, state), rows in table.groupby(["method", "state"], observed=True):
        found.setdefault(str(method), {})[str(state)] = len(rows)
    return found


def new_config(
    system: str,
    *,
    checkout: Path | None = None,
    python: Path | None = None,
    videos: Path | None = None,
    arguments: Sequence[str] = (),
    fit: Sequence[str] = (),
    environment: Sequence[str] = (),
    size: str | None = None,
    timeout_s: float | None = None,
    memory_gb: float | None = None,
) -> ExternalConfig:
    """What a person says of a system, checked. `environment`: NAME=VALUE each; `size`: WIDTHxHEIGHT.

    Raises `UserError` naming what is wrong.
    """
    if videos is None:
        system_named(system)
    values = {
        "system": system,
        "checkout": checkout,
        "python": python,
        "videos": videos,
        "arguments": tuple(arguments),
        "fit": tuple(fit),
        "environment": dict(_pair(one) for one in environment),
        "size": None if size is None else _size(size),
        **{name: value for name, value in (("timeout_s", timeout_s), ("memory_gb", memory_gb)) if value is not None},
    }
    try:
        return ExternalConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{system}: {f'{where}: ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
        ) from error


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise UserError(f"--environment {text}: expected NAME=VALUE")
    return name, value


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise UserError(f"--size {text}: expected WIDTHxHEIGHT, such as 512x512")
    return int(width), int(height)


def add_system(workspace: Workspace, config: ExternalConfig) -> str:
    """Write the system into the workspace's preset, in place of what stood there of it; says what changed."""
    preset = preset_of(workspace)
    others = [one for one in preset.evaluation.external if one.system != config.system]
    return _store(workspace, preset, [*others, config])


def remove_system(workspace: Workspace, system: str) -> str:
    """Take the system out of the workspace's preset; its videos go with the next run."""
    preset = preset_of(workspace)
    kept = [one for one in preset.evaluation.external if one.system != system]
    if len(kept) == len(preset.evaluation.external):
        raise UserError(f"`{system}` is not configured: `magictalk compare list` shows what is")
    return _store(workspace, preset, kept)


def _store(workspace: Workspace, preset: Preset, external: Sequence[ExternalConfig]) -> str:
    values = preset.model_dump()
    values["evaluation"]["external"] = [one.model_dump() for one in external]
    change = store_preset(workspace, Preset.model_validate(values))
    names = ", ".join(one.system for one in external) or "no other system"
    return f"preset of this workspace: {change.name} ({change.digest[:10]}): compares with {names}"
