"""What an audit finds: one record for each file that is not what it should be."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["AuditReport", "Finding", "Kind"]


class Kind(StrEnum):
    """What is wrong with a file."""

    DAMAGED = "damaged"
    """Its content is not what was recorded: a flipped bit, or somebody wrote into it."""

    TRUNCATED = "truncated"
    """As `damaged`, and its end is missing."""

    SWAPPED = "swapped"
    """It holds what another file should hold."""

    MISSING = "missing"
    """It was recorded and is not there."""

    FOREIGN = "foreign"
    """It lies among recorded files, and nothing knows of it."""

    UNRECORDED = "unrecorded"
    """It looks like a result, and nothing says what it should be."""

    HALF_WRITTEN = "half-written"
    """A temporary name that a killed process left."""

    UNREADABLE = "unreadable"
    """The machine refuses to read it."""


@dataclass(frozen=True)
class Finding:
    """One file. `path` is relative to the workspace, or absolute outside of it; `by` says what knows better."""

    path: str
    kind: Kind
    what: str
    by: str = ""
    expected: str | None = None
    found: str | None = None
    repaired: str | None = None


@dataclass(frozen=True)
class AuditReport:
    """All findings, sorted by path, and how much was read. `notes` are no faults: what is out of date."""

    files: int
    bytes: int
    seconds: float
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """What is still wrong after a repair."""
        return tuple(finding for finding in self.findings if finding.repaired is None)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "wrong": len(self.wrong)}
