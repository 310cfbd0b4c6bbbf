"""What the headers of a corpus's raw files say, asked once per content and remembered."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from magictalk_core.config import MediaConfig
from magictalk_core.media.container import MediaError
from magictalk_core.media.keyframes import chunk_starts
from magictalk_core.media.probe import MediaProbe, probe
from magictalk_core.preparation.gates import Rejection
from magictalk_core.preparation.preload import PRELOAD
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.sealed import is_sealed_whole, sealed
from magictalk_core.vocabulary.clips import Reason
from magictalk_core.work.isolation import Crash, default_workers, map_isolated

__all__ = ["HEADERS_VERSION", "Headers", "header_batch", "read_headers"]

logger = logging.getLogger("magictalk.corpora")

HEADERS_VERSION = "6"

_TIMEOUT_S = 30.0
_BATCH = 16
_PROGRESS_EVERY = 512

Answer = dict[str, Any] | list[Any]
"""A stored `MediaProbe` (dict), rejection ([reason, detail]) or, for key frames, list of chunk starts."""


@dataclass(frozen=True)
class Headers:
    """Answers by the md5 of the file. `complete` is False where a child died: another run asks again."""

    files: Mapping[str, MediaProbe | Rejection]
    chunks: Mapping[str, Sequence[float]]
    complete: bool


def header_batch(paths: Sequence[str], max_side: int) -> list[Answer]:
    """`probe` of several files for a child process: what is wrong with one comes back as its value."""
    answers: list[Answer] = []
    for path in paths:
        try:
            answers.append(asdict(probe(Path(path), max_side)))
        except MediaError as error:
            answers.append([str(error.reason), str(error)])
    return answers


def chunk_batch(paths: Sequence[str], max_side: int) -> list[Answer]:
    """Starts of the minute chunks of several files; of a broken one none."""
    answers: list[Answer] = []
    for path in paths:
        try:
            answers.append(list(chunk_starts(Path(path))))
        except MediaError:
            answers.append([])
    return answers


def read_headers(
    name: str, files: Mapping[str, Path], chunked: Mapping[str, Path], media: MediaConfig, cache: Path | None
) -> Headers:
    """Headers of `files` and chunk starts of `chunked`, both md5 -> path.

    Every new file's headers are read and one frame is decoded, in child processes. What they said is remembered in the
    JSON file `cache`, so that a corpus that grew by one file reads one. A child that dies is not remembered: the
    machine may be to blame.
    """
    version = f"{HEADERS_VERSION}/{media.max_side_px}"
    stored = _read(cache, version)
    lost: dict[str, Rejection] = {}
    for kind, wanted, function in (("headers", files, header_batch), ("chunks", chunked, chunk_batch)):
        todo = {md5: path for md5, path in wanted.items() if md5 not in stored[kind]}
        answers, crashes = _ask(f"{name} {kind}", todo, function, media)
        stored[kind] = {md5: a for md5, a in stored[kind].items() if md5 in wanted} | answers
        lost |= {md5: (Reason.UNREADABLE, f"{crash.kind}: {crash.detail}") for md5, crash in crashes.items()}
    if cache is not None:
        write_text(cache, sealed(json.dumps({"version": version, **stored}, sort_keys=True)))
    headers = {md5: _restored(answer) for md5, answer in stored["headers"].items()} | lost
    chunks = {md5: [float(start) for start in answer] for md5, answer in stored["chunks"].items()}
    return Headers(headers, chunks, not lost)


def _ask(
    label: str, todo: Mapping[str, Path], function: Callable[..., list[Answer]], media: MediaConfig
) -> tuple[dict[str, Answer], dict[str, Crash]]:
    """Answers by md5. Files go to the children in batches; the files of a batch that died are asked one by one."""
    keys = sorted(todo, key=lambda md5: str(todo[md5]))
    batches = [keys[i : i + _BATCH] for i in range(0, len(keys), _BATCH)]
    answers, crashes = _ask_batches(label, batches, todo, function, media)
    alone = [[md5] for md5 in crashes]
    if any(len(batch) > 1 for batch in batches) and alone:
        more, crashes = _ask_batches(f"{label}, again", alone, todo, function, media)
        answers |= more
    return answers, crashes


def _ask_batches(
    label: str,
    batches: Sequence[Sequence[str]],
    todo: Mapping[str, Path],
    function: Callable[..., list[Answer]],
    media: MediaConfig,
) -> tuple[dict[str, Answer], dict[str, Crash]]:
    answers: dict[str, Answer] = {}
    crashes: dict[str, Crash] = {}
    tasks = [([str(todo[md5]) for md5 in batch], media.max_side_px) for batch in batches]
    longest = _TIMEOUT_S * max((len(batch) for batch in batches), default=1) ** 0.5
    outcomes = map_isolated(
        function, tasks, workers=default_workers(), timeout_s=longest, memory_gb=media.max_memory_gb, preload=PRELOAD
    )
    done, said = 0, 0
    for index, outcome in outcomes:
        batch = batches[index]
        if isinstance(outcome, Crash):
            crashes |= dict.fromkeys(batch, outcome)
        else:
            answers |= dict(zip(batch, outcome, strict=True))
        done += len(batch)
        if done - said >= _PROGRESS_EVERY or done == len(todo):
            said = done
            logger.info("%s: %d of %d files", label, done, len(todo))
    return answers, crashes


def _restored(value: Any) -> MediaProbe | Rejection:
    if isinstance(value, dict):
        return MediaProbe(**(value | {"remarks": tuple(value["remarks"])}))
    return Reason(value[0]), str(value[1])


def _read(cache: Path | None, version: str) -> dict[str, dict[str, Answer]]:
    empty: dict[str, dict[str, Answer]] = {"headers": {}, "chunks": {}}
    if cache is None or not cache.is_file():
        return empty
    content = cache.read_bytes()
    # One that is damaged, or of a release that sealed nothing, is not believed: the headers are read again.
    stored: dict[str, Any] = json.loads(content) if is_sealed_whole(content) else {"version": None}
    return {kind: stored[kind] for kind in empty} if stored["version"] == version else empty
