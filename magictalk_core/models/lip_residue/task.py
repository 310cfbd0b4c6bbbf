"""Training the residue generator on emotional speech, with Audio2BS and the sync expert frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.errors import PermanentError
from magictalk_core.models.audio2bs.model import Audio2BSModel
from magictalk_core.models.audio2bs.task import speech_of_runs
from magictalk_core.models.lip_residue.config import LipResidueSettings
from magictalk_core.models.lip_residue.network import ResidueGenerator, of_channels
from magictalk_core.models.shared.losses import motion_errors
from magictalk_core.models.sync_expert.model import SyncExpertModel
from magictalk_core.models.sync_expert.network import in_sync_loss, sync_probability
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.model_folder import ModelFolder
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.batches import BatchOrder, evenly
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.style_pool import StylePools
from magictalk_core.training_set.windows import UNLABELLED, TrainingFrames
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import NEUTRAL

__all__ = ["ResidueTask"]

_VALIDATION_SEED = 2**31 - 1
_VALIDATION_RUNS = 128
_ASKED_RUNS = 32
_SEEDS_PER_RUN = 1_000_003

Indices = NDArray[np.int64]


class ResidueTask:
    """Runs of labelled clips (all clips when none is labelled), each with a style clip of its speaker and emotion.

    A neutral run wants no residue at all, whatever Audio2BS gets wrong in it: that is what makes its mouth neutral.
    """

    def __init__(
        self,
        settings: LipResidueSettings,
        data: TrainingSet,
        audio2bs: Audio2BSModel,
        expert: SyncExpertModel | None,
        initial: ModelFolder | None = None,
    ) -> None:
        """`expert`: None where `sync_weight` is 0. `initial`: the model that is begun from, in whose scales `data` is
        read; None: chance."""
        self.config, self.training, self.initial = settings.network, settings.training, initial
        audio2bs.folder.must_fit(data)
        if expert is not None:
            expert.folder.must_fit(data)
            if self.training.run < expert.config.frames:
                raise PermanentError(
                    f"lip_residue.training.run is {self.training.run} frames, the sync expert looks at "
                    f"{expert.config.frames}: raise it"
                )
        self.data, self.audio2bs, self.expert = data, audio2bs, expert
        self.frames = TrainingFrames(data)
        self.mouth = self.frames.motion[:, self.frames.columns(self.frames.mouth_names)]
        self.style = self.frames.normal[:, self.frames.columns(self.frames.coefficient_names)]
        self.styles = StylePools(data.index, self.config.style_frames)
        named = frozenset(set(self.frames.emotions.tolist()) - {UNLABELLED})
        labelled = named or None
        self.keeps_initial = initial is not None and not named - {NEUTRAL}
        train, val = (self.frames.segments(split, labelled) for split in (Split.TRAIN, Split.VAL))
        starts = self.frames.training_windows(train, self.training.run, self.training.stride)
        self.order = BatchOrder(starts, self.training.batch, self.training.seed)
        self.held_out = self.frames.windows(val, self.training.run, self.training.stride)

    def build_network(self) -> nn.Module:
        state = self.audio2bs.config.hidden
        network = ResidueGenerator(self.config, state, self.mouth.shape[1], self.style.shape[1])
        if self.initial is not None:
            mouth = self.initial.places(self.frames.mouth_names, self.initial.config["mouth"])
            seen = self.initial.places(self.frames.coefficient_names, self.initial.config["coefficients"])
            network.load_state_dict(of_channels(self.initial.weights(), mouth, seen, self.config.reads))
        return network

    def steps_per_epoch(self) -> int:
        """None where a model is begun from and no clip shows an emotion: what moods do to a mouth it knows better."""
        return 0 if self.keeps_initial else self.order.steps_per_epoch

    def _frames(self, starts: Indices) -> Tensor:
        return torch.from_numpy(starts[:, None] + np.arange(self.training.run))

    def _inputs(self, starts: Indices, seed: int, disturb: bool) -> tuple[Tensor, Tensor]:
        """The speech (B, run + T - 1, k, F) and the style clips (B, S, C) of runs, with their noise."""
        generator = torch.Generator().manual_seed(seed)
        speech = speech_of_runs(self.frames, starts, self.training.run, self.audio2bs.config)
        style = self.style[torch.from_numpy(self.styles.draw_clips(starts, self.config.style_frames, generator))]
        if disturb:
            speech = speech + self.training.speech_noise * torch.randn(speech.shape, generator=generator)
            style = style + self.training.style_noise * torch.randn(style.shape, generator=generator)
        return speech, style

    def _refined(self, network: nn.Module, speech: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Mouths (B, run, M), not clipped, so that the gradient goes on at 0 and 1; and their residues."""
        device = next(network.parameters()).device
        self.audio2bs.network.to(device)
        with torch.no_grad():
            neutral, state = self.audio2bs.network(speech.to(device))
        residue = network(neutral, state, style.to(device))
        return neutral + residue, residue

    def _sync_loss(self, expert: SyncExpertModel, mouth: Tensor, starts: Indices) -> Tensor:
        """L_sync of all the expert's windows inside the runs."""
        expert.network.to(mouth.device)
        columns = [self.frames.mouth_names.index(name) for name in expert.names]
        normal = expert.motion.to(mouth.device).normal(mouth.clamp(0, 1)[..., columns])
        moved, heard = expert.embed(normal, self.frames.speech[self._frames(starts)])
        return in_sync_loss(sync_probability(moved, heard))

    @torch.no_grad()
    def sync_counts(self, network: nn.Module) -> bool:
        """Whether the expert understands what is generated: its loss on held-out runs is low enough.

        Asked at every step, on the same runs: a function of the weights alone, so a resumed run gets the same answer.
        """
        if self.expert is None:
            return False
        starts = evenly(self.held_out if len(self.held_out) else self.order.starts, _ASKED_RUNS)
        mouth, _ = self._refined(network, *self._inputs(starts, _VALIDATION_SEED, False))
        return float(self._sync_loss(self.expert, mouth, starts)) < self.training.sync_counts_below

    def loss(
        self,
        network: nn.Module,
        starts: Indices,
        seed: int,
        disturb: bool,
        sync: bool,
        part: BatchPart = WHOLE_BATCH,
    ) -> Tensor:
        """L1 of mouth and motion and residue, and the expert's loss where it counts, of the runs at `starts`."""
        speech, style = self._inputs(starts, seed, disturb)
        rank, processes = part
        mine = starts[rank::processes]
        mouth, residue = self._refined(network, speech[rank::processes], style[rank::processes])
        wanted = self.mouth[self._frames(mine)].to(mouth.device)
        size = residue.abs().mean(dim=(1, 2))
        neutral = torch.from_numpy(self.frames.emotions[self.frames.segment_of(mine)] == NEUTRAL).to(mouth.device)
        errors = motion_errors(mouth, wanted, self.training.velocity_weight)
        errors = torch.where(neutral, size, errors) + self.training.residue_weight * size
        total = errors.sum() * (processes / len(starts))
        if sync and self.expert is not None and len(mine):
            share = len(mine) * processes / len(starts)
            total = total + self.training.sync_weight * self._sync_loss(self.expert, mouth, mine) * share
        return total

    def training_loss(self, network: nn.Module, step: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        starts = self.order.batch(step)
        seed = self.training.seed * _SEEDS_PER_RUN + step
        return self.loss(network, starts, seed, True, self.sync_counts(network), part)

    @torch.no_grad()
    def validation_loss(self, network: nn.Module) -> float | None:
        """Without the expert, whose share comes and goes."""
        if not len(self.held_out):
            return None
        return float(self.loss(network, evenly(self.held_out, _VALIDATION_RUNS), _VALIDATION_SEED, False, False))

    def describe_model(self, weights: dict[str, Tensor], folder: Path) -> dict[str, Any]:
        return {
            "network": self.config.model_dump(mode="json"),
            "mouth": list(self.frames.mouth_names),
            "coefficients": list(self.frames.coefficient_names),
            "audio2bs": file_md5(self.audio2bs.folder.path / "model.safetensors"),
        }
