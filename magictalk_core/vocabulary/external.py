"""What becomes of a clip that a system of others was asked for."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ExternalReason", "ExternalState"]


class ExternalState(StrEnum):
    MADE = "made"
    FAILED = "failed"


class ExternalReason(StrEnum):
    """Why there is no video."""

    NOT_READY = "not_ready"
    """Checkout, weights or interpreter are missing."""
    UNSUPPORTED = "unsupported"
    """The system cannot do this clip: another speaker, an emotion that it has no word for."""
    NO_SOUND = "no_sound"
    NO_PORTRAIT = "no_portrait"
    """No frame of the clip shows a face."""
    NOT_STARTED = "not_started"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    NO_OUTPUT = "no_output"
    """It ended well and left no video where it says that it does."""
    UNREADABLE = "unreadable"
    WRONG_SIZE = "wrong_size"
    WRONG_LENGTH = "wrong_length"
    """Also of a video that was only half written, where what there is can be decoded."""
    MISSING = "missing"
    """In a folder of finished videos none is named after the clip."""
    AMBIGUOUS = "ambiguous"
    """In a folder of finished videos several are."""
