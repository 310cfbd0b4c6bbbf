"""What a media file is, from its headers and its first frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magictalk_core.media.container import (
    MAX_SIDE_PX,
    MediaError,
    audio_stream,
    check_side,
    declared_duration,
    decode_packets,
    open_media,
    orientation,
    stream_start,
    video_stream,
)
from magictalk_core.vocabulary.clips import Reason

__all__ = ["MediaError", "MediaProbe", "probe"]


@dataclass(frozen=True)
class MediaProbe:
    """Header facts. `duration_s`: video length, or the audio's where there is no video; 0 when the file does not say.
    `width`/`height` are of the upright picture (0 without video); `fps` is the average rate. `audio_offset_s`: start of
    the sound after the start of the picture, by the file's own clocks."""

    duration_s: float
    fps: float
    width: int
    height: int
    has_video: bool
    has_audio: bool
    sample_rate: int | None
    codec: str
    audio_offset_s: float = 0.0


def probe(path: Path, max_side: int = MAX_SIDE_PX) -> MediaProbe:
    """Read the headers of `path` and decode one video frame. Raises `MediaError` for what cannot be decoded at all."""
    with open_media(path) as container:
        video, audio = video_stream(container, max_side), audio_stream(container)
        if audio is None and video is None:
            raise MediaError(Reason.UNREADABLE, "no video and no audio stream that can be decoded")
        rate = None if audio is None else int(audio.sample_rate)
        if video is None:
            duration, _ = declared_duration(container, audio)
            return MediaProbe(duration, 0.0, 0, 0, False, True, rate, _codec(audio))
        frame = next(decode_packets(container, video), None)
        if frame is None:
            raise MediaError(Reason.UNREADABLE, "the video stream has no frame that can be decoded")
        check_side(frame.width, frame.height, max_side)
        width, height = (frame.height, frame.width) if orientation(frame)[0] else (frame.width, frame.height)
        fps = float(video.average_rate or video.guessed_rate or 0)
        duration, _ = declared_duration(container, video)
        offset = 0.0 if audio is None else round(stream_start(audio) - stream_start(video), 6)
        return MediaProbe(duration, fps, width, height, True, audio is not None, rate, _codec(video), offset)


def _codec(stream: Any) -> str:
    return str(stream.codec_context.name)
