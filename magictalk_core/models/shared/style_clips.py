"""Where the style clip of a run of training frames comes from, and how a style of any length becomes one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.training_set.windows import LipFrames

__all__ = ["StyleClips", "style_clip"]

Indices = NDArray[np.int64]


def style_clip(style: Tensor, frames: int) -> Tensor:
    """(k, C) style frames -> (frames, C): the middle of a longer clip, a shorter one from its start again and again."""
    if len(style) >= frames:
        start = (len(style) - frames) // 2
        return style[start : start + frames]
    return style[torch.arange(frames) % len(style)]


class StyleClips:
    """Draws frames from the clips of the same corpus, speaker, emotion and split.

    Other clips where there are some, so that the style tells nothing of the speech; otherwise the clip itself. Half of
    the draws are frames in a row, the other half frames from all over the clip, as a style bank keeps them.
    """

    def __init__(self, frames: LipFrames, length: int) -> None:
        self._starts, self._ends, self._length = frames.starts, frames.ends, length
        index = frames.data.index
        keys = index[["corpus", "speaker", "emotion", "split"]].astype(object).fillna("").agg("|".join, axis=1)
        pools = {key: np.flatnonzero(keys == key) for key in keys.unique()}
        clips = index["clip_id"].to_numpy()
        self._pools = [self._others(pools[key], clips, row) for row, key in enumerate(keys)]

    @staticmethod
    def _others(pool: Indices, clips: NDArray[np.object_], row: int) -> Indices:
        others = pool[clips[pool] != clips[row]]
        return others if len(others) else pool

    def draw(self, rows: Indices, generator: torch.Generator) -> Indices:
        """(B, length) frames for runs that lie in the rows `rows` (B,) of the index."""
        numbers = torch.rand(len(rows), 3, generator=generator, dtype=torch.float64).numpy()
        scattered = torch.rand(len(rows), self._length, generator=generator, dtype=torch.float64).sort(dim=1)[0].numpy()
        pools = [self._pools[row] for row in rows]
        chosen = np.array([pool[int(x * len(pool))] for pool, x in zip(pools, numbers[:, 0], strict=True)])
        room = np.maximum(self._ends[chosen] - self._starts[chosen] - self._length + 1, 1)
        first = self._starts[chosen] + (numbers[:, 1] * room).astype(np.int64)
        begin, end = self._starts[chosen][:, None], self._ends[chosen][:, None]
        in_a_row = np.minimum(first[:, None] + np.arange(self._length), end - 1)
        all_over = begin + (scattered * (end - begin)).astype(np.int64)
        return np.asarray(np.where(numbers[:, 2:] < 0.5, in_a_row, all_over))
