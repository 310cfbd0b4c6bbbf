"""Training sets and training runs: what goes in, and that an interrupted run ends like an unbroken one."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_fixtures import BLIND, FEATURE_ID, FEATURES, SPEAKERS, build, preset, write_tables

from magictalk_core.config import QualityConfig, TrainingSetConfig
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.errors import MagicTalkError, PermanentError, UserError
from magictalk_core.models.emodiff.family import EMODIFF
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.emodiff.task import DenoisingWindows, EmoDiffTask
from magictalk_core.models.families import family_named
from magictalk_core.storage.schema import CLIPS
from magictalk_core.training.fit import average_decay, learning_rate
from magictalk_core.training.run import current_run, finished_run, run_digest, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.assemble import training_corpora
from magictalk_core.training_set.build import build_training_set
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.style_clips import style_clips
from magictalk_core.vocabulary.arkit import STATE_NAMES
from magictalk_core.workspace import Workspace


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training-set")
    build(folder)
    return folder / "set"


class _Interrupted(Exception):
    pass


class _Unplugged(MemoryTracker):
    """Dies at the first report after `step`: in the middle of a run, after its checkpoint."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        super().metrics(values, step)
        if step > self._step:
            raise _Interrupted


def test_a_training_set_packs_every_clip_and_leaves_out_blind_channels(data: Path) -> None:
    found = TrainingSet.open(data)
    assert found.states.shape == (20 * 40, len(STATE_NAMES) - 1) and found.features.shape == (20 * 40, FEATURES)
    assert BLIND not in found.channels and "jawOpen" in found.channels
    assert found.index["split"].value_counts().to_dict() == {"train": 12, "val": 4, "test": 4}
    mean = np.asarray(found.states)[: 12 * 40].mean(axis=0)
    assert found.index["split"].iloc[:12].eq("train").all()
    np.testing.assert_allclose(found.normalizer["states"]["mean"], mean, atol=1e-5)


def test_the_digest_depends_on_the_content_and_not_on_the_shards(tmp_path: Path) -> None:
    one, three = build(tmp_path / "a"), build(tmp_path / "b", shards=3)
    assert one.digest == three.digest
    assert build(tmp_path / "c", frames_per_clip=41).digest != one.digest


def test_short_gaps_are_bridged_and_long_ones_cut_the_clip(tmp_path: Path) -> None:
    lost = {"toy/m1-happy/1": (10, 11), "toy/m1-happy/2": tuple(range(17, 24)), "toy/m1-sad/1": tuple(range(3, 37))}
    build(tmp_path, lost=lost)
    found = TrainingSet.open(tmp_path / "set")
    spans = {clip: rows["length"].tolist() for clip, rows in found.index.groupby("clip_id")}
    assert spans["toy/m1-happy/1"] == [40]
    assert spans["toy/m1-happy/2"] == [17, 16]
    assert "toy/m1-sad/1" not in spans
    assert np.isfinite(found.states).all()


def test_different_trackers_do_not_mix(tmp_path: Path) -> None:
    tables = {"a": write_tables(tmp_path / "a"), "b": write_tables(tmp_path / "b", tracker="other/1")}
    with pytest.raises(PermanentError, match="one tracker kind, found"):
        build_training_set(tables, preset().training_set, "logmel-29-1", tmp_path / "set")
    with pytest.raises(PermanentError, match="expected feature `deepspeech-1`"):
        build_training_set({"a": tables["a"]}, preset().training_set, "deepspeech-1", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_an_interrupted_run_ends_with_the_bytes_of_an_unbroken_one(data: Path, tmp_path: Path) -> None:
    whole = train(EMODIFF, preset(), data, tmp_path / "whole", MemoryTracker())
    with pytest.raises(_Interrupted):
        train(EMODIFF, preset(), data, tmp_path / "broken", _Unplugged(10))
    (run,) = (p for p in (tmp_path / "broken").iterdir())
    assert (run / "step-00000010").is_dir() and not (run / "model").exists()
    with pytest.raises(UserError, match="no trained model"):
        current_run(tmp_path / "broken")
    tracker = MemoryTracker()
    resumed = train(EMODIFF, preset(), data, tmp_path / "broken", tracker)
    assert tracker.logged["metrics"][0][0] == 20, "the second start begins at the checkpoint"
    assert resumed.weights_md5 == whole.weights_md5 and resumed.curves.read_bytes() == whole.curves.read_bytes()
    assert tracker.finished


def test_finished_work_is_not_done_again_and_other_work_is(data: Path, tmp_path: Path) -> None:
    first = train(EMODIFF, preset(), data, tmp_path, MemoryTracker())
    untouched = MemoryTracker()
    assert train(EMODIFF, preset(), data, tmp_path, untouched) == first
    assert untouched.logged["metrics"] == []
    other = train(EMODIFF, preset(network={"hidden": 16}), data, tmp_path, MemoryTracker())
    assert other.path != first.path and current_run(tmp_path) == other


def test_a_finished_run_is_found_without_torch_and_is_then_the_current_one(data: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "emodiff", preset(network={"hidden": 16})
    assert finished_run(EMODIFF, preset(), data, out) is None
    first, second = (train(EMODIFF, asked, data, out, MemoryTracker()) for asked in (preset(), other))
    assert finished_run(EMODIFF, preset(), data, out) == first == current_run(out) != second
    code = "import sys; from magictalk_core.training.run import finished_run; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


def test_the_identity_of_a_run_leaves_out_what_changes_nothing(data: Path) -> None:
    opened = TrainingSet.open(data)

    def digest(**sections: dict[str, object]) -> str:
        return run_digest(EMODIFF, preset(**sections).emodiff, opened)

    base = digest()
    assert digest(training={"keep_checkpoints": 9}) == base
    assert digest(sampling={"guidance": 0.7, "sampler": "ddim", "evaluations": 9}) == base
    assert digest(network={"hidden": 64}) != base and digest(training={"epochs": 3}) != base


def test_a_clip_of_the_test_split_trains_nothing_again_and_one_of_another_does(data: Path, tmp_path: Path) -> None:
    first = train(EMODIFF, preset(), data, tmp_path / "out", MemoryTracker())
    sets = {
        "with another test speaker": build(tmp_path / "a", speakers=SPEAKERS | {"w4": "test"}),
        "with a changed test clip": build(tmp_path / "b", shifted={"toy/w3-sad/1": 0.1}),
        "with a changed training clip": build(tmp_path / "c", shifted={"toy/m2-sad/1": 0.1}),
        "with a changed validation clip": build(tmp_path / "d", shifted={"toy/w2-sad/1": 0.1}),
    }
    assert len({info.digest for info in sets.values()}) == 4, "the digest of the whole set tells all of them apart"
    found = {}
    for name, folder in zip(sets, "abcd", strict=True):
        tracker = MemoryTracker()
        trained = train(EMODIFF, preset(), tmp_path / folder / "set", tmp_path / "out", tracker)
        found[name] = (len(tracker.logged["metrics"]) > 0, trained.path == first.path)
    trains_nothing, trains = (False, True), (True, False)
    assert found == dict(zip(sets, (trains_nothing, trains_nothing, trains, trains), strict=True))


def test_a_training_sees_the_same_numbers_whatever_the_test_split_holds(data: Path, tmp_path: Path) -> None:
    """Speakers of the test split before and between those that are learned from change no bit of a model."""
    first = train(EMODIFF, preset(), data, tmp_path / "one", MemoryTracker())
    others = {"m1": "train", "m2": "train", "w1": "train", "w2": "val"}
    build(tmp_path / "b", speakers=others)
    second = train(EMODIFF, preset(), tmp_path / "b" / "set", tmp_path / "two", MemoryTracker())
    assert second.weights_md5 == first.weights_md5


def test_a_clip_without_a_voice_gives_its_style_and_no_speech(tmp_path: Path) -> None:
    voiceless = tuple(f"toy/{who}-happy/{take}" for who in ("m1", "m2", "w1") for take in (1, 2))
    tables = write_tables(tmp_path / "tables", voiceless=voiceless)
    info = build_training_set(
        {"toy": tables}, preset().training_set, FEATURE_ID, tmp_path / "set", styles=frozenset(voiceless)
    )
    assert info.counts["clips"] == 14 and info.counts["clips_style_only"] == 6
    data = TrainingSet.open(tmp_path / "set")
    rows = data.index.set_index("clip_id")
    assert set(rows.index[rows["use"] == "style"]) == set(voiceless)
    windows = DenoisingWindows(data, preset().emodiff.network, preset().emodiff.training)
    spoken = np.asarray(np.isfinite(np.asarray(data.features)).all(axis=1))
    assert spoken.sum() == 14 * 40 and spoken[windows.places(windows.order.starts).numpy()].all()
    assert np.isfinite(data.normalizer["features"]["mean"]).all()
    trained = train(EMODIFF, preset(), tmp_path / "set", tmp_path / "out", MemoryTracker())
    styles = StyleBank.load(trained.path)
    smile = data.channels.index("mouthSmileLeft")
    assert styles.frames("happy")[:, smile].min() > 0.7 and styles.frames("sad")[:, smile].max() < 0.2


def test_a_rejected_clip_serves_as_style_only_where_nothing_but_the_voice_is_wrong() -> None:
    good: dict[str, Any] = dict.fromkeys(CLIPS.names)
    good |= {"status": "rejected", "reason": "no_audio", "split": "train", "n_frames": 50, "duration_s": 2.0}
    good |= {"loudest_dbfs": None, "audio_excess_s": None, "face_share": 1.0, "second_face_share": 0.0}
    good |= {"face_px": 200.0, "sharpness": 50.0, "yaw_deg": 5.0, "frozen_share": 0.0}
    rows = {
        "mute": good,
        "silent": good | {"reason": "silent", "loudest_dbfs": -math.inf, "audio_excess_s": -1.0},
        "accepted": good | {"status": "ok", "reason": None},
        "no face": good | {"reason": "no_face"},
        "also without a face": good | {"face_share": 0.1},
        "held out": good | {"split": "test"},
        "not decoded": good | {"n_frames": None},
        "withdrawn": good | {"status": "withdrawn"},
    }
    found = style_clips((row | {"clip_id": name} for name, row in rows.items()), QualityConfig())
    assert found == {"mute", "silent"}


def test_another_guidance_trains_nothing_again(data: Path, tmp_path: Path) -> None:
    first = train(EMODIFF, preset(), data, tmp_path, MemoryTracker())
    untouched = MemoryTracker()
    again = train(EMODIFF, preset(sampling={"guidance": 0.9}), data, tmp_path, untouched)
    assert again == first and untouched.logged["metrics"] == []
    asked = preset(sampling={"guidance": 0.9}).emodiff.sampling
    assert EmoDiffModel.load(again.path, sampling=asked).sampling.guidance == 0.9
    assert EmoDiffModel.load(again.path).sampling.guidance == preset().emodiff.sampling.guidance


def test_the_running_average_forgets_the_random_start(data: Path, tmp_path: Path) -> None:
    """A decay of 0.9999 without a warm-up leaves the start in the average of a short training."""
    settings = preset(training={"ema": 0.9999, "epochs": 10})
    trained = train(EMODIFF, settings, data, tmp_path, MemoryTracker())
    task = EmoDiffTask(settings.emodiff, TrainingSet.open(data))
    torch.manual_seed(settings.emodiff.training.seed)
    start = task.build_network().state_dict()
    last = load_file(max(trained.path.parent.glob("step-*")) / "model.safetensors")
    shipped = load_file(trained.path / "model.safetensors")
    distances = [
        sum(float((shipped[name] - other[name]).square().sum()) for name in shipped) for other in (start, last)
    ]
    assert distances[1] < 0.2 * distances[0]
    assert average_decay(0.9999, 0) == 0.1 and average_decay(0.9999, 10**6) == 0.9999


def test_training_learns_what_the_speech_says(data: Path, tmp_path: Path) -> None:
    training = {"epochs": 30, "batch": 16, "learning_rate": 5e-3, "loss": "velocity"}
    longer = preset(network={"noise_skip": True}, training=training, sampling={"evaluations": 8})
    trained = train(EMODIFF, longer, data, tmp_path, MemoryTracker())
    model, opened = EmoDiffModel.load(trained.path), TrainingSet.open(data)
    start, length = opened.index[opened.index["split"] == "test"].iloc[0][["start", "length"]]
    truth = np.asarray(opened.states[start : start + length])
    motion = model.generate(np.asarray(opened.features[start : start + length]), truth[:3])
    jaw = opened.channels.index("jawOpen")
    assert np.corrcoef(motion[:, jaw], truth[:, jaw])[0, 1] > 0.5


def test_errors_name_the_remedy(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model family `lips`"):
        family_named("lips")
    with pytest.raises(MagicTalkError, match="magictalk run --select training_set"):
        train(EMODIFF, preset(), tmp_path / "nothing", tmp_path, MemoryTracker())


def test_the_learning_rate_falls_by_a_cosine() -> None:
    config = preset().emodiff.training
    assert learning_rate(config, 70, 100) == config.learning_rate
    cosine = config.model_copy(update={"decay": "cosine"})
    rates = [learning_rate(cosine, step, 100) / config.learning_rate for step in (0, 50, 100)]
    assert rates == pytest.approx([1.0, 0.51, 0.02])


def test_a_corpus_registered_without_training_is_not_packed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home")
    for name, training in (("films", True), ("again", False)):
        add_corpus(workspace, new_entry(name=name, kind="folder", root=tmp_path, training=training))
    both = ("again", "films")
    assert training_corpora(workspace, both, TrainingSetConfig()) == ("films",)
    assert training_corpora(workspace, both, TrainingSetConfig(corpora=both)) == both
    with pytest.raises(UserError, match=r"training_set\.corpora names \['other'\]"):
        training_corpora(workspace, both, TrainingSetConfig(corpora=("other",)))
