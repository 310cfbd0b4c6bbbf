"""Where a video would be split by stream copy: at key frames, without decoding anything."""

from __future__ import annotations

from pathlib import Path

import av

from magictalk_core.media.container import MAX_SIDE_PX, open_media, stream_start
from magictalk_core.media.streams import video_stream

__all__ = ["chunk_starts"]


def chunk_starts(path: Path, length_s: float = 60.0, max_side: int = MAX_SIDE_PX) -> list[float]:
    """Start of every chunk that `ffmpeg -c copy -f segment -segment_time length_s` makes, in seconds after the first
    picture.

    Chunk n begins with the first key frame at or after n times the length, as TalkingHead-1KH was split; where no key
    frame comes for longer than that, the next chunks are shorter. The splitter's clock begins with the first packet,
    not with the first picture: it is late by the frames that wait for reordering, two at 25 fps being 0.08 s. Only
    the picture counts, since the official downloads have no sound. Empty for a file without video; a file that breaks
    off gives the chunks that are there. Raises `MediaError`.
    """
    starts: list[float] = []
    with open_media(path) as container:
        stream = video_stream(container, max_side)
        if stream is None:
            return starts
        origin, base = stream_start(stream), float(stream.time_base)
        clock: float | None = None
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.InvalidDataError, av.error.EOFError):
                return starts
            time = packet.pts if packet.pts is not None else packet.dts
            if time is None:
                continue
            time = time * base
            if clock is None:
                clock = min(origin, time if packet.dts is None else packet.dts * base)
            # The splitter compares times that were rounded to microseconds.
            if packet.is_keyframe and (not starts or time - clock >= length_s * len(starts) - 1e-6):
                starts.append(max(0.0, time - origin))
