"""What a model makes while it is being trained: a short clip of the rig, logged beside the curves."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.training.task import TrainingTask
from magictalk_core.training.tracking import RunTracker
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL

__all__ = ["MakesMotion", "log_samples"]

logger = logging.getLogger("magictalk.training")

SIZE = 256


@runtime_checkable
class MakesMotion(Protocol):
    """A task whose model can be looked at."""

    def sample_motion(self, weights: dict[str, Tensor]) -> tuple[NDArray[np.float32], int] | None:
        """Motion (n, 58) in MOTION_NAMES order of a validation clip by a model with `weights`, and its frames per
        second; None without a validation clip. The same for the same weights."""
        ...


def log_samples(family: str, task: TrainingTask, weights: dict[str, Tensor], step: int, tracker: RunTracker) -> None:
    """Log a video of what `family` makes with `weights`, on the built-in rig; a task that makes no motion logs none.

    A machine that cannot render (no EGL) says so and trains on.
    """
    made = task.sample_motion(weights) if isinstance(task, MakesMotion) else None
    if made is None:
        return
    # Imported here: OpenGL and FFmpeg, for those who asked for samples.
    import moderngl

    from magictalk_core.media.encode import write_video
    from magictalk_core.media.tile import Panel, side_by_side
    from magictalk_core.portrait.label import provenance_metadata
    from magictalk_core.portrait.provenance import sign_video
    from magictalk_core.rig.builtin import builtin_rig
    from magictalk_core.rig.render import RigRenderer

    motion, fps = made
    try:
        renderer = RigRenderer(builtin_rig(), SIZE)
    except (moderngl.Error, OSError, RuntimeError) as error:
        logger.warning("no sample of step %d: the rig cannot be rendered here: %s", step, error)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"step-{step:08d}.mp4"
        try:
            frames = side_by_side([Panel(f"step {step}", renderer.render(motion), SYNTHETIC_LABEL)], SIZE)
            metadata = provenance_metadata(model=family, style="a training clip", source=f"step {step}")
            write_video(path, frames, fps, None, metadata=metadata)
        finally:
            renderer.close()
        sign_video(path)
        tracker.artifact(path, "samples")
