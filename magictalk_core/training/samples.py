"""What a model makes while it is being trained: a short clip, logged beside the curves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.training.task import TrainingTask
from magictalk_core.training.tracking import RunTracker

__all__ = ["MakesMotion", "SampleRenderer", "Sampler"]

logger = logging.getLogger("magictalk.training")

SampleRenderer = Callable[[NDArray[np.float32], Path, str, str], None]
"""(motion (n, 58) in MOTION_NAMES order, video to write, family, caption); raises `PermanentError` where it cannot."""


@runtime_checkable
class MakesMotion(Protocol):
    """A task whose model can be looked at."""

    def sample_motion(self, weights: dict[str, Tensor]) -> NDArray[np.float32] | None:
        """Motion (n, 58) in MOTION_NAMES order of a validation clip by a model with `weights`; None without a
        validation clip. The same for the same weights."""
        ...


@dataclass(frozen=True)
class Sampler:
    """Renders what the weights of a step make into `folder`, and tells the tracker; no motion, no sample."""

    task: TrainingTask
    render: SampleRenderer
    family: str
    tracker: RunTracker
    folder: Path

    def log(self, weights: dict[str, Tensor], step: int) -> None:
        """A machine that cannot render (no EGL) says so and trains on."""
        motion = self.task.sample_motion(weights) if isinstance(self.task, MakesMotion) else None
        if motion is None:
            return
        # Kept beside the run: the store may take it much later.
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:08d}.mp4"
        try:
            self.render(motion, path, self.family, f"step {step}")
        except PermanentError as error:
            logger.warning("no sample of step %d: %s", step, error)
            return
        self.tracker.artifact(path, "samples")
