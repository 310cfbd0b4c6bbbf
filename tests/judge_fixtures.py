"""Random trunks and pictures that are the same on every machine, for networks whose weights are not here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.errors import TransientError
from magictalk_core.judges.trunks import TRUNKS, Trunk
from magictalk_core.weights.resolver import resolve

__all__ = ["golden_faces", "lpips_pairs", "need", "random_trunk", "random_weights"]


def need(*names: str) -> list[Path]:
    """The weight files, or a skip where they are neither here nor to be had from a registry."""
    try:
        return [resolve(name) for name in names]
    except TransientError as error:
        pytest.skip(f"needs {', '.join(names)}: {error}")


def random_weights(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """A state dict of the network drawn by numpy, in the order of names: the same everywhere and in every version.

    Weights keep the size of what passes (He); norms are near the identity; running variances are positive.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for name, value in sorted(network.state_dict().items()):
        shape = tuple(value.shape)
        if name.endswith("num_batches_tracked"):
            found[name] = torch.tensor(0)
        elif name.endswith("running_var"):
            found[name] = torch.from_numpy(rng.uniform(0.5, 1.5, shape).astype(np.float32))
        elif value.dim() > 1:
            fan_in = int(np.prod(shape[1:]))
            found[name] = torch.from_numpy(rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32))
        else:
            centre = 1.0 if name.endswith("weight") else 0.0
            found[name] = torch.from_numpy(rng.normal(centre, 0.1, shape).astype(np.float32))
    return found


def random_trunk(net: str) -> dict[str, Tensor]:
    """As torchvision's file has it, with a weight of the classifier, which LPIPS does not read."""
    return {**random_weights(Trunk(TRUNKS[net]), seed=18), "classifier.1.weight": torch.zeros(2, 2)}


def lpips_pairs() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Three pairs of 64 x 64: noise of 20 on a face, the face mirrored, and another part of the picture."""
    whole = skimage.data.astronaut()
    face = whole[80:144, 190:254]
    noisy = np.clip(face + np.random.default_rng(3).normal(0, 20, face.shape), 0, 255).astype(np.uint8)
    return np.stack([face] * 3), np.stack([noisy, face[:, ::-1], whole[300:364, 40:104]])


def golden_faces(side: int) -> NDArray[np.uint8]:
    """(4, side, side, 3): a face, its mirror image, another cut of it, and noise; nothing is resized."""
    whole = skimage.data.astronaut()
    face, other = whole[58 : 58 + side, 168 : 168 + side], whole[30 : 30 + side, 140 : 140 + side]
    noise = np.random.default_rng(5).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return np.stack([face, face[:, ::-1], other, noise])
