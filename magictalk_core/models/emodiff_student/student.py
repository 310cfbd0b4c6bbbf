"""Training the few-step student of a trained EmoDiff; see `distill.py` for what it learns."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from magictalk_core.config import EmoDiffConfig, Preset
from magictalk_core.errors import PermanentError
from magictalk_core.models.emodiff.conditions import condition_matrix
from magictalk_core.models.emodiff.generate import EmoDiffModel, guided_by
from magictalk_core.models.emodiff.task import EmoDiffTask
from magictalk_core.models.emodiff_student.distill import jump_gain, target_noise, teacher_legs
from magictalk_core.models.families import FAMILIES
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["StudentTask"]

_TEACHER_STEPS_PER_LEG = 5


class StudentTask(EmoDiffTask):
    """Distils `teacher` into a network of the same shape that takes `preset.student.legs` evaluations per window."""

    def __init__(self, preset: Preset, data: TrainingSet, teacher: EmoDiffModel) -> None:
        if teacher.channels != data.channels or teacher.feature_id != data.info["feature_id"]:
            raise PermanentError(
                "the teacher was trained on other channels or features than this training set: train it first"
            )
        super().__init__(
            preset.model_copy(update={"emodiff": teacher.config, "emodiff_training": preset.student_training}), data
        )
        self.teacher = teacher
        self.legs = preset.student.legs

    def build_network(self) -> nn.Module:
        """The teacher's own weights are where the student begins."""
        network = super().build_network()
        network.load_state_dict(self.teacher.network.state_dict())
        return network

    def student_loss(self, network: nn.Module, starts: Tensor, seed: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        """Mean squared error of where the student lands after each leg, on the windows that begin at `starts`."""
        generator = torch.Generator().manual_seed(seed)
        device = next(network.parameters()).device
        frames = starts[:, None] + torch.arange(self.window)
        x0 = self.around_style(self.states[frames], starts.numpy())
        style = self.states[torch.from_numpy(self.styles.draw(starts.numpy(), generator))]
        noise = torch.randn(x0.shape, generator=generator)
        rank, processes = part
        mine = slice(rank, None, processes)
        given = None if self.preset.emodiff.style == "none" else style[mine]
        condition = condition_matrix(x0[mine, 0], given, self.window)
        speech = self._speech(frames[mine], starts.numpy()[mine])
        with torch.no_grad():
            teach = guided_by(self.teacher.network, self.teacher.config.guidance, condition, speech)
            held = x0[mine, 0] if self.teacher.config.hold_initial else None
            path = teacher_legs(teach, self.teacher.config, self.legs, noise[mine], _TEACHER_STEPS_PER_LEG, held)
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
        seed = self.preset.emodiff_training.seed * 1_000_003 + step
        return self.student_loss(network, torch.from_numpy(self.batch_starts(step)), seed, part)

    def save_model(self, weights: dict[str, Tensor], folder: Path) -> None:
        """As EmoDiff's model folder, with a sampler that knows the legs."""
        super().save_model(weights, folder)
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        student = EmoDiffConfig.model_validate(config["emodiff"]).model_copy(
            update={"sampler": "student", "sampling_steps": self.legs}
        )
        config |= {
            "family": "emodiff_student",
            "version": FAMILIES["emodiff_student"].version,
            "emodiff": student.model_dump(mode="json"),
        }
        path.write_text(json.dumps(config, indent=1), encoding="utf-8")
