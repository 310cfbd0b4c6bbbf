"""Unpacking the archives that a corpus is published as, MEAD's `<ACTOR>/video.tar` for one, as untrusted input.

The registered folder is only read: `M003/video.tar` becomes `corpora/<name>/local/M003/video/` in the workspace. Each
archive owns one folder, which appears whole, by a rename, when every member was found harmless. One bad member and
nothing of the archive is kept. Layout and known damage: reference/datasets.md 1.2 and 1.6.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal

from magictalk_core.acquire.tar_stream import ArchiveBroken, ArchiveRefused, Limits, Member, TarBytes, read_members
from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.kinds import kind_names, kind_of
from magictalk_core.corpora.raw_files import MEDIA_SUFFIXES, log_left_out, scan_folder
from magictalk_core.errors import MagicTalkError, PermanentError, TransientError, UserError
from magictalk_core.storage.atomic import atomic_directory, write_text
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.workspace import Workspace

__all__ = ["Limits", "UnpackResult", "find_archives", "unpack_archive", "unpack_corpus"]

_DRIVE = re.compile(r"[A-Za-z]:")
_STAMP = ".unpacked.json"
_CHECKED_BYTES = 32 << 20


@dataclass(frozen=True)
class UnpackResult:
    """What became of one archive. `archive` is its path below the corpus folder, `folder` the one below `local`.

    `unchanged`: unpacked by an earlier run. `partial`: damaged, and what came before the damage is kept.
    `beside`: the corpus folder has it unpacked already. `skipped` counts files that are no media, and hidden ones.
    """

    archive: str
    folder: str
    status: Literal["unpacked", "unchanged", "partial", "refused", "beside"]
    files: int = 0
    bytes: int = 0
    skipped: int = 0
    detail: str = ""


def find_archives(entry: CorpusEntry) -> list[Path]:
    """The archives below the corpus folder, sorted. Raises `UserError` for a corpus that has none by its kind."""
    names = kind_of(entry).archives
    if names is None:
        packed = kind_names(lambda kind: kind.archives)
        raise UserError(f"corpus `{entry.name}` is of kind {entry.kind}: archives are known for {packed}")
    if not entry.root.is_dir():
        raise PermanentError(f"corpus `{entry.name}`: its folder {entry.root} is not there: is the disk mounted?")
    files, left_out = scan_folder(entry.root)
    log_left_out(entry.name, left_out)
    paths = (entry.root / file.path for file in files)
    return sorted(path for path in paths if names.fullmatch(path.name))


def _safe_parts(name: bytes, limits: Limits) -> tuple[str, ...]:
    """The parts of a member's name. Raises `ArchiveRefused` for a name that leads elsewhere or hides something."""
    shown = ascii(name[:80].decode("utf-8", "replace"))
    if len(name) > limits.path_bytes:
        raise ArchiveRefused(f"member {shown}: a name of {len(name)} bytes, limit {limits.path_bytes}")
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArchiveRefused(f"member {shown}: the name is no UTF-8") from error
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") for letter in text):
        raise ArchiveRefused(f"member {shown}: control characters in the name")
    if "\\" in text or _DRIVE.match(text):
        raise ArchiveRefused(f"member {shown}: a backslash or a drive letter in the name")
    if not text or text.startswith("/"):
        raise ArchiveRefused(f"member {shown}: an absolute or empty name")
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    if ".." in parts:
        raise ArchiveRefused(f"member {shown}: `..` in the name")
    if len(parts) > limits.depth or any(len(part.encode()) > 255 for part in parts):
        raise ArchiveRefused(f"member {shown}: a part longer than 255 bytes or more than {limits.depth} parts")
    return parts


class _Unpacking:
    """The members of one archive on their way into `folder` (None: only checked), and what was seen so far."""

    def __init__(self, folder: Path | None, limits: Limits, strip: Sequence[str]) -> None:
        self._folder, self._limits, self._strip = folder, limits, strip
        self._files: set[tuple[str, ...]] = set()
        self._folders: set[tuple[str, ...]] = {()}
        self.members = self.files = self.bytes = self.skipped = 0

    def take(self, member: Member, stream: TarBytes) -> None:
        """Check a member against all rules and write it, where it is a media file."""
        parts = self._place(_safe_parts(member.name, self._limits), member)
        hidden = any(part.startswith(".") for part in parts)
        if not member.is_folder and (hidden or PurePosixPath(parts[-1]).suffix.lower() not in MEDIA_SUFFIXES):
            self.skipped += 1
        elif not member.is_folder:
            if self._folder is not None:
                _write(self._folder.joinpath(*parts), member.size, stream)
            self.files += 1
            self.bytes += member.size
        self.members += 1

    def _place(self, parts: tuple[str, ...], member: Member) -> tuple[str, ...]:
        """Where the member goes below the folder: without the actor and the archive's own name in front."""
        for name in self._strip:
            if parts[:1] == (name,):
                parts = parts[1:]
        shown = ascii(member.name[:80].decode("utf-8", "replace"))
        if not member.is_folder and (parts in self._files or not parts):
            raise ArchiveRefused(f"member {shown} would overwrite an earlier one")
        folders = [parts[:depth] for depth in range(1, len(parts) + member.is_folder)]
        if any(folder in self._files for folder in folders) or (not member.is_folder and parts in self._folders):
            raise ArchiveRefused(f"member {shown} is both a file and a folder")
        self._folders.update(folders)
        if not member.is_folder:
            self._files.add(parts)
        return parts


def _write(path: Path, size: int, stream: TarBytes) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    # O_EXCL: never through or over anything that is already there. Mode, times and owner are ours.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        try:
            for piece in stream.pieces(size):
                file.write(piece)
        except ArchiveBroken:
            path.unlink()
            raise


def _check_first(file: BinaryIO, budget: int, limits: Limits, strip: Sequence[str]) -> None:
    """Apply the rules before anything is written: to all headers of a plain archive, which costs nearly nothing, and
    to the beginning of a compressed one, where a flood of tiny members shows."""
    stream = TarBytes(file, budget)
    checking = _Unpacking(None, limits, strip)
    with suppress(ArchiveBroken):  # which members are whole is seen when they are read
        for member in read_members(stream, limits):
            checking.take(member, stream)
            if stream.compressed and stream.position > _CHECKED_BYTES:
                return


def unpack_archive(
    archive: Path,
    target: Path,
    limits: Limits | None = None,
    *,
    strip: Sequence[str] = (),
    keep_partial: bool = False,
) -> UnpackResult:
    """Unpack the media files of `archive` into the folder `target`, which is replaced as a whole or not touched.

    Names in `strip` are taken off the front of the members' paths, one each, in order. Raises `PermanentError` naming
    archive, member and rule; for a damaged archive too, unless `keep_partial` and a member came before the damage.
    """
    limits = limits or Limits()
    before = archive.stat()
    budget = _budget(archive, before.st_size, target, limits)
    detail = ""
    try:
        with archive.open("rb") as file, ExitStack() as stack:
            _check_first(file, budget, limits, strip)
            folder = stack.enter_context(atomic_directory(target))
            unpacking = _Unpacking(folder, limits, strip)
            try:
                stream = TarBytes(file, budget)
                for member in read_members(stream, limits):
                    unpacking.take(member, stream)
            except ArchiveBroken as error:
                detail = f"{error}; {unpacking.members} complete members came before"
                if not (keep_partial and unpacking.files):
                    raise PermanentError(f"{detail}: fetch it again, or keep these with --keep-partial") from error
            after = archive.stat()
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise TransientError("changed while it was read: try again when it is complete")
    except (MagicTalkError, OSError) as error:
        kind = PermanentError if isinstance(error, PermanentError) else TransientError
        raise kind(f"{archive}: {error}; nothing of it was kept") from error
    status: Literal["partial", "unpacked"] = "partial" if detail else "unpacked"
    return UnpackResult(archive.name, target.name, status, unpacking.files, unpacking.bytes, unpacking.skipped, detail)


def _budget(archive: Path, size: int, target: Path, limits: Limits) -> int:
    """Bytes that the archive may unpack to."""
    there = next(folder for folder in target.parents if folder.is_dir())
    free = shutil.disk_usage(there).free - limits.keep_free_bytes
    if size > free:
        raise TransientError(
            f"{archive}: {size} bytes, and {there} would keep less than {limits.keep_free_bytes} bytes free: make room"
        )
    return min(int(size * limits.growth) + limits.slack_bytes, free)


def unpack_corpus(
    workspace: Workspace,
    entry: CorpusEntry,
    progress: Callable[[str], None],
    *,
    keep_partial: bool = False,
) -> list[UnpackResult]:
    """Unpack every archive of the corpus that is new or changed. A bad archive is a result, not the end.

    Raises `UserError` for a corpus that has no archives by its kind, and when another process unpacks it now.
    """
    archives = find_archives(entry)
    local = workspace.local_media(entry.name)
    with held_or_refused(workspace.corpus(entry.name) / ".unpack.lock", f"unpacking `{entry.name}`"):
        results: list[UnpackResult] = []
        for archive in archives:
            result = _one_of_corpus(entry.root, archive, local, {r.folder: r.archive for r in results}, keep_partial)
            results.append(result)
            progress(
                f"{result.archive}: {result.status}, {result.files} files, {result.skipped} skipped"
                + (f"; {result.detail}" if result.detail else "")
            )
    return results


def _one_of_corpus(root: Path, archive: Path, local: Path, taken: dict[str, str], keep_partial: bool) -> UnpackResult:
    relative = archive.relative_to(root)
    stem = archive.name.partition(".")[0].lower()
    folder = relative.parent / stem
    result = UnpackResult(str(relative), str(folder), "refused")
    # A linked folder is not followed by the listing: what lies there does not count.
    if (root / folder).is_dir() and not (root / folder).is_symlink():
        return replace(result, status="beside", detail=f"{root / folder} is there: remove one of the two")
    if str(folder) in taken:
        return replace(result, detail=f"{taken[str(folder)]} has the same folder: remove one of the two")
    _remove_leftovers(local / relative.parent)
    stat = archive.stat()
    version = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    known = _read_stamps(local).get(str(relative), {})
    if known.get("version") == version and (local / folder).is_dir():
        status: Literal["partial", "unchanged"] = "partial" if known.get("status") == "partial" else "unchanged"
        counts = {key: known[key] for key in ("files", "bytes", "skipped", "detail")}
        return replace(result, status=status, **counts)
    try:
        strip = (relative.parent.name, stem)
        done = unpack_archive(archive, local / folder, strip=strip, keep_partial=keep_partial)
    except MagicTalkError as error:
        with suppress(OSError):
            (local / relative.parent).rmdir()  # only when it is empty
        return replace(result, detail=str(error))
    result = replace(done, archive=str(relative), folder=str(folder))
    stamps = _read_stamps(local) | {str(relative): asdict(result) | {"version": version}}
    write_text(local / _STAMP, json.dumps(stamps, indent=1, sort_keys=True))
    return result


def _remove_leftovers(folder: Path) -> None:
    """Temporary folders of a run that was killed; the lock says that no other run has them in use."""
    for leftover in folder.glob(".tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _read_stamps(local: Path) -> dict[str, dict[str, Any]]:
    """Relative path of an archive -> its result and version. Unreadable: everything is unpacked again."""
    try:
        stamps = json.loads((local / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}
