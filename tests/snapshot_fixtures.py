"""A workspace whose only corpus is a few tables made of numbers, put there without any decoding."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from training_fixtures import FEATURE_ID, lip_preset, write_tables

from assets.resources import DvcRepository
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.presets.of_workspace import set_preset
from magictalk_core.storage.atomic import write_text
from magictalk_core.work.manifest import build_manifest
from magictalk_core.workspace import Workspace
from pipelines.dvc_workspace import prepare_repository

TOY = "toy"


def toy_workspace(home: Path, **tables: Any) -> Workspace:
    """Registered, with a dataset and a preset, a repository, and no snapshot yet."""
    workspace = Workspace(home)
    (home.parent / "raw").mkdir(exist_ok=True)
    add_corpus(workspace, new_entry(name=TOY, kind="folder", root=home.parent / "raw"))
    write_text(workspace.listing(TOY), "{}\n")
    values = lip_preset(epochs=1).model_dump(mode="json")
    values["speech"]["feature"] = FEATURE_ID
    set_preset(workspace, str(preset_yaml(home.parent / "toy.yaml", values)))
    prepare_repository(workspace, [TOY])
    make_dataset(workspace, **tables)
    return workspace


def preset_yaml(path: Path, values: dict[str, Any]) -> Path:
    import yaml

    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def make_dataset(workspace: Workspace, **tables: Any) -> str:
    """The dataset anew, by rename as our writers do it, and its manifest; returns the digest."""
    dataset, made = workspace.dataset(TOY), workspace.home / "cache" / "made"
    shutil.rmtree(made, ignore_errors=True)
    write_tables(made, **tables)
    (made / "frames").rename(made / "blendshapes")
    for file in sorted(path for path in made.rglob("*") if path.is_file()):
        target = dataset / file.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
    return build_manifest(dataset, workspace.manifest(TOY)).digest


def snapshot(workspace: Workspace, message: str = "snapshot") -> str:
    """What the asset `<c>/snapshot` does; returns the commit."""
    dvc = DvcRepository(root=str(workspace.home))
    dvc.keep(TOY)
    commit = dvc.commit(message)
    assert commit is not None
    return commit
