"""A short labelled clip of the built-in rig: what a model makes while it is being trained."""

from __future__ import annotations

from pathlib import Path

import moderngl
import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.media.tile import Panel, side_by_side
from magictalk_core.portrait.generated import write_generated
from magictalk_core.portrait.label import provenance_metadata
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.render import RigRenderer
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL

__all__ = ["render_sample"]

SIZE = 256


def render_sample(motion: NDArray[np.float32], path: Path, family: str, caption: str) -> None:
    """Write motion (n, 58) in MOTION_NAMES order as a signed video. Raises `PermanentError` without OpenGL."""
    try:
        renderer = RigRenderer(builtin_rig(), SIZE)
    except (moderngl.Error, OSError, RuntimeError) as error:
        raise PermanentError(f"the rig cannot be rendered here: {error}") from error
    try:
        frames = side_by_side([Panel(caption, renderer.render(motion), SYNTHETIC_LABEL)], SIZE)
        metadata = provenance_metadata(model=family, style="a training clip", source=caption)
        write_generated(path, frames, None, metadata)
    finally:
        renderer.close()
