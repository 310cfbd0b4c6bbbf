"""The preset is a property of the workspace: the same for every way in, changed by one function, and said."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from chain_fixtures import settings_in, with_another
from media_fixtures import make_clip
from typer.testing import CliRunner

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.errors import UserError
from magictalk_core.presets.of_workspace import preset_differences, preset_digest, preset_of, set_preset
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from pipelines.definitions import build_definitions
from pipelines.instance import open_instance
from pipelines.run import run

runner = CliRunner()


def preset_file(path: Path, **quality: float) -> Path:
    values: dict[str, Any] = load_preset("sample").model_dump(mode="json")
    values["name"] = path.stem
    values["quality"] |= quality
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_a_job_of_dagster_uses_the_preset_of_the_last_run(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job from the UI, the daemon or a schedule once rewrote the dataset with `sample`."""
    (tmp_path / "raw").mkdir()
    make_clip(tmp_path / "raw" / "a.mp4", 1.0, size="64x48")
    add_corpus(workspace, new_entry(name="mine", kind="folder", root=tmp_path / "raw"))
    monkeypatch.chdir(tmp_path)
    preset_file(tmp_path / "strict.yaml", min_duration_s=30.0)
    run(workspace, "strict.yaml", "mine/index")
    made = file_md5(workspace.index_table("mine"))
    (tmp_path / "strict.yaml").unlink()
    monkeypatch.chdir("/")
    monkeypatch.setenv("MAGICTALK_PRESET", "sample")
    job = build_definitions(workspace).resolve_job_def("mine_index")
    assert job.execute_in_process(instance=open_instance(workspace)).success
    assert file_md5(workspace.index_table("mine")) == made
    run(workspace, None, "mine/index")
    assert file_md5(workspace.index_table("mine")) == made, "a run without --preset as well"
    run(workspace, "sample", "mine/index")
    assert file_md5(workspace.index_table("mine")) != made


def test_the_environment_counts_only_where_a_home_has_no_preset(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preset_of(Workspace(tmp_path / "other")).name == "sample"
    monkeypatch.setenv("MAGICTALK_PRESET", "paper")
    assert preset_of(workspace).name == "paper"
    monkeypatch.setenv("MAGICTALK_PRESET", "sample")
    assert preset_of(workspace).name == "paper", "settled on first use"


@pytest.mark.slow
def test_a_change_is_told_with_both_names_and_the_settings(
    workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "raw").mkdir()
    make_clip(tmp_path / "raw" / "a.mp4", 1.0, size="64x48")
    add_corpus(workspace, new_entry(name="mine", kind="folder", root=tmp_path / "raw"))

    def told() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "magictalk.preset"]

    with caplog.at_level(logging.INFO):
        run(workspace, "sample", "mine/index")
        run(workspace, "sample", "mine/index")
        assert told() == []
        run(workspace, str(preset_file(tmp_path / "strict.yaml", min_sharpness=7.5)), "mine/index")
    (line,) = told()
    assert (
        "changed: sample (" in line and "-> strict (" in line and "quality.min_sharpness" in line and "-> 7.5" in line
    )


def test_the_values_are_stored_spelled_out(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "short.yaml").write_text("name: short\nquality:\n  min_sharpness: 3.5\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    change = set_preset(workspace, "short.yaml")
    stored = yaml.safe_load(workspace.preset.read_text())
    assert stored == Preset.model_validate({"name": "short", "quality": {"min_sharpness": 3.5}}).model_dump(mode="json")
    assert change.digest == digest_of(stored) == preset_digest(preset_of(workspace))
    before = workspace.preset.stat()
    assert not set_preset(workspace, "short.yaml").is_one
    assert workspace.preset.stat() == before


def test_a_wrong_preset_changes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    set_preset(workspace, "paper")
    (tmp_path / "wrong.yaml").write_text("name: x\nqualty: {}\n", encoding="utf-8")
    with pytest.raises(UserError, match="qualty"):
        set_preset(workspace, str(tmp_path / "wrong.yaml"))
    assert preset_of(workspace).name == "paper"
    workspace.preset.write_text("name: x\nqualty: {}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"preset\.yaml.*qualty"):
        preset_of(workspace)
    set_preset(workspace, "sample")  # which mends it
    assert preset_of(workspace).name == "sample"


def test_differences_name_exactly_the_settings_that_differ() -> None:
    preset = load_preset("sample")
    for name in settings_in(preset)[:40]:
        assert list(preset_differences(preset, with_another(preset, name))) == [name]
    assert preset_differences(preset, preset) == {}


def test_the_commands(workspace: Workspace, tmp_path: Path) -> None:
    def call(*words: str) -> Any:
        return runner.invoke(app, ["preset", *words, "--home", str(workspace.home)])

    shown = call("show")
    assert shown.exit_code == 2 and "magictalk preset set" in shown.output
    assert call("set", "sample").output.startswith("preset of this workspace: sample")
    done = call("set", str(preset_file(tmp_path / "mine.yaml", min_sharpness=7.5)), "--json")
    (facts,) = json.loads(done.stdout)
    changed = {each["setting"]: each["after"] for each in facts["changed"]}
    assert changed == {"name": "mine", "quality.min_sharpness": 7.5} and facts["name_before"] == "sample"
    (facts,) = json.loads(call("show", "--json").stdout)
    assert facts["name"] == "mine" and facts["digest"] == preset_digest(preset_of(workspace))
    assert yaml.safe_load(call("show", "--values").stdout)["quality"]["min_sharpness"] == 7.5
    rows = json.loads(call("diff", "sample", "--json").stdout)
    assert {row["setting"]: row["workspace"] for row in rows} == changed
    with held_or_refused(workspace.run_lock, "it"):
        refused = call("set", "sample")
    assert refused.exit_code == 2 and "in use by process" in refused.output
    assert preset_of(workspace).name == "mine"
