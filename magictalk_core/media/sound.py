"""Mono sound from any file, on the clock of the picture or on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.container import (
    SEEK_FROM_S,
    MediaError,
    declared_duration,
    decode_packets,
    has_true_length,
    open_media,
    seek_before,
    stream_start,
)
from magictalk_core.media.mono import Levels, Pick, Stretch
from magictalk_core.media.streams import audio_stream, told_choice, told_early_sound, video_stream
from magictalk_core.vocabulary.clips import Reason
from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = ["Sound", "read_sound"]

_MAX_AUDIO_S = 6 * 3600.0
_MISSING_S, _MISSING_SHARE = 0.5, 0.05
_WAV_HEAD, _UNKNOWN_SIZE = 65_536, 0x7FFF0000
"""Bytes in which a WAV file's sound begins; and from which size on a header means that its writer did not know."""


@dataclass(frozen=True, eq=False)
class Sound:
    """Mono samples in [-1, 1], float32 (n,), and what is unusual about how they were read, one line each."""

    samples: NDArray[np.float32]
    remarks: tuple[str, ...] = ()


def read_sound(
    path: Path,
    sample_rate: int = SAMPLE_RATE,
    start_s: float | None = None,
    end_s: float | None = None,
    own_clock: bool = False,
) -> Sound:
    """Mono sound from any sample format, rate and channel layout.

    Sample 0 belongs to `start_s` on the video's clock (of the audio's own beginning in a file without video, or with
    `own_clock`): audio that starts late is preceded by silence, audio from before is cut. Where channels cancel each
    other, as with one that is wired the wrong way round, the loudest is taken alone, in these parts
    of the sound. Raises `MediaError` (no_audio, unreadable).
    """
    span, levels = (start_s or 0.0, end_s), Levels()
    samples, told = _mono(path, sample_rate, span, own_clock, Pick(), levels)
    pick, why = levels.pick()
    if not pick.is_plain:
        samples, _ = _mono(path, sample_rate, span, own_clock, pick, Levels())
    return Sound(samples, (*told, *why))


def _mono(
    path: Path, sample_rate: int, span: tuple[float, float | None], own_clock: bool, pick: Pick, levels: Levels
) -> tuple[NDArray[np.float32], list[str]]:
    """Samples of the span, and which track they are from and what of it is missing."""
    start, end_s = span
    with open_media(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise MediaError(Reason.NO_AUDIO, f"`{path.name}` has no audio stream")
        video = None if own_clock else video_stream(container)
        told = told_choice(container, None, stream)
        origin = stream_start(stream if video is None else video)
        if start > SEEK_FROM_S:
            seek_before(container, stream, start)
        if end_s is None and has_true_length(container):
            _check_length(declared_duration(container, stream)[0], start)
        frames = _bounded(decode_packets(container, stream))
        begin = partial(Stretch, sample_rate=sample_rate, pick=pick, levels=levels)
        pieces = list(_stretches(frames, origin, end_s, begin))
        if not pieces:
            raise MediaError(Reason.UNREADABLE, f"`{path.name}` has no sample of sound that can be decoded")
        end = max(time + len(samples) / sample_rate for time, samples in pieces)
        if start == 0.0 and end_s is None:
            told += told_early_sound(stream_start(stream) - origin)
            told += _told_missing(path, container, stream, end - pieces[0][0])
    end = end if end_s is None else min(end, end_s)
    _check_length(end, start)
    return _place(pieces, sample_rate, start, max(0, round((end - start) * sample_rate))), told


def _check_length(end_s: float, start_s: float) -> None:
    if end_s - start_s > _MAX_AUDIO_S:
        raise MediaError(Reason.TOO_LONG, f"more than {_MAX_AUDIO_S:.0f} s of sound: cut it into parts")


def _bounded(frames: Iterable[Any]) -> Iterator[Any]:
    """The frames, as long as they are not too many, whatever the header says."""
    seconds = 0.0
    for frame in frames:
        seconds += frame.samples / frame.sample_rate
        _check_length(seconds, 0.0)
        yield frame


def _place(
    pieces: list[tuple[float, NDArray[np.float32]]], sample_rate: int, start_s: float, length: int
) -> NDArray[np.float32]:
    """The pieces at their times on a silent line."""
    line = np.zeros(length, np.float32)
    for time, samples in pieces:
        offset = round((time - start_s) * sample_rate)
        first, last = max(0, offset), min(length, offset + len(samples))
        if first < last:
            line[first:last] = samples[first - offset : last - offset]
    return line


def _stretches(
    frames: Iterable[Any], origin: float, end_s: float | None, begin: Callable[[Any, float], Stretch]
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """(time of the first sample, samples) of every stretch without a jump in time or a change of format."""
    stretch: Stretch | None = None
    for frame in frames:
        time = None if frame.pts is None else frame.pts * float(frame.time_base) - origin
        if time is not None and end_s is not None and time > end_s:
            break
        if stretch is not None and not stretch.takes(frame, time):
            yield stretch.finish()
            stretch = None
        if stretch is None:
            stretch = begin(frame, time or 0.0)
        stretch.add(frame)
    if stretch is not None:
        yield stretch.finish()


def _told_missing(path: Path, container: Any, stream: Any, found_s: float) -> list[str]:
    """In words, what the headers promise beyond the sound that was found."""
    if not has_true_length(container):
        return []
    expected, _ = declared_duration(container, stream)
    if container.format.name == "wav":
        # The library counts what is there, not what the header says.
        expected *= _promised_share(path)
    if expected - found_s <= max(_MISSING_S, _MISSING_SHARE * expected):
        return []
    return [f"the sound stops at {found_s:.2f} s of {expected:.2f} s: the rest is missing"]


def _promised_share(path: Path) -> float:
    """How many times the bytes of sound in a WAV file its header promises; 1 where it says nothing, as of a stream."""
    with path.open("rb") as file:
        head = file.read(_WAV_HEAD)
    at = head.find(b"data")
    size = int.from_bytes(head[at + 4 : at + 8], "little")
    there = path.stat().st_size - at - 8
    if at < 0 or not 0 < size < _UNKNOWN_SIZE or there <= 0:
        return 1.0
    return max(1.0, size / there)
