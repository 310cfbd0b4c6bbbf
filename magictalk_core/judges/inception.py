"""Inception-v3 as FID uses it: the network that TensorFlow published in 2015, with its own ways of pooling.

The names of the weights are those of the file of mseitzer/pytorch-fid, whose values this gives. Pictures of any size
are brought to 299 x 299 and -1 to 1; a picture's features are the 2048 means of the last layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.judges.published import as_batches, load_strictly, ready, state_dict_of
from magictalk_core.metrics.pictures import picture_batch
from magictalk_core.weights.resolver import resolve

__all__ = ["FEATURES", "INCEPTION_WEIGHTS", "Inception", "InceptionNetwork"]

FEATURES = 2048
INCEPTION_WEIGHTS = "pt_inception-2015-12-05-6726825d.pth"
_SIDE = 299

Size = int | tuple[int, int]


class _Step(NamedTuple):
    """One convolution of a branch."""

    name: str
    width: int
    size: Size
    stride: int = 1


Branch = Sequence[_Step | tuple[_Step, _Step]]
"""Convolutions in a row; a pair at the end stands side by side."""

_ALONG, _DOWN = (1, 7), (7, 1)


class _Convolution(nn.Module):
    """Without bias, normalised, rectified; padded so that a stride of 1 keeps the size, a stride of 2 not at all."""

    def __init__(self, channels: int, width: int, size: Size, stride: int = 1, padded: bool = True) -> None:
        super().__init__()
        height, across = (size, size) if isinstance(size, int) else size
        padding = (height // 2, across // 2) if padded and stride == 1 else 0
        self.conv = nn.Conv2d(channels, width, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Branches side by side, and the pooled picture, through a convolution where the block keeps its size."""

    def __init__(self, channels: int, branches: Sequence[Branch], pooled: int, pool: str = "average") -> None:
        super().__init__()
        self._branches, self._pool = branches, pool
        for branch in branches:
            width = channels
            for steps in map(_side_by_side, branch):
                for step in steps:
                    self.add_module(step.name, _Convolution(width, step.width, step.size, step.stride))
                width = steps[0].width
        if pooled:
            self.branch_pool = _Convolution(channels, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        found = [self._through(branch, x) for branch in self._branches]
        if self._pool == "shrink":
            return torch.cat([*found, functional.max_pool2d(x, 3, 2)], dim=1)
        if self._pool == "average":
            # TensorFlow's average leaves the padding out.
            x = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        else:
            x = functional.max_pool2d(x, 3, 1, 1)
        return torch.cat([*found, self.branch_pool(x)], dim=1)

    def _through(self, branch: Branch, x: Tensor) -> Tensor:
        for steps in map(_side_by_side, branch):
            x = torch.cat([self.get_submodule(step.name)(x) for step in steps], dim=1)
        return x


def _side_by_side(step: _Step | tuple[_Step, _Step]) -> tuple[_Step, ...]:
    return (step,) if isinstance(step, _Step) else step


def _a(channels: int, pooled: int) -> _Mixed:
    double: Branch = [_Step("branch3x3dbl_1", 64, 1), _Step("branch3x3dbl_2", 96, 3), _Step("branch3x3dbl_3", 96, 3)]
    five: Branch = [_Step("branch5x5_1", 48, 1), _Step("branch5x5_2", 64, 5)]
    return _Mixed(channels, [[_Step("branch1x1", 64, 1)], five, double], pooled)


def _b(channels: int) -> _Mixed:
    double: Branch = [_Step("branch3x3dbl_1", 64, 1), _Step("branch3x3dbl_2", 96, 3), _Step("branch3x3dbl_3", 96, 3, 2)]
    return _Mixed(channels, [[_Step("branch3x3", 384, 3, 2)], double], 0, "shrink")


def _c(width: int) -> _Mixed:
    seven: Branch = [
        _Step("branch7x7_1", width, 1),
        _Step("branch7x7_2", width, _ALONG),
        _Step("branch7x7_3", 192, _DOWN),
    ]
    double: Branch = [
        _Step("branch7x7dbl_1", width, 1),
        _Step("branch7x7dbl_2", width, _DOWN),
        _Step("branch7x7dbl_3", width, _ALONG),
        _Step("branch7x7dbl_4", width, _DOWN),
        _Step("branch7x7dbl_5", 192, _ALONG),
    ]
    return _Mixed(768, [[_Step("branch1x1", 192, 1)], seven, double], 192)


def _d(channels: int) -> _Mixed:
    three: Branch = [_Step("branch3x3_1", 192, 1), _Step("branch3x3_2", 320, 3, 2)]
    seven: Branch = [
        _Step("branch7x7x3_1", 192, 1),
        _Step("branch7x7x3_2", 192, _ALONG),
        _Step("branch7x7x3_3", 192, _DOWN),
        _Step("branch7x7x3_4", 192, 3, 2),
    ]
    return _Mixed(channels, [three, seven], 0, "shrink")


def _e(channels: int, pool: str) -> _Mixed:
    three: Branch = [
        _Step("branch3x3_1", 384, 1),
        (_Step("branch3x3_2a", 384, (1, 3)), _Step("branch3x3_2b", 384, (3, 1))),
    ]
    double: Branch = [
        _Step("branch3x3dbl_1", 448, 1),
        _Step("branch3x3dbl_2", 384, 3),
        (_Step("branch3x3dbl_3a", 384, (1, 3)), _Step("branch3x3dbl_3b", 384, (3, 1))),
    ]
    return _Mixed(channels, [[_Step("branch1x1", 320, 1)], three, double], 192, pool)


class InceptionNetwork(nn.Module):
    """Pictures (b, 3, 299, 299) in -1..1 to features (b, 2048). `fc` is in the file and not used."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Convolution(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = _Convolution(32, 32, 3, padded=False)
        self.Conv2d_2b_3x3 = _Convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = _Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = _Convolution(80, 192, 3, padded=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = _c(128), _c(160), _c(160), _c(192)
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = _d(768), _e(1280, "average"), _e(2048, "largest")
        self.fc = nn.Linear(FEATURES, 1008)

    def forward(self, x: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, 3, 2)
        x = functional.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean(dim=(2, 3))


class Inception:
    """The features that FID compares: `metrics/fid.py:fid` of two sets of them."""

    def __init__(self, network: InceptionNetwork) -> None:
        self._network = network

    @classmethod
    def load(cls, device: str = "cpu") -> Inception:
        """With pytorch-fid's file; raises `MissingWeights` where it is not here."""
        return cls.from_file(resolve(INCEPTION_WEIGHTS), device)

    @classmethod
    def from_file(cls, path: Path, device: str = "cpu") -> Inception:
        """From a state dict in that file's layout; raises `PermanentError` for any other."""
        network = InceptionNetwork()
        load_strictly(network, state_dict_of(path), str(path))
        return cls(ready(network, device))

    def features(self, frames: NDArray[Any]) -> NDArray[np.float64]:
        """(n, 2048) of frames (n, H, W, 3) uint8 RGB. Raises `PermanentError` for anything else."""
        device = next(self._network.parameters()).device
        found = [np.zeros((0, FEATURES))]
        with torch.inference_mode():
            for batch in as_batches(picture_batch(frames), device):
                square = functional.interpolate(batch / 255, (_SIDE, _SIDE), mode="bilinear", align_corners=False)
                found.append(self._network(2 * square - 1).double().cpu().numpy())
        return np.concatenate(found)
