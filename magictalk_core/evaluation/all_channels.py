"""The ablation without separated mouth parameters: every coefficient optimised against the sync loss.

The paper tried "SyncNet-based optimization without separating mouth parameters" and gives no more than that line. The
simplest reading is taken: EmoDiff's coefficients are moved by gradient descent until an expert that sees all of them
finds them in sync. Nothing tells the optimisation where the mouth is, so brows and eyes are moved as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from magictalk_core.config import AllChannelsConfig
from magictalk_core.errors import PermanentError
from magictalk_core.models.sync_expert.model import SyncExpertModel
from magictalk_core.models.sync_expert.network import in_sync_loss, sync_probability
from magictalk_core.training_set.channels import columns_of

__all__ = ["refine_all_channels"]

Motion = NDArray[np.float32]


def refine_all_channels(
    expert: SyncExpertModel,
    motion: Motion,
    channels: Sequence[str],
    speech: Motion,
    feature_id: str,
    config: AllChannelsConfig,
) -> Motion:
    """A copy of `motion` (L, D) whose coefficients please `expert`, of the family `sync_expert_all_channels`.

    Arguments and errors as in `LipRefiner.refine`; the head pose keeps its bits. Deterministic.
    """
    if feature_id != expert.folder.feature_id:
        raise PermanentError(
            f"refinement of all channels: the expert was trained on `{expert.folder.feature_id}`, found `{feature_id}`"
        )
    if len(speech) != len(motion):
        raise PermanentError(f"refinement of all channels: {len(motion)} frames of motion, {len(speech)} of speech")
    columns = columns_of(expert.names, channels, "refinement of all channels")
    heard = expert.folder.normal_speech(speech)
    given = torch.tensor(motion[:, columns], dtype=torch.float32)
    values = given.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([values], lr=config.learning_rate)
    for _ in range(config.steps):
        moved, spoken = expert.embed(expert.motion.normal(values.clamp(0, 1)), heard)
        away = (values - given).abs().mean()
        loss = config.sync_weight * in_sync_loss(sync_probability(moved, spoken)) + away
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    refined = motion.copy()
    refined[:, columns] = values.detach().clamp(0, 1).numpy()
    return refined
