"""Files that want to be something else, and names that want to be options."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from magictalk_core.media.decode import read_audio, read_frames
from magictalk_core.media.probe import MediaError, probe
from magictalk_core.vocabulary.clips import Reason
from tests.media_fixtures import make_clip

NAMES = [
    "with space.mp4",
    "quote'\".mp4",
    "new\nline.mp4",
    "-leading dash.mp4",
    "emoji 😀.mp4",
    "n" * 200 + ".mp4",
    "http:x.mp4",
    "concat:a|b.mp4",
    "%03d.mp4",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    shutil.move(make_clip(tmp_path / "plain.mp4", 0.6, size="64x48"), path)
    assert probe(path).has_video
    assert len(list(read_frames(path))) == 15 and len(read_audio(path)) > 7000


def _refused(path: Path) -> MediaError:
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.reason == Reason.UNREADABLE
    return caught.value


def test_playlists_that_name_other_files_are_refused(tmp_path: Path) -> None:
    target = make_clip(tmp_path / "secret.mp4", 1.0)
    playlist = tmp_path / "hls.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n")
    script = tmp_path / "concat.mp4"
    script.write_text(f"ffconcat version 1.0\nfile '{target.name}'\n")
    dash = tmp_path / "dash.mp4"
    dash.write_text(f'<?xml version="1.0"?><MPD><Period><BaseURL>{target}</BaseURL></Period></MPD>')
    for path in (playlist, script, dash):
        _refused(path)


@pytest.mark.parametrize("content", [b"", b"hello, I am text\n" * 100, b"\x00" * 5000])
def test_what_is_no_media_is_refused_without_naming_folders(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert str(tmp_path) not in str(_refused(path))


def test_addresses_and_folders_are_no_files(tmp_path: Path) -> None:
    _refused(Path("http://127.0.0.1:9/a.mp4"))
    _refused(tmp_path)


def test_large_pictures_are_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 0.2, size="640x64")
    with pytest.raises(MediaError, match="640x64"):
        probe(path, max_side=320)
