"""What systems of others are asked for: the test clips with their files, their style clips, and the one portrait.

The same source frame and the same sound as our own methods get: the portrait is `comparison.py:resting_frame` of the
clip, the style clip is the one that gives ours its style.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.comparison import resting_frame
from magictalk_core.evaluation.generate import test_clips
from magictalk_core.preparation.reader import CorpusReader, pick_style_clip
from magictalk_core.work.provenance import Input, input_of
from magictalk_core.workspace import Workspace

__all__ = ["TestClip", "read_test_clips"]


@dataclass(frozen=True, eq=False)
class TestClip:
    """A test clip: its standardized files, tracked motion (n, 58), labels, and the clip that shows its style."""

    clip_id: str
    speaker: str
    emotion: str | None
    video: Path
    audio: Path | None
    motion: NDArray[np.float32]
    style_id: str
    style_video: Path

    # pytest takes classes with this name for tests.
    __test__ = False

    @property
    def frames(self) -> int:
        return len(self.motion)

    @property
    def ids(self) -> tuple[str, str]:
        """Every clip whose recording is in what a system makes of it."""
        return self.clip_id, self.style_id

    @property
    def motion_md5(self) -> str:
        """Decides, with the video, which frame is the portrait."""
        return hashlib.md5(np.ascontiguousarray(self.motion).tobytes()).hexdigest()

    def portrait(self) -> NDArray[np.uint8]:
        """The clip's frame nearest to a face at rest, (h, w, 3). Raises `PermanentError` where no frame has a face."""
        return resting_frame(self.video, self.motion)[0]

    def inputs(self, home: Path) -> tuple[Input, ...]:
        files = (self.video, self.audio, self.style_video)
        return tuple(input_of(home, "clip", path) for path in files if path is not None)


def read_test_clips(workspace: Workspace, corpora: Sequence[str], limit: int) -> list[TestClip]:
    """The clips that `generated` is made for."""
    readers = {corpus: CorpusReader(workspace, corpus) for corpus in corpora}
    return [_read(readers[corpus], clip_id) for corpus, clip_id in test_clips(workspace, corpora, limit)]


def _read(reader: CorpusReader, clip_id: str) -> TestClip:
    row = reader.row(clip_id)
    video, audio = reader.media(clip_id)
    style = pick_style_clip(reader, clip_id)
    emotion = row["emotion"]
    return TestClip(
        clip_id,
        str(row["speaker"]),
        emotion if isinstance(emotion, str) else None,
        video,
        audio,
        reader.motion(clip_id)[0],
        style,
        reader.media(style)[0],
    )
