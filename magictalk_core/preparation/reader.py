"""Read access to a prepared corpus: clips, motion, speech features and media of single clips."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.storage.parquet import read_frame, read_table
from magictalk_core.storage.schema import CLIPS, FRAMES, MEDIA, SPEECH
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.clips import Split, Status
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
    """The tables and media of one corpus of a workspace."""

    workspace: Workspace
    corpus: str

    @cached_property
    def clips(self) -> pd.DataFrame:
        return read_frame(CLIPS, self.workspace.clips_table(self.corpus)).set_index("clip_id", drop=False)

    def row(self, clip_id: str) -> dict[str, Any]:
        if clip_id not in self.clips.index:
            raise PermanentError(f"no clip `{clip_id}` in corpus `{self.corpus}`: see `magictalk corpus list`")
        return {str(name): value for name, value in self.clips.loc[clip_id].items()}

    def _table(self, table: str, clip_id: str) -> Path:
        return self.workspace.shard_table(self.corpus, table, self.row(clip_id)["shard"])

    def media(self, clip_id: str) -> tuple[Path, Path | None]:
        """The standardized video and audio of a clip."""
        rows = read_frame(MEDIA, self._table("media", clip_id), filters=[("clip_id", "==", clip_id)])
        video, audio = rows.iloc[0]["video_path"], rows.iloc[0]["audio_path"]
        folder = self.workspace.corpus(self.corpus)
        return folder / video, None if pd.isna(audio) else folder / audio

    def motion(self, clip_id: str) -> tuple[NDArray[np.float32], str]:
        """Motion (n, 58) and the tracker id."""
        rows = read_frame(FRAMES, self._table("blendshapes", clip_id), filters=[("clip_id", "==", clip_id)])
        rows = rows.sort_values("frame_index")
        return rows[list(MOTION_NAMES)].to_numpy(np.float32), str(rows["tracker"].iloc[0])

    def clip(self, clip_id: str) -> ClipData:
        motion, tracker = self.motion(clip_id)
        table = read_table(SPEECH, self._table("speech", clip_id), filters=[("clip_id", "==", clip_id)])
        table = table.sort_by("frame_index")
        speech = np.stack(table["features"].to_numpy()).astype(np.float32)
        n = min(len(motion), len(speech))
        return ClipData(clip_id, motion[:n], speech[:n], table["feature_id"][0].as_py(), tracker)


def usable_clips(reader: CorpusReader, split: Split | None = None) -> pd.DataFrame:
    """Accepted clips of a split, sorted by id."""
    clips = reader.clips[reader.clips["status"] == Status.OK]
    return clips if split is None else clips[clips["split"] == split]


def pick_style_clip(reader: CorpusReader, clip_id: str) -> str:
    """The reference clip that gives the emotional style of `clip_id`: not its own performance where another is there.

    First choice is another clip of the same speaker and emotion, then of the same emotion by anybody, then another clip
    of the same speaker, and last the clip itself. Among equals the choice is fixed by a hash of both ids.
    """
    clips, row = usable_clips(reader), reader.row(clip_id)
    others = clips[clips["clip_id"] != clip_id]
    same_speaker = others["speaker"] == row["speaker"]
    same_emotion = others["emotion"] == row["emotion"]
    for pool in (others[same_speaker & same_emotion], others[same_emotion], others[same_speaker]):
        if len(pool):
            return str(min(pool["clip_id"], key=lambda other: hashlib.md5(f"{clip_id}|{other}".encode()).hexdigest()))
    return clip_id
