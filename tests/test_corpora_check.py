"""`magictalk corpus check`: expected against found, without opening a media file."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from magictalk_core.corpora.check import CorpusCheck, check_corpus
from magictalk_core.corpora.check_text import print_check
from magictalk_core.corpora.mead.check import GAPPED_ACTORS, MEAD_ACTORS, is_gapped
from magictalk_core.corpora.mead.lists import actor_of, parse_edtalk_name, parse_name
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.corpora.source import list_source
from magictalk_core.corpora.talkinghead1kh.check import overlapping_chunks
from magictalk_core.corpora.talkinghead1kh.lists import Tube
from magictalk_core.errors import UserError
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS
from magictalk_core.workspace import Workspace
from pipelines.cli import app

NO_CROP = {
    "Radio6_0", "Radio15_0", "ByronDorgan0_0", "DeanPhillips_0", "JeffMerkley0_0", "JimMcGovern_0", "JimMcGovern1_0",
    "LindaSnchez_0", "BillCassidy_0", "CandiceMiller_0", "DuncanHunter_1", "JaimeHerreraBeutler_0", "KevinBrady0_0",
    "MittRomney_1", "RudyGiuliani_0",
}  # fmt: skip
TRAILING_BLANK = {
    "AdamKinzinger2", "DianeBlack0", "DianeBlack1", "JohnKasich1", "KevinMcCarthy1", "LamarAlexander", "PeterKing",
}  # fmt: skip


def check(workspace: Workspace, kind: str, root: Path, **options: Any) -> CorpusCheck:
    return check_corpus(workspace, new_entry(name="c", kind=kind, root=root, **options))


def remarks(result: CorpusCheck, kind: str) -> list[str]:
    return [f"{problem.where}: {problem.what}" for problem in result.problems if problem.kind == kind]


def touch(root: Path, *paths: str, size: int = 3) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x" * size)


def table(result: CorpusCheck, name: str, key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in result.tables[name]}


# --- the real lists --------------------------------------------------------------------------------------------------


@pytest.mark.shared
def test_hdtf_as_published(shared: Path, workspace: Workspace) -> None:
    result = check(workspace, "hdtf", shared / "datasets" / "hdtf")
    expected = {
        "urls": 370, "distinct_ids": 369, "videos_with_times": 369, "timed_clips": 436, "clips_with_crop": 421,
        "hours": 17.07, "hours_with_crop": 16.35, "videos_with_crop": 356, "clips_here": 0, "clips_missing": 421,
    }  # fmt: skip
    assert {key: result.facts[key] for key in expected} == expected
    subsets = table(result, "subsets", "subset")
    assert list(subsets["RD"].values()) == ["RD", 57, 56, 66, 64, 1.2, 1.17, 54]
    assert list(subsets["WDA"].values()) == ["WDA", 183, 183, 195, 189, 11.1, 10.69, 177]
    assert list(subsets["WRA"].values()) == ["WRA", 130, 130, 175, 168, 4.77, 4.49, 125]


@pytest.mark.shared
def test_every_trap_of_hdtf_is_named_with_its_place(shared: Path, workspace: Workspace) -> None:
    result = check(workspace, "hdtf", shared / "datasets" / "hdtf")
    what = {
        kind: {p.what.split()[0].rstrip(":,") for p in result.problems if p.kind == kind}
        for kind in ("no_crop", "odd_height", "crop_outside", "bad_interval")
    }
    assert what["no_crop"] == NO_CROP
    assert what["odd_height"] == {"Radio56", "DanKildee", "RaulRuiz", "GregWalden", "KevinMcCarthy1"}
    assert what["crop_outside"] == {"MaggieHassan_0", "MazieHirono1_0", "PeterKing_0"}
    assert what["bad_interval"] == {"MittRomney"}
    blanks = remarks(result, "trailing_blank")
    assert {line.split(" row of ")[1].split(".mp4")[0] for line in blanks} == TRAILING_BLANK
    assert all(line.startswith("WRA_annotion_time.txt:") for line in blanks)
    (bom,) = remarks(result, "bom")
    assert bom.startswith("WDA_video_url.txt:1:") and "CarolynMaloney2" in bom
    endings = {line.split(":")[0] for line in remarks(result, "no_final_newline")}
    assert endings == {"WDA_video_url.txt", "WDA_annotion_time.txt", "WRA_video_url.txt"}
    assert len(remarks(result, "no_times")) == 1 and "Radio24" in remarks(result, "no_times")[0]
    (same,) = remarks(result, "same_id")
    assert same.startswith("gh3YqnvNdio") and "WDA_WhipJimClyburn" in same and "WDA_JamesClyburn1" in same
    assert Counter(line.split("_")[0] for line in remarks(result, "t_parameter")) == {"RD": 2, "WDA": 11}


@pytest.mark.shared
def test_talkinghead_as_published(shared: Path, workspace: Workspace) -> None:
    result = check(workspace, "talkinghead1kh", shared / "datasets" / "talkinghead1kh")
    lists = table(result, "lists", "list")
    train, val = lists["train"], lists["val"]
    assert [lists[name]["ids"] for name in ("val", "train", "small")] == [28, 2872, 2]
    assert (val["tubes"], val["ids_with_tubes"], val["not_square"], val["overlapping_chunks"]) == (38, 26, 7, 0)
    assert (train["tubes"], train["ids_with_tubes"], train["not_square"]) == (7684, 50, 7684 - 6133)
    assert (train["chunks"], train["overlapping_chunks"]) == (852, 209)
    assert (train["frames_min"], train["frames_median"], train["frames_max"]) == (30, 70, 1920)
    assert (val["frames_min"], val["frames_max"]) == (500, 1026)
    assert (train["ids_leading_minus"], train["ids_with_underscore"]) == (46, 399)
    assert result.facts["small_ids_in_train"] == 2
    without = remarks(result, "ids_without_tubes")
    assert "2822 of 2872" in without[0] and "d_7s4huYOD4, nUe3F8jYoZo" in without[1]
    assert remarks(result, "partial_list")[0].startswith("train_video_tubes.txt: the tubes cover 50 of 2872 ids")


@pytest.mark.shared
def test_mead_as_published(shared: Path, workspace: Workspace) -> None:
    result = check(workspace, "mead", shared / "datasets" / "mead")
    facts = result.facts
    assert (facts["listed_clips"], facts["expected_clips"]) == (31_060, 31_490)
    assert (facts["listed_speakers"], facts["listed_men"], facts["listed_women"]) == (47, 27, 20)
    assert set(facts["gapped_actors"]) == GAPPED_ACTORS and len(GAPPED_ACTORS) == 18
    assert facts["gapped_otherwise_than_known"] == []
    cells = result.tables["cells"]
    full = Counter(cell["emotion"] for cell in cells if cell["listed"] == cell["expected"])
    assert full == {
        "angry": 49, "contempt": 80, "disgusted": 130, "fear": 122, "happy": 132, "sad": 137, "surprised": 133,
        "neutral": 46,
    }  # fmt: skip
    assert facts["cells_listed_full"] == sum(full.values()) and len(cells) == 1034
    assert {row["actor"] for row in result.tables["actors"]} == set(MEAD_ACTORS)
    by_actor = table(result, "actors", "actor")
    assert [by_actor[a]["listed"] for a in ("W033", "M009", "W036", "W024", "M007", "M013")] == [
        623, 625, 641, 644, 648, 670,
    ]  # fmt: skip
    short = remarks(result, "short_cell")
    assert "M023 neutral level_1: 36 of 40 clips" in short and "M009 surprised level_1: 12 of 30 clips" in short
    assert remarks(result, "hole") == ["W014 angry level_1: has no 017"]
    train, test = result.tables["EDTalk lists"]
    assert (train["mead_clips"], train["hdtf_segments"], train["speakers"]) == (25_747, 8_353, 39)
    assert (test["mead_clips"], test["hdtf_segments"]) == (2_293, 1_994)
    assert test["speakers_by_name"] == ["M003", "M030", "W009", "W015"]
    assert train["not_in_the_name_list"] == test["not_in_the_name_list"] == 0
    assert len(remarks(result, "leak")) == 13


# --- without the real lists ------------------------------------------------------------------------------------------


def test_hdtf_media_are_counted_by_state(tmp_path: Path, workspace: Workspace) -> None:
    lists = {
        "RD_video_url": "A https://youtu.be/AAAAAAAAAAA\nB https://youtu.be/BBBBBBBBBBB\nC https://youtu.be/CCCCCCCCCCC",
        "RD_annotion_time": "A.mp4 00:00-01:00 02:00-03:00\nB.mp4 00:00-00:30\nC.mp4 00:00-30:00\n",
        "RD_crop_wh": "A_0.mp4 1 2 3 2\nA_1.mp4 1 2 3 2\nB_0.mp4 1 2 3 2\nC_0.mp4 1 2 3 2\n",
    }
    for name, text in lists.items():
        touch(tmp_path / "root", f"{name}.txt")
        (tmp_path / "root" / f"{name}.txt").write_text(text)
    touch(tmp_path / "root", "_videos_raw/RD_A.mp4", "RD_A_000.mp4", "empty.wav", size=0)
    touch(workspace.local_media("c"), "RD_B_000.mp4", size=10)
    result = check(workspace, "hdtf", tmp_path / "root")
    states = {row["state"]: row["clips"] for row in result.tables["media"]}
    assert states == {"raw video": 2, "cut and cropped already": 1, "missing": 1}
    assert result.facts["first_missing"] == ["c/RD_C/000"] and result.facts["sources_missing"] == 1
    assert (result.facts["hours"], result.facts["urls"]) == (0.54, 3)
    found = result.found
    assert (found.videos, found.video_bytes, found.audio_files, found.empty_media) == (3, 10, 1, 3)
    assert found.local_files == 1


def test_tubes_that_share_one_frame_do_not_overlap() -> None:
    def tubes(*spans: tuple[int, int]) -> list[Tube]:
        return [Tube("abcdefghijk", 0, 720, 1280, first, last, 0, 0, 9, 9) for first, last in spans]

    assert overlapping_chunks(tubes((728, 1456), (0, 728))) == []
    assert overlapping_chunks(tubes((0, 900), (10, 20), (728, 1456))) == ["abcdefghijk_0000"]
    assert overlapping_chunks([]) == []


def test_mead_names() -> None:
    assert parse_name("M003_level_2_contempt_001") == ("M003", "contempt", 2, "001")
    assert parse_edtalk_name("M005#angry#level_1#001") == ("M005", "angry", 1, "001")
    for name in ("M003_contempt_level_2_001", "M003_level_4_sad_001", "RD_Radio10_000#1", ""):
        assert parse_name(name) is None and parse_edtalk_name(name) is None
    assert actor_of("part0/M003/video.tar") == "M003" and actor_of("x/W011_video.tar") == "W011"
    assert actor_of("W011.tar") == "W011" and actor_of("XM0031/video.tar") is None


def test_gapped_actors_are_told_by_their_blocks() -> None:
    row = [f"{n:03d}" for n in range(1, 31)]
    blocks = [f"{n:03d}" for a, b in ((1, 3), (7, 10), (15, 18), (23, 26)) for n in range(a, b + 1)]
    assert is_gapped([blocks, blocks, row]) and not is_gapped([row, row, blocks])
    assert not is_gapped([row[:16] + row[17:]]) and not is_gapped([])


def test_mead_on_disk(tmp_path: Path, workspace: Workspace) -> None:
    front, sound = "{a}/video/front/{e}/level_{k}/{n:03d}.mp4", "{a}/audio/{e}/level_{k}/{n:03d}.m4a"
    touch(tmp_path, *(front.format(a="M003", e="sad", k=1, n=n) for n in range(1, 31)))
    touch(tmp_path, *(sound.format(a="M003", e="sad", k=1, n=n) for n in (*range(1, 30), 31)))
    touch(tmp_path, *(front.format(a="W009", e="neutral", k=1, n=n) for n in (1, 2, 4)))
    touch(tmp_path, "W017/video/down/sad/level_1/001.mp4", "W999/video/front/sad/level_1/001.mp4", "readme.mp4")
    touch(tmp_path, "W009/video.tar", "W011/video.tar", "W009/audio.tar", ".hidden.mp4")
    result = check(workspace, "mead", tmp_path)
    facts = result.facts
    assert (facts["clips_here"], facts["speakers_here"], facts["cells_found_full"]) == (34, 4, 1)
    assert facts["videos_by_view"]["down"] == 1 and len(facts["speakers_missing"]) == 45
    assert "listed_clips" not in facts
    assert remarks(result, "hole") == ["W009 neutral level_1: has no 003"]
    assert [line.split(":")[0] for line in remarks(result, "packed")] == ["W009/audio.tar", "W011/video.tar"]
    assert remarks(result, "unknown_actor")[0].startswith("W999")
    assert "W017: only the view `down` was released" in remarks(result, "known_defect")[0]
    assert remarks(result, "known_defect")[0].endswith("videos here: down 1")
    assert remarks(result, "video_without_audio_file")[0] == "M003: 1 recordings, first sad level_1 030"
    assert remarks(result, "audio_file_without_video") == ["M003: 1 recordings, first sad level_1 031"]
    assert remarks(result, "unfit_path")[0].startswith("readme.mp4: no folder named like an actor")
    assert "M003 sad level_2: 0 of 30 clips" in remarks(result, "short_cell")
    by_actor = table(result, "actors", "actor")
    assert (by_actor["M003"]["sad"], by_actor["M003"]["listed"], by_actor["M003"]["found"]) == ("30", None, 30)


def test_mead_on_disk_against_a_name_list(tmp_path: Path, workspace: Workspace) -> None:
    touch(tmp_path, *(f"M003/video/front/sad/level_1/{n:03d}.mp4" for n in (1, 2, 9)))
    rows = ["M003_level_1_sad_001 A TEXT", "M003_level_1_sad_002", "M003_level_1_sad_003", "M003_sad_004"]
    (tmp_path / "list_full_mead_annotated.txt").write_text("\n".join([*rows, rows[1]]))
    (tmp_path / "train.json").write_text("[")
    (tmp_path / "test.json").write_text('{"a": 1}')
    result = check(workspace, "mead", tmp_path)
    assert (result.facts["listed_clips"], result.facts["clips_here"]) == (3, 3)
    assert (result.facts["listed_but_missing"], result.facts["found_but_not_listed"]) == (1, 1)
    assert remarks(result, "malformed")[0].startswith("list_full_mead_annotated.txt:4")
    assert len(remarks(result, "second_row")) == 1 and len(remarks(result, "unreadable_list")) == 2
    assert table(result, "actors", "actor")["M003"]["sad"] == "3/3"


def test_a_folder_and_its_labels(tmp_path: Path, workspace: Workspace) -> None:
    touch(tmp_path / "root", "a.mp4", "b.mov", "c.MTS")
    labels = tmp_path / "root" / "labels.csv"
    labels.write_text("path,speaker,emotion\na.mp4,eve,happiness\n")
    result = check(workspace, "folder", tmp_path / "root", labels=labels)
    assert (result.facts["clips"], result.facts["clips_without_emotion"], result.problems) == (3, 2, ())
    assert table(result, "clips by emotion", "emotion")["happy"]["clips"] == 1
    labels.write_text("path,speaker\nother.mp4,eve\n")
    broken = check(workspace, "folder", tmp_path / "root", labels=labels)
    assert broken.facts["clips"] == 3 and "other.mp4" in remarks(broken, "labels")[0]
    labels.write_text("path,speaker\nother.mp4,eve\na.mp4,eve\n")
    (absent,) = remarks(check(workspace, "folder", tmp_path / "root", labels=labels), "absent_video")
    assert absent.startswith(f"{labels}:2: no video `other.mp4` below the corpus folder")


@pytest.mark.parametrize("suffix", [".mts", ".m2ts", ".ts", ".wmv", ".flv", ".3gp", ".mxf", ".ogv", ".MOV"])
def test_videos_of_cameras_and_the_web_are_taken(tmp_path: Path, workspace: Workspace, suffix: str) -> None:
    touch(tmp_path / "root", f"a{suffix}", "b.mp4", "c.mp4")
    result = check(workspace, "folder", tmp_path / "root")
    assert (result.found.videos, result.facts["clips"], result.problems) == (3, 3, ())
    listed = list_source(new_entry(name="c", kind="folder", root=tmp_path / "root"), tmp_path / "local", None, 1)
    assert len(listed) == 3


def test_every_file_that_is_not_taken_is_counted_and_named(
    tmp_path: Path, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path / "root", "a.mp4", "b.mp4", "c.mp4", "sub/d.wav", "notes", ".DS_Store", "sub/._a.mp4")
    touch(tmp_path / "root", *(f"x{n}.txt" for n in range(5)), "clip.gif")
    result = check(workspace, "folder", tmp_path / "root")
    assert remarks(result, "not_taken") == [
        "1 file is left out: .wav 1 (sub/d.wav); a folder's clips have their sound inside the video",
        "7 files are left out: .gif 1 (clip.gif), no suffix 1 (notes), .txt 5 (x0.txt, x1.txt, x2.txt, ...); "
        "no file of these kinds is read",
        "2 files are left out: no suffix 1 (.DS_Store), .mp4 1 (sub/._a.mp4); "
        "hidden files and folders are not looked at",
    ]
    list_source(new_entry(name="c", kind="folder", root=tmp_path / "root"), tmp_path / "local", None, 1)
    assert "c: 7 left out (other suffix), first clip.gif" in caplog.text


def test_lists_and_archives_that_something_reads_are_no_leftovers(tmp_path: Path, workspace: Workspace) -> None:
    touch(tmp_path, "M003/video.tar", "list_full_mead_annotated.txt", "odd.csv")
    (told,) = remarks(check(workspace, "mead", tmp_path), "not_taken")
    assert told.startswith("1 file is left out: .csv 1 (odd.csv)")


def test_hidden_and_unspeakable_files_are_not_counted(workspace: Workspace, tmp_path: Path) -> None:
    touch(tmp_path / "root", "a/b.mp4", ".c/d.mp4", "a/._b.mp4")
    (tmp_path / os.fsdecode(b"root/\xff.mp4")).write_bytes(b"x")
    result = check(workspace, "folder", tmp_path / "root")
    assert (result.found.videos, result.found.local_files) == (1, 0)
    assert [p.where for p in result.problems if p.kind == "no_utf8"] == ["\\xff.mp4"]
    touch(workspace.local_media("c"), "f.mp4")
    result = check(workspace, "folder", tmp_path / "root")
    assert (result.found.videos, result.found.local_files) == (2, 1)


def test_the_funnel_of_an_indexed_corpus(tmp_path: Path, workspace: Workspace) -> None:
    touch(tmp_path / "root", "a.mp4")

    def row(n: int, status: str, reason: str | None, seconds: float | None) -> dict[str, Any]:
        values = dict.fromkeys(CLIPS.names) | {"clip_id": f"c/x/{n}", "corpus": "c", "shard": "b000", "source": "x"}
        values |= {"speaker": "x", "licence": "unknown", "split": "train", "status": status, "reason": reason}
        return values | {"duration_s": seconds, "detail": reason}

    rows = [row(0, "ok", None, 1800.0), row(1, "ok", None, 1800.0), row(2, "rejected", "missing", None)]
    write_table(CLIPS, rows, workspace.index_table("c"))
    result = check(workspace, "folder", tmp_path / "root")
    assert result.funnel_from == "index"
    assert [tuple(vars(r).values()) for r in result.funnel] == [
        ("ok", None, 2, 1.0, 0),
        ("rejected", "missing", 1, 0.0, 1),
    ]
    write_table(CLIPS, rows[:1], workspace.clips_table("c"))
    assert check(workspace, "folder", tmp_path / "root").funnel_from == "clips"
    workspace.clips_table("c").write_bytes(b"no parquet")
    assert len(remarks(check(workspace, "folder", tmp_path / "root"), "unusable_table")) == 1


def test_a_folder_that_is_gone(tmp_path: Path, workspace: Workspace) -> None:
    with pytest.raises(UserError, match="mounted"):
        check(workspace, "folder", tmp_path / "gone")


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_prints_json_and_text(tmp_path: Path, workspace: Workspace) -> None:
    root = tmp_path / "root"
    touch(root, "[bold]x.mp4")
    (root / "RD_video_url.txt").write_text("A nothing\n")
    add_corpus(workspace, new_entry(name="lists", kind="hdtf", root=root))
    command = ["corpus", "check", "lists", "--home", str(workspace.home)]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["corpus"] == "lists" and document["facts"]["urls"] == 0 and document["funnel"] == []
    assert {p["kind"] for p in document["problems"]} == {"malformed", "no_list"}
    text = CliRunner().invoke(app, command)
    assert text.exit_code == 0 and "RD_video_url.txt:1: left out" in text.stdout and "not indexed" in text.stdout
    assert "Traceback" not in text.output


def test_an_unknown_corpus_is_one_line_and_exit_code_2(workspace: Workspace) -> None:
    done = CliRunner().invoke(app, ["corpus", "check", "nope", "--home", str(workspace.home)])
    assert done.exit_code == 2 and "no corpus `nope`" in done.stderr


def test_help_has_an_example() -> None:
    done = CliRunner().invoke(app, ["corpus", "check", "--help"])
    assert done.exit_code == 0 and "Example: magictalk corpus check" in done.stdout


def test_where_a_file_reads_no_row_is_folded(
    tmp_path: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    found = check(workspace, "mead", tmp_path)
    print_check(replace(found, tables={"speakers": [{"speaker": "M003", "files": "long " * 60 + "end"}]}))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "long long" in line]
    assert row.rstrip().endswith("long end")


def test_long_lists_are_cut_for_people(tmp_path: Path, workspace: Workspace) -> None:
    touch(tmp_path, *(f"M003/video/front/sad/level_1/{n:03d}.mp4" for n in (1, 3)))
    console = Console(record=True, width=110, file=io.StringIO())
    print_check(check(workspace, "mead", tmp_path), console)
    text = console.export_text()
    assert "more rows: see --json" in text and "M003 sad level_1: has no 002" in text
