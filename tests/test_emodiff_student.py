"""The few-step student: its jumps in closed form, and a distilled model end to end."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from training_fixtures import build, preset

from magictalk_core.errors import PermanentError
from magictalk_core.models.emodiff.config import EmoDiffNetworkConfig
from magictalk_core.models.emodiff.diffusion import NoiseSchedule, draw_noise
from magictalk_core.models.emodiff.family import EMODIFF
from magictalk_core.models.emodiff.legs import jump, leg_times, sample_legs
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.models.emodiff_student.distill import Leg, target_noise, teacher_legs
from magictalk_core.models.emodiff_student.family import EMODIFF_STUDENT
from magictalk_core.models.emodiff_student.task import StudentTask
from magictalk_core.training.model_folder import write_model_folder
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.dataset import TrainingSet

CONFIG = EmoDiffNetworkConfig()
SCHEDULE = NoiseSchedule(CONFIG)


def _gaussian(x: Tensor, t: Tensor) -> Tensor:
    """Best prediction of the noise for data N(1.5, 0.3^2)."""
    abar = SCHEDULE.alphas_cumprod[t].float()[:, None, None]
    return (1 - abar).sqrt() * (x - abar.sqrt() * 1.5) / (abar * 0.09 + 1 - abar)


def test_legs_begin_where_the_teacher_is() -> None:
    assert leg_times(CONFIG, 4) == [499, 374, 249, 124] and leg_times(CONFIG, 1) == [499]
    legs = teacher_legs(_gaussian, CONFIG, 4, torch.randn(2, 8, 3), 5)
    assert [leg.t for leg in legs] == leg_times(CONFIG, 4) and [leg.t_end for leg in legs] == [374, 249, 124, -1]
    assert all(torch.equal(a.end, b.start) for a, b in pairwise(legs))


def test_the_target_is_the_noise_that_lands_where_the_teacher_is() -> None:
    for t, t_end in ((499, 374), (124, -1)):
        leg = Leg(torch.randn(2, 4, 3), torch.randn(2, 4, 3), t, t_end)
        landed = jump(leg.start, target_noise(leg, SCHEDULE), SCHEDULE, t, t_end)
        torch.testing.assert_close(landed, leg.end, atol=1e-4, rtol=1e-4)


def test_a_perfect_student_gives_the_teachers_distribution_in_four_steps() -> None:
    """With the targets themselves as predictions, four jumps are the teacher's whole path."""
    noise = draw_noise((16, 3), [torch.Generator().manual_seed(i) for i in range(64)])
    legs = teacher_legs(_gaussian, CONFIG, 4, noise, 5)
    by_time = {leg.t: target_noise(leg, SCHEDULE) for leg in legs}
    calls: list[int] = []

    def perfect(x: Tensor, t: Tensor) -> Tensor:
        calls.append(int(t[0]))
        return by_time[int(t[0])]

    x = sample_legs(perfect, noise, CONFIG, 4)
    assert calls == [499, 374, 249, 124]
    torch.testing.assert_close(x, legs[-1].end, atol=1e-3, rtol=1e-3)
    assert x.mean().item() == pytest.approx(1.5, abs=0.05) and x.std().item() == pytest.approx(0.3, abs=0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student")
    build(path)
    train(EMODIFF, preset(network={"noise_skip": True}), path / "set", path / "models", MemoryTracker())
    return path


def _teacher(folder: Path) -> EmoDiffModel:
    (model,) = (folder / "models").glob("*/model")
    return EmoDiffModel.load(model)


@pytest.mark.slow
def test_a_distilled_model_generates_with_four_evaluations(folder: Path, tmp_path: Path) -> None:
    data, teacher = TrainingSet.open(folder / "set"), _teacher(folder)
    task = StudentTask(preset().emodiff_student, data, teacher)
    network = task.build_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for step in range(30):
        loss = task.training_loss(network, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert torch.equal(task.training_loss(network, 3), task.training_loss(network, 3))
    tmp_path.joinpath("model").mkdir()
    weights = dict(network.state_dict())
    facts = task.describe_model(weights, tmp_path / "model")
    write_model_folder(EMODIFF_STUDENT, weights, data, facts, tmp_path / "model")
    student = EmoDiffModel.load(tmp_path / "model")
    assert (student.sampling.sampler, student.sampling.evaluations) == ("student", 4)
    calls = []
    student.network.register_forward_hook(lambda *_: calls.append(1))
    motion = student.generate(np.asarray(data.features[: student.window]), np.asarray(data.states[:9]), seed=1)
    assert motion.shape == (student.window, len(data.channels)) and np.isfinite(motion).all() and len(calls) == 4


def test_a_teacher_of_other_channels_is_refused(folder: Path) -> None:
    data, teacher = TrainingSet.open(folder / "set"), _teacher(folder)
    other = EmoDiffModel(**{**teacher.__dict__, "channels": teacher.channels[1:]})
    with pytest.raises(PermanentError, match="other channels"):
        StudentTask(preset().emodiff_student, data, other)
