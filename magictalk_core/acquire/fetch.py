"""Fetching the videos of corpora that are published as lists: one at a time, resumable, what is gone kept as data.

Outcomes stand in `corpora/<name>/fetched.parquet`, one row per file. Published lists age: of HDTF's videos users got
between 40 and 99 % (reference/datasets.md 2.5), so a miss is a row with its reason, never an error.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from magictalk_core.acquire.wanted import wanted_recordings
from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.records import Recording
from magictalk_core.errors import PermanentError, TransientError, UserError
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.storage.parquet import read_table, to_arrow
from magictalk_core.storage.schema import Column, TableSpec
from magictalk_core.workspace import Workspace

__all__ = [
    "FETCHED",
    "BlockedError",
    "FetchSummary",
    "Fetcher",
    "Outcome",
    "fetch_corpus",
    "read_outcomes",
]

_RETRY_PAUSES_S = (10.0, 30.0, 90.0)
_STOP_AFTER_BLOCKED = 3
_STOP_AFTER_FAILED = 10
_KEEP_FREE_BYTES = 1 << 30

FETCHED = TableSpec(
    "fetched",
    1,
    "what became of each video that the lists of a corpus name",
    (
        Column("address", pa.string(), "where the recording is published"),
        Column("file", pa.string(), "path below the corpus's local folder"),
        Column("status", pa.string(), "fetched, gone (not tried again unless asked to) or failed"),
        Column("detail", pa.string(), "why there is no file"),
        Column("tries", pa.int32(), "downloads started, over all runs", low=0),
        Column("last_try", pa.string(), "time of the last one, ISO 8601, UTC"),
        Column("bytes", pa.int64(), "size of the file", "byte", low=0, nullable=True),
    ),
    ("file",),
)


class BlockedError(TransientError):
    """The site refuses to answer for now (HTTP 429, a robot check): going on makes it worse."""


class Fetcher(Protocol):
    """Something that downloads one recording."""

    def fetch(self, address: str, target: Path, height: int | None) -> None:
        """Write the recording, picture and sound, to `target`, in `height` lines or the nearest below, then above.

        An interrupted download of the same `target` is continued. Raises `PermanentError` when the recording is gone,
        private or barred by region or age, or has no usable format; `BlockedError`; else `TransientError`.
        """


@dataclass(frozen=True)
class Outcome:
    """A row of FETCHED."""

    address: str
    file: str
    status: Literal["fetched", "gone", "failed"]
    detail: str = ""
    tries: int = 0
    last_try: str = ""
    bytes: int | None = None


@dataclass(frozen=True)
class FetchSummary:
    """Counts of files, over all runs; `left` were not tried yet. `misses`: wanted files that are gone or failed.
    `stopped`: why the run ended early, or empty."""

    wanted: int
    fetched: int
    gone: int
    failed: int
    left: int
    misses: tuple[Outcome, ...]
    stopped: str = ""

    def line(self) -> str:
        """One line for people."""
        counts = f"{self.fetched} fetched, {self.gone} gone, {self.failed} failed, {self.left} not tried yet"
        return f"{self.wanted} files wanted: {counts}" + (f"; {self.stopped}" if self.stopped else "")


def read_outcomes(table: Path) -> dict[str, Outcome]:
    """File -> outcome of the last try; empty when nothing was fetched yet."""
    if not table.is_file():
        return {}
    return {row["file"]: Outcome(**row) for row in read_table(FETCHED, table).to_pylist()}


def _write_outcomes(table: Path, outcomes: Iterable[Outcome]) -> None:
    rows: list[dict[str, Any]] = [asdict(outcome) for outcome in outcomes]
    with atomic_path(table) as temporary:
        pq.write_table(to_arrow(FETCHED, rows).replace_schema_metadata(FETCHED.schema().metadata), temporary)


def fetch_corpus(
    workspace: Workspace,
    entry: CorpusEntry,
    fetcher: Fetcher,
    progress: Callable[[str], None],
    *,
    limit: int | None = None,
    retry_misses: bool = False,
    pause_s: float = 5.0,
    sleep: Callable[[float], None] = time.sleep,
) -> FetchSummary:
    """Fetch what is wanted and not here, at most `limit` recordings, `pause_s` seconds apart.

    What is `gone` is tried again only with `retry_misses`. The table is written after each recording, so a run may be
    killed at any time. Raises `UserError` for a corpus without lists, and when another process fetches it now.
    """
    wanted = wanted_recordings(entry)
    with held_or_refused(workspace.corpus(entry.name) / ".fetch.lock", f"fetching `{entry.name}`"):
        run = _Run(workspace.local_media(entry.name), workspace.fetched_table(entry.name), fetcher, progress, sleep)
        todo = [recording for recording in wanted if run.is_open(recording, retry_misses)]
        stopped = run.work_through(todo if limit is None else todo[:limit], pause_s)
        return _summary(wanted, run.outcomes, stopped)


def _summary(wanted: Sequence[Recording], outcomes: dict[str, Outcome], stopped: str) -> FetchSummary:
    files = [file for recording in wanted for file in recording.files]
    tried = [outcomes[file] for file in files if file in outcomes]
    count = {status: sum(outcome.status == status for outcome in tried) for status in ("fetched", "gone", "failed")}
    misses = tuple(outcome for outcome in tried if outcome.status != "fetched")
    return FetchSummary(len(files), **count, left=len(files) - len(tried), misses=misses, stopped=stopped)


class _Run:
    """One run over the wanted recordings of a corpus."""

    def __init__(
        self,
        local: Path,
        table: Path,
        fetcher: Fetcher,
        progress: Callable[[str], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._local, self._table, self._fetcher = local, table, fetcher
        self._progress, self._sleep = progress, sleep
        self.outcomes = read_outcomes(table)

    def is_open(self, recording: Recording, retry_misses: bool) -> bool:
        """Whether there is something to do. A file that is here counts as fetched, whatever the table says."""
        missing = [file for file in recording.files if not (self._local / file).is_file()]
        known = [self.outcomes.get(file) for file in recording.files]
        if not missing and all(outcome and outcome.status == "fetched" for outcome in known):
            return False
        return not missing or retry_misses or not any(outcome and outcome.status == "gone" for outcome in known)

    def work_through(self, todo: Sequence[Recording], pause_s: float) -> str:
        """Returns why it stopped before the end, or nothing."""
        failed, asked = 0, False
        for number, recording in enumerate(todo, start=1):
            here = any((self._local / file).is_file() for file in recording.files)
            if asked and not here:
                self._sleep(pause_s)
            self._local.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self._local).free < _KEEP_FREE_BYTES:
                return f"less than {_KEEP_FREE_BYTES} bytes are free in {self._local}: make room and run it again"
            asked = asked or not here
            outcome, error = self._one(recording)
            self._progress(f"{number}/{len(todo)} {outcome.file}: {outcome.status} {outcome.detail}".rstrip())
            failed = failed + 1 if outcome.status == "failed" else 0
            if failed >= (_STOP_AFTER_BLOCKED if isinstance(error, BlockedError) else _STOP_AFTER_FAILED):
                return (
                    f"stopped after {failed} failures in a row, the last: {outcome.detail}: wait some hours and run it "
                    "again with a longer --pause"
                )
        return ""

    def _one(self, recording: Recording) -> tuple[Outcome, TransientError | None]:
        """Fetch a recording and put it under all its names."""
        first = next((f for f in recording.files if (self._local / f).is_file()), recording.files[0])
        before = self.outcomes.get(first, Outcome(recording.address, first, "failed"))
        outcome, error = replace(before, address=recording.address, status="fetched", detail=""), None
        if not (self._local / first).is_file():
            outcome, error = self._download(recording, first, before.tries)
        for file in recording.files:
            own = replace(outcome, file=file)
            if outcome.status == "fetched":
                if not (self._local / file).is_file():
                    _same_file(self._local / first, self._local / file)
                own = replace(own, bytes=(self._local / file).stat().st_size)
            self.outcomes[file] = own
        _write_outcomes(self._table, self.outcomes.values())
        return self.outcomes[first], error

    def _download(self, recording: Recording, file: str, tries: int) -> tuple[Outcome, TransientError | None]:
        target = self._local / file
        target.parent.mkdir(parents=True, exist_ok=True)
        # Hidden, so that no listing takes it for a video; the same in every run, so that a download continues.
        temporary = target.with_name(f".part-{target.name}")
        outcome = Outcome(recording.address, file, "failed")
        failure: TransientError | None = None
        for pause_s in (*_RETRY_PAUSES_S, None):
            tries += 1
            outcome = replace(outcome, tries=tries, last_try=datetime.now(UTC).isoformat(timespec="seconds"))
            try:
                self._fetcher.fetch(recording.address, temporary, recording.height)
                if not temporary.is_file() or temporary.stat().st_size == 0:
                    raise TransientError("the download ended without a file")
                os.replace(temporary, target)
                return replace(outcome, status="fetched"), None
            except UserError:
                raise
            except PermanentError as error:
                return replace(outcome, status="gone", detail=" ".join(str(error).split())), None
            except TransientError as error:
                failure = error
            if isinstance(failure, BlockedError) or pause_s is None:
                break
            self._sleep(pause_s)
        return replace(outcome, detail=" ".join(str(failure).split())), failure


def _same_file(existing: Path, other: Path) -> None:
    """`other` with the content of `existing`, without a second copy where the file system can do that."""
    other.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(existing, other)
        return
    with atomic_path(other) as temporary:
        shutil.copyfile(existing, temporary)
