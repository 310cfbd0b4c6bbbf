"""The lineage report: what is stale, orphaned or unverifiable, where systems disagree, and what each model obliges to.

Its file holds no time and no run, so that an unchanged workspace has an unchanged report.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from magictalk_core.lineage.agreement import Disagreement, check_dagster, check_dvc, check_mlflow
from magictalk_core.lineage.clip_index import ClipIndex
from magictalk_core.lineage.findings import Finding, find_orphaned, find_stale, find_unverifiable
from magictalk_core.lineage.obligations import ModelTerms, terms_of_models
from magictalk_core.lineage.registry import Registry
from magictalk_core.storage.atomic import write_if_changed
from magictalk_core.storage.markdown import code, markdown_table
from magictalk_core.work.provenance import Provenance, Work, input_of
from magictalk_core.workspace import Workspace

__all__ = [
    "LINEAGE_REPORT_VERSION", "LineageReport", "look_at_lineage", "read_lineage_report", "report_markdown",
    "write_lineage_report",
]  # fmt: skip

LINEAGE_REPORT_VERSION = "1"
logger = logging.getLogger("magictalk.lineage")

LATER = frozenset({"report", "model_card", "lineage_report"})
"""Made from the lineage report, or it itself: they cannot be part of it."""


@dataclass(frozen=True)
class LineageReport:
    """What was found. `outputs`: how many of each kind have records; `not_asked`: systems that could not be asked."""

    outputs: Mapping[str, int]
    findings: tuple[Finding, ...]
    disagreements: tuple[Disagreement, ...]
    models: tuple[ModelTerms, ...]
    not_asked: tuple[str, ...] = ()

    def of(self, state: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.state == state]

    def as_dict(self) -> dict[str, Any]:
        models = [
            {**asdict(one), "obligations": one.obligations, "is_synthetic": one.is_synthetic} for one in self.models
        ]
        return {**asdict(self), "models": models}


def look_at_lineage(
    workspace: Workspace,
    dagster_versions: Mapping[tuple[str, str | None], str] | None = None,
    registry: Registry | None = None,
) -> LineageReport:
    """Of all records, `registry` where they are read already.

    `dagster_versions`: newest data version of every (asset, partition), where Dagster is there.
    """
    registry, clips = registry or Registry.read(workspace), ClipIndex(workspace)
    records = _of_now(registry)
    counts: dict[str, int] = {}
    for record in records:
        counts[record.kind] = counts.get(record.kind, 0) + 1
    findings = [*find_stale(registry), *find_orphaned(registry), *find_unverifiable(registry)]
    disagreements = [*check_dvc(registry, records), *check_dagster(registry, records, dagster_versions or {})]
    not_asked = []
    try:
        disagreements += check_mlflow(registry, records)
    except Exception as error:  # MLflow raises whatever its store or network does; the report goes on without it
        logger.warning("MLflow at %s cannot be asked: %s", workspace.mlflow_uri, error)
        not_asked.append("MLflow")
    return LineageReport(
        dict(sorted(counts.items())),
        tuple(sorted((f for f in findings if f.kind not in LATER), key=lambda f: (f.state, f.kind, f.name, f.why))),
        tuple(sorted(disagreements, key=lambda d: (d.system, d.name))),
        tuple(terms_of_models(registry, clips)),
        tuple(not_asked),
    )


def _of_now(registry: Registry) -> list[Provenance]:
    """Records of what the newest run left: older models that are kept are nobody's newest."""
    newest = {record.name for record in registry.newest_models}
    return [
        record
        for record in registry.current.values()
        if record.kind not in LATER and (record.kind != "model" or record.name in newest)
    ]


def write_lineage_report(workspace: Workspace, report: LineageReport, registry: Registry) -> tuple[Path, str]:
    """`lineage_report/lineage_report.json` and a README.md for people; the folder's path and md5."""
    folder = workspace.lineage_report
    write_if_changed(folder / "lineage_report.json", json.dumps(report.as_dict(), indent=1) + "\n")
    write_if_changed(folder / "README.md", report_markdown(report))
    inputs = [
        input_of(workspace.home, record.kind, registry.output(record), record.md5)
        for record in sorted(_of_now(registry), key=lambda record: (record.kind, record.name))
        if record.kind not in ("media", "blendshapes", "speech")  # behind the manifests
    ]
    return folder, Work(workspace.home, "lineage_report", folder, LINEAGE_REPORT_VERSION, inputs).record().md5


def read_lineage_report(workspace: Workspace) -> dict[str, Any] | None:
    """The newest report as values; None where none was written."""
    path = workspace.lineage_report / "lineage_report.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def report_markdown(report: LineageReport) -> str:
    lines = ["# Lineage", "", _summary(report), "", "## Models: what their clips oblige to", ""]
    rows = [
        [
            code(one.name),
            sum(corpus.clips for corpus in one.corpora),
            ", ".join(corpus.corpus for corpus in one.corpora),
            "; ".join(f"{licence} ({n})" for corpus in one.corpora for licence, n in corpus.licences.items()),
            "; ".join(one.obligations) or "none",
            "synthetic" if one.is_synthetic else "filmed",
        ]
        for one in report.models
    ]
    lines += markdown_table(("model", "clips", "corpora", "licences", "obligations", "clips are"), rows)
    for state in ("stale", "orphaned", "unverifiable"):
        found = report.of(state)
        if found:
            lines += ["", f"## {state.capitalize()}", ""]
            lines += markdown_table(("kind", "output", "why"), [[f.kind, code(f.name), f.why] for f in found])
    if report.disagreements:
        lines += ["", "## Disagreements", ""]
        rows = [[d.system, code(d.name), code(d.record), code(d.other)] for d in report.disagreements]
        lines += markdown_table(("system", "output", "record", "system says"), rows)
    return "\n".join(lines) + "\n"


def _summary(report: LineageReport) -> str:
    counts = ", ".join(f"{n} {kind}" for kind, n in report.outputs.items())
    states = ", ".join(f"{len(report.of(state))} {state}" for state in ("stale", "orphaned", "unverifiable"))
    asked = f" Not asked: {', '.join(report.not_asked)}." if report.not_asked else ""
    return f"Outputs with records: {counts}. {states}, {len(report.disagreements)} disagreements.{asked}"
