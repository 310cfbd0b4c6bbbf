"""The append-only record of withdrawals: `$MAGICTALK_HOME/withdrawals.jsonl`, one JSON line per act.

Every line holds the SHA-256 of the line before, and the file beside it, `.withdrawals.head.json`, the number of lines
and the SHA-256 of the last one: an edited, a lost and an added line are found, and nothing is read from such a record.
The file is small and is replaced as a whole, so that a kill leaves the old lines or the new ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from magictalk_core.config import StrictModel
from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.locks import one_at_a_time
from magictalk_core.workspace import Workspace

__all__ = ["LogLine", "WithdrawnClip", "append_line", "head_of", "read_log"]

_FIRST = "0" * 64
"""What the first line holds in place of the hash of the line before."""


class WithdrawnClip(StrictModel):
    """A clip as it is known again by, whatever its name: hashes of its raw files, its cut and window in them, the
    hashes of its standardized media, and its signature with its length in seconds."""

    clip_id: str
    shard: str
    via: str = Field(description="how it was found: named, or as a copy of which clip")
    raw_path: str | None = None
    raw_md5: str | None = None
    raw_audio_path: str | None = None
    raw_audio_md5: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    box: tuple[int, int, int, int] | None = Field(None, description="x, y, width, height in the raw picture")
    media_md5: tuple[str, ...] = ()
    signature: str | None = None
    duration_s: float | None = None


class LogLine(StrictModel):
    """One act. `withdraw` has what was named and all its clips; `undo`, `purge_begun` and `purged` say `of` which.

    A purge names beforehand the `objects` (md5 -> file) that it removes from DVC's cache and remotes, so that a restore
    can say why a file is gone even when the purge was killed half-way.
    """

    number: int
    action: Literal["withdraw", "undo", "purge_begun", "purged"]
    time: str
    by: str
    reason: str
    kind: Literal["clip", "speaker", "source"] | None = None
    names: tuple[str, ...] = ()
    clips: tuple[WithdrawnClip, ...] = ()
    of: tuple[int, ...] = ()
    objects: dict[str, str] = Field(default_factory=dict)
    removed: dict[str, int] = Field(default_factory=dict)
    previous: str = _FIRST


def read_log(workspace: Workspace) -> list[LogLine]:
    """All lines, oldest first. Raises `PermanentError` where the record is not what was written."""
    path = workspace.withdrawals
    texts = _texts(path)
    lines: list[LogLine] = []
    before = _FIRST
    for number, text in enumerate(texts, start=1):
        line = _parsed(path, number, text)
        if line.number != number or line.previous != before:
            raise _damaged(path, f"line {max(1, number - 1)} or {number} was edited, or a line between them is lost")
        before = _sha256(text)
        lines.append(line)
    _check_head(workspace, texts)
    return lines


def head_of(workspace: Workspace) -> Path:
    """The file beside the record that says how many lines it has, and the hash of the last."""
    return workspace.withdrawals.with_name(f".{workspace.withdrawals.stem}.head.json")


def _texts(path: Path) -> list[str]:
    """The lines; only a line feed ends one, whatever else a reason may hold."""
    if not path.is_file():
        return []
    try:
        *texts, rest = path.read_bytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise _damaged(path, f"it is no text ({error.reason})") from error
    if rest:
        raise _damaged(path, "its last line has no end")
    return texts


def append_line(workspace: Workspace, by: str, reason: str, **values: Any) -> LogLine:
    """Write one more line, signed `by` somebody and dated now."""
    with one_at_a_time(workspace.home / ".withdrawals.lock"):
        lines = read_log(workspace)
        path = workspace.withdrawals
        old = path.read_text(encoding="utf-8") if lines else ""
        previous = _sha256(_texts(path)[-1]) if lines else _FIRST
        _write_head(workspace, len(lines), previous)  # a second kill must not leave it two lines behind
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = LogLine(number=len(lines) + 1, time=now, by=by, reason=reason, previous=previous, **values)
        text = line.model_dump_json(exclude_defaults=True)
        write_text(path, f"{old}{text}\n")
        _write_head(workspace, len(lines) + 1, _sha256(text))
    return line


def _parsed(path: Path, number: int, text: str) -> LogLine:
    try:
        return LogLine.model_validate_json(text)
    except ValidationError as error:
        raise _damaged(path, f"line {number} is none of ours ({error.errors()[0]['msg']})") from error


def _damaged(path: Path, what: str) -> PermanentError:
    return PermanentError(
        f"{path}: {what}: nothing is made while it is unknown who was withdrawn; bring the file and "
        f".{path.stem}.head.json back from a backup"
    )


def _write_head(workspace: Workspace, count: int, digest: str) -> None:
    write_text(head_of(workspace), _head_text(count, digest))


def _head_text(count: int, digest: str) -> str:
    return json.dumps({"lines": count, "sha256": digest}) + "\n"


def _check_head(workspace: Workspace, texts: Sequence[str]) -> None:
    """The head is written after the line: a kill between the two leaves it one line behind, and no other state."""
    path, head = workspace.withdrawals, head_of(workspace)
    known: dict[str, Any] = {"lines": 0, "sha256": _FIRST}
    if head.is_file():
        known = _parsed_head(path, head)
    count = int(known["lines"])
    if count > len(texts):
        raise _damaged(path, f"it had {count} lines, and {len(texts)} are left")
    if count < len(texts) - 1:
        raise _damaged(path, f"{len(texts) - count} lines were added by another program")
    if (_sha256(texts[count - 1]) if count else _FIRST) != known["sha256"]:
        raise _damaged(path, f"line {count} was edited")


def _parsed_head(path: Path, head: Path) -> dict[str, Any]:
    """Only the very bytes that are written are believed."""
    content = head.read_bytes()
    try:
        known: dict[str, Any] = json.loads(content)
        if content == _head_text(int(known["lines"]), str(known["sha256"])).encode():
            return known
    except (ValueError, TypeError, KeyError):
        pass
    raise _damaged(path, f"{head.name} is not what was written")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
