"""LPIPS 0.1: how different two pictures look to people, by calibrated differences inside a network.

Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric (2018); constants and heads of the
package `lpips` 0.1.4 (richzhang/PerceptualSimilarity), which this follows to rounding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.judges.published import as_batches, load_strictly, ready, state_dict_of
from magictalk_core.judges.trunks import TRUNKS, Trunk, TrunkSpec
from magictalk_core.metrics.pictures import picture_batch
from magictalk_core.weights.resolver import resolve

__all__ = ["LEAST_SIDE", "Lpips", "LpipsNet"]

LpipsNet = Literal["alex", "vgg", "squeeze"]

LEAST_SIDE = 32
"""Of a picture, in pixels: below it AlexNet's second pooling has nothing to pool."""

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_TINY = 1e-10


class _Network(nn.Module):
    """Two batches (b, 3, H, W) in [-1, 1] to their distances (b,)."""

    shift: Tensor
    scale: Tensor

    def __init__(self, spec: TrunkSpec) -> None:
        super().__init__()
        self.trunk = Trunk(spec)
        self.heads = nn.ParameterList(nn.Parameter(torch.zeros(1, c, 1, 1)) for c in spec.channels)
        self.register_buffer("shift", torch.tensor(_SHIFT).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).reshape(1, 3, 1, 1))

    def _looked_at(self, pictures: Tensor) -> list[Tensor]:
        """Values at the taps, of unit length over the channels at every place."""
        found = self.trunk((pictures - self.shift) / self.scale)
        return [x / (x.square().sum(dim=1, keepdim=True).sqrt() + _TINY) for x in found]

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        total = torch.zeros(len(first), device=first.device)
        for a, b, head in zip(self._looked_at(first), self._looked_at(second), self.heads, strict=True):
            total = total + ((a - b).square() * head).sum(dim=1).mean(dim=(1, 2))
        return total


class Lpips:
    """LPIPS with one trunk: `alex` is the usual one as a metric, `vgg` the second. Lower is more alike, 0 for equal
    pictures. The values of two trunks do not compare."""

    def __init__(self, network: _Network) -> None:
        self.network = network

    @classmethod
    def load(cls, net: LpipsNet = "alex", device: str = "cpu") -> Lpips:
        """With torchvision's trunk and the heads of the `lpips` wheel.

        Raises `MissingWeights` where the trunk is not here, naming its file, sha256, source and the command.
        """
        if net not in get_args(LpipsNet):
            raise UserError(f"LPIPS knows the trunks {', '.join(get_args(LpipsNet))}, found `{net}`")
        return cls.from_files(net, resolve(TRUNKS[net].file), resolve(f"lpips_v0.1_{net}.pth"), device)

    @classmethod
    def from_files(cls, net: LpipsNet, trunk: Path, heads: Path, device: str = "cpu") -> Lpips:
        """From a state dict of torchvision's network, whose classifier is not needed, and one of the heads."""
        spec = TRUNKS[net]
        network = _Network(spec)
        features = {k: v for k, v in state_dict_of(trunk).items() if k.startswith("features.")}
        load_strictly(network.trunk, features, str(trunk))
        named = {k.removeprefix("lin").removesuffix(".model.1.weight"): v for k, v in state_dict_of(heads).items()}
        load_strictly(network.heads, named, str(heads))
        return cls(ready(network, device))

    def distance(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
        """(n,) of frames a, b: (n, H, W, 3) uint8 RGB of one size. Raises `PermanentError` for anything else."""
        first, second = picture_batch(a, LEAST_SIDE), picture_batch(b, LEAST_SIDE)
        if first.shape != second.shape:
            raise PermanentError(f"LPIPS: expected frames of one shape, found {first.shape} and {second.shape}")
        device = self.network.shift.device
        found = []
        with torch.inference_mode():
            for x, y in zip(as_batches(first, device), as_batches(second, device), strict=True):
                found.append(self.network(x / 127.5 - 1, y / 127.5 - 1).double().cpu().numpy())
        return np.concatenate(found) if found else np.zeros(0)
