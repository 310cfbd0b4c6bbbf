"""One writer for every thing, whoever starts it: a job of the UI waits for the command that writes the same."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from assets import one_writer
from assets.one_writer import recording_dataset, writing, writing_shard
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.errors import TransientError
from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import open_instance

_HOLD = """
import sys, time
from pathlib import Path
from magictalk_core.workspace import Workspace
from assets.one_writer import {how}
with {how}(Workspace(Path(sys.argv[1])), *sys.argv[2:]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(workspace: Workspace, how: str, *names: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a lock until its input is closed."""
    command = [sys.executable, "-c", _HOLD.format(how=how), str(workspace.home), *names]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        if process.stdin is not None:
            process.stdin.close()


def test_a_second_process_waits_and_then_says_who_holds_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_writer, "WAIT_S", 0.3)
    with held_elsewhere(workspace, "writing", "training_set") as holder:
        with pytest.raises(TransientError, match=f"training_set is being written by process {holder.pid}: wait"):
            with writing(workspace, "training_set"):
                pass
        with writing(workspace, "scores"):
            pass  # another thing
    with writing(workspace, "training_set"):
        pass  # the other has let go


@pytest.mark.slow
def test_a_job_beside_the_command_waits_for_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rig's asset runs in this process, the command that writes it is another one."""
    monkeypatch.setattr("assets.retries.MAX_RETRIES", 0)
    job = build_definitions(workspace).resolve_implicit_global_asset_job_def()

    def materialize() -> dg.ExecuteInProcessResult:
        return job.execute_in_process(
            asset_selection=[dg.AssetKey("rig")], instance=open_instance(workspace), raise_on_error=False
        )

    monkeypatch.setattr(one_writer, "WAIT_S", 0.3)
    with held_elsewhere(workspace, "writing", "rig"):
        refused = materialize()
    assert not refused.success and not (workspace.rig / "rig.npz").exists()
    monkeypatch.setattr(one_writer, "WAIT_S", 60)
    with held_elsewhere(workspace, "writing", "rig") as holder:
        assert holder.stdin is not None
        holder.stdin.close()
        assert materialize().success


def test_a_killed_writer_lets_go(workspace: Workspace) -> None:
    with held_elsewhere(workspace, "writing", "scores") as holder:
        holder.kill()
        holder.wait()
        start = time.monotonic()
        with writing(workspace, "scores"):
            assert time.monotonic() - start < 5


@pytest.mark.slow
def test_shards_are_written_beside_each_other_but_not_while_the_dataset_is_recorded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_writer, "WAIT_S", 0.3)
    with held_elsewhere(workspace, "writing_shard", "c", "a"):
        with writing_shard(workspace, "c", "b"):
            pass
        with pytest.raises(TransientError), writing_shard(workspace, "c", "a"):
            pass
        with pytest.raises(TransientError), recording_dataset(workspace, "c"):
            pass
        with recording_dataset(workspace, "d"):
            pass
    with held_elsewhere(workspace, "recording_dataset", "c"):
        with pytest.raises(TransientError), writing_shard(workspace, "c", "b"):
            pass


def test_every_asset_that_writes_holds_the_lock_of_its_own_name(workspace: Workspace, tmp_path: Path) -> None:
    add_corpus(workspace, new_entry(name="sample", kind="folder", root=tmp_path))
    held = {}
    for asset in build_definitions(workspace).assets or []:
        if not isinstance(asset, dg.AssetsDefinition) or asset.partitions_def is not None:
            continue  # a shard is held inside of its body
        body = asset.op.compute_fn.decorated_fn  # type: ignore[union-attr]
        while not hasattr(body, "writes") and hasattr(body, "__wrapped__"):
            body = body.__wrapped__
        held[asset.key.to_user_string()] = getattr(body, "writes", None)
    assert {name: name for name in held} == held
