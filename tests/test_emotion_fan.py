"""Emotion-FAN: the public layout against a plain implementation, and the project's own from a training to a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from judge_fixtures import need, random_weights
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from training_fixtures import build

from magictalk_core.errors import MissingWeights, PermanentError
from magictalk_core.judges.emotion_fan import PUBLIC_LABELS, EmotionFan, FanNetwork, FanShape
from magictalk_core.judges.face_crops import FaceFinder
from magictalk_core.media.encode import write_video
from magictalk_core.metrics.complexity import count
from magictalk_core.models.emotion_fan.faces import ClipFaces
from magictalk_core.models.emotion_fan.task import EmotionFanTask
from magictalk_core.models.families import FAMILIES
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.sample_corpus.portraits import speaker_portrait
from magictalk_core.training.run import current_model, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import EMOTIONS

ASTRONAUT: NDArray[np.uint8] = skimage.data.astronaut()


# --- the public layout ---------------------------------------------------------------------------------------------


def _plain_verdict(w: dict[str, Tensor], faces: Tensor) -> Tensor:
    """ResNet-18 and the evaluation of yuangan/evaluation_eat, code/_acc_test.py, on weights by name."""

    def norm(x: Tensor, name: str) -> Tensor:
        running = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        return functional.batch_norm(x, *running, w[f"{name}.weight"], w[f"{name}.bias"])

    x = norm(functional.conv2d(faces, w["conv1.weight"], stride=2, padding=3), "bn1").relu()
    x = functional.max_pool2d(x, 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            out = norm(functional.conv2d(x, w[f"{name}.conv1.weight"], stride=stride, padding=1), f"{name}.bn1").relu()
            out = norm(functional.conv2d(out, w[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in w:
                x = norm(functional.conv2d(x, w[f"{name}.downsample.0.weight"], stride=stride), f"{name}.downsample.1")
            x = (out + x).relu()
    f = x.mean(dim=(2, 3))
    alpha = torch.sigmoid(functional.linear(f, w["alpha.0.weight"], w["alpha.0.bias"]))
    mean = (f * alpha).sum(0) / alpha.sum(0)
    both = torch.cat([f, mean.expand_as(f)], dim=1)
    beta = torch.sigmoid(functional.linear(both, w["beta.0.weight"], w["beta.0.bias"]))
    summed = (both * alpha).sum(0) / (alpha * beta).sum(0)
    return functional.linear(summed, w["pred_fc2.weight"], w["pred_fc2.bias"]).softmax(0)


def test_a_checkpoint_in_the_public_layout_loads_strictly_and_judges_as_the_field_does(tmp_path: Path) -> None:
    need("face_detection_short_range.tflite")
    network = FanNetwork(FanShape(is_public=True))
    weights = random_weights(network, seed=3)
    assert {n: tuple(v.shape) for n, v in weights.items() if n.startswith("pred")} == {
        "pred_fc1.weight": (8, 512), "pred_fc1.bias": (8,), "pred_fc2.weight": (8, 1024), "pred_fc2.bias": (8,),
    }  # fmt: skip
    assert sum(v.numel() for n, v in weights.items() if "tracked" not in n and "running" not in n) == 11_190_354
    path = tmp_path / "self_relation-attention_61_84.3655"
    torch.save({"epoch": 61, "state_dict": {f"module.{n}": v for n, v in weights.items()}}, path)
    judge = EmotionFan.load(path)
    assert judge.labels == PUBLIC_LABELS and judge.side == 224
    faces = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    found = judge.network(faces[None])[0].softmax(0)
    torch.testing.assert_close(found, _plain_verdict(weights, faces), atol=1e-5, rtol=1e-4)
    emotion = judge.emotion(ASTRONAUT[None])
    assert emotion.shape == (8,) and emotion.sum() == pytest.approx(1)
    assert judge.shown(np.zeros((2, 64, 64, 3), np.uint8)) is None
    torch.save({n: v for n, v in weights.items() if n != "beta.0.bias"}, path)
    with pytest.raises(PermanentError, match=r"does not fit FanNetwork.*beta\.0\.bias"):
        EmotionFan.load(path)
    with pytest.raises(MissingWeights, match=r"magictalk run --select models/emotion_fan"):
        EmotionFan.load(tmp_path / "nothing")


def test_its_size_is_that_of_a_resnet_18() -> None:
    """1.82 GMAC for 224 x 224, of which torchvision's head is 0.5 million."""
    network = FanNetwork(FanShape(is_public=True))
    found = count(network, torch.zeros(1, 1, 3, 224, 224))
    assert found.gmacs == pytest.approx(1.814, abs=0.002) and not found.uncounted
    assert found.parts["layer1"] == pytest.approx(4 * 64 * 64 * 9 * 56 * 56 / 1e9)


# --- the project's own ---------------------------------------------------------------------------------------------


def _preset() -> Preset:
    training = {"threads": 1, "batch": 4, "epochs": 30, "checkpoint_every": 50, "learning_rate": 5e-4, "ema": 0.5}
    network = {"side": 32, "width": 8, "blocks": 1}
    return Preset.model_validate({"name": "tiny", "emotion_fan": {"network": network, "training": training}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy training set whose happy clips show a smiling astronaut and whose sad ones the same face at rest, and a
    model that was trained on it."""
    need("face_detection_short_range.tflite")
    path = tmp_path_factory.mktemp("fan")
    build(path)
    (path / "videos").mkdir()
    smile, rest = ASTRONAUT[:256, 96:352], speaker_portrait("W901")[0]
    for number, clip in enumerate(sorted(set(TrainingSet.open(path / "set").index["clip_id"]))):
        whole, reach = (smile, 10) if "happy" in clip else (rest[48:336, 48:336], 14)
        start = number % reach
        picture = np.ascontiguousarray(whole[start : start + 240, start : start + 240])
        write_video(path / "videos" / f"{clip.replace('/', '_')}.mp4", [picture] * 4, 25, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CorpusReader, "media", lambda reader, clip: (_video(reader, clip), None))
        train(FAMILIES["emotion_fan"], _preset(), path / "set", path / "emotion_fan", MemoryTracker())
    return path


def _video(reader: CorpusReader, clip: str) -> Path:
    return reader.workspace.home / "videos" / f"{clip.replace('/', '_')}.mp4"


@pytest.mark.slow
def test_a_trained_model_names_the_emotion_and_a_wrong_emotion_lowers_the_accuracy(folder: Path) -> None:
    """On clips of the test speaker, whom the training never saw."""
    judge = EmotionFan.load(current_model(folder / "emotion_fan"))
    assert judge.labels == EMOTIONS and judge.side == 32
    smile, rest = ASTRONAUT[:256, 96:352], speaker_portrait("W901")[0][44:340, 44:340]
    shown = [judge.shown(np.stack([picture] * 2)) for picture in (smile, rest)]
    accuracy = np.mean([a == b for a, b in zip(shown, ("happy", "sad"), strict=True)])
    swapped = np.mean([a == b for a, b in zip(shown, ("sad", "happy"), strict=True)])
    assert accuracy == 1 and swapped == 0
    with pytest.raises(PermanentError, match="at least one frame"):
        judge.emotion(np.zeros((0, 8, 8, 3), np.uint8))


def test_what_a_model_says_of_itself(folder: Path) -> None:
    config = json.loads((current_model(folder / "emotion_fan") / "config.json").read_text())
    assert config["labels"] == list(EMOTIONS) and config["validation_clips"] == 4
    assert config["validation_accuracy"] == 1.0
    assert {k: v for k, v in config["training_clips"].items() if v} == {"happy": 6, "sad": 6}


def test_a_step_is_a_pure_function_of_its_number_and_splits_over_processes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CorpusReader, "media", lambda reader, clip: (_video(reader, clip), None))
    data = TrainingSet.open(folder / "set")
    task = EmotionFanTask(_preset().emotion_fan, data)
    torch.manual_seed(0)
    network = task.build_network()
    whole = task.training_loss(network, 3)
    assert torch.equal(whole, task.training_loss(network, 3)) and not torch.equal(whole, task.training_loss(network, 4))
    halves = [task.training_loss(network, 3, (rank, 2)) for rank in (0, 1)]
    torch.testing.assert_close((halves[0] + halves[1]) / 2, whole)
    faces = task.clips
    assert faces.crops.shape == (16, 8, 32, 32, 3) and isinstance(faces.crops, np.memmap)
    assert len(faces.rows(Split.TRAIN)) == 12 and not len(faces.rows(Split.TEST))


def test_clips_without_a_face_are_left_out_and_without_emotions_there_is_no_training(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blank = tmp_path / "blank.mp4"
    write_video(blank, [np.zeros((64, 64, 3), np.uint8)] * 4, 25, None)

    def media(reader: CorpusReader, clip: str) -> tuple[Path, None]:
        return (blank if "happy/1" in clip else _video(reader, clip)), None

    monkeypatch.setattr(CorpusReader, "media", media)
    data = TrainingSet.open(folder / "set")
    assert len(ClipFaces.cut(data, 32, 4).emotions) == 12
    monkeypatch.setattr(FaceFinder, "squares", lambda *_: np.full((4, 3), np.nan))
    with pytest.raises(PermanentError, match="fewer than two emotions"):
        EmotionFanTask(_preset().emotion_fan, data)
    data.index["emotion"] = "bored"
    with pytest.raises(PermanentError, match="nothing to learn"):
        ClipFaces.cut(data, 32, 4)
