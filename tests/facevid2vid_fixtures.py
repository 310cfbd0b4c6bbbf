"""Face-vid2vid at a size that a test can run, with weights of chance: pictures of it are noise and shown to nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from magictalk_core.models.facevid2vid.blocks import SpectralConv2d
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig
from magictalk_core.models.facevid2vid.network import FaceVid2Vid

__all__ = ["random_network", "small"]


def small(decoder: Literal["spade", "plain"] = "spade", **changed: object) -> FaceVid2VidNetworkConfig:
    """64 px, about a megabyte."""
    values: dict[str, object] = {
        "size": 64, "keypoints": 5, "decoder": decoder, "width": 8, "volume_channels": 4, "volume_depth": 4,
        "residual_blocks": 2, "spade_hidden": 8, "motion_width": 4, "motion_max_width": 16, "motion_levels": 2,
        "motion_compressed": 2, "detector_shrink": 2, "detector_width": 4, "detector_max_width": 16,
        "detector_levels": 2, "estimator_width": 8, "estimator_widths": (8, 16, 16, 32),
        "estimator_blocks": (1, 1, 1, 1),
    }  # fmt: skip
    return FaceVid2VidNetworkConfig.model_validate(values | changed)


def random_network(config: FaceVid2VidNetworkConfig, seed: int = 0) -> FaceVid2Vid:
    """In eval mode; norms have statistics other than 0 and 1, so that no forgotten one goes unseen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FaceVid2Vid(config)
    state: Mapping[str, Tensor] = network.state_dict()
    for name, value in state.items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.2, generator=generator)
        elif "norm" in name and name.endswith("weight"):
            value.uniform_(0.7, 1.3, generator=generator)
        elif value.is_floating_point() and not name.endswith(("_u", "_v", "down.weight")):
            value.normal_(0, 1, generator=generator).div_(max(1, value[0].numel()) ** 0.5)
    for module in network.modules():
        if isinstance(module, SpectralConv2d):
            # Vectors that are near the singular ones, as after a training: of chance, they would blow the weights up.
            for _ in range(10):
                module.train().normalised()
    return network.eval()
