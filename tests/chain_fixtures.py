"""The smallest input that the whole graph takes: two speakers, a few clips, trainings of a few steps."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_args

import yaml

from magictalk_core.config import StrictModel
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.storage.locks import one_at_a_time
from magictalk_core.workspace import Workspace
from pipelines.run import RunReport, run

CORPUS = "sample"
TINY_CLIPS = (
    "M901-neutral-003",
    "M901-happy-003",
    "W901-neutral-001",
    "W901-happy-002",
)
"""Two for training, of two emotions; two of the held-out speaker, so that no clip need be its own style."""


def tiny_preset() -> dict[str, Any]:
    """The sample preset with networks of a few thousand weights and one pass over the data."""
    values: dict[str, Any] = load_preset("sample").model_dump(mode="json")
    values["name"] = "tiny"
    values["faces"] |= {"tracker": "litert"}
    values["training_set"] |= {"stride": 8}
    values["emodiff"]["network"] |= {"hidden": 32, "blocks": 1, "heads": 2}
    values["emodiff"]["sampling"] |= {"evaluations": 4}
    values["sync_expert"]["network"] |= {"frames": 5, "widths": [8], "embedding": 16}
    values["audio2bs"]["network"] |= {"encoder": 8, "hidden": 16, "layers": 1, "head": 16}
    values["lip_residue"]["network"] |= {"head": 16, "style_size": 16}
    values["emotion_fan"]["network"] |= {"side": 32, "width": 8}
    for family in ("emodiff", "emodiff_student", "sync_expert", "audio2bs", "lip_residue", "emotion_fan"):
        values[family]["training"] |= {"epochs": 1, "batch": 8, "threads": 1}
    values["emodiff"]["training"] |= {"epochs": 10}
    values["all_channels"] |= {"steps": 2}
    values["evaluation"] |= {"max_videos": 2, "video_size": 64}
    values["pictures"] |= {"clips": 1, "seconds": 0.4, "every": 5}
    return Preset.model_validate(values).model_dump(mode="json")


def new_workspace(home: Path, raw: Path, kind: str = "sample") -> Workspace:
    workspace = Workspace(home)
    add_corpus(workspace, new_entry(name=CORPUS, kind=kind, root=raw))
    return workspace


def unshared(workspace: Workspace) -> AbstractContextManager[None]:
    """While it lasts, no other process of the suite copies the workspace or runs in it."""
    return one_at_a_time(workspace.home.parent / "lock")


def copy_of(workspace: Workspace, home: Path) -> Workspace:
    """The same workspace elsewhere; times stay, and links into DVC's cache."""
    with unshared(workspace):
        subprocess.run(["cp", "-a", str(workspace.home), str(home)], check=True)
    return Workspace(home)


def preset_file(workspace: Workspace, values: Mapping[str, Any]) -> Path:
    path = workspace.home.parent / f"{workspace.home.name}-tiny.yaml"
    path.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
    return path


def run_graph(workspace: Workspace, values: Mapping[str, Any], selection: str | None = None) -> RunReport:
    """`magictalk run` in this process."""
    return run(workspace, str(preset_file(workspace, values)), selection)


# --- what a run wrote ------------------------------------------------------------------------------------------------

BOOKKEEPING = (
    "dagster/*", ".dvc/tmp/*", ".dvc/cache/*", ".git/*", "dvc.lock", ".run.lock", "locks/*", "cache/md5/*",
    "cache/silence/*", "cache/shards/*",
    "models/*/.lock", "models/*/newest.json", "models/*/current.json", "releases/*/.lock",
    "models/*/preset.yaml", "preset.yaml", "params.yaml", "provenance/*", "*.provenance.json", "corpora/*/provenance/*",
)  # fmt: skip
"""Who did what when, what was asked for last, and copies. Any run may write these; no result is among them."""

DERIVED = (
    "corpora/*/source.parquet", "corpora/*/listing.json", "corpora/*/index.parquet", "cache/headers/*",
    "corpora/*/dataset/clips.parquet", "corpora/*/card/*", "manifests/*", "arkit_dataset/*", "training_set/*",
    "rig/rig.npz", "tables/summary.csv", "tables/metrics.json", "report/report.html", "lineage_report/*",
    "corpora/*/croissant.json",
)  # fmt: skip
"""Put together from finished tables whenever they are asked for, in seconds: a run again writes the same bytes."""


def files_of(home: Path) -> dict[str, tuple[int, int]]:
    """Path -> inode and time of writing. Everything here is written by rename or anew, so that equal pairs mean that
    nobody wrote: no work can leave its result otherwise."""
    found = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
    return {p.relative_to(home).as_posix(): (p.stat().st_ino, p.stat().st_mtime_ns) for p in found}


def written_since(before: Mapping[str, tuple[int, int]], home: Path) -> set[str]:
    """Paths that are new or were written again."""
    return {path for path, state in files_of(home).items() if before.get(path) != state}


def without(paths: set[str], *groups: tuple[str, ...]) -> set[str]:
    patterns = [pattern for group in groups for pattern in group]
    return {path for path in paths if not any(fnmatch(path, pattern) for pattern in patterns)}


# --- other values of settings ----------------------------------------------------------------------------------------


def settings_in(preset: Preset) -> list[str]:
    """Dotted names of all settings."""
    return list(_leaves(preset, ""))


def _leaves(model: StrictModel, prefix: str) -> Iterator[str]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, StrictModel):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def with_another(preset: Preset, name: str) -> Preset:
    """The preset with another valid value of one setting."""
    *sections, leaf = name.split(".")
    values = preset.model_dump()
    section: Any = values
    model: Any = preset
    for part in sections:
        section, model = section[part], getattr(model, part)
    before = section[leaf]
    for candidate in _others(before, get_args(type(model).model_fields[leaf].annotation)):
        if candidate == before:
            continue
        section[leaf] = candidate
        try:
            return Preset.model_validate(values)
        except ValueError:
            continue
    raise AssertionError(f"no other value known for {name} = {before!r}")


def _others(value: Any, choices: tuple[Any, ...]) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value - 1, value + 1) if value > 1 else (value + 1, value - 1)
        yield 2 * value  # where something must be a multiple
    elif isinstance(value, float):
        yield from (value * 0.9, value + 0.01)
    elif isinstance(value, str):
        yield from (choice for choice in choices if choice != value)
        yield f"{value}x"
        yield f"/{value}"
    elif isinstance(value, tuple):
        yield value[:-1]
        yield from ((*value, "x"), (*value, 8), (*value, {"system": "x", "videos": "/x"}), (*value, "generator"))
        if all(isinstance(one, int) for one in value):
            yield tuple(4 * one + 4 for one in value)  # where their number is fixed
    else:
        yield 0.5


def is_named(name: str, params: list[str]) -> bool:
    """Whether `params` of a stage name the setting or its section."""
    return any(name == param or name.startswith(f"{param}.") for param in params)
