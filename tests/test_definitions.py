from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.dvc_workspace import dvc_yaml, stage_asset_keys
from pipelines.instance import COMMAND_TAG, end_dead_runs, open_instance

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def definitions(workspace: Workspace, tmp_path: Path) -> dg.Definitions:
    (tmp_path / "raw").mkdir()
    add_corpus(workspace, new_entry(name="sample", kind="folder", root=tmp_path / "raw"))
    return build_definitions(workspace)


def specs(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return [spec for spec in definitions.resolve_all_asset_specs()]


def test_import_is_light_and_reads_nothing() -> None:
    """Dagster imports this in every process; torch, mediapipe or mlflow there would cost seconds each time."""
    code = (
        "import sys, time, json; t = time.process_time(); import pipelines.definitions; s = time.process_time() - t\n"
        "names = ('torch', 'mediapipe', 'mlflow', 'dvc', 'diffusers', 'ai_edge_litert')\n"
        "heavy = [m for m in names if m in sys.modules]\n"
        "print(json.dumps({'seconds': s, 'heavy': heavy}))"
    )
    runs = [
        json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(2)
    ]
    assert runs[0]["heavy"] == []
    assert min(run["seconds"] for run in runs) < 3.0, runs


def test_every_asset_is_described_owned_grouped_and_versioned(definitions: dg.Definitions) -> None:
    for spec in specs(definitions):
        assert spec.description and spec.group_name, spec.key
        if spec.key.path[-1] != "source":
            assert spec.code_version and spec.owners and spec.kinds, spec.key


def test_every_asset_sorts_its_failures(definitions: dg.Definitions) -> None:
    """`retried_when_transient` stands below `@dg.asset`: a body without it would have every error taken as foreign."""
    bare = [
        str(asset.keys)
        for asset in definitions.assets or []
        if isinstance(asset, dg.AssetsDefinition) and not hasattr(asset.op.compute_fn.decorated_fn, "__wrapped__")  # type: ignore[union-attr]
    ]
    assert bare == []


def test_the_graph_is_the_one_of_the_design(definitions: dg.Definitions) -> None:
    edges = {
        spec.key.to_user_string(): sorted(d.asset_key.to_user_string() for d in spec.deps)
        for spec in specs(definitions)
    }
    assert edges == {
        "sample/source": [],
        "sample/index": ["sample/source"],
        "sample/media": ["sample/index"],
        "sample/blendshapes": ["sample/media"],
        "sample/speech": ["sample/media"],
        "sample/shards": ["sample/blendshapes", "sample/index", "sample/media", "sample/speech"],
        "sample/clips": ["sample/blendshapes", "sample/index", "sample/media", "sample/shards", "sample/speech"],
        "sample/manifest": ["sample/blendshapes", "sample/clips", "sample/media", "sample/speech"],
        "sample/snapshot": ["sample/manifest"],
        "sample/card": ["sample/clips", "sample/manifest"],
        "arkit_dataset": ["sample/manifest", "sample/snapshot"],
        "training_set": ["sample/manifest", "sample/snapshot"],
        "models/emodiff": ["training_set"],
        "models/emodiff_no_style": ["training_set"],
        "models/emodiff_student": ["models/emodiff", "training_set"],
        "models/sync_expert": ["training_set"],
        "models/sync_expert_all_channels": ["training_set"],
        "models/sync_expert_judge_1": ["training_set"],
        "models/sync_expert_judge_2": ["training_set"],
        "models/sync_expert_judge_wide": ["training_set"],
        "models/audio2bs": ["training_set"],
        "models/emotion_fan": ["training_set"],
        "models/facevid2vid": ["training_set"],
        "models/lip_residue": ["models/audio2bs", "models/sync_expert", "training_set"],
        "rig": [],
        "recipes/deepspeech_small": [],
        "release/emodiff": ["models/emodiff", "training_set"],
        "release/audio2bs": ["models/audio2bs", "training_set"],
        "release/lip_residue": ["models/lip_residue", "release/audio2bs", "release/sync_expert", "training_set"],
        "release/sync_expert": ["models/sync_expert", "training_set"],
        "generated": ["release/emodiff", "training_set"],
        "refined": ["generated", "release/lip_residue"],
        "scores": [
            "generated",
            "models/sync_expert_judge_1",
            "models/sync_expert_judge_2",
            "models/sync_expert_judge_wide",
            "refined",
            "release/sync_expert",
            "rig",
        ],
        "lip_ablation": [
            "models/sync_expert_all_channels",
            "models/sync_expert_judge_1",
            "models/sync_expert_judge_2",
            "models/sync_expert_judge_wide",
            "release/audio2bs",
            "release/emodiff",
            "release/lip_residue",
            "release/sync_expert",
            "training_set",
        ],
        "set_scores": [
            "generated",
            "models/emodiff_no_style",
            "models/emodiff_student",
            "refined",
            "release/audio2bs",
            "release/emodiff",
            "release/lip_residue",
            "training_set",
        ],
        "external_videos": ["training_set"],
        "figures/user_study": [],
        "seed_scores": [
            "models/sync_expert_judge_1",
            "models/sync_expert_judge_2",
            "models/sync_expert_judge_wide",
            "rig",
            "scores",
            "training_set",
        ],
        "tables/gain": ["models/audio2bs", "models/emodiff", "models/lip_residue", "training_set"],
        "tables/claims": ["generated", "refined", "scores", "set_scores", "training_set"],
        "picture_motion": [
            "generated",
            "models/emodiff_no_style",
            "models/sync_expert_all_channels",
            "refined",
            "release/audio2bs",
            "release/emodiff",
            "release/lip_residue",
        ],
        "picture_scores": ["external_videos", "models/emotion_fan", "picture_motion", "rig"],
        "tables/table1": ["picture_scores", "scores"],
        "tables/table2": ["picture_scores"],
        "tables/table3": ["release/audio2bs", "release/emodiff", "release/lip_residue"],
        "tables/table4": ["picture_scores", "scores"],
        "tables/ablations": ["lip_ablation", "picture_scores", "scores", "set_scores"],
        "figures/figure4": ["picture_motion", "rig"],
        "figures/figure6": ["picture_motion", "rig"],
        "figures/figure9": ["picture_motion", "release/audio2bs", "release/emodiff", "release/lip_residue", "rig"],
        "videos/grids": ["picture_motion", "rig"],
        "paper": [
            "figures/figure4",
            "figures/figure6",
            "figures/figure9",
            "tables/ablations",
            "tables/table1",
            "tables/table2",
            "tables/table3",
            "tables/table4",
            "videos/grids",
        ],
        "tables/summary": ["scores"],
        "videos/comparison": ["generated", "refined", "rig", "scores"],
        "lineage_report": [
            "release/audio2bs",
            "release/emodiff",
            "release/lip_residue",
            "release/sync_expert",
            "rig",
            "sample/card",
            "sample/snapshot",
            "tables/summary",
            "training_set",
            "videos/comparison",
        ],
        "report": ["lineage_report", "scores", "tables/summary", "training_set", "videos/comparison"],
    }


def test_what_is_made_by_hand_is_in_no_job(definitions: dg.Definitions) -> None:
    by_hand = {"models/facevid2vid", "seed_scores", "recipes/deepspeech_small"}
    for name in ("everything", "train_and_evaluate", "retrain"):
        keys = definitions.resolve_job_def(name).asset_layer.selected_asset_keys
        assert not by_hand & {key.to_user_string() for key in keys}, name


def test_dvc_stages_mirror_the_assets(definitions: dg.Definitions) -> None:
    keys = {spec.key.to_user_string() for spec in specs(definitions)}
    names = ("source", "index", "media", "blendshapes", "speech", "shards", "clips", "snapshot", "card")
    inside = {f"sample/{name}" for name in names}
    assert stage_asset_keys(["sample"]) == keys - inside - {"rig", "recipes/deepspeech_small", "seed_scores"}


def test_dvc_stages_depend_on_what_their_assets_depend_on(definitions: dg.Definitions) -> None:
    stages = yaml.safe_load(dvc_yaml().replace("${item}", "sample"))["stages"]
    stages = [stage.get("do", stage) for stage in stages.values()]
    of_asset = {stage["meta"]["asset_key"]: stage for stage in stages if "meta" in stage}
    made = {
        asset: [next(iter(out)) for kind in ("outs", "metrics", "plots") for out in stage.get(kind, ())]
        for asset, stage in of_asset.items()
    }
    for spec in specs(definitions):
        asset = spec.key.to_user_string()
        for upstream in (dep.asset_key.to_user_string() for dep in spec.deps):
            if asset in made and upstream in made:
                needed = [d for d in of_asset[asset]["deps"] if any(out.startswith(d) for out in made[upstream])]
                assert needed, f"the stage of {asset} does not depend on what {upstream} makes"


def test_dvc_in_a_fresh_clone_of_the_project_finds_nothing_amiss(tmp_path: Path) -> None:
    """The checkout holds code: `dvc pull` there once asked for 17 outputs that nobody had ever committed."""
    clone = tmp_path / "clone"
    clone.mkdir()
    subprocess.run(["git", "init", "-q", str(clone)], check=True)
    for name in (".dvc/config", "dvc.yaml", "params.yaml"):
        (clone / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    for command in (["pull"], ["dag"]):
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *command], cwd=clone, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    (stage,) = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    assert stage["cmd"] == 'magictalk demo --home "${home}"' and "outs" not in stage


@pytest.mark.slow
def test_workspace_yaml_validates(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raw").mkdir()
    add_corpus(workspace, new_entry(name="sample", kind="folder", root=tmp_path / "raw"))
    monkeypatch.setenv("MAGICTALK_HOME", str(workspace.home))
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_slots_of_a_killed_run_are_freed_and_the_run_is_closed(workspace: Workspace) -> None:
    """Dagster keeps a killed run's pool slot for ever, and the next run would wait for it without a word."""
    instance = open_instance(workspace)
    run = instance.create_run_for_job(dg.job(name="j")(lambda: None), tags=COMMAND_TAG)
    instance.handle_new_event(
        dg.EventLogEntry(
            error_info=None, level=20, user_message="", run_id=run.run_id, timestamp=0.0, job_name="j",
            dagster_event=dg.DagsterEvent("PIPELINE_START", "j"),
        )
    )  # fmt: skip
    storage = instance.event_log_storage
    storage.set_concurrency_slots("gpu", 1)
    assert storage.claim_concurrency_slot("gpu", run.run_id, "step").is_claimed
    assert not storage.claim_concurrency_slot("gpu", "another", "step").is_claimed
    end_dead_runs(instance)
    assert storage.claim_concurrency_slot("gpu", "another", "step").is_claimed
    closed = instance.get_run_by_id(run.run_id)
    assert closed is not None and closed.status == dg.DagsterRunStatus.FAILURE
