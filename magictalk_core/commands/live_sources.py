"""Where live sound comes from: a file at the pace of its playing, raw samples on standard input, a microphone."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.untrusted import must_be_file, sound_of
from magictalk_core.errors import MachineError, UserError
from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = ["MIC", "STDIN", "block_edges", "file_blocks", "microphone_blocks", "open_source", "raw_blocks"]

MIC, STDIN = "mic", "-"

_MIC_PATIENCE_S = 5.0

Samples = NDArray[np.float32]
Blocks = Generator[Samples, None, None]


def open_source(audio: str, ticks: int, pace: bool) -> Blocks:
    """Blocks of 16 kHz mono samples in [-1, 1], about `ticks` a second, of `mic`, `-` (standard input) or a file.

    `pace`: a file's blocks come when they would be heard; without it, at once. Raises `UserError` for what cannot be
    opened, before the first block is asked for.
    """
    if audio in (MIC, STDIN) and not pace:
        raise UserError(f"--no-pace: --audio {audio} has a pace of its own; it is for files")
    if audio == MIC:
        return microphone_blocks(ticks)
    if audio == STDIN:
        if sys.stdin.isatty():
            raise UserError("--audio -: expected raw samples on standard input (16 kHz mono, s16le), found a terminal")
        return raw_blocks(sys.stdin.buffer, ticks)
    must_be_file(Path(audio), "audio or video file")
    return file_blocks(sound_of(Path(audio), SAMPLE_RATE, own_clock=True).samples, ticks, pace)


def block_edges(number: int, ticks: int) -> tuple[int, int]:
    """First and last sample (excluded) of a block: no rounding adds up over an hour."""
    return round(number * SAMPLE_RATE / ticks), round((number + 1) * SAMPLE_RATE / ticks)


def file_blocks(
    samples: Samples,
    ticks: int,
    pace: bool,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Blocks:
    """Of samples that are here already; with `pace` each comes when its last sample would have been played."""
    began, number, last = clock(), 0, 0
    while last < len(samples):
        first, last = block_edges(number, ticks)
        late = clock() - began - last / SAMPLE_RATE
        if pace and late < 0:
            sleep(-late)
        yield samples[first:last]
        number += 1


def raw_blocks(stream: BinaryIO, ticks: int) -> Blocks:
    """Of signed 16-bit little-endian samples as they arrive; half a sample at the end does not count."""
    number = 0
    while True:
        first, last = block_edges(number, ticks)
        data = stream.read(2 * (last - first))
        whole = data[: len(data) // 2 * 2]
        if whole:
            yield np.frombuffer(whole, "<i2").astype(np.float32) / np.float32(32768)
        if len(data) < 2 * (last - first):
            return
        number += 1


def microphone_blocks(ticks: int) -> Blocks:
    """Of the system's default microphone, through the package `sounddevice`, until the iterator is closed.

    Raises `UserError` where the package or its library is missing, or no microphone can be opened so.
    """
    sounddevice = _sounddevice()
    waiting: queue.SimpleQueue[Samples] = queue.SimpleQueue()

    def keep(data: Any, frames: int, at: Any, status: Any) -> None:
        waiting.put(np.array(data[:, 0], np.float32))

    size = round(SAMPLE_RATE / ticks)
    try:
        stream = sounddevice.InputStream(
            samplerate=SAMPLE_RATE, channels=1, dtype="float32", blocksize=size, callback=keep
        )
    except Exception as error:  # PortAudioError, which only exists where the package does; ValueError without a device
        raise UserError(f"--audio mic: no microphone at 16 kHz: {error}: see `python -m sounddevice`") from error
    return _recorded(stream, waiting)


def _recorded(stream: Any, waiting: queue.SimpleQueue[Samples]) -> Blocks:
    with stream:
        while True:
            try:
                yield waiting.get(timeout=_MIC_PATIENCE_S)
            except queue.Empty:
                raise MachineError("--audio mic: the microphone gives no sound any more") from None


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise UserError(
            '--audio mic needs the package sounddevice: type `pip install "magictalk[mic]"`, or pipe raw samples into '
            "--audio -"
        ) from error
    except OSError as error:
        step = "install libportaudio2 (apt-get), or pipe raw samples into --audio -"
        raise UserError(f"--audio mic: sounddevice finds no PortAudio ({error}): {step}") from error
    return sounddevice
