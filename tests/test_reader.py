"""Reading a prepared corpus: the right rows of every clip, and every shard decoded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.read_corpus import FRAMES_PER_CLIP, make_corpus
from magictalk_core.errors import PermanentError
from magictalk_core.preparation import reader as reader_module
from magictalk_core.preparation import shard_rows
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.preparation.shard_rows import ShardTables
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import FRAMES, MEDIA, SPEECH
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Twelve clips in three shards by turns; one clip has lost frames."""
    workspace = Workspace(tmp_path)
    make_corpus(workspace, clips=12, shards=3)
    path = workspace.shard_table("c", "blendshapes", "b1")
    frames = read_frame(FRAMES, path)
    frames.loc[frames["clip_id"].eq("c/s/000004") & frames["frame_index"].lt(5), "jawOpen"] = None
    write_table(FRAMES, frames, path)
    return workspace


def test_every_clip_has_its_own_rows_in_order(workspace: Workspace) -> None:
    reader = CorpusReader(workspace, "c")
    for number in range(12):
        clip_id, shard = f"c/s/{number:06d}", f"b{number % 3}"
        clip = reader.clip(clip_id)
        rows = read_frame(FRAMES, workspace.shard_table("c", "blendshapes", shard))
        expected = rows[rows["clip_id"] == clip_id].sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)
        np.testing.assert_array_equal(clip.motion, expected)
        speech = read_frame(SPEECH, workspace.shard_table("c", "speech", shard))
        expected = np.stack(list(speech[speech["clip_id"] == clip_id].sort_values("frame_index")["features"]))
        np.testing.assert_array_equal(clip.speech, expected)
        assert (clip.tracker, clip.feature_id, len(clip.motion)) == ("random/1", "random", FRAMES_PER_CLIP)
    lost = reader.motion("c/s/000004")[0][:, MOTION_NAMES.index("jawOpen")]
    assert np.isnan(lost[:5]).all() and np.isfinite(lost[5:]).all()


def test_what_a_caller_does_to_a_clip_stays_with_the_caller(workspace: Workspace) -> None:
    reader = CorpusReader(workspace, "c")
    reader.motion("c/s/000000")[0][:] = 9.0
    assert reader.motion("c/s/000000")[0].max() < 1.0


def test_all_clips_decode_every_shard_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[tuple[str, str]] = []
    original = shard_rows.read_table

    def counting(spec: Any, path: Path, **options: Any) -> Any:
        decoded.append((spec.name, path.stem))
        return original(spec, path, **options)

    monkeypatch.setattr(shard_rows, "read_table", counting)
    reader = CorpusReader(workspace, "c")
    for clip_id in reader.clips["clip_id"]:
        reader.clip(str(clip_id))
    assert sorted(decoded) == sorted((table, f"b{n}") for table in ("frames", "speech") for n in range(3))
    decoded.clear()
    # A corpus larger than memory: one shard of each table is kept, and shards come one after the other.
    small = CorpusReader(workspace, "c")
    monkeypatch.setattr(reader_module, "ShardTables", lambda read: ShardTables(read, kept_bytes=1))
    ids = [clip.clip_id for clip in small.clips_of(small.clips["clip_id"])]
    assert sorted(ids) == list(small.clips["clip_id"]) and len(decoded) == 6


def test_media_files_are_found_and_silent_clips_have_no_sound(workspace: Workspace) -> None:
    rows = [
        dict.fromkeys(MEDIA.names) | {"clip_id": "c/s/000000", "status": "ok", "video_path": "a.mp4"},
        dict.fromkeys(MEDIA.names)
        | {"clip_id": "c/s/000003", "status": "ok", "video_path": "b.mp4", "audio_path": "b.wav"},
        dict.fromkeys(MEDIA.names) | {"clip_id": "c/s/000006", "status": "rejected"},
    ]
    write_table(MEDIA, rows, workspace.shard_table("c", "media", "b0"))
    reader, folder = CorpusReader(workspace, "c"), workspace.corpus("c")
    assert reader.media("c/s/000000") == (folder / "a.mp4", None)
    assert reader.media("c/s/000003") == (folder / "b.mp4", folder / "b.wav")
    with pytest.raises(PermanentError, match="c/s/000006"):
        reader.media("c/s/000006")


def test_unknown_clips_and_lost_rows_say_what_to_do(workspace: Workspace) -> None:
    reader = CorpusReader(workspace, "c")
    with pytest.raises(PermanentError, match=r"no clip `c/s/x`.*corpus list"):
        reader.clip("c/s/x")
    path = workspace.shard_table("c", "blendshapes", "b0")
    frames = read_frame(FRAMES, path)
    write_table(FRAMES, frames[frames["clip_id"] != "c/s/000003"], path)
    with pytest.raises(PermanentError, match="no rows of clip `c/s/000003`: type `magictalk run`"):
        reader.clip("c/s/000003")
