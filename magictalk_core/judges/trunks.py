"""AlexNet, VGG16 and SqueezeNet 1.1 as far as LPIPS looks into them, and VGG19 as far as image generators do; names of
weights are those of torchvision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["TRUNKS", "Trunk", "TrunkSpec"]


def _alexnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )


def _vgg16() -> nn.Sequential:
    return _vgg(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)))


def _vgg19() -> nn.Sequential:
    # As far as the first convolution at the last size.
    return _vgg(((64, 2), (128, 2), (256, 4), (512, 4), (512, 1)))


def _vgg(stages: Sequence[tuple[int, int]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for stage, (width, convolutions) in enumerate(stages):
        if stage:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers)


class _Fire(nn.Module):
    """SqueezeNet's block: few channels, then 1 x 1 and 3 x 3 filters side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1x1(x)), torch.relu(self.expand3x3(x))], dim=1)


def _squeezenet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(64, 16, 64),
        _Fire(128, 16, 64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(128, 32, 128),
        _Fire(256, 32, 128),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(256, 48, 192),
        _Fire(384, 48, 192),
        _Fire(384, 64, 256),
        _Fire(512, 64, 256),
    )


@dataclass(frozen=True)
class TrunkSpec:
    """A trunk: its file, its layers, and after which of them is looked, with how many channels each has."""

    file: str
    layers: Callable[[], nn.Sequential]
    taps: tuple[int, ...]
    channels: tuple[int, ...]


TRUNKS: dict[str, TrunkSpec] = {
    "alex": TrunkSpec("alexnet-owt-7be5be79.pth", _alexnet, (1, 4, 7, 9, 11), (64, 192, 384, 256, 256)),
    "vgg": TrunkSpec("vgg16-397923af.pth", _vgg16, (3, 8, 15, 22, 29), (64, 128, 256, 512, 512)),
    "vgg19": TrunkSpec("vgg19-dcbb9e9d.pth", _vgg19, (1, 6, 11, 20, 29), (64, 128, 256, 512, 512)),
    "squeeze": TrunkSpec(
        "squeezenet1_1-b8a52dc0.pth",
        _squeezenet,
        (1, 4, 7, 9, 10, 11, 12),
        (64, 128, 256, 384, 384, 512, 512),
    ),
}


class Trunk(nn.Module):
    """Pictures (b, 3, H, W), normalised, to the values at the taps of the spec: (b, channels, h, w) each."""

    def __init__(self, spec: TrunkSpec) -> None:
        super().__init__()
        self.taps = spec.taps
        self.features = spec.layers()

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.taps:
                found.append(x)
        return found
