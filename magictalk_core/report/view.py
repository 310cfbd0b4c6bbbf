"""What the template shows: every number already in words, so that the template decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import pandas as pd

from magictalk_core.evaluation.table import GROUND_TRUTH
from magictalk_core.metrics.catalogue import METRICS
from magictalk_core.report.model import FunnelStage, Provenance, Rejection, ReportInputs, VideoEntry
from magictalk_core.report.plots import curve_figure, funnel_figure, jaw_figure, loss_metrics
from magictalk_core.report.real_voices import real_voices_view
from magictalk_core.report.score_table import number_text, score_sections
from magictalk_core.report.svg import inline_svg
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL

__all__ = ["report_view"]

_METHOD_NOTES = {
    GROUND_TRUTH: "the real clips themselves",
    "nearest_speech": "the motion of the training frames whose speech is most alike",
    "mean_motion": "the mean of the training motion in every frame: knows nothing of the speech",
}
_TILES = ("jaw_open_correlation_true_curve", "jaw_open_correlation", "lmd_rig_mouth_px256")
_MAX_TILES = 4
_MAX_FINDINGS = 20
_FIRST_PICTURE = "#t=0.04"  # phones show a black box until playing unless a time is asked for


@dataclass(frozen=True)
class Tile:
    """One number that the page opens with."""

    value: str
    unit: str
    title: str
    note: str


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _minutes(minutes: float | None) -> str:
    return "unknown" if minutes is None else f"{minutes:.1f}"


def _score(summary: pd.DataFrame, method: str | None, metric: str) -> Any | None:
    rows = summary[(summary["method"] == method) & (summary["metric"] == metric) & summary["mean"].notna()]
    return rows.iloc[0] if len(rows) else None


def _score_tile(inputs: ReportInputs, metric: str) -> Tile | None:
    row = _score(inputs.scores_summary, inputs.main_method, metric)
    if row is None:
        return None
    spec = METRICS[metric]
    shown = partial(number_text, decimals=spec.decimals)
    parts = [_count(int(row["n"]), "clip")]
    if pd.notna(row["low"]):
        parts.insert(0, f"95 % interval {shown(row['low'])} to {shown(row['high'])}")
    baseline = _score(inputs.scores_summary, "mean_motion", metric)
    if baseline is not None and inputs.main_method != "mean_motion":
        parts.append(f"mean motion {shown(baseline['mean'])}")
    return Tile(shown(row["mean"]), "" if spec.unit == "1" else spec.unit, spec.title, "; ".join(parts))


def _tiles(inputs: ReportInputs) -> list[Tile]:
    tiles = [tile for metric in _TILES if (tile := _score_tile(inputs, metric))]
    if inputs.funnel.corpora:
        total = inputs.funnel.total
        found, used = total[0], total[-1]
        note = f"{used.minutes:.1f} minutes, of {_count(found.clips, 'clip')} found"
        tiles.append(Tile(f"{used.clips:,}", "clips", "Used for training", note))
    return tiles[:_MAX_TILES]


def _lead(inputs: ReportInputs) -> str:
    """One sentence: what was made from what."""
    made_from = inputs.provenance
    learned = {corpus.corpus for corpus in inputs.funnel.corpora if corpus.stages[-1].clips}
    names = [corpus.name for corpus in made_from.corpora if corpus.name in learned or not inputs.funnel.corpora]
    if not names:
        return f"The model {made_from.model_family} (preset {made_from.preset}) learned from no clip of these corpora."
    corpora = f"the corpus {names[0]}" if len(names) == 1 else f"the corpora {', '.join(names[:-1])} and {names[-1]}"
    used = inputs.funnel.total[-1] if inputs.funnel.corpora else None
    amount = f"{_count(used.clips, 'clip')} ({used.minutes:.1f} min) of " if used else ""
    scored = inputs.scores_summary
    clips = int(scored["clips"].max()) if len(scored) else 0
    judged = f"It was scored on {_count(clips, 'clip')} that training never saw." if clips else "Nothing is scored yet."
    return f"The model {made_from.model_family} (preset {made_from.preset}) learned from {amount}{corpora}. {judged}"


def _provenance_rows(made_from: Provenance) -> list[tuple[str, str | None, str]]:
    """(label, value or None, what it is for)."""
    seed = None if made_from.generation_seed is None else str(made_from.generation_seed)
    return [
        ("Model family", made_from.model_family, ""),
        ("Preset", made_from.preset, "the resolved settings lie beside every output"),
        ("Model weights", made_from.model_weights_md5, "md5 of model.safetensors"),
        ("MLflow run", made_from.mlflow_run_id, "parameters, curves and checkpoints of the training"),
        ("Training set", made_from.training_set_digest, "digest of the packed arrays"),
        ("Speech features", made_from.feature_id, "feature id; sets never mix"),
        ("Rig", made_from.rig_md5, "md5 of the rig used to render and to score"),
        ("Seed of generation", seed, "evaluation.seed of the preset"),
        ("Code", made_from.git_commit, "git commit"),
        ("Software", made_from.software, ""),
        *((label, value, "") for label, value in made_from.extra),
    ]


def _video(entry: VideoEntry, number: int, synthetic_corpora: set[str]) -> dict[str, Any]:
    jaw = entry.jaw
    correlation = None if jaw is None or jaw.correlation is None else number_text(jaw.correlation, 2)
    label = f"jawOpen over time in {entry.clip_id}: real clip and generated; correlation {correlation or 'undefined'}"
    return {
        "entry": entry,
        "src": quote(entry.path) + _FIRST_PICTURE,
        "poster": quote(entry.poster) if entry.poster else None,
        "correlation": correlation,
        "all_synthetic": entry.clip_id.split("/")[0] in synthetic_corpora,
        "plot": inline_svg(jaw_figure(jaw), f"jaw{number}", label) if jaw is not None else None,
    }


def _funnel_rows(inputs: ReportInputs) -> list[dict[str, Any]]:
    def cell(stage: FunnelStage) -> dict[str, str]:
        unknown = f"+ {_count(stage.unknown_length, 'clip')} of unknown length" if stage.unknown_length else ""
        return {"clips": f"{stage.clips:,}", "minutes": f"{stage.minutes:.1f}", "unknown": unknown}

    def lost(r: Rejection) -> dict[str, str]:
        return {"reason": r.reason, "clips": f"{r.clips:,}", "minutes": _minutes(r.minutes), "meaning": r.meaning}

    label = "Clips that passed each stage; the numbers stand in the table beside. Corpus"
    return [
        {
            "name": corpus.corpus,
            "plot": inline_svg(funnel_figure([corpus]), f"funnel{number}", f"{label} {corpus.corpus}"),
            "stages": [(stage.name, cell(stage)) for stage in corpus.stages],
            "held_out": [(stage.name, cell(stage)) for stage in corpus.held_out],
            "rejections": list(map(lost, corpus.rejections)),
            "unused": list(map(lost, corpus.unused)),
        }
        for number, corpus in enumerate(inputs.funnel.corpora, 1)
    ]


def _curves(inputs: ReportInputs) -> dict[str, Any]:
    losses, others = loss_metrics(inputs.loss_curves)
    label = "Training curves over optimizer steps: "
    by_step = inputs.loss_curves.dropna(subset=["value"]).sort_values("step")
    last = {str(name): float(values.iloc[-1]) for name, values in by_step.groupby("metric")["value"]}
    figures = []
    if losses:
        figures.append(inline_svg(curve_figure(inputs.loss_curves, losses), "loss", label + ", ".join(losses)))
    for number, name in enumerate(others):
        figure = curve_figure(inputs.loss_curves, [name])
        figures.append(inline_svg(figure, f"curve{number}", label + name))
    return {"figures": figures, "last": [(name, f"{last[name]:.4g}") for name in (*losses, *others) if name in last]}


def _lineage(found: Mapping[str, Any]) -> dict[str, Any]:
    """What models oblige to, and how many outputs are not as their records say."""
    states = [finding["state"] for finding in found["findings"]]
    counts = [(state, states.count(state)) for state in ("stale", "orphaned", "unverifiable")]
    models = [
        {
            "name": model["name"].split("/")[1],
            "clips": sum(corpus["clips"] for corpus in model["corpora"]),
            "obligations": "; ".join(model["obligations"]) or "none",
            "made_of": "synthetic" if model["is_synthetic"] else "filmed",
        }
        for model in found["models"]
    ]
    return {
        "outputs": sum(found["outputs"].values()),
        "counts": [*counts, ("in disagreement with Dagster, DVC or MLflow", len(found["disagreements"]))],
        "models": models,
        "findings": found["findings"][:_MAX_FINDINGS],
    }


def report_view(inputs: ReportInputs) -> dict[str, Any]:
    """The variables of the template."""
    methods = inputs.methods()
    synthetic = {corpus.name for corpus in inputs.provenance.corpora if corpus.synthetic}
    notes = _METHOD_NOTES | inputs.method_notes
    return {
        "title": inputs.title,
        "lead": _lead(inputs),
        "made_on": inputs.made_on,
        "tiles": _tiles(inputs),
        "people": real_voices_view(inputs.people),
        "videos": [_video(entry, number, synthetic) for number, entry in enumerate(inputs.videos, 1)],
        "videos_not_made": inputs.videos_not_made,
        "synthetic_label": SYNTHETIC_LABEL,
        "methods": [(method, notes.get(method, "")) for method in methods],
        "main_method": inputs.main_method,
        "sections": score_sections(inputs.scores_summary, methods),
        "curves": _curves(inputs),
        "funnel": _funnel_rows(inputs),
        "provenance": _provenance_rows(inputs.provenance),
        "corpora": inputs.provenance.corpora,
        "stand_ins": inputs.stand_ins,
        "commands": inputs.commands,
        "lineage": None if inputs.lineage is None else _lineage(inputs.lineage),
    }
