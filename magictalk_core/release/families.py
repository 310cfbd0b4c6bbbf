"""Which families are released. Light to import: the asset graph reads it."""

from __future__ import annotations

__all__ = ["RELEASED", "RELEASE_VERSION"]

RELEASED = ("emodiff", "audio2bs", "lip_residue", "sync_expert")
"""Families that generate or judge. Of the others, the ablations and the student, the newest model is used."""

RELEASE_VERSION = "1"
"""Raised when the same models and clips would be decided otherwise."""
