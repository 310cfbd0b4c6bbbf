"""Building blocks of the face-vid2vid networks, with the attribute names of the public checkpoints.

Batch norm stands before or after the convolution as it did there: the order is part of what the weights mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "Bottleneck2d",
    "DownBlock2d",
    "DownBlock3d",
    "ResidualBlock2d",
    "ResidualBlock3d",
    "SameBlock2d",
    "SpectralConv2d",
    "UpBlock2d",
    "UpBlock3d",
    "at_least_single",
    "coordinate_grid",
]


def at_least_single(values: Tensor) -> Tensor:
    """Half precision to single, for sums and places that need it; double stays double."""
    return values if values.dtype == torch.float64 else values.float()


def coordinate_grid(size: tuple[int, int, int], like: Tensor) -> Tensor:
    """(D, H, W, 3): x, y, z of every cell, the outermost cells at -1 and 1; type and device of `like`."""
    depth, height, width = (torch.linspace(-1, 1, n, dtype=like.dtype, device=like.device) for n in size)
    z, y, x = torch.meshgrid(depth, height, width, indexing="ij")
    return torch.stack((x, y, z), dim=-1)


class SameBlock2d(nn.Module):
    """Convolution, norm, activation (`leak` 0 is ReLU): same size."""

    def __init__(self, channels: int, made: int, kernel: int = 3, leak: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, made, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(made)
        self.leak = leak

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x)), self.leak)


class DownBlock2d(nn.Module):
    """Convolution, norm, ReLU, then the mean of 2 x 2 cells."""

    def __init__(self, channels: int, made: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, made, 3, padding=1)
        self.norm = nn.BatchNorm2d(made)

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(functional.relu(self.norm(self.conv(x))), 2)


class DownBlock3d(nn.Module):
    """As `DownBlock2d` in space; depth stays."""

    def __init__(self, channels: int, made: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, made, 3, padding=1)
        self.norm = nn.BatchNorm3d(made)

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool3d(functional.relu(self.norm(self.conv(x))), (1, 2, 2))


class UpBlock2d(nn.Module):
    """Every cell repeated 2 x 2, then convolution, norm, ReLU."""

    def __init__(self, channels: int, made: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, made, 3, padding=1)
        self.norm = nn.BatchNorm2d(made)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(functional.interpolate(x, scale_factor=2, mode="nearest"))))


class UpBlock3d(nn.Module):
    """As `UpBlock2d` in space; depth stays."""

    def __init__(self, channels: int, made: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, made, 3, padding=1)
        self.norm = nn.BatchNorm3d(made)

    def forward(self, x: Tensor) -> Tensor:
        larger = functional.interpolate(x, scale_factor=(1.0, 2.0, 2.0), mode="nearest")
        return functional.relu(self.norm(self.conv(larger)))


class ResidualBlock2d(nn.Module):
    """Norm, ReLU and convolution twice, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(functional.relu(self.norm1(x)))
        changed: Tensor = self.conv2(functional.relu(self.norm2(inner)))
        return x + changed


class ResidualBlock3d(nn.Module):
    """As `ResidualBlock2d` in space."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(functional.relu(self.norm1(x)))
        changed: Tensor = self.conv2(functional.relu(self.norm2(inner)))
        return x + changed


class Bottleneck2d(nn.Module):
    """ResNet-50's block at a quarter of the channels; with a stride the way around it is a convolution too."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        inner = channels // 4
        self.conv1 = nn.Conv2d(channels, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, stride=stride)
        self.conv3 = nn.Conv2d(inner, channels, 1)
        self.norm1 = nn.BatchNorm2d(inner)
        self.norm2 = nn.BatchNorm2d(inner)
        self.norm3 = nn.BatchNorm2d(channels)
        self.strided = stride != 1
        if self.strided:
            self.skip = nn.Conv2d(channels, channels, 1, stride=stride)
            self.norm4 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        inner = functional.relu(self.norm2(self.conv2(inner)))
        around = self.norm4(self.skip(x)) if self.strided else x
        return functional.relu(self.norm3(self.conv3(inner)) + around)


class SpectralConv2d(nn.Conv2d):
    """A convolution whose weight is divided by its largest singular value, estimated by one power iteration a step.

    Weights as `weight_orig`, `weight_u` and `weight_v`, which is what `torch.nn.utils.spectral_norm` writes; unlike a
    module that was wrapped by it, this one can be copied after it ran, and the norm is in float32 whatever the weights.
    """

    def __init__(self, channels: int, made: int, kernel: int, padding: int = 0, bias: bool = True) -> None:
        super().__init__(channels, made, kernel, padding=padding, bias=bias)
        weight = self.weight.detach()
        del self.weight
        self.weight_orig = nn.Parameter(weight)
        self.weight_u: Tensor
        self.weight_v: Tensor
        self.register_buffer("weight_u", functional.normalize(torch.randn(weight.shape[0]), dim=0))
        self.register_buffer("weight_v", functional.normalize(torch.randn(weight[0].numel()), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self._conv_forward(x, self.normalised(), self.bias)
        return made

    def normalised(self) -> Tensor:
        """The weight as it is used."""
        matrix = at_least_single(self.weight_orig.flatten(1))
        if self.training:
            with torch.no_grad():
                v = functional.normalize(matrix.t() @ at_least_single(self.weight_u), dim=0, eps=1e-12)
                u = functional.normalize(matrix @ v, dim=0, eps=1e-12)
                self.weight_u.copy_(u)
                self.weight_v.copy_(v)
        else:
            u, v = at_least_single(self.weight_u), at_least_single(self.weight_v)
        return self.weight_orig / torch.dot(u, matrix @ v).to(self.weight_orig.dtype)
