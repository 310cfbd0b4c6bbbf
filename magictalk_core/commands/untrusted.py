"""Files of strangers, decoded in a child process with limits of time and memory; results come back as files.

A picture or a sound that makes its decoder crash, hang or eat the memory ends the child, never the command.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.media.sound import Sound, read_sound
from magictalk_core.portrait.picture import Picture, read_picture
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.work.isolation import Crash, map_isolated

__all__ = ["DECODING_GB", "is_silent", "made_apart", "must_be_file", "picture_of", "sound_of"]

DECODING_GB = 4.0
"""Memory of a decoding child."""

_DECODING_S = 600.0
_SILENT = 0.001
"""Largest sample of a sound in which nobody can be heard, 60 dB below full scale."""
_PRELOAD = (__name__,)


def sound_of(path: Path, sample_rate: int, own_clock: bool = False) -> Sound:
    """The sound of an audio or video file, of at least one frame's length; `UserError` when it holds none.

    Time 0 is the first picture of a video, or the sound's own beginning with `own_clock`.
    """
    must_be_file(path, "audio or video file")
    with (
        made_apart(_write_sound, path, sample_rate, own_clock, suffix=".npz") as piece,
        np.load(piece, allow_pickle=False) as made,
    ):
        sound = Sound(made["samples"], tuple(map(str, made["remarks"])))
    if len(sound.samples) * FRAME_RATE < sample_rate:
        raise UserError(
            f"{path}: holds {1000 * len(sound.samples) / sample_rate:.0f} ms of sound, expected at least the "
            f"{1000 / FRAME_RATE:.0f} ms of one frame"
        )
    return sound


def is_silent(samples: NDArray[np.float32]) -> bool:
    """Whether nothing is to be heard in samples (n,) in [-1, 1]."""
    return float(np.abs(samples).max(initial=0.0)) < _SILENT


def picture_of(path: Path) -> Picture:
    """A still picture, and what was done to it; `UserError` when it is none."""
    must_be_file(path, "picture")
    with made_apart(_write_picture, path, suffix=".npz") as piece, np.load(piece, allow_pickle=False) as found:
        return Picture(found["rgb"], tuple(map(str, found["remarks"])))


def must_be_file(path: Path, what: str) -> None:
    """Raise `UserError` where `path` is no file that can be read; `what` says what was expected."""
    try:
        if path.is_dir():
            raise UserError(f"{path}: a folder, expected one {what}")
        if not path.is_file():
            raise UserError(f"{path}: no such {what}")
        with path.open("rb"):
            pass
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}, expected one {what}") from error


def _write_sound(path: Path, sample_rate: int, own_clock: bool, piece: Path) -> None:
    sound = read_sound(path, sample_rate, own_clock=own_clock)
    np.savez(piece, samples=sound.samples, remarks=np.array(sound.remarks, np.str_))


def _write_picture(path: Path, piece: Path) -> None:
    picture = read_picture(path)
    np.savez(piece, rgb=picture.rgb, remarks=np.array(picture.remarks, np.str_))


@contextmanager
def made_apart(
    function: Callable[..., None],
    source: Path,
    *more: Any,
    suffix: str,
    timeout_s: float = _DECODING_S,
    memory_gb: float = DECODING_GB,
) -> Iterator[Path]:
    """Run `function(source, *more, piece)` in a child and yield the file `piece` that it wrote; it goes with the block.

    What `function` says about `source` is a `UserError`; when the child breaks, that is a `PermanentError`.
    """
    with tempfile.TemporaryDirectory(prefix="magictalk-") as folder:
        piece = Path(folder) / f"piece{suffix}"
        task = (function, source, *more, piece)
        limits = {"timeout_s": timeout_s, "memory_gb": memory_gb}
        ((_, outcome),) = map_isolated(_refusal, [task], workers=1, preload=_PRELOAD, **limits)
        if isinstance(outcome, Crash):
            raise PermanentError(f"{source}: reading it in a process of its own failed: {outcome.detail}")
        if outcome is not None:
            raise UserError(f"{source}: {outcome}")
        yield piece


def _refusal(function: Callable[..., None], *arguments: Any) -> str | None:
    """In the child: what is wrong with the input by our own words; anything else that is raised is a crash."""
    try:
        function(*arguments)
    except PermanentError as error:
        return str(error)
    return None
