"""A disk that is full or read-only, files that cannot be opened: the run stops with one line, and no clip is blamed."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from face_fixtures import astronaut, mirrored, need_embedded_weights, turned

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.errors import MachineError
from magictalk_core.media.container import reading
from magictalk_core.media.encode import write_video
from magictalk_core.preparation.listing import read_index, write_index
from magictalk_core.preparation.shards import ShardResult, blendshapes_shard, media_shard
from magictalk_core.presets.preset import load_preset
from magictalk_core.storage.atomic import atomic_directory, atomic_path, write_text
from magictalk_core.storage.locks import held_or_refused, one_at_a_time
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import MEDIA
from magictalk_core.workspace import Workspace


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _mounted(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def _corpus(home: Path, root: Path) -> tuple[Workspace, str]:
    """A folder corpus of one good clip."""
    need_embedded_weights()
    root.mkdir()
    frames = [turned(mirrored(astronaut()), 5 * (i % 7)) for i in range(30)]
    tone = np.sin(np.arange(30 * 640) / 20).astype(np.float32) / 2
    write_video(root / "a.mp4", frames, 25, tone)
    workspace = Workspace(home)
    add_corpus(workspace, new_entry(name="c", kind="folder", root=root))
    write_index(workspace, "c", load_preset("sample"))
    (shard,) = set(read_index(workspace, "c")["shard"])
    return workspace, str(shard)


def _media(workspace: Workspace, root: Path, shard: str) -> ShardResult:
    return media_shard(workspace, "c", root, shard, read_index(workspace, "c", shard), load_preset("sample"))


def _fill(folder: Path, leave: int) -> Path:
    """Take all room but `leave` bytes."""
    filler = folder / "filler"
    free = os.statvfs(folder)
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize - leave))
    return filler


@pytest.mark.parametrize("leave", [20_000, *(pytest.param(leave, marks=pytest.mark.slow) for leave in (0, 60_000))])
def test_a_full_disk_rejects_no_clip_and_the_next_run_goes_on(leave: int, small_disk: Path, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    workspace, shard = _corpus(small_disk / "home", root)
    filler = _fill(small_disk, leave)
    with pytest.raises(MachineError, match="No space left on device: make room on that disk") as caught:
        _media(workspace, root, shard)
    assert "\n" not in str(caught.value)
    assert not workspace.shard_table("c", "media", shard).exists()
    filler.unlink()
    _media(workspace, root, shard)
    (row,) = read_frame(MEDIA, workspace.shard_table("c", "media", shard)).to_dict("records")
    assert row["status"] == "ok" and row["n_frames"] == 30
    filler = _fill(small_disk, 0)
    with pytest.raises(MachineError, match="No space left"):
        blendshapes_shard(workspace, "c", shard, load_preset("sample"))
    filler.unlink()
    assert blendshapes_shard(workspace, "c", shard, load_preset("sample")).rows == 30


def test_a_read_only_store_is_one_line(small_disk: Path, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    workspace, shard = _corpus(small_disk / "home", root)
    _mounted(small_disk, "ro")
    with pytest.raises(MachineError, match="Read-only file system: make that folder writable"):
        _media(workspace, root, shard)
    shutil.copy(root / "a.mp4", root / "b.mp4")
    with pytest.raises(MachineError, match="Read-only file system"):
        write_index(workspace, "c", load_preset("paper"))
    with (
        pytest.raises(MachineError, match="Read-only file system"),
        held_or_refused(workspace.run_lock, "the workspace"),
    ):
        pytest.fail("a lock was taken on a disk that cannot be written to")
    with pytest.raises(MachineError, match="Read-only"), one_at_a_time(small_disk / "new" / "lock"):
        pytest.fail("a lock was taken on a disk that cannot be written to")
    with pytest.raises(MachineError, match="Read-only"), atomic_directory(small_disk / "folder"):
        pytest.fail("a folder was made on a disk that cannot be written to")
    _mounted(small_disk, "rw")
    assert _media(workspace, root, shard).clips == 1


@pytest.mark.slow
def test_a_raw_file_that_vanished_is_no_unreadable_clip(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    workspace, shard = _corpus(tmp_path / "home", root)
    (root / "a.mp4").rename(tmp_path / "elsewhere.mp4")
    with pytest.raises(MachineError, match=r"a\.mp4: is gone since this corpus was listed"):
        _media(workspace, root, shard)
    (tmp_path / "elsewhere.mp4").rename(root / "a.mp4")
    _media(workspace, root, shard)
    assert list(read_frame(MEDIA, workspace.shard_table("c", "media", shard))["status"]) == ["ok"]


_FEW_FILES = """
import resource, sys
from pathlib import Path
from magictalk_core.errors import MachineError
from magictalk_core.media.container import open_media
from magictalk_core.work.isolation import map_isolated

def probe_without_files(path):
    files, limit = [], len(list(Path("/proc/self/fd").iterdir())) + 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    try:
        while True:
            files.append(open("/dev/null"))
    except OSError:
        pass
    with open_media(Path(path)):
        return "opened"

if __name__ == "__main__":
    try:
        print(list(map_isolated(probe_without_files, [(sys.argv[1],)], workers=1, timeout_s=30)))
    except MachineError as error:
        print(error)
"""


def test_too_many_open_files_make_no_clip_unreadable(tmp_path: Path) -> None:
    clip, script = tmp_path / "a.mp4", tmp_path / "few.py"
    write_video(clip, [astronaut()] * 3, 25, None)
    script.write_text(_FEW_FILES)
    done = subprocess.run([sys.executable, str(script), str(clip)], capture_output=True, text=True, check=True)
    assert "Too many open files: allow more open files (`ulimit -n`)" in done.stdout


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EDQUOT])
def test_a_decoder_without_the_machine_blames_no_clip(number: int) -> None:
    with pytest.raises(MachineError, match=os.strerror(number)), reading():
        av.error.err_check(-number)


def _too_large_a_file(write: Any) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(MachineError, match="File too large: allow larger files"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_limit_on_the_size_of_files_is_the_machines(tmp_path: Path) -> None:
    noise = [astronaut()[:, ::step] for step in (1, -1)] * 5
    _too_large_a_file(lambda: write_text(tmp_path / "a.txt", "a" * 20_000))
    _too_large_a_file(lambda: write_video(tmp_path / "a.mp4", noise, 25, None, crf=1))
    rows = [dict.fromkeys(MEDIA.names) | {"clip_id": f"c/s/{os.urandom(32).hex()}", "status": "ok"} for _ in range(999)]
    _too_large_a_file(lambda: write_table(MEDIA, rows, tmp_path / "a.parquet"))
    assert list(tmp_path.iterdir()) == [], "nothing half-written stays"


def test_a_folder_without_rights_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / "a"))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(MachineError, match="a: Permission denied: make that folder writable"):
        write_text(tmp_path / "a" / "b.txt", "x")


def test_a_fault_of_ours_stays_a_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "never_written"):
        pass
