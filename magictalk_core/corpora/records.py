"""What passes between a corpus kind and the rest: the corpus as understood, its clips, what it wants downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from magictalk_core.vocabulary.clips import Split, shard_key

__all__ = ["ClipSource", "Corpus", "ListedBox", "Recording"]


@dataclass(frozen=True)
class Corpus:
    """A registered corpus with what its kind says where the user said nothing: what the functions of a kind work from.

    `buckets`: number of shards, over which its source videos are spread; None: every speaker is a shard.
    `is_synthetic`: its clips are made by a program, not filmed; a layout of filmed clips can hold made ones.
    """

    name: str
    root: Path
    licence: str
    split: str
    buckets: int | None
    is_synthetic: bool = False
    views: tuple[str, ...] = ()
    labels: Path | None = None

    def shard(self, speaker: str, source: str) -> str:
        """The shard of the clips of a speaker's source recording."""
        return speaker if self.buckets is None else shard_key(source, self.buckets)


@dataclass(frozen=True)
class ListedBox:
    """The window that the corpus's list gives for a clip: left, top, width, height in pixels of a picture of
    `of_width` x `of_height` (None: not stated; the height then gives the scale, and 0 is no statement either)."""

    x: int
    y: int
    width: int
    height: int
    of_width: int | None = None
    of_height: int | None = None


@dataclass(frozen=True)
class ClipSource:
    """One clip as its corpus lists it, before anything was decoded.

    `path` is the raw video (None: listed, but not here), `audio_path` a separate audio file (None: the audio inside the
    video). A clip cut from a longer file has `start_s`/`end_s`, or `start_frame`/`end_frame`: native frames from 0,
    the last one included, counted from the start of the file or, with `chunk`, of that minute chunk of the file.
    `address` is where the source recording is published.
    """

    clip_id: str
    corpus: str
    shard: str
    speaker: str
    source: str
    path: Path | None
    audio_path: Path | None = None
    emotion: str | None = None
    level: int | None = None
    view: str | None = None
    licence: str = "unknown"
    start_s: float | None = None
    end_s: float | None = None
    start_frame: int | None = None
    end_frame: int | None = None
    chunk: int | None = None
    box: ListedBox | None = None
    address: str | None = None
    split: Split = Split.TRAIN


@dataclass(frozen=True)
class Recording:
    """A published recording and the files, below the local folder, that it is wanted as. `height` in lines."""

    address: str
    files: tuple[str, ...]
    height: int | None
