"""What is trained together: the networks of face-vid2vid and their discriminator."""

from __future__ import annotations

from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig
from magictalk_core.models.facevid2vid.discriminator import Discriminator
from magictalk_core.models.facevid2vid.network import FaceVid2Vid

__all__ = ["DISCRIMINATOR", "TrainedTogether"]

DISCRIMINATOR = "discriminator"
"""Before the names of its weights, in checkpoints and in the model folder, as in the public files."""


class TrainedTogether(FaceVid2Vid):
    """`FaceVid2Vid` with the discriminator, which a further training goes on from."""

    def __init__(self, config: FaceVid2VidNetworkConfig, width: int, blocks: int) -> None:
        super().__init__(config)
        self.discriminator = Discriminator(width, blocks)
