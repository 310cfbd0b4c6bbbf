"""What is known of a test clip beside its tracked motion: what was said when, how loud, how it was animated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.corpora.kinds import corpus_of, kind_of
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.evaluation.baselines import LoudnessReader
from magictalk_core.evaluation.table import Spoken
from magictalk_core.metrics.closures import Phoneme
from magictalk_core.preparation.reader import ClipData, CorpusReader
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.workspace import Workspace

__all__ = ["ClipFacts", "facts_of_clips", "strange_motion"]

_SPEAKS_DB = -30.0
"""Loudness, relative to the clip's loud frames, above which somebody speaks."""


@dataclass(frozen=True, eq=False)
class ClipFacts:
    """A test clip and what is known of it; `curve` (m, 58) is what animated it, None where nobody knows."""

    clip: ClipData
    spoken: Spoken
    curve: NDArray[np.float32] | None


def facts_of_clips(workspace: Workspace, clip_ids: Iterable[str]) -> Iterator[ClipFacts]:
    """Clips of any corpora, every shard decoded once."""
    loudness = LoudnessReader(workspace)
    for corpus, ids in groupby(sorted(clip_ids), key=lambda clip_id: clip_id.split("/")[0]):
        entry = load_corpus(workspace, corpus)
        kind, known = kind_of(entry), corpus_of(entry)
        curves = {} if kind.true_curves is None else _curves(kind.true_curves(known))
        phonemes = None if kind.phonemes is None else _phonemes(kind.phonemes(known))
        for clip in CorpusReader(workspace, corpus).clips_of(ids):
            speaks = _speaking(loudness(clip.clip_id)[: len(clip.motion)])
            said = None if phonemes is None else phonemes.get(clip.clip_id)
            yield ClipFacts(clip, Spoken(speaks, said), curves.get(clip.clip_id))


def _speaking(loudness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """From the first to the last loud frame of every stretch without a pause of more than 0.2 s."""
    loud = np.flatnonzero(loudness > _SPEAKS_DB)
    speaks = np.zeros(len(loudness), bool)
    speaks[loud] = True
    for before, after in pairwise(loud.tolist()):
        if after - before <= 5:
            speaks[before:after] = True
    return speaks


def _curves(table: pd.DataFrame) -> dict[str, NDArray[np.float32]]:
    clips = table.sort_values("frame_index").groupby("clip_id")
    return {str(clip_id): rows[list(MOTION_NAMES)].to_numpy(np.float32) for clip_id, rows in clips}


def _phonemes(table: pd.DataFrame) -> Mapping[str, tuple[Phoneme, ...]]:
    found = {}
    for clip_id, rows in table.sort_values("start_s").groupby("clip_id"):
        columns = (rows[name].tolist() for name in ("symbol", "start_s", "end_s"))
        found[str(clip_id)] = tuple(Phoneme(*values) for values in zip(*columns, strict=True))
    return found


def strange_motion(clip_id: str, motions: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    """The real motion (n, 58) of another clip of the same corpus, as long as that of `clip_id`: what chance gives.

    A shorter one begins again. Which it is follows from a hash of both ids. None where there is no other.
    """
    corpus = clip_id.split("/")[0]
    others: Sequence[str] = [other for other in motions if other != clip_id and other.split("/")[0] == corpus]
    if not others:
        return None
    chosen = min(others, key=lambda other: hashlib.md5(f"chance|{clip_id}|{other}".encode()).hexdigest())
    length = len(motions[clip_id])
    return motions[chosen][np.arange(length) % len(motions[chosen])]
