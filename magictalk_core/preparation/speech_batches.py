"""Speech features of many clips in one child process, so that torch and a network are loaded once for all of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from magictalk_core.preparation.preload import PRELOAD
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import SPEECH
from magictalk_core.work.clip_steps import ClipTask, piece_path
from magictalk_core.work.isolation import Crash, map_isolated
from magictalk_core.work.mapper import TaskMapper

__all__ = ["make_pieces_in_batches", "make_speech_piece", "speech_memory_gb"]

logger = logging.getLogger("magictalk.steps")

MAX_CLIPS = 32
MAX_FRAMES = 90_000
"""Video frames of a batch, an hour: its samples take 230 MB."""

_TIMEOUT_S = 3600.0
_MEMORY_GB = 8.0
_CUDA_DRIVER = Path("/dev/nvidiactl")

Call = tuple[str, str, int, str, Path]
"""Audio file, clip id, number of frames, feature id, piece to write."""


def speech_memory_gb() -> float | None:
    """Limit on the private memory of a child, GB; None where torch may find a GPU.

    A child maps 2.1 GB here on 2 cores for a batch of an hour, most of it reserved by the libraries and not used
    (0.8 GB resident), and more on machines with more cores. What the CUDA driver maps beyond that was not measured: a
    limit too low would reject every clip, so there the time limit stands alone.
    """
    return None if _CUDA_DRIVER.exists() else _MEMORY_GB


def make_speech_piece(audio: str, clip_id: str, n_frames: int, feature: str, piece: Path) -> None:
    """Featurize one clip in a child process and leave its SPEECH rows."""
    make_speech_pieces([(audio, clip_id, n_frames, feature, piece)])


def make_speech_pieces(calls: Sequence[Call]) -> None:
    """Featurize clips in a child process and leave the SPEECH rows of each; all are of one feature."""
    from magictalk_core.speech.features import feature_spec, speech_clips

    spec = feature_spec(calls[0][3])
    if spec.has_network and not spec.together:
        import torch

        # Children run side by side, one per processor.
        torch.set_num_threads(1)
    tables = speech_clips([(Path(audio), clip_id, frames) for audio, clip_id, frames, _, _ in calls], spec.id)
    for table, (*_, piece) in zip(tables, calls, strict=True):
        write_table(SPEECH, table, piece)


def _batches(calls: Sequence[Call], size: int) -> list[list[Call]]:
    """Clips of like length together, so that little of a batch is padding."""
    batches: list[list[Call]] = []
    frames = 0
    for call in sorted(calls, key=lambda call: (call[2], call[1])):
        if not batches or len(batches[-1]) == size or frames + call[2] > MAX_FRAMES:
            batches.append([])
            frames = 0
        batches[-1].append(call)
        frames += call[2]
    return batches


def make_pieces_in_batches(
    label: str,
    tasks: Sequence[ClipTask],
    cache: Path,
    workers: int,
    together: bool,
    mapper: TaskMapper = map_isolated,
) -> int:
    """Make the missing pieces of `make_speech_piece` tasks, a batch at a time; returns how many.

    A batch that fails is left to `run_clip_tasks`, which tells the clip that is to blame. Clips that go through the
    network `together` have all processors, or the GPU: one batch after the other. Their last bits depend on their
    batch, so batches are formed from all tasks, and one with a missing piece is made again as a whole: a shard that was
    interrupted ends with the bytes of one that was not.
    """
    calls = [(*task.arguments, piece_path(cache, task.key, ".parquet")) for task in tasks]
    missing = [call for call in calls if not call[-1].is_file()]
    if together:
        workers, batches = 1, _batches(calls, MAX_CLIPS)
        batches = [batch for batch in batches if any(not call[-1].is_file() for call in batch)]
    else:
        batches = _batches(missing, min(MAX_CLIPS, -(-len(missing) // workers)))
    outcomes = mapper(
        make_speech_pieces,
        [(batch,) for batch in batches],
        workers=workers,
        timeout_s=_TIMEOUT_S,
        memory_gb=speech_memory_gb(),
        preload=PRELOAD,
    )
    for index, outcome in outcomes:
        if isinstance(outcome, Crash):
            logger.warning("%s: batch %d of %d: %s: clip by clip", label, index + 1, len(batches), outcome.detail)
        else:
            logger.info("%s: batch %d of %d", label, index + 1, len(batches))
    return sum(call[-1].is_file() for call in missing)
