"""One video to a file of blendshapes: what `magictalk extract` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from magictalk_core.commands.convert import output_format, write_frames
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.faces.extract import BLENDSHAPES_VERSION, extract_video
from magictalk_core.faces.tracker import open_tracker
from magictalk_core.faces.tracker_ids import TrackerChoice, tracker_weights
from magictalk_core.vocabulary.clips import safe_name
from magictalk_core.work.isolation import default_workers

__all__ = ["extract_file"]

_TRACKERS = ("auto", "mediapipe", "litert")


def extract_file(
    video: Path,
    output: Path,
    tracker: str = "auto",
    form: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Track `video` and write `output` in a format of `rig.motion_file`; returns a summary.

    `progress` is called with the number of frames done. All processors work on it.
    """
    target = output_format(output, form)
    if tracker not in _TRACKERS:
        raise UserError(f"--tracker {tracker}: expected one of {', '.join(_TRACKERS)}")
    if not video.is_file():
        raise UserError(f"{video}: no such video file")
    threads = default_workers()
    opened = open_tracker(cast(TrackerChoice, tracker), threads)
    try:
        table = extract_video(video, safe_name(video.stem), opened, threads, progress)
    except PermanentError as error:
        raise UserError(f"{video}: {error}") from error
    metadata = {"tracker": opened.id, "version": BLENDSHAPES_VERSION, "weights": tracker_weights(opened.id)}
    write_frames(table, output, target, metadata)
    found = sum(table.column("face_found").to_pylist())
    return {"output": str(output), "frames": len(table), "frames_with_face": found, "tracker": opened.id}
