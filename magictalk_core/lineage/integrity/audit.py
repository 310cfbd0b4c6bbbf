"""The audit: every file is read, and compared with what manifests, tables, records and names say of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from magictalk_core.lineage.integrity.claims import Claim, Claims
from magictalk_core.lineage.integrity.endings import is_cut
from magictalk_core.lineage.integrity.findings import AuditReport, Finding, Kind
from magictalk_core.lineage.integrity.places import is_bookkeeping, is_piece
from magictalk_core.lineage.integrity.sources import collect_claims
from magictalk_core.storage.hashes import file_md5
from magictalk_core.work.isolation import default_workers
from magictalk_core.workspace import Workspace

__all__ = ["Audited", "audit"]

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Audited:
    """The report, with what a repair looks for copies in: the claims, and the md5 of every file that was read."""

    report: AuditReport
    claims: Claims
    hashes: Mapping[Path, str]


def audit(workspace: Workspace, with_raw: bool = True, progress: Progress = lambda files: None) -> Audited:
    """Read every file of the workspace that something is known about, in parallel, and name all that is wrong.

    Nothing is changed. `with_raw`: the raw files of the corpora too. `progress` is told how many files were read.
    """
    began = time.monotonic()
    claims = collect_claims(workspace, with_raw)
    hashes, read_bytes, unreadable = _hashes(list(claims.by_file), progress)
    findings = [_unreadable(claims, file, why) for file, why in unreadable.items()]
    for file, said in claims.by_file.items():
        if file not in unreadable:
            findings += _compared(claims, file, said, hashes)
    # A source that others cover too is told of once, by whoever knows what it should be.
    told = {finding.path for finding in findings}
    findings += [finding for finding in claims.findings if finding.path not in told]
    findings += _nobodys(claims)
    found = tuple(sorted(findings, key=lambda finding: (finding.path, finding.kind)))
    seconds = round(time.monotonic() - began, 3)
    report = AuditReport(len(hashes), read_bytes, seconds, found, tuple(claims.notes))
    return Audited(report, claims, hashes)


def _hashes(files: list[Path], progress: Progress) -> tuple[dict[Path, str], int, dict[Path, str]]:
    """md5 of every file that is there, bytes read, and why a file cannot be read."""
    hashes: dict[Path, str] = {}
    unreadable: dict[Path, str] = {}
    total = 0

    def read(file: Path) -> tuple[str | None, int, str]:
        try:
            return file_md5(file), file.stat().st_size, ""
        except FileNotFoundError:
            return None, 0, ""
        except OSError as error:
            return None, 0, error.strerror or str(error)

    with ThreadPoolExecutor(default_workers()) as pool:
        for done, (file, (md5, size, why)) in enumerate(zip(files, pool.map(read, files), strict=True), start=1):
            if md5 is not None:
                hashes[file] = md5
                total += size
            elif why:
                unreadable[file] = why
            progress(done)
    return hashes, total, unreadable


def _unreadable(claims: Claims, file: Path, why: str) -> Finding:
    return Finding(claims.shown(file), Kind.UNREADABLE, f"{why}: look at that disk and at its permissions")


def _compared(claims: Claims, file: Path, said: list[Claim], hashes: Mapping[Path, str]) -> Iterator[Finding]:
    """What is wrong with a file that something is known about."""
    first, found = said[0], hashes.get(file)
    if found is None:
        if first.is_needed:
            what = f"{first.by} lists it: {first.remedy}"
            yield Finding(claims.shown(file), Kind.MISSING, what, first.by, first.md5)
        return
    broken = [claim for claim in said if claim.is_fixed and claim.md5 != found]
    if not broken and any(claim.md5 == found for claim in said):
        for claim in said:
            if claim.md5 != found:
                claims.notes.append(
                    f"{claim.by} is out of date: it says {claim.md5} of {claims.shown(file)}, now {found}"
                )
        return
    kind, what = _kind_of_change(claims, file, first, found)
    yield Finding(claims.shown(file), kind, f"{what}: {first.remedy}", first.by, first.md5, found)


def _kind_of_change(claims: Claims, file: Path, claim: Claim, found: str) -> tuple[Kind, str]:
    other = claims.by_md5().get(found)
    if other is not None and other != file:
        return Kind.SWAPPED, f"holds what {claims.shown(other)} should hold"
    status = file.stat()
    if is_cut(file) or (claim.bytes is not None and status.st_size < claim.bytes):
        return Kind.TRUNCATED, f"cut off after {status.st_size} bytes"
    if claim.mtime_ns is not None and claim.mtime_ns != status.st_mtime_ns:
        return Kind.DAMAGED, "written since it was listed"
    return Kind.DAMAGED, "its content is not what was recorded"


def _known_folders(claims: Claims) -> set[Path]:
    """Folders below the workspace in which, or below which, lies a file that something is known about."""
    known: set[Path] = set()
    for file in (*claims.by_file, *claims.sources):
        folder = file.parent
        while folder not in known and folder != claims.home and folder != folder.parent:
            known.add(folder)
            folder = folder.parent
    return known


def _nobodys(claims: Claims) -> Iterator[Finding]:
    """Half-written files, and files that nothing says anything about."""
    known = _known_folders(claims)
    for place in claims.places:
        path, shown = place.path, claims.shown(place.path)
        if place.is_temporary:
            what = "a process was killed while it wrote this: remove it when nothing runs in this workspace"
            yield Finding(shown, Kind.HALF_WRITTEN, what)
        elif path in claims.by_file or path in claims.sources or claims.is_in_the_dark(path):
            continue
        elif is_bookkeeping(shown) or is_piece(shown):
            continue
        elif path.parent in known or path.parent == claims.home:
            yield Finding(shown, Kind.FOREIGN, "nothing in this workspace knows of it: remove or move it")
        else:
            yield Finding(shown, Kind.UNRECORDED, "nothing says what it should be: `magictalk run` records it")
