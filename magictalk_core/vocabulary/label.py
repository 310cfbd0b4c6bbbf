"""The visible label of everything that was generated."""

from __future__ import annotations

__all__ = ["SYNTHETIC_LABEL"]

SYNTHETIC_LABEL = "SYNTHETIC"
"""Drawn into every generated picture, and the mark of synthetic corpora on the report."""
