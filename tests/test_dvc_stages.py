"""`dvc repro`: which stages run after which change, and that each stage names the settings it reads."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import chdir, closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from chain_fixtures import (
    BOOKKEEPING,
    CORPUS,
    DERIVED,
    copy_of,
    files_of,
    is_named,
    new_workspace,
    preset_file,
    run_graph,
    settings_in,
    tiny_preset,
    with_another,
    without,
    written_since,
)

from magictalk_core.models.families import FAMILIES
from magictalk_core.models.sync_expert.family import SYNC_JUDGES
from magictalk_core.preparation.listing import observe_source
from magictalk_core.presets.of_workspace import set_preset
from magictalk_core.presets.preset import Preset
from magictalk_core.release.families import RELEASED
from magictalk_core.storage.hashes import tree_md5
from magictalk_core.workspace import Workspace
from pipelines.dvc_workspace import prepare_repository, stage_params

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def magictalk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a command `magictalk` with this body, Python, before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def install(body: str) -> None:
        file = folder / "magictalk"
        file.write_text(f"#!{sys.executable}\nimport os, sys\n{body}")
        file.chmod(0o755)

    return install


REAL = 'os.execv(sys.executable, [sys.executable, "-m", "pipelines.cli", *sys.argv[1:]])\n'

STAND_IN = f"""
if sys.argv[1] != "run":
    {REAL}
import hashlib, json, pathlib, yaml
def read(text):
    return yaml.load(text, yaml.CSafeLoader)
text = open("dvc.yaml").read()
stages = read(text.replace("${{item}}", "{CORPUS}"))["stages"]
preset = read(open("preset.yaml"))
(stage,) = [s for s in (s.get("do", s) for s in stages.values()) if s["cmd"].endswith(f'"{{sys.argv[-1]}}"')]
seen = hashlib.md5()
for dep in map(pathlib.Path, stage["deps"]):
    for file in [dep] if dep.is_file() else sorted(p for p in dep.rglob("*") if p.is_file()):
        seen.update(file.read_bytes())
for param in stage.get("params", [{{"preset.yaml": []}}])[0]["preset.yaml"]:
    value = preset
    for name in param.split("."):
        value = value[name]
    seen.update(repr(value).encode())
for (out,) in [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, ())]:
    file = pathlib.Path(out) if "." in out else pathlib.Path(out, "made")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({{"made": seen.hexdigest()}}))
"""
"""In place of `magictalk run`: results that change exactly when something changes that the stage says it depends on."""


def reproduced(workspace: Workspace, *targets: str) -> set[str]:
    """Names of the stages that `dvc repro` ran."""
    from dvc.repo import Repo

    # DVC takes targets from the current folder.
    with chdir(workspace.home), closing(Repo()) as repo:
        return {stage.addressing for stage in repo.reproduce(targets=list(targets) or None)}


def edit(workspace: Workspace, name: str, value: Any) -> None:
    """Change one setting of the workspace's preset."""
    path = workspace.preset
    values = yaml.safe_load(path.read_text())
    *sections, leaf = name.split(".")
    section = values
    for part in sections:
        section = section[part]
    section[leaf] = value
    path.write_text(yaml.safe_dump(values))


@pytest.mark.slow
def test_exactly_the_stages_run_that_a_change_concerns(tmp_path: Path, magictalk: Callable[[str], None]) -> None:
    magictalk(STAND_IN)
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "one.mp4").write_bytes(b"1")
    workspace = new_workspace(tmp_path / "home", raw, "folder")
    set_preset(workspace, str(preset_file(workspace, tiny_preset())))
    prepare_repository(workspace, [CORPUS])
    observe_source(workspace, CORPUS)
    dataset, models = {f"dataset@{CORPUS}"}, {"models-emodiff", "models-audio2bs"}
    models |= {"models-sync_expert", "models-lip_residue", *(f"models-{judge.name}" for judge in SYNC_JUDGES)}
    releases = {f"release-{family}" for family in RELEASED}
    # Not the report: it shows the lineage of everything, ablations included.
    ends = ("tables-summary", "videos-comparison")
    follows = {"refined", "scores", *ends}

    assert reproduced(workspace, *ends) == dataset | models | releases | {"training_set", "generated"} | follows
    os.utime(raw / "one.mp4", ns=(1, 1))
    observe_source(workspace, CORPUS)
    edit(workspace, "speech_recipe.seed", 2)
    assert reproduced(workspace, *ends) == set(), "a file was touched, and a setting edited that nothing reads"
    edit(workspace, "emodiff.sampling.guidance", 0.5)
    assert reproduced(workspace, *ends) == releases | {"generated"} | follows, "no model"
    edit(workspace, "evaluation.video_size", 32)
    assert reproduced(workspace, *ends) == {"videos-comparison"}
    (raw / "one.mp4").write_bytes(b"other")
    observe_source(workspace, CORPUS)
    assert reproduced(workspace, "generated") == dataset | {
        "training_set",
        "models-emodiff",
        "release-emodiff",
        "generated",
    }
    (raw / "two.mp4").write_bytes(b"2")
    observe_source(workspace, CORPUS)
    assert reproduced(workspace, *dataset) == dataset, "a file is new"
    edit(workspace, "quality.min_sharpness", 5.0)
    assert reproduced(workspace, *dataset) == dataset, "a threshold was edited"


@pytest.mark.parametrize("name", FAMILIES)
def test_params_of_a_model_stage_are_what_the_identity_of_its_training_reads(name: str) -> None:
    preset, family = Preset.model_validate(tiny_preset()), FAMILIES[name]

    def learned(preset: Preset) -> dict[str, Any]:
        return family.learned_from(family.settings_of(preset))

    changing = {leaf for leaf in settings_in(preset) if learned(with_another(preset, leaf)) != learned(preset)}
    params = stage_params(f"models-{name}")
    named = {leaf for leaf in settings_in(preset) if is_named(leaf, params)}
    fixed = {
        "emodiff_no_style": {"emodiff.network.style", "emodiff.training.init"},
        "sync_expert_all_channels": {"sync_expert.network.channels"},
        # A third of the epochs, one at least: of one and of two it is the same.
        **{judge.name: {"sync_expert.training.epochs"} for judge in SYNC_JUDGES},
    }
    # The sections are named as a whole: these few make DVC look, and the training finds itself finished.
    harmless = {f"{family.section}.training.keep_checkpoints", f"{family.section}.training.sample_every"}
    assert named - changing == harmless | fixed.get(name, set()) and changing <= named


def test_a_recorded_dataset_is_not_made_again_by_dvc(
    tiny_chain: Workspace, tmp_path: Path, magictalk: Callable[[str], None]
) -> None:
    """`magictalk run` commits the dataset with what it depends on: `dvc repro` looks, and finds all as recorded."""
    magictalk(REAL)
    workspace = copy_of(tiny_chain, tmp_path / "home")
    before = files_of(workspace.home)
    assert reproduced(workspace, f"dataset@{CORPUS}") == set()
    assert without(written_since(before, workspace.home), BOOKKEEPING, DERIVED) == set()


UNLINKED = ("corpora/*/dataset/*.parquet",)
"""DVC takes the links of an output to its cache apart before it runs the stage: the same bytes in another inode."""


@pytest.mark.slow
def test_dvc_repro_on_real_clips(tiny_raw: Path, tmp_path: Path, magictalk: Callable[[str], None]) -> None:
    """The same with the real steps: what a stage writes decides what runs after it, and nothing is decoded twice."""
    magictalk(REAL)
    raw = tmp_path / "raw"
    shutil.copytree(tiny_raw, raw)
    workspace = new_workspace(tmp_path / "home", raw)
    run_graph(workspace, tiny_preset(), "+generated +sample/snapshot")
    chain = {f"dataset@{CORPUS}", "training_set", "models-emodiff", "release-emodiff", "generated"}
    assert reproduced(workspace, "generated") == set()

    video, other = sorted(raw.rglob("*.mp4"))[:2]
    os.utime(video, ns=(1, 1))
    observe_source(workspace, CORPUS)
    assert reproduced(workspace, "generated") == set()
    before, dataset = files_of(workspace.home), tree_md5(workspace.dataset(CORPUS))
    edit(workspace, "quality.min_sharpness", 4.5)
    # The training set reads the thresholds too: it is asked, and finds itself made.
    assert reproduced(workspace, "generated") == {f"dataset@{CORPUS}", "training_set"}, "every clip passes as before"
    written = without(written_since(before, workspace.home), BOOKKEEPING, DERIVED, UNLINKED)
    assert written == set() and tree_md5(workspace.dataset(CORPUS)) == dataset, "nothing was decoded"

    edit(workspace, "emodiff.sampling.guidance", 0.25)
    assert reproduced(workspace, "generated") == {"release-emodiff", "generated"}
    video.write_bytes(video.read_bytes() + b"\0" * 64)
    observe_source(workspace, CORPUS)
    assert reproduced(workspace, "generated") == chain
    assert other.is_file()
