"""A portrait is seen the same in every form of file, or it is said in one line why not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from magictalk_core.commands.untrusted import picture_of
from magictalk_core.errors import UserError
from magictalk_core.portrait.face import find_face
from magictalk_core.portrait.picture import read_picture
from tests.face_fixtures import need_embedded_weights
from tests.portrait_forms import DAMAGED, FOREIGN, SAME_FACE, plain


def _places(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Landmarks (468, 2) in shares of the picture."""
    need_embedded_weights()
    return find_face(rgb).landmarks[:, :2] / np.float32([rgb.shape[1], rgb.shape[0]])


@cache
def _plain_places() -> NDArray[np.float32]:
    return _places(np.asarray(plain()))


@pytest.mark.thinned(3)
@pytest.mark.parametrize("name", SAME_FACE)
def test_the_face_is_where_it_is_in_the_plain_picture(name: str, tmp_path: Path) -> None:
    form, says = SAME_FACE[name]
    form(tmp_path / name)
    seen = read_picture(tmp_path / name)
    assert np.abs(_places(seen.rgb) - _plain_places()).max() < 0.02
    grey = seen.rgb.mean() / np.asarray(plain().convert("RGB")).mean()
    assert 0.9 < grey < (1.8 if says == "stands on white" or name == "float_with_lamp.tif" else 1.1)
    assert [remark for remark in seen.remarks if says and says in remark] == list(seen.remarks)
    assert bool(seen.remarks) == bool(says)


def test_a_damaged_tiff_is_refused_without_other_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    SAME_FACE["rgb_float.tif"][0](tmp_path / "a.tif")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[10:200] = bytes(range(190))
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(UserError, match=r"^(not readable as a picture|a TIFF with axes) "):
        read_picture(tmp_path / "a.tif")
    assert not caplog.messages


@pytest.mark.parametrize("name", ["profile.jpg", "profile.webp", "profile.tif", "own_colours.png"])
def test_colours_are_those_of_the_profile(name: str, tmp_path: Path) -> None:
    """What is stored as red is blue in this profile."""
    SAME_FACE[name][0](tmp_path / name)
    seen = read_picture(tmp_path / name).rgb.astype(int)
    assert np.abs(seen - np.asarray(plain())).mean() < 3.0


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_picture_is_refused_with_the_cause(name: str, tmp_path: Path) -> None:
    form, says = DAMAGED[name]
    form(tmp_path / name)
    with pytest.raises(UserError, match=r"^not readable as a picture") as caught:
        read_picture(tmp_path / name)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_format_that_is_not_on_the_list_is_named_with_the_next_step(name: str, tmp_path: Path) -> None:
    form, named = FOREIGN[name]
    form(tmp_path / name)
    with pytest.raises(UserError, match=rf"^format {named} is not on the list \(PNG, ") as caught:
        read_picture(tmp_path / name)
    if named in ("SVG", "PDF"):
        assert str(caught.value).endswith("; save it as PNG")
    else:
        quoted = f"'{name}'" if " " in name else name
        assert f"convert with: ffmpeg -i {quoted} -frames:v 1 " in str(caught.value)


def test_what_was_done_to_a_picture_comes_back_from_the_child(tmp_path: Path) -> None:
    SAME_FACE["cutout.png"][0](tmp_path / "cutout.png")
    seen = picture_of(tmp_path / "cutout.png")
    assert seen.remarks == ("transparent: stands on white",) and seen.rgb[0, 0].tolist() == [255, 255, 255]


def test_a_missing_picture_a_folder_and_a_name_too_long(tmp_path: Path) -> None:
    for path, says in (
        (tmp_path / "none.png", "no such picture"),
        (tmp_path, "a folder, expected one picture"),
        (tmp_path / ("x" * 300), "File name too long, expected one picture"),
    ):
        with pytest.raises(UserError, match=says):
            picture_of(path)
