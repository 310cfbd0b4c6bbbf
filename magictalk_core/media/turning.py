"""Decoded frames turned by right angles, for a picture that lies on its side without saying so in its file."""

from __future__ import annotations

from typing import Any

import av

from magictalk_core.media.container import orientation

__all__ = ["RIGHT_ANGLES", "FrameTurner"]

RIGHT_ANGLES = (0, 90, 180, 270)
"""Degrees clockwise by which a picture may be turned to stand upright."""

_FILTERS = {
    90: (("transpose", "clock"),),
    180: (("hflip", None), ("vflip", None)),
    270: (("transpose", "cclock"),),
}


class FrameTurner:
    """Turns `av.VideoFrame`s of any size and format clockwise by `degrees`; with 0 they are passed on untouched."""

    def __init__(self, degrees: int) -> None:
        self._degrees = degrees
        self._shape: tuple[Any, ...] | None = None
        self._graph: Any = None

    def __call__(self, frame: Any) -> Any:
        if self._degrees == 0:
            return frame
        # A mirrored picture is mirrored after it is turned here, which reverses the turn.
        degrees = 360 - self._degrees if _is_mirrored(frame) else self._degrees
        shape = (frame.width, frame.height, frame.format.name, degrees)
        if shape != self._shape:
            self._shape, self._graph = shape, _turn_graph(frame, degrees)
        _, source, sink = self._graph
        source.push(frame)
        return sink.pull()


def _is_mirrored(frame: Any) -> bool:
    transpose, flip_x, flip_y = orientation(frame)
    return transpose ^ flip_x ^ flip_y


def _turn_graph(frame: Any, degrees: int) -> tuple[Any, Any, Any]:
    """The filters that turn, their graph, which must be kept alive, first."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or av.time_base
    )
    last = source
    for name, option in _FILTERS[degrees]:
        step = graph.add(name, option) if option else graph.add(name)
        last.link_to(step)
        last = step
    sink = graph.add("buffersink")
    last.link_to(sink)
    graph.configure()
    return graph, source, sink
