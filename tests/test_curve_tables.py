"""Tables of curves after other programs had them in hand: rows keep their times, whatever became of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from curve_fixtures import JAW, REST, jaw_error, take_jaw
from hypothesis import given, settings
from hypothesis import strategies as st

from magictalk_core.commands.convert import convert_file
from magictalk_core.errors import UserError
from magictalk_core.rig.curve_files import read_curves
from magictalk_core.rig.curves import Curves, table_of_curves
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import FRAMES
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES

FRAMES_OF_A_TAKE = 75
HOLES = [0, 20, 21, 40]


def _take(clip_id: str = "c/s/take") -> Curves:
    coefficients = np.full((FRAMES_OF_A_TAKE, 52), REST, np.float32)
    coefficients[:, JAW] = take_jaw(np.arange(FRAMES_OF_A_TAKE) / 25)
    pose = np.ones((FRAMES_OF_A_TAKE, 6), np.float32)
    return Curves(clip_id, coefficients, pose, np.ones(FRAMES_OF_A_TAKE, bool), 25.0, "mediapipe/3")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A table as `magictalk extract` writes it."""
    write_table(FRAMES, table_of_curves(_take()), tmp_path / "own.parquet", {"tracker": "mediapipe/3"})
    return tmp_path / "own.parquet"


def _with_holes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~frame["frame_index"].isin(HOLES)]


def _nullable(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.convert_dtypes()


def _categories(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({"clip_id": "category", "tracker": "category"})


def _wide(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(dict.fromkeys((*ARKIT_NAMES, *POSE_NAMES), "float64") | {"face_found": "int64"})


def _shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[sorted(frame.columns, reverse=True)].sample(frac=1, random_state=1)


def _numbered_anew(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(frame_index=range(len(frame)))


def _without(*names: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.drop(columns=list(names))


def _indexed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(["clip_id", "frame_index"])


def _texts(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(str)


CHANGES = {
    "filtered": lambda frame: frame,
    "nullable": _nullable,
    "categories": _categories,
    "float64": _wide,
    "shuffled": _shuffled,
    "numbered anew": _numbered_anew,
    "without time": _without("time_s"),
    "without number": _without("frame_index"),
    "bare": _without("clip_id", "face_found", "tracker", "confidence"),
    "indexed": _indexed,
    "texts": _texts,
}


@pytest.mark.thinned(4)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("form", ["parquet", "csv", "semicolons", "utf16"])
def test_a_rewritten_table_is_read_like_the_same_rows(own: Path, form: str, change: str) -> None:
    """Frames without a row are frames without a face, and nothing after them moves."""
    frame = CHANGES[change](_with_holes(pd.read_parquet(own)))
    path = own.with_name("take.parquet" if form == "parquet" else "take.csv")
    if form == "parquet":
        frame.to_parquet(path)
    elif form == "csv":
        frame.to_csv(path)
    elif form == "semicolons":
        frame.to_csv(path, sep=";", decimal=",")
    else:
        frame.to_csv(path, sep="\t", encoding="utf-16")
    (curves,) = read_curves(path, None)
    assert len(curves) == FRAMES_OF_A_TAKE and np.flatnonzero(~curves.seen).tolist() == HOLES
    assert jaw_error(curves, take_jaw) < 1e-6
    assert np.isnan(curves.coefficients[HOLES]).all() and np.isfinite(curves.pose[curves.seen]).all()
    assert "4 frames have no row" in curves.findings.remarks[-1]
    out = own.with_name("out.parquet")
    made = convert_file(path, out, form=None, clip=None, smooth=None, fps=None)
    assert (made.frames, made.clipped, made.shapes) == (FRAMES_OF_A_TAKE, 0, "52 of 52")
    (back,) = read_curves(out, None)
    assert np.array_equal(back.seen, curves.seen) and jaw_error(back, take_jaw) < 1e-6


def test_our_own_metadata_on_other_rows_and_another_version(own: Path) -> None:
    table = pq.read_table(own)
    pq.write_table(table.slice(10), own.with_name("later.parquet"))
    (curves,) = read_curves(own.with_name("later.parquet"), None)
    assert np.flatnonzero(~curves.seen).tolist() == list(range(10)) and jaw_error(curves, take_jaw) < 1e-6
    old = table.replace_schema_metadata({**(table.schema.metadata or {}), b"magictalk.schema_version": b"0"})
    pq.write_table(old, own.with_name("old.parquet"))
    with pytest.raises(UserError, match="expected table `frames` version 1, found `frames` version 0"):
        read_curves(own.with_name("old.parquet"), None)


def test_several_clips_with_rows_in_any_order(tmp_path: Path) -> None:
    tables = [table_of_curves(_take(name)).to_pandas() for name in ("c/s/b", "c/s/a")]
    tables[1] = tables[1][tables[1]["frame_index"] >= 5]
    pd.concat(tables).sample(frac=1, random_state=2).sort_values("time_s").to_parquet(tmp_path / "t.parquet")
    clips = {curves.clip_id: curves for curves in read_curves(tmp_path / "t.parquet", None)}
    assert {name: int(curves.seen.sum()) for name, curves in clips.items()} == {"c/s/b": 75, "c/s/a": 70}
    assert all(len(curves) == 75 and jaw_error(curves, take_jaw) < 1e-6 for curves in clips.values())


def test_times_of_another_rate_say_it(tmp_path: Path) -> None:
    frame = table_of_curves(_take()).to_pandas()
    times = np.arange(len(frame)) / 30
    frame.assign(time_s=times, jawOpen=take_jaw(times)).to_csv(tmp_path / "t.csv", index=False)
    made = convert_file(tmp_path / "t.csv", tmp_path / "o.parquet", form=None, clip=None, smooth=None, fps=None)
    assert made.rate == "30 frames per second, from the spacing of the times" and made.frames == 62
    (back,) = read_curves(tmp_path / "o.parquet", None)
    assert jaw_error(back, take_jaw) < 1e-3


def test_shapes_alone_need_a_rate(tmp_path: Path) -> None:
    frame = table_of_curves(_take()).to_pandas()[["jawOpen", "mouthClose"]]
    frame.rename(columns={"jawOpen": "JawOpen"}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError, match=r"neither time_s nor frame_index: .* --fps"):
        read_curves(tmp_path / "t.csv", None)
    (curves,) = read_curves(tmp_path / "t.csv", 25.0)
    assert jaw_error(curves, take_jaw) < 1e-6 and np.isnan(curves.coefficients).all(axis=0).sum() == 50
    assert curves.findings.remarks[0].startswith("no column clip_id, face_found, tracker, head_pitch_deg")


def test_columns_that_are_not_read_are_named(own: Path) -> None:
    pd.read_parquet(own).assign(mood="calm", jawopener=0.3).to_csv(own.with_name("t.csv"), index=False)
    (curves,) = read_curves(own.with_name("t.csv"), None)
    assert curves.findings.remarks == ("columns left out: mood, jawopener",)


def test_values_beyond_one_are_clipped_and_counted(own: Path) -> None:
    frame = pd.read_parquet(own)
    frame["jawOpen"] *= 1.3
    path = own.with_name("t.parquet")
    frame.to_parquet(path)
    made = convert_file(path, own.with_name("o.parquet"), form=None, clip=None, smooth=None, fps=None)
    assert made.clipped == int((frame["jawOpen"] > 1).sum()) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.iloc[:0], "no rows"),
        (lambda f: f[["clip_id", "time_s"]], "no ARKit shape among: clip_id, time_s"),
        (lambda f: pd.concat([f, f]), "two rows of frame 0"),
        (lambda f: f.assign(jawOpen=f["jawOpen"] * 100), "values up to 90: expected 0 to 1"),
        (lambda f: f.assign(jawOpen="wide"), "jawOpen"),
        (lambda f: f.assign(time_s=-1.0), "a row without a time"),
        (lambda f: f.assign(time_s=None), "a row without a time"),
        (lambda f: f.drop(columns="time_s").assign(frame_index=f["frame_index"] + 0.5), "not whole"),
        (lambda f: f.assign(face_found="perhaps"), "expected true or false, found 'perhaps'"),
        (lambda f: f.assign(JawOpen=0.1), "both mean jawOpen"),
        (lambda f: f.assign(time_s=f["time_s"] * 1e9), "more than 1000000"),
    ],
)
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_what_is_ambiguous_is_one_line(
    own: Path, form: str, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    frame, path = change(pd.read_parquet(own)), own.with_name(f"t.{form}")
    if form == "parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    with pytest.raises(UserError, match=message) as failure:
        convert_file(path, own.with_name("o.glb"), form=None, clip=None, smooth=None, fps=None)
    assert "\n" not in str(failure.value) and not own.with_name("o.glb").exists()


def test_files_that_are_no_table_are_one_line(own: Path) -> None:
    damaged = {"cut.parquet": own.read_bytes()[:-400], "text.parquet": b"a,b\n", "none.csv": b""}
    whole = bytearray(own.read_bytes())
    whole[2000:2040] = bytes(40)
    for name, content in (damaged | {"changed.parquet": bytes(whole)}).items():
        own.with_name(name).write_bytes(content)
        with pytest.raises(UserError, match=name) as failure:
            read_curves(own.with_name(name), None)
        assert "\n" not in str(failure.value)


@pytest.mark.parametrize("package", ["polars", "duckdb", "fastparquet"])
def test_a_table_that_another_reader_wrote_again(own: Path, package: str) -> None:
    """Not among this project's packages: checked where they are installed."""
    module, path = pytest.importorskip(package, reason=f"{package} is not installed"), own.with_name("again.parquet")
    if package == "polars":
        module.read_parquet(own).filter(module.col("frame_index") >= 10).write_parquet(path)
    elif package == "duckdb":
        module.sql(f"COPY (SELECT * FROM '{own}' WHERE frame_index >= 10) TO '{path}' (FORMAT parquet)")
    else:
        frame = pd.read_parquet(own)
        module.write(str(path), frame[frame["frame_index"] >= 10])
    (curves,) = read_curves(path, None)
    assert np.flatnonzero(~curves.seen).tolist() == list(range(10)) and jaw_error(curves, take_jaw) < 1e-6


@settings(deadline=None, max_examples=25)
@given(st.sets(st.integers(0, 73), max_size=60), st.booleans())
def test_any_rows_that_are_left_lie_where_they_lay(
    tmp_path_factory: pytest.TempPathFactory, lost: set[int], timed: bool
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    frame = table_of_curves(_take()).to_pandas()
    frame = frame[~frame["frame_index"].isin(lost)].drop(columns="frame_index" if timed else "time_s")
    pq.write_table(pa.Table.from_pandas(frame), path)
    (curves,) = read_curves(path, None)
    assert len(curves) == FRAMES_OF_A_TAKE and set(np.flatnonzero(~curves.seen)) == lost
    assert jaw_error(curves, take_jaw) < 1e-6
