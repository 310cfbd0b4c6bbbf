"""The three networks of `@vladmandic/face-api` that judge a cropped face, in torch.

Their shapes are those of the package's sources (vladmandic/face-api, src/faceFeatureExtractor, src/faceProcessor,
src/faceRecognitionNet): dense blocks of separable convolutions under an expression and a landmark head, and the
residual network of dlib's face recognition. All take RGB crops of 0..255.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.judges.face_api_weights import face_api_tensors
from magictalk_core.judges.published import load_strictly, ready

__all__ = ["FaceProcessor", "FaceRecognitionNetwork", "load_face_processor", "load_face_recognition"]

_MEAN_RGB = (122.782, 117.001, 104.298)


def _normalised(pictures: Tensor) -> Tensor:
    return (pictures - pictures.new_tensor(_MEAN_RGB).reshape(1, 3, 1, 1)) / 255


def _same_padded(x: Tensor, stride: int) -> Tensor:
    """TensorFlow's `same` for filters of 3: of an odd number of border pixels the odd one lies right and below."""
    height, width = (max(0, (-(-n // stride) - 1) * stride + 3 - n) for n in x.shape[2:])
    return functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))


class _Separable(nn.Module):
    """A filter per channel, then a mix of the channels."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.pointwise(self.depthwise(_same_padded(x, self.stride)))
        return mixed


class _First(nn.Module):
    """The first convolution of all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, width, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.filters(_same_padded(x, 2))
        return found


class _Dense(nn.Module):
    """Four convolutions, each fed with the sum of all before it; the first one halves the picture."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv0 = _First(width) if channels == 3 else _Separable(channels, width, 2)
        self.conv1, self.conv2, self.conv3 = (_Separable(width, width, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        total = torch.relu(self.conv0(x))
        held = total
        for convolution in (self.conv1, self.conv2, self.conv3):
            total = total + convolution(held)
            held = torch.relu(total)
        return held


class FaceProcessor(nn.Module):
    """Faces (b, 3, 112, 112) to (b, outputs): logits of expressions, or 68 places in 0..1, x and y in turn."""

    side = 112

    def __init__(self, outputs: int) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 256)
        self.blocks = nn.ModuleList(_Dense(a, b) for a, b in pairwise(widths))
        self.fc = nn.Linear(256, outputs)

    def forward(self, pictures: Tensor) -> Tensor:
        x = _normalised(pictures)
        for block in self.blocks:
            x = block(x)
        found: Tensor = self.fc(x.mean(dim=(2, 3)))  # 7 x 7 are left, as wide as the package's pooling window
        return found


class _Scaled(nn.Module):
    """A convolution and a scale per channel: what batch normalisation leaves behind."""

    def __init__(self, channels: int, width: int, size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, size, stride, padding)
        self.weights, self.biases = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(x) * self.weights[:, None, None] + self.biases[:, None, None]
        return found


class _Residual(nn.Module):
    """Two convolutions beside a way past them; `down` halves the picture and may widen it, zeros in what is new."""

    def __init__(self, channels: int, width: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = _Scaled(channels, width, 3, 2 if down else 1, 0 if down else 1)
        self.conv2 = _Scaled(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(torch.relu(self.conv1(x)))
        if self.down:
            x = functional.avg_pool2d(x, 2, 2)
            x = functional.pad(x, (0, 0, 0, 0, 0, out.shape[1] - x.shape[1]))
            out = functional.pad(out, (0, x.shape[3] - out.shape[3], 0, x.shape[2] - out.shape[2]))
        return torch.relu(out + x)


_RECOGNITION = (
    *((f"conv32_{i}", 32, 32, False) for i in (1, 2, 3)),
    ("conv64_down", 32, 64, True),
    *((f"conv64_{i}", 64, 64, False) for i in (1, 2, 3)),
    ("conv128_down", 64, 128, True),
    *((f"conv128_{i}", 128, 128, False) for i in (1, 2)),
    ("conv256_down", 128, 256, True),
    *((f"conv256_{i}", 256, 256, False) for i in (1, 2)),
    ("conv256_down_out", 256, 256, True),
)


class FaceRecognitionNetwork(nn.Module):
    """Faces (b, 3, 150, 150) to embeddings (b, 128); two of one person are usually less than 0.6 apart."""

    side = 150

    def __init__(self) -> None:
        super().__init__()
        self.conv32_down = _Scaled(3, 32, 7, 2, 0)
        self.blocks = nn.ModuleDict({name: _Residual(a, b, down) for name, a, b, down in _RECOGNITION})
        self.fc = nn.Linear(256, 128, bias=False)

    def forward(self, pictures: Tensor) -> Tensor:
        x = functional.max_pool2d(torch.relu(self.conv32_down(_normalised(pictures))), 3, 2)
        for block in self.blocks.values():
            x = block(x)
        found: Tensor = self.fc(x.mean(dim=(2, 3)))
        return found


_LAST_PARTS = {
    "depthwise_filter": "depthwise.weight",
    "pointwise_filter": "pointwise.weight",
    "filters": "weight",
    "bias": "bias",
    "weights": "weights",
    "biases": "biases",
}


def _of_processor(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, value in tensors.items():
        *place, part = name.replace("dense", "blocks.").split("/")
        if place == ["fc"]:
            found["fc.weight" if part == "weights" else "fc.bias"] = value
            continue
        if place == ["blocks.0", "conv0"]:
            place.append("filters")
        elif part == "bias":
            place.append("pointwise")
        found[".".join([*place, _LAST_PARTS[part]])] = value
    return found


def _of_recognition(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, value in tensors.items():
        if name == "fc":
            found["fc.weight"] = value
            continue
        first, *rest, part = name.split("/")
        place = [first] if first == "conv32_down" else ["blocks", first]
        found[".".join([*place, *(p for p in rest if p != "scale"), _LAST_PARTS[part]])] = value
    return found


def load_face_processor(network: str, outputs: int, device: str = "cpu") -> FaceProcessor:
    """`face_expression` with 7 outputs or `face_landmark_68` with 136. Fetches the npm package's files on first use;
    raises `TransientError` when that fails."""
    found = FaceProcessor(outputs)
    load_strictly(found, _of_processor(face_api_tensors(network)), f"{network}_model of face-api")
    return ready(found, device)


def load_face_recognition(device: str = "cpu") -> FaceRecognitionNetwork:
    """Fetches the npm package's files on first use; raises `TransientError` when that fails."""
    found = FaceRecognitionNetwork()
    load_strictly(found, _of_recognition(face_api_tensors("face_recognition")), "face_recognition_model of face-api")
    return ready(found, device)
