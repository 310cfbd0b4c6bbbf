"""The card of a trained model: Markdown that says what it is, what it learned from, under which terms, and how good."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from magictalk_core.lineage.exports.ml_bom import ml_bom
from magictalk_core.lineage.exports.model_facts import ModelFacts, model_facts, took_part_in_scores
from magictalk_core.lineage.registry import Registry
from magictalk_core.models.families import FAMILIES
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.markdown import code, escaped, markdown_table
from magictalk_core.training.attach import attach_to_run
from magictalk_core.training.run import current_run
from magictalk_core.work.provenance import Work, input_of, record_of
from magictalk_core.workspace import Workspace

__all__ = ["model_card_text", "write_model_cards"]

MODEL_CARD_VERSION = "2"


def model_card_text(facts: ModelFacts) -> str:
    """Markdown; `curves.svg` is expected beside it."""
    record = facts.record
    clips = 0 if record.clips is None else record.clips.count
    lines = [
        f"# {escaped(facts.family)}",
        "",
        escaped(facts.description),
        "",
        f"- weights: md5 {code(facts.weights_md5)}, sha256 {code(facts.weights_sha256)}",
        f"- made {record.made:%Y-%m-%d %H:%M} UTC by magictalk {record.code.version}"
        + (f", commit {code(record.code.commit)}" if record.code.commit else ""),
        f"- hears {code(facts.config.get('feature_id'))}, learned motion of {code(facts.config.get('tracker_kind'))}",
        f"- training set {code(facts.training_set)}: {clips} clips",
        *([f"- preset {code(record.preset.name)}, {code(record.preset.digest)}"] if record.preset else []),
        *([f"- MLflow run {code(record.mlflow_run)}"] if record.mlflow_run else []),
        *(f"- learned from the model {code(one.name)}, {code(one.md5)}" for one in facts.models),
        "",
        "## Data, and what they ask of whoever uses the model",
        "",
        *_data(facts),
        "",
        "## Weights of others",
        "",
    ]
    if facts.third_party:
        rows = [(one.name, one.licence or "not listed", one.sha256) for one in facts.third_party]
        lines += markdown_table(("file", "licence", "sha256"), rows)
    else:
        lines.append("None took part.")
    lines += ["", "## Training", "", "![curves](curves.svg)", ""]
    lines += markdown_table(("metric", "value"), ((name, _number(v)) for name, v in sorted(facts.metrics.items())))
    lines += ["", "```json", json.dumps(record.settings, indent=1), "```", "", "## Scores", ""]
    return "\n".join([*lines, *_scores(facts), "", *_limits(facts)]) + "\n"


def _data(facts: ModelFacts) -> list[str]:
    header = ("corpus", "clips", "hours", "origin", "licences", "snapshot")
    rows = [
        (
            corpus.name,
            corpus.clips,
            corpus.hours,
            "made by a program" if corpus.is_synthetic else "filmed people",
            "; ".join(f"{name} ({number})" for name, number in corpus.licences),
            corpus.digest,
        )
        for corpus in facts.corpora
    ]
    terms = {corpus.kind: corpus.terms for corpus in facts.corpora}
    return [*markdown_table(header, rows), "", *(f"- {code(kind)}: {escaped(text)}" for kind, text in terms.items())]


def _scores(facts: ModelFacts) -> list[str]:
    if not len(facts.scores):
        return ["None of this very model yet: `magictalk run --select tables/summary`."]
    rows: Iterable[dict[str, Any]] = (
        {str(name): value for name, value in row.items()} for row in facts.scores.to_dict("records")
    )
    cells = [
        (row["method"], row["metric"], row["unit"], row["n"], _number(row["mean"]), _interval(row), row["stand_ins"])
        for row in rows
    ]
    return markdown_table(("method", "metric", "unit", "clips", "mean", "95 % interval", "stand-ins"), cells)


def _interval(row: dict[str, Any]) -> str:
    return "-" if row["low"] != row["low"] else f"{_number(row['low'])} to {_number(row['high'])}"


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.4g}"


def _limits(facts: ModelFacts) -> list[str]:
    lines = ["## Limits", "", "- What is generated is synthetic; videos are labelled so, visibly and by C2PA."]
    if any(not corpus.is_synthetic for corpus in facts.corpora):
        lines.append("- It learned from real people. Ask what you may do with their data before you share the model.")
    return [*lines, *(f"- A stand-in of ours took part: {code(one)}" for one in facts.stand_ins)]


def write_model_cards(workspace: Workspace) -> list[Path]:
    """Card, curves and bill of materials of every model in use, in `report/models/<family>/`, each with its record.

    A new card is stored in the MLflow run of its training as well, under `model_card/`.
    """
    found, registry = [], Registry.read(workspace)
    for family in FAMILIES:
        if (workspace.models(family) / "current.json").is_file():
            work = _work(workspace, family, registry)
            if not work.is_made():
                _write(workspace, model_facts(workspace, family, registry), work)
            found.append(work.output)
    return found


def _work(workspace: Workspace, family: str, registry: Registry) -> Work:
    model = current_run(workspace.models(family)).path
    record = record_of(model)
    # A model without a record is told of by `model_facts`.
    inputs = [input_of(workspace.home, "model", model, record.md5 if record else None)]
    if record is not None and took_part_in_scores(workspace, registry, record):
        inputs.append(input_of(workspace.home, "summary", workspace.tables / "summary.csv"))
    folder = workspace.report / "models" / family
    return Work(workspace.home, "model_card", folder, MODEL_CARD_VERSION, inputs)


def _write(workspace: Workspace, facts: ModelFacts, work: Work) -> None:
    # Imported here: matplotlib takes a second, and most calls find every card made.
    from magictalk_core.report.plots import curve_figure, loss_metrics

    folder = work.output
    with atomic_directory(folder) as temporary:
        (temporary / "README.md").write_text(model_card_text(facts), encoding="utf-8")
        (temporary / "ml-bom.cdx.json").write_text(json.dumps(ml_bom(facts), indent=1), encoding="utf-8")
        curves = facts.curves
        curve_figure(curves, loss_metrics(curves)[0]).savefig(temporary / "curves.svg")
    attach_to_run(facts.run, sorted(folder.iterdir()), "model_card", workspace.mlflow_uri)
    work.record()
