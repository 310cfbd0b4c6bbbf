"""Coefficients of odd forms of a real clip against those of the plain form: as `magictalk extract` gets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_fixtures import need_embedded_weights
from numpy.typing import NDArray

from magictalk_core.faces.extract import extract_video
from magictalk_core.faces.tracker import Tracker, open_tracker
from magictalk_core.media.picture_folder import find_pictures
from magictalk_core.portrait.picture import read_pixels
from tests.media_fixtures import ffmpeg

FINE = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "12", "-pix_fmt", "yuv420p")
SWAY = "pad=640:384:128:0,crop=384:384:'128+40*sin(2*PI*t*1.5)':0"


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    need_embedded_weights()
    return open_tracker("auto", 1)


@pytest.fixture(scope="module")
def plain(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.6 s of a talking face, 384 px, 25 fps."""
    path = tmp_path_factory.mktemp("plain") / "plain.mp4"
    source = shared / "samples/clips/real3d_may_5s.mp4"
    ffmpeg("-t", "1.6", "-i", source, "-vf", "scale=384:384,setsar=1", "-r", "25", "-an", *FINE, path)
    return path


@pytest.fixture(scope="module")
def plain_jaw(plain: Path, tracker: Tracker) -> NDArray[np.float64]:
    return jaw(plain, tracker)


def jaw(source: object, tracker: Tracker) -> NDArray[np.float64]:
    table = extract_video(source, "odd", tracker)  # type: ignore[arg-type]
    return np.array(table.column("jawOpen").to_pandas(), np.float64)


def assert_same(ours: NDArray[np.float64], theirs: NDArray[np.float64], most: float = 0.03) -> None:
    assert len(ours) == len(theirs) and np.isfinite(ours).all()
    assert np.corrcoef(ours, theirs)[0, 1] >= 0.95 and np.abs(ours - theirs).mean() <= most


FORMS = {
    "wide pixels": ("scale=288:384,setsar=4/3", FINE, "a.mp4"),
    "tall pixels": ("scale=384:288,setsar=3/4", FINE, "a.mkv"),
    "television": ("scale=352:288,setsar=9/11", FINE, "a.ts"),
    "windows": ("null", ("-c:v", "wmv2", "-b:v", "3M"), "a.wmv"),
    "camera": ("null", ("-c:v", "mpeg2video", "-b:v", "8M"), "a.mxf"),
}


@pytest.mark.parametrize("name", FORMS)
def test_coefficients_are_those_of_the_plain_form(
    name: str, plain: Path, plain_jaw: NDArray[np.float64], tracker: Tracker, tmp_path: Path
) -> None:
    filters, options, file = FORMS[name]
    ffmpeg("-i", plain, "-vf", filters, *options, tmp_path / file)
    assert_same(jaw(tmp_path / file, tracker), plain_jaw)


def test_a_moving_head_between_two_fields_is_tracked_as_if_progressive(
    plain: Path, tracker: Tracker, tmp_path: Path
) -> None:
    fifty = ("-vf", f"minterpolate=fps=50:mi_mode=blend,{SWAY},interlace=scan=tff:lowpass=0")
    ffmpeg("-i", plain, *fifty, *FINE, "-x264opts", "tff=1", "-flags", "+ildct+ilme", tmp_path / "a.mp4")
    ffmpeg("-i", tmp_path / "a.mp4", "-vf", "yadif", *FINE, tmp_path / "ref.mp4")
    assert_same(jaw(tmp_path / "a.mp4", tracker), jaw(tmp_path / "ref.mp4", tracker), most=0.02)


def test_black_before_the_face_is_null_and_the_rest_at_its_time(
    plain: Path, plain_jaw: NDArray[np.float64], tracker: Tracker, tmp_path: Path
) -> None:
    black = ("-f", "lavfi", "-i", "color=black:s=384x384:r=25:d=1")
    ffmpeg(*black, "-i", plain, "-filter_complex", "concat=n=2:v=1", *FINE, tmp_path / "a.mp4")
    found = jaw(tmp_path / "a.mp4", tracker)
    assert np.isnan(found[:25]).all()
    assert_same(found[25:], plain_jaw)


def test_a_folder_of_pictures_is_tracked_like_the_video(
    plain: Path, plain_jaw: NDArray[np.float64], tracker: Tracker, tmp_path: Path
) -> None:
    ffmpeg("-i", plain, tmp_path / "%05d.png")
    assert_same(jaw(find_pictures(tmp_path, 25, read_pixels), tracker), plain_jaw)
