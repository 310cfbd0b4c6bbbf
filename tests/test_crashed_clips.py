"""A clip whose child crashes is a row with a reason: the checks pass, the corpus goes on, the next run tries again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from face_fixtures import astronaut, mirrored, need_embedded_weights, turned

from magictalk_core.config import QualityConfig
from magictalk_core.errors import PermanentError
from magictalk_core.media.audio import write_wav
from magictalk_core.media.encode import write_video
from magictalk_core.preparation import shards, speech_batches
from magictalk_core.preparation.listing import frame_count_mismatches, speech_problems_of_shard, write_clips
from magictalk_core.preparation.shards import ShardResult, blendshapes_shard, speech_shard
from magictalk_core.preparation.shards import make_blendshapes_piece as track
from magictalk_core.preparation.speech_batches import make_speech_pieces as hear
from magictalk_core.presets.preset import load_preset
from magictalk_core.report.funnel import funnel
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, MEDIA, SPEECH
from magictalk_core.work.clip_steps import failed_clips
from magictalk_core.workspace import Workspace

FRAMES_OF_CLIP = 6
BAD = "c/s/1"


def abort_at_bad(video: str, clip_id: str, tracker: str, piece: Path) -> None:
    if clip_id == BAD:
        os.abort()
    track(video, clip_id, tracker, piece)


def abort_always(*_: Any) -> None:
    os.abort()


def eat_memory_at_bad(video: str, clip_id: str, tracker: str, piece: Path) -> None:
    if clip_id == BAD:
        bytearray(20_000_000_000)
    track(video, clip_id, tracker, piece)


def eat_memory_at_bad_speech(audio: str, clip_id: str, n_frames: int, feature: str, piece: Path) -> None:
    if clip_id == BAD:
        bytearray(20_000_000_000)
    hear([(audio, clip_id, n_frames, feature, piece)])


def abort_batches_with_bad(calls: Sequence[tuple[str, str, int, str, Path]]) -> None:
    if any(call[1] == BAD for call in calls):
        os.abort()
    hear(calls)


def abort_at_bad_speech(audio: str, clip_id: str, n_frames: int, feature: str, piece: Path) -> None:
    abort_batches_with_bad([(audio, clip_id, n_frames, feature, piece)])


def prepared(home: Path, clips: int) -> Workspace:
    """A corpus of one shard whose media are made."""
    need_embedded_weights()
    workspace = Workspace(home)
    folder = workspace.media("c", "b0")
    folder.mkdir(parents=True)
    index, media = [], []
    for number in range(clips):
        clip_id, stem = f"c/s/{number}", f"s-{number}"
        head = mirrored(astronaut()) if number % 2 else astronaut()
        write_video(folder / f"{stem}.mp4", [turned(head, 3.0 * i) for i in range(FRAMES_OF_CLIP)], 25, None)
        tone = np.sin(np.arange(FRAMES_OF_CLIP * 640) * (number + 1) / 30).astype(np.float32) / 2
        write_wav(folder / f"{stem}.wav", tone, 16_000)
        files = {f"{kind}_path": f"media/b0/{stem}.{suffix}" for kind, suffix in (("video", "mp4"), ("audio", "wav"))}
        md5 = {
            f"{kind}_md5": file_md5(folder / f"{stem}.{suffix}")
            for kind, suffix in (("video", "mp4"), ("audio", "wav"))
        }
        row = {"clip_id": clip_id, "n_frames": FRAMES_OF_CLIP, "duration_s": 2.0, "status": "ok"}
        media.append(dict.fromkeys(MEDIA.names) | row | files | md5)
        names = {"corpus": "c", "shard": "b0", "speaker": "s", "source": "s", "licence": "x", "split": "train"}
        index.append(dict.fromkeys(CLIPS.names) | names | {"clip_id": clip_id, "raw_path": stem, "status": "ok"})
    write_table(MEDIA, media, workspace.shard_table("c", "media", "b0"))
    write_table(CLIPS, index, workspace.index_table("c"))
    return workspace


def step(make: Callable[..., ShardResult], workspace: Workspace) -> ShardResult:
    return make(workspace, "c", "b0", load_preset("sample"), workers=2)


def finished(workspace: Workspace) -> Any:
    write_clips(workspace, "c", QualityConfig())
    return read_frame(CLIPS, workspace.clips_table("c")).set_index("clip_id", drop=False)


@pytest.mark.slow
def test_a_crash_in_tracking_is_a_reason_and_the_corpus_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = prepared(tmp_path, clips=4)
    step(speech_shard, workspace)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "make_blendshapes_piece", abort_at_bad)
        result = step(blendshapes_shard, workspace)
    assert (result.clips, result.rows, result.rejected) == (4, 3 * FRAMES_OF_CLIP, 1)
    assert BAD not in set(read_frame(FRAMES, result.path)["clip_id"])
    assert failed_clips(result.path) == {BAD: "died: signal 6"}
    assert frame_count_mismatches(workspace, "c", "b0", "blendshapes", "video_path") == []
    clips = finished(workspace)
    assert list(clips["status"]) == ["ok", "rejected", "ok", "ok"]
    assert tuple(clips.loc[BAD, ["reason", "detail"]]) == ("tracking_failed", "died: signal 6")
    (found,) = funnel(clips).corpora
    assert [(r.reason, r.clips) for r in found.rejections] == [("tracking_failed", 1)]
    again = step(blendshapes_shard, workspace)
    assert (again.computed, again.rejected, again.rows) == (1, 0, 4 * FRAMES_OF_CLIP)
    assert list(finished(workspace)["status"]) == ["ok"] * 4
    assert step(blendshapes_shard, workspace).computed == 0


@pytest.mark.slow
def test_a_crash_in_speech_is_a_reason_and_the_corpus_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = prepared(tmp_path, clips=4)
    step(blendshapes_shard, workspace)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "make_speech_piece", abort_at_bad_speech)
        patch.setattr(speech_batches, "make_speech_pieces", abort_batches_with_bad)
        result = step(speech_shard, workspace)
    assert (result.rows, result.rejected, failed_clips(result.path)) == (18, 1, {BAD: "died: signal 6"})
    assert frame_count_mismatches(workspace, "c", "b0", "speech", "audio_path") == []
    assert speech_problems_of_shard(workspace, "c", "b0") == {}
    clips = finished(workspace)
    assert tuple(clips.loc[BAD, ["status", "reason", "detail"]]) == ("rejected", "speech_failed", "died: signal 6")
    again = step(speech_shard, workspace)
    assert (again.computed, again.rejected) == (1, 0)
    assert set(read_frame(SPEECH, again.path)["clip_id"]) == {f"c/s/{n}" for n in range(4)}


@pytest.mark.slow
def test_tracking_and_speech_have_a_limit_on_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = prepared(tmp_path, clips=3)
    monkeypatch.setattr(shards, "make_blendshapes_piece", eat_memory_at_bad)
    tracked = step(blendshapes_shard, workspace)
    assert failed_clips(tracked.path) == {BAD: "died: out of memory, limit 6000000000 bytes"}
    assert tracked.rows == 2 * FRAMES_OF_CLIP
    if speech_batches.speech_memory_gb() is None:
        return  # a machine with a GPU
    monkeypatch.setattr(shards, "make_speech_piece", eat_memory_at_bad_speech)
    monkeypatch.setattr(speech_batches, "make_speech_pieces", abort_always)
    heard = step(speech_shard, workspace)
    assert failed_clips(heard.path) == {BAD: "died: out of memory, limit 8000000000 bytes"}


@pytest.mark.slow
def test_a_missing_clip_without_a_crash_still_fails_the_check(tmp_path: Path) -> None:
    workspace = prepared(tmp_path, clips=3)
    result = step(blendshapes_shard, workspace)
    rows = read_frame(FRAMES, result.path)
    write_table(FRAMES, rows[rows["clip_id"] != BAD], result.path)
    assert frame_count_mismatches(workspace, "c", "b0", "blendshapes", "video_path") == [BAD]


def test_a_shard_of_one_clip_that_crashes_does_not_stop_its_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = prepared(tmp_path, clips=1)
    monkeypatch.setattr(shards, "make_blendshapes_piece", abort_always)
    assert step(blendshapes_shard, workspace).rejected == 1


@pytest.mark.slow
def test_a_shard_of_which_most_crash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = prepared(tmp_path, clips=5)
    monkeypatch.setattr(shards, "make_blendshapes_piece", abort_always)
    with pytest.raises(PermanentError, match="5 of 5 clips failed, more than 50%; first c/s/0: died: signal 6"):
        step(blendshapes_shard, workspace)
    assert not workspace.shard_table("c", "blendshapes", "b0").exists()
