"""Test sets by the names that the literature uses. All of them are parts of what the corpora hold out.

A clip that a model was trained on is in no test set, whatever a list says: the name only chooses among the clips of the
split `test`. To hold out the very speakers of a list, add the corpus with that split (`magictalk corpus add --split
eat`). Sources: yuangan/EAT_code (README.md), tanshuai0219/EDTalk (data_preprocess/lists), uniBruce/Mead (README.md),
MRzzm/HDTF.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from magictalk_core.corpora.registry import load_corpus
from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.generate import test_clips
from magictalk_core.preparation.reader import CorpusReader, usable_clips
from magictalk_core.vocabulary.emotions import NEUTRAL
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.workspace import Workspace

__all__ = ["NAMED_SETS", "NamedSet", "clips_of_set", "driving_clip", "is_last_of_cell"]

_EAT = frozenset({"M003", "M030", "W009", "W015"})
_LAST_NEUTRAL, _LAST_EMOTIONAL = 10, 6


@dataclass(frozen=True)
class NamedSet:
    """A choice among held-out clips: of corpora of this `kind` (any where None), of these `speakers` (all where empty),
    `only_emotions` of some of them, the last clips of every emotion and level alone, and no more than `seconds` of a
    clip."""

    about: str
    kind: str | None = None
    speakers: frozenset[str] = frozenset()
    only_emotions: tuple[tuple[str, frozenset[str]], ...] = ()
    only_last: bool = False
    seconds: float | None = None

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of CLIPS is of the speakers and emotions of the set."""
        limits = dict(self.only_emotions)
        speaker = str(row["speaker"])
        known = not self.speakers or speaker in self.speakers
        return known and (speaker not in limits or row["emotion"] in limits[speaker])

    def most_frames(self, asked_s: float = 0.0) -> int | None:
        """Frames of a clip that count: those of the set, or of the shorter time that is asked for; None: all."""
        limits = [seconds for seconds in (self.seconds, asked_s or None) if seconds is not None]
        return max(1, round(min(limits) * FRAME_RATE)) if limits else None


_EDTALK_M030 = (("M030", frozenset({"happy", NEUTRAL, "sad", "surprised"})),)

NAMED_SETS: dict[str, NamedSet] = {
    "held_out": NamedSet("every clip that the corpora hold out"),
    "mead_eat": NamedSet("MEAD, the four actors of EAT", "mead", _EAT),
    "mead_edtalk": NamedSet(
        "MEAD, the same four; of M030 the four emotions of EDTalk's list", "mead", _EAT, _EDTALK_M030
    ),
    "mead_last": NamedSet(
        "MEAD, the last 10 neutral clips and the last 6 of each other emotion and level", "mead", only_last=True
    ),
    "mead_eat_last": NamedSet("both: the last clips of EAT's actors", "mead", _EAT, only_last=True),
    "hdtf": NamedSet("HDTF by source, the first 10 s of a clip", "hdtf", seconds=10.0),
}
"""The values of the setting `pictures.test_set`."""


def clips_of_set(
    workspace: Workspace, corpora: Sequence[str], name: str, limit: int = 0, generated: int = 0
) -> list[tuple[str, str]]:
    """(corpus, clip id) of the clips of the test set, at most `limit` of them, evenly over the sorted list.

    `generated`: of how many held-out clips there is motion, as `evaluation.max_clips` says; 0: of all. Raises
    `PermanentError` where the workspace holds out no clip of the set.
    """
    chosen = NAMED_SETS[name]
    found = []
    there = test_clips(workspace, corpora, generated)
    for corpus in corpora:
        if chosen.kind is not None and load_corpus(workspace, corpus).kind != chosen.kind:
            continue
        reader = CorpusReader(workspace, corpus)
        held_out = [clip for of, clip in there if of == corpus]
        last = is_last_of_cell(usable_clips(reader)) if chosen.only_last else None
        for clip in held_out:
            if chosen.holds(reader.row(clip)) and (last is None or last[clip]):
                found.append((corpus, clip))
    if not found:
        raise PermanentError(
            f"no held-out clip of the test set `{name}` ({chosen.about}): add such a corpus with a split that holds it "
            "out (`magictalk corpus add --help`), or set pictures.test_set to held_out"
        )
    if not limit or len(found) <= limit:
        return found
    return [found[i] for i in np.linspace(0, len(found) - 1, limit).round().astype(int)]


def is_last_of_cell(clips: pd.DataFrame) -> pd.Series:
    """clip id -> whether MEAD's own rule tests it: the last 10 neutral clips of a speaker, the last 6 of each other
    emotion and level. `clips`: rows of CLIPS; their ids order the clips of a cell."""
    known = clips.reset_index(drop=True).sort_values("clip_id")
    cells = known.assign(view=known["view"].fillna(""), level=known["level"].fillna(0))
    from_end = cells.groupby(["speaker", "view", "emotion", "level"], observed=True, dropna=False).cumcount(
        ascending=False
    )
    most = np.where(cells["emotion"] == NEUTRAL, _LAST_NEUTRAL, _LAST_EMOTIONAL)
    return pd.Series(from_end.to_numpy() < most, index=cells["clip_id"].to_numpy())


def driving_clip(clips: Sequence[tuple[str, str]], clip_id: str, speakers: dict[str, str]) -> str:
    """Whose speech drives `clip_id` when it is not its own: the next clip of another speaker, else the next clip.

    `clips` are those of the test set, `speakers` who speaks in them. Raises `PermanentError` for a set of one clip.
    """
    ids = [clip for _, clip in clips]
    at = ids.index(clip_id)
    following = ids[at + 1 :] + ids[:at]
    if not following:
        raise PermanentError(f"{clip_id} is the only clip of the test set: nobody else's speech can drive it")
    others = [clip for clip in following if speakers[clip] != speakers[clip_id]]
    return (others or following)[0]
