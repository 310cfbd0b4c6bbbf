"""The blendshapes of a shard: the same bytes for any number of workers, after any interruption."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from face_fixtures import astronaut, mirrored, need_embedded_weights, turned

from magictalk_core.media.encode import write_video
from magictalk_core.preparation.shards import blendshapes_shard
from magictalk_core.presets.preset import load_preset
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import table_metadata, write_table
from magictalk_core.storage.schema import MEDIA
from magictalk_core.workspace import Workspace

KILLS = 20
_RUN = """
import sys
from pathlib import Path
from magictalk_core.presets.preset import load_preset
from magictalk_core.preparation.shards import blendshapes_shard
from magictalk_core.workspace import Workspace
if __name__ == "__main__":
    blendshapes_shard(Workspace(Path(sys.argv[1])), "c", "b0", load_preset("sample"), workers=2)
"""


def _shard(home: Path, clips: int, frames: int) -> Workspace:
    """A shard of standardized clips: heads that nod and turn."""
    workspace = Workspace(home)
    folder = workspace.media("c", "b0")
    folder.mkdir(parents=True)
    rows = []
    for number in range(clips):
        head = astronaut() if number % 2 else mirrored(astronaut())
        video = folder / f"s-{number}.mp4"
        write_video(video, [turned(head, 8 * np.sin(i / 3 + number)) for i in range(frames)], 25, None)
        row = dict.fromkeys(MEDIA.names) | {"clip_id": f"c/s/{number}", "video_path": f"media/b0/{video.name}"}
        rows.append(row | {"video_md5": file_md5(video), "n_frames": frames, "status": "ok"})
    write_table(MEDIA, rows, workspace.shard_table("c", "media", "b0"))
    return workspace


@pytest.fixture(autouse=True)
def embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    need_embedded_weights()
    monkeypatch.delenv("MAGICTALK_WEIGHTS", raising=False)


@pytest.mark.slow
def test_one_two_and_four_workers_write_the_same_bytes(tmp_path: Path) -> None:
    results = []
    for workers in (1, 2, 4):
        workspace = _shard(tmp_path / str(workers), clips=4, frames=6)
        result = blendshapes_shard(workspace, "c", "b0", load_preset("sample"), workers=workers)
        assert (result.clips, result.rows, result.computed, result.rejected) == (4, 24, 4, 0)
        results.append(result.md5)
    assert len(set(results)) == 1
    metadata = table_metadata(workspace.shard_table("c", "blendshapes", "b0"))
    assert metadata["tracker"].startswith("litert-geometric/") and "face_landmark.tflite sha256:" in metadata["weights"]
    again = blendshapes_shard(workspace, "c", "b0", load_preset("sample"))
    assert (again.md5, again.computed) == (results[0], 0)


@pytest.mark.slow
def test_twenty_kills_leave_the_bytes_of_an_unbroken_run(tmp_path: Path) -> None:
    whole = _shard(tmp_path / "whole", clips=12, frames=25)
    subprocess.run([sys.executable, "-c", _RUN, str(whole.home)], check=True, stderr=subprocess.DEVNULL)
    expected = file_md5(whole.shard_table("c", "blendshapes", "b0"))
    broken = _shard(tmp_path / "broken", clips=12, frames=25)
    table, chance, killed = broken.shard_table("c", "blendshapes", "b0"), random.Random(0), 0

    def pieces() -> list[Path]:
        return sorted(broken.cache("blendshapes").rglob("*.parquet"))

    for _ in range(KILLS):
        run = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(broken.home)], start_new_session=True, stderr=subprocess.DEVNULL
        )
        # Somewhere within the work, however quick the machine is: some clips further, and a little into the next.
        enough = len(pieces()) + chance.randint(1, 4)
        while run.poll() is None and len(pieces()) < enough:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.1))
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            killed += 1
        run.wait()
        assert not table.exists() or file_md5(table) == expected, "a reader never sees half a table"
        # A finished run would leave nothing for the next one to be killed in.
        table.unlink(missing_ok=True)
        for piece in chance.sample(pieces(), len(pieces()) // 2):
            piece.unlink()
    assert killed >= KILLS // 2, "the kills came too late to mean anything"
    result = blendshapes_shard(broken, "c", "b0", load_preset("sample"))
    assert result.md5 == expected
