"""Motion curves from one format to another: what `magictalk convert` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.show_rig import rig_from, rig_input
from magictalk_core.commands.untrusted import must_be_file
from magictalk_core.errors import UserError
from magictalk_core.faces.extract import BLENDSHAPES_VERSION
from magictalk_core.rig.curve_files import (
    must_hold_a_rig,
    output_format,
    read_curves,
    safe_id,
    write_curves,
    write_frames,
)
from magictalk_core.rig.curves import Curves, resampled, smoothed, table_of_curves
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.vocabulary.arkit import ARKIT_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.workspace import absolute

__all__ = ["Converted", "convert_file"]


@dataclass(frozen=True)
class Converted:
    """What was written; `origin` names the trackers or programs that the curves come from. Of the input: `shapes` how
    many of the 52 it has and which it lacks, `clipped` how many values lay outside of 0 to 1, `rate` frames per second
    and how they are known, `remarks` what else to know."""

    output: str
    format: str
    clips: int
    frames: int
    origin: str
    shapes: str
    clipped: int
    rate: str
    remarks: str


def convert_file(
    source: Path,
    output: Path,
    *,
    form: str | None,
    clip: str | None,
    smooth: int | None,
    fps: float | None,
    rig: Path | None = None,
) -> Converted:
    """Read curves in one format and write them in another; `source` stays as it is. `rig`: what glTF and USD move.
    Raises `UserError`."""
    target = output_format(output, form)
    if rig is not None:
        must_hold_a_rig(output, target)
    if absolute(output) == absolute(source):
        raise UserError(f"-o {output}: that is the input, which stays as it is: choose another name")
    must_be_file(source, "file of curves")
    must_be_writable(output)
    clips, read = read_curves(source, fps), file_input("curves", source)
    if clip is not None:
        clips = [curves for curves in clips if curves.clip_id == clip]
    if not clips:
        raise UserError(f"{source}: no clip {clip or 'in it'}")
    if smooth is not None:
        clips = [smoothed(curves, smooth) for curves in clips]
    if target in ("parquet", "csv"):
        clips = [replace(resampled(curves, FRAME_RATE), clip_id=safe_id(curves.clip_id)) for curves in clips]
        metadata = {"tracker": ", ".join(sorted({c.origin for c in clips})), "version": BLENDSHAPES_VERSION}
        write_frames(pa.concat_tables([table_of_curves(curves) for curves in clips]), output, target, metadata)
    elif len(clips) > 1:
        raise UserError(f"{source}: {len(clips)} clips, and {target} holds one: choose with --clip {clips[0].clip_id}")
    else:
        clips = [resampled(clips[0], fps or _writable_rate(clips[0].fps, target))]
        write_curves(clips[0], output, target, rig=None if rig is None else rig_from(rig).rig)
    asked = {"format": target, "clip": clip, "smooth": smooth, "fps": fps}
    file_work("converted", output, BLENDSHAPES_VERSION, [read, *rig_input(rig)], asked).record()
    return _converted(output, target, clips)


def _writable_rate(fps: float, target: str) -> float:
    """`fps`, or the nearest rate that the format can say: a timecode counts whole frames."""
    return float(round(fps)) if target == "livelink" else fps


def _converted(output: Path, target: str, clips: Sequence[Curves]) -> Converted:
    known = np.any([np.isfinite(curves.coefficients).any(axis=0) for curves in clips], axis=0)
    missing = [name for name, present in zip(ARKIT_NAMES, known, strict=True) if not present]
    shapes = f"{len(ARKIT_NAMES) - len(missing)} of {len(ARKIT_NAMES)}"
    findings = [curves.findings for curves in clips]
    remarks = dict.fromkeys(remark for found in findings for remark in found.remarks)
    return Converted(
        output=str(output),
        format=target,
        clips=len(clips),
        frames=sum(map(len, clips)),
        origin=", ".join(sorted({curves.origin for curves in clips})),
        shapes=f"{shapes}; unknown: {', '.join(missing)}" if missing else shapes,
        clipped=sum(found.clipped for found in findings),
        rate="; ".join(dict.fromkeys(found.rate for found in findings)),
        remarks="; ".join(remarks) or "none",
    )
