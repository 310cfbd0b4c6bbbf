"""Work per clip: done once, done again where something changed, lost only where it crashed."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from magictalk_core.storage.parquet import read_table, write_table
from magictalk_core.storage.schema import SPEECH
from magictalk_core.work.clip_steps import ClipTask, StepLimits, inputs_digest, run_clip_tasks, write_shard
from magictalk_core.work.isolation import Crash

LIMITS = StepLimits(workers=2, timeout_s=30)


def featurize(clip: str, value: float, piece: Path) -> None:
    """A step: two rows of one number; a negative one kills the process."""
    if value < 0:
        os.abort()
    columns = {
        "clip_id": [clip] * 2,
        "frame_index": pa.array([0, 1], pa.int32()),
        "features": pa.array([[value], [value]], pa.list_(pa.float32())),
        "feature_id": ["toy"] * 2,
    }
    write_table(SPEECH, pa.table(columns, schema=SPEECH.schema()), piece)


def tasks(**values: float) -> list[ClipTask]:
    return [ClipTask(f"c/s/{k}", f"{k}{v}".ljust(32, "0"), (f"c/s/{k}", v)) for k, v in values.items()]


def test_only_new_and_changed_clips_are_computed(tmp_path: Path) -> None:
    def run(**values: float) -> tuple[int, str]:
        outcome = run_clip_tasks("toy", tasks(**values), featurize, tmp_path / "cache", ".parquet", LIMITS)
        md5, rows = write_shard(SPEECH, list(outcome.pieces.values()), tmp_path / "s.parquet", "inputs", {})
        assert rows == 2 * len(values)
        return outcome.computed, md5

    first = run(a=1.0, b=2.0, c=3.0)
    assert first[0] == 3
    assert run(a=1.0, b=2.0, c=3.0) == (0, first[1])
    changed = run(a=1.0, b=5.0, c=3.0)
    assert changed[0] == 1 and changed[1] != first[1]
    assert run(c=3.0, b=2.0, a=1.0) == (0, first[1]), "the order of the clips does not matter"


@pytest.mark.slow
def test_a_dying_clip_costs_itself_and_is_tried_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    outcome = run_clip_tasks("toy", tasks(a=1.0, b=-1.0, c=3.0), featurize, cache, ".parquet", LIMITS)
    assert outcome.computed == 2 and set(outcome.pieces) == {"c/s/a", "c/s/c"}
    assert outcome.crashes == {"c/s/b": Crash("died", "signal 6")}
    assert not list(cache.rglob("*.tmp*")) and len(list(cache.rglob("*.parquet"))) == 2
    again = run_clip_tasks("toy", tasks(a=1.0, b=4.0, c=3.0), featurize, cache, ".parquet", LIMITS)
    assert again.computed == 1 and not again.crashes
    table = read_table(SPEECH, again.pieces["c/s/b"])
    assert table["features"].to_pylist() == [[4.0], [4.0]]


def test_the_identity_of_a_shard_is_that_of_its_clips() -> None:
    assert inputs_digest(tasks(a=1.0, b=2.0)) == inputs_digest(tasks(b=2.0, a=1.0))
    assert inputs_digest(tasks(a=1.0)) != inputs_digest(tasks(a=2.0)) != inputs_digest(tasks(a=2.0, b=1.0))
