from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from magictalk_core.config import MediaConfig, QualityConfig
from magictalk_core.corpora.kinds import KINDS
from magictalk_core.corpora.records import ClipSource, ListedBox
from magictalk_core.corpora.registry import new_entry
from magictalk_core.corpora.source import list_source
from magictalk_core.errors import UserError
from magictalk_core.preparation import headers as headers_module
from magictalk_core.preparation.index import index_corpus
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS
from magictalk_core.work.isolation import map_isolated
from tests.media_fixtures import ffmpeg, make_clip

NOWHERE = Path("/nonexistent")


def index(root: Path, kind: str = "folder", **options: Any) -> dict[str, dict[str, Any]]:
    entry = new_entry(name="c", kind=kind, root=root, **options)
    quality = QualityConfig(max_duration_s=2.5)
    rows, complete = index_corpus(entry, list_source(entry, NOWHERE, None, 1), NOWHERE, MediaConfig(), quality)
    assert complete
    write_table(CLIPS, rows, root.parent / "clips.parquet")
    return {row["raw_path"]: row for row in rows}


def test_headers_decide_what_they_can(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    root.mkdir()
    good = make_clip(root / "good.mp4", 1.0, "30", "162x122")
    make_clip(root / "mute.mp4", 1.0, sound=None)
    make_clip(root / "short.mp4", 0.3)
    make_clip(root / "long.mp4", 3.0)
    (root / "empty.mp4").write_bytes(b"")
    (root / "text.mp4").write_text("hello")
    (root / "half.mp4").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-f", "ipod", root / "sound.mp4")
    rows = index(root)
    assert {path: row["reason"] for path, row in rows.items()} == {
        "good.mp4": None,
        "mute.mp4": "no_audio",
        "short.mp4": "too_short",
        "long.mp4": "too_long",
        "empty.mp4": "unreadable",
        "text.mp4": "unreadable",
        "half.mp4": "unreadable",
        "sound.mp4": "no_video",
    }
    found = rows["good.mp4"]
    assert found["status"] == "ok" and found["n_frames"] is None and found["crop_x"] is None
    assert (found["native_width"], found["native_height"], found["native_rate"]) == (162, 122, 48000)
    assert found["native_fps"] == pytest.approx(30)
    assert all(str(tmp_path) not in str(row["detail"]) for row in rows.values())


def test_hostile_names_are_indexed(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    root.mkdir()
    clip = make_clip(tmp_path / "plain.mp4", 1.0, size="64x48")
    names = ["with space.mp4", "quote'\".mp4", "new\nline.mp4", "-dash.mp4", "emoji 😀.mp4", "n" * 200 + ".mp4"]
    for name in names:
        (root / name).write_bytes(clip.read_bytes())
    rows = index(root)
    assert set(rows) == set(names) and {row["status"] for row in rows.values()} == {"ok"}
    ids = {row["clip_id"] for row in rows.values()}
    assert len(ids) == len(names)
    for clip_id in ids:
        corpus, source, last = clip_id.split("/")
        assert (corpus, last) == ("c", "full") and len(source) < 120 and not source.startswith(("-", "."))


def test_two_files_for_one_clip_are_an_error_naming_both(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for folder in ("1", "2"):
        path = root / "M003" / folder / "front" / "sad" / "level_1" / "001.mp4"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    with pytest.raises(UserError, match=r"M003/1/front/sad/level_1/001\.mp4 and M003/2/front/sad/level_1/001\.mp4"):
        index(root, "mead")


def test_a_file_is_probed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = tmp_path / "raw", tmp_path / "probes.json"
    root.mkdir()
    make_clip(root / "a.mp4", 1.0)
    (root / "b.mp4").write_text("hello")
    entry = new_entry(name="c", kind="folder", root=root)

    def run() -> list[dict[str, Any]]:
        source = list_source(entry, NOWHERE, None, 1)
        return index_corpus(entry, source, NOWHERE, MediaConfig(), QualityConfig(), cache)[0]

    calls: list[str] = []

    def spy(function: Any, tasks: Any, **options: Any) -> Any:
        calls.extend(Path(path).name for task in tasks for path in task[0])
        return map_isolated(function, tasks, **options)

    monkeypatch.setattr(headers_module, "map_isolated", spy)
    first, stored = run(), cache.read_bytes()
    assert run() == first and cache.read_bytes() == stored
    (root / "c.mp4").write_text("other")
    assert [row["status"] for row in run()] == ["ok", "rejected", "rejected"]
    assert calls == ["a.mp4", "b.mp4", "c.mp4"]


def test_separate_sound_counts_as_sound(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    video, audio = root / "M003/video/front/sad/level_1", root / "M003/audio/sad/level_1"
    video.mkdir(parents=True)
    audio.mkdir(parents=True)
    make_clip(video / "001.mp4", 1.0, sound=None)
    make_clip(video / "002.mp4", 1.0, sound=None)
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", audio / "001.m4a")
    rows = index(root, "mead")
    first, second = rows["M003/video/front/sad/level_1/001.mp4"], rows["M003/video/front/sad/level_1/002.mp4"]
    assert first["status"] == "ok" and first["raw_audio_path"] == "M003/audio/sad/level_1/001.m4a"
    assert second["reason"] == "no_audio"


def listed(path: str | None = "v.mp4", **cut: Any) -> ClipSource:
    return ClipSource("c/v/1", "c", "b0", "v", "v", None if path is None else Path(path), **cut)


def rows_of(monkeypatch: pytest.MonkeyPatch, root: Path, *clips: ClipSource) -> list[dict[str, Any]]:
    """CLIPS rows of clips that a list gives, for a corpus whose kind is this test."""
    monkeypatch.setitem(KINDS, "folder", replace(KINDS["folder"], find_clips=lambda corpus, paths: list(clips)))
    entry = new_entry(name="c", kind="folder", root=root)
    source = list_source(entry, NOWHERE, None, 1)
    return index_corpus(entry, source, NOWHERE, MediaConfig(), QualityConfig())[0]


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("cut", "reason", "start", "end"),
    [
        ({"start_s": 0.5, "end_s": 2.0}, None, 0.5, 2.0),
        ({"start_s": 0.5, "end_s": 3.1}, None, 0.5, 3.0),
        ({"start_s": 0.5, "end_s": 4.0}, "out_of_chunk", 0.5, 4.0),
        ({"start_s": 5.0, "end_s": 6.0}, "out_of_chunk", 5.0, 6.0),
        ({"start_frame": 0, "end_frame": 29}, None, 0.0, 1.0),
        ({"start_frame": 60, "end_frame": 92}, None, 2.0, 3.0),
        ({"start_frame": 60, "end_frame": 99}, "out_of_chunk", 2.0, 100 / 30),
        ({"start_frame": 1497, "end_frame": 1525}, "out_of_chunk", 49.9, 1526 / 30),
        ({"start_frame": 0, "end_frame": 9}, "too_short", 0.0, 1 / 3),
        ({"start_frame": 0, "end_frame": 29, "chunk": 3}, "out_of_chunk", None, None),
    ],
)
def test_listed_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: dict[str, Any], reason: str | None, start: float, end: float
) -> None:
    """3 s at 30 fps: the last frame counts whole, a few lost frames are forgiven, more are not."""
    make_clip(tmp_path / "v.mp4", 3.0, "30", "64x48")
    (row,) = rows_of(monkeypatch, tmp_path, listed(**cut))
    assert row["reason"] == reason, row["detail"]
    assert (row["start_s"], row["end_s"]) == (pytest.approx(start), pytest.approx(end))


@pytest.mark.parametrize(
    ("box", "found"),
    [
        (ListedBox(20, 0, 40, 40), (20, 0, 40, 40)),
        (ListedBox(40, 0, 80, 80, of_height=240), (20, 0, 40, 40)),
        (ListedBox(40, 0, 80, 80, of_height=0), (40, 0, 80, 80)),
        (ListedBox(80, 20, 160, 80, of_width=640, of_height=240), (20, 10, 40, 40)),
        (ListedBox(100, 100, 100, 100), (100, 100, 60, 20)),
        (ListedBox(161, 0, 40, 40), None),
    ],
)
def test_listed_windows_are_scaled_to_the_real_picture_and_clamped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, box: ListedBox, found: tuple[int, ...] | None
) -> None:
    make_clip(tmp_path / "v.mp4", 1.0, "30", "160x120")
    (row,) = rows_of(monkeypatch, tmp_path, listed(box=box))
    if found is None:
        assert row["reason"] == "out_of_chunk"
    else:
        assert tuple(row[f"box_{side}"] for side in ("x", "y", "width", "height")) == found


def test_a_clip_that_is_only_listed_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = rows_of(monkeypatch, tmp_path, listed(None, start_s=1.0, end_s=2.0))
    assert (row["reason"], row["raw_path"], row["raw_md5"]) == ("missing", None, None)
    write_table(CLIPS, [row], tmp_path / "clips.parquet")
