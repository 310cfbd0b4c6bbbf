"""Every decoded frame as all readers want it: progressive, of ordinary range, in square pixels, of one size.

A frame that is all of this already, as those of nearly every clip, passes untouched. The rotation stays in the frame's
side data: turning a small picture later is cheaper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from magictalk_core.media.container import PacketCount
from magictalk_core.media.deinterlace import Deinterlacer
from magictalk_core.media.square import Squarer, pixel_aspect
from magictalk_core.media.timed import Timed
from magictalk_core.media.tone_map import ToneMapper

__all__ = ["prepared_frames"]


def prepared_frames(
    container: Any, stream: Any, frames: Iterable[Timed[Any]], count: PacketCount
) -> Iterator[Timed[Any]]:
    """The frames (PyAV) of a stream, prepared; their times are kept. `count` hears of those that were interlaced."""
    deinterlacer, mapper, squarer = Deinterlacer(), ToneMapper(), Squarer()

    def prepared(timed: Timed[Any]) -> Timed[Any]:
        # The aspect of the picture decoded last: to be asked before the next one is.
        aspect = pixel_aspect(container, stream)
        return Timed(timed.time_s, timed.duration_s, lambda: squarer.apply(mapper.apply(timed.item), aspect))

    for timed in frames:
        yield from map(prepared, deinterlacer.feed(timed))
    yield from map(prepared, deinterlacer.flush())
    count.combed += deinterlacer.mended
