"""Training the few-step student of a trained EmoDiff; see `distill.py` for what it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.errors import PermanentError
from magictalk_core.models.emodiff.diffusion import NoiseSchedule
from magictalk_core.models.emodiff.model import EmoDiffModel, guided_by
from magictalk_core.models.emodiff.task import DenoisingWindows
from magictalk_core.models.emodiff.trained import denoiser_for, describe_emodiff, sample_of
from magictalk_core.models.emodiff_student.config import StudentSettings
from magictalk_core.models.emodiff_student.distill import jump_gain, target_noise, teacher_legs
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.batches import evenly
from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["StudentTask"]

_TEACHER_STEPS_PER_LEG = 5
_SEEDS_PER_RUN = 1_000_003
_VALIDATION_SEED = 2**31 - 1
_VALIDATION_WINDOWS = 32

Indices = NDArray[np.int64]


class StudentTask:
    """Distils `teacher` into a network of the same shape that takes `training.evaluations` evaluations per window."""

    def __init__(self, settings: StudentSettings, data: TrainingSet, teacher: EmoDiffModel) -> None:
        if teacher.channels != data.channels or teacher.feature_id != data.info["feature_id"]:
            raise PermanentError(
                "the teacher was trained on other channels or features than this training set: train it first"
            )
        self.training, self.data, self.teacher = settings.training, data, teacher
        self.config = teacher.config
        own = {"sampler": "student", "evaluations": self.training.evaluations, "guidance": self.training.guidance}
        self.sampling = teacher.sampling.model_copy(update=own)
        self.schedule = NoiseSchedule(self.config)
        self.windows = DenoisingWindows(data, self.config, self.training)

    def build_network(self) -> nn.Module:
        """The teacher's own weights are where the student begins."""
        network = denoiser_for(self.data, self.config)
        network.load_state_dict(self.teacher.network.state_dict())
        return network

    def steps_per_epoch(self) -> int:
        return self.windows.order.steps_per_epoch

    def loss(self, network: nn.Module, starts: Indices, seed: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        """Mean squared error of where the student lands after each leg, on the windows that begin at `starts`."""
        generator = torch.Generator().manual_seed(seed)
        device = next(network.parameters()).device
        x0 = self.windows.states(starts)
        style = self.windows.style(starts, generator)
        noise = torch.randn(x0.shape, generator=generator)
        rank, processes = part
        mine = slice(rank, None, processes)
        condition = self.windows.condition(x0[mine, 0], style[mine])
        speech = self.windows.speech(starts[mine])
        with torch.no_grad():
            teach = guided_by(self.teacher.network, self.training.guidance, condition, speech)
            held = x0[mine, 0] if self.config.fixed_initial_frame else None
            legs = self.training.evaluations
            path = teacher_legs(teach, self.config, legs, noise[mine], _TEACHER_STEPS_PER_LEG, held)
        losses = []
        for leg in path:
            t = torch.full((len(condition),), leg.t)
            found = network(*(v.to(device) for v in (leg.start, t, condition, speech)))
            gain = jump_gain(self.schedule, leg.t, leg.t_end)
            wrong = found - target_noise(leg, self.schedule).to(device)
            # A held frame is put in its place, not moved there.
            losses.append(gain**2 * wrong[:, 0 if held is None else 1 :].square().mean())
        return torch.stack(losses).mean() * (processes * len(condition) / len(starts))

    def training_loss(self, network: nn.Module, step: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        seed = self.training.seed * _SEEDS_PER_RUN + step
        return self.loss(network, self.windows.order.batch(step), seed, part)

    @torch.no_grad()
    def validation_loss(self, network: nn.Module) -> float | None:
        """How far from its teacher the student lands on held-out windows; None without any."""
        starts = self.windows.held_out
        return float(self.loss(network, evenly(starts, _VALIDATION_WINDOWS), _VALIDATION_SEED)) if len(starts) else None

    def sample_motion(self, weights: dict[str, Tensor]) -> NDArray[np.float32] | None:
        return sample_of(weights, self.config, self.sampling, self.data)

    def describe_model(self, weights: dict[str, Tensor], folder: Path) -> dict[str, Any]:
        """As EmoDiff's, with a sampler that knows the legs, and the guidance that the student has inside."""
        facts = describe_emodiff(self.config, self.sampling, self.data, folder)
        return facts | {"guidance": self.training.guidance}
