"""TalkingHead-1KH: lists of tubes, names of files, official splits, and where a video is split by stream copy."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_fixtures import ffmpeg, make_clip

from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.records import Corpus, ListedBox
from magictalk_core.corpora.registry import new_entry
from magictalk_core.corpora.talkinghead1kh import clips as adapter
from magictalk_core.corpora.talkinghead1kh.kind import TALKINGHEAD1KH
from magictalk_core.corpora.talkinghead1kh.lists import Tube, parse_clip_name, read_talkinghead_lists
from magictalk_core.media.container import MediaError
from magictalk_core.media.keyframes import chunk_starts
from magictalk_core.vocabulary.clips import Split

TRAIN = [f"-train_vid{i}" for i in range(8)]
LISTS = {
    "train_video_ids": "\n".join(TRAIN),
    "train_video_tubes": "".join(f"{v}_0000, 720, 1280, 0, 271, 504, 63, 792, 351\n" for v in TRAIN)
    + "-train_vid0_0012, 720, 1280, 1497, 1525, 0, 0, 300, 351\n-train_vid0_0000, 720, 1280, 200, 300, 0, 0, 9, 9\n",
    "val_video_ids": "1lSejjfNHpw\nwithoutTube",
    "val_video_tubes": "1lSejjfNHpw_0075, 1080, 1920, 0, 728, 671, 47, 1471, 847\n"
    "1lSejjfNHpw_0075, 1080, 1920, 728, 1456, 671, 47, 1471, 847",
    "small_video_ids": "-train_vid0\n",
    "small_video_tubes": "-train_vid0_0000, 720, 1280, 0, 271, 504, 63, 792, 351\n",
}


def write_lists(root: Path, lists: dict[str, str] = LISTS) -> Path:
    (root / "data_list").mkdir(parents=True, exist_ok=True)
    for name, text in lists.items():
        (root / "data_list" / f"{name}.txt").write_text(text)
    return root


def paths_of(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file()]


def corpus(root: Path, **options: object) -> Corpus:
    return corpus_of(new_entry(name="th", kind="talkinghead1kh", root=root, **options))  # type: ignore[arg-type]


def listing(root: Path, *more: str) -> list[str]:
    return sorted([*paths_of(root), *more])


NUMBERS = st.integers(0, 9_999_999)


@given(
    st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True), st.integers(0, 9999), st.lists(NUMBERS, min_size=6, max_size=6)
)
def test_a_clips_name_says_its_tube(video: str, chunk: int, numbers: list[int]) -> None:
    tube = Tube(video, chunk, 0, 0, *numbers)
    assert parse_clip_name(tube.clip_name) == tube


def test_names_are_read_from_the_right() -> None:
    name = "-S0_E1_L2_T_0075_S0_E728_L671_T47_R1471_B847"
    tube = parse_clip_name(name)
    assert tube is not None and tube.clip_name == name and (tube.video_id, tube.chunk) == ("-S0_E1_L2_T", 75)
    for other in ("x", "1lSejjfNHpw_0075", "1lSejjfNHpw_75_S0_E1_L2_T3_R4_B5", "short_0075_S0_E1_L2_T3_R4_B5"):
        assert parse_clip_name(other) is None


def test_lists_alone_give_clips_without_files(tmp_path: Path) -> None:
    clips = adapter.find_clips(corpus(write_lists(tmp_path)), listing(tmp_path))
    assert len(clips) == 12 and all(clip.path is None for clip in clips)
    assert clips == sorted(clips, key=lambda clip: clip.clip_id)
    val = next(clip for clip in clips if clip.end_frame == 1456)
    assert val.clip_id == "th/1lSejjfNHpw/0075-S728-E1456-L671-T47-R1471-B847"
    assert (val.speaker, val.source, val.start_frame, val.split) == ("1lSejjfNHpw", "1lSejjfNHpw", 728, Split.TEST)
    assert val.box == ListedBox(671, 47, 800, 800, 1920, 1080)
    assert val.address == "https://www.youtube.com/watch?v=1lSejjfNHpw" and val.licence == TALKINGHEAD1KH.licence
    minus = [clip for clip in clips if clip.source == "-train_vid0"]
    assert len(minus) == 3 and not any("/-" in clip.clip_id for clip in clips)


def test_official_val_is_our_test_and_some_of_train_our_val(tmp_path: Path) -> None:
    clips = adapter.find_clips(corpus(write_lists(tmp_path)), listing(tmp_path))
    by_split = {split: {clip.source for clip in clips if clip.split == split} for split in Split}
    assert by_split[Split.TEST] == {"1lSejjfNHpw"} and len(by_split[Split.VAL]) == 1
    assert by_split[Split.TRAIN] | by_split[Split.VAL] == set(TRAIN) and len(by_split[Split.TRAIN]) == 7
    everything = adapter.find_clips(corpus(tmp_path, split="train"), listing(tmp_path))
    assert {clip.split for clip in everything} == {Split.TRAIN}


def test_tubes_of_a_val_list_without_ids_are_no_training_clips(tmp_path: Path) -> None:
    lists = LISTS | {"val_video_ids": "withoutTube\n"}
    clips = adapter.find_clips(corpus(write_lists(tmp_path, lists)), listing(tmp_path))
    assert {clip.split for clip in clips if clip.source == "1lSejjfNHpw"} == {Split.TEST}
    problems = read_talkinghead_lists(tmp_path, paths_of(tmp_path)).problems
    assert [p.where for p in problems if p.kind == "tube_without_id"] == ["val: 1lSejjfNHpw"]


def test_media_in_every_state(tmp_path: Path) -> None:
    name = "1lSejjfNHpw_0075_S0_E728_L671_T47_R1471_B847"
    media = {
        "chunk": "val/1min_clips/1lSejjfNHpw_0075.mp4",
        "clip": f"val/cropped_clips/{name}.mp4",
        "video": "@local/raw_videos/1lSejjfNHpw.webm",
    }
    found = {}
    for have in (["chunk", "clip", "video"], ["clip", "video"], ["video"]):
        files = listing(write_lists(tmp_path), *(media[state] for state in have))
        clips = adapter.find_clips(corpus(tmp_path), files)
        found[have[0]] = next(clip for clip in clips if clip.end_frame == 728 or clip.path == Path(media["clip"]))
        assert found[have[0]].path == Path(media[have[0]])
    chunk, clip, video = found.values()
    assert (chunk.start_frame, chunk.end_frame, chunk.chunk) == (0, 728, None) and chunk.box is not None
    assert clip.start_frame is clip.end_frame is clip.chunk is clip.box is None
    assert (video.start_frame, video.end_frame, video.chunk) == (0, 728, 75) and video.box is not None
    assert len({chunk.clip_id, clip.clip_id, video.clip_id}) == 1


def test_malformed_rows_are_named_and_left_out(tmp_path: Path) -> None:
    good = "abcdefghijk_0000, 720, 1280, 0, 9, 0, 0, 9, 9"
    rows = [
        good, good, "abcdefghijk_0000, 720", good.replace(" 0, 9,", " 9, 0,", 1), good.replace("720", "-720"),
        good.replace("_0000", ""), good.replace("abc", "../"), good.replace("9, 9", "1_0, 9"),
        good.replace("9, 9", "9, 721"), good.replace("abcdefghijk", "zzzzzzzzzzz"),
    ]  # fmt: skip
    lists = {"train_video_ids": "abcdefghijk\nshort\nabcdefghijk\n", "train_video_tubes": "\ufeff" + "\n".join(rows)}
    read = read_talkinghead_lists(write_lists(tmp_path, lists), paths_of(tmp_path))
    assert [tube.video_id for tube in read.tubes["train"]] == ["abcdefghijk", "zzzzzzzzzzz"]
    found = Counter(problem.kind for problem in read.problems)
    assert found == {
        "malformed": 8, "second_row": 2, "tube_without_id": 1, "bom": 1, "no_final_newline": 1, "no_list": 4,
    }  # fmt: skip
    assert [p.where.rpartition(":")[2] for p in read.problems if p.kind == "malformed"] == list("23456789")


def test_a_video_in_train_and_val_is_val(tmp_path: Path) -> None:
    lists = LISTS | {"val_video_ids": "1lSejjfNHpw\n-train_vid3"}
    clips = adapter.find_clips(corpus(write_lists(tmp_path, lists)), listing(tmp_path))
    assert {clip.split for clip in clips if clip.source == "-train_vid3"} == {Split.TEST}
    problems = read_talkinghead_lists(tmp_path, paths_of(tmp_path)).problems
    assert [p.where for p in problems if p.kind == "train_and_val"] == ["-train_vid3"]


@pytest.mark.shared
def test_the_real_lists(shared: Path) -> None:
    root = shared / "datasets" / "talkinghead1kh"
    lists = read_talkinghead_lists(root, paths_of(root))
    assert {name: len(ids) for name, ids in lists.ids.items()} == {"train": 2872, "val": 28, "small": 2}
    assert {name: len(tubes) for name, tubes in lists.tubes.items()} == {"train": 7684, "val": 38, "small": 4}
    assert {problem.kind for problem in lists.problems} == {"no_final_newline"}
    clips = adapter.find_clips(corpus(root), listing(root))
    assert len(clips) == len({clip.clip_id for clip in clips}) == 7722
    splits = Counter(clip.split for clip in clips)
    assert splits[Split.TEST] == 38 and len({c.source for c in clips if c.split == Split.VAL}) == 9


# --- chunks ----------------------------------------------------------------------------------------------------------


def split_by_ffmpeg(video: Path, length_s: float) -> list[float]:
    """First pictures of the files that the official script's command makes, found again in the whole video."""
    folder = video.parent / f"{video.stem}_chunks"
    folder.mkdir()
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(video), "-c", "copy", "-f", "segment", "-segment_time", str(length_s),
         "-reset_timestamps", "1", str(folder / "%04d.mp4")],
        check=True,
    )  # fmt: skip
    with av.open(str(video)) as container:
        shown = sorted(packet.pts * packet.time_base for packet in container.demux(video=0) if packet.pts is not None)
    starts, before = [], 0
    for chunk in sorted(folder.iterdir()):
        starts.append(float(shown[before] - shown[0]))
        with av.open(str(chunk)) as container:
            before += sum(packet.pts is not None for packet in container.demux(video=0))
    assert before == len(shown)
    return starts


@pytest.mark.parametrize("b_frames", [0, 2], ids=["in order", "reordered"])
@pytest.mark.parametrize("length_s", [1.0, 2.0])
def test_chunks_begin_where_the_official_splitter_cuts(tmp_path: Path, b_frames: int, length_s: float) -> None:
    # 1.96 lies before two seconds, and after them on the clock of a file with reordered frames; 4.4 to 8.2 is longer
    # than a chunk, so that the chunks after it come early.
    keys = ("-force_key_frames", "0,0.92,1.96,2.5,4.0,4.4,8.2,8.6,11", "-g", "1000", "-sc_threshold", "0")
    video = make_clip(tmp_path / "video.mp4", 12.0, size="64x48", sound=None, extra=(*keys, "-bf", str(b_frames)))
    found = chunk_starts(video, length_s)
    assert found == pytest.approx(split_by_ffmpeg(video, length_s), abs=1e-6) and len(found) > 3
    if length_s == 2.0:
        assert (1.96 in [round(start, 3) for start in found]) == (b_frames > 0)


def test_chunks_count_from_the_first_picture(tmp_path: Path) -> None:
    make_clip(tmp_path / "plain.mp4", 5.0, size="64x48", sound=None, extra=("-g", "10"))
    late = tmp_path / "late.mkv"
    ffmpeg("-itsoffset", "3", "-i", tmp_path / "plain.mp4", "-c", "copy", "-copyts", late)
    expected = [0.0, 1.2, 2.0, 3.2, 4.0]
    assert chunk_starts(tmp_path / "plain.mp4", 1.0) == pytest.approx(expected, abs=0.002)
    assert chunk_starts(late, 1.0) == pytest.approx(expected, abs=0.002)
    assert chunk_starts(tmp_path / "plain.mp4") == [0.0]


def test_chunks_of_what_is_no_video(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-t", "1", "-i", "sine", tmp_path / "sound.wav")
    assert chunk_starts(tmp_path / "sound.wav") == []
    (tmp_path / "broken.mp4").write_bytes(b"no media at all" * 99)
    with pytest.raises(MediaError):
        chunk_starts(tmp_path / "broken.mp4")
