"""What the records answer: what made something, what a change makes again, and what does not hold any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.lineage_scale import CORPUS, RecordWriter, make_registry
from magictalk_core.errors import UserError
from magictalk_core.lineage.agreement import asset_of, check_dagster, check_dvc
from magictalk_core.lineage.as_html import html_page
from magictalk_core.lineage.as_text import tree_lines
from magictalk_core.lineage.clip_index import ClipIndex
from magictalk_core.lineage.descendants import descendants_of_clips, downstream_graph
from magictalk_core.lineage.findings import find_orphaned, find_stale, find_unverifiable
from magictalk_core.lineage.graph import upstream_graph
from magictalk_core.lineage.obligations import terms_of_models
from magictalk_core.lineage.reference import find_subject
from magictalk_core.lineage.registry import Registry
from magictalk_core.training.in_use import RunsInUse, point_champion, point_newest, runs_in_use
from magictalk_core.work.provenance import archived_path, record_path
from magictalk_core.workspace import Workspace
from pipelines.cli import app

CLIPS, SHARDS = 120, 20


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Records of 120 clips in 20 shards, two of them held out; read only."""
    return make_registry(tmp_path_factory.mktemp("registry") / "home", CLIPS, SHARDS)


@pytest.fixture
def own(tmp_path: Path) -> Workspace:
    return make_registry(tmp_path / "home", 12, 4)


def names(found: object) -> set[str]:
    return {record.name for record in found}  # type: ignore[attr-defined]


def test_a_change_of_one_clip_makes_exactly_its_descendants_again(made_up: Workspace) -> None:
    registry, clips = Registry.read(made_up), ClipIndex(made_up)
    everything = names(registry.current.values())
    shards = {name for name in everything if name.startswith(f"corpora/{CORPUS}/dataset/") and name.count("/") == 4}
    models = {name for name in everything if name.startswith("models/")}
    assert len(shards) == 3 * SHARDS and len(models) == 2
    for place in range(SHARDS):  # one clip of every shard; every tenth shard is a held-out speaker
        row = clips.rows.iloc[[place]]
        shard, split = row["shard"].iloc[0], row["split"].iloc[0]
        own = {name for name in shards if name.endswith(f"/{shard}.parquet")}
        never = {"rig/rig.npz", *(shards - own), *(models if split == "test" else ())}
        assert names(descendants_of_clips(registry, row)) == everything - never, (shard, split)


def test_several_clips_touch_the_shards_of_all_of_them(made_up: Workspace) -> None:
    registry, clips = Registry.read(made_up), ClipIndex(made_up)
    found = names(descendants_of_clips(registry, clips.rows.iloc[[0, 1, 1 + SHARDS]]))
    assert len([name for name in found if "/dataset/media/" in name]) == 2


def test_a_video_leads_to_raw_files_and_clips_are_only_counted(made_up: Workspace) -> None:
    registry, clips = Registry.read(made_up), ClipIndex(made_up)
    graph = upstream_graph(registry, clips, find_subject(registry, clips, "videos/comparison/0.mp4"))
    lines = list(tree_lines(graph))
    assert any(f"media/ ({SHARDS})" in line and f"{CLIPS} clips" in line for line in lines)
    assert any(line.endswith("[given]") and f"raw files ({CLIPS})" in line for line in lines)
    assert len(lines) < 40
    every = list(tree_lines(graph, all_members=True))
    assert sum(clips.rows["raw_md5"].iloc[7] in line for line in every) == 1
    page = html_page(graph, "0.mp4", "by its name")
    assert f"{CLIPS} clips" in page and clips.rows["clip_id"].iloc[0] not in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")


def test_what_was_made_from_a_model_is_found_by_its_hash(made_up: Workspace) -> None:
    registry, clips = Registry.read(made_up), ClipIndex(made_up)
    model = find_subject(registry, clips, "models/emodiff").records[0]
    by_hash = find_subject(registry, clips, model.md5[:12])
    assert by_hash.records == (model,)
    _, found = downstream_graph(registry, clips, by_hash)
    assert {record.kind for record in found} == {"generated", "refined", "scores", "summary", "comparison", "video"}


@pytest.mark.parametrize(
    ("ref", "clips"),
    [(f"{CORPUS}/M00003/3", 1), (f"{CORPUS}/M00003", 6), (f"{CORPUS}/M00003/video/23.mp4", 1)],
    ids=["clip", "speaker", "raw file"],
)
def test_clips_are_found_by_what_people_call_them(made_up: Workspace, ref: str, clips: int) -> None:
    registry, index = Registry.read(made_up), ClipIndex(made_up)
    subject = find_subject(registry, index, ref)
    assert len(subject.clips) == clips
    md5 = index.of_ids(subject.clips)["raw_md5"].iloc[0]
    assert set(find_subject(registry, index, md5).clips) <= set(subject.clips)


def test_what_nothing_is_known_by_says_what_a_reference_may_be(made_up: Workspace) -> None:
    registry, index = Registry.read(made_up), ClipIndex(made_up)
    with pytest.raises(UserError, match="give the path of a file, an asset"):
        find_subject(registry, index, "no such thing")


def test_nothing_is_stale_after_a_run_and_all_that_follows_is_when_an_input_changes(own: Workspace) -> None:
    assert find_stale(Registry.read(own)) == []
    RecordWriter(own)("rig", "rig/rig.npz", md5="f" * 32)
    stale = {finding.name: finding.why for finding in find_stale(Registry.read(own))}
    assert set(stale) == {
        "scores/scores.parquet", "tables/summary.csv", "videos/comparison",
        *(f"videos/comparison/{n}.mp4" for n in range(len(stale) - 3)),
    }  # fmt: skip
    assert (
        "f" * 32 in stale["scores/scores.parquet"] and stale["tables/summary.csv"] == "scores/scores.parquet is stale"
    )


def test_a_shard_whose_rows_stay_is_not_stale_when_the_index_changes(own: Workspace) -> None:
    index = Registry.read(own).current["index", f"corpora/{CORPUS}/index.parquet"]
    changed = index.digests | {"M00002": "0" * 32}
    RecordWriter(own)("index", index.name, list(index.inputs), md5="e" * 32, digests=changed)
    stale = [f.name for f in find_stale(Registry.read(own)) if "/dataset/media/" in f.name]
    assert stale == [f"corpora/{CORPUS}/dataset/media/M00002.parquet"]


def test_a_champion_that_is_not_the_newest_makes_nothing_stale(own: Workspace) -> None:
    """A refused challenger: trainings go on from the newest, everything else from the champion."""
    write, registry = RecordWriter(own), Registry.read(own)
    champion = registry.current["model", f"models/emodiff/{runs_of(own).newest}/model"]
    point_champion(own.models("emodiff"), runs_of(own).newest)
    data = registry.current["training_set", "training_set"]
    write("model", "models/emodiff/refused/model", [write.part(data, "learned")], md5="c" * 32 + ".dir")
    point_newest(own.models("emodiff"), "refused")
    registry, clips = Registry.read(own), ClipIndex(own)
    assert find_stale(registry) == []
    assert find_subject(registry, clips, "models/emodiff").records == (champion,)
    assert find_subject(registry, clips, "models/emodiff/newest").records[0].name == "models/emodiff/refused/model"
    point_champion(own.models("emodiff"), "refused")
    stale = {finding.name for finding in find_stale(Registry.read(own))}
    assert "generated/test/motion.parquet" in stale and "models/emodiff/refused/model" not in stale


def runs_of(workspace: Workspace) -> RunsInUse:
    found = runs_in_use(workspace.models("emodiff"))
    assert found is not None
    return found


def test_lost_outputs_and_records_are_named(own: Workspace) -> None:
    registry = Registry.read(own)
    # Only records were made: every output is missing but the index.
    gone = {f.name for f in find_orphaned(registry)}
    assert "rig/rig.npz" in gone and f"corpora/{CORPUS}/index.parquet" not in gone
    record_path(own.index_table(CORPUS)).unlink()
    rig = registry.current["rig", "rig/rig.npz"]
    record_path(own.home / rig.name).unlink()
    archived_path(own.home, rig.md5, "rig").unlink()
    found = {(f.name, f.why) for f in find_unverifiable(Registry.read(own))}
    assert any(name == f"corpora/{CORPUS}/index.parquet" and "no provenance record" in why for name, why in found)
    assert any(name == "scores/scores.parquet" and rig.md5 in why for name, why in found)


def test_a_disagreement_names_both_values(own: Workspace) -> None:
    registry = Registry.read(own)
    records = list(registry.current.values())
    versions = {place: r.version for r in records if (place := asset_of(r)) is not None}
    assert check_dagster(registry, records, versions) == []
    shard = registry.current["speech", f"corpora/{CORPUS}/dataset/speech/M00001.parquet"]
    versions[f"{CORPUS}/speech", "M00001"] = "a" * 32
    (found,) = check_dagster(registry, records, versions)
    assert shard.md5 in str(found) and "a" * 32 in str(found) and shard.name in str(found)
    lock = {"stages": {f"dataset@{CORPUS}": {"outs": [{"md5": "b" * 32 + ".dir"}]}}}
    (own.home / "dvc.lock").write_text(json.dumps(lock))
    (found,) = check_dvc(registry, records)
    snapshot = registry.current["snapshot", f"corpora/{CORPUS}/dataset"]
    assert (found.record, found.other) == (snapshot.md5, "b" * 32 + ".dir")


def test_a_model_that_learned_from_mead_is_non_commercial(made_up: Workspace) -> None:
    models = terms_of_models(Registry.read(made_up), ClipIndex(made_up))
    assert len(models) == 2
    for model in models:
        assert "non-commercial" in model.obligations and not model.is_synthetic
        assert sum(corpus.clips for corpus in model.corpora) == CLIPS * 18 // 20


def test_the_command_answers_offline_as_text_json_and_page(made_up: Workspace, tmp_path: Path) -> None:
    home = ["--home", str(made_up.home)]
    text = CliRunner().invoke(app, ["lineage", "tables/summary", *home])
    assert text.exit_code == 0 and "models/emodiff" in text.stdout and "raw files" in text.stdout
    page = tmp_path / "page.html"
    done = CliRunner().invoke(
        app, ["lineage", f"{CORPUS}/M00001", "--downstream", "--json", "--html", str(page), *home]
    )
    values = json.loads(done.stdout)
    assert page.is_file() and values["downstream"] and len(values["nodes"]) > 10
    assert CliRunner().invoke(app, ["lineage", "nothing", *home]).exit_code == 2
