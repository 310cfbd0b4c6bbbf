"""The estimator of head pose and expression: a ResNet of bottlenecks with five heads."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.models.facevid2vid.blocks import Bottleneck2d
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig

__all__ = ["BINS", "HeadMotion", "MotionEstimator"]

BINS = 66
"""Classes of an angle, three degrees each."""


@dataclass(frozen=True)
class HeadMotion:
    """Of B pictures: `yaw`, `pitch`, `roll` (B, 66) logits of angle classes, `translation` (B, 3), `expression`
    (B, K, 3); the last two in the keypoints' units."""

    yaw: Tensor
    pitch: Tensor
    roll: Tensor
    translation: Tensor
    expression: Tensor

    def at(self, chosen: slice) -> HeadMotion:
        """Of some of the pictures."""
        return HeadMotion(
            self.yaw[chosen], self.pitch[chosen], self.roll[chosen], self.translation[chosen], self.expression[chosen]
        )


class MotionEstimator(nn.Module):
    """Pictures (B, 3, S, S) in 0..1 to their `HeadMotion`."""

    def __init__(self, config: FaceVid2VidNetworkConfig) -> None:
        super().__init__()
        first, second, third, fourth = config.estimator_widths
        counts = config.estimator_blocks
        self.conv1 = nn.Conv2d(3, config.estimator_width, 7, padding=3, stride=2)
        self.norm1 = nn.BatchNorm2d(config.estimator_width)
        self.conv2 = nn.Conv2d(config.estimator_width, first, 1)
        self.norm2 = nn.BatchNorm2d(first)
        self.block1 = _stage("b1", first, counts[0])
        self.conv3 = nn.Conv2d(first, second, 1)
        self.norm3 = nn.BatchNorm2d(second)
        self.block2 = Bottleneck2d(second, stride=2)
        self.block3 = _stage("b3", second, counts[1])
        self.conv4 = nn.Conv2d(second, third, 1)
        self.norm4 = nn.BatchNorm2d(third)
        self.block4 = Bottleneck2d(third, stride=2)
        self.block5 = _stage("b5", third, counts[2])
        self.conv5 = nn.Conv2d(third, fourth, 1)
        self.norm5 = nn.BatchNorm2d(fourth)
        self.block6 = Bottleneck2d(fourth, stride=2)
        self.block7 = _stage("b7", fourth, counts[3])
        self.fc_roll = nn.Linear(fourth, BINS)
        self.fc_pitch = nn.Linear(fourth, BINS)
        self.fc_yaw = nn.Linear(fourth, BINS)
        self.fc_t = nn.Linear(fourth, 3)
        self.fc_exp = nn.Linear(fourth, 3 * config.keypoints)

    def forward(self, pictures: Tensor) -> HeadMotion:
        x = functional.relu(self.norm1(self.conv1(pictures)))
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        x = self.block1(functional.relu(self.norm2(self.conv2(x))))
        x = self.block3(self.block2(functional.relu(self.norm3(self.conv3(x)))))
        x = self.block5(self.block4(functional.relu(self.norm4(self.conv4(x)))))
        x = self.block7(self.block6(functional.relu(self.norm5(self.conv5(x)))))
        x = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        # The public weights were trained with these two heads swapped: `fc_roll` tells yaw, `fc_yaw` tells roll.
        return HeadMotion(
            yaw=self.fc_roll(x),
            pitch=self.fc_pitch(x),
            roll=self.fc_yaw(x),
            translation=self.fc_t(x),
            expression=self.fc_exp(x).unflatten(1, (-1, 3)),
        )


def _stage(name: str, channels: int, count: int) -> nn.Sequential:
    stage = nn.Sequential()
    for number in range(count):
        stage.add_module(f"{name}_{number}", Bottleneck2d(channels))
    return stage
