"""A small workspace made by hand: one file of every kind that an audit reads, with what is recorded about each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.preparation.listing import observe_source
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, MEDIA, SPEECH, TableSpec
from magictalk_core.storage.sealed import sealed
from magictalk_core.work.manifest import build_manifest, read_manifest
from magictalk_core.work.pieces import write_piece_list
from magictalk_core.work.provenance import Weights, Work, input_of
from magictalk_core.workspace import Workspace

CORPUS, SHARD = "c", "b000"
CLIP_IDS = ("c/a/0", "c/b/0")


def _bytes(seed: str, n: int = 600) -> bytes:
    return np.random.default_rng(list(seed.encode())).bytes(n)


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def small_store(home: Path) -> Workspace:
    """Two clips of one shard, from raw files (in `raw` beside `home`) to a trained model."""
    workspace = Workspace(home)
    raw = home.parent / f"{home.name}-raw"
    for name in ("a", "b"):
        _write(raw / f"{name}.mp4", _bytes(f"raw {name}"))
    add_corpus(workspace, new_entry(name=CORPUS, kind="folder", root=raw))
    observe_source(workspace, CORPUS)
    _tables(workspace)
    write_text(
        workspace.cache("headers") / f"{CORPUS}.json",
        sealed(json.dumps({"version": "1", "headers": {}, "chunks": {}}, indent=1)),
    )
    _records_of_preparation(workspace)
    _dvc_cache(workspace)
    _model(workspace)
    return workspace


def _records_of_preparation(workspace: Workspace) -> None:
    """The index, the shards and the manifest with their records."""
    home, index = workspace.home, workspace.index_table(CORPUS)
    write_table(CLIPS, [_clip(clip) for clip in CLIP_IDS], index)
    Work(home, "index", index, "1").record(clips=CLIP_IDS)
    for table in ("media", "blendshapes", "speech"):
        weights = [Weights(name="face_landmark.tflite", sha256="1" * 64)] if table == "blendshapes" else []
        shard = workspace.shard_table(CORPUS, table, SHARD)
        Work(home, table, shard, "1", [input_of(home, "index", index)]).record(clips=CLIP_IDS, weights=weights)
    Work(home, "clips", workspace.clips_table(CORPUS), "1").record(clips=CLIP_IDS)
    path, dataset = workspace.manifest(CORPUS), workspace.dataset(CORPUS)
    manifest = build_manifest(dataset, path)
    inputs = [input_of(home, name.split("/")[0], dataset / name) for name, _ in manifest.entries if "/" in name]
    Work(home, "manifest", path, "1", inputs).record(md5=manifest.digest, clips=CLIP_IDS)


def _tables(workspace: Workspace) -> None:
    """The tables of the shard with their pieces, the media files, the finished clip table."""
    media = []
    for clip in CLIP_IDS:
        stem = clip.split("/")[1]
        row: dict[str, Any] = dict.fromkeys(MEDIA.names) | {
            "clip_id": clip,
            "status": "ok",
            "n_frames": 4,
        }
        for kind, suffix in (("video", "mp4"), ("audio", "wav")):
            file = _write(workspace.media(CORPUS, SHARD) / f"{stem}.{suffix}", _bytes(f"{kind} {clip}"))
            row[f"{kind}_path"] = file.relative_to(workspace.corpus(CORPUS)).as_posix()
            row[f"{kind}_md5"] = file_md5(file)
        media.append(row)
    frames, speech = [], []
    for clip in CLIP_IDS:
        for i in range(4):
            empty = dict.fromkeys(FRAMES.names)
            facts = {"clip_id": clip, "frame_index": i, "time_s": i / 25, "face_found": True, "tracker": "litert/1"}
            frames.append(empty | facts | {"jawOpen": i / 10, "head_yaw_deg": float(i)})
            speech.append({"clip_id": clip, "frame_index": i, "features": [0.5, 0.5], "feature_id": "f"})
    _table(workspace, MEDIA, "media", media)
    _table(workspace, FRAMES, "blendshapes", frames)
    _table(workspace, SPEECH, "speech", speech)
    write_table(CLIPS, [_clip(clip) for clip in CLIP_IDS], workspace.clips_table(CORPUS))


def _clip(clip: str) -> dict[str, Any]:
    facts = {"clip_id": clip, "corpus": CORPUS, "shard": SHARD, "speaker": "s", "source": clip.split("/")[1]}
    facts |= {"licence": "CC0-1.0", "split": "train" if clip == CLIP_IDS[0] else "test", "status": "ok"}
    return dict.fromkeys(CLIPS.names) | facts | {"n_frames": 4, "duration_s": 0.16}


def _table(workspace: Workspace, spec: TableSpec, table: str, rows: list[dict[str, Any]]) -> None:
    pieces = {}
    for number, clip in enumerate(CLIP_IDS):
        key = f"{number}{len(table):x}" * 16
        piece = workspace.cache(table) / key[:2] / f"{key}.parquet"
        write_table(spec, [row for row in rows if row["clip_id"] == clip], piece)
        pieces[clip] = piece
    write_piece_list(workspace.piece_list(CORPUS, table, SHARD), pieces, workspace.cache(table))
    write_table(spec, rows, workspace.shard_table(CORPUS, table, SHARD))


def _dvc_cache(workspace: Workspace) -> None:
    """The dataset as `dvc commit` stores it, by copies: what lies on one disk block would be damaged together."""
    dataset = workspace.dataset(CORPUS)
    listing = []
    for file in sorted(path for path in dataset.rglob("*") if path.is_file()):
        md5 = file_md5(file)
        listing.append({"md5": md5, "relpath": file.relative_to(dataset).as_posix()})
        target = dvc_object(workspace, md5)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    digest = json.loads(workspace.manifest(CORPUS).read_text())["digest"]
    _write(
        dvc_object(workspace, digest), json.dumps(sorted(listing, key=lambda e: e["relpath"]), sort_keys=True).encode()
    )


def dvc_object(workspace: Workspace, md5: str) -> Path:
    return workspace.home / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def _model(workspace: Workspace) -> None:
    run = workspace.models("emodiff") / ("5" * 32)
    weights = run / "model" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    save_file({"w": np.arange(100, dtype=np.float32)}, weights)
    for name in ("config", "channels", "normalizer"):
        write_text(weights.parent / f"{name}.json", json.dumps({"feature_id": "f", "tracker_kind": "litert"}))
    data = workspace.training_set
    for name in ("states", "features"):
        data.mkdir(exist_ok=True)
        np.save(data / f"{name}.npy", np.arange(12, dtype=np.float32))
    manifest, home = workspace.manifest(CORPUS), workspace.home
    digest = read_manifest(manifest).digest
    Work(home, "training_set", data, "1", [input_of(home, "manifest", manifest, digest)]).record(clips=CLIP_IDS)
    (run / "curves.csv").write_text("step,metric,value\n1,train/loss,0.5\n2,train/loss,0.25\n")
    (run / "preset.yaml").write_text("name: tiny\n")
    work = Work(home, "model", weights.parent, "5", [input_of(home, "training_set", data)], {"network": {"hidden": 2}})
    work.record(clips=CLIP_IDS[:1], mlflow_run="r")
    result: dict[str, Any] = {"weights_md5": file_md5(weights), "run_id": "r", "metrics": {"val/loss": 0.25}}
    result |= {"measured": {}, "files": {name: file_md5(run / name) for name in ("curves.csv", "preset.yaml")}}
    write_text(run / "result.json", sealed(json.dumps(result)))
    write_text(run.parent / "current.json", json.dumps({"run": run.name}))
    _checkpoint(run / "step-00000002")
    _summary(workspace, weights.parent)


def _checkpoint(folder: Path) -> None:
    folder.mkdir()
    save_file({"w": np.arange(50, dtype=np.float32)}, folder / "ema.safetensors")
    files = {path.name: file_md5(path) for path in folder.iterdir()}
    write_text(folder / "trainer.json", sealed(json.dumps({"step": 2, "files": files})))


def _summary(workspace: Workspace, model: Path) -> None:
    """The table of scores that the model took part in."""
    path = workspace.tables / "summary.csv"
    path.parent.mkdir()
    path.write_text(
        "method,metric,unit,clips,n,mean,low,high,stand_ins\n"
        "emodiff,jaw_open_correlation,1,2,2,0.75,0.5,0.9,tracker=litert/1\n"
        "emodiff,blink_duration_s,s,2,0,,,,tracker=litert/1\n"
    )
    Work(workspace.home, "tables", path, "1", [input_of(workspace.home, "model", model)]).record()
