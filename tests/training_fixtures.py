"""A small corpus in tables, made of numbers: speech features that lead the jaw, five speakers, two emotions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from magictalk_core.presets.preset import Preset
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, SPEECH
from magictalk_core.training_set.build import TrainingSetInfo, build_training_set
from magictalk_core.training_set.shard_clips import CorpusTables
from magictalk_core.vocabulary.arkit import STATE_NAMES

FEATURE_ID, FEATURES = "logmel-29-1", 29
SPEAKERS = {"m1": "train", "m2": "train", "w1": "train", "w2": "val", "w3": "test"}
BLIND = "cheekPuff"


Section = dict[str, Any]


def preset(network: Section | None = None, training: Section | None = None, sampling: Section | None = None) -> Preset:
    """Seconds of training; the arguments change EmoDiff's settings."""
    learning = {"threads": 1, "batch": 8, "epochs": 2, "checkpoint_every": 10, "learning_rate": 2e-3, "ema": 0.9}
    values: dict[str, Any] = {
        "name": "tiny",
        "emodiff": {
            "network": {"hidden": 32, "blocks": 1, "heads": 2, **(network or {})},
            "training": {**learning, **(training or {})},
            "sampling": {"sampler": "dpmpp", "evaluations": 4, **(sampling or {})},
        },
        "emodiff_student": {"training": learning},
        "training_set": {"window": 16, "stride": 4},
    }
    return Preset.model_validate(values)


def lip_preset(
    epochs: int = 6, training: Section | None = None, expert: Section | None = None, clips: str = "neutral"
) -> Preset:
    """Seconds of training for the lip models; `training` changes all of their trainings, `expert` the expert's
    network, `clips` is what Audio2BS learns from."""
    learning = {"threads": 1, "batch": 16, "epochs": epochs, "checkpoint_every": 5, "learning_rate": 3e-3, "ema": 0.9}
    learning |= training or {}
    values = preset().model_dump() | {
        "sync_expert": {
            "network": {"widths": [16, 32], "embedding": 32, **(expert or {})},
            "training": {**learning, "negatives": 2},
        },
        "audio2bs": {
            "network": {"encoder": 16, "hidden": 24, "layers": 1, "head": 16},
            "training": {**learning, "clips": clips},
        },
        "lip_residue": {"network": {"head": 16, "style_frames": 16, "style_size": 16}, "training": learning},
    }
    return Preset.model_validate(values)


def _clip_row(clip_id: str, speaker: str, emotion: str, split: str, has_voice: bool = True) -> dict[str, Any]:
    known = {"clip_id": clip_id, "corpus": "toy", "shard": speaker, "speaker": speaker, "source": clip_id}
    known |= {"emotion": emotion, "licence": "CC0", "raw_path": f"{clip_id}.mp4", "raw_md5": "0" * 32, "split": split}
    verdict = {"status": "ok"} if has_voice else {"status": "rejected", "reason": "no_audio", "n_frames": 40}
    return dict.fromkeys(CLIPS.names) | known | verdict


def _frames(clip_id: str, states: np.ndarray, lost: tuple[int, ...], tracker: str) -> pd.DataFrame:
    n = len(states)
    frame = pd.DataFrame({"clip_id": clip_id, "frame_index": np.arange(n, dtype=np.int32), "time_s": np.arange(n) / 25})
    frame = frame.assign(face_found=True, confidence=0.9, tracker=tracker)
    values = pd.DataFrame(states, columns=list(STATE_NAMES))
    frame = pd.concat([frame, values], axis=1)
    for name in FRAMES.names:
        if name not in frame:
            frame[name] = np.nan
    frame[BLIND] = np.nan
    measured = [n for n in FRAMES.names if n not in ("clip_id", "frame_index", "time_s", "face_found", "tracker")]
    frame.loc[list(lost), "face_found"] = False
    frame.loc[list(lost), measured] = np.nan
    return frame


def write_tables(
    folder: Path,
    frames_per_clip: int = 40,
    lost: dict[str, tuple[int, ...]] | None = None,
    tracker: str = "toy/1",
    shards: int = 1,
    late: dict[str, int] | None = None,
    speakers: dict[str, str] | None = None,
    voiceless: tuple[str, ...] = (),
    shifted: dict[str, float] | None = None,
    feature: tuple[str, int] = (FEATURE_ID, FEATURES),
) -> CorpusTables:
    """Two clips per speaker and emotion, with the `feature` of that id and size. `lost`: clip id to frames without a
    face; `late`: frames of a late mouth; `speakers`: speaker to split; `voiceless`: clips without sound; `shifted`:
    clip id to what is added to its smile."""
    random = np.random.default_rng(7)
    clips, frames, speech = [], [], []
    for speaker, split in (speakers or SPEAKERS).items():
        for emotion in ("happy", "sad"):
            for take in (1, 2):
                clip = f"toy/{speaker}-{emotion}/{take}"
                features = random.normal(size=(frames_per_clip, feature[1])).astype(np.float32)
                states = np.full((frames_per_clip, len(STATE_NAMES)), 0.1, np.float32)
                states += random.uniform(0, 0.05, states.shape).astype(np.float32)
                states[:, STATE_NAMES.index("jawOpen")] = 1 / (1 + np.exp(-2 * features[:, 0]))
                states[:, STATE_NAMES.index("mouthSmileLeft")] = 0.8 if emotion == "happy" else 0.05
                states[:, STATE_NAMES.index("mouthSmileLeft")] += (shifted or {}).get(clip, 0.0)
                clips.append(_clip_row(clip, speaker, emotion, split, clip not in voiceless))
                frames.append(_frames(clip, states, (lost or {}).get(clip, ()), tracker))
                if clip in voiceless:
                    continue
                index = np.arange(frames_per_clip, dtype=np.int32)
                heard = np.roll(features, -(late or {}).get(clip, 0), axis=0)
                vectors = pa.array(list(heard), type=pa.list_(pa.float32()))
                columns = {"clip_id": [clip] * len(index), "frame_index": index, "features": vectors}
                columns["feature_id"] = [feature[0]] * len(index)
                speech.append(pa.table(columns, schema=SPEECH.schema()))
    write_table(CLIPS, clips, folder / "clips.parquet")
    paths: dict[str, list[Path]] = {"frames": [], "speech": []}
    for shard in range(shards):
        for name, spec, tables in (("frames", FRAMES, frames), ("speech", SPEECH, speech)):
            part = tables[shard::shards]
            rows = pd.concat(part, ignore_index=True) if spec is FRAMES else pa.concat_tables(part)
            path = folder / name / f"{shard}.parquet"
            write_table(spec, rows, path)
            paths[name].append(path)
    return CorpusTables(folder / "clips.parquet", paths["frames"], paths["speech"], "d" * 32 + ".dir")


def build(folder: Path, **tables: Any) -> TrainingSetInfo:
    """A training set in `folder / "set"`."""
    written = write_tables(folder / "tables", **tables)
    feature_id, _ = tables.get("feature", (FEATURE_ID, FEATURES))
    return build_training_set({"toy": written}, preset().training_set, feature_id, folder / "set")
