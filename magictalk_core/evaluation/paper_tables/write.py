"""`tables/<name>/`: one table of the paper as Parquet, CSV, Markdown and LaTeX, remade when what it reads changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from magictalk_core.evaluation.paper_tables.ablations import ablations
from magictalk_core.evaluation.paper_tables.compared import table1, table2, table4
from magictalk_core.evaluation.paper_tables.complexity import table3
from magictalk_core.evaluation.paper_tables.read import SHEET_METADATA, layout_of
from magictalk_core.evaluation.paper_tables.sheet import Sheet, sheet_rows
from magictalk_core.evaluation.paper_tables.text import latex_of, markdown_of
from magictalk_core.evaluation.pictures.families import COMPLEXITY_FAMILIES
from magictalk_core.evaluation.stand_ins import named_stand_ins
from magictalk_core.models.lip_residue.model import audio2bs_of
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import PAPER_NUMBERS, PICTURE_SCORES, SCORES, SET_SCORES
from magictalk_core.training.run import current_model, model_input
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Input, Work, input_of, output_md5
from magictalk_core.workspace import Workspace

__all__ = ["PAPER_TABLES_VERSION", "PaperTable", "write_paper_table"]

PAPER_TABLES_VERSION = "2"


@dataclass(frozen=True)
class PaperTable:
    """The folder of one table; `markdown` is the file that people read."""

    path: Path
    md5: str

    @property
    def markdown(self) -> Path:
        return self.path / f"{self.path.name}.md"


def _source(workspace: Workspace, asset: str) -> tuple[Path, pd.DataFrame]:
    """The file that an asset leaves, and its rows. Raises `PermanentError` where it is not there yet."""
    if asset == "lip_ablation":
        path = needed(workspace.lip_ablation / "lip_ablation.csv", asset)
        return path, pd.read_csv(path)
    spec, folder = {
        "picture_scores": (PICTURE_SCORES, workspace.picture_scores),
        "scores": (SCORES, workspace.scores),
        "set_scores": (SET_SCORES, workspace.set_scores),
    }[asset]
    path = needed(folder / f"{asset}.parquet", asset)
    return path, read_frame(spec, path)


_READS: Mapping[str, tuple[str, ...]] = {
    "table1": ("picture_scores", "scores"),
    "table2": ("picture_scores",),
    "table3": (),
    "table4": ("picture_scores", "scores"),
    "ablations": ("picture_scores", "scores", "set_scores", "lip_ablation"),
}
_BUILDS: Mapping[str, Callable[..., Sheet]] = {
    "table1": table1,
    "table2": table2,
    "table4": table4,
    "ablations": ablations,
}


def write_paper_table(workspace: Workspace, name: str, preset: Preset) -> PaperTable:
    """Write the folder of the table, or return the finished one when nothing that it reads changed."""
    out = workspace.tables / name
    if name == "table3":
        return _write_complexity(workspace, out, preset)
    sources = {asset: _source(workspace, asset) for asset in _READS[name]}
    inputs = [input_of(workspace.home, asset, path) for asset, (path, _) in sources.items()]
    work = Work(workspace.home, name, out, PAPER_TABLES_VERSION, inputs)
    if not work.is_made():
        frames = [rows for _, rows in sources.values()]
        _write(work, _BUILDS[name](*frames), {str(clip) for clip in frames[0]["clip_id"]})
    return PaperTable(out, output_md5(out))


def _write_complexity(workspace: Workspace, out: Path, preset: Preset) -> PaperTable:
    folders = {family: current_model(workspace.models(family)) for family in COMPLEXITY_FAMILIES}
    folders["audio2bs"] = audio2bs_of(folders["lip_residue"], workspace.models("audio2bs"))
    inputs: Sequence[Input] = [model_input(workspace, folder) for folder in folders.values()]
    sampling = preset.emodiff.sampling
    settings: dict[str, Any] = {"sampling": sampling.model_dump(mode="json"), "name": preset.name}
    work = Work(workspace.home, "table3", out, PAPER_TABLES_VERSION, inputs, settings)
    if not work.is_made():
        _write(work, table3(folders, sampling, preset.name), set())
    return PaperTable(out, output_md5(out))


def _write(work: Work, sheet: Sheet, clips: set[str]) -> None:
    rows = sheet_rows(sheet)
    with atomic_directory(work.output) as folder:
        write_table(PAPER_NUMBERS, rows, folder / f"{sheet.name}.parquet", {SHEET_METADATA: layout_of(sheet)})
        pd.DataFrame(rows, columns=list(PAPER_NUMBERS.names)).to_csv(
            folder / f"{sheet.name}.csv", index=False, float_format="%.6g"
        )
        (folder / f"{sheet.name}.md").write_text(markdown_of(sheet), encoding="utf-8")
        (folder / f"{sheet.name}.tex").write_text(latex_of(sheet), encoding="utf-8")
    work.record(clips=clips, stand_ins=named_stand_ins(rows))
