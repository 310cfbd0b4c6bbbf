"""A face moved by sound as it comes, sent to Unreal: what `magictalk live` does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.live_clock import LiveClock
from magictalk_core.commands.live_face import LiveFace
from magictalk_core.commands.live_sources import open_source
from magictalk_core.commands.live_target import LiveLinkSender
from magictalk_core.commands.perform import must_be_seed
from magictalk_core.vocabulary.rates import SAMPLE_RATE
from magictalk_core.workspace import Workspace

__all__ = ["SUBJECT", "LiveFacts", "LiveWish", "live"]

SUBJECT = "magictalk-synthetic"
"""Names the source in Unreal, and says what it is: the packets have no other place for that."""

_TICKS = {25: 100, 60: 60}
"""Blocks a second by frame rate: packets leave at the end of a block."""


@dataclass(frozen=True)
class LiveWish:
    """Whose face (`opened_models.open_models`), in what mood, and how it is sent. `pace`: a file takes as long as it
    plays; without it, as long as it is computed."""

    style: str
    model: Path | None = None
    intensity: float = 1.0
    seed: int = 0
    fps: int = 60
    subject: str = SUBJECT
    pace: bool = True


@dataclass(frozen=True)
class LiveFacts:
    """What was done. `sampler` is how the face, but for the mouth, was asked for. `delay_ms` is what a packet waits for
    by design; `latency_ms` what passed in the middle from a moment of the sound to its packet, computing included, and
    `latency_p99_ms` of the slowest in a hundred: known where the sound has a pace. `real_time_factor`: processor
    time over the length of the sound. `unheard`: answers that nobody listens."""

    audio: str
    target: str
    subject: str
    style: str
    intensity: float
    model: str
    sampler: str
    fps: int
    packets: int
    unheard: int
    seconds: float
    delay_ms: int
    latency_ms: int | None
    latency_p99_ms: int | None
    real_time_factor: float
    ended: str


@dataclass
class _Run:
    """What is counted while it runs."""

    heard: int = 0
    computing_s: float = 0.0
    latencies: list[float] = field(default_factory=list)
    began: float | None = None
    ended: str = "with the sound"


def live(workspace: Workspace, audio: str, target: str, wish: LiveWish) -> LiveFacts:
    """Send the face that says `audio` (`mic`, `-` or a file) to `target` until the sound ends or somebody interrupts.

    Raises `UserError` for what cannot be opened, and a receiver that cannot be reached.
    """
    import torch

    must_be_seed(wish.seed)
    sender = LiveLinkSender(target, wish.subject, wish.fps)
    with closing(sender):
        torch.set_num_threads(1)  # matrices of a few rows: a second thread waits for the first
        face = LiveFace.open(workspace, wish.style, model=wish.model, intensity=wish.intensity, seed=wish.seed)
        clock, run = LiveClock(face, wish.fps), _Run()
        with closing(open_source(audio, _TICKS[wish.fps], wish.pace)) as blocks:
            try:
                _stream(blocks, face, clock, sender, run, wish.pace)
            except KeyboardInterrupt:
                run.ended = "by hand"
    return _facts(audio, face, clock, sender, run, wish)


def _stream(
    blocks: Iterator[NDArray[np.float32]],
    face: LiveFace,
    clock: LiveClock,
    sender: LiveLinkSender,
    run: _Run,
    pace: bool,
) -> None:
    first_frame = _frame_of_day(clock.fps)
    for block in blocks:
        run.heard += len(block)
        if run.began is None:
            run.began = time.monotonic() - len(block) / SAMPLE_RATE
        started = time.process_time()
        clock.push(face.push(block))
        _send(clock, sender, run, first_frame)
        run.computing_s += time.process_time() - started
    started = time.process_time()
    clock.finish(face.finish())
    run.computing_s += time.process_time() - started
    _send_rest(clock, sender, run, first_frame, pace)


def _send_rest(clock: LiveClock, sender: LiveLinkSender, run: _Run, first_frame: int, pace: bool) -> None:
    """What is known and not yet due when the sound has ended, at its times."""
    heard, end = run.heard, run.heard + clock.delay
    while run.heard < end:
        run.heard = min(end, run.heard + SAMPLE_RATE // clock.fps)
        if pace and run.began is not None:
            time.sleep(max(0.0, run.began + run.heard / SAMPLE_RATE - time.monotonic()))
        _send(clock, sender, run, first_frame)
    run.heard = heard


def _send(clock: LiveClock, sender: LiveLinkSender, run: _Run, first_frame: int) -> None:
    for number, motion in clock.due(run.heard):
        sender.send(motion, first_frame + number)
        if run.began is not None:
            run.latencies.append(time.monotonic() - run.began - number / clock.fps)


def _frame_of_day(fps: int) -> int:
    """Frames since midnight, as the app counts them, so that recordings of several sources meet."""
    now = datetime.now()
    return round((now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds() * fps)


def _facts(
    audio: str, face: LiveFace, clock: LiveClock, sender: LiveLinkSender, run: _Run, wish: LiveWish
) -> LiveFacts:
    seconds, sampling = run.heard / SAMPLE_RATE, face.models.motion.sampling
    known = run.latencies if wish.pace else []
    return LiveFacts(
        audio=audio,
        target=sender.target,
        subject=sender.subject,
        style=face.style,
        intensity=wish.intensity,
        model=face.models.name,
        sampler=f"{sampling.sampler}, {sampling.evaluations} evaluations",
        fps=clock.fps,
        packets=sender.sent,
        unheard=sender.refused,
        seconds=round(seconds, 3),
        delay_ms=round(1000 * clock.delay_s),
        latency_ms=round(1000 * float(np.median(known))) if known else None,
        latency_p99_ms=round(1000 * float(np.quantile(known, 0.99))) if known else None,
        real_time_factor=round(run.computing_s / seconds, 3) if seconds else 0.0,
        ended=run.ended,
    )
