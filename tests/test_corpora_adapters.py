from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.corpora.folder import clips as folder
from magictalk_core.corpora.folder.clips import look_at_folder
from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.mead import clips as mead
from magictalk_core.corpora.mead.kind import MEAD
from magictalk_core.corpora.records import Corpus
from magictalk_core.corpora.registry import new_entry
from magictalk_core.corpora.sample.kind import SAMPLE
from magictalk_core.errors import UserError
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import EMOTION_ALIASES, EMOTIONS

Form = Literal["NFC", "NFD"]


def mead_corpus(**options: object) -> Corpus:
    return corpus_of(new_entry(name="mead", kind="mead", root=Path("/raw"), **options))  # type: ignore[arg-type]


# --- MEAD ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "M003/video/front/angry/level_1/001.mp4",
        "M003/1/front/angry/level_1/001.mp4",
        "M003/2/front/angry/level_1/001.mp4",
        "M003/video/2/front/angry/level_1/001.mp4",
        "M003/video/front/1/angry/level_1/001.mp4",
        "part0/M003/front/level_1/angry/001.MP4",
    ],
)
def test_labels_are_found_wherever_they_stand(path: str) -> None:
    assert mead.parse_path(path) == mead.MeadPath("M003", "front", "angry", 1, "001")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("video/front/angry/level_1/001.mp4", "actor"),
        ("M003/video/front/level_1/001.mp4", "emotion"),
        ("M003/video/front/angry/sad/level_1/001.mp4", "2 folders name an emotion"),
        ("M003/video/front/down/angry/level_1/001.mp4", "2 folders name a view"),
        ("M003/video/front/angry/001.mp4", "level"),
        ("M003/video/front/angry/level_4/001.mp4", "level"),
        ("M003/video/front/angry/level_1/M003_72_1_output_01.mp4", "clip number"),
        ("M0033/video/front/angry/level_1/001.mp4", "actor"),
        ("M003.mp4", "actor"),
    ],
)
def test_a_path_without_labels_says_why(path: str, why: str) -> None:
    found = mead.parse_path(path)
    assert isinstance(found, str) and why in found


@given(
    st.sampled_from(["M003", "W040"]),
    st.sampled_from(mead.VIEWS),
    st.sampled_from(EMOTIONS),
    st.integers(1, 3),
    st.integers(1, 999),
    st.permutations([0, 1, 2]),
    st.lists(st.sampled_from(["video", "1", "2", "x y", "frontal"]), max_size=3),
)
def test_any_order_of_folders_gives_the_same_labels(
    actor: str, view: str, emotion: str, level: int, number: int, order: list[int], more: list[str]
) -> None:
    tokens = [view, emotion, f"level_{level}"]
    path = "/".join([actor, *more, *(tokens[i] for i in order), f"{number:03d}.mp4"])
    assert mead.parse_path(path) == mead.MeadPath(actor, view, emotion, level, f"{number:03d}")


def test_clips_of_the_front_view_with_their_separate_sound(caplog: pytest.LogCaptureFixture) -> None:
    paths = [
        "M003/video/front/angry/level_1/001.mp4",
        "M003/video/down/angry/level_1/001.mp4",
        "M003/audio/angry/level_1/001.m4a",
        "M003/audio/angry/level_1/001.wav",
        "W009/1/front/neutral/level_1/077.mp4",
        "W009/video/front/notes.mp4",
    ]
    clips = mead.find_clips(mead_corpus(), paths)
    assert [clip.clip_id for clip in clips] == [
        "mead/M003/front-angry-level_1-001",
        "mead/W009/front-neutral-level_1-077",
    ]
    first, second = clips
    assert (first.speaker, first.shard, first.source) == ("M003", "M003", "M003")
    assert (first.emotion, first.level, first.view) == ("angry", 1, "front")
    assert first.audio_path == Path("M003/audio/angry/level_1/001.m4a") and second.audio_path is None
    assert first.licence == MEAD.licence
    assert "1 files fit no MEAD path" in caplog.text
    both = mead.find_clips(mead_corpus(views=("front", "down")), paths)
    assert [clip.view for clip in both] == ["down", "front", "front"]


def test_the_users_licence_wins() -> None:
    path = ["M003/video/front/angry/level_1/001.mp4"]
    assert mead.find_clips(mead_corpus(licence="bought"), path)[0].licence == "bought"
    sample = corpus_of(new_entry(name="sample", kind="sample", root=Path("/raw")))
    assert mead.find_clips(sample, path)[0].licence == SAMPLE.licence


def test_mead_is_split_as_in_the_literature() -> None:
    actors = ["M003", "M005", "M007", "M009", "M030", "W009", "W011"]
    clips = mead.find_clips(mead_corpus(), [f"{a}/video/front/sad/level_2/001.mp4" for a in actors])
    by_split = {s: {c.speaker for c in clips if c.split == s} for s in Split}
    assert by_split[Split.TEST] == {"M003", "M030", "W009"}
    assert len(by_split[Split.VAL]) == 1 and len(by_split[Split.TRAIN]) == 3


@pytest.mark.shared
def test_every_public_mead_name_is_understood(shared: Path) -> None:
    names = (shared / "datasets" / "mead" / "clip_names.txt").read_text().split()
    actors = set()
    for name in names:
        actor, _, level, emotion, number = name.split("_")
        found = mead.parse_path(f"{actor}/video/front/{emotion}/level_{level}/{number}.mp4")
        assert found == mead.MeadPath(actor, "front", emotion, int(level), number)
        actors.add(actor)
    assert len(names) == 31_060 and len(actors) == 47


# --- folder ----------------------------------------------------------------------------------------------------------


def folder_corpus(tmp_path: Path, labels: str | None = None, **options: object) -> Corpus:
    file = None
    if labels is not None:
        file = tmp_path / "labels.csv"
        file.write_text(labels, encoding="utf-8")
    return corpus_of(new_entry(name="mine", kind="folder", root=tmp_path, labels=file, **options))  # type: ignore[arg-type]


PATHS = ["a/one.mp4", "a/two.mov", "three, really.mkv", "a/one.wav"]


def test_every_video_is_a_clip_of_its_own(tmp_path: Path) -> None:
    clips = folder.find_clips(folder_corpus(tmp_path, licence="mine"), PATHS)
    assert {clip.source for clip in clips} == {"a/one", "a/two", "three, really"}
    for clip in clips:
        assert clip.clip_id.startswith("mine/") and clip.clip_id.endswith("/full") and clip.clip_id.count("/") == 2
        assert (clip.speaker, clip.licence, clip.emotion) == (clip.source, "mine", None)
        assert clip.shard in {"b000", "b001", "b002", "b003"}
    assert {clip.split for clip in clips} == set(Split)


def test_labels(tmp_path: Path) -> None:
    text = (
        "\ufeffpath,speaker,emotion,level,split,licence\n"
        "a/one.mp4,Ann,Anger,3,,CC-BY-4.0\n"
        '"three, really.mkv",Bob,surprise,,test,\n'
        "\n"
        "./a/two.mov,Ann,,,train,\n"
    )
    clips = {c.source: c for c in folder.find_clips(folder_corpus(tmp_path, text), PATHS)}
    one, two, three = clips["a/one"], clips["a/two"], clips["three, really"]
    assert (one.speaker, one.emotion, one.level, one.licence) == ("Ann", "angry", 3, "CC-BY-4.0")
    assert (two.emotion, two.level, two.licence) == (None, None, "unknown")
    assert three.emotion == "surprised"
    # What one row says of a speaker holds for the speaker.
    assert (one.split, two.split, three.split) == (Split.TRAIN, Split.TRAIN, Split.TEST)


@pytest.mark.parametrize("alias", sorted(EMOTION_ALIASES))
def test_other_spellings_become_meads(alias: str, tmp_path: Path) -> None:
    entry = folder_corpus(tmp_path, f"path,emotion\na/one.mp4,{alias.upper()}\n")
    clips = folder.find_clips(entry, PATHS)
    assert next(c for c in clips if c.source == "a/one").emotion in EMOTIONS


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("path,mood\na/one.mp4,x\n", ":1", "unknown: mood"),
        ("speaker\nAnn\n", ":1", "header with `path`"),
        ("path,path\na,b\n", ":1", "each once"),
        ("", ":1", "found nothing"),
        ("path,speaker\nb/none.mp4,B\n", ":2", "no video `b/none.mp4`"),
        ("path\na/one.mp4\na/one.mp4\n", ":3", "line 2"),
        ("path,emotion\na/one.mp4,hangry\n", ":2", "angry, contempt"),
        ("path,level\na/one.mp4,4\n", ":2", "1, 2 or 3"),
        ("path,split\na/one.mp4,dev\n", ":2", "train, val, test"),
        ("path,level\na/one.mp4\n", ":2", "expected 2 cells, found 1"),
        ("path,speaker,split\na/one.mp4,A,test\na/two.mov,A,train\n", ":3", "one split"),
    ],
)
def test_wrong_labels_name_file_and_line(tmp_path: Path, text: str, where: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        folder.find_clips(folder_corpus(tmp_path, text), PATHS)
    assert f"labels.csv{where}" in str(caught.value) and what in str(caught.value)


def test_every_wrong_line_is_named(tmp_path: Path) -> None:
    text = 'path,emotion,level\na/one.mp4,hangry,9\na/two.mov,hangry,\ngone.mp4,,\n"three, really.mkv",happy,4\n'
    with pytest.raises(UserError) as caught:
        folder.find_clips(folder_corpus(tmp_path, text), PATHS)
    said = str(caught.value)
    assert "labels.csv:2: emotion `hangry` is unknown" in said and "(and in line 3)" in said
    assert "labels.csv:5: level `4` is unknown" in said


def test_a_row_of_an_absent_video_voids_no_other_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "path,speaker\na/one.mp4,A\nb/none.mp4,B\nA/TWO.mov,C\n"
    corpus = folder_corpus(tmp_path, text)
    found = {clip.source: clip for clip in folder.find_clips(corpus, PATHS)}
    assert found["a/one"].speaker == "A" and found["a/two"].speaker == "a/two"
    assert "mine: 2 rows of the labels name videos that are not here, first" in caplog.text
    absent = [p for p in look_at_folder(corpus, PATHS).problems if p.kind == "absent_video"]
    assert [p.where.rpartition(":")[2] for p in absent] == ["3", "4"]
    assert "no video `b/none.mp4`" in absent[0].what and absent[1].what.endswith("there is `a/two.mov`")


@pytest.mark.parametrize(
    ("cell", "level"), [("3.0", 3), ("3,0", 3), ("2", 2), ("level_1", 1), ("nan", None), ("", None), ("N/A", None)]
)
def test_a_level_as_spreadsheets_write_it(cell: str, level: int | None, tmp_path: Path) -> None:
    found = folder.find_clips(folder_corpus(tmp_path, f'path,level\na/one.mp4,"{cell}"\n'), PATHS)
    assert next(clip for clip in found if clip.source == "a/one").level == level


_ROWS = ["path,speaker,emotion,level", "a/one.mp4,Zoë,Joy,3", '"three, really.mkv",Bob,sad,1']


def _with(separator: str) -> str:
    quoted = '"three, really.mkv"'
    rows = [row.replace(quoted, "Q").replace(",", separator).replace("Q", quoted) for row in _ROWS]
    return "\r\n".join(rows) + "\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        _with(",").encode(),
        _with(",").encode("utf-8-sig"),
        _with(";").encode("utf-8-sig"),
        _with("\t").encode("utf-16"),
        _with("|").encode(),
        _with("\t").encode("utf-16-be"),
        _with(";").encode("utf-16-le"),
        _with(",").encode("utf-32"),
        b"sep=;\r\n" + _with(";").encode(),
        _with(",").replace("path,speaker", "Path, Speaker ").encode(),
        _with(",").replace("\r\n", ",,\r\n").encode(),
        _with(",").replace("\r\n", "\n").replace("a/one.mp4", "a\\one.mp4").encode(),
        _with(",").replace("\r\n", "\r\n\r\n").encode(),
    ],
    ids=[
        "plain", "mark", "semicolon", "utf-16", "bar", "utf-16-be without mark", "utf-16-le without mark", "utf-32",
        "sep line", "capitals", "empty columns", "backslash", "blank lines",
    ],
)  # fmt: skip
def test_labels_of_any_spreadsheet(raw: bytes, tmp_path: Path) -> None:
    corpus = folder_corpus(tmp_path, "path\n")
    (tmp_path / "labels.csv").write_bytes(raw)
    found = {clip.source: clip for clip in folder.find_clips(corpus, PATHS)}
    one, three = found["a/one"], found["three, really"]
    assert (one.speaker, one.emotion, one.level) == ("Zoë", "happy", 3)
    assert (three.speaker, three.emotion, three.level) == ("Bob", "sad", 1)


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_accents_are_compared_whatever_their_form(written: Form, stored: Form, tmp_path: Path) -> None:
    video = unicodedata.normalize(stored, "été/café.mp4")
    text = f"path,speaker\n{unicodedata.normalize(written, 'été/café.mp4')},eve\n"
    (clip,) = folder.find_clips(folder_corpus(tmp_path, text), [video])
    assert clip.speaker == "eve" and clip.path == Path(video)


def test_a_speaker_is_one_however_her_accents_are_typed(tmp_path: Path) -> None:
    forms = [unicodedata.normalize(form, "Zoé") for form in ("NFC", "NFD")]
    text = f"path,speaker\na/one.mp4,{forms[0]}\na/two.mov,{forms[1]}\n"
    found = {clip.source: clip.speaker for clip in folder.find_clips(folder_corpus(tmp_path, text), PATHS)}
    assert found["a/one"] == found["a/two"] == forms[0]


@pytest.mark.parametrize("begin", [b"PK\x03\x04\x14\0\x06\0", bytes.fromhex("d0cf11e0a1b11ae1")])
def test_a_workbook_is_no_labels_file(tmp_path: Path, begin: bytes) -> None:
    corpus = folder_corpus(tmp_path, "path\n")
    (tmp_path / "labels.csv").write_bytes(begin + bytes(100))
    with pytest.raises(UserError, match="is a workbook of a spreadsheet program: save it as"):
        folder.find_clips(corpus, PATHS)


def test_two_names_that_differ_in_the_form_of_accents_alone_are_told_apart(tmp_path: Path) -> None:
    both = [unicodedata.normalize(form, "é.mp4") for form in ("NFC", "NFD")]
    text = f"path,speaker\n{both[0]},composed\n{both[1]},decomposed\n"
    found = {str(clip.path): clip.speaker for clip in folder.find_clips(folder_corpus(tmp_path, text), both)}
    assert found == dict(zip(both, ("composed", "decomposed"), strict=True))


def test_an_absolute_path_below_the_folder_is_one_of_its_videos(tmp_path: Path) -> None:
    corpus = folder_corpus(tmp_path, f"path,speaker\n{tmp_path.resolve()}/a/one.mp4,eve\n")
    assert next(c for c in folder.find_clips(corpus, PATHS) if c.source == "a/one").speaker == "eve"


ONE_SPEAKER = "path,speaker\n" + "".join(f"c{n}.mp4,me\n" for n in range(1, 5))


def test_clips_of_the_only_speaker_are_held_out_and_said(tmp_path: Path) -> None:
    videos = [f"c{n}.mp4" for n in range(1, 5)]
    found = look_at_folder(folder_corpus(tmp_path, ONE_SPEAKER), videos)
    splits = [clip.split for clip in found.clips]
    assert sorted(splits) == ["test", "train", "train", "val"] and {clip.speaker for clip in found.clips} == {"me"}
    (said,) = found.problems
    assert said.kind == "held_out_by_clip" and "clips are held out, not speakers (first me)" in said.what


@pytest.mark.parametrize(
    ("split", "videos", "speakers", "expected", "kinds"),
    [
        ("auto", 1, "me", {"train": 1}, ["empty_split"]),
        ("auto", 2, "me", {"test": 1, "train": 1}, ["held_out_by_clip", "empty_split"]),
        ("rank", 4, "me", {"train": 4}, ["empty_split"]),
        ("train", 4, "me", {"train": 4}, []),
        ("auto", 2, "two", {"test": 1, "train": 1}, ["empty_split"]),
        ("clip", 8, "two", {"test": 1, "val": 1, "train": 6}, ["held_out_by_clip"]),
    ],
)
def test_what_is_held_out_of_few_speakers(
    tmp_path: Path, split: str, videos: int, speakers: str, expected: dict[str, int], kinds: list[str]
) -> None:
    names = [f"c{n}.mp4" for n in range(videos)]
    rows = "".join(f"{name},{'me' if speakers == 'me' else f's{n % 2}'}\n" for n, name in enumerate(names))
    found = look_at_folder(folder_corpus(tmp_path, "path,speaker\n" + rows, split=split), names)
    assert Counter(str(clip.split) for clip in found.clips) == expected
    assert [problem.kind for problem in found.problems] == kinds


def test_labels_say_which_clips_of_the_only_speaker_are_held_out(tmp_path: Path) -> None:
    text = "path,speaker,split\nc1.mp4,me,test\nc2.mp4,me,Train\nc3.mp4,me,\n"
    found = folder.find_clips(folder_corpus(tmp_path, text), ["c1.mp4", "c2.mp4", "c3.mp4"])
    assert {clip.source: str(clip.split) for clip in found} == {"c1": "test", "c2": "train", "c3": "train"}


def test_labels_in_another_encoding_are_refused(tmp_path: Path) -> None:
    entry = folder_corpus(tmp_path, "path\n")
    (tmp_path / "labels.csv").write_bytes("path,speaker\na/one.mp4,Zoë\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        folder.find_clips(entry, PATHS)
