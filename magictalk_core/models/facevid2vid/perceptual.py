"""How different a made picture is from the real one, at several sizes: by a trained trunk or by pixels and edges.

Which of them a model was trained with is a setting and stands in its `config.json`; none ever takes another's place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from magictalk_core.judges.published import load_strictly, state_dict_of
from magictalk_core.judges.trunks import TRUNKS, Trunk
from magictalk_core.models.facevid2vid.keypoints import BlurredShrink
from magictalk_core.weights.resolver import resolve

__all__ = ["PerceptualDistance", "PerceptualTrunk", "perceptual_distance"]

PerceptualTrunk = Literal["vgg19", "squeeze", "edges"]

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures: what torchvision's networks want."""

Looks = Callable[[Tensor], list[Tensor]]


class _TrunkLooks(nn.Module):
    """What a trunk sees at its taps in pictures of 0..1."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(_DEVIATION).reshape(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        seen: list[Tensor] = self.trunk((pictures - self.mean) / self.deviation)
        return seen


class _Edges(nn.Module):
    """The pixels, and how they change to the right and downwards."""

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return [pictures, pictures[..., 1:] - pictures[..., :-1], pictures[..., 1:, :] - pictures[..., :-1, :]]


class PerceptualDistance(nn.Module):
    """Two batches (B, 3, S, S) in 0..1 to the sum, over sizes S, S / 2, S / 4 ... and what is looked at, of the mean
    absolute difference. The second batch is fixed."""

    def __init__(self, looks: nn.Module, sizes: int) -> None:
        super().__init__()
        self.looks = looks
        self.shrinks = nn.ModuleList(BlurredShrink(3, 2**level) for level in range(1, sizes))

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        total = self._at_one_size(made, real)
        for shrink in self.shrinks:
            total = total + self._at_one_size(shrink(made), shrink(real))
        return total

    def _at_one_size(self, made: Tensor, real: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.looks(real)
        return torch.stack([(a - b).abs().mean() for a, b in zip(self.looks(made), wanted, strict=True)]).sum()


def perceptual_distance(trunk: PerceptualTrunk, sizes: int) -> PerceptualDistance:
    """`vgg19`: the field's, torchvision's network at five of its ReLUs; `squeeze`: SqueezeNet 1.1, a twentieth of the
    work; `edges`: pixels and their differences, with no trunk.

    Raises `MissingWeights` where the trunk's file is not here, naming it and the command that fetches it.
    """
    if trunk == "edges":
        return PerceptualDistance(_Edges(), sizes)
    spec = TRUNKS[trunk]
    network, path = Trunk(spec), resolve(spec.file)
    # The file goes on to the classifier, VGG19's further than anything is looked at.
    known = network.state_dict()
    features = {name: value for name, value in state_dict_of(path).items() if name in known}
    load_strictly(network, features, str(path))
    return PerceptualDistance(_TrunkLooks(network), sizes)
