"""What comes with the package is called, in presets, on command lines and in stamps."""

from __future__ import annotations

__all__ = ["BASE"]

BASE = "magictalk-base"
"""The trained models of `models/shipped`."""
