"""The report of a workspace: gathers what the other assets left behind and hands it to `write_report`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core import __version__
from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.corpora.withdrawals import read_withdrawals
from magictalk_core.evaluation.baselines import (
    KERNEL_RIDGE,
    LOUDNESS,
    MEAN_MOTION,
    NEAREST_SPEECH,
    STYLE_MEAN,
    STYLE_REPLAY,
)
from magictalk_core.evaluation.comparison import Comparison, read_comparisons
from magictalk_core.evaluation.generate import EMODIFF, INDEPENDENT_WINDOWS, test_clips
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.evaluation.stand_ins import PORTRAIT, described, trackers_of
from magictalk_core.evaluation.table import CHANCE, GROUND_TRUTH, TRUE_CURVES
from magictalk_core.lineage.report import read_lineage_report
from magictalk_core.metrics.coefficients import channel_correlation
from magictalk_core.models.lip_residue.model import audio2bs_md5, audio2bs_of
from magictalk_core.models.shipped.real_voices import real_voices_file
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.preparation.withdrawn import current_clips
from magictalk_core.presets.preset import Preset
from magictalk_core.report.funnel import funnel
from magictalk_core.report.model import Command, CorpusSource, JawTrace, Provenance, VideoEntry, VideoNotMade
from magictalk_core.report.training_use import training_use
from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import MOTION
from magictalk_core.training.run import TrainedModel, current_run, model_input
from magictalk_core.training_set.dataset import TrainingSet, training_set_input
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.clips import Status
from magictalk_core.work.circumstances import code_used
from magictalk_core.work.manifest import manifest_inputs, read_manifest
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["REPORT_VERSION", "WrittenReport", "assemble_report"]

REPORT_VERSION = "4"

FAMILY = EMODIFF
"""Whose training the page shows."""

"""Who gives the mouth of the main method."""


@dataclass(frozen=True)
class WrittenReport:
    """The page and its md5."""

    path: Path
    md5: str


def assemble_report(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> WrittenReport:
    """Write `report/report.html` from the tables, videos, curves and manifests of the workspace, unless it is made.

    Where no clip is held out for tests nothing is scored or shown; what lies there is of other data.
    """
    clips = pd.concat([current_clips(workspace, c) for c in corpora], ignore_index=True)
    trained, data = current_run(workspace.models(FAMILY)), TrainingSet.open(workspace.training_set)
    needed(workspace.rig / "rig.npz", "rig")
    is_scored = bool(test_clips(workspace, corpora))
    provenance = _provenance(workspace, clips, corpora, preset, trained, data)
    commands = _commands(workspace)
    # The page shows where it was made and by which commit: another place or commit makes it anew.
    shown = digest_of({"provenance": asdict(provenance), "commands": [asdict(command) for command in commands]})
    work = _work(workspace, corpora, preset, is_scored, shown)
    record = work.made()
    if record is not None:
        return WrittenReport(work.output, record.md5)
    # Imported here: matplotlib takes a second, and most calls find the page made.
    from magictalk_core.report.report import SUMMARY_COLUMNS, write_report

    summary = pd.DataFrame(columns=list(SUMMARY_COLUMNS))
    if is_scored:
        summary = pd.read_csv(needed(workspace.tables / "summary.csv", "tables/summary"))
    comparisons = read_comparisons(workspace.videos / "comparison") if is_scored else ()
    videos = _videos(workspace, clips, comparisons) if is_scored else []
    path = write_report(
        workspace.report,
        funnel=funnel(clips, training_use(data, clips)),
        scores_summary=summary,
        videos=videos,
        videos_not_made=[VideoNotMade(c.clip_id, c.reason or "") for c in comparisons if c.file is None],
        loss_curves=pd.read_csv(trained.curves),
        provenance=provenance,
        stand_ins=[*described(summary["stand_ins"]), *([PORTRAIT] if videos else [])],
        commands=commands,
        main_method=MAGICTALK,
        lineage=read_lineage_report(workspace),
        method_notes={
            MAGICTALK: "EmoDiff, and the mouth of the lip models in its place: the method of the paper",
            FAMILY: "trained here on the training split; speech features and a style clip in, motion out",
            INDEPENDENT_WINDOWS: "the same model, every window on its own: the ablation of Algorithm 1",
            KERNEL_RIDGE: "kernel regression of the motion on the speech, about the mean of the style clip",
            LOUDNESS: "the mouth opens as the voice is loud, about the mean of the style clip; hears no word",
            STYLE_REPLAY: "the style clip again and again, whatever is said",
            STYLE_MEAN: "a frozen face: the mean of the style clip in every frame",
            NEAREST_SPEECH: "the motion of the training frames whose speech is most alike; nothing learned",
            MEAN_MOTION: "the mean pose of the training split in every frame: what any method must beat",
            GROUND_TRUTH: "tracked from the real clip",
            TRUE_CURVES: "the curves that animated the clip: what the tracker leaves of a perfect motion",
            CHANCE: "the real motion of another test clip: what a score is where nothing belongs together",
        },
    )
    return WrittenReport(path, work.record(clips=clips["clip_id"]).md5)


def _work(workspace: Workspace, corpora: Sequence[str], preset: Preset, is_scored: bool, shown: str) -> Work:
    home, settings = workspace.home, {"name": preset.name, "seed": preset.evaluation.seed, "shown": shown}
    settings |= read_withdrawals(workspace).settings() | {"people": file_md5(real_voices_file())}
    inputs = [
        *manifest_inputs(workspace, corpora),
        training_set_input(home, workspace.training_set),
        *(model_input(workspace, path) for path in _models_used(workspace)),
        input_of(home, "rig", workspace.rig / "rig.npz"),
    ]
    if workspace.lineage_report.is_dir():
        inputs.append(input_of(home, "lineage_report", workspace.lineage_report))
    if is_scored:
        inputs.append(input_of(home, "summary", needed(workspace.tables / "summary.csv", "tables/summary")))
        inputs.append(input_of(home, "comparison", workspace.videos / "comparison"))
    return Work(home, "report", workspace.report / "report.html", REPORT_VERSION, inputs, settings)


def _jaw(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    return motion[:, MOTION_NAMES.index("jawOpen")]


def _videos(workspace: Workspace, clips: pd.DataFrame, comparisons: Sequence[Comparison]) -> list[VideoEntry]:
    motions = read_frame(MOTION, workspace.refined("test") / "motion.parquet", filters=[("method", "==", MAGICTALK)])
    styles = json.loads((workspace.generated("test") / "styles.json").read_text(encoding="utf-8"))
    rows = clips.set_index("clip_id", drop=False)
    readers = {str(corpus): CorpusReader(workspace, str(corpus)) for corpus in clips["corpus"].unique()}
    entries = []
    for comparison in comparisons:
        if comparison.file is None:
            continue
        clip, row = comparison.clip_id, rows.loc[comparison.clip_id]
        truth, _ = readers[str(row["corpus"])].motion(clip)
        result = motions[motions["clip_id"] == clip].sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)
        n = min(len(truth), len(result))
        correlation = channel_correlation(truth[:n], result[:n], "jawOpen")
        entries.append(
            VideoEntry(
                path=os.path.relpath(workspace.videos / "comparison" / comparison.file, workspace.report),
                clip_id=clip,
                emotion=None if pd.isna(row["emotion"]) else str(row["emotion"]),
                style_source=styles[clip],
                speaker=str(row["speaker"]),
                jaw=JawTrace(_jaw(truth[:n]), _jaw(result[:n]), correlation),
            )
        )
    return entries


def _source(workspace: Workspace, corpus: str, clips: pd.DataFrame, data: TrainingSet) -> CorpusSource:
    """A corpus by its accepted clips: their own licences and trackers, whatever the entry or a preset would say."""
    entry = load_corpus(workspace, corpus)
    accepted = clips[(clips["corpus"] == corpus) & (clips["status"] == Status.OK)]
    licences = accepted["licence"].value_counts().sort_index()
    return CorpusSource(
        corpus,
        entry.kind,
        # Of a corpus that was packed the state that was packed.
        data.info["corpora"].get(corpus) or read_manifest(workspace.manifest(corpus)).digest,
        licences=tuple((str(licence), int(n)) for licence, n in licences.items()),
        trackers=trackers_of(workspace, corpus, accepted["clip_id"]),
        synthetic=corpus_of(entry).is_synthetic,
    )


def _models_used(workspace: Workspace) -> tuple[Path, ...]:
    """The model folders behind the motion that is shown; the lips with the Audio2BS that they were trained on."""
    residue = current_run(workspace.models("lip_residue")).path
    return current_run(workspace.models(FAMILY)).path, audio2bs_of(residue, workspace.models("audio2bs")), residue


def _provenance(
    workspace: Workspace,
    clips: pd.DataFrame,
    corpora: Sequence[str],
    preset: Preset,
    trained: TrainedModel,
    data: TrainingSet,
) -> Provenance:
    residue = current_run(workspace.models("lip_residue"))
    lips = {"audio2bs": audio2bs_md5(residue.path), "lip_residue": residue.weights_md5}
    return Provenance(
        corpora=tuple(_source(workspace, corpus, clips, data) for corpus in corpora),
        feature_id=data.info["feature_id"],
        model_family=FAMILY,
        preset=preset.name,
        model_weights_md5=trained.weights_md5,
        mlflow_run_id=trained.run_id,
        training_set_digest=data.info["digest"],
        rig_md5=file_md5(workspace.rig / "rig.npz"),
        generation_seed=preset.evaluation.seed,
        git_commit=code_used().commit,
        software=f"magictalk {__version__}",
        extra=tuple((f"Weights of {name}", md5) for name, md5 in lips.items()),
    )


def _commands(workspace: Workspace) -> list[Command]:
    home, dagster = workspace.home, workspace.dagster
    return [
        Command("the asset graph", f"DAGSTER_HOME={dagster} MAGICTALK_HOME={home} dagster dev -w workspace.yaml"),
        Command("training runs", f"mlflow ui --backend-store-uri {workspace.mlflow_uri}"),
        Command("the dataset's version", f"cat {home}/dvc.lock"),
    ]
