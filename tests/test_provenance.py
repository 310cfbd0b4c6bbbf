"""Every output leaves a record of what it was made from, down to raw files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from chain_fixtures import CORPUS, copy_of, run_graph, tiny_preset
from typer.testing import CliRunner

from magictalk_core.corpora.registry import list_corpora
from magictalk_core.lineage.findings import find_unverifiable
from magictalk_core.lineage.registry import Registry
from magictalk_core.lineage.report import read_lineage_report
from magictalk_core.models.families import FAMILIES
from magictalk_core.release.families import RELEASED
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.run import current_model
from magictalk_core.work.provenance import Provenance, archived_path, read_record, record_of
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from pipelines.definitions import build_definitions


def outputs_of(workspace: Workspace) -> dict[str, list[Path]]:
    """Asset -> what it leaves, in the workspace after a run."""
    found = {
        f"{CORPUS}/source": [workspace.listing(CORPUS)],
        f"{CORPUS}/index": [workspace.index_table(CORPUS)],
        f"{CORPUS}/clips": [workspace.clips_table(CORPUS)],
        f"{CORPUS}/manifest": [workspace.manifest(CORPUS)],
        f"{CORPUS}/snapshot": [workspace.dataset(CORPUS), workspace.corpus(CORPUS) / "croissant.json"],
        f"{CORPUS}/card": [workspace.card(CORPUS)],
        "arkit_dataset": [workspace.arkit_dataset],
        "training_set": [workspace.training_set],
        "rig": [workspace.rig / "rig.npz"],
        "generated": [workspace.generated("test") / "motion.parquet"],
        "refined": [workspace.refined("test") / "motion.parquet"],
        "scores": [workspace.scores / "scores.parquet"],
        "set_scores": [workspace.set_scores / "set_scores.parquet"],
        "lip_ablation": [workspace.lip_ablation / "lip_ablation.csv"],
        "external_videos": [workspace.external_videos],
        "figures/user_study": [workspace.figures / "user_study"],
        "picture_motion": [workspace.picture_motion("test") / "motion.parquet"],
        "picture_scores": [workspace.picture_scores / "picture_scores.parquet"],
        **{f"tables/{name}": [workspace.tables / name] for name in (*map("table{}".format, range(1, 5)), "ablations")},
        **{f"figures/{name}": [workspace.figures / name] for name in ("figure4", "figure6", "figure9")},
        "paper": [workspace.paper / "paper.html"],
        "videos/grids": [workspace.videos / "grids"],
        "tables/summary": [workspace.tables / "summary.csv"],
        "tables/claims": [workspace.tables / "claims.parquet"],
        "tables/gain": [workspace.tables / "gain.json"],
        "videos/comparison": [workspace.videos / "comparison", *(workspace.videos / "comparison").glob("*.mp4")],
        "lineage_report": [workspace.lineage_report],
        "report": [workspace.report / "report.html"],
    }
    for table in ("media", "blendshapes", "speech"):
        found[f"{CORPUS}/{table}"] = sorted((workspace.dataset(CORPUS) / table).glob("*.parquet"))
    found |= {f"release/{name}": [workspace.releases(name)] for name in RELEASED}
    made = [name for name, family in FAMILIES.items() if not family.by_hand]
    return found | {f"models/{name}": [current_model(workspace.models(name))] for name in made}


def records_of(workspace: Workspace) -> list[Provenance]:
    found = [record_of(path) for paths in outputs_of(workspace).values() for path in paths]
    return [record for record in found if record is not None]


def test_every_asset_leaves_a_record_of_what_lies_there(tiny_chain: Workspace) -> None:
    graph = build_definitions(tiny_chain).resolve_asset_graph()
    assets = {key.to_user_string() for key in graph.get_all_asset_keys()}
    by_hand = {"recipes/deepspeech_small", "seed_scores", "models/facevid2vid"}
    no_output = {f"{CORPUS}/shards"}  # it leaves those of the three tables
    outputs = outputs_of(tiny_chain)
    assert set(outputs) == assets - by_hand - no_output
    for asset, paths in outputs.items():
        assert paths, asset
        for path in paths:
            record = record_of(path)
            assert record is not None, (asset, path)
            assert record.name == path.relative_to(tiny_chain.home).as_posix()
            assert read_record(archived_path(tiny_chain.home, record.md5, record.kind)) == record
            base = path if path.is_dir() else path.parent
            assert {name: file_md5(base / name) for name in record.files} == record.files, asset
            assert record.preset is not None and record.preset.name == "tiny"
            assert record.dagster_run, asset
    assert record_of(tiny_chain.clips_table(CORPUS)).clips.count == 4  # type: ignore[union-attr]


def test_every_input_is_the_hash_of_a_record_or_a_raw_file(tiny_chain: Workspace) -> None:
    records = records_of(tiny_chain)
    known = {(record.kind, record.name): record for record in records}
    tables = (tiny_chain.dataset(CORPUS) / "media").glob("*.parquet")
    media = [row for path in tables for row in pq.read_table(path).to_pylist()]
    clips = {row[f"{part}_path"]: row[f"{part}_md5"] for row in media for part in ("video", "audio")}
    raw = {entry.labels for entry in list_corpora(tiny_chain)} | {tiny_chain.corpus_file(CORPUS)}
    seen = set()
    for record in records:
        for one in record.inputs:
            seen.add(one.kind)
            if one.kind in ("registration", "labels"):
                assert (tiny_chain.home / one.name) in raw and one.md5 == file_md5(tiny_chain.home / one.name)
            elif one.kind == "clip":
                assert one.md5 == clips[one.name.removeprefix(f"corpora/{CORPUS}/")]
            else:
                source = known[one.kind, one.name]
                assert one.md5 == source.md5, (record.name, one)
                assert one.part is None or one.part_md5 == source.digests[one.part]
    assert {"source", "index", "media", "manifest", "training_set", "model", "refined", "scores", "clip"} <= seen


@pytest.mark.slow
def test_a_second_run_leaves_every_record_as_it_is(tiny_chain: Workspace, tmp_path: Path) -> None:
    workspace = copy_of(tiny_chain, tmp_path / "home")
    records = [*workspace.home.rglob("*.provenance.json"), *workspace.home.glob("corpora/*/provenance/**/*.json")]
    before = {path: path.read_bytes() for path in records if path.parent.name != "report"}  # which names the home
    assert len(before) > 25
    run_graph(workspace, tiny_preset())
    assert [path for path in before if path.read_bytes() != before[path]] == []


def test_a_broken_record_is_told_and_a_lost_one_written_again_without_the_work(
    tiny_chain: Workspace, tmp_path: Path
) -> None:
    workspace = copy_of(tiny_chain, tmp_path / "home")
    path = next((workspace.corpus(CORPUS) / "provenance/speech").glob("*.json"))
    record = json.loads(path.read_text())
    path.write_text("{")
    (found,) = find_unverifiable(Registry.read(workspace))[:1]
    assert str(path) in found.why and "magictalk run" in found.why
    path.unlink()
    report = run_graph(workspace, tiny_preset(), f"{CORPUS}/speech")
    assert all(outcome.counts.get("clips_computed", 0) == 0 for outcome in report.outcomes)
    again = json.loads(path.read_text())
    how = ("code", "made", "seconds", "dagster_run", "seal")
    assert {k: v for k, v in again.items() if k not in how} == {k: v for k, v in record.items() if k not in how}


def test_from_a_comparison_video_to_the_raw_files_in_one_command(tiny_chain: Workspace, tmp_path: Path) -> None:
    video = sorted((tiny_chain.videos / "comparison").glob("*.mp4"))[0]
    sent = tmp_path / "sent.mp4"
    sent.write_bytes(video.read_bytes())
    root = list_corpora(tiny_chain)[0].root
    raw = {file_md5(path) for path in root.rglob("*") if path.suffix in (".mp4", ".m4a")}
    assert len(raw) == 8
    for ref in (str(video), str(sent), video.relative_to(tiny_chain.home).as_posix()):
        done = CliRunner().invoke(app, ["lineage", ref, "--home", str(tiny_chain.home)])
        assert done.exit_code == 0, done.output
        assert raw <= set(re.findall("[0-9a-f]{32}", done.stdout)), ref


def test_records_dagster_dvc_and_mlflow_agree_after_a_run(tiny_chain: Workspace) -> None:
    report = read_lineage_report(tiny_chain)
    assert report is not None
    assert report["findings"] == [] and report["disagreements"] == [] and report["not_asked"] == []
    made = [family for family in FAMILIES.values() if not family.by_hand]
    assert report["outputs"]["model"] == len(made) and all(model["is_synthetic"] for model in report["models"])
    page = (tiny_chain.report / "report.html").read_text()
    assert "What the models oblige to" in page and "0 stale" in page
