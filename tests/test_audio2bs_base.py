"""The linear base of Audio2BS: what it finds, what the recurrent network begins from, training and use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from training_fixtures import build, lip_preset

from magictalk_core.errors import PermanentError
from magictalk_core.models.audio2bs.config import Audio2BSNetworkConfig
from magictalk_core.models.audio2bs.linear import Stretch, fit_readout, frames_around
from magictalk_core.models.audio2bs.model import Audio2BSModel
from magictalk_core.models.audio2bs.network import Audio2BS
from magictalk_core.models.audio2bs.task import Audio2BSTask
from magictalk_core.models.families import FAMILIES
from magictalk_core.presets.preset import Preset
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.speech_context import speech_around

FEATURES, CHANNELS, WIDTH = 7, 3, 5


def linear_preset(epochs: int = 2) -> Preset:
    values = lip_preset(epochs=epochs).model_dump()
    values["audio2bs"]["network"] |= {"base": "linear", "feature_frames": 5, "base_components": 29, "base_ridge": 1e-3}
    return Preset.model_validate(values)


def stretches(count: int = 4, noise: float = 0.0, seed: int = 0) -> tuple[list[Stretch], NDArray[np.float64]]:
    """Mouths that are a known linear function of five frames of speech, and that function (M, 5, F)."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(CHANNELS, WIDTH, FEATURES))
    made = []
    for _ in range(count):
        features = random.normal(size=(200, FEATURES))
        mouth = np.einsum("nwf,mwf->nm", frames_around(features, WIDTH), truth) + 0.3
        made.append(Stretch(features, mouth + noise * random.normal(size=mouth.shape)))
    return made, truth


def test_without_a_penalty_it_is_least_squares() -> None:
    known, truth = stretches(noise=0.5)
    found = fit_readout(known, WIDTH, FEATURES, 0.0)
    inputs = np.concatenate([frames_around(s.features, WIDTH).reshape(len(s.features), -1) for s in known])
    columns = np.column_stack([inputs, np.ones(len(inputs))])
    wanted, *_ = np.linalg.lstsq(columns, np.concatenate([s.mouth for s in known]), rcond=None)
    np.testing.assert_allclose(found.weight.reshape(CHANNELS, -1), wanted[:-1].T, atol=1e-8)
    np.testing.assert_allclose(found.bias, wanted[-1], atol=1e-8)
    np.testing.assert_allclose(found.weight, truth, atol=0.2)


def test_with_one_it_is_the_ridge_of_the_normal_equations() -> None:
    known, _ = stretches(count=1, noise=0.5)
    found = fit_readout(known, 1, FEATURES, 0.7)
    x, y = known[0].features - known[0].features.mean(0), known[0].mouth - known[0].mouth.mean(0)
    penalty = 0.7 * np.trace(x.T @ x) / FEATURES
    stacked = np.vstack([x, np.sqrt(penalty) * np.eye(FEATURES)])
    wanted, *_ = np.linalg.lstsq(stacked, np.vstack([y, np.zeros((FEATURES, CHANNELS))]), rcond=None)
    np.testing.assert_allclose(found.weight[:, 0], wanted.T, atol=1e-8)


@settings(max_examples=10, deadline=None)
@given(st.floats(1e-3, 10.0), st.floats(1.5, 20.0))
def test_a_stronger_penalty_gives_smaller_weights(ridge: float, factor: float) -> None:
    known, _ = stretches(noise=0.5)
    weak, strong = (fit_readout(known, WIDTH, FEATURES, value).weight for value in (ridge, ridge * factor))
    assert np.linalg.norm(strong) < np.linalg.norm(weak)


def test_components_keep_the_directions_that_vary_most() -> None:
    random = np.random.default_rng(1)
    plane = np.linalg.qr(random.normal(size=(FEATURES, 2)))[0]
    features = random.normal(size=(500, 2)) * 3 @ plane.T + 0.01 * random.normal(size=(500, FEATURES))
    found = fit_readout([Stretch(features, features[:, :1] * 0.1)], 1, 2, 1e-6)
    outside = found.weight[:, 0] - found.weight[:, 0] @ plane @ plane.T
    assert np.linalg.norm(outside) < 0.02 * np.linalg.norm(found.weight)


def test_of_clips_whose_level_does_not_count_only_the_motion_teaches() -> None:
    known, truth = stretches()
    shifted = [Stretch(s.features, s.mouth + 5.0, level_counts=False) for s in known[1:]]
    found = fit_readout([known[0], *shifted], WIDTH, FEATURES, 0.0)
    np.testing.assert_allclose(found.weight, truth, atol=1e-8)
    np.testing.assert_allclose(found.bias, 0.3, atol=1e-8)
    with pytest.raises(PermanentError, match="whose level counts, found none"):
        fit_readout(shifted, WIDTH, FEATURES, 0.0)


@pytest.mark.parametrize("width", [1, 4, 5])
def test_the_frames_around_are_those_of_the_training_set(width: int) -> None:
    values = np.random.default_rng(0).normal(size=(9, FEATURES))
    low, high = torch.tensor([0]), torch.tensor([9])
    wanted = speech_around(torch.from_numpy(values), torch.arange(9)[None], low, high, width)
    np.testing.assert_array_equal(frames_around(values, width), wanted[0].numpy())


def test_the_network_begins_as_its_base_and_learns_beside_it() -> None:
    torch.manual_seed(0)
    config = Audio2BSNetworkConfig(base="linear", feature_frames=WIDTH, hidden=8, layers=1, encoder=8, head=8)
    network = Audio2BS(config, CHANNELS, 29)
    weight, bias = 0.02 * torch.randn(CHANNELS, WIDTH, 29), torch.full((CHANNELS,), 0.5)
    network.stand_on(weight, bias)
    speech = torch.randn(2, 6 + config.window - 1, WIDTH, 29)
    mouth, _ = network(speech)
    centre = (config.window - 1) // 2
    wanted = torch.einsum("bnkf,mkf->bnm", speech[:, centre : centre + 6], weight) + bias
    torch.testing.assert_close(mouth, wanted.clamp(0, 1))
    assert {name for name, _ in network.named_parameters()}.isdisjoint({"base_weight", "base_bias"})
    mouth.square().sum().backward()  # type: ignore[no-untyped-call]
    assert network.last.weight.grad is not None and network.last.weight.grad.abs().sum() > 0


def test_without_a_base_the_weights_are_those_of_earlier_releases() -> None:
    assert not any("base" in name for name in Audio2BS(Audio2BSNetworkConfig(), CHANNELS, 29).state_dict())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("base")
    build(made)
    return made


def test_training_keeps_the_base_and_is_no_worse_than_it(folder: Path) -> None:
    preset = linear_preset(epochs=4)
    data = TrainingSet.open(folder / "set").learned()
    task = Audio2BSTask(preset.audio2bs, data)
    first = task.build_network()
    before = task.validation_loss(first)
    trained = train(FAMILIES["audio2bs"], preset, folder / "set", folder / "audio2bs", MemoryTracker())
    model = Audio2BSModel.load(trained.path)
    torch.testing.assert_close(model.network.base_weight, first.state_dict()["base_weight"])
    after = task.validation_loss(model.network)
    assert before is not None and after is not None and after < 1.02 * before
    silent = Audio2BSTask(lip_preset(epochs=4).audio2bs, data)
    untrained = silent.validation_loss(silent.build_network())
    assert untrained is not None and before < untrained


def test_a_clip_has_the_values_of_its_windows(folder: Path) -> None:
    task = Audio2BSTask(linear_preset().audio2bs, TrainingSet.open(folder / "set").learned())
    network = task.build_network().eval()
    start, length = int(task.train["start"].iloc[0]), int(task.train["length"].iloc[0])
    rows = slice(start, start + length)
    base = fit_readout(task._stretches(), 5, 29, 1e-3)
    wanted = np.clip(base.mouth(task.frames.speech[rows].numpy()), 0, 1)
    frames = torch.arange(length + 7)[None] - 3
    low, high = torch.tensor([0]), torch.tensor([length])
    with torch.no_grad():
        found, _ = network(speech_around(task.frames.speech[rows], frames, low, high, 5))
    np.testing.assert_allclose(found[0].numpy(), wanted, atol=1e-4)
