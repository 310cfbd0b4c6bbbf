"""Files of motion curves: which format a name means, reading any of them, writing any of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import pyarrow as pa
import pyarrow.csv as pa_csv

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.faces.extract import BLENDSHAPES_VERSION
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.curves import Curves, curves_of_table, table_of_curves
from magictalk_core.rig.gltf import write_gltf
from magictalk_core.rig.gltf_reader import read_gltf
from magictalk_core.rig.live_link import is_live_link, read_live_link, write_live_link
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.parquet import read_table, to_arrow, write_table
from magictalk_core.storage.schema import FRAMES
from magictalk_core.vocabulary.clips import safe_name

__all__ = ["FORMATS", "Format", "output_format", "read_curves", "safe_id", "write_curves", "write_frames"]

Format = Literal["parquet", "csv", "livelink", "gltf"]
FORMATS: dict[str, str] = {"parquet": ".parquet", "csv": ".csv", "livelink": ".csv", "gltf": ".glb"}
"""Formats and the suffix of their files."""


def output_format(output: Path, wanted: str | None) -> Format:
    """The format of a file to be written: `wanted`, or what its suffix says (.csv: the columns of the contract)."""
    if wanted is not None:
        if wanted not in FORMATS:
            raise UserError(f"--format {wanted}: expected one of {', '.join(FORMATS)}")
        if output.suffix != FORMATS[wanted]:
            raise UserError(f"-o {output}: a file of format {wanted} ends in {FORMATS[wanted]}")
        return cast(Format, wanted)
    for name, suffix in FORMATS.items():
        if output.suffix == suffix:
            return cast(Format, name)
    raise UserError(f"-o {output}: expected a name that ends in {', '.join(sorted(set(FORMATS.values())))}")


def write_frames(table: pa.Table, output: Path, form: Format, metadata: dict[str, str]) -> None:
    """Write a FRAMES table of one clip. `metadata` goes into a Parquet file."""
    if form == "parquet":
        write_table(FRAMES, table, output, metadata)
    elif form == "csv":
        with atomic_path(output) as temporary:
            pa_csv.write_csv(to_arrow(FRAMES, table), temporary)
    else:
        clips = curves_of_table(table)
        if len(clips) != 1:
            raise UserError(f"-o {output}: {form} holds one clip, the input has {len(clips)}: choose one with --clip")
        write_curves(clips[0], output, form)


def write_curves(curves: Curves, output: Path, form: Format) -> None:
    """Write one clip."""
    if form == "livelink":
        write_live_link(curves, output)
    elif form == "gltf":
        write_gltf(curves, builtin_rig(), output)
    else:
        metadata = {"tracker": curves.origin, "version": BLENDSHAPES_VERSION}
        write_frames(table_of_curves(curves), output, form, metadata)


def read_curves(path: Path, fps: float | None) -> list[Curves]:
    """Every clip of a .parquet, .csv (ours or Live Link Face) or .glb file; `fps` of a timecode or of glTF keys."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix == ".glb":
        return [read_gltf(path, fps)]
    if path.suffix == ".csv" and is_live_link(path):
        return [read_live_link(path, fps)]
    try:
        if path.suffix == ".parquet":
            return curves_of_table(read_table(FRAMES, path))
        if path.suffix == ".csv":
            return curves_of_table(to_arrow(FRAMES, _csv_table(path)))
    except (PermanentError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: {error}") from error
    raise UserError(f"{path}: expected a .parquet, .csv or .glb file")


def _csv_table(path: Path) -> pa.Table:
    types = {column.name: column.type for column in FRAMES.columns}
    options = pa_csv.ConvertOptions(column_types=types, strings_can_be_null=True)
    return pa_csv.read_csv(path, convert_options=options)


def safe_id(clip_id: str) -> str:
    """Ids of our own clips stay; names of foreign files become safe."""
    return "/".join(safe_name(part) for part in clip_id.split("/"))
