"""Reading a tar archive that nobody vouches for: one pass, bounded memory, every odd header named.

Not `tarfile.open`: it ends quietly at a damaged header, reads extended headers of any size into memory, and unpacks
10 KB of input at once, which a bzip2 bomb turns into 250 MB. What is read here is the format itself: ustar blocks with
pax and GNU long-name headers, plain or compressed by gzip, bzip2 or xz, told apart by content. Format: POSIX.1-2001
pax, and `man 5 tar`.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from magictalk_core.errors import PermanentError, TransientError

__all__ = ["ArchiveBroken", "ArchiveRefused", "Limits", "Member", "TarBytes", "read_members"]

BLOCK = 512
_PIECE = 1 << 16
_ZEROS = bytes(BLOCK)
_XZ_MEMORY = 72 << 20
"""Bytes; `xz -9` needs 65 MiB, and a header may ask for 4 GiB."""
_ABSURD_BYTES = 1 << 40
_PAX_RECORDS = 256

_GNU_LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_REFUSED = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


class ArchiveRefused(PermanentError):
    """A member breaks a rule: the whole archive is not to be trusted."""


class ArchiveBroken(PermanentError):
    """The archive is damaged or cut off from here on; the members before are complete."""


@dataclass(frozen=True)
class Limits:
    """What an archive may ask for. Media hardly compress, so one that grows by more than `growth` is a bomb."""

    members: int = 20_000
    growth: float = 1.2
    slack_bytes: int = 1 << 20
    header_bytes: int = 64 << 10
    path_bytes: int = 512
    depth: int = 12
    keep_free_bytes: int = 1 << 30


@dataclass(frozen=True)
class Member:
    """A regular file of `size` bytes or a folder; `name` as the archive spells it, not yet checked."""

    name: bytes
    is_folder: bool
    size: int


class _Decoder(Protocol):
    """What `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Decoded:
    """One or more bzip2 or xz streams, never unpacked further than asked for."""

    def __init__(self, file: BinaryIO, new_decoder: Callable[[], _Decoder]) -> None:
        self._file, self._new_decoder, self._decoder = file, new_decoder, new_decoder()

    def read(self, size: int) -> bytes:
        while True:
            given = b""
            if self._decoder.eof:
                given = self._decoder.unused_data or self._file.read(_PIECE)
                if not given.strip(b"\0"):
                    return b""
                self._decoder = self._new_decoder()
            elif self._decoder.needs_input:
                given = self._file.read(_PIECE)
                if not given:
                    raise EOFError("compressed data ended too early")
            data = self._decoder.decompress(given, size)
            if data:
                return data


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _decoded(file: BinaryIO) -> tuple[_Readable, bool]:
    """The tar bytes of `file`, and whether they are compressed."""
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb"), True
    if magic.startswith(b"BZh"):
        return _Decoded(file, bz2.BZ2Decompressor), True
    if magic == b"\xfd7zXZ\0":
        return _Decoded(file, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)), True
    return file, False


class TarBytes:
    """The bytes of a tar archive from front to back. `compressed` archives may give `limit_bytes` of them."""

    def __init__(self, file: BinaryIO, limit_bytes: int) -> None:
        self._file, self._size = file, file.seek(0, os.SEEK_END)
        file.seek(0)
        self._source, self.compressed = _decoded(file)
        self._limit = limit_bytes
        self.position = 0

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only where the archive ends."""
        pieces, wanted = [], size
        while wanted:
            piece = self._piece(min(wanted, _PIECE))
            if not piece:
                break
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def _piece(self, size: int) -> bytes:
        try:
            piece = self._source.read(size)
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            raise ArchiveBroken(f"its compressed data cannot be read: {error}") from error
        except OSError as error:
            if error.errno is None:  # what gzip and bz2 raise for bad data; the disk's own errors have a number
                raise ArchiveBroken(f"its compressed data cannot be read: {error}") from error
            raise TransientError(f"cannot be read: {error.strerror}") from error
        self.position += len(piece)
        if self.compressed and self.position > self._limit:
            raise ArchiveRefused(f"unpacks to more than {self._limit} bytes, far more than media would")
        return piece

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes in pieces. Raises `ArchiveBroken` when there are not so many."""
        while size:
            piece = self._piece(min(size, _PIECE))
            if not piece:
                raise ArchiveBroken(f"cut off {size} bytes before the end of a member")
            size -= len(piece)
            yield piece

    def skip_to(self, position: int) -> None:
        """Leave out what comes before `position`; in a plain archive without reading it."""
        if not self.compressed and position < self._size:
            self._file.seek(position)
            self.position = position
        for _ in self.pieces(position - self.position):
            pass


def read_members(stream: TarBytes, limits: Limits) -> Iterator[Member]:
    """The members in order; a file's bytes may be taken with `stream.pieces(size)` before the next is asked for.

    Raises `ArchiveRefused` for a member that is neither file nor folder and for headers out of all proportion,
    `ArchiveBroken` where the archive is damaged or ends without its end mark.
    """
    headers = 0
    extended: dict[str, bytes] = {}
    while (block := stream.read(BLOCK)) != _ZEROS:
        headers += 1
        header = _header(block, stream.position)
        if headers > limits.members:
            raise ArchiveRefused(f"has more than {limits.members} members")
        if header.type in _GNU_LONG or header.type in _PAX:
            extended |= _extension(header, stream, limits)
            continue
        member = _member(header, block, extended)
        extended = {}
        end = stream.position + -(-member.size // BLOCK) * BLOCK
        yield member
        stream.skip_to(end)
    if extended:
        raise ArchiveBroken("ends after an extended header, before its member")


def _header(block: bytes, position: int) -> tarfile.TarInfo:
    first = position <= BLOCK
    if not block:
        raise ArchiveBroken("is empty" if position == 0 else "ends without an end mark: it was cut off")
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        if first:
            raise ArchiveRefused("is no tar archive") from error
        raise ArchiveBroken(f"has a damaged header before byte {position}: {error}") from error


def _field(raw: bytes) -> bytes:
    """A text field up to its NUL. Bytes after it are how one name is shown and another one is written."""
    text, _, rest = raw.partition(b"\0")
    if rest.strip(b"\0"):
        raise ArchiveRefused(f"member {raw[:80]!a}: NUL inside a name")
    return text


def _member(header: tarfile.TarInfo, block: bytes, extended: dict[str, bytes]) -> Member:
    name, prefix = _field(block[:100]), b""
    if block[257:263] == b"ustar\0":  # old GNU headers have times in the prefix's place
        prefix = _field(block[345:500])
    name = extended.get("path", prefix + b"/" + name if prefix else name)
    shown = ascii(name[:80].decode("utf-8", "replace"))
    sparse = any(key.startswith("GNU.sparse") for key in extended)
    refused = "a sparse file" if sparse else _REFUSED.get(header.type)
    # Before POSIX there was no type for folders: a regular member whose name ends in a slash is one.
    is_folder = header.type == tarfile.DIRTYPE or (header.type in _FILES and name.endswith(b"/"))
    if refused is None and not is_folder and header.type not in _FILES:
        refused = f"of unknown type {header.type!r}"
    if refused is not None:
        raise ArchiveRefused(f"member {shown} is {refused}; only files and folders are allowed")
    size = _size(extended["size"], shown) if "size" in extended else header.size
    if not 0 <= size <= _ABSURD_BYTES or (is_folder and size):
        raise ArchiveRefused(f"member {shown} has the impossible size {size}")
    return Member(name, is_folder, size)


def _size(text: bytes, shown: str) -> int:
    if not text.isdigit() or len(text) > 20:
        raise ArchiveRefused(f"member {shown} has the impossible size {text[:40]!a}")
    return int(text)


def _extension(header: tarfile.TarInfo, stream: TarBytes, limits: Limits) -> dict[str, bytes]:
    """What an extended header says about the next member."""
    if not 0 <= header.size <= limits.header_bytes:
        raise ArchiveRefused(f"has an extended header of {header.size} bytes, limit {limits.header_bytes}")
    data = b"".join(stream.pieces(-(-header.size // BLOCK) * BLOCK))[: header.size]
    if header.type in _GNU_LONG:
        return {"path" if header.type == tarfile.GNUTYPE_LONGNAME else "linkpath": _field(data)}
    records = dict(_pax_records(data))
    if header.type != tarfile.XGLTYPE:
        return records
    if any(key in ("path", "linkpath", "size") or key.startswith("GNU.sparse") for key in records):
        raise ArchiveRefused("has a global header that gives all members one name or size")
    return {}


def _pax_records(data: bytes) -> Iterator[tuple[str, bytes]]:
    """`<length> <key>=<value>\\n`, the length counting all of it."""
    start = records = 0
    while start < len(data):
        records += 1
        if records > _PAX_RECORDS:
            raise ArchiveRefused(f"has an extended header of more than {_PAX_RECORDS} records")
        blank = data.find(b" ", start, start + 8)
        digits = data[start:blank] if blank > start else b""
        end = start + int(digits) if digits.isdigit() else 0
        key, equals, value = data[blank + 1 : end - 1].partition(b"=")
        if end <= blank or end > len(data) or data[end - 1 : end] != b"\n" or not equals:
            raise ArchiveRefused("has a malformed extended header")
        yield key.decode("utf-8", "replace"), value
        start = end
