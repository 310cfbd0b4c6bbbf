"""Which model families the pictures ask. Light to import: the asset graph reads it."""

from __future__ import annotations

__all__ = ["COMPLEXITY_FAMILIES", "PICTURE_FAMILIES", "PICTURE_JUDGES"]

PICTURE_FAMILIES = ("emodiff", "emodiff_no_style", "audio2bs", "lip_residue", "sync_expert_all_channels")
PICTURE_JUDGES = ("emotion_fan",)
"""What looks at the pictures and is trained here."""
COMPLEXITY_FAMILIES = ("emodiff", "audio2bs", "lip_residue")
"""Of which the networks of Table 3 are."""
