"""The dataset card of a corpus: what is in it, under which terms, and what was left out and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.kinds import corpus_of, kind_of
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.corpora.withdrawals import read_withdrawals
from magictalk_core.preparation.withdrawn import current_clips
from magictalk_core.report.funnel import funnel
from magictalk_core.report.model import CorpusFunnel
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.markdown import code, escaped, markdown_table
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS
from magictalk_core.vocabulary.clips import Split, Status
from magictalk_core.work.manifest import manifest_inputs, read_manifest
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["CARD_VERSION", "Card", "card_text", "write_card"]

CARD_VERSION = "2"


@dataclass(frozen=True)
class Card:
    """A written card."""

    path: Path
    md5: str
    clips: int
    accepted: int
    hours: float


def _hours(seconds: pd.Series) -> str:
    return f"{seconds.sum() / 3600:.3f}"


def _cell(value: object) -> object:
    """A label as a reader expects it: a column with gaps turns its integers into floats."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else "-"
    return "-" if str(value) in ("nan", "None", "<NA>") else value


def _groups(clips: pd.DataFrame, columns: list[str]) -> list[list[object]]:
    rows = []
    for key, group in clips.groupby(columns, dropna=False, sort=True):
        names = [_cell(k) for k in (key if isinstance(key, tuple) else (key,))]
        rows.append([*names, len(group), group["speaker"].nunique(), _hours(group["duration_s"])])
    return rows


def _funnel_rows(found: CorpusFunnel) -> list[list[object]]:
    rows: list[list[object]] = [[s.name, s.clips, f"{s.minutes / 60:.3f}", s.unknown_length] for s in found.stages]
    return rows


def card_text(entry: CorpusEntry, clips: pd.DataFrame, digest: str) -> str:
    """Markdown. Hours are of standardized clips; a clip that was never decoded counts as its list or header says."""
    accepted = clips[clips["status"] == Status.OK]
    found = funnel(clips).corpora[0]
    lines = [
        f"# {escaped(entry.name)}",
        "",
        f"A corpus of kind {code(entry.kind)}, version {code(digest)}: {len(accepted)} accepted clips of {len(clips)}, "
        f"{accepted['speaker'].nunique()} speakers, {_hours(accepted['duration_s'])} hours at 25 frames per second.",
        "",
        "![funnel](funnel.svg)",
        "",
        "## From found to used",
        "",
        *markdown_table(("stage", "clips", "hours", "of unknown length"), _funnel_rows(found)),
        "",
        "## Left out",
        "",
    ]
    if found.rejections:
        rejected = [
            [code(r.reason), r.clips, "-" if r.minutes is None else f"{r.minutes / 60:.3f}", r.meaning]
            for r in found.rejections
        ]
        lines += markdown_table(("reason", "clips", "hours", "meaning"), rejected)
    else:
        lines.append("Nothing.")
    lines += ["", f"## Splits ({code(corpus_of(entry).split)})", ""]
    order = {str(split): i for i, split in enumerate(Split)}
    splits = sorted(_groups(accepted, ["split"]), key=lambda row: order[str(row[0])])
    lines += markdown_table(("split", "clips", "speakers", "hours"), splits)
    lines += ["", "## Emotions", ""]
    lines += markdown_table(("emotion", "level", "clips", "speakers", "hours"), _groups(accepted, ["emotion", "level"]))
    lines += ["", "## Licences", ""]
    lines += markdown_table(("licence", "clips", "speakers", "hours"), _groups(accepted, ["licence"]))
    kind = kind_of(entry)
    lines += ["", f"Terms of the kind `{kind.name}`: {kind.terms}"]
    if not corpus_of(entry).is_synthetic:
        lines += [
            "",
            "Faces of real people are personal data. Ask what you may do with them before you share anything.",
        ]
    return "\n".join(lines) + "\n"


def write_card(workspace: Workspace, corpus: str) -> Card:
    """Write `README.md` and `funnel.svg` of the corpus from its finished clip table, unless they are made from it."""
    withdrawals = read_withdrawals(workspace)
    work = Work(
        workspace.home,
        "card",
        workspace.card(corpus),
        CARD_VERSION,
        (
            input_of(workspace.home, "clips", workspace.clips_table(corpus)),
            *manifest_inputs(workspace, [corpus]),
            input_of(workspace.home, "registration", workspace.corpus_file(corpus)),
        ),
        withdrawals.settings(),
    )
    record = work.made()
    if record is None:
        clips = current_clips(workspace, corpus)
        text = card_text(load_corpus(workspace, corpus), clips, read_manifest(workspace.manifest(corpus)).digest)
        # Imported here: matplotlib takes a second, and most calls find the card made.
        from magictalk_core.report.plots import write_funnel_plot

        with atomic_directory(workspace.card(corpus)) as folder:
            (folder / "README.md").write_text(text, encoding="utf-8")
            write_funnel_plot(funnel(clips), folder / "funnel.svg")
        record = work.record(clips=clips["clip_id"])
    counted = read_frame(CLIPS, workspace.clips_table(corpus), columns=["status", "duration_s"])
    accepted = counted[counted["status"] == Status.OK]
    hours = float(accepted["duration_s"].sum() / 3600)
    return Card(workspace.card(corpus), record.md5, len(counted), len(accepted), hours)
