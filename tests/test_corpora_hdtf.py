"""HDTF's lists with every trap of the real ones, and the layouts in which its media lie."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.corpora.findings import Problem
from magictalk_core.corpora.hdtf import clips as hdtf
from magictalk_core.corpora.hdtf.kind import HDTF
from magictalk_core.corpora.hdtf.lists import SUBSETS, TABLES, Crop, HdtfLists, HdtfVideo, Interval, read_lists
from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.records import Corpus, ListedBox
from magictalk_core.corpora.registry import new_entry

LISTS = {
    # A byte order mark, a start time in an address, a short address, no final newline.
    "WDA_video_url": "\ufeffAnnA0 https://www.youtube.com/watch?v=AAAAAAAAAA0\n"
    "AnnA1 https://www.youtube.com/watch?v=-AAAAAAAA_1&t=6s\n"
    "AliasOfAnnA https://youtu.be/AAAAAAAAAA0",
    # Blank at the end, an interval that starts before the one before it, rows in another order.
    "WDA_annotion_time": "AnnA1.mp4 00:10-00:20 01:00-02:00 \nAnnA0.mp4 08:33-08:53 00:33-08:53\n"
    "AliasOfAnnA.mp4 00:00-00:10\nNobody.mp4 00:00-00:10",
    "WDA_resolution": "AnnA0.mp4 720\nAnnA1.mp4 0\nAliasOfAnnA.mp4 2160\nNobody.mp4 360\n",
    # x, w, y, h. The first clip of AnnA1 has none; that of the alias is too high for a picture of 100 lines.
    "WDA_crop_wh": "AnnA0_0.mp4 608 700 10 700\nAnnA0_1.mp4 1 2 3 2\nAnnA1_1.mp4 5 60 7 60\n"
    "AliasOfAnnA_0.mp4 0 2000 200 2000\nAnnA1_7.mp4 1 2 3 2\n",
    "WDA_crop_ratio": "AnnA0_0.mp4 1.2\nAnnA0_1.mp4 0.95\nAnnA1_1.mp4 1.0\nAliasOfAnnA_0.mp4 1.2\n",
    "RD_video_url": "Radio1 https://www.youtube.com/watch?v=RRRRRRRRRR1\r\nRadio10 https://www.youtube.com/watch?v=RRRRRRRRR10\r\n"
    "Radio24 https://www.youtube.com/watch?v=RRRRRRRRR24\r\n",
    "RD_annotion_time": "Radio10.mp4 00:30-01:00\nRadio1.mp4 00:20-01:35\n",
    "RD_resolution": "Radio1.mp4 720\nRadio10.mp4 1080\nRadio24.mp4 720\n",
    "RD_crop_wh": "Radio10_0.mp4 483 390 0 390\nRadio1_0.mp4 466 535 0 535\n",
    "RD_crop_ratio": "Radio1_0.mp4 1.2\nRadio10_0.mp4 1.2\n",
}


def write_lists(root: Path, lists: dict[str, str] = LISTS, below: str = "HDTF_dataset") -> Path:
    (root / below).mkdir(parents=True, exist_ok=True)
    for name, text in lists.items():
        (root / below / f"{name}.txt").write_bytes(text.encode())
    return root


def paths_of(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file()]


def corpus(root: Path, **options: object) -> Corpus:
    return corpus_of(new_entry(name="hdtf", kind="hdtf", root=root, **options))  # type: ignore[arg-type]


def listing(root: Path, *more: str) -> list[str]:
    return sorted([*paths_of(root), *more])


def kinds(problems: tuple[Problem, ...]) -> Counter[str]:
    return Counter(problem.kind for problem in problems)


def by_key(lists: HdtfLists) -> dict[str, HdtfVideo]:
    return {video.key: video for video in lists.videos}


def test_every_trap_is_read_over_and_named(tmp_path: Path) -> None:
    lists = read_lists(write_lists(tmp_path), paths_of(tmp_path))
    videos = by_key(lists)
    assert videos["WDA_AnnA0"].youtube_id == "AAAAAAAAAA0" and videos["WDA_AnnA1"].youtube_id == "-AAAAAAAA_1"
    assert videos["WDA_AnnA0"].clips[0] == Interval(0, 513.0, 533.0, Crop(608, 10, 700, 700), 1.2)
    assert videos["WDA_AnnA0"].clips[1] == Interval(1, 33.0, 533.0, Crop(1, 3, 2, 2), 0.95)
    assert [clip.crop for clip in videos["WDA_AnnA1"].clips] == [None, Crop(5, 7, 60, 60)]
    assert videos["WDA_AnnA1"].height == 0 and videos["WDA_Nobody"].youtube_id is None
    assert not videos["RD_Radio24"].has_times and videos["RD_Radio24"].clips == ()
    found = kinds(lists.problems)
    assert found == {
        "bom": 1, "t_parameter": 1, "no_final_newline": 2, "trailing_blank": 1, "bad_interval": 1, "no_url": 1,
        "no_times": 1, "no_crop": 2, "crop_outside": 1, "odd_height": 3, "crop_without_times": 1, "same_id": 1,
        "no_list": 5,
    }  # fmt: skip
    places = {problem.kind: problem for problem in lists.problems}
    assert places["bom"].where == "HDTF_dataset/WDA_video_url.txt:1" and "AnnA0" in places["bom"].what
    assert places["trailing_blank"].where == "HDTF_dataset/WDA_annotion_time.txt:1"
    assert places["crop_outside"].what.startswith("AliasOfAnnA_0") and "Radio24" in places["no_times"].what


def test_malformed_rows_are_named_and_left_out(tmp_path: Path) -> None:
    bad = {
        "RD_video_url": "Radio1\nRadio2 https://example.org/watch\n../evil https://youtu.be/AAAAAAAAAAA\n"
        "Radio3 https://youtu.be/AAAAAAAAAAA\nRadio3 https://youtu.be/BBBBBBBBBBB\n",
        "RD_annotion_time": "Radio3.mp4 00:10-00:05 nonsense 00:10-00:20 1:00:00-1:00:30 00:75-02:00\n",
        "RD_resolution": "Radio3.mp4 720 1080\nRadio4.mp4 tall\n",
        "RD_crop_wh": "Radio3.mp4 1 2 3 2\nRadio3_2.mp4 1 2 3\nRadio3_2.mp4 -1 2 3 2\nRadio3_2.mp4 1 0 3 0\n"
        "Radio3_3.mp4 10 20 30 21\n",
        "RD_crop_ratio": "Radio3_3.mp4 nan\n",
    }
    lists = read_lists(write_lists(tmp_path, bad, ""), paths_of(tmp_path))
    (video,) = lists.videos
    assert video.youtube_id == "AAAAAAAAAAA"
    assert [(clip.index, clip.start_s) for clip in video.clips] == [(2, 10.0), (3, 3600.0)]
    found = kinds(lists.problems)
    assert (found["malformed"], found["bad_interval"], found["second_row"], found["not_square"]) == (10, 3, 1, 1)
    where = [problem.where for problem in lists.problems if problem.kind == "malformed"]
    assert where[:3] == ["RD_video_url.txt:1", "RD_video_url.txt:2", "RD_video_url.txt:3"]


@given(st.dictionaries(st.sampled_from([f"{s}_{k}.txt" for s in SUBSETS for k in TABLES]), st.binary(max_size=200)))
def test_no_bytes_whatever_stop_the_reader(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    root = tmp_path_factory.mktemp("lists")
    for name, data in files.items():
        (root / name).write_bytes(data)
    assert len(hdtf.find_clips(corpus(root), listing(root))) >= 0


def test_a_list_that_is_there_twice_is_read_once(tmp_path: Path) -> None:
    write_lists(write_lists(tmp_path), {"RD_video_url": "Other https://youtu.be/AAAAAAAAAAA\n"}, "a/deeper/copy")
    lists = read_lists(tmp_path, paths_of(tmp_path))
    assert "RD_Other" not in by_key(lists)
    (copy,) = [problem for problem in lists.problems if problem.kind == "second_copy"]
    assert copy.where == "a/deeper/copy/RD_video_url.txt"


def test_lists_alone_give_clips_without_files(tmp_path: Path) -> None:
    clips = hdtf.find_clips(corpus(write_lists(tmp_path)), listing(tmp_path))
    assert [clip.clip_id for clip in clips] == [
        "hdtf/RD_Radio1/000", "hdtf/RD_Radio10/000", "hdtf/WDA_AliasOfAnnA/000", "hdtf/WDA_AnnA0/000",
        "hdtf/WDA_AnnA0/001", "hdtf/WDA_AnnA1/001",
    ]  # fmt: skip
    assert all(clip.path is None and clip.licence == HDTF.licence for clip in clips)
    last = clips[-1]
    assert (last.start_s, last.end_s) == (60.0, 120.0)
    assert last.box == ListedBox(5, 7, 60, 60, None, None), "a listed height of 0 is no statement"
    assert last.address == "https://www.youtube.com/watch?v=-AAAAAAAA_1"
    assert clips[0].box == ListedBox(466, 0, 535, 535, None, 720)
    assert hdtf.find_clips(corpus(tmp_path, licence="bought"), listing(tmp_path))[0].licence == "bought"


def test_names_of_one_person_or_one_video_are_one_speaker(tmp_path: Path) -> None:
    clips = hdtf.find_clips(corpus(write_lists(tmp_path)), listing(tmp_path))
    speakers = {clip.source: clip.speaker for clip in clips}
    # AnnA0 and AnnA1 are one person by name, AnnA0 and AliasOfAnnA by their id.
    assert speakers["WDA_AnnA0"] == speakers["WDA_AnnA1"] == speakers["WDA_AliasOfAnnA"] == "AliasOfAnnA"
    assert (speakers["RD_Radio1"], speakers["RD_Radio10"]) == ("Radio1", "Radio10")
    assert len({clip.split for clip in clips if clip.speaker == "AliasOfAnnA"}) == 1


@pytest.mark.parametrize("media", ["_videos_raw/RD_Radio1.mp4", "Radio1.MP4", "@local/x/RD_Radio1.webm"])
def test_raw_videos_are_cut_by_the_lists(tmp_path: Path, media: str) -> None:
    cut = ["RD_Radio1_000.mp4", "Radio10.mp4.part", "Radio10.f137.mp4"]
    clips = hdtf.find_clips(corpus(write_lists(tmp_path)), listing(tmp_path, media, *cut))
    first, other = clips[:2]
    assert first.path == Path(media) and (first.start_s, first.end_s) == (20.0, 95.0) and first.box is not None
    assert other.clip_id == "hdtf/RD_Radio10/000" and other.path is None


@pytest.mark.parametrize("media", ["RD_Radio1_000.mp4", "x/Radio1_0.mp4", "RD_Radio1_0.mp4", "@local/Radio1_000.mkv"])
def test_clips_that_are_cut_already_are_taken_as_they_are(tmp_path: Path, media: str) -> None:
    clips = hdtf.find_clips(corpus(write_lists(tmp_path)), listing(tmp_path, media))
    first, other = clips[:2]
    assert first.path == Path(media) and first.start_s is first.end_s is first.box is None
    assert other.path is None


def test_names_that_look_like_clips_of_others(tmp_path: Path) -> None:
    lists = {
        "RD_video_url": "A https://youtu.be/AAAAAAAAAAA\nA_0 https://youtu.be/BBBBBBBBBBB\n",
        "RD_annotion_time": "A.mp4 00:00-00:05\nA_0.mp4 00:05-00:09\n",
        "RD_crop_wh": "A_0.mp4 0 9 0 9\nA_0_0.mp4 1 9 1 9\n",
    }
    clips = hdtf.find_clips(corpus(write_lists(tmp_path, lists)), listing(tmp_path, "RD_A_0.mp4"))
    assert {clip.source: clip.path for clip in clips} == {"RD_A": None, "RD_A_0": Path("RD_A_0.mp4")}


@pytest.mark.shared
def test_the_real_lists(shared: Path) -> None:
    root = shared / "datasets" / "hdtf"
    lists = read_lists(root, paths_of(root))
    clips = hdtf.find_clips(corpus(root), listing(root))
    assert len(clips) == len({clip.clip_id for clip in clips}) == 421
    assert len(lists.videos) == 370 and sum(len(video.clips) for video in lists.videos) == 436
    assert kinds(lists.problems) == {
        "no_crop": 15, "t_parameter": 13, "trailing_blank": 7, "odd_height": 5, "no_final_newline": 3,
        "crop_outside": 3, "no_times": 1, "bom": 1, "bad_interval": 1, "same_id": 1,
    }  # fmt: skip
    same = [clip for clip in clips if clip.address and clip.address.endswith("gh3YqnvNdio")]
    assert {clip.source for clip in same} == {"WDA_WhipJimClyburn", "WDA_JamesClyburn1"}
    assert len({(clip.speaker, clip.split) for clip in same}) == 1
    box = next(clip.box for clip in clips if clip.clip_id == "hdtf/RD_Radio11/001")
    assert box == ListedBox(557, 0, 478, 478, None, 720)
    assert all(clip.box and clip.box.width == clip.box.height for clip in clips)
    splits = {clip.speaker: clip.split for clip in clips}
    assert all(splits[clip.speaker] == clip.split for clip in clips)
    assert next(c for c in clips if c.source == "WDA_LucilleRoybal-Allard").speaker == "LucilleRoybal-Allard"
