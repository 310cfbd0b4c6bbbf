"""Marks on outputs that were made with withdrawn clips: a hidden file beside each, until it is made again.

A mark holds for the content that it was put on. That of a trained model holds for ever: its folder is named after what
it was trained on.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import write_text
from magictalk_core.work.provenance import output_md5, record_of

__all__ = ["Mark", "mark_output", "mark_path", "marked_outputs", "read_mark", "unmark_outputs", "warn_of_mark"]

logger = logging.getLogger("magictalk.lineage")

_SUFFIX = ".withdrawn.json"


@dataclass(frozen=True)
class Mark:
    """`withdrawals`: their numbers; `how`: `holds`, `made from` or `unknown`; `md5` of the marked content, None where
    the content under this name never changes."""

    withdrawals: tuple[int, ...]
    how: str
    why: str
    md5: str | None


def mark_path(output: Path) -> Path:
    return output.with_name(f".{output.name}{_SUFFIX}")


def read_mark(output: Path) -> Mark | None:
    """The mark of an output, None where it has none or was made anew since."""
    path = mark_path(output)
    if not path.is_file() or not output.exists():
        return None
    mark = _read(path)
    return mark if mark.md5 is None or mark.md5 == _known_md5(output) else None


def mark_output(output: Path, number: int, how: str, why: str, changes: bool = True) -> None:
    """Mark an output for one more withdrawal. `changes`: whether another content may lie under its name one day."""
    before = read_mark(output)
    numbers = {number, *(before.withdrawals if before else ())}
    md5 = _known_md5(output) if changes else None
    mark = Mark(tuple(sorted(numbers)), before.how if before else how, before.why if before else why, md5)
    write_text(mark_path(output), json.dumps(asdict(mark), indent=1))


@cache
def warn_of_mark(output: Path) -> None:
    """Say once that an output in use was made with withdrawn clips."""
    mark = read_mark(output)
    if mark is not None:
        numbers = " and ".join(map(str, mark.withdrawals))
        logger.warning(
            "%s: made with clips that were withdrawn since (withdrawal %s, %s): `magictalk run` makes it again without",
            output,
            numbers,
            mark.why,
        )


def marked_outputs(home: Path) -> list[Path]:
    """Every output with a mark file, of any age."""
    return sorted(path.with_name(path.name[1 : -len(_SUFFIX)]) for path in home.glob(f"*/**/.*{_SUFFIX}")) + sorted(
        path.with_name(path.name[1 : -len(_SUFFIX)]) for path in home.glob(f".*{_SUFFIX}")
    )


def unmark_outputs(home: Path, number: int) -> None:
    """Take a withdrawal out of all marks; those of content that is gone go as well."""
    for output in marked_outputs(home):
        mark = read_mark(output)
        left = () if mark is None else tuple(n for n in mark.withdrawals if n != number)
        if mark is None or not left:
            mark_path(output).unlink(missing_ok=True)
        elif left != mark.withdrawals:
            write_text(mark_path(output), json.dumps(asdict(mark) | {"withdrawals": left}, indent=1))


def _read(path: Path) -> Mark:
    values = json.loads(path.read_text(encoding="utf-8"))
    return Mark(tuple(values["withdrawals"]), values["how"], values["why"], values["md5"])


def _known_md5(output: Path) -> str:
    """The hash in the record of the output, which costs nothing, else of its content."""
    try:
        record = record_of(output)
    except PermanentError:
        record = None
    return output_md5(output) if record is None else record.md5
