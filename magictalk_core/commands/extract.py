"""One video to a file of blendshapes: what `magictalk extract` does."""

from __future__ import annotations

import json
import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.untrusted import made_apart, must_be_file
from magictalk_core.config import QualityConfig
from magictalk_core.errors import UserError
from magictalk_core.faces.extract import BLENDSHAPES_VERSION, DOUBTED, TURNED, extract_video
from magictalk_core.faces.tracker import open_tracker
from magictalk_core.faces.tracker_ids import TrackerChoice, tracker_id, tracker_weights, weight_files
from magictalk_core.media.completeness import told_missing
from magictalk_core.media.container import PacketCount
from magictalk_core.media.picture_folder import PictureFolder, find_pictures, names_pictures
from magictalk_core.media.probe import INTERLACED, probe
from magictalk_core.portrait.picture import read_pixels
from magictalk_core.preparation.gates import GATES, decide
from magictalk_core.preparation.records import weights_of_text
from magictalk_core.rig.curve_files import output_format, write_frames
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.storage.parquet import read_table, table_metadata, write_table
from magictalk_core.storage.schema import FRAMES
from magictalk_core.vocabulary.clips import safe_name
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.weights.resolver import resolve
from magictalk_core.work.isolation import default_workers

__all__ = ["Extracted", "extract_file"]

_TRACKERS = ("auto", "mediapipe", "litert")
_LONGEST_S = 24 * 3600.0
"""Of one tracking: hours of video take hours."""
_TRACKING_GB = 8.0
"""Memory of the tracking child. Half of it is enough on two processors; every processor has networks of its own."""


@dataclass(frozen=True)
class Extracted:
    """What was written. `turned_deg`: clockwise, where the faces of a video stand upright only so; `doubt`: for which a
    corpus would reject the clip, though every frame has its values."""

    output: str
    frames: int
    frames_with_face: int
    tracker: str
    turned_deg: int
    """How far the picture was turned, clockwise, so that the face stands upright."""
    doubt: str | None
    """Why a corpus would refuse the video."""
    remarks: str | None
    """What is unusual about the file and how it was read, and what of it is missing."""


def extract_file(
    video: Path,
    output: Path,
    tracker: str = "auto",
    form: str | None = None,
    progress: Callable[[int], None] | None = None,
    fps: float | None = None,
) -> Extracted:
    """Track `video` and write `output` in a format of `rig.curve_files`.

    `video` may be a folder of numbered pictures, or a pattern such as `frames/%05d.png`, shown at `fps`. `progress` is
    called with the number of frames done. All processors work on it. Raises `UserError`, and `PermanentError` where
    weights are missing.
    """
    target = output_format(output, form)
    if tracker not in _TRACKERS:
        raise UserError(f"--tracker {tracker}: expected one of {', '.join(_TRACKERS)}")
    _check_source(video, fps)
    must_be_writable(output)
    for name in weight_files(tracker_id(cast(TrackerChoice, tracker))):
        resolve(name)  # fetched or missed here, not in the child
    limits = {"timeout_s": _LONGEST_S, "memory_gb": _TRACKING_GB}
    with (
        _counter(progress) as counter,
        made_apart(_track, video, tracker, fps, counter, suffix=".parquet", **limits) as made,
    ):
        table, about = read_table(FRAMES, made), table_metadata(made)
    metadata = {name: about[name] for name in ("tracker", "version", "weights", TURNED, DOUBTED)}
    write_frames(table, output, target, metadata)
    asked = {"format": target, "tracker": about["tracker"], "fps": fps}
    work = file_work("extracted", output, BLENDSHAPES_VERSION, [file_input("video_file", video)], asked)
    work.record(weights=weights_of_text(about["weights"]))
    found = sum(table.column("face_found").to_pylist())
    turned_deg, doubt = int(about[TURNED]), _doubt(about[DOUBTED])
    return Extracted(str(output), len(table), found, about["tracker"], turned_deg, doubt, about["remarks"] or None)


def _doubt(scores: str) -> str | None:
    """What the gates of a corpus say to the scores in a table's metadata."""
    rejection = decide({gate.score: None for gate in GATES} | json.loads(scores), QualityConfig())
    return None if rejection is None else f"{rejection[0]}: {rejection[1]}"


def _check_source(video: Path, fps: float | None) -> None:
    pictures = names_pictures(video)
    if not pictures:
        must_be_file(video, "video file")
    if pictures:
        find_pictures(video, math.inf if fps is None else fps, read_pixels)
    if pictures and fps is None:
        raise UserError(f"{video}: pictures have no rate: give it with --fps, e.g. --fps 25")
    if not pictures and fps is not None:
        raise UserError(f"--fps {fps:g}: {video} has its own rate; --fps is for a folder of pictures")


def _track(video: Path, tracker: str, fps: float | None, counter: Path, piece: Path) -> None:
    """The child's work: all that opens the video."""
    source = video if fps is None else find_pictures(video, fps, read_pixels)
    threads, packets = default_workers(), PacketCount()
    opened = open_tracker(cast(TrackerChoice, tracker), threads)
    with counter.open("r+b", buffering=0) as file:

        def count(done: int) -> None:
            os.pwrite(file.fileno(), done.to_bytes(8, "little"), 0)

        table = extract_video(source, _clip_name(video), opened, threads, count, packets)
    if isinstance(source, PictureFolder):
        remarks = list(source.remarks)
    else:
        measured = (INTERLACED,) if packets.combed else ()
        told = (*probe(source).remarks, *measured, *told_missing(source, len(table) / FRAME_RATE, packets))
        remarks = list(dict.fromkeys(told))
    metadata = {"tracker": opened.id, "version": BLENDSHAPES_VERSION, "weights": tracker_weights(opened.id)}
    metadata |= {name: table.schema.metadata[name.encode()].decode() for name in (TURNED, DOUBTED)}
    metadata["remarks"] = "; ".join(remarks)
    write_table(FRAMES, table, piece, metadata)


def _clip_name(video: Path) -> str:
    """The name of a video file, or of the folder that holds the pictures."""
    if video.is_file():
        return safe_name(video.stem)
    return safe_name((video if video.is_dir() else video.parent).resolve().name)


@contextmanager
def _counter(progress: Callable[[int], None] | None) -> Iterator[Path]:
    """A file of eight bytes in which a child counts its frames; `progress` hears of it while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="magictalk-") as folder:
        counter = Path(folder) / "frames"
        counter.write_bytes(bytes(8))
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.2):
                if progress is not None:
                    progress(int.from_bytes(counter.read_bytes(), "little"))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield counter
        finally:
            ended.set()
            watcher.join()
