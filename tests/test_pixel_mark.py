"""The mark in the pixels: read after what platforms do, never read where there is none, and not to be seen."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

from magictalk_core.media.encode import write_video
from magictalk_core.portrait.mark_code import CODED_BITS, PAYLOAD_BITS, decode, encode
from magictalk_core.portrait.pixel_mark import MARK_DIGITS, MarkReader, MarkReading, PixelMark
from tests.tampering import frames_of, reencoded

PAYLOAD = "0badcafe"
Frame = NDArray[np.uint8]


def picture(name: str, size: int = 256) -> Frame:
    found = {"face": data.astronaut, "cat": data.chelsea, "coffee": data.coffee, "rocket": data.rocket}
    square = found[name]()[:300, :300] if name != "face" else data.astronaut()[:256, 96:352]
    return np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def read(frames: list[Frame]) -> MarkReading | None:
    reader = MarkReader()
    for frame in frames:
        reader.add_rgb(np.ascontiguousarray(frame))
    return reader.read()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**PAYLOAD_BITS - 1), st.integers(0, 2**32 - 1))
def test_a_payload_survives_noise_as_strong_as_its_bits(payload: int, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.7, CODED_BITS)
    assert decode(encode(payload) + noise) == payload


def test_the_code_is_a_contract() -> None:
    """Videos that are out there must be read for ever: these values never change."""
    signs = "".join("1" if sign > 0 else "0" for sign in encode(0x0BADCAFE))
    assert len(signs) == CODED_BITS == 120
    assert int(signs, 2) == CONTRACT
    flat = np.full((48, 48, 3), 128, np.uint8)
    drawn = PixelMark(PAYLOAD).applied(flat).astype(int)[::2, ::2] - 128
    assert (drawn[..., 0] == 0).all() and abs(drawn[..., 1]).max() <= 1
    assert "".join("1" if blue > 0 else "0" for blue in drawn[0, :, 2]) == FIRST_ROW


CONTRACT = 0x923BE5754D48633FE823CD9D3173E3
FIRST_ROW = "011100100100000110011100"


def test_a_payload_has_eight_digits() -> None:
    for wrong in ("", "0badcafe0", "0bad"):
        with pytest.raises(ValueError, match=f"{MARK_DIGITS} hexadecimal digits"):
            PixelMark(wrong)
    with pytest.raises(ValueError, match="32 bits"):
        encode(1 << PAYLOAD_BITS)


@pytest.mark.parametrize("name", ["face", "cat", "coffee", "rocket"])
def test_the_mark_is_not_to_be_seen(name: str) -> None:
    frame = picture(name)
    marked = PixelMark(PAYLOAD).applied(frame)
    error = float(np.mean((marked.astype(float) - frame) ** 2))
    assert 10 * np.log10(255**2 / error) > 42
    grey = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(int) for one in (frame, marked)]
    assert abs(grey[1] - grey[0]).max() <= 2, "brightness stays"


@pytest.mark.parametrize("name", ["face", "cat", "coffee", "rocket"])
def test_it_is_read_after_an_upload_and_not_before_it_is_there(name: str, tmp_path: Path) -> None:
    frame, mark = picture(name), PixelMark(PAYLOAD)
    moving = [np.roll(frame, number // 4, axis=1) for number in range(25)]
    sound = np.zeros(16_000, np.float32)
    for marked in (False, True):
        source = tmp_path / "v.mp4"
        write_video(source, [mark.applied(one) if marked else one for one in moving], 25, sound)
        for frames in (frames_of(source), frames_of(reencoded(source, tmp_path / "u.mp4", crf=28, scale=0.75))):
            found = read(frames)
            assert (found is not None and found.payload == PAYLOAD and found.chance < 1e-9) if marked else found is None


@pytest.mark.parametrize(("width", "height"), [(768, 282), (128, 128), (512, 512), (180, 320)])
def test_frames_of_any_size_and_shape(width: int, height: int) -> None:
    frame = np.asarray(cv2.resize(picture("face"), (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    found = read([PixelMark(PAYLOAD).applied(frame)])
    assert found is not None and found.payload == PAYLOAD


def test_a_mirrored_picture_is_told() -> None:
    found = read([PixelMark(PAYLOAD).applied(picture("cat"))[:, ::-1]])
    assert found is not None and (found.payload, found.is_mirrored) == (PAYLOAD, True)


def test_nothing_is_read_from_noise_and_from_nothing() -> None:
    chance = np.random.default_rng(0)
    assert MarkReader().read() is None and read([np.zeros((64, 64, 3), np.uint8)]) is None
    for _ in range(20):
        assert read([chance.integers(0, 256, (96, 96, 3), np.uint8)]) is None
