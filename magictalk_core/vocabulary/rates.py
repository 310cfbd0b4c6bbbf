"""The rates of every clip, feature and video: constants of the formats, not settings."""

from __future__ import annotations

__all__ = ["FRAME_RATE", "SAMPLE_RATE"]

FRAME_RATE = 25
"""Frames per second of standardized video, of blendshapes and of what is generated."""

SAMPLE_RATE = 16_000
"""Samples per second of standardized audio, mono."""
