"""The smallest input that the whole graph takes: two speakers, a few clips, trainings of a few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.workspace import Workspace

CORPUS = "sample"
TINY_CLIPS = (
    "M901-neutral-001",
    "M901-neutral-003",
    "M901-happy-003",
    "W901-neutral-001",
    "W901-happy-002",
)
"""Four for training, of two emotions; two of the held-out speaker, so that no clip need be its own style."""


def tiny_preset() -> dict[str, Any]:
    """The sample preset with networks of a few thousand weights and one pass over the data."""
    values: dict[str, Any] = load_preset("sample").model_dump(mode="json")
    values["name"] = "tiny"
    values["training_set"] |= {"stride": 8}
    values["emodiff"]["network"] |= {"hidden": 32, "blocks": 1, "heads": 2}
    values["emodiff"]["sampling"] |= {"evaluations": 4}
    values["sync_expert"]["network"] |= {"frames": 5, "widths": [8], "embedding": 16}
    values["audio2bs"]["network"] |= {"encoder": 8, "hidden": 16, "layers": 1, "head": 16}
    values["lip_residue"]["network"] |= {"head": 16, "style_size": 16}
    for family in ("emodiff", "emodiff_student", "sync_expert", "audio2bs", "lip_residue"):
        values[family]["training"] |= {"epochs": 1, "batch": 8, "threads": 1}
    values["all_channels"] |= {"steps": 2}
    values["evaluation"] |= {"max_videos": 1, "video_size": 64}
    return Preset.model_validate(values).model_dump(mode="json")


def write_preset_file(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def new_workspace(home: Path, raw: Path) -> Workspace:
    workspace = Workspace(home)
    add_corpus(workspace, new_entry(name=CORPUS, kind="sample", root=raw))
    return workspace
