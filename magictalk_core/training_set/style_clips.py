"""Clips without a voice: what moves gives a style, though nothing of it can be learned as speech."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from magictalk_core.config import QualityConfig
from magictalk_core.preparation.gates import decide
from magictalk_core.vocabulary.clips import Reason, Split, Status

__all__ = ["style_clips"]

_VOICELESS = frozenset({Reason.NO_AUDIO, Reason.SILENT})
_OF_THE_SOUND: dict[str, None] = dict.fromkeys(("loudest_dbfs", "audio_excess_s"))
"""Scores that say nothing of the motion."""


def style_clips(rows: Iterable[Mapping[Any, Any]], quality: QualityConfig) -> frozenset[str]:
    """Ids of the CLIPS rows of the training split that are rejected for want of a voice and pass every other gate.

    Held-out clips of that kind serve nothing: no model is asked for their speech.
    """
    return frozenset(
        str(row["clip_id"])
        for row in rows
        if row["status"] == Status.REJECTED
        and row["reason"] in _VOICELESS
        and row["split"] == Split.TRAIN
        and row["n_frames"] is not None
        and decide({**row, **_OF_THE_SOUND}, quality) is None
    )
