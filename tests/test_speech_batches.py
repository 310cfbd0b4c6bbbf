"""Features of a whole shard: clips in batches, and an interruption that leaves no trace in the bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech_fixtures import noise

from magictalk_core.media.audio import write_wav
from magictalk_core.preparation.speech_batches import make_pieces_in_batches, make_speech_piece
from magictalk_core.speech.features import speech_clip
from magictalk_core.storage.parquet import read_table
from magictalk_core.storage.schema import SPEECH
from magictalk_core.work.clip_steps import ClipTask, StepLimits, piece_path, run_clip_tasks

SMALL = "deepspeech-small-1"


def tasks(folder: Path, seconds: list[float]) -> list[ClipTask]:
    found = []
    for number, length in enumerate(seconds):
        path = folder / f"{number}.wav"
        write_wav(path, noise(length, number), 16_000)
        key = f"{number:02d}".ljust(32, "0")
        found.append(ClipTask(f"c/s/{number}", key, (str(path), f"c/s/{number}", round(25 * length), SMALL)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("together", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_interrupted_shard_ends_with_the_bytes_of_an_unbroken_one(together: bool, tmp_path: Path) -> None:
    work = tasks(tmp_path, [0.4, 1.0, 0.2, 0.6])
    pieces = [piece_path(tmp_path / "cache", task.key, ".parquet") for task in work]
    assert make_pieces_in_batches("toy", work, tmp_path / "cache", 2, together) == 4
    whole = [piece.read_bytes() for piece in pieces]
    for task, piece in zip(work, pieces, strict=True):
        path, clip, frames, _ = task.arguments
        made, alone = read_table(SPEECH, piece), speech_clip(Path(path), clip, frames, SMALL)
        assert made.drop(["features"]).equals(alone.drop(["features"]))
        # Sums on another number of threads may differ in the last bit.
        values = [np.stack(table["features"].to_numpy()) for table in (made, alone)]
        np.testing.assert_allclose(*values, atol=1e-4)
    for lost in pieces[1:3]:
        lost.unlink()
    assert make_pieces_in_batches("toy", work, tmp_path / "cache", 2, together) == 2
    assert [piece.read_bytes() for piece in pieces] == whole
    assert make_pieces_in_batches("toy", work, tmp_path / "cache", 2, together) == 0


@pytest.mark.slow
def test_a_bad_clip_in_a_batch_costs_itself_alone(tmp_path: Path) -> None:
    work = tasks(tmp_path, [0.4, 0.6, 0.2])
    (tmp_path / "1.wav").write_bytes(b"no sound")
    cache = tmp_path / "cache"
    make_pieces_in_batches("toy", work, cache, 2, together=True)
    outcome = run_clip_tasks("toy", work, make_speech_piece, cache, ".parquet", StepLimits(2, 60))
    assert set(outcome.pieces) == {"c/s/0", "c/s/2"}
    assert "1.wav" in outcome.crashes["c/s/1"].detail
