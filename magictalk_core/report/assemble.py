"""The report of a workspace: gathers what the other assets left behind and hands it to `write_report`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core import __version__
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.evaluation.generate import EMODIFF
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.faces.tracker_ids import tracker_id
from magictalk_core.metrics.coefficients import channel_correlation
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.report.funnel import funnel
from magictalk_core.report.model import Command, CorpusSource, JawTrace, Provenance, StandIn, VideoEntry
from magictalk_core.report.report import write_report
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS, MOTION
from magictalk_core.training.run import TrainedModel, current_run
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.manifest import read_manifest
from magictalk_core.workspace import Workspace

__all__ = ["WrittenReport", "assemble_report"]

FAMILY = EMODIFF
"""Whose training the page shows."""


@dataclass(frozen=True)
class WrittenReport:
    """The page and its md5."""

    path: Path
    md5: str


def assemble_report(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> WrittenReport:
    """Write `report/report.html` from the tables, videos, curves and manifests of the workspace."""
    clips = pd.concat([read_frame(CLIPS, workspace.clips_table(c)) for c in corpora], ignore_index=True)
    trained = current_run(workspace.models(FAMILY))
    path = write_report(
        workspace.report,
        funnel=funnel(clips),
        scores_summary=pd.read_csv(workspace.tables / "summary.csv"),
        videos=_videos(workspace, clips),
        loss_curves=pd.read_csv(trained.curves),
        provenance=_provenance(workspace, corpora, preset, trained),
        stand_ins=_stand_ins(preset),
        commands=_commands(workspace),
        main_method=MAGICTALK,
        method_notes={
            MAGICTALK: "EmoDiff, and the mouth of the lip models in its place: the method of the paper",
            FAMILY: "trained here on the training split; speech features and a style clip in, motion out",
            "emodiff_independent_windows": "the same model, every window on its own: the ablation of Algorithm 1",
            "nearest_speech": "the motion of the training frames whose speech is most alike; nothing learned",
            "mean_motion": "the mean pose of the training split in every frame: what any method must beat",
            "ground_truth": "tracked from the real clip",
        },
    )
    return WrittenReport(path, file_md5(path))


def _jaw(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    return motion[:, MOTION_NAMES.index("jawOpen")]


def _videos(workspace: Workspace, clips: pd.DataFrame) -> list[VideoEntry]:
    motions = read_frame(MOTION, workspace.refined("test") / "motion.parquet", filters=[("method", "==", MAGICTALK)])
    styles = json.loads((workspace.generated("test") / "styles.json").read_text(encoding="utf-8"))
    by_name = {str(clip).replace("/", "-"): row for clip, row in clips.set_index("clip_id", drop=False).iterrows()}
    entries = []
    for video in sorted((workspace.videos / "comparison").glob("*.mp4")):
        row = by_name[video.stem]
        clip = str(row["clip_id"])
        truth, _ = CorpusReader(workspace, str(row["corpus"])).motion(clip)
        result = motions[motions["clip_id"] == clip].sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)
        n = min(len(truth), len(result))
        correlation = channel_correlation(truth[:n], result[:n], "jawOpen")
        entries.append(
            VideoEntry(
                path=os.path.relpath(video, workspace.report),
                clip_id=clip,
                emotion=None if pd.isna(row["emotion"]) else str(row["emotion"]),
                style_source=styles[clip],
                speaker=str(row["speaker"]),
                jaw=JawTrace(_jaw(truth[:n]), _jaw(result[:n]), correlation),
            )
        )
    return entries


def _git_commit() -> str | None:
    """The commit of the checkout that runs, when it is one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _provenance(workspace: Workspace, corpora: Sequence[str], preset: Preset, trained: TrainedModel) -> Provenance:
    sources = []
    for corpus in corpora:
        entry = load_corpus(workspace, corpus)
        digest = read_manifest(workspace.manifest(corpus)).digest
        sources.append(
            CorpusSource(
                corpus,
                entry.kind,
                digest,
                licence=entry.licence,
                trackers=(tracker_id(preset.faces.tracker),),
                synthetic=entry.kind == "sample",
            )
        )
    info: dict[str, Any] = json.loads((workspace.training_set / "info.json").read_text(encoding="utf-8"))
    return Provenance(
        corpora=tuple(sources),
        feature_id=preset.speech.feature,
        model_family=FAMILY,
        preset=preset.name,
        model_weights_md5=trained.weights_md5,
        mlflow_run_id=trained.run_id,
        training_set_digest=info.get("digest"),
        rig_md5=file_md5(workspace.rig / "rig.npz"),
        seed=preset.evaluation.seed,
        git_commit=_git_commit(),
        software=f"magictalk {__version__}",
    )


def _stand_ins(preset: Preset) -> list[StandIn]:
    tracker = tracker_id(preset.faces.tracker)
    found = [
        StandIn(
            "portrait",
            "mesh-texture-warp",
            "face-vid2vid, fine-tuned on TalkingHead-1KH",
            "hair and neck move little; a turned head does not show its other side",
        ),
        StandIn("rig", "built-in rig", "the paper's ARKit avatar", "distances are measured on this rig"),
        StandIn("lips", "none", "lip refinement with a sync expert", "mouth as the diffusion model gives it"),
    ]
    effects = {
        "logmel-29-1": "knows no letters; less invariant to the voice",
        "deepspeech-small-1": "the same network, small, trained on synthetic voices: hears real ones less surely",
    }
    if preset.speech.feature in effects:
        found.insert(0, StandIn("speech", preset.speech.feature, "DeepSpeech 0.9.3", effects[preset.speech.feature]))
    if tracker.startswith("litert-geometric"):
        effect = "coefficients from 468 landmarks; gaze, nose and cheeks are not seen"
        found.insert(0, StandIn("blendshapes", tracker, "MediaPipe Face Landmarker", effect))
    return found


def _commands(workspace: Workspace) -> list[Command]:
    home, dagster = workspace.home, workspace.dagster
    return [
        Command("the asset graph", f"DAGSTER_HOME={dagster} MAGICTALK_HOME={home} dagster dev -w workspace.yaml"),
        Command("training runs", f"mlflow ui --backend-store-uri {workspace.mlflow_uri}"),
        Command("the dataset's version", f"cat {home}/dvc.lock"),
    ]
