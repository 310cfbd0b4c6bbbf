"""Every adapter against a program of the same command line: what it gets, where its video is, what may go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from external_fixtures import (
    FRAMES_PER_CLIP,
    RESULT,
    behave,
    calls_of,
    checkout_of,
    config_of,
    held_out,
    with_external,
)

from magictalk_core.commands.verify import verify_file
from magictalk_core.config import ExternalConfig
from magictalk_core.errors import UserError
from magictalk_core.evaluation.external.readiness import build_of, lacking
from magictalk_core.evaluation.external.system import ExternalSystem
from magictalk_core.evaluation.external.systems import SYSTEMS
from magictalk_core.evaluation.external.videos import external_files, make_external_videos
from magictalk_core.media.decode import read_frames
from magictalk_core.storage.hashes import file_md5, tree_md5
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.storage.schema import CLIPS, EXTERNAL_VIDEOS
from magictalk_core.work.manifest import build_manifest
from magictalk_core.work.provenance import record_of
from magictalk_core.workspace import Workspace

each_system = pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)


def rows_of(workspace: Workspace) -> dict[str, dict[str, object]]:
    table = read_frame(EXTERNAL_VIDEOS, workspace.external_videos)
    return {str(row["clip_id"]): row for row in table.to_dict("records")}


@pytest.mark.thinned(3)
@each_system
def test_an_adapter_gets_the_face_of_each_clip(system: ExternalSystem, workspace: Workspace, tmp_path: Path) -> None:
    held_out(workspace, tmp_path / "raw")
    checkout = checkout_of(system, tmp_path / "checkout")
    before = tree_md5(checkout)
    result = make_external_videos(workspace, ["c"], with_external(config_of(system, checkout), clips=1))
    rows = rows_of(workspace)
    assert (result.made, result.failed, result.computed) == (1, 0, 1), [row["detail"] for row in rows.values()]
    files = external_files(workspace)[system.name]
    assert set(files) == {"c/s/a"}
    for clip_id, path in files.items():
        assert path == workspace.external / system.name / f"{clip_id.replace('/', '-')}.mp4"
        frames = np.stack(list(read_frames(path)))
        assert frames.shape[1:] == (rows[clip_id]["height"], rows[clip_id]["width"], 3)
        assert abs(len(frames) - FRAMES_PER_CLIP) <= 2
        # The panel of the result and nothing beside it, to the edge.
        assert np.abs(frames[-1].reshape(-1, 3) - np.array(RESULT)).max() < 16
        record = record_of(path)
        assert record is not None and record.md5 == rows[clip_id]["md5"] == file_md5(path)
        assert record.clips is not None and record.clips.count == 2  # its own and the style's
        assert verify_file(path).is_intact
    # All that a system writes lies in its run's folder, which is gone.
    (checkout / "calls.log").unlink()
    assert tree_md5(checkout) == before
    assert not list(workspace.cache("external").iterdir())


GOES_WRONG = {
    "crash": ("crashed", "CUDA out of memory"),
    "no_output": ("no_output", "left no"),
    "wrong_size": ("wrong_size", "pixels"),
    "too_short": ("wrong_length", "frames"),
    "half": (None, ""),
    "hang": ("timeout", "no end within {limit:g} s"),
}


@pytest.mark.parametrize(
    "system",
    [
        pytest.param(one, id=name, marks=[] if name == "makeittalk" else pytest.mark.slow)
        for name, one in SYSTEMS.items()
    ],
)
def test_what_goes_wrong_is_a_row(system: ExternalSystem, workspace: Workspace, tmp_path: Path) -> None:
    held_out(workspace, tmp_path / "raw")
    checkout = checkout_of(system, tmp_path / "checkout")
    limit_s = 1.5 * len(system.steps)  # of a busy machine each command needs a second to begin
    for how, (reason, said) in GOES_WRONG.items():
        if system.output.size is None and how == "wrong_size":
            continue  # its size depends on the person
        behave(checkout, how)
        limit = {"timeout_s": limit_s} if how == "hang" else {}
        preset = with_external(config_of(system, checkout, **limit), clips=1)
        began = time.monotonic()
        result = make_external_videos(workspace, ["c"], preset)
        assert (result.made, result.failed) == (0, 1), how
        row = rows_of(workspace)["c/s/a"]
        if how == "half":
            assert row["reason"] in ("unreadable", "wrong_length", "no_output")
        elif system.name == "evp" and how == "no_output":
            assert row["reason"] == "crashed"  # the next command misses what this one did not leave
        else:
            assert row["reason"] == reason and said.format(limit=limit_s) in str(row["detail"]), how
        assert not list(workspace.external.rglob("*.mp4"))
        if how == "hang":
            assert time.monotonic() - began < 30
            assert not _sleepers(), "a child of the program stayed"
    # Nothing changed: nothing is tried again. It was mended: it is.
    calls = len(calls_of(checkout))
    assert make_external_videos(workspace, ["c"], preset).computed == 0 and len(calls_of(checkout)) == calls
    make_external_videos(workspace, ["c"], preset, retry=True)
    assert len(calls_of(checkout)) > calls
    behave(checkout, "well")
    assert make_external_videos(workspace, ["c"], with_external(config_of(system, checkout), clips=1)).made == 1


def _sleepers() -> list[str]:
    shown = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if "import time; time.sleep(600)" in line]


def test_memory_is_limited(workspace: Workspace, tmp_path: Path) -> None:
    system = SYSTEMS["sadtalker"]
    held_out(workspace, tmp_path / "raw")
    checkout = checkout_of(system, tmp_path / "checkout")
    behave(checkout, "memory")
    make_external_videos(
        workspace, ["c"], with_external(config_of(system, checkout, memory_gb=0.3, timeout_s=30), clips=1)
    )
    row = rows_of(workspace)["c/s/a"]
    assert row["reason"] == "memory" and "0.3 GB" in str(row["detail"])


def test_a_second_run_calls_nothing_and_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    system = SYSTEMS["sadtalker"]
    held_out(workspace, tmp_path / "raw")
    checkout = checkout_of(system, tmp_path / "checkout")
    preset = with_external(config_of(system, checkout))
    first = make_external_videos(workspace, ["c"], preset)
    inodes = {path: path.stat().st_ino for path in workspace.external.rglob("*") if path.is_file()}
    again = make_external_videos(workspace, ["c"], preset)
    assert again.computed == 0 and again.md5 == first.md5 and len(calls_of(checkout)) == 2
    assert {path: path.stat().st_ino for path in workspace.external.rglob("*") if path.is_file()} == inodes


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed", ["code", "clip", *(pytest.param(it, marks=pytest.mark.slow) for it in ("weights", "arguments", "video"))]
)
def test_only_what_changed_is_made_again(changed: str, workspace: Workspace, tmp_path: Path) -> None:
    system = SYSTEMS["sadtalker"]
    held_out(workspace, tmp_path / "raw")
    checkout = checkout_of(system, tmp_path / "checkout")
    more = {}
    make_external_videos(workspace, ["c"], with_external(config_of(system, checkout)))
    if changed == "code":
        (checkout / "src" / "new.py").write_text("x = 1\n")
    elif changed == "weights":
        (checkout / system.needs[0].path).write_bytes(b"others")
    elif changed == "arguments":
        more = {"arguments": ("--still",)}
    elif changed == "clip":
        sound = workspace.corpus("c") / "a.wav"
        data = bytearray(sound.read_bytes())
        data[-1] ^= 1
        sound.unlink()
        sound.write_bytes(data)
    else:
        external_files(workspace)["sadtalker"]["c/s/b"].unlink()
    result = make_external_videos(workspace, ["c"], with_external(config_of(system, checkout, **more)))
    assert result.made == 2 and result.computed == (1 if changed in ("clip", "video") else 2)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_with_what_is_finished(workspace: Workspace, tmp_path: Path) -> None:
    system = SYSTEMS["sadtalker"]
    held_out(workspace, tmp_path / "raw", ("a", "b", "d"))
    checkout = checkout_of(system, tmp_path / "checkout")
    preset = with_external(config_of(system, checkout))
    # The second clip's program waits until the run is killed.
    program = checkout / "inference.py"
    text = program.read_text()
    program.write_text(
        text.replace("misbehave()\n", "len(open(ROOT + '/calls.log').readlines()) == 2 and time.sleep(60)\n")
    )
    code = (
        "import sys; from pathlib import Path; from magictalk_core.presets.preset import Preset\n"
        "from magictalk_core.evaluation.external.videos import make_external_videos as m\n"
        "from magictalk_core.workspace import Workspace\n"
        f"m(Workspace(Path({str(workspace.home)!r})), ['c'], Preset.model_validate_json(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, preset.model_dump_json()], start_new_session=True)
    try:
        _wait_for(lambda: len(calls_of(checkout)) == 2)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert {row["clip_id"] for row in rows_of(workspace).values()} == {"c/s/a"}
    made = file_md5(external_files(workspace)["sadtalker"]["c/s/a"])
    result = make_external_videos(workspace, ["c"], preset)
    assert (result.made, result.computed) == (3, 2)
    assert file_md5(external_files(workspace)["sadtalker"]["c/s/a"]) == made


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_program_sees_no_secret_of_ours(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = SYSTEMS["sadtalker"]
    held_out(workspace, tmp_path / "raw")
    checkout = checkout_of(system, tmp_path / "checkout")
    program = checkout / "inference.py"
    shown = "open(ROOT + '/seen', 'w').write(repr((dict(os.environ), os.getcwd())))\nmisbehave()\n"
    program.write_text(program.read_text().replace("misbehave()\n", shown))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    config = config_of(system, checkout, environment={"CUDA_VISIBLE_DEVICES": "3"})
    make_external_videos(workspace, ["c"], with_external(config))
    environment, folder = eval((checkout / "seen").read_text())
    assert "secret" not in environment.values() and environment["CUDA_VISIBLE_DEVICES"] == "3"
    assert environment["PATH"].startswith(str(Path(sys.executable).parent)) and "PYTHONPATH" not in environment
    assert Path(folder).is_relative_to(workspace.cache("external"))
    assert Path(environment["TMPDIR"]).is_relative_to(workspace.cache("external"))


@each_system
def test_all_that_is_missing_is_said_at_once(system: ExternalSystem, workspace: Workspace, tmp_path: Path) -> None:
    config = config_of(system, tmp_path / "none", python=tmp_path / "nothing" / "python", fit=())
    (only,) = lacking(system, config)
    assert f"git clone {system.repository}" in only
    checkout = checkout_of(system, tmp_path / "none")
    for one in system.needs:
        (checkout / one.path).unlink() if (checkout / one.path).is_file() else None
    (checkout / system.main_file).unlink(missing_ok=True)
    said = "\n".join(lacking(system, config))
    files = [one for one in system.needs if not (checkout / one.path).is_dir()]
    assert all(one.path in said and one.address in said for one in files)
    assert system.main_file in said and "nothing/python" in said and ("fit:" in said) == system.needs_fit
    held_out(workspace, tmp_path / "raw")
    result = make_external_videos(workspace, ["c"], with_external(config))
    rows = rows_of(workspace)
    assert result.failed == 2 and {row["reason"] for row in rows.values()} == {"not_ready"}
    assert all(system.needs[0].path in str(row["detail"]) for row in rows.values())


@pytest.mark.slow
def test_a_system_of_one_person_refuses_all_others(workspace: Workspace, tmp_path: Path) -> None:
    held_out(workspace, tmp_path / "raw", ("a", "b", "taught"))
    roles = {"speaker": ["M003", "W009", "W009"], "split": ["test", "test", "train"]}
    table = read_frame(CLIPS, workspace.clips_table("c")).assign(**roles)
    write_table(CLIPS, table, workspace.clips_table("c"))
    build_manifest(workspace.dataset("c"), workspace.manifest("c"))
    system = SYSTEMS["evp"]
    make_external_videos(workspace, ["c"], with_external(config_of(system, checkout_of(system, tmp_path / "checkout"))))
    rows = rows_of(workspace)
    assert rows["c/s/a"]["state"] == "made" and rows["c/s/b"]["reason"] == "unsupported"
    assert "M003 alone, not of W009" in str(rows["c/s/b"]["detail"])


@pytest.mark.slow
def test_the_late_first_frame_of_pd_fgc_is_held(workspace: Workspace, tmp_path: Path) -> None:
    held_out(workspace, tmp_path / "raw")
    system = SYSTEMS["pd_fgc"]
    make_external_videos(workspace, ["c"], with_external(config_of(system, checkout_of(system, tmp_path / "checkout"))))
    frames = list(read_frames(external_files(workspace)["pd_fgc"]["c/s/a"]))
    # The stand-in's first frame alone is black above.
    assert [bool(frame[:100].mean() < 20) for frame in frames[:5]] == [True, True, True, False, False]


def test_the_commit_and_edits_of_a_checkout_are_known(tmp_path: Path) -> None:
    from dulwich import porcelain

    system = SYSTEMS["sadtalker"]
    checkout = checkout_of(system, tmp_path / "checkout")
    hashes = RememberedHashes(tmp_path / "hashes.sqlite")
    assert build_of(system, checkout, hashes).commit is None
    porcelain.init(str(checkout))
    porcelain.add(str(checkout), [str(checkout / "inference.py")])
    commit = porcelain.commit(str(checkout), b"all", author=b"a <a@b>", committer=b"a <a@b>").decode()
    before = build_of(system, checkout, hashes)
    assert before.commit == commit and set(before.files) == {one.path for one in system.needs}
    (checkout / "inference.py").write_text("edited = True\n")
    after = build_of(system, checkout, hashes)
    assert after.commit == commit and after.digest != before.digest


def test_a_name_of_ours_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    held_out(workspace, tmp_path / "raw")
    config = ExternalConfig(system="ground_truth", videos=tmp_path)
    with pytest.raises(UserError, match="a method of ours"):
        make_external_videos(workspace, ["c"], with_external(config))
