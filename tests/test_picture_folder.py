"""A folder of numbered pictures is a clip: its frames, times and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_fixtures import astronaut, need_embedded_weights
from PIL import Image

from magictalk_core.commands.extract import extract_file
from magictalk_core.errors import UserError
from magictalk_core.media.container import MediaError
from magictalk_core.media.decode import at_constant_rate, open_frames
from magictalk_core.media.picture_folder import find_pictures, names_pictures
from magictalk_core.media.speaker import speaker_pictures
from magictalk_core.portrait.picture import read_pixels
from magictalk_core.storage.parquet import read_table
from magictalk_core.storage.schema import FRAMES
from tests.media_fixtures import FakeDetector


def save(folder: Path, name: str, level: int, size: tuple[int, int] = (64, 48)) -> None:
    folder.mkdir(exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(folder / name)


def levels(path: Path, fps: float = 25.0) -> list[int]:
    with open_frames(find_pictures(path, fps, read_pixels)) as timed:
        return [int(frame.to_ndarray(format="rgb24").mean()) for frame in at_constant_rate(timed, 25.0)]


@pytest.mark.parametrize("name", ["{:05d}.png", "{}.png", "frame_{:03d}.jpg", "take2-{}.bmp"])
@pytest.mark.parametrize("first", [0, 1, 95])
def test_pictures_come_in_the_order_of_their_numbers(name: str, first: int, tmp_path: Path) -> None:
    for k in range(12):
        save(tmp_path / "frames", name.format(first + k), 10 * k)
    (tmp_path / "frames" / "notes.txt").write_text("x")
    (tmp_path / "frames" / "._00001.png").write_bytes(b"x")
    assert np.abs(np.array(levels(tmp_path / "frames")) - 10 * np.arange(12)).max() <= 1


def test_the_rate_and_missing_numbers_decide_the_times(tmp_path: Path) -> None:
    for number in (1, 2, 3, 7, 8):
        save(tmp_path / "a", f"{number:05d}.png", 10 * number)
    # Numbers 4 to 6 were lost: black; 7 and 8 keep their times.
    assert levels(tmp_path / "a") == [10, 20, 30, 0, 0, 0, 70, 80]
    assert levels(tmp_path / "a" / "%05d.png", 12.5) == [10] * 2 + [20] * 2 + [30] * 2 + [0] * 6 + [70] * 2 + [80] * 2
    found = find_pictures(tmp_path / "a", 25, read_pixels)
    assert found.remarks == ("3 numbers between 1 and 8 have no picture: frames without a face",)


def test_lost_pictures_are_frames_without_a_face(tmp_path: Path) -> None:
    """Every fifth picture, as somebody thinned them out: no copies of it in between."""
    need_embedded_weights()
    (tmp_path / "a").mkdir()
    for number in (0, 5, 10):
        Image.fromarray(astronaut()).save(tmp_path / "a" / f"IMG_{number}.png")
    made = extract_file(tmp_path / "a", tmp_path / "a.parquet", "litert", fps=25)
    seen = read_table(FRAMES, tmp_path / "a.parquet").column("face_found").to_pylist()
    assert [k for k, found in enumerate(seen) if found] == [0, 5, 10] and len(seen) == 11
    assert made.remarks == "8 numbers between 0 and 10 have no picture: frames without a face"


def test_numbers_that_count_no_frames_are_refused(tmp_path: Path) -> None:
    for stamp in (1_700_000_000_000, 1_700_000_900_000, 1_700_090_000_000):
        save(tmp_path / "a", f"{stamp}.png", 10)
    with pytest.raises(UserError, match=r"1700090000000\.png is more than a day at 25 a second"):
        find_pictures(tmp_path / "a", 25, read_pixels)


def test_a_pattern_chooses_among_several_series(tmp_path: Path) -> None:
    for k in range(3):
        save(tmp_path / "a", f"left_{k}.png", 10)
        save(tmp_path / "a", f"right_{k}.png", 200)
    with pytest.raises(UserError, match=r"several series of pictures: left_%d\.png \(3\), right_%d\.png \(3\)"):
        find_pictures(tmp_path / "a", 25, read_pixels)
    assert levels(tmp_path / "a" / "right_%d.png") == [200] * 3


def test_pictures_of_several_sizes_are_shown_at_the_first_size(tmp_path: Path) -> None:
    save(tmp_path / "a", "1.png", 100)
    save(tmp_path / "a", "2.png", 200, (128, 96))
    shown = list(speaker_pictures(find_pictures(tmp_path / "a", 25, read_pixels), 25, FakeDetector))
    assert [picture.rgb.shape for picture in shown if picture.rgb is not None] == [(48, 64, 3)] * 2
    assert [int(picture.rgb.mean()) for picture in shown if picture.rgb is not None] == [100, 200]


def test_nothing_outside_of_the_folder_is_opened(tmp_path: Path) -> None:
    save(tmp_path / "other", "secret.png", 10)
    save(tmp_path / "a", "1.png", 10)
    (tmp_path / "a" / "2.png").symlink_to(tmp_path / "other" / "secret.png")
    with pytest.raises(UserError, match=r"2\.png: leads out of the folder"):
        find_pictures(tmp_path / "a", 25, read_pixels)
    with pytest.raises(UserError, match="no numbered picture"):
        find_pictures(tmp_path / "other", 25, read_pixels)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a", "1.png", 10)
    (tmp_path / "a" / "2.png").write_bytes(b"hello")
    with pytest.raises(MediaError, match=r"`2\.png`: .*not readable as a picture"):
        levels(tmp_path / "a")


def test_only_what_is_no_file_is_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "%03d.mp4").write_bytes(b"x")
    assert not names_pictures(tmp_path / "%03d.mp4") and not names_pictures(tmp_path / "a.mp4")
    assert names_pictures(tmp_path) and names_pictures(tmp_path / "a_%d.png")


def test_a_folder_without_pictures_is_said_before_a_rate_is_asked_for(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "%d.png"):
        with pytest.raises(UserError, match=r"no numbered picture; expected names such as 00001\.png, or a video file"):
            extract_file(path, tmp_path / "a.parquet")


def test_extract_takes_a_folder_and_asks_for_its_rate(tmp_path: Path) -> None:
    folder = tmp_path / "take"
    folder.mkdir()
    for k in range(4):
        Image.fromarray(astronaut()).save(folder / f"{k:05d}.png")
    with pytest.raises(UserError, match=r"pictures have no rate: give it with --fps"):
        extract_file(folder, tmp_path / "a.parquet")
    Image.fromarray(astronaut()).save(tmp_path / "b.mp4", format="PNG")
    with pytest.raises(UserError, match=r"--fps 25: .*b\.mp4 has its own rate"):
        extract_file(tmp_path / "b.mp4", tmp_path / "a.parquet", fps=25)
    need_embedded_weights()
    made = extract_file(folder / "%05d.png", tmp_path / "a.parquet", "litert", fps=12.5)
    assert (made.frames, made.frames_with_face, made.remarks) == (8, 8, None)
    assert set(read_table(FRAMES, tmp_path / "a.parquet").column("clip_id").to_pylist()) == {"take"}
