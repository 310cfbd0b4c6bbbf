"""Files of strangers given to a command: decoded in a child, by formats that are allowed, within limits."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from face_fixtures import need_embedded_weights
from PIL import Image

import magictalk_core.commands.extract as extract
import magictalk_core.commands.untrusted as untrusted
import magictalk_core.media.sound as sound
import magictalk_core.portrait.picture as picture
from magictalk_core.commands.untrusted import made_apart, picture_of, sound_of
from magictalk_core.errors import PermanentError, UserError
from tests.media_fixtures import make_clip

EPS = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n"


def _refuse(*arguments: object, **named: object) -> None:
    raise AssertionError("decoded in the command's own process")


def test_pictures_and_sounds_are_decoded_in_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.full((8, 6, 3), 200, np.uint8)).save(tmp_path / "a.png")
    clip = make_clip(tmp_path / "a.mp4", 1.0, size="64x48")
    for module, name in ((picture.Image, "open"), (untrusted, "read_picture"), (untrusted, "read_sound")):
        monkeypatch.setattr(module, name, _refuse)
    monkeypatch.setattr(sound, "open_media", _refuse)
    assert picture_of(tmp_path / "a.png").rgb.shape == (8, 6, 3)
    assert len(sound_of(clip, 16_000).samples) == pytest.approx(16_000, abs=800)
    need_embedded_weights()
    monkeypatch.setattr(extract, "extract_video", _refuse)
    assert extract.extract_file(clip, tmp_path / "a.csv", "litert").frames == 25


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif"])
def test_the_formats_of_portraits_are_read(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(np.full((40, 30, 3), 200, np.uint8)).save(tmp_path / f"a.{suffix}")
    seen = picture.read_picture(tmp_path / f"a.{suffix}").rgb
    assert seen.shape == (40, 30, 3) and abs(int(seen.mean()) - 200) < 4


def test_postscript_reaches_no_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands EPS to Ghostscript; a name that ends in .png is no protection, its content decides."""
    ran = tmp_path / "ran"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {ran}\n")
    ghostscript.chmod(ghostscript.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "portrait.png").write_text(EPS)
    with pytest.raises(UserError, match="format EPS is not on the list"):
        picture.read_picture(tmp_path / "portrait.png")
    assert not ran.exists()
    with pytest.raises(UserError, match=r"portrait\.png: format EPS"):
        picture_of(tmp_path / "portrait.png")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(UserError, match=r"20000x20000 pixels, expected at most 300,000,000 in all: save it smaller"):
        picture.read_picture(tmp_path / "bomb.png")


def test_a_damaged_picture_is_one_error(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for damaged in (content[:200], content[:60] + bytes(40) + content[100:], b""):
        (tmp_path / "b.png").write_bytes(damaged)
        with pytest.raises(UserError, match="not readable as a picture"):
            picture.read_picture(tmp_path / "b.png")


def crash(source: Path, how: str, piece: Path) -> None:
    """A decoder under attack: dies, eats the memory, or leaves something else than was asked for."""
    if how == "dies":
        os.abort()
    if how == "eats":
        piece.write_bytes(bytes(3_000_000_000))
    if how == "hangs":
        while True:
            pass


@pytest.mark.parametrize(
    ("how", "says", "timeout_s"),
    [("dies", "signal 6", 60.0), ("eats", "out of memory", 60.0), ("hangs", "no result within 2 s", 2.0)],
)
def test_a_decoder_that_breaks_ends_its_child_only(tmp_path: Path, how: str, says: str, timeout_s: float) -> None:
    with (
        pytest.raises(PermanentError, match=says) as caught,
        made_apart(crash, tmp_path / "a.mp4", how, suffix=".npy", timeout_s=timeout_s, memory_gb=2.0),
    ):
        raise AssertionError("no piece was made")
    assert not isinstance(caught.value, UserError) and "a.mp4" in str(caught.value)
