"""Files of motion curves: which format a name means, reading any of them, writing any of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

import pyarrow as pa
import pyarrow.csv as pa_csv

from magictalk_core.errors import UserError
from magictalk_core.faces.extract import BLENDSHAPES_VERSION
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.curve_tables import curves_of_columns
from magictalk_core.rig.curves import Curves, curves_of_table, table_of_curves
from magictalk_core.rig.gltf import write_gltf
from magictalk_core.rig.gltf_reader import read_gltf
from magictalk_core.rig.live_link import write_live_link
from magictalk_core.rig.live_link_reader import curves_of_live_link, has_timecodes
from magictalk_core.rig.rig import Rig
from magictalk_core.rig.table_columns import ParquetColumns, TextColumns
from magictalk_core.rig.text_table import read_text_table
from magictalk_core.rig.usd import write_usd
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.parquet import to_arrow, write_table
from magictalk_core.storage.schema import FRAMES
from magictalk_core.vocabulary.clips import safe_name

__all__ = [
    "FORMATS",
    "Format",
    "must_hold_a_rig",
    "output_format",
    "read_curves",
    "safe_id",
    "write_curves",
    "write_frames",
]

Format = Literal["parquet", "csv", "livelink", "gltf", "usd"]
FORMATS: dict[str, str] = {
    "parquet": ".parquet", "csv": ".csv", "livelink": ".csv", "gltf": ".glb", "usd": ".usda",
}  # fmt: skip
"""Formats and the suffix of their files."""
_TEXT, _GLTF = (".csv", ".tsv", ".txt"), (".glb", ".gltf", ".vrm")


def output_format(output: Path, wanted: str | None) -> Format:
    """The format of a file to be written: `wanted`, or what its suffix says (.csv: the columns of the contract)."""
    if wanted is not None:
        if wanted not in FORMATS:
            raise UserError(f"--format {wanted}: expected one of {', '.join(FORMATS)}")
        if output.suffix.lower() != FORMATS[wanted]:
            raise UserError(f"-o {output}: a file of format {wanted} ends in {FORMATS[wanted]}")
        return cast(Format, wanted)
    for name, suffix in FORMATS.items():
        if output.suffix.lower() == suffix:
            return cast(Format, name)
    raise UserError(f"-o {output}: expected a name that ends in {', '.join(sorted(set(FORMATS.values())))}")


def must_hold_a_rig(output: Path, form: Format) -> None:
    """Raise `UserError` where a rig is asked for and the format has curves alone."""
    if form not in ("gltf", "usd"):
        raise UserError(f"--rig: -o {output} has curves alone: a rig goes into .glb and .usda; leave it out")


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


def write_curves(
    curves: Curves, output: Path, form: Format, about: Mapping[str, str] | None = None, rig: Rig | None = None
) -> None:
    """Write one clip. `about` is what the file says of itself, where its format has a place: in the metadata of
    Parquet, the `extras` of a glTF asset, the `customLayerData` of USD. CSV has none. `rig`: what glTF and USD move,
    default the built-in one."""
    if form == "livelink":
        write_live_link(curves, output)
    elif form == "gltf":
        write_gltf(curves, rig or builtin_rig(), output, about)
    elif form == "usd":
        write_usd(curves, rig or builtin_rig(), output, about)
    else:
        metadata = {"tracker": curves.origin, "version": BLENDSHAPES_VERSION, **(about or {})}
        write_frames(table_of_curves(curves), output, form, metadata)


def read_curves(path: Path, fps: float | None) -> list[Curves]:
    """Every clip of a file of curves: .parquet, .csv (ours, a spreadsheet's or Live Link Face), .glb, .gltf, .vrm.

    `fps`: rate of a recording's rows or of glTF keys, where they do not say it or say it wrongly. Raises `UserError`.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix in _GLTF:
        return [read_gltf(path, fps)]
    if suffix == ".parquet":
        return curves_of_columns(ParquetColumns.open(path), fps)
    if suffix in _TEXT:
        table = read_text_table(path)
        if has_timecodes(table.header):
            return [curves_of_live_link(path, table, fps)]
        return curves_of_columns(TextColumns.of(path, table), fps)
    raise UserError(f"{path}: expected a file that ends in .parquet, {', '.join((*_TEXT, *_GLTF))}")


def safe_id(clip_id: str) -> str:
    """Ids of our own clips stay; names of foreign files become safe."""
    return "/".join(safe_name(part) for part in clip_id.split("/"))
