"""What a media file is, from its headers and its first frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from magictalk_core.media.container import (
    MAX_SIDE_PX,
    MediaError,
    check_side,
    declared_duration,
    decode_packets,
    open_media,
    stream_start,
)
from magictalk_core.media.deinterlace import is_interlaced
from magictalk_core.media.square import pixel_aspect, upright_size
from magictalk_core.media.streams import audio_stream, told_choice, told_early_sound, video_stream
from magictalk_core.media.tone_map import high_range
from magictalk_core.vocabulary.clips import Reason

__all__ = ["INTERLACED", "MediaError", "MediaProbe", "probe"]

INTERLACED = "interlaced: made progressive"


@dataclass(frozen=True)
class MediaProbe:
    """Header facts. `duration_s`: video length, or the audio's where there is no video; 0 when the file does not say.
    `width`/`height` are of the upright picture in square pixels (0 without video); `fps` is the average rate.
    `audio_offset_s`: start of the sound after the start of the picture, by the file's own clocks. `remarks`: what is
    unusual about the file and how it is read, one line each."""

    duration_s: float
    fps: float
    width: int
    height: int
    has_video: bool
    has_audio: bool
    sample_rate: int | None
    codec: str
    audio_offset_s: float = 0.0
    remarks: tuple[str, ...] = ()


def probe(path: Path, max_side: int = MAX_SIDE_PX) -> MediaProbe:
    """Read the headers of `path` and decode one video frame. Raises `MediaError` for what cannot be decoded at all."""
    with open_media(path) as container:
        video, audio = video_stream(container, max_side), audio_stream(container)
        if audio is None and video is None:
            raise MediaError(Reason.UNREADABLE, "no video and no audio stream that can be decoded")
        rate = None if audio is None else int(audio.sample_rate)
        told = told_choice(container, video, audio)
        if video is None:
            duration, _ = declared_duration(container, audio)
            return MediaProbe(duration, 0.0, 0, 0, False, True, rate, _codec(audio), remarks=tuple(told))
        frame = next(decode_packets(container, video), None)
        if frame is None:
            raise MediaError(Reason.UNREADABLE, "the video stream has no frame that can be decoded")
        check_side(frame.width, frame.height, max_side)
        width, height = upright_size(frame, pixel_aspect(container, video))
        fps = float(video.average_rate or video.guessed_rate or 0)
        duration, _ = declared_duration(container, video)
        offset = 0.0 if audio is None else round(stream_start(audio) - stream_start(video), 6)
        remarks = (*told, *_changes(frame, pixel_aspect(container, video)), *told_early_sound(offset))
        return MediaProbe(duration, fps, width, height, True, audio is not None, rate, _codec(video), offset, remarks)


def _changes(frame: Any, aspect: Fraction) -> list[str]:
    """What preparing does to the frames, as far as the first one tells."""
    changes = []
    if aspect != 1:
        changes.append(f"pixels of {aspect.numerator}:{aspect.denominator} made square")
    if is_interlaced(frame):
        changes.append(INTERLACED)
    curve = high_range(frame.color_trc)
    if curve is not None:
        changes.append(f"high dynamic range ({curve}): brought to ordinary range")
    return changes


def _codec(stream: Any) -> str:
    return str(stream.codec_context.name)
