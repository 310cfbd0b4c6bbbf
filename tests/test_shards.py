"""All shards of a corpus in one run: versions of their own, failures of their own, nothing done that is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from assets import shard_steps, shards
from assets.keys import SHARD_STAGES, corpus_key, shard_partitions
from assets.records import recorded_versions
from assets.shard_steps import Check, ShardWork, StepResult
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.errors import MachineError, PermanentError, TransientError
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.storage.schema import CLIPS, FRAMES, MEDIA, SPEECH
from magictalk_core.vocabulary.clips import Split, Status
from magictalk_core.work.side_by_side import Processors, side_by_side
from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import open_instance

SPECS = {"media": MEDIA, "blendshapes": FRAMES, "speech": SPEECH}


@dataclass
class Steps:
    """In place of the three steps: each writes an empty table that is marked with the shard and an edition."""

    edition: str = "1"
    failing: dict[str, Exception] = field(default_factory=dict)
    unsound: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    def step(self, stage: str) -> Any:
        def run(work: ShardWork) -> StepResult:
            if stage == "media" and work.shard in self.failing:
                raise self.failing[work.shard]
            path = work.workspace.shard_table(work.corpus, stage, work.shard)
            md5 = write_table(SPECS[stage], [], path, {"made": f"{work.shard} {self.edition}"})
            self.done.append(f"{stage}/{work.shard}")
            checks = tuple(
                Check(name, work.shard not in self.unsound, blocking, "", {})
                for name, blocking in shards.CHECKS[stage].items()
            )
            return StepResult(md5, len(work.index), 1, {"path": str(path)}, checks)

        return run


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    fake = Steps()
    monkeypatch.setattr(shard_steps, "STEPS", {stage: fake.step(stage) for stage in SHARD_STAGES})
    monkeypatch.setattr(shards, "STEPS", {stage: fake.step(stage) for stage in SHARD_STAGES})
    return fake


def index_of(names: list[str], label: str = "neutral", raw: str = "1") -> list[dict[str, Any]]:
    return [
        {
            "clip_id": f"c/{shard}/{n}", "corpus": "c", "shard": shard, "speaker": shard, "source": shard,
            "emotion": label, "licence": "none", "raw_path": f"{shard}/{n}.mp4", "raw_md5": raw * 32,
            "duration_s": 1.0, "split": Split.TRAIN, "status": Status.OK,
        }
        for shard in names
        for n in range(2)
    ]  # fmt: skip


@pytest.fixture
def corpus(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A corpus that is indexed into three shards, and registered in Dagster."""
    (tmp_path / "raw").mkdir()
    add_corpus(workspace, new_entry(name="c", kind="folder", root=tmp_path / "raw"))
    write_table(CLIPS, index_of(["a", "b", "d"]), workspace.index_table("c"))
    open_instance(workspace).add_dynamic_partitions(str(shard_partitions("c").name), ["a", "b", "d"])
    return workspace


def sweep(workspace: Workspace, **config: list[str]) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(workspace)
    job = definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[corpus_key("c", "shards")],
        instance=open_instance(workspace),
        raise_on_error=False,
        run_config={"ops": {"c__shards": {"config": config}}},
    )


def versions(workspace: Workspace, stage: str = "media") -> dict[str, str]:
    return recorded_versions(open_instance(workspace), corpus_key("c", stage))


@pytest.mark.slow
def test_one_run_gives_every_shard_its_own_version(corpus: Workspace, steps: Steps) -> None:
    assert sweep(corpus).success
    for stage in SHARD_STAGES:
        found = versions(corpus, stage)
        assert found == {shard: file_md5(corpus.shard_table("c", stage, shard)) for shard in "abd"}
        assert len(set(found.values())) == 3


def test_what_is_unchanged_is_passed_over_and_leaves_no_event(corpus: Workspace, steps: Steps) -> None:
    sweep(corpus)
    steps.done.clear()
    again = sweep(corpus)
    assert again.success and steps.done == []
    assert [str(event.asset_key) for event in again.get_asset_materialization_events()] == [
        str(corpus_key("c", "shards"))
    ]


@pytest.mark.thinned(4)
@pytest.mark.parametrize("lost", ["table", "content", "record", "media"])
def test_a_shard_that_is_not_as_it_was_left_is_worked_on_again(corpus: Workspace, steps: Steps, lost: str) -> None:
    sweep(corpus)
    steps.done.clear()
    table = corpus.shard_table("c", "speech", "b")
    if lost == "table":
        table.unlink()
    elif lost == "content":
        write_table(SPEECH, [], table, {"made": "otherwise"})
    elif lost == "record":
        (corpus.cache("shards") / "c" / "b.json").unlink()
    else:
        corpus.media("c", "b").mkdir(parents=True)
        (corpus.media("c", "b") / "stranger.mp4").touch()
    assert sweep(corpus).success
    assert {name.split("/")[1] for name in steps.done} == {"b"}


@pytest.mark.slow
def test_only_what_the_steps_read_of_the_index_counts(corpus: Workspace, steps: Steps) -> None:
    sweep(corpus)
    steps.done.clear()
    write_table(CLIPS, index_of(["a", "b", "d"], label="happy"), corpus.index_table("c"))
    assert sweep(corpus).success and steps.done == []
    rows = index_of(["a", "b"]) + index_of(["d"], raw="2")
    write_table(CLIPS, rows, corpus.index_table("c"))
    assert sweep(corpus).success
    assert {name.split("/")[1] for name in steps.done} == {"d"}


def test_a_failed_shard_does_not_stop_the_others_and_is_tried_again(corpus: Workspace, steps: Steps) -> None:
    steps.failing = {"b": PermanentError("bad disk sector in b")}
    failed = sweep(corpus)
    assert not failed.success
    (event,) = [e for e in failed.all_events if e.is_step_failure]
    assert "shard b: bad disk sector in b" in str(event.step_failure_data.error)
    assert set(versions(corpus)) == {"a", "d"}
    steps.failing, steps.done = {}, []
    assert sweep(corpus).success
    assert {name.split("/")[1] for name in steps.done} == {"b"}


def test_passing_trouble_is_tried_again_by_dagster(
    corpus: Workspace, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.retries.SECONDS_BETWEEN_TRIES", 0.0)
    steps.failing = {"b": TransientError("the weights cannot be fetched now")}
    result = sweep(corpus)
    assert any(event.is_step_up_for_retry for event in result.all_events)


def test_verdicts_on_shards_stand_beside_each_other(corpus: Workspace, steps: Steps) -> None:
    """A failing shard must not turn green because another shard passes after it."""
    steps.unsound = {"a"}
    assert not sweep(corpus).success
    key = dg.AssetCheckKey(corpus_key("c", "blendshapes"), "frames_match_media")
    records = open_instance(corpus).event_log_storage.get_asset_check_execution_history(key, limit=10)
    events = [record.event.dagster_event for record in records if record.event is not None]
    found = [event.asset_check_evaluation_data for event in events if event is not None]
    evaluations = {evaluation.partition: evaluation.passed for evaluation in found}
    assert evaluations == {"a": False, "b": True, "d": True}


@pytest.mark.slow
def test_a_selection_of_shards_and_stages(corpus: Workspace, steps: Steps) -> None:
    result = sweep(corpus, only=["d"], stages=["media"])
    assert result.success and steps.done == ["media/d"]
    assert not sweep(corpus, only=["z"]).success


def test_a_backfill_of_one_shard_records_the_same_version(corpus: Workspace, steps: Steps) -> None:
    sweep(corpus)
    before = versions(corpus)
    job = build_definitions(corpus).resolve_job_def("c_shards")
    assert job.execute_in_process(instance=open_instance(corpus), partition_key="b").success
    assert versions(corpus) == before


@pytest.mark.slow
def test_shards_that_dagster_does_not_know_are_recorded_without_work(corpus: Workspace, steps: Steps) -> None:
    sweep(corpus)
    known, steps.done = versions(corpus), []
    open_instance(corpus).wipe_assets([corpus_key("c", "media")])
    assert versions(corpus) == {}
    assert sweep(corpus).success
    assert versions(corpus) == known and steps.done == []


# --- side by side ----------------------------------------------------------------------------------------------------


def test_units_run_beside_each_other_and_the_last_has_all_processors() -> None:
    met, shares = threading.Barrier(2), {}

    def work(unit: str, processors: Processors) -> str:
        if unit in "ab":
            met.wait(timeout=10)
        else:
            time.sleep(0.1)
        shares[unit] = processors.share()
        return unit

    processors = Processors(2)
    assert dict(side_by_side(work, ["a", "b"], processors)) == {"a": "a", "b": "b"}
    assert dict(side_by_side(work, ["c"], processors)) == {"c": "c"}
    assert shares["c"] == 2


def test_trouble_of_the_machine_stops_all_units() -> None:
    started: list[int] = []

    def work(unit: int, processors: Processors) -> int:
        started.append(unit)
        if unit == 0:
            raise MachineError("no room")
        while True:
            processors.share()
            time.sleep(0.01)

    with pytest.raises(MachineError, match="no room"):
        list(side_by_side(work, range(6), Processors(2)))
    assert len(started) < 6


def test_a_caller_that_leaves_stops_the_units() -> None:
    def work(unit: int, processors: Processors) -> int:
        while unit:
            processors.share()
            time.sleep(0.01)
        return unit

    found: Iterator[Any] = side_by_side(work, [0, 1], Processors(2))
    assert next(found) == (0, 0)
    found.close()  # type: ignore[attr-defined]


# --- remembered hashes -----------------------------------------------------------------------------------------------


def test_hashes_are_read_again_when_a_file_was_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text(file.name)
    memory = RememberedHashes(tmp_path / "memory" / "files.sqlite")
    assert memory.md5_of(files) == {file: file_md5(file) for file in files}
    read: list[Path] = []
    monkeypatch.setattr("magictalk_core.storage.remembered.file_md5", lambda path: read.append(path) or file_md5(path))
    assert memory.md5_of(files) == {file: file_md5(file) for file in files} and read == []
    files[0].write_text("c")
    assert memory.md5_of(files) == {file: file_md5(file) for file in files} and read == [files[0]]
    with pytest.raises(FileNotFoundError):
        memory.md5_of([tmp_path / "none"])


def test_two_hundred_thousand_index_rows_are_compared_in_a_second(workspace: Workspace) -> None:
    from magictalk_core.preparation.known_shards import KnownShards
    from magictalk_core.presets.preset import load_preset

    rows = pd.DataFrame({
        "clip_id": [f"c/{n % 1000}/{n}" for n in range(200_000)], "shard": [str(n % 1000) for n in range(200_000)],
    })  # fmt: skip
    for name in ("raw_path", "raw_audio_path", "raw_md5", "raw_audio_md5", "reason"):
        rows[name] = rows["clip_id"]
    for name in ("start_s", "end_s", "box_x", "box_y", "box_width", "box_height"):
        rows[name] = 1.0
    start = time.process_time()
    known = KnownShards.of(workspace, "c", rows, load_preset("sample"), SHARD_STAGES)
    assert len(known.work) == 1000 and len(set(known.work.values())) == 1000
    assert time.process_time() - start < 5
