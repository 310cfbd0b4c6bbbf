"""What starts work by itself: the schedule's gate, the sensors for raw files, the automation policy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from release_fixtures import CORPUS, WEAK, asked, pack, toy_workspace, trained

from assets.resources import Settings, Store
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.models.families import FAMILIES
from magictalk_core.preparation.listing import observe_source
from magictalk_core.presets.preset import Preset
from magictalk_core.release import retraining
from magictalk_core.release.release import release_newest
from magictalk_core.release.retraining import retraining_need
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS
from magictalk_core.training.run import current_model
from magictalk_core.workspace import Workspace
from pipelines.automation import automatic_assets, on_data_or_code_change
from pipelines.definitions import build_definitions
from pipelines.jobs import build_jobs
from pipelines.retraining import build_raw_file_sensors, build_retrain_schedule


@pytest.fixture(autouse=True)
def one_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of all four take longer than these tests; what is asked is asked of each alike."""
    monkeypatch.setattr(retraining, "RELEASED", ("emodiff",))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = toy_workspace(tmp_path_factory.mktemp("retraining") / "home")
    (workspace.home / "raw").mkdir()
    entry = new_entry(name=CORPUS, kind="folder", root=workspace.home / "raw")
    add_corpus(workspace, entry, replace=True)
    observe_source(workspace, CORPUS)
    trained(workspace, WEAK)
    return workspace


@pytest.fixture
def toy(made: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(made.home, tmp_path / "home")
    workspace = Workspace(tmp_path / "home")
    entry = new_entry(name=CORPUS, kind="folder", root=workspace.home / "raw")
    add_corpus(workspace, entry, replace=True)
    return workspace


def waiting_for(hours: float) -> Preset:
    values = asked(WEAK).model_dump()
    return Preset.model_validate(values | {"retraining": {"min_new_hours": hours}})


def change_clips(workspace: Workspace, edit: Any) -> None:
    """Edit the clip table, then the manifest and the training set that follow from it."""
    table = workspace.clips_table(CORPUS)
    clips: pd.DataFrame = edit(read_frame(CLIPS, table).astype(object))
    write_table(CLIPS, clips.where(clips.notna(), None).to_dict("records"), table)
    pack(workspace)


def with_durations(clips: pd.DataFrame) -> pd.DataFrame:
    return clips.assign(duration_s=1.6)


def test_the_gate_does_not_fire_on_unchanged_data(toy: Workspace) -> None:
    need = retraining_need(toy, [CORPUS], waiting_for(0.0))
    assert not need.is_one and "no new code" in need.found, need


def test_the_gate_fires_with_enough_new_hours_and_says_so(toy: Workspace) -> None:
    def more(clips: pd.DataFrame) -> pd.DataFrame:
        new = clips[clips["speaker"] == "m1"].assign(duration_s=450.0)
        new["clip_id"] = new["clip_id"].str.replace("toy/m1", "toy/m1-new")
        return pd.concat([with_durations(clips), new], ignore_index=True)

    change_clips(toy, more)
    need = retraining_need(toy, [CORPUS], waiting_for(0.4))
    assert need.is_one and "0.5 h of clips that no model was trained on" in str(need), need
    assert not retraining_need(toy, [CORPUS], waiting_for(0.6)).is_one, "not enough"


def test_the_gate_fires_for_raw_files_that_nobody_looked_at(toy: Workspace) -> None:
    (toy.home / "raw" / "new.mp4").write_bytes(b"0" * 2_000_000)
    need = retraining_need(toy, [CORPUS], waiting_for(0.001))
    assert need.is_one and "no model was trained on" in str(need)


def test_the_gate_fires_for_new_code_and_for_a_withdrawn_clip(toy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_one(clips: pd.DataFrame) -> pd.DataFrame:
        gone = clips["clip_id"] == "toy/m1-happy/1"
        return clips.assign(status=clips["status"].where(~gone, "withdrawn"))

    change_clips(toy, without_one)
    need = retraining_need(toy, [CORPUS], waiting_for(5.0))
    assert "1 clips that the newest models were trained on are withdrawn, as toy/m1-happy/1" in str(need)
    newer = FAMILIES["emodiff"].__class__(**{**FAMILIES["emodiff"].__dict__, "version": "999"})
    monkeypatch.setitem(FAMILIES, "emodiff", newer)
    assert "emodiff has code version 999" in str(retraining_need(toy, [CORPUS], waiting_for(5.0)))


@pytest.mark.slow
def test_a_champion_of_withdrawn_clips_gives_way_to_a_model_without_them(toy: Workspace) -> None:
    first = release_newest(toy, [CORPUS], asked(WEAK), "emodiff")

    def without_one(clips: pd.DataFrame) -> pd.DataFrame:
        gone = clips["clip_id"] == "toy/m1-happy/1"
        return clips.assign(status=clips["status"].where(~gone, "withdrawn"))

    change_clips(toy, without_one)
    again = trained(toy, WEAK)
    decision = release_newest(toy, [CORPUS], asked(WEAK), "emodiff")
    assert decision.before == first.champion and decision.action == "promoted"
    assert "trained on 1 withdrawn clip" in decision.reason and current_model(toy.models("emodiff")) == again.path


def test_a_tick_of_the_schedule_goes_through_the_gate(toy: Workspace) -> None:
    preset = waiting_for(0.001)
    (toy.home / "preset.yaml").write_text(json.dumps(preset.model_dump(mode="json")))
    schedule = build_retrain_schedule(build_jobs([CORPUS])["retrain"], [CORPUS])
    resources = {"store": Store(home=str(toy.home)), "settings": Settings(home=str(toy.home))}
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED

    def tick() -> Any:
        with dg.build_schedule_context(resources=resources) as context:
            return schedule.evaluate_tick(context)

    assert tick().skip_message.endswith("no new code") and not tick().run_requests
    (toy.home / "raw" / "new.mp4").write_bytes(b"0" * 2_000_000)
    (request,) = tick().run_requests
    assert "no model was trained on" in request.tags["magictalk/reason"]


def test_the_scheduled_job_goes_from_observation_to_release_without_ablations(toy: Workspace) -> None:
    job = build_definitions(toy).resolve_job_def("retrain")
    names = {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
    wanted = {f"{CORPUS}/index", f"{CORPUS}/shards", f"{CORPUS}/snapshot", "training_set", "models/emodiff"}
    assert wanted | {"release/emodiff", "release/lip_residue", "generated", "scores", "report"} <= names
    assert not names & {
        "models/emodiff_student",
        "models/emodiff_no_style",
        "models/emotion_fan",
        "set_scores",
        "lip_ablation",
    }
    assert not names & {"recipes/deepspeech_small", f"{CORPUS}/media"}


def test_the_sensor_waits_until_raw_files_lie_still_and_fires_once(toy: Workspace) -> None:
    (sensor,) = build_raw_file_sensors(build_jobs([CORPUS]), [CORPUS])
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    cursor: list[str | None] = [None]

    def tick() -> Any:
        context = dg.build_sensor_context(cursor=cursor[0], resources={"store": Store(home=str(toy.home))})
        found = sensor.evaluate_tick(context)
        cursor[0] = found.cursor
        return found

    assert "every raw file is in the listing" in tick().skip_message
    file = toy.home / "raw" / "new.mp4"
    file.write_bytes(b"0" * 10)
    assert "waiting until nothing moves" in tick().skip_message
    file.write_bytes(b"0" * 20)
    assert "waiting until nothing moves" in tick().skip_message, "still being copied"
    (first,) = tick().run_requests
    (again,) = tick().run_requests
    assert first.run_key == again.run_key, "Dagster starts one run for one state of the folder"
    observe_source(toy, CORPUS)
    assert not tick().run_requests


def _chain(fails: list[bool], version: list[str]) -> list[dg.AssetsDefinition]:
    @dg.asset(code_version="1")
    def upstream() -> dg.MaterializeResult:
        return dg.MaterializeResult(data_version=dg.DataVersion(version[0]))

    @dg.asset(deps=[upstream], code_version="1", automation_condition=on_data_or_code_change([dg.AssetKey("upstream")]))
    def downstream() -> None:
        if fails[0]:
            raise ValueError("hopeless")

    return [upstream, downstream]


def test_the_policy_asks_once_per_event_and_never_because_of_a_failure() -> None:
    fails, version = [False], ["a"]
    assets = _chain(fails, version)
    with dg.DagsterInstance.ephemeral() as instance:
        cursor = None

        def asked_for() -> int:
            nonlocal cursor
            found = dg.evaluate_automation_conditions(dg.Definitions(assets), instance=instance, cursor=cursor)
            cursor = found.cursor
            return found.total_requested

        def make(*keys: str) -> None:
            dg.materialize(
                assets, selection=[dg.AssetKey(key) for key in keys], instance=instance, raise_on_error=False
            )

        make("upstream", "downstream")
        assert [asked_for() for _ in range(3)] == [0, 0, 0], "all is made"
        make("upstream")
        assert [asked_for(), asked_for()] == [0, 0], "made again, the same bytes"
        version[0], fails[0] = "b", True
        make("upstream")
        assert asked_for() == 1, "new data"
        make("downstream")
        assert [asked_for() for _ in range(4)] == [0, 0, 0, 0], "a failure is no event"
        version[0], fails[0] = "c", False
        make("upstream")
        assert asked_for() == 1, "newer data"
        make("downstream")
        assert asked_for() == 0


def test_cpu_work_is_automatic_and_gpu_work_never_is(toy: Workspace) -> None:
    definitions = build_definitions(toy)
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    automatic = {key for key, spec in specs.items() if spec.automation_condition is not None}
    assert automatic == automatic_assets([CORPUS]) and automatic <= set(specs)
    assert not any("models" in key.path or "release" in key.path for key in automatic)
    assert all(sensor.default_status == dg.DefaultSensorStatus.STOPPED for sensor in definitions.sensors or [])
