"""Motion curves from one format to another: what `magictalk convert` does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from magictalk_core.commands.untrusted import must_be_file
from magictalk_core.errors import UserError
from magictalk_core.faces.extract import BLENDSHAPES_VERSION
from magictalk_core.rig.curve_files import output_format, read_curves, safe_id, write_curves, write_frames
from magictalk_core.rig.curves import resampled, smoothed, table_of_curves
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.workspace import absolute

__all__ = ["Converted", "convert_file"]


@dataclass(frozen=True)
class Converted:
    """What was written; `origin` names the trackers or programs that the curves come from."""

    output: str
    format: str
    clips: int
    frames: int
    origin: str


def convert_file(
    source: Path, output: Path, *, form: str | None, clip: str | None, smooth: int | None, fps: float | None
) -> Converted:
    """Read curves in one format and write them in another; `source` stays as it is. Raises `UserError`."""
    target = output_format(output, form)
    if absolute(output) == absolute(source):
        raise UserError(f"-o {output}: that is the input, which stays as it is: choose another name")
    must_be_file(source, "file of curves")
    must_be_writable(output)
    clips = read_curves(source, fps)
    if clip is not None:
        clips = [curves for curves in clips if curves.clip_id == clip]
    if not clips:
        raise UserError(f"{source}: no clip {clip or 'in it'}")
    if smooth is not None:
        clips = [smoothed(curves, smooth) for curves in clips]
    if target in ("parquet", "csv"):
        tables = [table_of_curves(replace(c, clip_id=safe_id(c.clip_id))) for c in clips]
        metadata = {"tracker": ", ".join(sorted({c.origin for c in clips})), "version": BLENDSHAPES_VERSION}
        write_frames(pa.concat_tables(tables), output, target, metadata)
    elif len(clips) > 1:
        raise UserError(f"{source}: {len(clips)} clips, and {target} holds one: choose with --clip {clips[0].clip_id}")
    else:
        write_curves(clips[0] if fps is None else resampled(clips[0], fps), output, target)
    origin = ", ".join(sorted({c.origin for c in clips}))
    return Converted(str(output), target, len(clips), sum(map(len, clips)), origin)
