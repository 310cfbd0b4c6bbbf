"""The preset of a workspace: all settings of its runs, every value spelled out in `$MAGICTALK_HOME/preset.yaml`.

It is a property of the workspace, the same for every way in: command line, Dagster's UI, schedules and daemon,
`dvc repro`. `store_preset` is the only function that writes it. Where a home has none yet, `$MAGICTALK_PRESET` or
`sample` becomes its preset on first use, and counts from then on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from magictalk_core.errors import UserError
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.storage.atomic import write_if_changed
from magictalk_core.storage.hashes import digest_of
from magictalk_core.workspace import Workspace

__all__ = ["PresetChange", "preset_differences", "preset_digest", "preset_of", "set_preset", "store_preset"]

FIRST_PRESET = "sample"
"""Of a home that has none, where `$MAGICTALK_PRESET` says nothing."""


@dataclass(frozen=True)
class PresetChange:
    """What `set_preset` did: names and digests, and each setting that has another value now: (before, after)."""

    name: str
    digest: str
    name_before: str | None
    digest_before: str | None
    settings: Mapping[str, tuple[Any, Any]]

    @property
    def is_one(self) -> bool:
        """Whether a home that had a preset has another one now."""
        return self.digest_before is not None and self.digest != self.digest_before

    def line(self) -> str:
        """The change in one line."""
        if self.digest_before is None:
            return f"preset of this workspace: {self.name} ({self.digest[:10]})"
        if not self.is_one:
            return f"preset of this workspace: {self.name} ({self.digest[:10]}), as before"
        shown = [f"{name} {before} -> {after}" for name, (before, after) in list(self.settings.items())[:3]]
        more = len(self.settings) - len(shown)
        changed = "; ".join([*shown, f"and {more} more (magictalk preset diff)"] if more > 0 else shown)
        before = f"{self.name_before} ({self.digest_before[:10]})"
        return f"preset of this workspace is changed: {before} -> {self.name} ({self.digest[:10]}): {changed}"


def preset_digest(preset: Preset) -> str:
    """md5 over all resolved values: the `digest` beside the preset's name in every provenance record."""
    return digest_of(preset.model_dump(mode="json"))


def preset_of(workspace: Workspace) -> Preset:
    """The workspace's preset; a home that has none gets `$MAGICTALK_PRESET` or `sample`.

    Raises `UserError` naming the wrong key of a file that was edited by hand.
    """
    if not workspace.preset.is_file():
        set_preset(workspace, os.environ.get("MAGICTALK_PRESET") or FIRST_PRESET)
    state = workspace.preset.stat()
    return _loaded(str(workspace.preset), state.st_ino, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _loaded(path: str, *state: int) -> Preset:
    """Every step of a run asks for it: parsed and checked once for each state of the file."""
    return load_preset(path)


def set_preset(workspace: Workspace, name_or_path: str) -> PresetChange:
    """Make this preset, by name or path, the workspace's; the file of equal settings is left alone.

    The values are stored, not the path: what the file holds later, and from where it was named, is of no consequence.
    Raises `UserError` for a wrong one, before anything is written.
    """
    return store_preset(workspace, load_preset(name_or_path))


def store_preset(workspace: Workspace, preset: Preset) -> PresetChange:
    """Make these settings the workspace's; the file of equal settings is left alone."""
    before = _stored(workspace)
    write_if_changed(workspace.preset, yaml.safe_dump(preset.model_dump(mode="json"), sort_keys=False))
    return PresetChange(
        preset.name,
        preset_digest(preset),
        None if before is None else before.name,
        None if before is None else preset_digest(before),
        {} if before is None else preset_differences(before, preset),
    )


def _stored(workspace: Workspace) -> Preset | None:
    """What is there to compare with: None where there is nothing, or what no release can read any more."""
    try:
        return load_preset(workspace.preset)
    except UserError:
        return None


def preset_differences(one: Preset, other: Preset) -> dict[str, tuple[Any, Any]]:
    """Settings that two presets hold differently: dotted name -> both values."""
    others = dict(_leaves(other.model_dump(mode="json")))
    return {
        name: (value, others[name]) for name, value in _leaves(one.model_dump(mode="json")) if value != others[name]
    }


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
