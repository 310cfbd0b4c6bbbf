"""Training face-vid2vid: one frame of a clip is made from another one of it, against a discriminator.

Both sides of the contest take their step at once, from one backward pass: the discriminator judges the made picture
with its own weights fixed for the generator's losses, and a copy cut off from the generator for its own. So each
parameter gets the gradient of its own side, at the weights that the step began with. That is what two optimizers in
turn give in the field's code, whose discriminator learns from pictures that were made before the generator's step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from magictalk_core.errors import UserError
from magictalk_core.models.facevid2vid import losses
from magictalk_core.models.facevid2vid.checkpoint import read_public
from magictalk_core.models.facevid2vid.clip_frames import ClipFrames
from magictalk_core.models.facevid2vid.head_angles import angles_of_turns, hopenet_angles
from magictalk_core.models.facevid2vid.pairs import Pairs, draw_pairs, held_out_pairs
from magictalk_core.models.facevid2vid.perceptual import perceptual_distance
from magictalk_core.models.facevid2vid.reenacted import Reenacted, angles_said, held_out_l1, measured_on, reenact
from magictalk_core.models.facevid2vid.thin_plate import Warp, draw_warps
from magictalk_core.models.facevid2vid.training_config import FaceVid2VidSettings
from magictalk_core.models.facevid2vid.training_network import TrainedTogether, begin_at
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.batches import BatchOrder
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split

__all__ = ["FaceVid2VidTask"]

_SEEDS_PER_RUN = 1_000_003
_PAIRS_PER_CLIP = 4
"""Of a held-out clip."""

_DEEP = 4
"""Volumes from this depth on are computed with their channels last: the same numbers in half the time on a CPU. At
depth 2 the backward pass of the 7 x 7 x 7 convolution takes ten times as long so."""


class FaceVid2VidTask:
    """Pairs of frames of the clips, from their standardized videos."""

    def __init__(self, settings: FaceVid2VidSettings, data: TrainingSet) -> None:
        self.config, self.training = settings.network, settings.training
        self.frames = ClipFrames.cut(data, self.config.size, self.training.clip_frames, self.training.clips)
        self.trained = self.frames.rows(Split.TRAIN)
        offered = np.repeat(self.trained, self.training.repeats)
        self.order = BatchOrder(offered, min(self.training.batch, len(offered)), self.training.seed)
        self.held_out, self.of_clip = held_out_pairs(self.frames, self.frames.rows(Split.VAL), _PAIRS_PER_CLIP)
        self.perceptual = perceptual_distance(self.training.perceptual, self.training.sizes)
        self._parts: dict[str, Tensor] = {}

    def build_network(self) -> nn.Module:
        network = self._network_by_chance()
        if self.training.weights_from:
            begin_at(network, read_public(Path(self.training.weights_from), self.config))
        for name in self.training.frozen:
            network.get_submodule(name).requires_grad_(False)
        if self.config.volume_depth >= _DEEP:
            for module in network.modules():
                if isinstance(module, nn.Conv3d):
                    module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last_3d)
        return network

    def _network_by_chance(self) -> TrainedTogether:
        return TrainedTogether(self.config, self.training.discriminator_width, self.training.discriminator_blocks)

    def steps_per_epoch(self) -> int:
        return self.order.steps_per_epoch

    def training_loss(self, network: nn.Module, step: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        assert isinstance(network, TrainedTogether)
        training, (rank, processes) = self.training, part
        if processes > 1 and training.norm == "batch":
            raise UserError(
                "facevid2vid: each of several processes would take the statistics of its own part of a batch: set "
                "facevid2vid.training.norm to stored, beginning at weights_from, or train in one process"
            )
        clips = self.order.batch(step)
        rng = np.random.default_rng(training.seed * _SEEDS_PER_RUN + step)
        pairs = draw_pairs(self.frames, clips, rng, training.mirror, training.colour_noise)
        warp = draw_warps(rng, len(clips), training.warp_affine, training.warp_bend, training.warp_points)
        device = next(network.parameters()).device
        own = pairs.rows(rank, processes).to(device)
        self._learning(network)
        share = len(own.source) * processes / len(clips)
        parts = self._losses(network, own, warp.rows(rank, processes).to(device))
        self._parts = {name: value.detach() * share for name, value in parts.items()}
        return torch.stack(list(parts.values())).sum() * share

    def loss_parts(self) -> dict[str, float]:
        return {name: float(value) for name, value in self._parts.items()}

    def _learning(self, network: TrainedTogether) -> None:
        """Training mode, but for networks that stay as they are and statistics that are not to move."""
        network.train()
        for name in self.training.frozen:
            network.get_submodule(name).eval()
        if self.training.norm == "stored":
            for module in network.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def _losses(self, network: TrainedTogether, pairs: Pairs, warp: Warp) -> dict[str, Tensor]:
        """Name -> loss with its weight, of those that have one."""
        weights = self.training.weights
        found = reenact(network, pairs.source, pairs.driving, warp if weights.equivariance else None)
        made = found.made.pictures.float()
        self.perceptual.to(made.device)
        parts = {"perceptual": weights.perceptual * self.perceptual(made, pairs.driving)} if weights.perceptual else {}
        return {**parts, **self._contest(network, made, pairs.driving), **self._of_keypoints(found, pairs, warp)}

    def _contest(self, network: TrainedTogether, made: Tensor, driving: Tensor) -> dict[str, Tensor]:
        weights = self.training.weights
        if not (weights.adversarial or weights.matching):
            return {}
        real, cut_off = network.discriminator(driving), network.discriminator(made.detach())
        with network.discriminator.fixed():
            judged = network.discriminator(made)
        return {
            "adversarial": weights.adversarial * losses.hinge_of_generator(judged.scores),
            "matching": weights.matching * losses.feature_matching(real, judged),
            # Its own task, whatever the verdict counts for the generator: features are matched in it too.
            "discriminator": losses.hinge_of_discriminator(real.scores, cut_off.scores),
        }

    def _of_keypoints(self, found: Reenacted, pairs: Pairs, warp: Warp) -> dict[str, Tensor]:
        weights, parts = self.training.weights, {}
        if found.warped_keypoints is not None:
            followed = warp.places(found.warped_keypoints[..., :2])
            parts["equivariance"] = weights.equivariance * losses.keypoint_distance(found.keypoints[..., :2], followed)
        if weights.prior:
            parts["prior"] = weights.prior * losses.keypoint_prior(found.keypoints)
        if weights.pose:
            wanted = self._told(pairs.driving_angles).to(found.keypoints.device)
            parts["pose"] = weights.pose * losses.pose_distance(angles_said(found.motion), wanted)
        if weights.expression:
            parts["expression"] = weights.expression * losses.expression_size(found.motion.expression.float())
        return parts

    def _told(self, tracked: Tensor) -> Tensor:
        """The tracker's angles (B, 3) as the estimator is to tell them: public weights go on in Hopenet's."""
        angles = tracked.cpu().numpy()
        told = hopenet_angles(angles) if self.training.weights_from else angles_of_turns(angles, self.config.rotation)
        return torch.from_numpy(told)

    def validation_loss(self, network: nn.Module) -> float | None:
        """Mean absolute difference of made and real pictures over the held-out pairs, in 0..1."""
        assert isinstance(network, TrainedTogether)
        return held_out_l1(network, self.held_out) if len(self.of_clip) else None

    def describe_model(self, weights: dict[str, Tensor], folder: Path) -> dict[str, Any]:
        """`held_out` is over the validation clips: see `reenacted.measured_on`."""
        network = self._network_by_chance()
        network.load_state_dict({name: value.cpu() for name, value in weights.items()})
        measured = None
        if len(self.of_clip):
            told = self._told(self.held_out.driving_angles)
            measured = measured_on(network, self.held_out, self.of_clip, told)
        return {
            "network": self.config.model_dump(mode="json"),
            "perceptual": self.training.perceptual,
            "head_pose": "tracker",
            "discriminator": {"width": self.training.discriminator_width, "blocks": self.training.discriminator_blocks},
            "training_clips": len(self.trained),
            "held_out": measured,
        }
