"""A workspace as a run leaves it, made of numbers: two corpora with copies between them, in every place that holds a
clip: tables, media, cache, training set, style bank, motion, videos, DVC's cache and a remote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.preparation.shards import media_stem
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, MEDIA, MOTION, SPEECH
from magictalk_core.training_set.build import build_training_set
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.shard_clips import CorpusTables
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.manifest import build_manifest
from magictalk_core.workspace import Workspace
from tests.training_fixtures import FEATURE_ID, preset, write_tables

SPEAKER = "toy/m1"
CLIPS_OF_SPEAKER = tuple(f"toy/m1-{emotion}/{take}" for emotion in ("happy", "sad") for take in (1, 2))
ENCODED, SAME_FILE, OTHER = "echo/a/1", "echo/b/1", "echo/c/1"
"""In the other corpus: the speaker's first clip encoded anew, the last one as the same file, and somebody else."""


def signature_of(clip: str, flipped: int = 0) -> str:
    """Bits of a clip's own, of which the first `flipped` are others."""
    bits = np.unpackbits(np.random.default_rng(list(clip.encode())).integers(0, 256, 64, np.uint8))
    bits[:flipped] ^= 1
    packed = np.packbits(bits).tobytes()
    return f"{packed[:32].hex()}:{packed[32:].hex()}"


def build_store(home: Path) -> Workspace:
    """The whole store, with DVC's remote in the folder `remote` beside it."""
    workspace = Workspace(home)
    scratch = home.parent / "scratch"
    tables = write_tables(scratch)
    clips = read_frame(CLIPS, tables.clips).astype(object)
    rows = clips.where(clips.notna(), None).to_dict("records")
    motion = pd.concat([read_frame(FRAMES, path) for path in tables.frames])
    speech = pd.concat([read_frame(SPEECH, path) for path in tables.speech])
    twins = {ENCODED: CLIPS_OF_SPEAKER[0], SAME_FILE: CLIPS_OF_SPEAKER[-1], OTHER: "toy/w3-sad/2"}
    for clip, twin in twins.items():
        row = next(row for row in rows if row["clip_id"] == twin)
        source = clip.split("/")[1]
        rows.append(row | {"clip_id": clip, "corpus": "echo", "shard": "b0", "speaker": f"s{source}", "source": source})
        motion = pd.concat([motion, motion[motion["clip_id"] == twin].assign(clip_id=clip)])
        speech = pd.concat([speech, speech[speech["clip_id"] == twin].assign(clip_id=clip)])
    for row in rows:
        _describe(home.parent / "raw" / row["corpus"], row)
    for corpus in ("toy", "echo"):
        add_corpus(workspace, new_entry(name=corpus, kind="folder", root=home.parent / "raw" / corpus))
        _write_corpus(workspace, corpus, [row for row in rows if row["corpus"] == corpus], motion, speech)
    _write_outputs(workspace)
    _record_in_dvc(workspace)
    return workspace


def _describe(raw: Path, row: dict[str, Any]) -> None:
    """Raw file and measurements of a clip."""
    clip = row["clip_id"]
    path = raw / f"{media_stem(clip)}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = CLIPS_OF_SPEAKER[-1] if clip == SAME_FILE else clip
    path.write_bytes(f"raw {content}".encode() * 20)
    twin = CLIPS_OF_SPEAKER[0] if clip == ENCODED else content
    row |= {"raw_path": path.name, "raw_md5": file_md5(path), "duration_s": 1.6, "n_frames": 40}
    row["signature"] = signature_of(twin, flipped=12 if clip == ENCODED else 0)


def _write_corpus(
    workspace: Workspace, corpus: str, rows: list[dict[str, Any]], motion: pd.DataFrame, speech: pd.DataFrame
) -> None:
    index = [row | dict.fromkeys(("signature", "n_frames")) for row in rows]
    write_table(CLIPS, index, workspace.index_table(corpus), {"magictalk.inputs": "some"})
    write_table(CLIPS, rows, workspace.clips_table(corpus))
    for shard in sorted({row["shard"] for row in rows}):
        own = [row for row in rows if row["shard"] == shard]
        media = [_media_of(workspace, corpus, row) for row in own]
        ids = [row["clip_id"] for row in own]
        facts = {"magictalk.inputs": "some", "tracker": "toy/1"}
        write_table(MEDIA, media, workspace.shard_table(corpus, "media", shard), facts)
        for table, spec, frame in (("blendshapes", FRAMES, motion), ("speech", SPEECH, speech)):
            part = frame[frame["clip_id"].isin(ids)]
            write_table(spec, part, workspace.shard_table(corpus, table, shard), facts)
            for clip in ids:
                key = digest_of({"clip": clip, "table": table})
                piece = workspace.cache(table) / key[:2] / f"{key}.parquet"
                write_table(spec, part[part["clip_id"] == clip], piece)
    headers = {row["raw_md5"]: ["unreadable", "made of text"] for row in rows}
    stored = {"version": "x", "headers": headers, "chunks": {}}
    write_text(workspace.cache("headers") / f"{corpus}.json", json.dumps(stored))
    build_manifest(workspace.dataset(corpus), workspace.manifest(corpus))


def _media_of(workspace: Workspace, corpus: str, row: dict[str, Any]) -> dict[str, Any]:
    """The MEDIA row of a clip, with its files and its piece."""
    clip = row["clip_id"]
    key = digest_of({"clip": clip, "table": "media"})
    media: dict[str, Any] = dict.fromkeys(MEDIA.names) | {"clip_id": clip, "status": "ok"}
    media |= {name: row[name] for name in ("signature", "duration_s", "n_frames")}
    for kind, suffix in (("video", "mp4"), ("audio", "wav")):
        path = workspace.media(corpus, row["shard"]) / f"{media_stem(clip)}.{key[:8]}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{kind} {clip}".encode() * 10)
        media |= {f"{kind}_path": path.name, f"{kind}_md5": file_md5(path)}
    write_text(workspace.cache("media") / key[:2] / f"{key}.json", json.dumps(media))
    named = {name: f"media/{row['shard']}/{media[name]}" for name in ("video_path", "audio_path")}
    return media | named


def _write_outputs(workspace: Workspace) -> None:
    dataset = workspace.dataset("toy")
    frames, speech = (sorted((dataset / table).glob("*.parquet")) for table in ("blendshapes", "speech"))
    digest = json.loads(workspace.manifest("toy").read_text())["digest"]
    tables = {"toy": CorpusTables(workspace.clips_table("toy"), frames, speech, digest)}
    info = build_training_set(tables, preset().training_set, FEATURE_ID, workspace.training_set)
    for family in ("emodiff", "audio2bs"):
        run = workspace.models(family) / "run1"
        config = {"family": family, "training_set": info.digest, "corpora": {"toy": digest}}
        write_text(run / "model" / "config.json", json.dumps(config))
        write_text(run / "mlflow_run.json", json.dumps({"run_id": f"mlflow-{family}"}))
        write_text(run.parent / "current.json", json.dumps({"run": "run1"}))
    StyleBank.from_training_set(TrainingSet.open(workspace.training_set)).save(
        workspace.models("emodiff") / "run1" / "model"
    )
    write_text(workspace.mlflow / "artifacts" / "mlflow-emodiff" / "artifacts" / "samples" / "step-1.mp4", "a mouth")
    test = "toy/w3-happy/1"
    frame = pd.DataFrame(np.zeros((3, len(MOTION_NAMES)), np.float32), columns=list(MOTION_NAMES))
    frame = frame.assign(
        clip_id=test, method="emodiff", frame_index=np.arange(3, dtype=np.int32), time_s=[0.0, 0.04, 0.08]
    )
    write_table(MOTION, frame, workspace.generated("test") / "motion.parquet")
    write_text(workspace.generated("test") / "styles.json", json.dumps({test: CLIPS_OF_SPEAKER[1]}))
    write_text(workspace.videos / "comparison" / "toy-w3-happy-1.mp4", f"moov source={test} style=x mdat")
    write_text(workspace.tables / "summary.csv", "method,value\nemodiff,1\n")


def _record_in_dvc(workspace: Workspace) -> None:
    from dvc.repo import Repo

    repo = Repo.init(str(workspace.home), no_scm=True)
    try:
        with repo.config.edit() as config:
            config["remote"] = {"store": {"url": str(workspace.home.parent / "remote")}}
            config["core"] = {"no_scm": True, "remote": "store", "analytics": False}
    finally:
        repo.close()
    repo = Repo(str(workspace.home))
    try:
        for output in ("corpora/toy/dataset", "corpora/echo/dataset", "training_set", "models/emodiff"):
            repo.add(str(workspace.home / output))
        repo.push()
    finally:
        repo.close()
