"""Writing videos: H.264 and AAC in mp4, the same bytes for the same frames, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.media.decode import read_audio
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = ["write_video"]

_AAC_FRAME = 1024


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: int,
    audio: NDArray[np.float32] | Path | None,
    crf: int = 18,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write RGB frames (h, w, 3), even sides, to an mp4; returns the number of frames.

    `audio` is 16 kHz mono samples in [-1, 1] or a file; it is cut or padded with silence to the length of the picture.
    `metadata` becomes tags of the container. The file appears when it is complete.
    """
    samples = read_audio(audio, SAMPLE_RATE) if isinstance(audio, Path) else audio
    with atomic_path(path) as temporary:
        # `bitexact` leaves out what changes between runs: creation time, library versions.
        options = {"movflags": "+faststart+use_metadata_tags", "fflags": "+bitexact"}
        with av.open(str(temporary), "w", format="mp4", options=options) as container:
            container.metadata.update(metadata or {})
            count = _write_streams(container, frames, fps, samples, crf)
        if count == 0:
            raise PermanentError(f"{path}: no frame to write")
    return count


def _write_streams(
    container: Any, frames: Iterable[NDArray[np.uint8]], fps: int, samples: NDArray[np.float32] | None, crf: int
) -> int:
    video = container.add_stream("libx264", rate=fps)
    # One thread and fixed slices: the bytes must not depend on the machine.
    video.options = {"crf": str(crf), "preset": "veryfast", "threads": "1", "x264-params": "threads=1:sliced-threads=0"}
    video.pix_fmt = "yuv420p"
    video.codec_context.flags |= av.codec.context.Flags.bitexact
    sound = None
    if samples is not None:
        sound = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        sound.codec_context.flags |= av.codec.context.Flags.bitexact
        sound.bit_rate = 96_000
    count = 0
    for rgb in frames:
        if count == 0:
            video.height, video.width = _even_sides(rgb)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts, frame.time_base = count, Fraction(1, fps)
        container.mux(video.encode(frame))
        count += 1
    if count:
        container.mux(video.encode(None))
        if sound is not None and samples is not None:
            _write_sound(container, sound, samples, round(count * SAMPLE_RATE / fps))
    return count


def _even_sides(rgb: NDArray[np.uint8]) -> tuple[int, int]:
    height, width = rgb.shape[:2]
    if height % 2 or width % 2:
        raise PermanentError(f"frames of {width}x{height} pixels: H.264 with halved colours takes even sides only")
    return height, width


def _write_sound(container: Any, sound: Any, samples: NDArray[np.float32], length: int) -> None:
    fitted = np.zeros(length, np.float32)
    fitted[: min(length, len(samples))] = samples[:length]
    for start in range(0, length, _AAC_FRAME):
        frame = av.AudioFrame.from_ndarray(fitted[None, start : start + _AAC_FRAME], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        container.mux(sound.encode(frame))
    container.mux(sound.encode(None))
