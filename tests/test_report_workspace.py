"""The report of a real workspace says what is true of it. Models are notes of trainings, tables and sets are real.

`filmed` is trained on and tested; `made` has the layout of HDTF and holds synthetic clips; `spare` was not chosen.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.registry import CorpusEntry, add_corpus, load_corpus, new_entry
from magictalk_core.errors import PermanentError
from magictalk_core.evaluation import clip_facts, clip_scores
from magictalk_core.evaluation.clip_scores import write_summary
from magictalk_core.evaluation.comparison import render_comparisons
from magictalk_core.evaluation.generate import motion_rows
from magictalk_core.evaluation.stand_ins import NONE, PartsUsed, stand_ins_text
from magictalk_core.evaluation.sync_scores import JUDGE_METRICS, SYNC_METRICS
from magictalk_core.evaluation.table import Spoken, score_clip, score_ground_truth
from magictalk_core.faces.extract import frames_table
from magictalk_core.faces.observation import NO_FACE, FaceObservation
from magictalk_core.models.sync_expert.family import SYNC_JUDGES
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.report.assemble import assemble_report
from magictalk_core.report.training_use import training_use
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.rig import save_rig
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, MOTION, SCORES, SPEECH
from magictalk_core.training_set.assemble import assemble_training_set, corpus_tables
from magictalk_core.training_set.build import Excluded, build_training_set
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.sync_gate import ClipSync, SpeakerJudge
from magictalk_core.vocabulary.arkit import ARKIT_NAMES
from magictalk_core.work.manifest import build_manifest
from magictalk_core.workspace import Workspace
from pipelines.demo import prepare_demo, summarize_demo
from tests.test_corpora_gates import clip

FEATURE = "logmel-29-1"
TRACKERS = {"filmed": "litert-geometric/2", "made": "litert-geometric/1", "spare": "mediapipe/3"}
PRESET = Preset.model_validate(
    {
        "name": "tiny",
        "speech": {"feature": "deepspeech-small-1"},
        "training_set": {"window": 16, "corpora": ["filmed", "made"]},
        "emodiff": {"training": {"seed": 11}},
        "evaluation": {"seed": 77},
    }
)
HOSTILE = "<b>W1 | `x`</b>"
FILMED = (
    # name, split, frames, frames that lose the face, licence, status
    ("whole", "train", 50, (), "CC BY 4.0", "ok"),
    ("cut", "train", 50, range(20, 30), "CC BY 4.0", "ok"),
    ("scraps", "train", 50, [i for i in range(50) if i % 14 < 7], "CC BY 4.0", "ok"),
    ("leaks", "train", 50, (), "CC BY 4.0", "ok"),
    ("late", "train", 50, (), "CC BY 4.0", "ok"),
    ("dark", "train", 50, (), "other terms of a rejected clip", "rejected"),
    ("seen", "val", 50, (), "CC BY 4.0", "ok"),
    ("asked", "test", 50, (), "CC0", "ok"),
    ("faceless", "test", 50, (), "CC0", "ok"),
)


class LateIsOut:
    """A sync gate that leaves out the clip `late`, told by the level of its speech."""

    digest = "0" * 32

    def __call__(self, motion: NDArray[np.float32], speech: NDArray[np.float32], feature_id: str) -> ClipSync:
        late = bool(speech.mean() > 5)
        return ClipSync("mismatch" if late else "matched", not late, 0, 0, 0.5, 0.5)


def _clip_tables(clip_id: str, name: str, n: int, lost: Any, tracker: str) -> tuple[pa.Table, pa.Table]:
    random = np.random.default_rng(len(name))

    def one(i: int) -> FaceObservation:
        values = random.uniform(0.1, 0.3, 52).astype(np.float32)
        values[ARKIT_NAMES.index("jawOpen")] = 0.3 + 0.2 * np.sin(i / 3)
        return NO_FACE if i in lost else FaceObservation(True, 0.9, None, values, np.ones(6, np.float32))

    features = random.normal(size=(n, 29)).astype(np.float32) + (10 if name == "late" else 0)
    columns = {
        "clip_id": [clip_id] * n,
        "frame_index": np.arange(n, dtype=np.int32),
        "features": pa.array(list(features), type=pa.list_(pa.float32())),
        "feature_id": [FEATURE] * n,
    }
    return frames_table(clip_id, map(one, range(n)), tracker), pa.table(columns, schema=SPEECH.schema())


def _corpus(workspace: Workspace, entry: CorpusEntry, clips: Any) -> None:
    add_corpus(workspace, entry)
    rows, frames, speech = [], [], []
    for name, split, n, lost, licence, status in clips:
        row = clip(name, speaker=HOSTILE, emotion=HOSTILE, split=split, licence=licence, status=status, n_frames=n)
        row |= {"clip_id": f"{entry.name}/s/{name}", "corpus": entry.name, "duration_s": n / 25}
        rows.append(row | {"reason": "silent" if status == "rejected" else None})
        one = _clip_tables(row["clip_id"], name, n, lost, TRACKERS[entry.name])
        frames.append(one[0])
        speech.append(one[1])
    write_table(CLIPS, rows, workspace.clips_table(entry.name))
    write_table(FRAMES, pa.concat_tables(frames), workspace.shard_table(entry.name, "blendshapes", "b0"))
    write_table(SPEECH, pa.concat_tables(speech), workspace.shard_table(entry.name, "speech", "b0"))
    build_manifest(workspace.dataset(entry.name), workspace.manifest(entry.name))


def _trained(workspace: Workspace, family: str) -> None:
    run = workspace.models(family) / "run"
    write_text(
        run / "result.json", json.dumps({"weights_md5": f"w-{family}", "run_id": "r", "metrics": {}, "measured": {}})
    )
    write_text(run / "curves.csv", "step,metric,value\n1,loss/train,0.5\n2,loss/train,0.4\n")
    write_text(run / "model" / "model.safetensors", family)
    write_text(run / "model" / "config.json", json.dumps({"audio2bs": "w-audio2bs"}))
    write_text(workspace.models(family) / "newest.json", json.dumps({"run": "run"}))


def _results(workspace: Workspace) -> None:
    """Motion, scores, and a comparison video of one of the two test clips."""
    reader, rig = CorpusReader(workspace, "filmed"), builtin_rig()
    save_rig(rig, workspace.rig / "rig.npz")
    parts = PartsUsed.of(workspace, ["filmed", "made", "spare"], rig.name)
    rows, tables = [], []
    for name in ("asked", "faceless"):
        clip_id = f"filmed/s/{name}"
        truth, _ = reader.motion(clip_id)
        spoken = Spoken(np.ones(len(truth), bool), None)
        rows += score_ground_truth(clip_id, truth, 16, rig, spoken)
        for method in ("magictalk", "mean_motion"):
            rows += score_clip(clip_id, method, truth, truth * np.float32(0.9), rig, 16, spoken)
        tables.append(motion_rows(clip_id, "magictalk", truth))
    scores = [{**row, "stand_ins": stand_ins_text(parts, row["method"], row["metric"])} for row in rows]
    write_table(SCORES, scores, workspace.scores / "scores.parquet")
    write_summary(workspace)
    write_table(MOTION, pd.concat(tables, ignore_index=True), workspace.refined("test") / "motion.parquet")
    styles = {"filmed/s/asked": "filmed/s/seen", "filmed/s/faceless": "filmed/s/seen"}
    write_text(workspace.generated("test") / "styles.json", json.dumps(styles))
    videos = workspace.videos / "comparison"
    listed = [
        {"clip_id": "filmed/s/asked", "file": "a.mp4", "reason": None},
        {"clip_id": "filmed/s/faceless", "file": None, "reason": "no face found in the frame"},
    ]
    write_text(videos / "comparisons.json", json.dumps(listed))
    (videos / "a.mp4").write_bytes(b"not looked into")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("report")
    workspace = Workspace(folder / "home")
    (folder / "raw").mkdir()
    entry = new_entry(name="filmed", kind="folder", root=folder / "raw", licence="what the entry says")
    _corpus(workspace, entry, FILMED)
    made = new_entry(name="made", kind="hdtf", root=folder / "raw", licence="CC0", split="train", synthetic=True)
    _corpus(workspace, made, [("one", "train", 75, (), "CC0", "ok")])
    spare = new_entry(name="spare", kind="folder", root=folder / "raw")
    _corpus(workspace, spare, [("two", "train", 50, (), "unknown", "ok")])
    tables = {corpus: corpus_tables(workspace, corpus) for corpus in ("filmed", "made")}
    leaks = {"filmed/s/leaks": Excluded("filmed/s/leaks", "leaking_copy", "the same recording as filmed/s/asked")}
    build_training_set(tables, PRESET.training_set, FEATURE, workspace.training_set, leaks, LateIsOut())
    for family in ("emodiff", "audio2bs", "lip_residue"):
        _trained(workspace, family)
    _results(workspace)
    return workspace


@pytest.fixture(scope="module")
def page(finished: Workspace) -> str:
    return assemble_report(finished, ["filmed", "made", "spare"], PRESET).path.read_text(encoding="utf-8")


def section(page: str, name: str) -> str:
    """The HTML of a section."""
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def rows(html: str) -> list[list[str]]:
    """The text of the cells of every table row."""
    found = re.findall(r"<tr[^>]*>(.*?)</tr>", html, flags=re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, flags=re.DOTALL) for row in found]
    return [[" ".join(unescape(re.sub("<[^>]*>", " ", cell)).split()) for cell in row] for row in cells]


def corpus_row(page: str, name: str) -> list[str]:
    return next(row for row in rows(section(page, "provenance")) if row[0].split()[0] == name)


def fact(page: str, label: str) -> str:
    found = re.search(rf"<dt>{label}</dt>\s*<dd><code>(.*?)</code>", page)
    assert found is not None, label
    return found[1]


def test_used_for_training_is_what_was_packed(page: str) -> None:
    data = rows(section(page, "data"))
    assert [row for row in data if row[0] == "used for training"] == [
        # `whole` has 50 frames, `cut` 40 on both sides of its gap; 75 frames of `made`; `spare` was not chosen.
        ["used for training", "2", "0.1"],
        ["used for training", "1", "0.1"],
        ["used for training", "0", "0.0"],
    ]
    assert "learned from 3 clips (0.1 min) of the corpora filmed and made." in page


def test_the_minutes_are_those_of_the_packed_frames(finished: Workspace) -> None:
    clips = pd.concat([read_frame(CLIPS, finished.clips_table(c)) for c in ("filmed", "made", "spare")])
    use = training_use(TrainingSet.open(finished.training_set), clips)
    assert use.seconds == {"filmed/s/whole": 2.0, "filmed/s/cut": 1.6, "made/s/one": 3.0}


def test_clips_that_were_not_learned_from_have_their_reasons(page: str) -> None:
    reasons = {row[0].split()[0]: row[1] for row in rows(section(page, "data")) if len(row) == 3 and row[1] == "1"}
    assert {"leaking_copy", "out_of_sync", "too_short", "corpus_not_chosen", "silent"} <= set(reasons)


def test_licences_are_those_of_the_accepted_clips(page: str) -> None:
    assert corpus_row(page, "filmed")[4] == "CC BY 4.0 (6 clips) CC0 (2 clips)"
    assert "what the entry says" not in page and "rejected clip" not in page


def test_trackers_are_those_of_the_rows_whatever_auto_means_now(page: str) -> None:
    for corpus, tracker in TRACKERS.items():
        assert corpus_row(page, corpus)[3] == tracker


def test_speech_features_are_those_that_were_packed(page: str) -> None:
    assert fact(page, "Speech features") == FEATURE


def test_a_silent_clip_of_a_corpus_is_packed_for_its_style(finished: Workspace, tmp_path: Path) -> None:
    home = Workspace(tmp_path / "home")
    shutil.copytree(finished.home, home.home)
    settings = PRESET.model_copy(update={"speech": PRESET.speech.model_copy(update={"feature": FEATURE})})

    def no_judge(path: Path) -> SpeakerJudge:
        raise AssertionError("no gate is asked for")

    info = assemble_training_set(home, ["filmed", "made", "spare"], settings, no_judge)
    packed = TrainingSet.open(home.training_set).index
    assert set(packed["clip_id"][packed["use"] == "style"]) == {"filmed/s/dark"}
    assert info.counts["clips_style_only"] == 1
    use = training_use(TrainingSet.open(home.training_set), read_frame(CLIPS, home.clips_table("filmed")))
    assert "filmed/s/dark" not in use.seconds, "nothing is learned from its silence"


def test_without_a_test_clip_the_report_shows_what_there_is(finished: Workspace, tmp_path: Path) -> None:
    """Scores and videos that lie there are those of another selection of corpora."""
    home = Workspace(tmp_path / "home")
    shutil.copytree(finished.home, home.home)
    shown = assemble_report(home, ["made", "spare"], PRESET).path.read_text(encoding="utf-8")
    assert "Nothing is scored yet." in shown and '<section id="videos"' not in shown
    assert ["used for training", "1", "0.1"] in rows(section(shown, "data"))
    shutil.rmtree(home.tables)
    assert assemble_report(home, ["made", "spare"], PRESET).path.read_text(encoding="utf-8") == shown
    with pytest.raises(
        PermanentError, match=r"summary\.csv is not there: type `magictalk run --select tables/summary`"
    ):
        assemble_report(home, ["filmed", "made", "spare"], PRESET)


def test_the_seed_is_that_of_generation(page: str) -> None:
    assert fact(page, "Seed of generation") == "77"


def test_synthetic_clips_in_a_layout_of_filmed_ones_are_marked(page: str) -> None:
    assert "SYNTHETIC" in corpus_row(page, "made")[0]
    assert "SYNTHETIC" not in corpus_row(page, "filmed")[0]


def test_lips_are_no_stand_in_and_their_models_are_named(page: str) -> None:
    assert [row[0] for row in rows(section(page, "stand-ins"))[1:]] == [
        "tracker",
        "tracker",
        "speech",
        "rig",
        "portrait",
    ]
    assert "mouth as the diffusion model gives it" not in page
    assert fact(page, "Weights of audio2bs") == "w-audio2bs" and fact(page, "Weights of lip_residue") == "w-lip_residue"


def test_every_number_of_the_page_names_its_stand_ins(page: str) -> None:
    meanings = re.findall(r'<p class="meaning">(.*?)</p>', section(page, "scores"), flags=re.DOTALL)
    tracked = "Stand-ins: tracker=litert-geometric/1; tracker=litert-geometric/2"
    assert meanings and all(tracked in meaning for meaning in meanings)
    for meaning in meanings:
        on_the_rig = any(name in meaning for name in ("lmd_rig", "seen_closure"))
        assert ("rig=magictalk-builtin" in meaning) == on_the_rig


def test_a_tracker_that_no_number_used_is_no_stand_in(finished: Workspace) -> None:
    assert PartsUsed.of(finished, ["filmed", "made", "spare"]).trackers == ("litert-geometric/1", "litert-geometric/2")


def test_the_video_that_could_not_be_made_is_named_and_why(page: str) -> None:
    videos = section(page, "videos")
    assert ["filmed/s/faceless", "no face found in the frame"] in rows(videos)
    assert videos.count("<video") == 1 and "comparison/a.mp4" in videos


def test_without_any_video_the_report_appears_and_says_so(finished: Workspace, tmp_path: Path) -> None:
    videos = finished.videos / "comparison"
    listed = (videos / "comparisons.json").read_text()
    none = [{"clip_id": "filmed/s/asked", "file": None, "reason": "no face"}]
    try:
        write_text(videos / "comparisons.json", json.dumps(none))
        page = assemble_report(finished, ["filmed", "made", "spare"], PRESET).path.read_text(encoding="utf-8")
    finally:
        write_text(videos / "comparisons.json", listed)
    assert "No comparison video could be made." in page and ["filmed/s/asked", "no face"] in rows(page)
    assert "mesh-texture-warp" not in page, "no portrait was animated"


def test_names_from_the_data_are_text_on_the_page(page: str) -> None:
    assert "<b>W1" not in page and page.count("&lt;b&gt;W1 | `x`&lt;/b&gt;") >= 2


def test_the_summary_and_the_console_carry_the_stand_ins(finished: Workspace) -> None:
    table = pd.read_csv(finished.tables / "summary.csv").set_index(["method", "metric"])["stand_ins"]
    tracked = "tracker=litert-geometric/1; tracker=litert-geometric/2"
    assert table["mean_motion", "mae_mouth"] == tracked
    assert table["magictalk", "mae_mouth"] == f"{tracked}; speech={FEATURE}"
    assert table["magictalk", "lmd_rig_px256"] == f"{tracked}; speech={FEATURE}; rig=magictalk-builtin-2"
    assert table["ground_truth", "blinks_per_minute"] == tracked
    assert f"with stand-ins: {tracked}; speech={FEATURE}\n" in summarize_demo(finished)


class _DeafExpert:
    @classmethod
    def load(cls, path: Path) -> _DeafExpert:
        return cls()


def test_scores_carry_their_stand_ins_row_by_row(finished: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def values(*_: Any) -> dict[str, float | None]:
        return dict.fromkeys(SYNC_METRICS, 0.5)

    monkeypatch.setattr(clip_scores, "SyncExpertModel", _DeafExpert)
    monkeypatch.setattr(clip_scores, "sync_values", values)
    monkeypatch.setattr(clip_scores, "load_judges", lambda folders: ())
    monkeypatch.setattr(clip_scores, "judged_sync", lambda *_: dict.fromkeys(JUDGE_METRICS, 0.5))
    monkeypatch.setattr(clip_facts, "LoudnessReader", lambda workspace: lambda clip: np.zeros(50))
    for family in ("sync_expert", *(judge.name for judge in SYNC_JUDGES)):
        _trained(finished, family)
    motion = read_frame(MOTION, finished.refined("test") / "motion.parquet")
    write_table(MOTION, motion.assign(method="mean_motion"), finished.generated("test") / "motion.parquet")
    elsewhere = Workspace(finished.home)
    monkeypatch.setattr(Workspace, "scores", property(lambda self: self.home / "scores_again"))
    table = read_frame(SCORES, clip_scores.score_test_motion(elsewhere, ["filmed", "made"], PRESET).path)
    found = table.groupby(["method", "metric"])["stand_ins"].agg(set)
    tracked = "tracker=litert-geometric/1; tracker=litert-geometric/2"
    assert found["mean_motion", "mae_mouth"] == {tracked}
    assert found["ground_truth", "sync_expert_distance"] == {f"{tracked}; speech={FEATURE}; sync=sync_expert"}
    assert found["chance", "sync_judge_distance"] == {f"{tracked}; speech={FEATURE}; sync=sync_expert_judges"}
    assert found["chance", "mae_mouth"] == {tracked}
    assert found["magictalk", "lmd_rig_px256"] == {f"{tracked}; speech={FEATURE}; rig=magictalk-builtin-2"}


def test_reference_parts_are_no_stand_ins() -> None:
    parts = PartsUsed(("mediapipe/3", "litert-blendshapes/2"), "deepspeech-0.9.3", "my avatar")
    assert stand_ins_text(parts, "magictalk", "lmd_rig_px256") == NONE
    assert stand_ins_text(parts, "ground_truth", "sync_expert_distance") == "sync=sync_expert"
    assert stand_ins_text(parts, "ground_truth", "style_accuracy") == "emotion=motion_emotion"
    ours = replace(parts, feature_id="deepspeech-small-1")
    assert stand_ins_text(ours, "mean_motion", "jaw_open_correlation") == NONE
    assert stand_ins_text(ours, "mean_motion", "sync_expert_distance") == "speech=deepspeech-small-1; sync=sync_expert"


def test_all_corpora_of_the_demo_are_marked_synthetic(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import pipelines.demo as demo

    def listed(root: Path, out: Path) -> dict[str, Path]:
        folders = {kind: out / kind for kind in ("hdtf", "talkinghead1kh")}
        for folder in folders.values():
            folder.mkdir(parents=True)
        return folders

    monkeypatch.setattr(demo, "build_sample_corpus", lambda root, **_: root.mkdir(parents=True))
    monkeypatch.setattr(demo, "build_listed_samples", listed)
    prepare_demo(workspace)
    for name in ("sample", "sample_hdtf", "sample_talkinghead1kh"):
        assert corpus_of(load_corpus(workspace, name)).is_synthetic


@pytest.mark.parametrize(
    ("lost", "asset", "make"),
    [
        ("scores/scores.parquet", "scores", lambda home: write_summary(home)),
        ("refined/test/motion.parquet", "refined", lambda home: render_comparisons(home, ["filmed"], PRESET)),
        ("rig/rig.npz", "rig", lambda home: assemble_report(home, ["filmed"], PRESET)),
        ("tables/summary.csv", "tables/summary", lambda home: assemble_report(home, ["filmed"], PRESET)),
    ],
)
def test_what_another_asset_makes_is_asked_for_in_one_line(
    finished: Workspace, tmp_path: Path, lost: str, asset: str, make: Callable[[Workspace], object]
) -> None:
    home = Workspace(tmp_path / "home")
    shutil.copytree(finished.home, home.home)
    (home.home / lost).unlink()
    with pytest.raises(PermanentError, match=rf"{lost} is not there: type `magictalk run --select {asset}`"):
        make(home)
