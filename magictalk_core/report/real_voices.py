"""The first table of a report: how the mouth follows people, which no score on the corpus itself can tell."""

from __future__ import annotations

from typing import Any

from magictalk_core.models.shipped.base import base_name
from magictalk_core.models.shipped.real_voices import RealVoices, VoiceRow

__all__ = ["real_voices_view"]


def real_voices_view(found: RealVoices) -> dict[str, Any]:
    """What the template shows; `stale` where the package's models are others than those that were measured."""
    now = base_name()
    hint = (
        f"The models of the package on {found.clips} clips of people ({found.seconds:.0f} s) that trained nothing: "
        "correlation of the made jaw with the one that MediaPipe sees, at the lag of each clip's file and at lag 0, of "
        "the opening between the lips, and made over tracked amplitude. No model of this workspace took part: what "
        "follows on this page is of its own corpora, and a score on synthetic voices says little about these."
    )
    stale = "" if found.models == now else f"Measured with {found.models} on {found.day}; the package now has {now}."
    return {"hint": hint, "rows": [_row(row, found.models) for row in found.rows], "stale": stale}


def _row(row: VoiceRow, models: str) -> dict[str, Any]:
    return {
        "method": row.method,
        "main": row.method == f"magictalk of {models.split()[0]}",
        "r": f"{row.r:.2f}",
        "interval": f"{row.low:.2f} to {row.high:.2f}",
        "r_at_0": f"{row.r_at_0:.2f}",
        "lips": f"{row.lips:.2f}",
        "std": "–" if row.std is None else f"{row.std:.2f}",
    }
