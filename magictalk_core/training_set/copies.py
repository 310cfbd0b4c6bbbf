"""Copies that must not be learned from: of what is held out, and of what is learned from already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from magictalk_core.config import QualityConfig
from magictalk_core.preparation.duplicates import find_duplicates, find_leaks
from magictalk_core.training_set.build import Excluded
from magictalk_core.vocabulary.clips import Status

__all__ = ["excluded_copies"]


def excluded_copies(
    rows: Sequence[dict[Any, Any]],
    packed: frozenset[str],
    quality: QualityConfig,
    styles: frozenset[str] = frozenset(),
) -> Mapping[str, Excluded]:
    """clip id -> why it is left out, of the accepted CLIPS rows of all corpora and of those that serve as `styles`.

    `packed`: the corpora that go into the training set. A copy of a clip that any corpus holds out would be learned by
    heart before it is tested; of several copies of one recording in a split one is kept, a labelled one if it exists:
    the same minute in two encodings would count twice. One with a voice is kept before one without.
    """
    accepted = [row for row in rows if row["status"] == Status.OK]
    voiceless = [row for row in rows if str(row["clip_id"]) in styles]
    # Its motion may be a copy as well: as if it were accepted.
    accepted += [{**row, "status": str(Status.OK), "is_voiceless": True} for row in voiceless]
    leaks = find_leaks(accepted, quality).copies
    found = {
        clip: Excluded(clip, "leaking_copy", f"the same recording is held out as {leaks[clip]}")
        for clip in (str(row["clip_id"]) for row in accepted if row["corpus"] in packed)
        if clip in leaks
    }
    ours = [row for row in accepted if row["corpus"] in packed and str(row["clip_id"]) not in found]
    for copy, original in find_duplicates(ours, quality):
        clip = str(copy["clip_id"])
        found[clip] = Excluded(clip, "copy", f"the same recording as {original['clip_id']}")
    return found
