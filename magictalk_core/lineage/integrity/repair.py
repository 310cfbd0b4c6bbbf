"""Bringing back what an audit found wrong, from a copy whose hash is the recorded one.

Copies are looked for in the workspace, DVC's cache included, then at DVC's remotes. What has no copy is left as it is:
its finding says what makes it again. Foreign files and raw files are never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from magictalk_core.lineage.integrity.audit import Audited, audit
from magictalk_core.lineage.integrity.findings import AuditReport, Finding, Kind
from magictalk_core.lineage.integrity.places import TEMPORARY
from magictalk_core.lineage.integrity.records import twin_of_record
from magictalk_core.lineage.integrity.remotes import Remotes
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.workspace import Workspace

__all__ = ["repaired"]

_RESTORED = frozenset((Kind.DAMAGED, Kind.TRUNCATED, Kind.SWAPPED, Kind.MISSING))


def repaired(
    workspace: Workspace, with_raw: bool = True, progress: Callable[[int], None] = lambda files: None
) -> AuditReport:
    """Audit, then restore everything of which a whole copy is found, and remove half-written files.

    Raises `UserError` while a run works in the workspace: what is damaged and what is new could not be told apart.
    """
    home = workspace.home
    with held_or_refused(workspace.run_lock, f"the workspace {home}"):
        return _restored(home, audit(workspace, with_raw, progress))


def _restored(home: Path, audited: Audited) -> AuditReport:
    with (
        TemporaryDirectory(prefix=TEMPORARY, dir=home) as fetched,
        ExitStack() as writes,
    ):
        # All copies are taken before the first file is replaced: of two that were swapped each is the other's copy.
        remotes = Remotes(home, Path(fetched))
        findings = tuple(
            replace(f, repaired=_repair(home, f, audited, remotes, writes)) for f in audited.report.findings
        )
    return replace(audited.report, findings=findings)


def _repair(home: Path, finding: Finding, audited: Audited, remotes: Remotes, writes: ExitStack) -> str | None:
    """What is done when `writes` end, None where nothing can be."""
    path = home / finding.path
    if finding.kind is Kind.HALF_WRITTEN:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return "removed"
    if finding.kind in _RESTORED and path.is_relative_to(home / "cache"):
        path.unlink()
        return "removed: made again where it is needed"
    twin = twin_of_record(audited.claims, path) if finding.kind in (Kind.DAMAGED, Kind.SWAPPED) else None
    if twin is not None:
        shutil.copyfile(twin, writes.enter_context(atomic_path(path)))
        return f"restored from {audited.claims.shown(twin)}"
    md5 = finding.expected
    if finding.kind not in _RESTORED or md5 is None or not _is_ours(home, path, audited):
        return None
    for copy, said in audited.hashes.items():
        if said == md5 and copy != path and file_md5(copy) == md5:
            shutil.copyfile(copy, writes.enter_context(atomic_path(path)))
            return f"restored from {audited.claims.shown(copy)}"
    for name in remotes.names():
        brought = remotes.fetch(name, md5)
        if brought is not None and file_md5(brought) == md5:
            shutil.copyfile(brought, writes.enter_context(atomic_path(path)))
            return f"restored from the remote {name}"
    return None


def _is_ours(home: Path, path: Path, audited: Audited) -> bool:
    return path.is_relative_to(home) and not any(path.is_relative_to(folder) for folder in audited.claims.raw)
