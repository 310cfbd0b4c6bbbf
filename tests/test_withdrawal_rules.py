"""Which clips a withdrawal takes: by name, by file, by recording, now and when they come back."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.corpora.withdrawal_log import LogLine, WithdrawnClip, append_line
from magictalk_core.corpora.withdrawals import Withdrawals, read_withdrawals
from magictalk_core.errors import PermanentError
from magictalk_core.lineage.content import ClipFinder
from magictalk_core.lineage.purge import PurgePlan, purge, whole_output
from magictalk_core.lineage.withdraw import undo_withdrawal
from magictalk_core.lineage.withdrawing import Asked, withdraw_clips
from magictalk_core.media.signature import signature_distance
from magictalk_core.preparation import shards
from magictalk_core.preparation.clips_table import complete_clips
from magictalk_core.preparation.listing import read_index, write_index
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.preparation.shards import media_shard, media_stem
from magictalk_core.preparation.withdrawn import NearSignatures, withdrawn_among
from magictalk_core.presets.preset import load_preset
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS, MEDIA
from magictalk_core.training_set.build import build_training_set
from magictalk_core.work.clip_steps import piece_path
from magictalk_core.workspace import Workspace
from tests.media_fixtures import make_clip
from tests.test_corpora_gates import GOOD, clip
from tests.training_fixtures import FEATURE_ID, preset, write_tables
from tests.withdrawal_fixtures import signature_of

MD5 = "a" * 32
FRAME_S = 0.04


def rule(kind: Any = "clip", names: tuple[str, ...] = (), **clip_values: Any) -> Withdrawals:
    known = WithdrawnClip(clip_id="c/s/gone", shard="b0", via="named", **clip_values)
    line = LogLine(number=4, action="withdraw", time="", by="", reason="", kind=kind, names=names, clips=(known,))
    return Withdrawals.of([line])


def row(**values: Any) -> dict[str, Any]:
    return clip("other", raw_md5=MD5, **values)


# --- rules ---------------------------------------------------------------------------------------------------------

seconds = st.one_of(st.none(), st.floats(0, 60).map(lambda value: round(value, 2)))


@given(a=seconds, b=seconds, c=seconds, d=seconds)
def test_two_cuts_of_a_file_are_one_where_they_share_more_than_a_frame(
    a: float | None, b: float | None, c: float | None, d: float | None
) -> None:
    start, end = max(a or 0.0, c or 0.0), min(np.inf if b is None else b, np.inf if d is None else d)
    one = rule(raw_md5=MD5, start_s=a, end_s=b).number(row(start_s=c, end_s=d))
    other = rule(raw_md5=MD5, start_s=c, end_s=d).number(row(start_s=a, end_s=b))
    assert one == other == (4 if end - start > FRAME_S else None)


def test_two_people_in_one_picture_are_two() -> None:
    left = {"box_x": 0, "box_y": 0, "box_width": 100, "box_height": 100}
    withdrawals = rule(raw_md5=MD5, box=(20, 10, 100, 100))
    assert withdrawals.number(row(**left)) == 4, "the same face, framed otherwise"
    assert withdrawals.number(row(**{**left, "box_x": 110})) is None
    assert withdrawals.number(row()) == 4, "a cut of the whole picture shows them both"


def test_a_speaker_is_withdrawn_with_what_comes_later_and_a_namesake_elsewhere_is_not() -> None:
    withdrawals = rule("speaker", ("c/anna",))
    assert withdrawals.number(clip("new", speaker="anna")) == 4
    assert withdrawals.number(clip("new", speaker="anna", corpus="d")) is None
    assert rule("source", ("c/tape",)).number(clip("new", source="tape")) == 4
    assert rule("clip", ("c/anna",)).number(clip("new", speaker="anna")) is None


def test_only_what_may_concern_a_corpus_is_its_identity() -> None:
    withdrawals = rule(raw_md5=MD5)
    assert withdrawals.digest("d", ["b" * 32]) is None
    assert withdrawals.digest("c", []) and withdrawals.digest("d", [MD5])
    assert Withdrawals().digest("c", [MD5]) is None


@given(st.integers(0, 60), st.floats(-0.4, 0.4))
def test_near_signatures_are_those_within_the_limit(flipped: int, longer: float) -> None:
    texts = [signature_of(f"c/s/{i}") for i in range(20)] + [f":{signature_of('c/s/3').split(':')[1]}"]
    near = NearSignatures(texts, [2.0] * len(texts))
    asked = signature_of("c/s/3", flipped)
    expected = [i for i, text in enumerate(texts) if signature_distance(asked, text) <= 0.18]
    assert sorted(near.like(asked, 2.0 + longer, 0.18)) == expected
    assert near.like(asked, 3.0, 0.18) == []


# --- names in files ------------------------------------------------------------------------------------------------


@given(st.integers(0, 60))
def test_a_name_is_found_across_the_ends_of_what_is_read_at_once(before: int) -> None:
    text = b"x" * before + b' {"toy/m1-happy/1": 3} toy/m1-happy/10 mytoy/m2/1 toy/m2/1.'
    finder = ClipFinder(["toy/m1-happy/1", "toy/m2/1"])
    assert finder.in_stream(io.BytesIO(text)) == {"toy/m1-happy/1", "toy/m2/1"}
    assert finder.in_stream(io.BytesIO(text[:-9])) == {"toy/m1-happy/1"}
    assert ClipFinder(["toy/m1-happy/100", "toy/m1-happ"]).in_stream(io.BytesIO(text)) == frozenset()


def test_a_tombstone_is_no_row_of_theirs(tmp_path: Path) -> None:
    rows = [clip("a", status="withdrawn", reason="withdrawn"), clip("b")]
    write_table(CLIPS, rows, tmp_path / "clips.parquet")
    assert ClipFinder(["c/s/a", "c/s/b"]).in_file(tmp_path / "clips.parquet") == {"c/s/b"}


# --- the tables of a corpus ----------------------------------------------------------------------------------------


@pytest.fixture
def folder(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Two corpora of short videos: `c` with one and three, `d` with fourth."""
    for corpus, names in (("c", ("one", "three")), ("d", ("fourth",))):
        root = tmp_path / corpus
        root.mkdir()
        for name in names:
            make_clip(root / f"{name}.mp4", 1.0, size="64x48", sound=f"sine=frequency={300 + 99 * len(name)}")
        add_corpus(workspace, new_entry(name=corpus, kind="folder", root=root))
        write_index(workspace, corpus, load_preset("sample"))
    return workspace


def test_an_index_is_stale_by_exactly_the_withdrawals_that_concern_it(folder: Workspace, tmp_path: Path) -> None:
    preset = load_preset("sample")
    first = {corpus: file_md5(folder.index_table(corpus)) for corpus in "cd"}
    untouched = folder.index_table("d").stat().st_mtime_ns
    listings = {corpus: folder.listing(corpus).read_bytes() for corpus in "cd"}
    headers = folder.cache("headers") / "c.json"
    assert len(json.loads(headers.read_text())["headers"]) == 2
    withdraw_clips(folder, Asked("clip", ("c/one/full",), "a letter", "Ada"))
    index = write_index(folder, "c", preset)
    assert (index.clips, index.rejected) == (2, 1)
    gone = read_index(folder, "c").set_index("clip_id").loc["c/one/full"]
    assert (gone["status"], gone["reason"], gone["detail"]) == ("withdrawn", "withdrawn", "withdrawal 1")
    assert gone[["native_fps", "duration_s", "view"]].isna().all() and gone["raw_path"] == "one.mp4"
    assert len(json.loads(headers.read_text())["headers"]) == 1, "what its header said is forgotten"
    write_index(folder, "d", preset)
    assert folder.index_table("d").stat().st_mtime_ns == untouched
    # What DVC compares changes for the same corpus alone.
    assert folder.listing("c").read_bytes() != listings["c"] and folder.listing("d").read_bytes() == listings["d"]
    # The same file comes back under another name, there and in the other corpus.
    shutil.copy(tmp_path / "c" / "one.mp4", tmp_path / "c" / "renamed.mp4")
    shutil.copy(tmp_path / "c" / "one.mp4", tmp_path / "d" / "brought.mp4")
    for corpus, name in (("c", "renamed"), ("d", "brought")):
        write_index(folder, corpus, preset)
        assert read_index(folder, corpus).set_index("clip_id").loc[f"{corpus}/{name}/full", "status"] == "withdrawn"
    for path in (tmp_path / "c" / "renamed.mp4", tmp_path / "d" / "brought.mp4"):
        path.unlink()
    undo_withdrawal(folder, 1, "Ada", "a mistake")
    for corpus in "cd":
        write_index(folder, corpus, preset)
        assert file_md5(folder.index_table(corpus)) == first[corpus], "as if nothing had been"


def _decoded(workspace: Workspace, signatures: dict[str, str]) -> pd.DataFrame:
    """An index, and pieces of its clips as standardizing leaves them; returns the index."""
    rows = [clip(name, raw_md5=name.ljust(32, "0"), duration_s=2.0) for name in signatures]
    write_table(CLIPS, rows, workspace.index_table("c"))
    index = read_index(workspace, "c", "b0")
    folder, settings = workspace.media("c", "b0"), load_preset("sample").media
    folder.mkdir(parents=True, exist_ok=True)
    from magictalk_core.media.standardize import STANDARDIZE_VERSION

    nowhere = Path("/nowhere")
    for task in shards._media_tasks(index, nowhere, nowhere, folder, settings, STANDARDIZE_VERSION):
        media = dict.fromkeys(MEDIA.names) | GOOD | {"clip_id": task.clip_id, "status": "ok", "n_frames": 50}
        media |= {"signature": signatures[task.clip_id.split("/")[-1]], "duration_s": 2.0}
        for kind, suffix in (("video", "mp4"), ("audio", "wav")):
            path = folder / f"{media_stem(task.clip_id)}.{task.key[:8]}.{suffix}"
            path.write_bytes(task.clip_id.encode())
            media |= {f"{kind}_path": path.name, f"{kind}_md5": file_md5(path)}
        write_text(piece_path(workspace.cache("media"), task.key, ".json"), json.dumps(media))
    return index


def test_a_recording_that_comes_back_encoded_anew_is_known_when_it_is_decoded(workspace: Workspace) -> None:
    gone = WithdrawnClip(clip_id="x/s/gone", shard="b0", via="named", signature=signature_of("gone"), duration_s=2.1)
    append_line(workspace, "Ada", "a letter", action="withdraw", kind="clip", names=("x/s/gone",), clips=(gone,))
    index = _decoded(workspace, {"back": signature_of("gone", flipped=20), "fine": signature_of("fine")})
    preset = load_preset("sample")

    def shard() -> pd.DataFrame:
        result = media_shard(workspace, "c", Path("/nowhere"), "b0", index, preset, workers=1)
        assert result.computed == 0
        return read_frame(MEDIA, result.path).set_index("clip_id")

    media = shard()
    assert media.loc["c/s/back", ["video_path", "audio_path", "signature"]].isna().all()
    assert sorted(path.name.split(".")[0] for path in workspace.media("c", "b0").iterdir()) == ["s-fine", "s-fine"]
    table = workspace.shard_table("c", "media", "b0")
    before = table.stat().st_mtime_ns
    assert shard().equals(media) and table.stat().st_mtime_ns == before, "found once, not decoded again"
    complete_clips(
        workspace.index_table("c"),
        [table],
        preset.quality,
        workspace.clips_table("c"),
        (),
        (),
        read_withdrawals(workspace),
    )
    rows = read_frame(CLIPS, workspace.clips_table("c")).set_index("clip_id")
    assert dict(rows["status"]) == {"c/s/back": "withdrawn", "c/s/fine": "ok"}
    assert rows.loc["c/s/back", "detail"] == "withdrawal 1"


def test_readers_and_training_sets_know_a_withdrawal_before_any_table_is_written(
    workspace: Workspace, tmp_path: Path
) -> None:
    tables = write_tables(tmp_path / "tables")
    rows = read_frame(CLIPS, tables.clips)
    write_table(CLIPS, rows.assign(raw_md5=rows["clip_id"]), tables.clips)
    shutil.copytree(tmp_path / "tables", workspace.dataset("toy"))
    add_corpus(workspace, new_entry(name="toy", kind="folder", root=tmp_path))
    gone = ("toy/m1-happy/1", "toy/m1-happy/2", "toy/m1-sad/1", "toy/m1-sad/2")
    withdraw_clips(workspace, Asked("speaker", ("toy/m1",), "a letter", "Ada"))
    clips = CorpusReader(workspace, "toy").clips
    assert tuple(clips.index[clips["status"] == "withdrawn"]) == gone
    settings = preset().training_set
    whole = build_training_set({"toy": tables}, settings, FEATURE_ID, tmp_path / "whole")
    rest = build_training_set({"toy": tables}, settings, FEATURE_ID, tmp_path / "rest", withdrawn=frozenset(gone))
    assert whole.digest != rest.digest
    packed = pd.read_parquet(tmp_path / "rest" / "index.parquet")["clip_id"]
    assert len(set(packed)) == 16 and not set(packed) & set(gone)
    assert not [path.name for path in (tmp_path / "rest").iterdir() if ClipFinder(gone).in_file(path)]
    infos = [json.loads((tmp_path / name / "info.json").read_text()) for name in ("whole", "rest")]
    assert "withdrawn" not in infos[0] and infos[1]["withdrawn"] and infos[0]["learned"] != infos[1]["learned"]
    found = withdrawn_among(workspace, pd.read_parquet(tmp_path / "whole" / "index.parquet")["clip_id"], 0.18)
    assert found == [f"{one}: withdrawal 1" for one in gone]
    assert withdrawn_among(workspace, packed, 0.18) == []


def test_a_clip_in_use_is_known_by_its_file_and_by_its_recording(workspace: Workspace) -> None:
    rows = [
        clip("file", raw_md5=MD5),
        clip("recording", signature=signature_of("gone", 9), duration_s=2.0),
        clip("fine"),
    ]
    write_table(CLIPS, rows, workspace.clips_table("c"))
    gone = {"raw_md5": MD5, "signature": signature_of("gone"), "duration_s": 2.0}
    clips = (WithdrawnClip(clip_id="x/s/gone", shard="b0", via="named", **gone),)
    append_line(workspace, "Ada", "a letter", action="withdraw", kind="clip", names=("x/s/gone",), clips=clips)
    assert withdrawn_among(workspace, ["c/s/file", "c/s/recording", "c/s/fine"], 0.18) == [
        "c/s/file: withdrawal 1, by name or file",
        "c/s/recording: withdrawal 1, the same recording",
    ]


@pytest.mark.parametrize(
    ("made", "whole"),
    [
        ("lineage_report", "lineage_report"), ("report/report.html", "report"), ("tables/summary.csv", "tables"),
        ("videos/comparison", "videos/comparison"), ("videos/comparison/a.mp4", "videos/comparison"),
        ("generated/test/motion.parquet", "generated/test"), ("corpora/c/pieces/media/s.json",) * 2,
    ],
)  # fmt: skip
def test_a_purge_takes_an_output_whole_and_never_the_workspace(made: str, whole: str, tmp_path: Path) -> None:
    workspace, path = Workspace(tmp_path), tmp_path / made
    if path.suffix:
        path.parent.mkdir(parents=True)
        path.touch()
    else:
        path.mkdir(parents=True)
    assert whole_output(workspace, path) == tmp_path / whole
    plan = PurgePlan((1,), ClipFinder(["c/s/1"]), (), (), (tmp_path,), (), (), (), {}, ())
    with pytest.raises(PermanentError, match="nothing was purged"):
        purge(workspace, plan, "Ada", "a test")
    assert path.exists()
