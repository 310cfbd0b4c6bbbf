"""The settings of a run as they lie in its workspace, every value spelled out."""

from __future__ import annotations

from pathlib import Path

import yaml

from magictalk_core.presets.preset import load_preset
from magictalk_core.storage.atomic import write_if_changed
from magictalk_core.workspace import Workspace

__all__ = ["write_resolved_preset"]


def write_resolved_preset(workspace: Workspace, preset: str) -> Path:
    """Spell out the settings of a preset, by name or path, in the workspace; returns the file.

    Raises `UserError` for a wrong one. The file of equal settings is left alone.
    """
    values = load_preset(preset).model_dump(mode="json")
    write_if_changed(workspace.preset, yaml.safe_dump(values, sort_keys=False))
    return workspace.preset
