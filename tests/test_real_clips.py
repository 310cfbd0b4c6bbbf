"""The whole chain on the real clips of ../shared with the reference tracker: a few short ones, and (slow) all 22."""

from __future__ import annotations

import csv
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import av
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from chain_fixtures import tiny_preset

from benchmarks.sync_pairs import judge_pair
from magictalk_core.config import MediaConfig, QualityConfig
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.faces.detection import load_face_detector
from magictalk_core.media.signature import signature_distance
from magictalk_core.media.standardize import standardize_clip
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.training.run import current_model
from magictalk_core.work.manifest import read_manifest
from magictalk_core.workspace import Workspace
from tests.media_fixtures import ffmpeg

pytestmark = pytest.mark.shared
some_or_all = pytest.mark.parametrize(
    "chosen", ["few", pytest.param("all", marks=pytest.mark.slow)], indirect=True, scope="module"
)

HELD_OUT = {"latentsync_demo1.mp4", "videoretalking_5.mp4"}
VALIDATION = {"real3d_may_5s.mp4"}
FEW = {
    *(f"grid_{name}.mpg" for name in ("lwbsza", "pwij3p", "swiz3n")),
    *(f"mead_M030_{emotion}_level3_silent.mp4" for emotion in ("angry", "happy", "surprised")),
    *VALIDATION,
    "videoretalking_5.mp4",
}


def split(name: str) -> str:
    return "test" if name in HELD_OUT else "val" if name in VALIDATION else "train"


def speaker(name: str) -> str:
    """The person: two GRID clips and all MEAD clips of one actor show the same one."""
    parts = name.split(".")[0].split("_")
    if parts[0] == "mead":
        return parts[1]
    return "pwij3p" if "swwp2s" in name else "-".join(parts)


def emotion(name: str) -> str:
    return name.split("_")[2] if name.startswith("mead") else "neutral"


@pytest.fixture(scope="module")
def clips(shared: Path) -> Path:
    return shared / "samples" / "clips"


@pytest.fixture(scope="module")
def chosen(request: pytest.FixtureRequest, clips: Path) -> list[str]:
    """File names of the clips that are used: some, or all."""
    names = sorted(p.name for p in clips.iterdir() if p.suffix in (".mp4", ".mpg"))
    return names if request.param == "all" else [name for name in names if name in FEW]


@pytest.fixture(scope="module")
def finished(shared: Path, clips: Path, chosen: list[str], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder, names = tmp_path_factory.mktemp("real"), chosen
    (folder / "clips").mkdir()
    for name in names:
        (folder / "clips" / name).symlink_to(clips / name)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "speaker", "emotion", "split"])
        writer.writerows([name, speaker(name), emotion(name), split(name)] for name in names)
    values = tiny_preset()
    values["faces"] |= {"tracker": "auto"}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values))
    workspace = Workspace(folder / "home")
    add_corpus(workspace, new_entry(name="real", kind="folder", root=folder / "clips", labels=folder / "labels.csv"))
    command = [sys.executable, "-m", "pipelines.cli", "run", "--home", str(workspace.home), "--preset"]
    environment = os.environ | {"MAGICTALK_WEIGHTS": str(shared / "weights")}
    done = subprocess.run(
        [*command, str(folder / "tiny.yaml"), "--select", "+report", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcomes"]
    return workspace


def seconds_of_video(path: Path) -> float:
    """Length of the picture, which in one clip ends before the sound."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return float(container.duration or 0) / av.time_base


@some_or_all
def test_every_clip_is_a_row_and_silent_ones_say_so(finished: Workspace, chosen: list[str]) -> None:
    table = pd.read_parquet(finished.clips_table("real"))
    assert sorted(table["raw_path"]) == chosen
    is_silent = table["raw_path"].str.contains("silent")
    assert is_silent.sum() == sum("silent" in name for name in chosen)
    assert set(table[~is_silent]["status"]) == {"ok"}
    assert set(table[is_silent]["reason"]) == {"no_audio"}


@some_or_all
def test_every_clip_has_mediapipe_coefficients_for_its_whole_length(finished: Workspace, clips: Path) -> None:
    table = pd.read_parquet(finished.clips_table("real")).set_index("clip_id")
    frames = pd.concat(map(pd.read_parquet, sorted((finished.dataset("real") / "blendshapes").glob("*.parquet"))))
    counts = frames.groupby("clip_id").size()
    assert set(counts.index) == set(table.index)
    for clip_id, count in counts.items():
        expected = seconds_of_video(clips / table.loc[clip_id, "raw_path"]) * 25
        assert abs(count - expected) <= 1, (clip_id, count, expected)
    shard = next((finished.dataset("real") / "blendshapes").glob("*.parquet"))
    assert pq.read_schema(shard).metadata[b"tracker"].startswith(b"mediapipe/")
    assert frames["face_found"].mean() > 0.99
    assert frames["jawOpen"].between(0, 1).all() and frames.groupby("clip_id")["jawOpen"].std().gt(0.005).all()


@some_or_all
def test_snapshot_model_and_comparison_videos_with_sound(finished: Workspace, chosen: list[str]) -> None:
    lock = yaml.safe_load((finished.home / "dvc.lock").read_text())
    assert lock["stages"]["dataset@real"]["outs"][0]["md5"] == read_manifest(finished.manifest("real")).digest
    assert list(finished.models("emodiff").glob("*/model/model.safetensors"))
    # Nobody is angry or happy aloud in the clips that are learned from: the silent ones give these styles.
    assert {"angry", "happy", "surprised"} <= set(StyleBank.load(current_model(finished.models("emodiff"))).emotions)
    videos = sorted(finished.videos.rglob("*.mp4"))
    assert len(videos) == len(HELD_OUT & set(chosen))
    for video in videos:
        with av.open(str(video)) as container:
            assert container.streams.video and container.streams.audio


@pytest.mark.slow
@pytest.mark.parametrize("chosen", ["all"], indirect=True, scope="module")
def test_own_speech_fits_a_stranger_better_and_a_moved_clip_is_found(finished: Workspace) -> None:
    """Four of the 91 pairs that benchmarks/sync_pairs.py judges: the expert learned from the other twelve clips."""
    names = ["grid_lwbsza", "sadtalker_wda_aoc", "edtalk_obama_20s", "grid_swiz3n"]
    names += ["videoretalking_4", "grid_id2_swwp2s", "real3d_may_5s", "grid_pwij3p"]
    values = load_preset("sample").model_dump()
    values["sync_expert"]["training"] |= {"threads": 1}
    settings = Preset.model_validate(values)
    clip_ids = [f"real/{name}/full" for name in names]
    pairs = [
        judge_pair(pair, home=finished.home, corpus="real", preset=settings)
        for pair in zip(clip_ids[::2], clip_ids[1::2], strict=True)
    ]
    found = [clip for pair in pairs for clip in pair]
    assert sum(clip.own[0] > clip.strange[0] for clip in found) >= 6
    for clip in found:
        for frames in (10, -10):
            moved = clip.verdicts[frames]
            assert moved.verdict != "matched" and (moved.kept is False or moved.shift == moved.offset)


def test_signatures_know_a_recording_again_and_tell_people_apart(clips: Path, tmp_path: Path) -> None:
    """Encoded again, smaller and with other sound, a clip is the same; another sentence of the person is not."""
    names = ["grid_pwij3p.mpg", "grid_id2_swwp2s.mpg"]
    names += [f"mead_M030_{emotion}_level3_silent.mp4" for emotion in ("happy", "sad")]
    limit = QualityConfig().max_duplicate_distance
    signatures = []
    for name in names:
        worse = tmp_path / f"{name}.mp4"
        sound = ["-c:a", "libmp3lame", "-b:a", "64k", "-ar", "44100"]
        ffmpeg("-i", clips / name, "-vf", "scale=trunc(iw*0.3)*2:-2", "-crf", "30", *sound, worse)
        first, again = (
            standardize_clip(path, None, None, None, tmp_path, path.stem, MediaConfig(), load_face_detector)[
                "signature"
            ]
            for path in (clips / name, worse)
        )
        assert signature_distance(first, again) < limit, name
        signatures.append(first)
    for first, second in itertools.combinations(signatures, 2):
        assert signature_distance(first, second) > 1.4 * limit
