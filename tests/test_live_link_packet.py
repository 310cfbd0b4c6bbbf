"""Live Link packets against bytes of another program, and against its reader where it is installed."""

from __future__ import annotations

import struct
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magictalk_core.errors import PermanentError
from magictalk_core.rig import live_link_packet
from magictalk_core.rig.live_link_packet import device_id
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES

GOLDEN = Path(__file__).parent / "data" / "live_link_packet.bin"
"""What PyLiveLinkFace 0.1 (pip) encodes, with frame 123456 and sub frame 0 in place of the time of day: shape i is
(i + 1) / 64, angle j, counted from 52, (j - 56) / 16."""


def read_packet(data: bytes) -> dict[str, Any]:
    """A reader of our own for the published layout, that counts every byte."""
    found: dict[str, Any] = {"version": data[0]}
    place = 1
    for name in ("device", "subject"):
        (length,) = struct.unpack_from("!i", data, place)
        found[name] = data[place + 4 : place + 4 + length].decode()
        place += 4 + length
    found["frame"], found["sub"], found["fps"], found["over"] = struct.unpack_from("!ifii", data, place)
    (count,) = struct.unpack_from("!B", data, place + 16)
    found["values"] = struct.unpack_from(f"!{count}f", data, place + 17)
    assert len(data) == place + 17 + 4 * count
    return found


def _golden_motion() -> np.ndarray:
    motion = np.zeros(58, np.float32)
    for i, name in enumerate(ARKIT_NAMES):
        motion[MOTION_NAMES.index(name)] = (i + 1) / 64
    for j, name in enumerate(("yaw", "pitch", "roll"), start=52):
        motion[MOTION_NAMES.index(f"head_{name}_deg")] = np.degrees((j - 56) / 16)
    return motion


def test_the_bytes_are_those_of_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_link_packet, "device_id", lambda subject: "0B9D6A0E-1111-5222-8333-444455556666")
    ours = live_link_packet.live_link_packet(_golden_motion(), 123456, 60, "magictalk-synthetic")
    eyes = 4 * 6  # ours are 0: the eyes' turn is in their shapes
    assert ours[:-eyes] == GOLDEN.read_bytes()[:-eyes] and ours[-eyes:] == bytes(eyes)


def test_another_program_reads_them() -> None:
    reader = pytest.importorskip("pylivelinkface", reason="pip install pylivelinkface timecode")
    packet = live_link_packet.live_link_packet(_golden_motion(), 77, 25, "me")
    is_face, face = reader.PyLiveLinkFace.decode(packet)
    assert is_face and (face.name, face.fps) == ("me", 25)
    jaw = face.get_blendshape(reader.FaceBlendShape.JawOpen)
    assert jaw == pytest.approx((ARKIT_NAMES.index("jawOpen") + 1) / 64)
    assert face.get_blendshape(reader.FaceBlendShape.HeadYaw) == pytest.approx(-4 / 16)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from((25, 60)), st.text(min_size=1, max_size=20))
def test_every_value_comes_back(frame: int, fps: int, subject: str) -> None:
    if any(0xD800 <= ord(c) <= 0xDFFF for c in subject):
        return  # no text in UTF-8; the command refuses it
    motion = np.random.default_rng(frame).uniform(-0.5, 1.5, 58).astype(np.float32)
    motion[:3] = np.nan
    found = read_packet(live_link_packet.live_link_packet(motion, frame, fps, subject))
    assert (found["version"], found["subject"], found["sub"], found["over"]) == (6, subject, 0.0, 1)
    assert (found["frame"], found["fps"], len(found["values"])) == (frame % 2**31, fps, 61)
    shapes = np.nan_to_num(motion[[MOTION_NAMES.index(name) for name in ARKIT_NAMES]]).clip(0, 1)
    np.testing.assert_allclose(found["values"][:52], shapes, atol=1e-7)
    pitch = motion[MOTION_NAMES.index("head_pitch_deg")]
    assert found["values"][53] == pytest.approx(np.radians(pitch), abs=1e-6)


def test_a_device_is_a_uuid_that_stays() -> None:
    assert str(uuid.UUID(device_id("me"))).upper() == device_id("me") != device_id("you")


def test_a_motion_of_another_size_is_refused() -> None:
    with pytest.raises(PermanentError, match="58 values"):
        live_link_packet.live_link_packet(np.zeros(52, np.float32), 0, 60, "me")
