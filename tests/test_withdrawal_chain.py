"""A withdrawal in a finished run of the whole graph: what is made again, and that the new model never saw the clip."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from chain_fixtures import copy_of, run_graph, tiny_preset
from typer.testing import CliRunner

from magictalk_core.lineage.absence import verify_absence
from magictalk_core.training.run import current_run
from magictalk_core.work.provenance import archived_path, read_record, record_of
from magictalk_core.work.withdrawn_marks import read_mark
from magictalk_core.workspace import Workspace
from pipelines.cli import app

CLIP = "sample/M901/front-happy-level_3-003"
TABLES = {"media", "blendshapes", "speech"}


@pytest.mark.slow
def test_a_model_that_is_trained_after_a_withdrawal_never_saw_the_clip(tiny_chain: Workspace, tmp_path: Path) -> None:
    workspace = copy_of(tiny_chain, tmp_path / "home")
    old = current_run(workspace.models("emodiff"))
    command = [
        "withdraw",
        "--clip",
        CLIP,
        "--reason",
        "a letter",
        "--by",
        "Ada",
        "--purge",
        "--home",
        str(tmp_path / "home"),
    ]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    affected = {one["name"] for one in json.loads(done.stdout)["affected"]}
    assert {f"models/emodiff/{old.path.parent.name}", "training_set", "generated/test/motion.parquet"} <= affected
    assert any(name.startswith("videos/comparison/") for name in affected)
    report = run_graph(workspace, tiny_preset(), "+release/emodiff arkit_dataset")
    computed = {o.asset: o.counts["clips_computed"] for o in report.outcomes if o.asset.split("/")[-1] in TABLES}
    assert set(computed) == {f"sample/{table}" for table in TABLES} and not any(computed.values()), "nothing is decoded"
    assert not report.failed_checks or all("withdrawn" not in check for check in report.failed_checks)
    new = current_run(workspace.models("emodiff"))
    assert new.weights_md5 != old.weights_md5 and CLIP not in _behind(workspace, new.path)
    assert read_mark(old.path.parent) is not None and read_mark(new.path.parent) is None
    absence = verify_absence(workspace, 0.18)
    assert absence.traces == () and absence.is_proven
    assert CliRunner().invoke(app, ["withdraw", "--verify", "--home", str(tmp_path / "home")]).exit_code == 0


def _behind(workspace: Workspace, model: Path) -> set[str]:
    """The clips that a model was trained on, by its provenance records."""
    record = record_of(model)
    assert record is not None
    (data,) = (one for one in record.inputs if one.kind == "training_set")
    learned = read_record(archived_path(workspace.home, data.md5, "training_set"))
    assert learned.clips is not None
    clips = set(pd.read_parquet(workspace.home / learned.clips.file)["clip_id"])
    assert len(clips) == learned.clips.count > 0
    return clips
