"""EmoDiff as a training task: windows, styles and noise of one step, and the loss of Eq. 4.

Every random choice of a step is drawn from a generator seeded by (seed, step), and the order of windows by
(seed, epoch). So a resumed run sees exactly what an unbroken run sees, and no random state needs saving.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from magictalk_core.config import Preset
from magictalk_core.errors import PermanentError
from magictalk_core.models.emodiff.conditions import condition_matrix, speech_in_context
from magictalk_core.models.emodiff.diffusion import NoiseSchedule, hold_first
from magictalk_core.models.emodiff.network import Denoiser
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.families import FAMILIES
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.style_pool import StylePools
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.clips import Split

__all__ = ["EmoDiffTask"]

_STYLE_NOISE = 0.2
"""Noise on style frames over that on the speech: levels are what they are for."""

_VALIDATION_SEED = 2**31 - 1
_VALIDATION_WINDOWS = 128
_SEEDS_PER_RUN = 1_000_003


class EmoDiffTask:
    """Builds batches from a training set and computes the loss of the denoiser."""

    def __init__(self, preset: Preset, data: TrainingSet) -> None:
        self.preset, self.data = preset, data
        self.window = int(data.info["window"])
        self.schedule = NoiseSchedule(preset.emodiff)
        numbers = {
            k: {m: torch.tensor(v, dtype=torch.float32) for m, v in n.items()} for k, n in data.normalizer.items()
        }
        # The arrays of a whole corpus fit in memory once more in normalised form: about 300 bytes a frame.
        self.states = (torch.from_numpy(np.array(data.states)) - numbers["states"]["mean"]) / numbers["states"]["std"]
        features = torch.from_numpy(np.array(data.features))
        self.features = (features - numbers["features"]["mean"]) / numbers["features"]["std"]
        self.starts = {split: self._window_starts(split) for split in (Split.TRAIN, Split.VAL)}
        self.segment_starts = data.index["start"].to_numpy(np.int64)
        self.segment_ends = self.segment_starts + data.index["length"].to_numpy(np.int64)
        self.styles = StylePools(data.index, self.window)
        config = preset.emodiff
        self.sums = self.styles.sums(self.states) if config.around_style and config.style != "none" else None

    def build_network(self) -> nn.Module:
        size = int(self.data.info["feature_size"])
        return Denoiser(self.preset.emodiff, self.window, self.states.shape[1], size)

    def _window_starts(self, split: Split) -> NDArray[np.int64]:
        rows = self.data.index[self.data.index["split"] == split]
        stride = self.preset.training_set.stride
        spans = zip(rows["start"].tolist(), rows["length"].tolist(), strict=True)
        starts = [np.arange(start, start + n - self.window + 1, stride) for start, n in spans]
        return np.concatenate(starts) if starts else np.zeros(0, np.int64)

    def steps_per_epoch(self) -> int:
        """Full batches in one pass over the training windows; the few that are left over change with every epoch."""
        if not len(self.starts[Split.TRAIN]):
            raise PermanentError("the training split holds no window: add clips or lower training_set.window")
        return max(1, len(self.starts[Split.TRAIN]) // self.preset.emodiff_training.batch)

    def batch_starts(self, step: int) -> NDArray[np.int64]:
        """Window starts of optimizer step `step`, a pure function of (seed, step)."""
        epoch, position = divmod(step, self.steps_per_epoch())
        order = np.random.default_rng([self.preset.emodiff_training.seed, epoch]).permutation(self.starts[Split.TRAIN])
        batch = self.preset.emodiff_training.batch
        return np.asarray(order[position * batch : (position + 1) * batch])

    def _speech(self, frames: Tensor, starts: NDArray[np.int64]) -> Tensor:
        segment = np.searchsorted(self.segment_starts, starts, side="right") - 1
        low, high = (torch.from_numpy(bounds[segment]) for bounds in (self.segment_starts, self.segment_ends))
        return speech_in_context(self.features, frames, low, high, self.preset.emodiff.speech_context)

    def loss(
        self,
        network: nn.Module,
        starts: NDArray[np.int64],
        seed: int,
        drop: float,
        blur: float,
        levels: float = 0.0,
        part: BatchPart = WHOLE_BATCH,
    ) -> Tensor:
        """Weighted squared error of the predicted noise (Eq. 4) on the windows that begin at `starts`."""
        generator = torch.Generator().manual_seed(seed)
        device = next(network.parameters()).device
        frames = torch.from_numpy(starts[:, None] + np.arange(self.window))
        x0 = self.around_style(self.states[frames], starts)
        style = self.states[torch.from_numpy(self.styles.draw(starts, generator))]
        if levels > 0:
            # Another face of the same mood: the level must come from the conditions, not from the few known people.
            offset = levels * torch.randn(len(starts), 1, x0.shape[2], generator=generator)
            style = style + offset
            x0 = x0 if self.sums is not None else x0 + offset
        condition = condition_matrix(x0[:, 0], None if self.preset.emodiff.style == "none" else style, self.window)
        t = torch.randint(self.preset.emodiff.steps, (len(starts),), generator=generator)
        noise = torch.randn(x0.shape, generator=generator)
        dropped = torch.rand(len(starts), generator=generator) < drop
        held = self.preset.emodiff.hold_initial
        noisy = hold_first(self.schedule.add_noise(x0, noise, t), x0[:, 0] if held else None)
        speech = self._speech(frames, starts)
        if blur > 0:
            # Hardly on the given frames, not at all on the initial state: a window that doubts it begins with a jump.
            given = condition[:, 1:, -1:]
            noises = torch.randn(condition[:, 1:, :-1].shape, generator=generator)
            condition[:, 1:, :-1] += _STYLE_NOISE * blur * given * noises
            speech = speech + blur * torch.randn(speech.shape, generator=generator)
        rank, processes = part
        mine = slice(rank, None, processes)
        predicted = network(*(v[mine].to(device) for v in (noisy, t, condition, speech, dropped)))
        errors: Tensor = (predicted - noise[mine].to(device))[:, 1 if held else 0 :].square().mean(dim=(1, 2))
        weights = self.schedule.loss_weights(self.preset.emodiff.loss)[t[mine]].to(device)
        return (errors * weights).sum() * (processes / len(starts))

    def around_style(self, x0: Tensor, starts: NDArray[np.int64]) -> Tensor:
        """States (B, N, D) as the differences to the mean of each window's style pool, where the preset asks it."""
        return x0 if self.sums is None else x0 - self.styles.means(starts, self.sums)[:, None]

    def training_loss(self, network: nn.Module, step: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        settings = self.preset.emodiff
        seed = self.preset.emodiff_training.seed * _SEEDS_PER_RUN + step
        starts = self.batch_starts(step)
        noises = settings.condition_noise, settings.level_noise
        return self.loss(network, starts, seed, settings.condition_drop, *noises, part)

    @torch.no_grad()
    def validation_loss(self, network: nn.Module) -> float | None:
        """The loss on evenly chosen validation windows, with noise that is the same every time; None without any."""
        starts = self.starts[Split.VAL]
        if not len(starts):
            return None
        chosen = starts[np.linspace(0, len(starts) - 1, min(_VALIDATION_WINDOWS, len(starts))).round().astype(int)]
        return float(self.loss(network, chosen, _VALIDATION_SEED, 0.0, 0.0))

    def sample_motion(self, weights: dict[str, Tensor]) -> tuple[NDArray[np.float32], int] | None:
        """Motion (n, 58) for the first validation segment in the style of its own frames, and frames per second.

        Channels that are not modelled rest at 0. None without a validation segment.
        """
        from magictalk_core.models.emodiff.generate import EmoDiffModel

        rows = self.data.index[self.data.index["split"] == Split.VAL]
        if not len(rows):
            return None
        start, length = int(rows["start"].iloc[0]), int(rows["length"].iloc[0])
        frames = slice(start, start + length)
        with tempfile.TemporaryDirectory() as folder:
            self.save_model(weights, Path(folder))
            model = EmoDiffModel.load(Path(folder))
        states = model.generate(np.array(self.data.features[frames]), np.array(self.data.states[frames]))
        motion = np.zeros((length, len(MOTION_NAMES)), np.float32)
        motion[:, [MOTION_NAMES.index(name) for name in model.channels]] = states
        return motion, model.fps

    def save_model(self, weights: dict[str, Tensor], folder: Path) -> None:
        """What generation needs: weights, settings, channels, normalisation, styles."""
        save_file({k: v.cpu().contiguous() for k, v in weights.items()}, folder / "model.safetensors")
        config = {
            "family": "emodiff",
            "version": FAMILIES["emodiff"].version,
            "emodiff": self.preset.emodiff.model_dump(mode="json"),
            "window": self.window,
            "fps": self.preset.media.fps,
            "feature_id": self.data.info["feature_id"],
            "feature_size": self.data.info["feature_size"],
            "tracker_kind": self.data.info["tracker_kind"],
            "training_set": self.data.info["digest"],
            "corpora": self.data.info["corpora"],
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        (folder / "channels.json").write_text(json.dumps(list(self.data.channels), indent=1), encoding="utf-8")
        (folder / "normalizer.json").write_text(json.dumps(self.data.normalizer), encoding="utf-8")
        StyleBank.from_training_set(self.data).save(folder)
