"""Skip work whose inputs and outputs are unchanged.

A stamp lies beside an output and holds the digest of what went in and the md5 of every file that came out. It is valid
only while the files still are what it says, so a deleted or edited output is made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import digest_of, directory_md5, file_md5

__all__ = ["output_md5", "stamp_is_valid", "write_stamp"]


def _stamp(output: Path) -> Path:
    return output.with_name(f".{output.name}.stamp.json")


def _files(output: Path) -> dict[str, str]:
    if output.is_file():
        return {output.name: file_md5(output)}
    files = sorted(p for p in output.rglob("*") if p.is_file() and not p.name.startswith("."))
    return {p.relative_to(output).as_posix(): file_md5(p) for p in files}


def output_md5(output: Path) -> str:
    """md5 of a file, or DVC's `<md5>.dir` of a directory."""
    return file_md5(output) if output.is_file() else directory_md5(_files(output).items())


def stamp_is_valid(output: Path, inputs: Mapping[str, Any]) -> bool:
    """True when `output` was made from the same `inputs` and is unchanged since."""
    stamp = _stamp(output)
    if not stamp.is_file() or not output.exists():
        return False
    found = json.loads(stamp.read_text(encoding="utf-8"))
    return bool(found["inputs"] == digest_of(inputs) and found["files"] == _files(output))


def write_stamp(output: Path, inputs: Mapping[str, Any]) -> None:
    write_text(_stamp(output), json.dumps({"inputs": digest_of(inputs), "files": _files(output)}, indent=1))
