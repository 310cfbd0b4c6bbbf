"""One video to a file of blendshapes: what `magictalk extract` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv

from magictalk_core.corpora.records import safe_name
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.faces.extract import BLENDSHAPES_VERSION, extract_video
from magictalk_core.faces.tracker import open_tracker
from magictalk_core.lineage.atomic import atomic_path
from magictalk_core.tables.parquet import to_arrow, write_table
from magictalk_core.tables.schema import FRAMES

__all__ = ["extract_file"]

_TRACKERS = ("auto", "mediapipe", "litert")


def extract_file(video: Path, output: Path, tracker: str = "auto") -> dict[str, Any]:
    """Track `video` and write `output` (.parquet: the `frames` contract; .csv: the same columns); returns a summary."""
    if output.suffix not in (".parquet", ".csv"):
        raise UserError(f"-o {output}: expected a file name that ends in .parquet or .csv")
    if tracker not in _TRACKERS:
        raise UserError(f"--tracker {tracker}: expected one of {', '.join(_TRACKERS)}")
    if not video.is_file():
        raise UserError(f"{video}: no such video file")
    opened = open_tracker(tracker)  # type: ignore[arg-type]
    try:
        table = extract_video(video, safe_name(video.stem), opened)
    except PermanentError as error:
        raise UserError(f"{video}: {error}") from error
    if output.suffix == ".parquet":
        write_table(FRAMES, table, output, {"tracker": opened.id, "version": BLENDSHAPES_VERSION})
    else:
        with atomic_path(output) as temporary:
            pa_csv.write_csv(to_arrow(FRAMES, table), temporary)
    found = sum(table.column("face_found").to_pylist())
    return {"output": str(output), "frames": len(table), "frames_with_face": found, "tracker": opened.id}
