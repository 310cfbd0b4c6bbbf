"""Training face-vid2vid: one frame of a clip is made from another one of it, against a discriminator.

Both sides of the contest take their step at once, from one backward pass: the discriminator judges a made picture with
its own weights fixed for the generator's losses, and a copy cut off from the generator for its own. Each parameter so
gets the gradient of its own side alone, at the weights that the step began with, which is what two optimizers in turn
give in the field's code: its generator's step is taken on verdicts, and its discriminator's on pictures, of before both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from magictalk_core.models.facevid2vid import losses
from magictalk_core.models.facevid2vid.checkpoint import load_public_weights
from magictalk_core.models.facevid2vid.clip_frames import ClipFrames
from magictalk_core.models.facevid2vid.held_out import held_out_l1, measured_on
from magictalk_core.models.facevid2vid.head_angles import estimator_angles
from magictalk_core.models.facevid2vid.pairs import Pairs, draw_pairs, held_out_pairs
from magictalk_core.models.facevid2vid.perceptual import perceptual_distance
from magictalk_core.models.facevid2vid.seen_heads import driven, heads_of
from magictalk_core.models.facevid2vid.thin_plate import Warp, draw_warps
from magictalk_core.models.facevid2vid.training_config import FaceVid2VidSettings
from magictalk_core.models.facevid2vid.training_network import TrainedTogether
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.batches import BatchOrder
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split

__all__ = ["FaceVid2VidTask"]

_SEEDS_PER_RUN = 1_000_003
_PAIRS_PER_CLIP = 4
"""Of a held-out clip."""
