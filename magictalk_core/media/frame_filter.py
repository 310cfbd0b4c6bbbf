"""A chain of libavfilter's filters for frames of one size and format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av

__all__ = ["FrameFilter", "Shape", "shape_of"]

Shape = tuple[int, int, str]
"""Width, height and pixel format of a coded picture."""


def shape_of(frame: Any) -> Shape:
    return frame.width, frame.height, frame.format.name


class FrameFilter:
    """Frames in, frames out; a filter that looks ahead gives them later. Side data, such as the rotation, stays."""

    def __init__(self, like: Any, chain: Sequence[tuple[str, dict[str, str]]]) -> None:
        """`chain`: names of filters with their options; `like`: a frame as they will come."""
        self.shape = shape_of(like)
        self._graph = av.filter.Graph()
        self._graph.threads = 1  # clips run in parallel
        self._source: Any = self._graph.add_buffer(
            width=like.width, height=like.height, format=like.format, time_base=like.time_base or av.time_base
        )
        self._sink: Any = self._graph.add("buffersink")
        nodes = [self._graph.add(name, **options) for name, options in chain]
        self._graph.link_nodes(self._source, *nodes, self._sink)
        self._graph.configure()

    def push(self, frame: Any | None) -> list[Any]:
        """What comes out after `frame`; None ends the stream."""
        self._source.push(frame)
        made = []
        while True:
            try:
                made.append(self._sink.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return made

    def one(self, frame: Any) -> Any:
        """The frame that becomes of `frame`, for filters that do not look ahead."""
        (made,) = self.push(frame)
        return made
