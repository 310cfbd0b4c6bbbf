"""Live Link Face recordings as apps, clocks and spreadsheets leave them: the jaw that was put in comes out at 25."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from curve_fixtures import JAW, jaw_error, label_exact, label_milliseconds, label_whole, take_jaw, take_row, write_take
from hypothesis import given, settings
from hypothesis import strategies as st

from magictalk_core.commands.convert import convert_file
from magictalk_core.errors import UserError
from magictalk_core.rig.curve_files import read_curves
from magictalk_core.rig.curves import Curves, resampled
from magictalk_core.rig.frame_slots import StepBackError, find_slots
from magictalk_core.rig.live_link import LIVE_LINK_HEADER, write_live_link
from magictalk_core.rig.live_link_reader import read_live_link
from magictalk_core.rig.timecodes import read_stamps
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

SECONDS = 3
AT_60 = np.arange(60 * SECONDS) / 60
HEAD = list(LIVE_LINK_HEADER)
JAW_COLUMN = HEAD.index("JawOpen")


def _rows(times: Sequence[float], label: Callable[[float], str]) -> list[list[str]]:
    return [take_row(label(t), t) for t in times]


def _plain() -> list[list[str]]:
    return _rows(list(AT_60), lambda t: label_exact(t, 60))


def _at_25(curves: Curves) -> Curves:
    """As a table holds it, without the last two frames, which lie behind the last one that was recorded."""
    ours = resampled(curves, 25.0)
    ours.seen[-2:] = False
    return ours


@pytest.mark.parametrize(
    ("camera", "timecode", "label"),
    [
        (30, 60, label_exact), (30, 60, label_whole), (24, 60, label_whole), (25, 60, label_whole),
        (50, 60, label_whole), (24, 30, label_whole), (25, 30, label_whole), (60, 60, label_whole),
        (30, 30, label_whole), (24, 24, label_whole), (25, 25, label_whole), (48, 48, label_whole),
        (120, 120, label_whole), (60, 30, label_whole), (25, 24, label_whole), (30, 24, label_whole),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)  # fmt: skip
def test_a_camera_under_the_timecode_of_another_rate(
    tmp_path: Path, camera: int, timecode: int, label: Callable[..., str]
) -> None:
    """Every row is a frame: its rate follows from the spacing of the stamps, also where two are equal."""
    times = np.arange(camera * SECONDS) / camera
    for start in (36000.0, 36000.517):
        path = write_take(tmp_path / "a.csv", [take_row(label(t, timecode, start), t) for t in times])
        curves = read_live_link(path)
        assert curves.fps == camera and curves.seen.all() and len(curves) == len(times)
        assert jaw_error(curves, take_jaw) < 1e-5
        assert jaw_error(_at_25(curves), take_jaw) < 1e-3
        (asked,) = read_curves(path, float(camera))
        assert asked.seen.all() and asked.fps == camera


def test_a_camera_of_29_97_under_60_is_told_from_30(tmp_path: Path) -> None:
    times = np.arange(90) * 1001 / 30000
    curves = read_live_link(write_take(tmp_path / "a.csv", _rows(list(times), lambda t: label_exact(t, 60))))
    assert curves.fps == pytest.approx(29.97, abs=1e-4) and jaw_error(curves, take_jaw) < 1e-5


def test_a_rate_that_a_timecode_cannot_say_is_written_at_the_nearest(tmp_path: Path) -> None:
    times = np.arange(180) * 1001 / 60000
    path = write_take(tmp_path / "a.csv", _rows(list(times), lambda t: label_exact(t, 60)))
    made = convert_file(path, tmp_path / "o.csv", form="livelink", clip=None, smooth=None, fps=None)
    (back,) = read_curves(tmp_path / "o.csv", None)
    assert made.rate.startswith("59.9401") and back.fps == 60 and jaw_error(_at_25(back), take_jaw) < 1e-3


def test_drop_frame_timecode_leaves_numbers_out_and_no_frames(tmp_path: Path) -> None:
    """10 s across a minute: 00:03:59;29 is followed by 00:04:00;02."""

    def label(i: int) -> str:
        frame = (3 * 60 + 57) * 30 + i
        frame += 2 if frame >= 4 * 1800 else 0
        return f"00:{frame // 1800:02d}:{frame // 30 % 60:02d};{frame % 30:02d}"

    times = np.arange(300) * 1001 / 30000
    rows = [take_row(label(i), t) for i, t in enumerate(times)]
    assert [rows[89][0], rows[90][0]] == ["00:03:59;29", "00:04:00;02"]
    curves = read_live_link(write_take(tmp_path / "a.csv", rows))
    assert curves.seen.all() and curves.fps == pytest.approx(29.97, abs=1e-4) and jaw_error(curves, take_jaw) < 1e-5


def _drop_frame(i: int, rate: int, start_minute: int, sign: str) -> str:
    """Number of frame `i` of a recording that begins half a second before a minute."""
    drop = rate // 15
    frame = start_minute * 60 * rate - rate // 2 - drop * (start_minute - 1 - (start_minute - 1) // 10) + i
    ten, rest = divmod(frame, 600 * rate - 9 * drop)
    one = max(0, (rest - drop) // (60 * rate - drop))
    frame += 9 * drop * ten + drop * one
    hours, minutes, seconds = frame // rate // 3600 % 24, frame // rate // 60 % 60, frame // rate % 60
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{sign}{frame % rate:02d}"


@pytest.mark.parametrize("rate", [30, 60])
@pytest.mark.parametrize(("seconds", "start_minute"), [(150, 8), (700, 55), (5, 4)])
@pytest.mark.parametrize("every", [1, 2])
def test_drop_frame_numbers_count_whatever_sign_stands_before_them(
    rate: int, seconds: int, start_minute: int, every: int
) -> None:
    """Written with `:`, too; a camera of half the rate under it."""
    texts = {s: [_drop_frame(i, rate, start_minute, s) for i in range(0, seconds * rate, every)] for s in ":;"}
    expected, found = (read_stamps(texts[sign], None) for sign in ";:")
    assert np.array_equal(expected.times, found.times) and found.clock == expected.clock == 1000 / 1001
    slots = find_slots(found.times, found.quantum)
    assert np.array_equal(slots.at, np.arange(len(slots.at))) and slots.rate == rate / every
    assert any("though it is written with `:`" in remark for remark in found.remarks)


def test_frames_that_are_lost_at_a_minute_are_no_drop_frame_timecode() -> None:
    """Numbers 0 and 1 at one of several minutes; at the tenth; and at one where others are lost besides."""
    count = [f"00:{k // 1800:02d}:{k // 30 % 60:02d}:{k % 30:02d}" for k in range(1000, 6000)]
    for lost in ([1800, 1801], [1800, 1801, 3600, 3601, 5399, 5400]):
        assert read_stamps([text for k, text in enumerate(count, 1000) if k not in lost], None).clock == 1.0
    count = [f"00:{k // 1800:02d}:{k // 30 % 60:02d}:{k % 30:02d}" for k in range(17900, 18200)]
    assert read_stamps([text for k, text in enumerate(count, 17900) if k not in (18000, 18001)], None).clock == 1.0
    count = [f"00:{k // 1800:02d}:{k // 30 % 60:02d}:{k % 30:02d}" for k in range(1700, 2000)]
    assert read_stamps([text for k, text in enumerate(count, 1700) if k not in (1750, 1800, 1801)], None).clock == 1.0


@pytest.mark.parametrize("jitter_s", [0.001, 0.003, 0.006])
def test_a_jittering_clock_leaves_no_frame_out(tmp_path: Path, jitter_s: float) -> None:
    noise = np.random.default_rng(3).normal(0, jitter_s, len(AT_60))
    rows = [take_row(label_exact(max(0.0, t + late), 60), t) for t, late in zip(AT_60, noise, strict=True)]
    curves = read_live_link(write_take(tmp_path / "a.csv", rows))
    assert len(curves) == 180 and curves.seen.all() and curves.fps == 60 and jaw_error(curves, take_jaw) < 1e-5
    assert ("uneven stamps" in curves.findings.rate) == (jitter_s > 0.001)


@pytest.mark.parametrize("drift", [1.002, 1.01, 0.985])
def test_a_drifting_clock_gives_the_rate_of_its_stamps(tmp_path: Path, drift: float) -> None:
    """Within half a frame over the whole recording."""
    rows = [take_row(label_exact(t * drift, 60), t) for t in AT_60]
    curves = read_live_link(write_take(tmp_path / "a.csv", rows))
    assert len(curves) == 180 and curves.seen.all() and curves.fps == pytest.approx(60 / drift, rel=0.5 / 180)


@pytest.mark.parametrize("fps", [25.0, 30.0, 60.0])
@pytest.mark.parametrize("drift", [1.005, 1.004, 1.0005, 0.9997, 0.996])
@pytest.mark.parametrize("minutes", [0.1, 1, 10])
def test_no_usual_rate_is_taken_that_the_length_of_a_recording_speaks_against(
    fps: float, drift: float, minutes: float
) -> None:
    n = round(60 * minutes * fps)
    slots = find_slots(np.arange(n) / fps * drift, 1e-5)
    assert np.array_equal(slots.at, np.arange(n)) and abs(slots.rate * drift / fps - 1) * n <= 0.55


@pytest.mark.parametrize("fps", [30.0, 60.0])
@pytest.mark.parametrize("jitter_s", [0.01, 0.02, 0.04])
@pytest.mark.parametrize("seed", range(4))
def test_sorted_stamps_of_strong_jitter_leave_no_frame_out(fps: float, jitter_s: float, seed: int) -> None:
    """Stamped when they arrived, in whatever order they were taken."""
    n = 240 if seed < 2 else 1500
    times = np.sort(np.arange(n) / fps + np.random.default_rng(seed).normal(0, jitter_s, n))
    slots = find_slots(times - times[0], 1e-5)
    assert np.array_equal(slots.at, np.arange(n)) and slots.rate == pytest.approx(fps, rel=4 * jitter_s * fps / n)
    paused = times + 2.0 * (np.arange(n) >= n // 2)
    slots = find_slots(paused - paused[0], 1e-5)
    assert slots.at[-1] - n + 1 == pytest.approx(2 * fps, abs=6) and np.count_nonzero(np.diff(slots.at) > 1) == 1


@pytest.mark.parametrize(("label", "jitter_s"), [(label_exact, 0.0), (label_exact, 0.002), (label_whole, 0.0)])
def test_dropped_frames_move_nothing(tmp_path: Path, jitter_s: float, label: Callable[..., str]) -> None:
    """Single frames, two in a row and a pause of five seconds."""
    lost = {40, 41, 90, 120, 150, *range(200, 500)}
    kept = [i for i in range(600) if i not in lost]
    noise = np.random.default_rng(1).normal(0, jitter_s, 600)
    rows = [take_row(label(max(0.0, i / 60 + noise[i]), 60), i / 60) for i in kept]
    curves = read_live_link(write_take(tmp_path / "a.csv", rows))
    assert len(curves) == 600 and curves.fps == 60 and set(np.flatnonzero(~curves.seen)) == lost
    assert jaw_error(curves, take_jaw) < 1e-5
    assert "305 frames have no row" in " ".join(curves.findings.remarks)


@pytest.mark.parametrize(
    "label",
    [
        label_milliseconds,
        lambda t: label_milliseconds(t, ","),
        lambda t: label_milliseconds(t, ":"),
        lambda t: label_exact(t, 60, 86399.0),
        lambda t: label_exact(t, 60, sign=";"),
        lambda t: label_exact(t, 60)[:-4],
    ],
    ids=["milliseconds", "comma", "third-colon", "midnight", "semicolon", "short"],
)
def test_forms_of_a_timecode(tmp_path: Path, label: Callable[[float], str]) -> None:
    curves = read_live_link(write_take(tmp_path / "a.csv", _rows(list(AT_60), label), delimiter="\t"))
    assert len(curves) == 180 and curves.fps == 60 and curves.seen.all() and jaw_error(curves, take_jaw) < 1e-5


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ";"},
        {"delimiter": "\t"},
        {"delimiter": "|"},
        {"encoding": "utf-16"},
        {"encoding": "utf-16-le"},
        {"encoding": "utf-16-be"},
        {"encoding": "utf-8-sig"},
        {"header": [f" {name} " for name in HEAD]},
        {"header": [name.lower() for name in HEAD]},
        {"header": [*HEAD, ""]},
    ],
    ids=["semicolon", "tab", "bar", "utf16", "utf16le", "utf16be", "bom", "blanks", "lower", "trailing"],
)
def test_forms_of_the_text(tmp_path: Path, options: dict[str, object]) -> None:
    curves = read_live_link(write_take(tmp_path / "a.csv", _plain(), **options))  # type: ignore[arg-type]
    assert len(curves) == 180 and curves.seen.all() and jaw_error(curves, take_jaw) < 1e-5


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_decimal_commas(tmp_path: Path, delimiter: str) -> None:
    """Of a German spreadsheet; with commas between cells too they stand in quotes."""
    rows = [[cell.replace(".", ",") for cell in row] for row in _plain()]
    path = write_take(tmp_path / "a.csv", rows, delimiter=delimiter)
    assert jaw_error(read_live_link(path), take_jaw) < 1e-5
    if delimiter == ";":
        path.write_text("sep=;\n" + path.read_text())
        assert jaw_error(read_live_link(path), take_jaw) < 1e-5
    path.write_text(path.read_text().replace('"', "").replace(delimiter, ","))
    with pytest.raises(UserError, match=r"line \d: .*decimal commas"):
        read_live_link(path)


@pytest.mark.parametrize(
    "lacking", [("HeadYaw",), HEAD[-9:], HEAD[-6:], ["TongueOut", *HEAD[-9:]], ["BlendShapeCount"]]
)
def test_columns_that_are_not_there_are_unknown(tmp_path: Path, lacking: Sequence[str]) -> None:
    kept = [i for i, name in enumerate(HEAD) if name not in lacking]
    rows = [[row[i] for i in kept] for row in _plain()]
    curves = read_live_link(write_take(tmp_path / "a.csv", rows, [HEAD[i] for i in kept]))
    assert curves.seen.all() and jaw_error(curves, take_jaw) < 1e-5
    assert np.isnan(curves.pose[:, 1]).all() == ("HeadYaw" in lacking)
    assert np.isnan(curves.coefficients[:, -1]).all() == ("TongueOut" in lacking)
    assert any("pose is unknown" in remark for remark in curves.findings.remarks) == ("HeadYaw" in lacking)


def test_fewer_shapes_are_read_and_a_misspelt_one_is_not(tmp_path: Path) -> None:
    kept = [i for i, name in enumerate(HEAD) if not name.startswith("EyeLook")]
    rows = [[row[i] for i in kept] for row in _plain()]
    path = write_take(tmp_path / "a.csv", rows, [HEAD[i] for i in kept])
    made = convert_file(path, tmp_path / "o.parquet", form=None, clip=None, smooth=None, fps=None)
    assert made.shapes.startswith("44 of 52; unknown: eyeLookDownLeft")
    path = write_take(tmp_path / "a.csv", _plain(), [name.replace("JawOpen", "JawOpn") for name in HEAD])
    with pytest.raises(UserError, match="lacks jawOpen, and has JawOpn"):
        read_live_link(path)


def test_empty_cells_are_unknown(tmp_path: Path) -> None:
    rows = _plain()
    for i, word in zip(range(3, 180, 7), ["", "nan", "NaN", " ", "null"] * 6, strict=False):
        rows[i][JAW_COLUMN] = word
    curves = read_live_link(write_take(tmp_path / "a.csv", rows))
    assert curves.seen.all() and np.flatnonzero(np.isnan(curves.coefficients[:, JAW])).tolist() == list(
        range(3, 180, 7)
    )
    known = np.isfinite(curves.coefficients[:, JAW])
    np.testing.assert_allclose(curves.coefficients[known, JAW], take_jaw(AT_60)[known], atol=1e-5)
    ours = resampled(curves, 25.0)
    known = np.isfinite(ours.coefficients[:, JAW])
    assert 0.8 < known.mean() < 1
    np.testing.assert_allclose(ours.coefficients[known, JAW], take_jaw(np.arange(75) / 25)[known], atol=1e-3)
    write_live_link(curves, tmp_path / "b.csv")
    assert jaw_error(read_live_link(tmp_path / "b.csv"), take_jaw) < 0.02, "no fall to 0 where a value was unknown"


def test_values_beyond_one_are_clipped_and_counted(tmp_path: Path) -> None:
    rows = _plain()
    rows[10][JAW_COLUMN], rows[11][JAW_COLUMN] = "1.2", "-0.02"
    path = write_take(tmp_path / "a.CSV", rows)
    made = convert_file(path, tmp_path / "o.glb", form=None, clip=None, smooth=None, fps=None)
    assert made.clipped == 2 and made.rate.startswith("60 frames per second")
    assert read_live_link(path).coefficients[10:12, JAW].tolist() == [1.0, 0.0]


def test_cells_with_a_sign_of_per_cent_are_hundredths(tmp_path: Path) -> None:
    rows = _plain()
    for row in rows:
        row[2:54] = [f"{100 * float(cell):.3f}%" for cell in row[2:54]]
    rows[3][JAW_COLUMN] = rows[3][JAW_COLUMN].replace(".", ",").replace("%", " %")
    curves = read_live_link(write_take(tmp_path / "a.csv", rows))
    assert curves.seen.all() and curves.findings.clipped == 0 and jaw_error(curves, take_jaw) < 1e-4


def test_a_cut_file_loses_its_last_frame_only(tmp_path: Path) -> None:
    path = write_take(tmp_path / "a.csv", _plain())
    path.write_bytes(path.read_bytes()[:-200])
    curves = read_live_link(path)
    assert len(curves) == 180 and np.flatnonzero(~curves.seen).tolist() == [179]
    assert "the first in line 181" in " ".join(curves.findings.remarks)


def _percent(rows: list[list[str]]) -> None:
    for row in rows:
        row[2:54] = [f"{100 * float(cell):.3f}" for cell in row[2:54]]


def _set(rows: list[list[str]], row: int, column: int, cell: str) -> None:
    rows[row][column] = cell


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_percent, r"a\.csv, line \d+: values up to 90: expected 0 to 1"),
        (lambda rows: rows.clear(), "no rows"),
        (lambda rows: _set(rows, 8, JAW_COLUMN, "wide"), r"line 10: could not convert 'wide' to a number \(JawOpen\)"),
        (lambda rows: _set(rows, 8, JAW_COLUMN, "inf"), "line 10: could not convert 'inf'"),
        (lambda rows: _set(rows, 8, 0, "10:00:99:00"), "line 10: expected a timecode"),
        (lambda rows: _set(rows, 8, 0, "8"), "line 10: expected a timecode"),
        (lambda rows: _set(rows, 8, 0, "09:59:00:00.000"), "line 10: the timecodes do not advance"),
        (lambda rows: _set(rows, 8, 1, "many"), r"line 10: .*BlendShapeCount"),
        (lambda rows: rows[8].append("0.3"), "line 10: 64 cells under 63 headings"),
    ],
)
def test_what_is_ambiguous_is_one_line(tmp_path: Path, change: Callable[[list[list[str]]], None], message: str) -> None:
    rows = _plain()
    change(rows)
    path = write_take(tmp_path / "a.csv", rows)
    with pytest.raises(UserError, match=message) as failure:
        convert_file(path, tmp_path / "o.parquet", form=None, clip=None, smooth=None, fps=None)
    assert "\n" not in str(failure.value) and not (tmp_path / "o.parquet").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"Timecode,JawOpen\n\xff\xff", b"a\x00b\x00c", b'Timecode,"JawOpen\n1,2']
)
def test_bytes_that_are_no_table_are_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.csv"):
        read_curves(tmp_path / "a.csv", None)


def test_a_rate_that_is_asked_for_overrides_the_clock(tmp_path: Path) -> None:
    rows = _plain()
    rows[100][0] = rows[3][0]
    path = write_take(tmp_path / "a.csv", rows)
    (curves,) = read_curves(path, 60.0)
    assert len(curves) == 180 and curves.seen.all() and jaw_error(curves, take_jaw) < 1e-5
    (slow,) = read_curves(write_take(tmp_path / "b.csv", _plain()), 30.0)
    assert len(slow) == 180 and slow.fps == 30 and slow.seen.all() and "against the timecodes" in slow.findings.rate


@pytest.mark.parametrize(("start", "rate"), [(36000.0, 60.0), (0.0, 25.0)])
def test_less_than_a_second_is_read_as_the_app_writes_or_as_we_do_and_said(
    tmp_path: Path, start: float, rate: float
) -> None:
    times = np.arange(20) / rate
    path = write_take(tmp_path / "a.csv", _rows(list(times), lambda t: label_whole(t, round(rate), start)))
    curves = read_live_link(path)
    assert curves.fps == rate and "no second ends" in " ".join(curves.findings.remarks)
    assert read_live_link(path, 30.0).fps == 30 and len(read_live_link(path, 30.0)) == 20


def test_one_row_is_one_frame(tmp_path: Path) -> None:
    curves = read_live_link(write_take(tmp_path / "a.csv", _plain()[:1]))
    assert len(curves) == 1 and curves.seen.all() and curves.coefficients[0, JAW] == pytest.approx(0.5)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    fps=st.sampled_from([24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 120.0]),
    extra=st.integers(2, 60),
    lost=st.sets(st.integers(1, 23), max_size=6),
)
def test_round_trip_at_any_rate(
    tmp_path_factory: pytest.TempPathFactory, seed: int, fps: float, extra: int, lost: set[int]
) -> None:
    """Longer than a second, so that the timecode tells its rate."""
    rng = np.random.default_rng(seed)
    n = round(fps) + extra
    coefficients = rng.uniform(0, 1, (n, len(ARKIT_NAMES))).astype(np.float32)
    pose = rng.uniform(-50, 50, (n, 6)).astype(np.float32)
    seen = np.array([i not in lost for i in range(n)])
    coefficients[~seen], pose[~seen] = np.nan, np.nan
    path = tmp_path_factory.mktemp("l") / "a.csv"
    write_live_link(Curves("a", coefficients, pose, seen, fps, "t/1"), path)
    back = read_live_link(path)
    assert back.fps == fps and np.array_equal(back.seen, seen)
    np.testing.assert_allclose(back.coefficients, coefficients, atol=1e-6)
    np.testing.assert_allclose(back.pose[:, :3], pose[:, :3], atol=1e-4)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for i, line in enumerate(lines) if i - 1 not in lost))
    assert np.array_equal(read_live_link(path).seen, seen), "rows that are not there are frames without a face"


@settings(deadline=None, max_examples=60)
@given(
    rate=st.sampled_from([24.0, 25.0, 30.0, 50.0, 60.0, 60000 / 1001]),
    n=st.integers(40, 200),
    lost=st.sets(st.integers(5, 30), max_size=4),
    jitter=st.floats(0, 0.08),
    seed=st.integers(0, 100),
)
def test_frames_of_stamps_with_gaps_and_jitter(rate: float, n: int, lost: set[int], jitter: float, seed: int) -> None:
    """Up to four dropped frames in 40 and jitter of a twelfth of a frame: every stamp is the frame that it was."""
    kept = np.array([i for i in range(n) if i not in lost])
    noise = np.random.default_rng(seed).normal(0, jitter, n)[kept].clip(-0.24, 0.24)
    times = (kept + noise) / rate
    slots = find_slots(times - times[0], 1e-5)
    assert np.array_equal(slots.at, kept) and slots.rate == pytest.approx(rate, rel=0.01)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-0.05, 2.0), min_size=1, max_size=60), st.sampled_from([1e-5, 1e-3, 1 / 60]))
def test_any_stamps_give_ascending_frames_or_the_row_that_is_wrong(steps: list[float], quantum: float) -> None:
    times = np.concatenate([[0.0], np.cumsum(np.array(steps))])
    try:
        slots = find_slots(times, quantum)
    except StepBackError as error:
        assert 0 < error.row < len(times)
    else:
        assert slots.rate > 0.1 and (np.diff(slots.at) > 0).all() and slots.at[0] == 0


def test_mostly_equal_stamps_are_a_frame_a_row() -> None:
    slots = find_slots(np.array([*[0.0] * 19, 1.0]), 1e-3)
    assert slots.at.tolist() == list(range(20)) and slots.rate == pytest.approx(19, rel=0.06)
