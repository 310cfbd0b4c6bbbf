"""Unpacking hostile, damaged and good archives."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import multiprocessing as mp
import os
import re
import resource
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from magictalk_core.acquire.archives import UnpackResult, find_archives, unpack_archive, unpack_corpus
from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.mead.clips import find_clips
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.corpora.source import list_source
from magictalk_core.errors import MagicTalkError, PermanentError, UserError
from magictalk_core.workspace import Workspace
from pipelines.cli import app

GOOD = "video/front/angry/level_1/001.mp4"
END = bytes(1024)


def block(
    name: bytes,
    size: int | bytes = 0,
    kind: bytes = b"0",
    link: bytes = b"",
    mode: bytes = b"0000644\0",
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
) -> bytes:
    """One header block with a right checksum, whatever its fields say."""
    number = size if isinstance(size, bytes) else b"%011o\0" % size if size < 8**11 else base256(size)
    head = name.ljust(100, b"\0") + mode + b"0000000\0" * 2 + number + b"00000000000\0"
    tail = kind + link.ljust(100, b"\0") + magic + bytes(64) + b"0000000\0" * 2 + prefix.ljust(155, b"\0")
    whole = (head + b" " * 8 + tail).ljust(512, b"\0")
    return whole[:148] + b"%06o\0 " % sum(whole) + whole[156:]


def entry_of(name: bytes, data: bytes = b"x", kind: bytes = b"0", **fields: Any) -> bytes:
    return block(name, len(data), kind, **fields) + data + bytes(-len(data) % 512)


def pax(name: str = "path", value: bytes = b"", kind: bytes = b"x") -> bytes:
    body = b" " + name.encode() + b"=" + value + b"\n"
    size = len(body) + next(n for n in range(1, 9) if len(str(len(body) + n)) == n)
    return entry_of(b"pax", str(size).encode() + body, kind)


def base256(value: int) -> bytes:
    return b"\xff" + value.to_bytes(11, "big", signed=True) if value < 0 else b"\x80" + value.to_bytes(11, "big")


def zipped() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr(GOOD, "x" * 2000)
    return target.getvalue()


FIRST = entry_of(GOOD.encode())
OTHER = b"video/front/angry/level_1/002.mp4"

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "absolute path": (lambda: entry_of(b"/tmp/evil.mp4"), "absolute"),
    "absolute path in a prefix": (lambda: entry_of(b"evil.mp4", prefix=b"/tmp"), "absolute"),
    "absolute path in a pax header": (lambda: pax(value=b"/tmp/evil.mp4") + FIRST, "absolute"),
    "parent": (lambda: entry_of(b"../evil.mp4"), r"\.\."),
    "parent inside": (lambda: entry_of(b"video/front/../../../evil.mp4"), r"\.\."),
    "parent as the last part": (lambda: entry_of(b"video/..", b"", b"5"), r"\.\."),
    "parent behind a dot": (lambda: entry_of(b"./.././evil.mp4"), r"\.\."),
    "parent in a pax header": (lambda: pax(value=b"a/../../evil.mp4") + FIRST, r"\.\."),
    "parent in a GNU long name": (lambda: entry_of(b"@", b"../evil.mp4\0", b"L") + FIRST, r"\.\."),
    "parent with backslashes": (lambda: entry_of(b"..\\evil.mp4"), "backslash"),
    "backslashes": (lambda: entry_of(b"video\\front\\evil.mp4"), "backslash"),
    "drive letter": (lambda: entry_of(b"C:/evil.mp4"), "drive letter"),
    "symbolic link": (lambda: block(OTHER, kind=b"2", link=b"/etc/passwd"), "symbolic link"),
    "symbolic link to a folder, then a file through it": (
        lambda: block(b"video/out", kind=b"2", link=b"../../..") + entry_of(b"video/out/evil.mp4"),
        "symbolic link",
    ),
    "hard link": (lambda: block(OTHER, kind=b"1", link=b"/etc/passwd"), "hard link"),
    "character device": (lambda: block(OTHER, kind=b"3"), "character device"),
    "block device": (lambda: block(OTHER, kind=b"4"), "block device"),
    "named pipe": (lambda: block(OTHER, kind=b"6"), "named pipe"),
    "sparse file of GNU": (lambda: block(OTHER, kind=b"S"), "sparse"),
    "sparse file of pax": (lambda: pax("GNU.sparse.major", b"1") + FIRST, "sparse"),
    "unknown type": (lambda: block(OTHER, kind=b"M"), "unknown type"),
    "duplicate": (lambda: entry_of(GOOD.encode(), b"y"), "overwrite"),
    "duplicate spelt otherwise": (lambda: entry_of(b"./front//angry/./level_1/001.mp4"), "overwrite"),
    "file then folder": (lambda: entry_of(GOOD.encode() + b"/002.mp4"), "both a file and a folder"),
    "folder then file": (lambda: entry_of(b"video/front/angry"), "both a file and a folder"),
    "NUL inside a name": (lambda: entry_of(b"a.mp4\0/../evil.mp4"), "NUL"),
    "NUL in a pax name": (lambda: pax(value=b"a.mp4\0b") + FIRST, "control"),
    "newline in a name": (lambda: entry_of(b"a\nb.mp4"), "control"),
    "escape in a name": (lambda: entry_of(b"a\x1b[2Jb.mp4"), "control"),
    "text direction in a name": (lambda: entry_of("a\u202e4pm.sh".encode()), "control"),
    "name that is no UTF-8": (lambda: entry_of(b"a\xff.mp4"), "UTF-8"),
    "empty name": (lambda: entry_of(b""), "empty"),
    "name of 5,000 letters": (lambda: pax(value=b"a" * 5000 + b".mp4") + FIRST, "5004 bytes"),
    "part of 300 letters": (lambda: pax(value=b"a" * 300 + b".mp4") + FIRST, "255"),
    "500 folders deep": (lambda: pax(value=b"a/" * 250 + b"b.mp4") + FIRST, "more than 12 parts"),
    "giant pax header": (lambda: block(b"pax", 1 << 33, b"x"), "extended header of 8589934592"),
    "giant GNU long name": (lambda: block(b"@", 1 << 33, b"L"), "extended header of 8589934592"),
    "malformed pax header": (lambda: entry_of(b"pax", b"99999 path=a\n", b"x") + FIRST, "malformed"),
    "pax record of length 0": (lambda: entry_of(b"pax", b"0 a=b\n", b"x") + FIRST, "malformed"),
    "global pax name": (lambda: pax(value=b"evil.mp4", kind=b"g") + FIRST, "global"),
    "negative size": (lambda: block(OTHER, base256(-512)), "size -512"),
    "negative octal size": (lambda: block(OTHER, b"-0000001000\0"), "size -512"),
    "absurd size": (lambda: block(OTHER, base256(1 << 80)), "impossible size"),
    "absurd pax size": (lambda: pax("size", b"9" * 30) + FIRST, "impossible size"),
    "folder with content": (lambda: entry_of(b"video/x", b"x", b"5"), "impossible size"),
}
DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "size beyond the end": (lambda: block(OTHER, 1 << 33) + END, "cut off .* 1 complete members"),
    "damaged header": (lambda: bytes(3) + block(OTHER)[3:] + END, "damaged header .* 1 complete members"),
    "no end mark": (lambda: b"", "without an end mark.* 1 complete members"),
    "half a header": (lambda: block(OTHER)[:200], "damaged header .* 1 complete members"),
    "ends after a pax header": (lambda: pax(value=b"a.mp4") + END, "extended header, before its member"),
}
NO_TAR: dict[str, Callable[[], bytes]] = {
    "empty file": lambda: b"",
    "one byte": lambda: b"x",
    "text": lambda: b"<html>quota exceeded</html>" * 100,
    "zip": zipped,
    "gzip of text": lambda: gzip.compress(b"hello" * 500),
    "cut gzip": lambda: gzip.compress(os.urandom(9000))[:50],
    "gzip header alone": lambda: b"\x1f\x8b\x08",
    "bad bzip2": lambda: b"BZh9" + b"x" * 2000,
    "bad xz": lambda: b"\xfd7zXZ\0" + b"x" * 2000,
}


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_size if path.is_file() else 0)
        for path in folder.rglob("*")
    }


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder deep enough that a few `..` stay below `tmp_path`, with something that could be overwritten."""
    folder = tmp_path / "a/b/c"
    folder.mkdir(parents=True)
    (tmp_path / "a" / "evil.mp4").write_text("precious")
    return folder


def refused(place: Path, content: bytes, message: str) -> None:
    archive = place / "video.tar"
    archive.write_bytes(content)
    top = place.parents[2]
    before = snapshot(top)
    with pytest.raises(MagicTalkError, match=message) as caught:
        unpack_archive(archive, place / "video", strip=("M003", "video"))
    assert str(archive) in str(caught.value) and "\n" not in str(caught.value)
    assert snapshot(top) == before
    assert not Path("/tmp/evil.mp4").exists()


@pytest.mark.parametrize("case", REFUSED)
def test_one_bad_member_and_nothing_is_kept(place: Path, case: str) -> None:
    make, message = REFUSED[case]
    refused(place, FIRST + make() + END, message)


@pytest.mark.parametrize("case", ["parent", "symbolic link", "name that is no UTF-8"])
def test_bad_members_in_compressed_archives(place: Path, case: str) -> None:
    make, message = REFUSED[case]
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        refused(place, compress(FIRST + make() + END), message)


@pytest.mark.parametrize("case", NO_TAR)
def test_what_is_no_archive_says_so(place: Path, case: str) -> None:
    refused(place, NO_TAR[case](), "no tar archive|is empty|cannot be read")


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_archive_is_refused_or_kept_in_part(place: Path, case: str) -> None:
    make, message = DAMAGED[case]
    refused(place, FIRST + make(), message)
    result = unpack_archive(place / "video.tar", place / "video", strip=("video",), keep_partial=True)
    assert (result.status, result.files) == ("partial", 1) and result.detail
    assert [p.name for p in (place / "video").rglob("*") if p.is_file()] == ["001.mp4"]


# -- bombs ------------------------------------------------------------------------------------------------------------


def many(header: Callable[[int], bytes], count: int) -> Iterator[bytes]:
    for start in range(0, count, 1000):
        yield b"".join(header(number) for number in range(start, start + 1000))


def write_bomb(path: Path, kind: str) -> None:
    zeros = bytes(1 << 20)
    with path.open("wb") as plain:
        if kind in ("gzip", "bzip2", "xz", "xz asking for 1 GiB"):
            if kind == "gzip":
                file: Any = gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=1)
            elif kind == "bzip2":
                file = bz2.BZ2File(plain, "wb")
            else:
                filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 8 << 20}]
                file = lzma.LZMAFile(plain, "wb", filters=filters)
            with file:
                file.write(block(OTHER, base256(1 << 34)))
                for _ in range(200):
                    file.write(zeros)
        elif kind == "million empty files":
            plain.writelines(many(lambda n: block(b"video/front/%07d.mp4" % n), 1_000_000))
        elif kind == "million empty files, gzip":
            with gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=1) as file:
                for piece in many(lambda n: block(b"video/front/%07d.mp4" % n), 100_000):
                    file.write(piece)
        elif kind == "million files that are no media":
            plain.writelines(many(lambda n: block(b"f%07d" % n), 100_000))
            one = block(b"readme.txt")
            plain.writelines(one * 1000 for _ in range(900))
        elif kind == "million times one folder":
            plain.writelines(block(b"video/front/", kind=b"5") * 1000 for _ in range(1000))
        elif kind == "million pax headers":
            plain.writelines(pax("comment", b"x") * 1000 for _ in range(500))
        elif kind == "pax header of 64 KiB of records":
            plain.writelines(entry_of(b"p", b"5 a=\n" * 13_000, b"x") for _ in range(100))
        elif kind == "giant pax header, complete":
            plain.write(block(b"p", 300 << 20, b"x"))
            plain.writelines(zeros for _ in range(300))
        elif kind == "giant GNU long name, complete":
            plain.write(block(b"@", 300 << 20, b"L"))
            plain.writelines(b"a" * (1 << 20) for _ in range(300))
    if kind == "xz asking for 1 GiB":
        data = bytearray(path.read_bytes())
        # The block header: size, flags, filter id 0x21, property size 1, dictionary size, ..., crc32.
        start, size = 12, (data[12] + 1) * 4
        data[start + 4] = 36
        data[start + size - 4 : start + size] = struct.pack("<I", zlib.crc32(bytes(data[start : start + size - 4])))
        path.write_bytes(data)


def measured(archive: Path, target: Path) -> tuple[str, float, float]:
    """Message, seconds, and MiB that the memory's high-water mark rose by; runs in a child of its own."""
    warm = archive.with_name("warm.tar")
    warm.write_bytes(FIRST + END)
    unpack_archive(warm, target.with_name("warm"))
    with Path("/proc/self/clear_refs").open("w") as reset:
        reset.write("5")
    before, start, message = _peak_kib(), time.monotonic(), ""
    try:
        unpack_archive(archive, target)
    except MagicTalkError as error:
        message = str(error)
    return message, time.monotonic() - start, (_peak_kib() - before) / 1024


def _peak_kib() -> int:
    """VmHWM, which can be reset after warming up; ru_maxrss cannot."""
    text = Path("/proc/self/status").read_text()
    found = next((line for line in text.splitlines() if line.startswith("VmHWM")), None)
    return int(found.split()[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


BOMBS = {
    "gzip": "unpacks to more than",
    "bzip2": "unpacks to more than",
    "xz": "unpacks to more than",
    "xz asking for 1 GiB": "compressed data cannot be read: Memory usage limit",
    "million empty files": "more than 20000 members",
    "million empty files, gzip": "more than 20000 members|unpacks to more",
    "million files that are no media": "more than 20000 members",
    "million times one folder": "more than 20000 members",
    "million pax headers": "more than 20000 members",
    "pax header of 64 KiB of records": "more than 256 records",
    "giant pax header, complete": "extended header of",
    "giant GNU long name, complete": "extended header of",
}


@pytest.mark.thinned(3)
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc of Linux")
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] if "million" in case else []) for case in BOMBS]
)
def test_bombs_are_stopped_early(place: Path, case: str) -> None:
    archive = place / "video.tar"
    write_bomb(archive, case)
    # Not a `Pool`: ending one waits for ever, now and then.
    with ProcessPoolExecutor(1, mp_context=mp.get_context("spawn")) as pool:
        message, seconds, mib = pool.submit(measured, archive, place / "video").result()
    print(f"\n{case}: {seconds:.2f} s, {mib:.1f} MiB, archive {archive.stat().st_size} bytes")
    assert re.search(BOMBS[case], message)
    assert seconds < 6 and mib < 64
    assert sorted(p.name for p in place.iterdir()) == ["video.tar", "warm", "warm.tar"]
    archive.unlink()


# -- the good case ----------------------------------------------------------------------------------------------------


def test_modes_times_and_other_files_are_ours(place: Path) -> None:
    archive = place / "video.tar"
    inner = FIRST + entry_of(b"../evil.mp4") + END
    archive.write_bytes(
        entry_of(b"./", b"", b"5")
        + pax("mtime", b"1")
        + entry_of(GOOD.encode(), b"film", mode=b"0006777\0")
        + entry_of(b"video/front/angry/level_1/._001.mp4")
        + entry_of(b"video/.hidden/001.mp4")
        + entry_of(b"video/readme.txt")
        + entry_of(b"video/inner.tar", inner)
        + END
    )
    result = unpack_archive(archive, place / "video", strip=("M003", "video"))
    assert result == UnpackResult("video.tar", "video", "unpacked", 1, 4, 4)
    file = place / "video/front/angry/level_1/001.mp4"
    assert file.read_bytes() == b"film"
    assert [p for p in (place / "video").rglob("*") if p.is_file()] == [file]
    assert stat.S_IMODE(file.stat().st_mode) & ~0o644 == 0
    assert file.stat().st_mtime > time.time() - 3600


def test_names_of_old_and_long_headers(place: Path) -> None:
    long = b"video/front/angry/" + b"n" * 120 + b".mp4"
    archive = place / "video.tar"
    archive.write_bytes(
        entry_of(b"@", long + b"\0", b"L")
        + entry_of(long[:100], b"1")
        + pax(value="video/front/sad/é.mp4".encode())
        + entry_of(b"e.mp4", b"2")
        + entry_of(b"fear.mp4", b"3", prefix=b"video/top")
        + entry_of(b"old.mp4", b"4", magic=b"ustar  \0", prefix=b"12345670123")
        + pax("comment", b"git", b"g")
        + entry_of(b"v7/", b"", b"\0")
        + END
    )
    unpack_archive(archive, place / "video", strip=("video",))
    files = {str(p.relative_to(place / "video")): p.read_text() for p in (place / "video").rglob("*") if p.is_file()}
    assert files == {f"front/angry/{'n' * 120}.mp4": "1", "front/sad/é.mp4": "2", "top/fear.mp4": "3", "old.mp4": "4"}


def test_a_full_disk_is_seen_before_anything_is_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = place / "video.tar"
    archive.write_bytes(FIRST + END)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": (1 << 30) + 100}))
    with pytest.raises(MagicTalkError, match="make room"):
        unpack_archive(archive, place / "video")
    assert not (place / "video").exists()


@pytest.fixture
def entry(tmp_path: Path, workspace: Workspace) -> CorpusEntry:
    root = tmp_path / "MEAD"
    root.mkdir()
    entry = new_entry(name="mead", kind="mead", root=root)
    add_corpus(workspace, entry)
    return entry


def put_archive(entry: CorpusEntry, name: str, members: list[str], mode: str = "w") -> Path:
    path = entry.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for member in members:
            info = tarfile.TarInfo(member)
            data = os.urandom(3000)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def clips_of(workspace: Workspace, entry: CorpusEntry) -> dict[str, tuple[str, str | None]]:
    source = list_source(entry, workspace.local_media(entry.name), None, 1)
    clips = find_clips(corpus_of(entry), list(source["path"]))
    return {c.clip_id: (str(c.path), None if c.audio_path is None else str(c.audio_path)) for c in clips}


def unpack(workspace: Workspace, entry: CorpusEntry, **options: Any) -> dict[str, UnpackResult]:
    return {r.archive: r for r in unpack_corpus(workspace, entry, lambda line: None, **options)}


def test_mead_archives_become_clips_that_the_reader_finds(workspace: Workspace, entry: CorpusEntry) -> None:
    put_archive(entry, "M003/video.tar", ["video/front/angry/level_1/001.mp4", "video/down/sad/level_2/001.mp4"])
    put_archive(entry, "M003/audio.tar", ["audio/angry/level_1/001.m4a"])
    put_archive(entry, "M005/video.tar", ["front/happy/level_3/002.mp4"], "w:xz")
    put_archive(entry, "M005/audio.tar.gz", ["happy/level_3/002.m4a"], "w:gz")
    put_archive(entry, "W009/video.tar", ["W009/video/front/fear/level_2/003.mp4", "./1/front/sad/level_1/004.mp4"])
    put_archive(entry, "all/W011/video.tar.bz2", ["1/front/neutral/level_1/040.mp4"], "w:bz2")
    put_archive(entry, "M005/other.tar", ["front/happy/level_3/009.mp4"])
    before = snapshot(entry.root)
    results = unpack(workspace, entry)
    assert {r.status for r in results.values()} == {"unpacked"} and len(results) == 6
    assert clips_of(workspace, entry) == {
        "mead/M003/front-angry-level_1-001": (
            "@local/M003/video/front/angry/level_1/001.mp4",
            "@local/M003/audio/angry/level_1/001.m4a",
        ),
        "mead/M005/front-happy-level_3-002": (
            "@local/M005/video/front/happy/level_3/002.mp4",
            "@local/M005/audio/happy/level_3/002.m4a",
        ),
        "mead/W009/front-fear-level_2-003": ("@local/W009/video/front/fear/level_2/003.mp4", None),
        "mead/W009/front-sad-level_1-004": ("@local/W009/video/1/front/sad/level_1/004.mp4", None),
        "mead/W011/front-neutral-level_1-040": ("@local/all/W011/video/1/front/neutral/level_1/040.mp4", None),
    }
    assert snapshot(entry.root) == before


def test_an_archive_is_unpacked_again_only_when_it_changed(workspace: Workspace, entry: CorpusEntry) -> None:
    archive = put_archive(entry, "M003/video.tar", [GOOD])
    unpack(workspace, entry)
    file = workspace.local_media("mead") / "M003" / GOOD
    first = file.stat().st_ino
    result = unpack(workspace, entry)["M003/video.tar"]
    assert (result.status, result.files, result.bytes, file.stat().st_ino) == ("unchanged", 1, 3000, first)
    put_archive(entry, "M003/video.tar", ["video/front/angry/level_1/002.mp4"])
    os.utime(archive, ns=(1, 1))
    assert unpack(workspace, entry)["M003/video.tar"].status == "unpacked"
    assert [p.name for p in file.parent.iterdir()] == ["002.mp4"]
    (workspace.local_media("mead") / ".unpacked.json").write_text("{broken")
    assert unpack(workspace, entry)["M003/video.tar"].status == "unpacked"


def test_what_a_killed_run_left_is_no_clip_and_goes_away(workspace: Workspace, entry: CorpusEntry) -> None:
    put_archive(entry, "M003/video.tar", [GOOD])
    left = workspace.local_media("mead") / "M003/.tmp-video-0123456789ab/front/angry/level_1"
    left.mkdir(parents=True)
    (left / "001.mp4").write_text("half")
    assert clips_of(workspace, entry) == {}
    unpack(workspace, entry)
    assert sorted(p.name for p in (workspace.local_media("mead") / "M003").iterdir()) == ["video"]


def test_bad_archives_do_not_stop_the_others(workspace: Workspace, entry: CorpusEntry) -> None:
    whole = put_archive(entry, "M019/video.tar", [f"video/front/angry/level_1/{n:03d}.mp4" for n in range(1, 9)])
    whole.write_bytes(whole.read_bytes()[:15_000])
    (entry.root / "M011").mkdir()
    (entry.root / "M011/audio.tar").write_bytes(FIRST + entry_of(b"../evil.mp4") + END)
    put_archive(entry, "M003/video.tar", [GOOD])
    put_archive(entry, "M003/video.tar.gz", [GOOD], "w:gz")
    put_archive(entry, "M005/video.tar", [GOOD])
    (entry.root / "M005/video").mkdir()
    results = unpack(workspace, entry)
    statuses = {name: result.status for name, result in results.items()}
    assert statuses == {
        "M003/video.tar": "unpacked",
        "M003/video.tar.gz": "refused",
        "M005/video.tar": "beside",
        "M011/audio.tar": "refused",
        "M019/video.tar": "refused",
    }
    assert "4 complete members" in results["M019/video.tar"].detail
    names = {".unpacked.json", "M003"}
    assert {p.name for p in workspace.local_media("mead").iterdir()} == names
    partial = unpack(workspace, entry, keep_partial=True)["M019/video.tar"]
    assert (partial.status, partial.files) == ("partial", 4)
    assert unpack(workspace, entry)["M019/video.tar"] == partial
    assert len(clips_of(workspace, entry)) == 5


def test_archives_are_found_by_name_linked_ones_too(entry: CorpusEntry, tmp_path: Path) -> None:
    for name in ("M003/video.tar", "M003/AUDIO.TAR", "M005/audio.tgz", ".trash/video.tar", "M007/video.zip"):
        put_archive(entry, name, [GOOD])
    (entry.root / "M009").symlink_to(entry.root / "M003")
    (entry.root / "M005/video.tar").symlink_to(put_archive(entry, "../disk/of_m005.tar", [GOOD]))
    (entry.root / "M005/audio.tar").symlink_to("gone.tar")
    found = [str(path.relative_to(entry.root)) for path in find_archives(entry)]
    assert found == ["M003/AUDIO.TAR", "M003/video.tar", "M005/audio.tgz", "M005/video.tar"]


def test_other_kinds_and_a_missing_folder_are_said(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="of kind hdtf"):
        unpack(workspace, new_entry(name="h", kind="hdtf", root=tmp_path))
    with pytest.raises(PermanentError, match="disk mounted"):
        unpack(workspace, new_entry(name="m", kind="mead", root=tmp_path / "gone"))


def test_the_command_unpacks_and_says_what_was_refused(workspace: Workspace, entry: CorpusEntry) -> None:
    put_archive(entry, "M003/video.tar", [GOOD])
    (entry.root / "M003/audio.tar").write_bytes(b"")
    done = CliRunner().invoke(app, ["corpus", "unpack", "mead", "--json", "--home", str(workspace.home)])
    assert done.exit_code == 0
    rows = {row["archive"]: row for row in json.loads(done.stdout)}
    assert rows["M003/video.tar"]["status"] == "unpacked"
    assert rows["M003/audio.tar"]["status"] == "refused" and "is empty" in rows["M003/audio.tar"]["detail"]
    assert "1 refused" in done.stderr
    assert CliRunner().invoke(app, ["corpus", "unpack", "no", "--home", str(workspace.home)]).exit_code == 2
