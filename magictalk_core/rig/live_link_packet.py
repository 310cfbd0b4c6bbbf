"""One frame as Live Link Face's phone app sends it by UDP, packets of version 6, which Unreal's Live Link reads.

All numbers are big-endian: version (1 byte), device id and subject name (each its length in 4 bytes, then UTF-8), frame
number (int32), sub frame (float32), frame rate as numerator and denominator (int32 each), number of values (1 byte, 61)
and the values (float32): the 52 shapes in the order of Unreal's `EARFaceBlendShape`, which is ARKit's here and not that
of the app's CSV files, then yaw, pitch and roll of the head and of both eyes in radians. A packet that ends behind the
frame rate says that no face is seen. After Epic's AppleARKitLiveLinkSource.cpp as documented by think-biq/LLV and read
by JimWest/PyLiveLinkFace.
"""

from __future__ import annotations

import struct
import uuid

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.rig.live_link import EYE_ANGLES, HEAD_POSE
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES

__all__ = ["PACKET_VERSION", "device_id", "live_link_packet"]

PACKET_VERSION = 6

_VALUES = len(ARKIT_NAMES) + len(HEAD_POSE) + EYE_ANGLES
_SHAPES = [MOTION_NAMES.index(name) for name in ARKIT_NAMES]
_HEAD = [MOTION_NAMES.index(name) for name in HEAD_POSE]


def device_id(subject: str) -> str:
    """A UUID that is the same whenever somebody sends as `subject`; readers take ids of 36 characters for granted."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{subject}.magictalk")).upper()


def live_link_packet(motion: NDArray[np.float32], frame: int, fps: int, subject: str) -> bytes:
    """The packet of `motion` (58,), columns `MOTION_NAMES`, at frame number `frame` of a clock of `fps` a second.

    Channels that nobody knows are 0, since the format cannot leave one out; the eyes' own angles are 0, their turn is
    in the eyeLook shapes. Raises `PermanentError` for a motion of another size.
    """
    if motion.shape != (len(MOTION_NAMES),):
        raise PermanentError(f"live link: expected {len(MOTION_NAMES)} values of a frame, found {motion.shape}")
    known = np.nan_to_num(motion.astype(np.float64))
    shapes = np.clip(known[_SHAPES], 0.0, 1.0)
    values = np.concatenate([shapes, np.radians(known[_HEAD]), np.zeros(EYE_ANGLES)])
    names = b"".join(struct.pack("!i", len(text)) + text for text in map(str.encode, (device_id(subject), subject)))
    time = struct.pack("!ifii", frame % 2**31, 0.0, fps, 1)
    return struct.pack("!B", PACKET_VERSION) + names + time + struct.pack(f"!B{_VALUES}f", _VALUES, *values)
