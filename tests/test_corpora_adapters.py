from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.corpora.folder import clips as folder
from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.mead import clips as mead
from magictalk_core.corpora.mead.kind import MEAD
from magictalk_core.corpora.records import Corpus
from magictalk_core.corpora.registry import new_entry
from magictalk_core.corpora.sample.kind import SAMPLE
from magictalk_core.errors import UserError
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import EMOTION_ALIASES, EMOTIONS


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
        ("path,speaker\na/one.mp4,A\nb/none.mp4,B\n", ":3", "no video `b/none.mp4`"),
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


def test_labels_in_another_encoding_are_refused(tmp_path: Path) -> None:
    entry = folder_corpus(tmp_path, "path\n")
    (tmp_path / "labels.csv").write_bytes("path,speaker\na/one.mp4,Zoë\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        folder.find_clips(entry, PATHS)
