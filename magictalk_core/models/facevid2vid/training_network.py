"""What is trained together: the networks of face-vid2vid and their discriminator."""

from __future__ import annotations

import logging

from magictalk_core.judges.published import load_strictly
from magictalk_core.models.facevid2vid.checkpoint import PublicCheckpoint
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig
from magictalk_core.models.facevid2vid.discriminator import Discriminator
from magictalk_core.models.facevid2vid.network import FaceVid2Vid

__all__ = ["TrainedTogether", "begin_at"]

logger = logging.getLogger("magictalk.training")


class TrainedTogether(FaceVid2Vid):
    """`FaceVid2Vid` with the discriminator, under `discriminator.` as in the public files: a further training goes on
    from it."""

    def __init__(self, config: FaceVid2VidNetworkConfig, width: int, blocks: int) -> None:
        super().__init__(config)
        self.discriminator = Discriminator(width, blocks)


def begin_at(network: TrainedTogether, checkpoint: PublicCheckpoint) -> None:
    """Put the weights of a public file into the network; what the file lacks stays as chance has drawn it, and is told.

    Raises `PermanentError` where the file's discriminator is of another shape than the settings say.
    """
    network.load_state_dict(dict(checkpoint.weights), strict=False)
    lacking = [] if checkpoint.has_estimator else ["he_estimator"]
    if checkpoint.discriminator:
        load_strictly(network.discriminator, checkpoint.discriminator, f"{checkpoint.path}: the discriminator")
    else:
        lacking.append("discriminator")
    if lacking:
        logger.warning("%s has no %s: drawn by chance", checkpoint.path, " and no ".join(lacking))
