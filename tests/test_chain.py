"""The whole graph on a tiny corpus: what it leaves, that nothing is done twice, what a changed setting does again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from chain_fixtures import (
    BOOKKEEPING,
    CORPUS,
    DERIVED,
    TINY_CLIPS,
    copy_of,
    files_of,
    is_named,
    run_graph,
    settings_in,
    tiny_preset,
    unshared,
    with_another,
    without,
    written_since,
)

from magictalk_core.commands.verify import verify_file
from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.corpora.sample.true_curves import read_true_curves
from magictalk_core.evaluation.clip_scores import score_test_motion
from magictalk_core.evaluation.comparison import render_comparisons
from magictalk_core.evaluation.generate import generate_test_motion
from magictalk_core.evaluation.lip_ablation import ablate_lips
from magictalk_core.evaluation.set_scores import score_sets
from magictalk_core.models.families import FAMILIES
from magictalk_core.models.sync_expert.judge import open_judge
from magictalk_core.preparation.listing import read_index, write_clips, write_index
from magictalk_core.preparation.shards import blendshapes_shard, media_shard, speech_shard
from magictalk_core.presets.preset import Preset
from magictalk_core.report.assemble import assemble_report
from magictalk_core.storage.hashes import file_md5, tree_md5
from magictalk_core.storage.parquet import table_metadata
from magictalk_core.training_set.assemble import assemble_training_set
from magictalk_core.work.manifest import read_manifest
from magictalk_core.work.provenance import Work, output_md5
from magictalk_core.workspace import Workspace
from pipelines.dvc_workspace import stage_params
from pipelines.instance import open_instance


def test_the_chain_leaves_tables_models_signed_videos_and_a_report(tiny_chain: Workspace) -> None:
    clips = pd.read_parquet(tiny_chain.clips_table(CORPUS))
    assert len(clips) == len(TINY_CLIPS) and set(clips["status"]) == {"ok"}
    assert {path.name for path in (tiny_chain.home / "models").iterdir()} == {
        name for name, family in FAMILIES.items() if not family.by_hand
    }
    for path, method in (
        (tiny_chain.tables / "summary.csv", "magictalk"),
        (tiny_chain.lip_ablation / "lip_ablation.csv", "emodiff"),
    ):
        table = pd.read_csv(path)
        assert table["stand_ins"].notna().all()
        assert table.loc[table["method"] == method, "stand_ins"].str.contains("speech=deepspeech-small-1").all()
    videos = sorted((tiny_chain.videos / "comparison").rglob("*.mp4"))
    assert len(videos) == 2 and all(verify_file(video).is_intact for video in videos)
    report = (tiny_chain.report / "report.html").read_text(encoding="utf-8")
    assert all(video.name in report for video in videos) and "tiny" in report


def test_one_number_in_three_systems(tiny_chain: Workspace) -> None:
    import dagster as dg
    import mlflow

    digest = read_manifest(tiny_chain.manifest(CORPUS)).digest
    lock = yaml.safe_load((tiny_chain.home / "dvc.lock").read_text())
    assert lock["stages"][f"dataset@{CORPUS}"]["outs"][0]["md5"] == digest == tree_md5(tiny_chain.dataset(CORPUS))
    event = open_instance(tiny_chain).get_latest_materialization_event(dg.AssetKey([CORPUS, "snapshot"]))
    assert event is not None and event.asset_materialization is not None
    assert (event.asset_materialization.tags or {})["dagster/data_version"] == digest
    client = mlflow.MlflowClient(f"sqlite:///{tiny_chain.mlflow / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("magictalk/emodiff")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    packed = output_md5(tiny_chain.training_set)
    assert {entry.dataset.digest for entry in found.inputs.dataset_inputs} == {digest, packed}
    assert found.data.tags["dagster.asset_key"] == "models/emodiff"


def test_tracked_curves_follow_the_true_ones(tiny_chain: Workspace) -> None:
    tables = sorted((tiny_chain.dataset(CORPUS) / "blendshapes").glob("*.parquet"))
    frames = pd.concat(map(pd.read_parquet, tables))
    truth = read_true_curves(corpus_of(load_corpus(tiny_chain, CORPUS)))
    joined = truth.merge(frames, on=["clip_id", "frame_index"], suffixes=("_true", ""))
    assert len(joined) >= 0.95 * len(frames)
    # Measured 0.62 and more; the test of the whole sample corpus asks for more.
    for channel, least in (("jawOpen", 0.5), ("eyeBlinkLeft", 0.7)):
        assert np.corrcoef(joined[f"{channel}_true"], joined[channel])[0, 1] > least, channel


def test_a_second_run_computes_nothing(tiny_chain: Workspace) -> None:
    home = tiny_chain.home
    before = files_of(home)
    derived = {path: file_md5(home / path) for path in before.keys() - without(set(before), DERIVED)}
    with unshared(tiny_chain):
        run_graph(tiny_chain, tiny_preset())
    assert without(written_since(before, home), BOOKKEEPING, DERIVED) == set()
    assert {path: file_md5(home / path) for path in derived} == derived


def test_changed_guidance_trains_nothing_and_is_stamped_on_what_was_generated(
    tiny_chain: Workspace, tmp_path: Path
) -> None:
    workspace = copy_of(tiny_chain, tmp_path / "home")
    before, values = files_of(workspace.home), tiny_preset()
    values["emodiff"]["sampling"]["guidance"] = 0.25
    run_graph(workspace, values, "models/emodiff generated")
    written = without(written_since(before, workspace.home), BOOKKEEPING)
    assert {path.split("/")[0] for path in written} == {"generated", "cache"}
    assert all(path.startswith(("generated/", "cache/emodiff_motion/")) for path in written)
    stamped = json.loads(table_metadata(workspace.generated("test") / "motion.parquet")["sampling"])
    assert stamped == values["emodiff"]["sampling"] and stamped["guidance"] == 0.25


def test_a_changed_threshold_decodes_nothing(tiny_chain: Workspace, tmp_path: Path) -> None:
    workspace = copy_of(tiny_chain, tmp_path / "home")
    before, values = files_of(workspace.home), tiny_preset()
    sharpness = pd.read_parquet(workspace.clips_table(CORPUS)).set_index("clip_id")["sharpness"]
    values["quality"]["min_sharpness"] = float(sharpness.sort_values().iloc[:2].mean())
    run_graph(workspace, values, f"+{CORPUS}/snapshot")
    written = without(written_since(before, workspace.home), BOOKKEEPING, DERIVED)
    assert written == set(), "neither media, nor a piece of a clip, nor a shard's table"
    headers = [file_md5(each.cache("headers") / f"{CORPUS}.json") for each in (workspace, tiny_chain)]
    assert headers[0] == headers[1], "no header was read again"
    clips = pd.read_parquet(workspace.clips_table(CORPUS)).set_index("clip_id")
    assert dict(clips["reason"].dropna()) == {sharpness.idxmin(): "blurred"}


# --- what the stages of dvc.yaml say that they read ------------------------------------------------------------------


@pytest.fixture(scope="module")
def preset() -> Preset:
    return Preset.model_validate(tiny_preset())


def _all_others_changed(preset: Preset, params: list[str]) -> Preset:
    """Every setting that `params` do not name has another value."""
    for name in settings_in(preset):
        if not is_named(name, params):
            preset = with_another(preset, name)
    return preset


def _inputs(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The identity of the work behind an output, in place of the output."""

    def inputs(workspace: Workspace, preset: Preset) -> Any:
        found: list[Any] = []
        with monkeypatch.context() as patched:
            patched.setattr(Work, "is_made", lambda work: not found.append(work.digest))
            make(workspace, [CORPUS], preset)
        return found

    return inputs


RECORDED = {
    "generated": generate_test_motion,
    "scores": score_test_motion,
    "set_scores": score_sets,
    "lip_ablation": ablate_lips,
    "videos-comparison": render_comparisons,
}


@pytest.mark.parametrize("stage", RECORDED)
def test_params_of_an_evaluation_stage_are_what_its_work_reads(
    stage: str, tiny_chain: Workspace, preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, params = _inputs(RECORDED[stage], monkeypatch), stage_params(stage)
    base = inputs(tiny_chain, preset)
    assert inputs(tiny_chain, _all_others_changed(preset, params)) == base
    named = [name for name in settings_in(preset) if is_named(name, params)]
    # One number for several requests at once: they are not asked otherwise where the test clips are two.
    for name in named:
        assert inputs(tiny_chain, with_another(preset, name)) != base, name


def test_params_of_the_report_are_what_it_reads(tiny_chain: Workspace, preset: Preset, tmp_path: Path) -> None:
    workspace, params = copy_of(tiny_chain, tmp_path / "home"), stage_params("report")
    base = assemble_report(workspace, [CORPUS], preset).md5
    assert assemble_report(workspace, [CORPUS], _all_others_changed(preset, params)).md5 == base
    for name in params:
        assert assemble_report(workspace, [CORPUS], with_another(preset, name)).md5 != base, name


def test_the_dataset_and_the_training_set_read_no_more_than_their_params(
    tiny_chain: Workspace, preset: Preset, tmp_path: Path
) -> None:
    workspace = copy_of(tiny_chain, tmp_path / "home")
    before, root = files_of(workspace.home), load_corpus(workspace, CORPUS).root
    other = _all_others_changed(preset, stage_params("dataset"))
    shards = write_index(workspace, CORPUS, other).shards
    for shard in shards:
        index = read_index(workspace, CORPUS, shard)
        assert media_shard(workspace, CORPUS, root, shard, index, other).computed == 0
        assert blendshapes_shard(workspace, CORPUS, shard, other).computed == 0
        assert speech_shard(workspace, CORPUS, shard, other).computed == 0
    assert write_clips(workspace, CORPUS, other.quality).md5 == file_md5(tiny_chain.clips_table(CORPUS))
    other = _all_others_changed(preset, stage_params("training_set"))
    packed = assemble_training_set(workspace, [CORPUS], other, open_judge)
    assert packed.digest == json.loads((tiny_chain.training_set / "info.json").read_text())["digest"]
    assert without(written_since(before, workspace.home), DERIVED, ("cache/md5/*",)) == set()
