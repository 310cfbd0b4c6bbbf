"""What every generated picture says of itself."""

from __future__ import annotations

__all__ = ["SYNTHETIC_LABEL"]

SYNTHETIC_LABEL = "SYNTHETIC"
