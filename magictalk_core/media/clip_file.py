"""The standardized clip on disk: H.264 with a short GOP and AAC in MP4, the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from magictalk_core.storage.atomic import atomic_path

__all__ = ["write_clip"]

_GOP = 12
_BT601, _LIMITED_RANGE = 5, 1
_CONTAINER = {"fflags": "+bitexact", "movflags": "+faststart"}
_AAC_BIT_RATE = 64_000


def write_clip(
    path: Path,
    frames: Iterable[Any],
    fps: int,
    size: int,
    crf: int,
    audio: NDArray[np.float32] | None,
    sample_rate: int,
) -> int:
    """Write frames (`av.VideoFrame`, yuv420p, BT.601, size square) and mono audio (n,) or None to `path`, atomically.

    Returns the number of frames. One encoder thread, no scene cuts, no B frames, bit-exact flags: the bytes depend on
    the input alone, any frame is at most 12 frames from a key frame, and frame k lies at exactly k / fps.
    """
    count = 0
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4", options=_CONTAINER) as container:
        video = _video_encoder(container, fps, size, crf)
        sound = None if audio is None else _audio_encoder(container, sample_rate)
        per_frame = sample_rate / fps
        for picture in frames:
            picture.pts, picture.time_base = count, Fraction(1, fps)
            container.mux(video.encode(picture))
            if sound is not None and audio is not None:
                first, last = round(count * per_frame), round((count + 1) * per_frame)
                _encode_audio(container, sound, audio[first:last], first, sample_rate)
            count += 1
        container.mux(video.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
    return count


def _video_encoder(container: Any, fps: int, size: int, crf: int) -> Any:
    options = {"crf": str(crf), "preset": "veryfast", "g": str(_GOP), "bf": "0", "sc_threshold": "0"}
    stream = container.add_stream("libx264", rate=fps, options=options)
    stream.width = stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.time_base = Fraction(1, fps)
    context = stream.codec_context
    context.thread_count = 1
    context.flags |= av.codec.context.Flags.bitexact
    context.colorspace, context.color_range = _BT601, _LIMITED_RANGE
    return stream


def _audio_encoder(container: Any, sample_rate: int) -> Any:
    stream = container.add_stream("aac", rate=sample_rate, layout="mono")
    stream.bit_rate = _AAC_BIT_RATE
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    return stream


def _encode_audio(container: Any, stream: Any, samples: NDArray[np.float32], first: int, sample_rate: int) -> None:
    if not len(samples):
        return
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = sample_rate, first, Fraction(1, sample_rate)
    container.mux(stream.encode(frame))
