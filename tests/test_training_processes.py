"""Trainings on several processes, in half precision, with an early stop, and what they report."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file
from training_fixtures import build, preset

from magictalk_core.evaluation.sample_video import render_sample
from magictalk_core.models.families import FAMILIES
from magictalk_core.presets.preset import Preset
from magictalk_core.training.run import TrainedModel, current_run, run_digest, train
from magictalk_core.training.tracking import MemoryTracker

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training-set")
    build(folder)
    return folder / "set"


def with_training(**values: object) -> Preset:
    """EmoDiff and its student, trained so."""
    base = preset(training={"epochs": 1, **values})
    student = base.emodiff_student.training.model_copy(update={"epochs": 1, **values})
    return base.model_copy(update={"emodiff_student": base.emodiff_student.model_copy(update={"training": student})})


def weights(trained: TrainedModel) -> dict[str, np.ndarray]:
    return load_file(trained.path / "model.safetensors")


class _Unplugged(MemoryTracker):
    """Dies at the first report after `step`."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        super().metrics(values, step)
        if step > self._step:
            raise ConnectionError


@pytest.mark.slow
@pytest.mark.parametrize("family", ["emodiff", "emodiff_student"])
def test_two_processes_train_what_one_trains(family: str, data: Path, tmp_path: Path) -> None:
    # Seven windows a step: the two processes have parts of different size.
    config = with_training(batch=7, checkpoint_every=5)
    alone = {
        name: train(FAMILIES[name], config, data, tmp_path / "one" / name, MemoryTracker())
        for name in ("emodiff", family)
    }
    out = tmp_path / "two" / family
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "emodiff").symlink_to(tmp_path / "one" / "emodiff") if family != "emodiff" else None
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "magictalk_core.commands.train", "--family", family, "--config", str(tmp_path / "preset.yaml")]
    command += ["--data", str(data), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("/model md5") == 1, "one process reports"
    one, two = weights(alone[family]), weights(current_run(out))
    assert set(one) == set(two)
    for name, value in one.items():
        other = two[name]
        if name.endswith("in_proj_bias"):
            # One vector added to all keys changes no attention: its gradient is rounding, which Adam makes large.
            (value, other) = (np.delete(v.reshape(3, -1), 1, axis=0) for v in (value, other))
        np.testing.assert_allclose(other, value, atol=1e-5, err_msg=name)


# The lip families, at their own tiny size, are in test_lips.
@pytest.mark.thinned(3)
@pytest.mark.parametrize("family", [name for name in FAMILIES if name.startswith("emodiff")])
def test_every_emodiff_family_resumes_bit_for_bit(family: str, data: Path, tmp_path: Path) -> None:
    config = with_training(checkpoint_every=5)
    for needed in FAMILIES[family].needs:
        for folder in ("whole", "broken"):
            train(FAMILIES[needed], config, data, tmp_path / folder / needed, MemoryTracker())
    whole = train(FAMILIES[family], config, data, tmp_path / "whole" / family, MemoryTracker())
    with pytest.raises(ConnectionError):
        train(FAMILIES[family], config, data, tmp_path / "broken" / family, _Unplugged(9))
    resumed = train(FAMILIES[family], config, data, tmp_path / "broken" / family, MemoryTracker())
    assert resumed.weights_md5 == whole.weights_md5


@pytest.mark.slow
def test_another_teacher_or_guidance_is_another_student(data: Path, tmp_path: Path) -> None:
    found = []
    for width, guidance in ((32, 0.0), (16, 0.0), (16, 0.7)):
        base = preset(network={"hidden": width}, training={"epochs": 1})
        learning = base.emodiff_student.training.model_copy(update={"epochs": 1, "guidance": guidance})
        student = base.emodiff_student.model_copy(update={"training": learning})
        config = base.model_copy(update={"emodiff_student": student})
        train(FAMILIES["emodiff"], config, data, tmp_path / "emodiff", MemoryTracker())
        out = tmp_path / "emodiff_student"
        found.append(train(FAMILIES["emodiff_student"], config, data, out, MemoryTracker()).path)
    assert len(set(found)) == 3
    # Asking the teacher in another way teaches its student nothing new.
    asked = config.emodiff.model_copy(update={"sampling": config.emodiff.sampling.model_copy(update={"guidance": 3.0})})
    config = config.model_copy(update={"emodiff": asked})
    train(FAMILIES["emodiff"], config, data, tmp_path / "emodiff", MemoryTracker())
    assert train(FAMILIES["emodiff_student"], config, data, out, MemoryTracker()).path == found[-1]


def test_training_stops_when_it_gets_worse_and_keeps_the_best(data: Path, tmp_path: Path) -> None:
    # A learning rate at which the held-out loss soon rises.
    wild = with_training(epochs=30, learning_rate=0.2, validate_every=2, patience=3, checkpoint_every=4, ema=0.5)
    whole = train(FAMILIES["emodiff"], wild, data, tmp_path / "whole", MemoryTracker())
    steps, best = whole.metrics["steps"], whole.metrics["best_step"]
    assert steps == best + 6 and steps < 30 * 12
    losses = {
        int(step): float(value)
        for step, metric, value in (line.split(",") for line in whole.curves.read_text().splitlines()[1:])
        if metric == "val/loss_ema"
    }
    assert min(losses, key=lambda step: losses[step]) == best and max(losses) == steps
    with pytest.raises(ConnectionError):
        train(FAMILIES["emodiff"], wild, data, tmp_path / "broken", _Unplugged(int(best) + 2))
    resumed = train(FAMILIES["emodiff"], wild, data, tmp_path / "broken", MemoryTracker())
    assert resumed.weights_md5 == whole.weights_md5 and resumed.metrics == whole.metrics


def test_half_precision_trains_nearly_the_same(data: Path, tmp_path: Path) -> None:
    full, half = (
        train(FAMILIES["emodiff"], with_training(precision=p), data, tmp_path / p, MemoryTracker())
        for p in ("fp32", "bf16")
    )
    assert full.path.parent.name != half.path.parent.name
    assert half.metrics["val/loss"] == pytest.approx(full.metrics["val/loss"], rel=0.05)
    assert {value.dtype for value in weights(half).values()} == {np.dtype(np.float32)}


def test_speed_memory_and_samples_are_reported(data: Path, tmp_path: Path) -> None:
    tracker = MemoryTracker()
    config = with_training(sample_every=1)
    trained = train(FAMILIES["emodiff"], config, data, tmp_path, tracker, render=render_sample)
    assert trained.measured["steps_per_s"] > 0 and trained.measured["peak_memory_mib"] > 50
    assert trained.measured["samples_per_s"] == pytest.approx(8 * trained.measured["steps_per_s"])
    steps = int(trained.metrics["steps"])
    assert f"samples/step-{steps:08d}.mp4" in tracker.logged["artifacts"]
    assert any("machine/steps_per_s" in values for _, values in tracker.logged["metrics"])


def test_samples_are_no_part_of_the_identity_of_a_run(data: Path) -> None:
    from magictalk_core.training_set.dataset import TrainingSet

    opened = TrainingSet.open(data)
    digests = {run_digest(FAMILIES["emodiff"], with_training(sample_every=n).emodiff, opened) for n in (0, 1, 5)}
    assert (
        len(digests) == 1 and run_digest(FAMILIES["emodiff"], with_training(patience=1).emodiff, opened) not in digests
    )
