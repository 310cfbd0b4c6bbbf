"""Face-vid2vid: a portrait in space, moved by keypoints (article [52] of the paper; reference/models.md 5.1).

Three networks under the names that public checkpoints give them. The parts of the generator have names of their own,
`checkpoint.py` knows the public ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.models.facevid2vid.appearance import AppearanceExtractor, FeatureFusion
from magictalk_core.models.facevid2vid.blocks import at_least_single
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig
from magictalk_core.models.facevid2vid.decoder import PlainDecoder, SpadeDecoder
from magictalk_core.models.facevid2vid.estimator import MotionEstimator
from magictalk_core.models.facevid2vid.keypoints import KeypointDetector
from magictalk_core.models.facevid2vid.motion_field import MotionField, MotionFieldNetwork

__all__ = ["FaceVid2Vid", "Generated", "Generator"]


@dataclass(frozen=True)
class Generated:
    """`pictures` (B, 3, S, S) in 0..1, and the motion that made them."""

    pictures: Tensor
    motion: MotionField


class Generator(nn.Module):
    """Source pictures and keypoints of source and driving to pictures of the source that moves like the driving."""

    def __init__(self, config: FaceVid2VidNetworkConfig) -> None:
        super().__init__()
        self.appearance = AppearanceExtractor(config)
        self.motion = MotionFieldNetwork(config)
        self.fusion = FeatureFusion(config)
        self.decoder = SpadeDecoder(config) if config.decoder == "spade" else PlainDecoder(config)

    def forward(self, pictures: Tensor, source: Tensor, driving: Tensor) -> Generated:
        """`pictures` (B, 3, S, S) in 0..1; keypoints (B, K, 3)."""
        return self.move(self.appearance(pictures), source, driving)

    def move(self, volume: Tensor, source: Tensor, driving: Tensor) -> Generated:
        """As `forward`, from features in space that were extracted before. Of one source, `volume` and `source` may be
        of batch 1 while `driving` is of B."""
        count = len(driving)
        volume, source = volume.expand(count, -1, -1, -1, -1), source.expand(count, -1, -1)
        motion = self.motion(volume, source, driving)
        # Half precision would move cells by up to a sixtieth of their width.
        warped = functional.grid_sample(at_least_single(volume), motion.field, align_corners=False).to(volume.dtype)
        return Generated(self.decoder(self.fusion(warped, motion.occlusion)), motion)


class FaceVid2Vid(nn.Module):
    """The three networks; used one by one, since a portrait is looked at once and a driving frame never generates."""

    def __init__(self, config: FaceVid2VidNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config)
        self.kp_detector = KeypointDetector(config)
        self.he_estimator = MotionEstimator(config)
