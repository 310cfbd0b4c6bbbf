"""Content-addressed work per clip, assembled into one Parquet file per shard.

A clip's piece is named by the digest of everything that determines it, and is written atomically by the child that
computes it. So a second run computes nothing, a changed clip recomputes itself alone, and a run that was killed
continues with its finished clips. The shard file is a pure function of its pieces.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.storage.parquet import read_table, table_metadata, write_table
from magictalk_core.storage.schema import TableSpec
from magictalk_core.work.isolation import Crash, map_isolated
from magictalk_core.work.mapper import TaskMapper

__all__ = [
    "ClipTask",
    "StepLimits",
    "StepOutcome",
    "failed_clips",
    "inputs_digest",
    "is_incomplete",
    "piece_path",
    "run_clip_tasks",
    "write_shard",
]

logger = logging.getLogger("magictalk.steps")

SECONDS_BETWEEN_LINES = 5.0
INPUTS_KEY = "magictalk.inputs"
INCOMPLETE = "incomplete"
_FAILED_KEY = "magictalk.failed"


@dataclass(frozen=True)
class ClipTask:
    """One clip's work: `function(*arguments, piece)` writes the file `piece` for this `key`."""

    clip_id: str
    key: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class StepLimits:
    """How a step may use the machine, or by `mapper` the machines."""

    workers: int = 2
    timeout_s: float = 600.0
    memory_gb: float | None = None
    preload: tuple[str, ...] = ()
    mapper: TaskMapper = map_isolated


@dataclass(frozen=True)
class StepOutcome:
    """Where the pieces are, how many were computed in this run, and which clips have none."""

    pieces: Mapping[str, Path]
    computed: int
    crashes: Mapping[str, Crash]


def piece_path(cache: Path, key: str, suffix: str) -> Path:
    """Where the piece of a clip's work lies."""
    return cache / key[:2] / f"{key}{suffix}"


def inputs_digest(tasks: Sequence[ClipTask]) -> str:
    """The identity of a shard's work."""
    return digest_of({task.clip_id: task.key for task in tasks})


def run_clip_tasks(
    label: str,
    tasks: Sequence[ClipTask],
    function: Callable[..., None],
    cache: Path,
    suffix: str,
    limits: StepLimits,
    is_valid: Callable[[Path], bool] = Path.is_file,
) -> StepOutcome:
    """Make the missing pieces in isolated children. A crash is logged and returned, never cached, never raised.

    Trouble of the machine is raised (`TaskMapper`); the pieces that are finished stay for the next run.
    """
    pieces = {task.clip_id: piece_path(cache, task.key, suffix) for task in tasks}
    todo = [task for task in tasks if not is_valid(pieces[task.clip_id])]
    crashes: dict[str, Crash] = {}
    calls = [(*task.arguments, pieces[task.clip_id]) for task in todo]
    done, said = len(tasks) - len(todo), time.monotonic()
    outcomes = limits.mapper(
        function,
        calls,
        workers=limits.workers,
        timeout_s=limits.timeout_s,
        memory_gb=limits.memory_gb,
        preload=limits.preload,
    )
    for index, outcome in outcomes:
        task = todo[index]
        done += 1
        if isinstance(outcome, Crash):
            crashes[task.clip_id] = outcome
            logger.warning("%s: %s failed: %s: %s", label, task.clip_id, outcome.kind, outcome.detail)
        if time.monotonic() - said > SECONDS_BETWEEN_LINES and done < len(tasks):
            said = time.monotonic()
            logger.info("%s: %d of %d clips", label, done, len(tasks))
    return StepOutcome({c: p for c, p in pieces.items() if c not in crashes}, len(todo) - len(crashes), crashes)


def failed_clips(path: Path) -> dict[str, str]:
    """Clips of which a shard has no rows since their child crashed, and how, in one line each."""
    return {str(clip): str(detail) for clip, detail in json.loads(table_metadata(path).get(_FAILED_KEY, "{}")).items()}


def is_incomplete(path: Path) -> bool:
    """Whether a shard file says that clips of it are to be tried again."""
    return table_metadata(path).get(INPUTS_KEY) == INCOMPLETE


def unchanged_shard(path: Path, inputs: str) -> str | None:
    """md5 of the shard file when it was already made from the same work, else None."""
    if path.is_file() and table_metadata(path).get(INPUTS_KEY) == inputs:
        return file_md5(path)
    return None


def write_shard(
    spec: TableSpec,
    pieces: Sequence[Path],
    path: Path,
    inputs: str,
    metadata: Mapping[str, str],
    crashes: Mapping[str, Crash] | None = None,
) -> tuple[str, int]:
    """Assemble the pieces; returns the md5 and the row count.

    A shard with crashed clips names them (`failed_clips`), and is never taken for finished: the next run tries them
    again.
    """
    tables = [read_table(spec, piece) for piece in pieces]
    table = pa.concat_tables(tables) if tables else spec.schema().empty_table()
    facts = {INPUTS_KEY: inputs, **metadata}
    if crashes:
        failed = {clip: f"{crash.kind}: {crash.detail}" for clip, crash in crashes.items()}
        facts |= {INPUTS_KEY: INCOMPLETE, _FAILED_KEY: json.dumps(failed, sort_keys=True)}
    return write_table(spec, table, path, facts), len(table)
