"""One rule for links in a corpus folder: listing, check, fetch and unpacking give the same answer."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from magictalk_core.acquire.archives import unpack_corpus
from magictalk_core.acquire.wanted import wanted_recordings
from magictalk_core.corpora import raw_files
from magictalk_core.corpora.check import check_corpus
from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.kinds import KINDS
from magictalk_core.corpora.raw_files import scan_folder
from magictalk_core.corpora.registry import new_entry
from magictalk_core.corpora.source import list_source
from magictalk_core.preparation.index import find_clips
from magictalk_core.workspace import Workspace

LISTS = {
    "RD_video_url": "A https://www.youtube.com/watch?v=aaaaaaaaaaa",
    "RD_annotion_time": "A.mp4 00:01-00:03",
    "RD_resolution": "A.mp4 720",
    "RD_crop_wh": "A_0.mp4 1 400 2 400",
}


@pytest.fixture
def hdtf(tmp_path: Path) -> CorpusEntry:
    """HDTF's lists for one video, and no video."""
    root = tmp_path / "HDTF"
    root.mkdir()
    for name, text in LISTS.items():
        (root / f"{name}.txt").write_text(f"{text}\n")
    return new_entry(name="hdtf", kind="hdtf", root=root)


def there(workspace: Workspace, entry: CorpusEntry) -> tuple[int, int, int]:
    """Of how many clips the media are here for `run`, for `check`, and by what `fetch` does not want."""
    clips = find_clips(entry, list_source(entry, workspace.local_media(entry.name), None, 1))
    run = sum(clip.path is not None for clip in clips)
    return run, check_corpus(workspace, entry).facts["clips_here"], len(clips) - len(wanted_recordings(entry))


def test_a_video_linked_to_another_disk_is_here_for_all_three(
    workspace: Workspace, hdtf: CorpusEntry, tmp_path: Path
) -> None:
    assert there(workspace, hdtf) == (0, 0, 0)
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/film.mp4").write_bytes(b"x")
    (hdtf.root / "RD_A.mp4").symlink_to(tmp_path / "disk/film.mp4")
    assert there(workspace, hdtf) == (1, 1, 1)


@pytest.mark.parametrize("target", ["/nonexistent/disk/RD_A.mp4", "RD_A.mp4", "lists/RD_A.mp4"])
def test_a_link_that_leads_nowhere_or_in_a_circle_is_missing_for_all_three_and_named(
    target: str, workspace: Workspace, hdtf: CorpusEntry, caplog: pytest.LogCaptureFixture
) -> None:
    (hdtf.root / "lists").symlink_to(hdtf.root)
    (hdtf.root / "RD_A.mp4").symlink_to(target)
    assert there(workspace, hdtf) == (0, 0, 0)
    (problem,) = (p for p in check_corpus(workspace, hdtf).problems if p.kind == "broken_link")
    assert problem.where == "RD_A.mp4" and f"links to {target}" in problem.what
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("broken link" in text and "RD_A.mp4" in text for text in warned)


def test_links_to_folders_and_their_circles_do_no_harm(workspace: Workspace, hdtf: CorpusEntry, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/RD_A.mp4").write_bytes(b"x")
    (tmp_path / "disk/back").symlink_to(hdtf.root)
    (hdtf.root / "more").symlink_to(tmp_path / "disk")
    (hdtf.root / "self").symlink_to(hdtf.root)
    assert there(workspace, hdtf) == (0, 0, 0)
    named = [p.where for p in check_corpus(workspace, hdtf).problems if p.kind == "linked_folder"]
    assert named == ["more", "self"]


def test_what_is_no_regular_file_is_never_opened(workspace: Workspace, hdtf: CorpusEntry) -> None:
    os.mkfifo(hdtf.root / "RD_A.mp4")
    (hdtf.root / "RD_A_000.mp4").symlink_to("/dev/zero")
    assert there(workspace, hdtf) == (0, 0, 0)
    named = [p.where for p in check_corpus(workspace, hdtf).problems if p.kind == "odd_link"]
    assert named == ["RD_A_000.mp4"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_rule_holds_for_every_kind(kind: str, workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    root.mkdir()
    (tmp_path / "film.mp4").write_bytes(b"x")
    (root / "linked.mp4").symlink_to(tmp_path / "film.mp4")
    (root / "broken.mp4").symlink_to(tmp_path / "gone.mp4")
    entry = new_entry(name="c", kind=kind, root=root)
    assert list(list_source(entry, tmp_path / "local", None, 1)["path"]) == ["linked.mp4"]
    result = check_corpus(workspace, entry)
    assert result.found.videos == 1
    assert [p.where for p in result.problems if p.kind == "broken_link"] == ["broken.mp4"]


def test_a_linked_archive_is_unpacked_and_a_broken_one_is_named(
    workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "MEAD/M003").mkdir(parents=True)
    (tmp_path / "disk.tar").write_bytes(bytes(10_240))
    (tmp_path / "MEAD/M003/video.tar").symlink_to(tmp_path / "disk.tar")
    (tmp_path / "MEAD/M003/audio.tar").symlink_to(tmp_path / "gone.tar")
    results = unpack_corpus(workspace, new_entry(name="m", kind="mead", root=tmp_path / "MEAD"), lambda line: None)
    assert [(result.archive, result.status) for result in results] == [("M003/video.tar", "unpacked")]
    assert "M003/audio.tar" in caplog.text and "broken link" in caplog.text


def test_a_linked_folder_beside_its_archive_does_not_keep_it_packed(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "MEAD/M003").mkdir(parents=True)
    (tmp_path / "MEAD/M003/video.tar").write_bytes(bytes(10_240))
    (tmp_path / "MEAD/M003/video").symlink_to(tmp_path)
    (result,) = unpack_corpus(workspace, new_entry(name="m", kind="mead", root=tmp_path / "MEAD"), lambda line: None)
    assert result.status == "unpacked"


def test_trouble_of_the_machine_is_no_broken_link(
    hdtf: CorpusEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (hdtf.root / "RD_A.mp4").symlink_to(tmp_path)

    def fails(path: str) -> os.stat_result:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(raw_files.os, "stat", fails)
    with pytest.raises(OSError, match="Input/output"):
        scan_folder(hdtf.root)
