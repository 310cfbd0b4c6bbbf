"""Read access to a prepared corpus: clips, motion, speech features and media of single clips."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.media.decode import read_audio
from magictalk_core.preparation.shard_rows import ShardTables, motion_rows, speech_rows
from magictalk_core.preparation.withdrawn import current_clips
from magictalk_core.speech.activity import voice_activity
from magictalk_core.storage.parquet import read_table
from magictalk_core.storage.schema import MEDIA
from magictalk_core.vocabulary.clips import Split, Status
from magictalk_core.vocabulary.rates import SAMPLE_RATE
from magictalk_core.workspace import Workspace

__all__ = ["ClipData", "CorpusReader", "pick_style_clip", "usable_clips"]


@dataclass(frozen=True)
class ClipData:
    """One clip as the models see it: motion (n, 58) in MOTION_NAMES order with NaN for blind channels and lost frames,
    speech features (n, F)."""

    clip_id: str
    motion: NDArray[np.float32]
    speech: NDArray[np.float32]
    feature_id: str
    tracker: str


@dataclass(frozen=True)
class CorpusReader:
    """The tables and media of one corpus of a workspace.

    Keep one reader per corpus: it decodes a shard once and remembers those it used last (`ShardTables`).
    """

    workspace: Workspace
    corpus: str

    @cached_property
    def clips(self) -> pd.DataFrame:
        """The finished table; what was withdrawn since counts as withdrawn."""
        return current_clips(self.workspace, self.corpus).set_index("clip_id", drop=False)

    @cached_property
    def _shards(self) -> dict[str, str]:
        return dict(zip(self.clips["clip_id"], self.clips["shard"], strict=True))

    @cached_property
    def _motions(self) -> ShardTables:
        return ShardTables(motion_rows)

    @cached_property
    def _speech(self) -> ShardTables:
        return ShardTables(speech_rows)

    @cached_property
    def _media(self) -> dict[Path, dict[str, tuple[str, str | None]]]:
        return {}

    def row(self, clip_id: str) -> dict[str, Any]:
        self._shard(clip_id)
        return {str(name): value for name, value in self.clips.loc[clip_id].items()}

    def _shard(self, clip_id: str) -> str:
        if clip_id not in self._shards:
            raise PermanentError(f"no clip `{clip_id}` in corpus `{self.corpus}`: see `magictalk corpus list`")
        return self._shards[clip_id]

    def _table(self, table: str, clip_id: str) -> Path:
        return self.workspace.shard_table(self.corpus, table, self._shard(clip_id))

    def media(self, clip_id: str) -> tuple[Path, Path | None]:
        """The standardized video and audio of a clip."""
        path = self._table("media", clip_id)
        if path not in self._media:
            self._media[path] = _media_files(path)
        if clip_id not in self._media[path]:
            raise PermanentError(f"{path}: no video of clip `{clip_id}`")
        video, audio = self._media[path][clip_id]
        folder = self.workspace.corpus(self.corpus)
        return folder / video, None if audio is None else folder / audio

    def motion(self, clip_id: str) -> tuple[NDArray[np.float32], str]:
        """Motion (n, 58) and the tracker id."""
        return self._motions.clip(self._table("blendshapes", clip_id), clip_id)

    def clip(self, clip_id: str) -> ClipData:
        motion, tracker = self.motion(clip_id)
        speech, feature_id = self._speech.clip(self._table("speech", clip_id), clip_id)
        n = min(len(motion), len(speech))
        return ClipData(clip_id, motion[:n], speech[:n], feature_id, tracker)

    def voice(self, clip_id: str, n_frames: int) -> NDArray[np.float32]:
        """(n_frames,) the voice by `speech.activity`; nobody speaks in a clip without sound."""
        _, sound = self.media(clip_id)
        return voice_activity(np.zeros(0, np.float32) if sound is None else read_audio(sound, SAMPLE_RATE), n_frames)

    def clips_of(self, clip_ids: Iterable[str]) -> Iterator[ClipData]:
        """Many clips, shard by shard: a corpus that is larger than memory is decoded once too."""
        for clip_id in sorted(clip_ids, key=lambda clip: (self._shard(clip), clip)):
            yield self.clip(clip_id)


def _media_files(path: Path) -> dict[str, tuple[str, str | None]]:
    rows = read_table(MEDIA, path, columns=["clip_id", "video_path", "audio_path"]).to_pylist()
    return {row["clip_id"]: (row["video_path"], row["audio_path"]) for row in rows if row["video_path"] is not None}


def usable_clips(reader: CorpusReader, split: Split | None = None) -> pd.DataFrame:
    """Accepted clips of a split, sorted by id."""
    clips = reader.clips[reader.clips["status"] == Status.OK]
    return clips if split is None else clips[clips["split"] == split]


def pick_style_clip(reader: CorpusReader, clip_id: str) -> str:
    """The clip that gives the emotional style of `clip_id`; never the clip itself, which would tell the answer.

    First choice is another clip of the same speaker and emotion, then of the same emotion by somebody to train on, then
    another clip of the same speaker, and last any clip to train on: what a person of the test looks like is never told
    by another one. Among equals the choice is fixed by a hash of both ids. Raises `PermanentError` where there is none.
    """
    clips, row = usable_clips(reader), reader.row(clip_id)
    others = clips[clips["clip_id"] != clip_id]
    same_speaker = others["speaker"] == row["speaker"]
    same_emotion = others["emotion"] == row["emotion"]
    known = others["split"] == Split.TRAIN
    for chosen in (same_speaker & same_emotion, known & same_emotion, same_speaker, known):
        pool = others.loc[chosen, "clip_id"]
        if len(pool):
            return str(min(pool, key=lambda other: hashlib.md5(f"{clip_id}|{other}".encode()).hexdigest()))
    raise PermanentError(
        f"{clip_id} is the only accepted clip of its speaker in corpus `{reader.corpus}`, which has no accepted clip "
        "to train on: a style is never another test person's; add clips, or set split=train for some in the labels CSV"
    )
