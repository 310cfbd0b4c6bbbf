"""The one door through which a generated video leaves: marked in its pixels, tagged, signed, and only then named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.encode import write_video
from magictalk_core.portrait.pixel_mark import MARK_DIGITS, PixelMark
from magictalk_core.portrait.provenance import sign_video
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.work.provenance import Work

__all__ = ["GeneratedVideo", "mark_of", "write_generated"]


@dataclass(frozen=True)
class GeneratedVideo:
    """`unsigned`: md5 of the file before it was signed, which two runs have in common: a signature has a time."""

    frames: int
    mark: str
    unsigned: str


def mark_of(work: Work | Mapping[str, Any]) -> str:
    """The payload of a video's mark: the beginning of its work's digest, or of one over what is known of it."""
    digest = work.digest if isinstance(work, Work) else digest_of(work)
    return digest[:MARK_DIGITS]


def write_generated(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    audio: NDArray[np.float32] | Path | None,
    tags: Mapping[str, str],
    work: Work | None = None,
    *,
    mark: str | None = None,
    title: str | None = None,
) -> GeneratedVideo:
    """Write RGB frames (h, w, 3) that carry the visible label, 25 a second, with `audio` as `media.encode.write_video`
    takes it.

    Signed before it gets its name: no unsigned video ever stands there, and a failure leaves none behind. `mark` where
    another than `mark_of` the work, or of the tags where there is none, is to be in the pixels.
    """
    pattern = PixelMark(mark or mark_of(tags if work is None else work))
    with atomic_path(path) as unsigned:
        count = write_video(unsigned, map(pattern.applied, frames), FRAME_RATE, audio, metadata=tags)
        md5 = file_md5(unsigned)
        sign_video(unsigned, work, title or path.name, pattern.payload, SYNTHETIC_LABEL)
    return GeneratedVideo(count, pattern.payload, md5)
