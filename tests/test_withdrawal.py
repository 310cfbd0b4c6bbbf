"""Withdrawing, undoing and purging in a store made of numbers; nothing here decodes or trains."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from magictalk_core.corpora import withdrawal_log
from magictalk_core.corpora.withdrawal_log import append_line, read_log
from magictalk_core.corpora.withdrawals import read_withdrawals
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.lineage.absence import verify_absence
from magictalk_core.lineage.purged import purged_from
from magictalk_core.lineage.withdraw import find_withdrawn, undo_withdrawal
from magictalk_core.lineage.withdrawing import Asked, Outcome, withdraw_clips
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS, FRAMES
from magictalk_core.work.withdrawn_marks import read_mark
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from tests.withdrawal_fixtures import CLIPS_OF_SPEAKER, ENCODED, OTHER, SAME_FILE, SPEAKER, build_store

LIMIT = 0.18
WITHDRAWN = {*CLIPS_OF_SPEAKER, ENCODED, SAME_FILE}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_store(tmp_path_factory.mktemp("withdrawal") / "home").home


@pytest.fixture
def home(store: Path, tmp_path: Path) -> Workspace:
    """A copy of the store, its remote and its raw files, which a test may change."""
    return _copy(store, tmp_path / "all")


def _copy(store: Path, target: Path) -> Workspace:
    shutil.copytree(store.parent, target)
    for file in target.rglob("*"):
        if file.name in ("corpus.yaml", "config"):
            file.write_text(file.read_text().replace(str(store.parent), str(target)))
    return Workspace(target / "home")


def ask(workspace: Workspace, name: str = SPEAKER, kind: Any = "speaker", **options: Any) -> Outcome:
    return withdraw_clips(workspace, Asked(kind, (name,), "a letter", "Ada", **options))


def contents(workspace: Workspace) -> dict[str, str]:
    return {
        str(path.relative_to(workspace.home)): file_md5(path) for path in workspace.home.rglob("*") if path.is_file()
    }


# --- what is withdrawn ---------------------------------------------------------------------------------------------


def test_a_speaker_goes_with_the_copies_in_another_corpus(home: Workspace) -> None:
    outcome = ask(home)
    assert {clip.clip_id for clip in outcome.clips} == WITHDRAWN
    via = {clip.clip_id: clip.via for clip in outcome.clips if clip.via != "named"}
    assert (
        via
        == {
            ENCODED: f"the same recording as {CLIPS_OF_SPEAKER[0]}",
            SAME_FILE: f"the same file as {CLIPS_OF_SPEAKER[-1]}",
        }
        or via[SAME_FILE] == f"the same recording as {CLIPS_OF_SPEAKER[-1]}"
    )
    line = read_log(home)[0]
    assert (line.by, line.reason, line.kind, line.names) == ("Ada", "a letter", "speaker", (SPEAKER,))
    assert all(len(clip.media_md5) == 2 for clip in line.clips)


def test_what_was_made_with_them_is_listed_and_marked(home: Workspace) -> None:
    affected = {one.name: one for one in ask(home).affected}
    assert affected["models/emodiff/run1"].how == "made from" and affected["models/audio2bs/run1"].how == "made from"
    assert affected["models/emodiff/run1/model/styles.safetensors"].clips == 4
    assert affected["training_set"].clips == 4 and affected["generated/test/styles.json"].how == "holds"
    assert affected["videos/comparison/toy-w3-happy-1.mp4"].kind == "video"
    assert {"tables/summary.csv", "corpora/echo/dataset/clips.parquet"} <= set(affected)
    for name in ("models/emodiff/run1", "training_set", "tables/summary.csv", "videos/comparison/toy-w3-happy-1.mp4"):
        mark = read_mark(home.home / name)
        assert mark is not None and mark.withdrawals == (1,), name
    (home.tables / "summary.csv").write_text("made again")
    assert read_mark(home.tables / "summary.csv") is None
    assert read_mark(home.generated("test") / "motion.parquet") is not None


def test_a_model_is_known_by_its_snapshot_and_said_to_be_unknown_where_that_is_gone(home: Workspace) -> None:
    digest = json.loads(home.manifest("toy").read_text())["digest"]
    for run, corpora in (("old", {"toy": digest}), ("older", {"toy": "f" * 32 + ".dir"}), ("other", {"mead": digest})):
        config = {"family": "audio2bs", "training_set": "replaced long ago", "corpora": corpora}
        write_text(home.models("audio2bs") / run / "model" / "config.json", json.dumps(config))
    affected = {one.name: one for one in ask(home).affected}
    assert (affected["models/audio2bs/old"].how, affected["models/audio2bs/old"].clips) == ("made from", 4)
    assert affected["models/audio2bs/older"].how == "unknown" and "models/audio2bs/other" not in affected


def test_a_purge_is_of_a_whole_withdrawal(home: Workspace) -> None:
    ask(home)
    with pytest.raises(UserError, match=r"part of withdrawal 1, .* --speaker toy/m1 --reason"):
        ask(home, CLIPS_OF_SPEAKER[1], "clip", purge=True)
    assert len(read_log(home)) == 1


def test_a_clip_nobody_took_stays_out_of_it(home: Workspace) -> None:
    outcome = ask(home, OTHER, "clip")
    assert {clip.clip_id for clip in outcome.clips} == {OTHER}
    assert not [one for one in outcome.affected if one.kind in ("model", "training set", "style bank")]


def test_withdrawing_twice_records_once(home: Workspace) -> None:
    first, second = ask(home), ask(home)
    assert (first.numbers, second.numbers) == ((1,), (1,)) and (first.is_new, second.is_new) == (True, False)
    assert len(read_log(home)) == 1
    # A clip of the speaker is taken already; the speaker of a clip that was taken is not.
    assert not ask(home, CLIPS_OF_SPEAKER[1], "clip").is_new
    assert ask(home, "toy/w1-sad/1", "clip").is_new and ask(home, "toy/w1").is_new


def test_a_dry_run_writes_nothing(home: Workspace) -> None:
    before = contents(home)
    outcome = ask(home, dry_run=True, purge=True)
    assert len(outcome.clips) == 6 and outcome.affected and contents(home) == before
    assert outcome.removed["pieces"] == 18 and outcome.facts()["withdrawal"] == "dry run: nothing is written"


def test_what_is_not_there_is_an_error_with_near_names(home: Workspace) -> None:
    with pytest.raises(UserError, match=r"is it toy/m1 or"):
        find_withdrawn(home, "speaker", ["toy/m11"])
    with pytest.raises(UserError, match=r"toy/m1-happy/1"):
        find_withdrawn(home, "clip", ["toy/m1-hapy/1"])
    assert find_withdrawn(home, "speaker", ["m1"]).names == ("toy/m1",)
    assert not home.withdrawals.exists()


def test_a_split_that_loses_its_last_clip_is_said(home: Workspace) -> None:
    assert ask(home).warning is None
    assert "split val" in str(ask(home, "toy/w2").warning)


def test_an_undone_withdrawal_leaves_everything_as_it_was(home: Workspace) -> None:
    before = contents(home)
    ask(home)
    runner = CliRunner().invoke(app, ["withdraw", "undo", "1", "--reason", "wrong name", "--home", str(home.home)])
    assert runner.exit_code == 0, runner.output
    assert not read_withdrawals(home).active
    after = {name: md5 for name, md5 in contents(home).items() if "withdrawals" not in name and ".run.lock" not in name}
    assert after == {name: md5 for name, md5 in before.items() if ".run.lock" not in name}
    with pytest.raises(UserError, match="undone already"):
        undo_withdrawal(home, 1, "Ada", "again")
    with pytest.raises(UserError, match="no withdrawal 7"):
        undo_withdrawal(home, 7, "Ada", "again")
    assert ask(home).numbers == (3,)


# --- purging -------------------------------------------------------------------------------------------------------


MOVING = ("jawOpen", "mouthSmileLeft", "browInnerUp")


def _rows(table: pd.DataFrame) -> list[bytes]:
    return [row.tobytes() for row in table[list(MOVING)].to_numpy(np.float32)]


def search(workspace: Workspace, names: set[str], files: set[str], frames: set[bytes]) -> list[str]:
    """What is left of clips in the workspace and the remote, by other means than the code under test: file hashes, rows
    of motion as bytes in any array or table, ids in decoded tables."""
    found = []
    for path in [*workspace.home.rglob("*"), *(workspace.home.parent / "remote").rglob("*")]:
        inside = path.relative_to(workspace.home.parent).as_posix()
        if not path.is_file() or "withdrawals" in path.name:
            continue
        if inside.startswith("home/provenance/clips/"):
            assert pd.read_parquet(path).columns.tolist() == ["clip_id"], "the books hold names and nothing else"
            continue
        data = path.read_bytes()
        if file_md5(path) in files:
            found.append(f"{inside}: a file of theirs")
        if any(row in data for row in frames):
            found.append(f"{inside}: motion of theirs")
        if data[:4] == b"PAR1":
            table = pd.read_parquet(path)
            table = table[table["status"] != "withdrawn"] if "status" in table else table
            if "clip_id" in table and set(table["clip_id"]) & names:
                found.append(f"{inside}: rows of theirs")
            if set(MOVING) <= set(table.columns) and any(row in frames for row in _rows(table)):
                found.append(f"{inside}: motion of theirs")
        elif not path.name.endswith(".withdrawn.json") and any(name.encode() in data for name in names):
            found.append(f"{inside}: names them")
    return found


def their_traces(workspace: Workspace) -> tuple[set[str], set[str], set[bytes]]:
    """Names, file hashes and motion rows of the withdrawn clips, before they go."""
    files, frames = set(), set()
    for clip in WITHDRAWN:
        corpus = clip.split("/")[0]
        stem = "-".join(clip.split("/")[1:])
        files |= {file_md5(path) for path in workspace.corpus(corpus).rglob(f"media/*/{stem}.*")}
    states = np.load(workspace.training_set / "states.npy", mmap_mode="r")
    index = pd.read_parquet(workspace.training_set / "index.parquet")
    for row in index[index["clip_id"].isin(WITHDRAWN)].itertuples():
        picks = np.linspace(row.start, row.start + row.length - 1, 16).round().astype(int)
        frames |= {states[pick].tobytes() for pick in picks}
    assert len(files) == 12 and len(frames) == 64
    tables = [workspace.shard_table("toy", "blendshapes", "m1"), workspace.shard_table("echo", "blendshapes", "b0")]
    for table in map(pd.read_parquet, tables):
        frames |= set(_rows(table[table["clip_id"].isin(WITHDRAWN)]))
    return set(WITHDRAWN), files, frames


def test_after_a_purge_nothing_of_theirs_is_anywhere(home: Workspace) -> None:
    traces = their_traces(home)
    assert len(search(home, *traces)) > 30
    others = read_frame(FRAMES, home.shard_table("echo", "blendshapes", "b0"))
    outcome = ask(home, purge=True)
    assert search(home, *traces) == []
    assert outcome.removed["pieces"] == 18 and outcome.removed["media"] == 12 and outcome.removed["banks"] == 1
    assert outcome.removed["objects in the cache"] == outcome.removed["objects in the remote store"] >= 8
    assert not list(home.home.glob("generated/*")) + list(home.home.glob("videos/*")) + list(home.tables.glob("*"))
    absence = verify_absence(home, LIMIT)
    assert absence.is_proven and absence.traces == ()
    # Others' rows, pieces and files are what they were.
    left = read_frame(FRAMES, home.shard_table("echo", "blendshapes", "b0"))
    assert left.equals(others[others["clip_id"] == OTHER].reset_index(drop=True))
    assert len(list(home.cache("speech").rglob("*.parquet"))) == 23 - 6
    assert not home.shard_table("toy", "media", "m1").exists() and home.shard_table("toy", "media", "m2").exists()
    rows = read_frame(CLIPS, home.clips_table("toy")).set_index("clip_id")
    assert set(rows.index[rows["status"] == "withdrawn"]) == set(CLIPS_OF_SPEAKER)
    assert rows.loc[CLIPS_OF_SPEAKER[0], ["signature", "emotion"]].isna().all()
    manifest = json.loads(home.manifest("toy").read_text())
    assert "media/m1.parquet" not in {one["relpath"] for one in manifest["files"]}
    headers = json.loads((home.cache("headers") / "toy.json").read_text())["headers"]
    assert len(headers) == 16


def test_raw_files_of_the_user_stay_unless_asked_for(home: Workspace) -> None:
    raw = home.home.parent / "raw" / "toy"
    outcome = ask(home, purge=True)
    assert {one.path for one in outcome.raw if one.path.is_relative_to(raw)} == {
        raw / f"m1-{emotion}-{take}.mp4" for emotion in ("happy", "sad") for take in (1, 2)
    }
    assert all(one.path.is_file() for one in outcome.raw)
    assert ask(home, purge=True, with_raw=True).raw == ()
    assert len(list(raw.iterdir())) == 16
    # Of what is gone with its raw files the record still knows the name.
    assert not ask(home).is_new


def test_a_purged_withdrawal_cannot_be_undone_and_says_what_snapshots_lost(home: Workspace) -> None:
    manifest = json.loads(home.manifest("toy").read_text())
    digest, old = manifest["digest"], {file["relpath"]: file["md5"] for file in manifest["files"]}
    assert purged_from(home, [digest]) == []
    with pytest.raises(UserError, match="no withdrawal 1"):
        undo_withdrawal(home, 1, "Ada", "too early")
    ask(home, purge=True)
    with pytest.raises(UserError, match="was purged"):
        undo_withdrawal(home, 1, "Ada", "sorry")
    withdrawals = read_withdrawals(home)
    assert withdrawals.objects[old["blendshapes/m1.parquet"]] == ("blendshapes/m1.parquet", 1)
    assert old["blendshapes/m2.parquet"] not in withdrawals.objects
    lost = purged_from(home, [digest])
    assert len(lost) == 4 and all("withdrawal 1 of speaker toy/m1" in line for line in lost)
    assert withdrawals.why_gone(old["clips.parquet"]) == (
        "clips.parquet was removed for good by withdrawal 1 of speaker toy/m1 "
        f"({withdrawals.active[1].time[:10]}, signed by Ada): what it held cannot be restored"
    )


def _purge_until(home: Path, event: int) -> bool:
    """Purge in a child that kills itself at its `event`-th rename or removal of a file; False where it ended before."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(name: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if name in ("os.rename", "os.remove", "shutil.rmtree") and str(home.parent) in str(arguments[0]):
                seen += 1
                if seen == event:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        ask(Workspace(home), purge=True)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.slow
def test_a_purge_that_was_killed_anywhere_goes_on_when_it_is_asked_for_again(store: Path, tmp_path: Path) -> None:
    killed = 0
    for event in range(1, 400, 11):
        workspace = _copy(store, tmp_path / str(event))
        traces = their_traces(workspace)
        if not _purge_until(workspace.home, event):
            break
        killed += 1
        ask(workspace, purge=True)
        assert search(workspace, *traces) == [], f"killed at {event}"
        assert verify_absence(workspace, LIMIT).traces == ()
        shutil.rmtree(workspace.home.parent)
    assert killed >= 8


# --- the record ----------------------------------------------------------------------------------------------------


def _lines(workspace: Workspace) -> list[str]:
    return workspace.withdrawals.read_text().splitlines()


def _edit(lines: list[str]) -> list[str]:
    return [lines[0].replace("Ada", "Bob"), *lines[1:]]


def _edit_last(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1].replace("Ada", "Bob")]


DAMAGES = {
    "edited": _edit,
    "last edited": _edit_last,
    "first lost": lambda lines: lines[1:],
    "middle lost": lambda lines: [lines[0], lines[2]],
    "last lost": lambda lines: lines[:-1],
    "all lost": lambda lines: [],
    "swapped": lambda lines: [lines[1], lines[0], lines[2]],
    "half a line": lambda lines: [*lines[:-1], lines[-1][:40]],
    "two added": lambda lines: [*lines, lines[-1], lines[-1]],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_edited_or_lost_line_is_found(workspace: Workspace, damage: str) -> None:
    for number in (1, 2, 3):
        append_line(workspace, "Ada", f"letter {number}", action="withdraw", kind="clip", names=(f"c/s/{number}",))
    assert [line.reason for line in read_log(workspace)] == ["letter 1", "letter 2", "letter 3"]
    spoiled = DAMAGES[damage](_lines(workspace))
    workspace.withdrawals.write_text("".join(f"{line}\n" for line in spoiled))
    with pytest.raises(PermanentError, match=r"withdrawals\.jsonl: .* from a backup"):
        read_log(workspace)
    with pytest.raises(PermanentError):
        append_line(workspace, "Ada", "one more", action="undo", of=(1,))


def test_kills_between_line_and_head_are_no_damage(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = withdrawal_log.write_text, {"calls": 0}

    def killed_at(call: int) -> Callable[[Path, str], None]:
        def write(path: Path, text: str) -> None:
            left["calls"] += 1
            if left["calls"] % 3 == call:
                raise KeyboardInterrupt
            real(path, text)

        return write

    for number in (1, 2, 3):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            left["calls"] = 0
            patched.setattr(withdrawal_log, "write_text", killed_at(0))  # the third file: the head of the new line
            append_line(workspace, "Ada", f"letter {number}", action="withdraw", kind="clip", names=("c/s/1",))
        assert len(read_log(workspace)) == number
