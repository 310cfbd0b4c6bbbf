"""From one shard to what a model recorded, and from an old snapshot to the weights that were trained on it."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from chain_fixtures import CORPUS, copy_of, run_graph, tiny_preset
from dvc.repo import Repo
from snapshot_fixtures import TOY, make_dataset, snapshot, toy_workspace

from magictalk_core.lineage.dvc_data import locked_datasets
from magictalk_core.lineage.snapshots import find_snapshot, restore_snapshot
from magictalk_core.models.emodiff.family import EMODIFF
from magictalk_core.models.sync_expert.judge import open_judge
from magictalk_core.presets.of_workspace import preset_of
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS, FRAMES
from magictalk_core.training.run import newest_run, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.assemble import assemble_training_set
from magictalk_core.work.manifest import build_manifest
from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import open_instance
from pipelines.run import run

SHARDS = [f"s{i:03d}" for i in range(150)]


def trained(workspace: Workspace) -> tuple[str, str]:
    """md5 of EmoDiff's weights on the workspace's data and preset, and the digest of the data that its run recorded."""
    preset, tracker = preset_of(workspace), MemoryTracker()
    assemble_training_set(workspace, [TOY], preset, open_judge)
    model = train(EMODIFF, preset, workspace.training_set, workspace.models("emodiff"), tracker)
    return model.weights_md5, str(tracker.logged["datasets"].get(TOY, ""))


@pytest.mark.slow
def test_training_on_a_restored_snapshot_gives_its_weights_again(tmp_path: Path) -> None:
    workspace = toy_workspace(tmp_path / "home")
    one = snapshot(workspace)
    weights, digest = trained(workspace)
    other_digest = make_dataset(workspace, shifted={"toy/m1-happy/1": -0.4})
    snapshot(workspace)
    assert trained(workspace)[0] != weights
    assert digest != other_digest

    restore_snapshot(workspace, one)
    shutil.rmtree(workspace.home / "models")
    shutil.rmtree(workspace.training_set)
    assert trained(workspace) == (weights, digest)


@pytest.mark.slow
def test_after_a_restore_the_named_command_leaves_nothing_for_dvc_status(tiny_chain: Workspace, tmp_path: Path) -> None:
    workspace = copy_of(tiny_chain, tmp_path / "home")
    one, values = find_snapshot(workspace, "HEAD").id, tiny_preset()
    sharpness = pd.read_parquet(workspace.clips_table(CORPUS))["sharpness"].sort_values()
    values["quality"]["min_sharpness"] = float(sharpness.iloc[:2].mean())
    run_graph(workspace, values, f"+{CORPUS}/snapshot training_set models/emodiff")
    weights = newest_run(tiny_chain.models("emodiff")).weights_md5
    assert newest_run(workspace.models("emodiff")).weights_md5 != weights

    newer = restore_snapshot(workspace, one).newer
    assert {"training_set", "models/emodiff", "release/emodiff"} <= set(newer)
    run(workspace, None, " ".join(newer))
    assert newest_run(workspace.models("emodiff")).weights_md5 == weights
    with closing(Repo(str(workspace.home))) as repo:
        assert repo.status() == {}


@pytest.mark.slow
def test_a_model_records_another_digest_when_one_of_150_shards_changes(tmp_path: Path) -> None:
    speakers = {name: ("val" if i == 0 else "test" if i == 1 else "train") for i, name in enumerate(SHARDS[:40])}
    workspace = toy_workspace(tmp_path / "home", speakers=speakers, shards=150, frames_per_clip=20)
    assert len(list((workspace.dataset(TOY) / "blendshapes").iterdir())) == 150
    snapshot(workspace)
    digests = {trained(workspace)[1]}
    for shard in (0, 77, 149):
        path = workspace.dataset(TOY) / "blendshapes" / f"{shard}.parquet"
        frame = read_frame(FRAMES, path)
        write_table(FRAMES, frame.assign(jawOpen=frame["jawOpen"] * 0.5), path)
        manifest = build_manifest(workspace.dataset(TOY), workspace.manifest(TOY))
        snapshot(workspace)
        locked = locked_datasets((workspace.home / "dvc.lock").read_bytes())[TOY]
        weights, recorded = trained(workspace)
        assert weights and recorded == locked == manifest.digest
        digests.add(recorded)
    assert len(digests) == 4


@pytest.mark.slow
def test_a_change_in_any_of_150_shards_reaches_manifest_snapshot_and_what_depends_on_it(tmp_path: Path) -> None:
    """Through the assets and Dagster's own record of what `training_set` was made from: without the manifest between,
    Dagster records one shard of the 150, and a change in any other is seen by nobody."""
    workspace = toy_workspace(tmp_path / "home")
    _of_150_shards(workspace)
    instance = open_instance(workspace)

    def versions() -> tuple[str, ...]:
        """Of the manifest, of the snapshot, and of the manifest as the training set recorded it."""
        definitions = build_definitions(workspace)
        packed = _stand_in(definitions)
        corpus = [
            asset for asset in definitions.assets or [] if getattr(asset, "key", None) != dg.AssetKey("training_set")
        ]
        keys = [dg.AssetKey([TOY, "manifest"]), dg.AssetKey([TOY, "snapshot"]), packed.key]
        done = dg.materialize(
            [*corpus, packed], selection=keys, instance=instance, resources=dict(definitions.resources or {})
        )
        assert done.success
        tags = {
            event.asset_key: event.step_materialization_data.materialization.tags or {}
            for event in done.get_asset_materialization_events()
        }
        manifest, kept = (tags[key]["dagster/data_version"] for key in keys[:2])
        return manifest, kept, tags[packed.key][f"dagster/input_data_version/{TOY}/manifest"]

    seen = {versions()}
    for shard in (SHARDS[0], SHARDS[77], SHARDS[149]):
        (workspace.dataset(TOY) / "speech" / f"{shard}.parquet").write_bytes(b"other")
        seen.add(versions())
    assert len(seen) == 4 and all(len(set(triple)) == 1 for triple in seen)


def test_nothing_behind_a_corpus_depends_on_shards(tmp_path: Path) -> None:
    workspace = toy_workspace(tmp_path / "home")
    graph = build_definitions(workspace).resolve_asset_graph()
    sharded = {key for key in graph.get_all_asset_keys() if graph.get(key).is_partitioned}
    behind = [key for key in graph.get_all_asset_keys() if key.path[0] != TOY]
    assert sharded and not [key for key in behind if sharded & set(graph.get(key).parent_keys)]


def _of_150_shards(workspace: Workspace) -> None:
    """A dataset whose tables of shards are mere bytes: the manifest reads none of them."""
    shutil.rmtree(workspace.dataset(TOY) / "blendshapes")
    shutil.rmtree(workspace.dataset(TOY) / "speech")
    one = read_frame(CLIPS, workspace.clips_table(TOY)).head(1)
    rows = [one.assign(clip_id=f"toy/{shard}/1", shard=shard, speaker=shard, source=shard) for shard in SHARDS]
    write_table(CLIPS, pd.concat(rows, ignore_index=True), workspace.clips_table(TOY))
    for table in ("media", "blendshapes", "speech"):
        (workspace.dataset(TOY) / table).mkdir()
        for shard in SHARDS:
            (workspace.dataset(TOY) / table / f"{shard}.parquet").write_bytes(f"{table} {shard}".encode())
    for shard in SHARDS:  # but for the trackers, which stand in the headers
        path = workspace.dataset(TOY) / "blendshapes" / f"{shard}.parquet"
        write_table(FRAMES, FRAMES.schema().empty_table(), path, {"tracker": shard})


def _stand_in(definitions: dg.Definitions) -> dg.AssetsDefinition:
    """In place of `training_set`, with its dependencies as they are and nothing to pack."""
    (spec,) = (spec for spec in definitions.resolve_all_asset_specs() if spec.key == dg.AssetKey("training_set"))

    @dg.asset(key="training_set", deps=[dep.asset_key for dep in spec.deps], code_version="1")
    def training_set() -> None: ...

    return training_set
