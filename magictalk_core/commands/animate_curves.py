"""Speech and a style to curves for animation tools, no portrait needed: `magictalk animate -o take.csv` and others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from magictalk_core.commands.file_record import file_work
from magictalk_core.commands.perform import Wish, must_be_seed, perform
from magictalk_core.commands.show_rig import rig_from, rig_input
from magictalk_core.commands.untrusted import must_be_file
from magictalk_core.portrait.label import provenance_metadata
from magictalk_core.rig.curve_files import must_hold_a_rig, output_format, write_curves
from magictalk_core.rig.curves import Curves
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES, POSE_NAMES
from magictalk_core.vocabulary.clips import safe_name
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.workspace import Workspace

__all__ = ["CURVES_VERSION", "AnimatedCurves", "animate_curves"]

CURVES_VERSION = "1"

_SHAPES, _POSE = ([MOTION_NAMES.index(name) for name in names] for names in (ARKIT_NAMES, POSE_NAMES))


@dataclass(frozen=True)
class AnimatedCurves:
    """What was made; `unknown` names the shapes that the models do not make: empty, or 0 where a format has no empty
    values."""

    output: str
    format: str
    frames: int
    duration_s: float
    style: str
    intensity: float
    method: str
    model: str
    unknown: str
    warnings: tuple[str, ...]


def animate_curves(
    workspace: Workspace, audio: Path, wish: Wish, output: Path, form: str | None, rig: Path | None = None
) -> AnimatedCurves:
    """Write the motion of a face that says `audio` as a file of curves, 25 frames per second, marked as synthetic where
    the format has a place for it.

    `form` as `rig.curve_files.output_format` has it; `rig`: what glTF and USD move, a file of `rig.user_rig`.
    Raises `UserError` for a name of no such file, and whatever `perform` refuses.
    """
    target = output_format(output, form)
    must_be_writable(output)
    must_be_seed(wish.seed)
    must_be_file(audio, "audio or video file")
    moved = None
    if rig is not None:
        must_hold_a_rig(output, target)
        moved = rig_from(rig).rig
    made = perform(workspace, audio, wish)
    coefficients, pose = made.motion[:, _SHAPES], made.motion[:, _POSE]
    seen, origin = np.ones(len(made.motion), np.bool_), f"synthetic/{made.method}"
    curves = Curves(safe_name(audio.stem), coefficients, pose, seen, FRAME_RATE, origin)
    write_curves(curves, output, target, provenance_metadata(model=made.maker, style=made.style), moved)
    asked = {"style": made.style, "intensity": wish.intensity, "seed": wish.seed, "format": target}
    asked |= {"method": made.method, "models": made.models.stamp}
    inputs = [*made.inputs, *rig_input(rig)]
    file_work("animation_curves", output, CURVES_VERSION, inputs, asked, workspace.home).record()
    unknown = [name for i, name in enumerate(ARKIT_NAMES) if not np.isfinite(coefficients[:, i]).any()]
    return AnimatedCurves(
        output=str(output),
        format=target,
        frames=len(curves),
        duration_s=made.seconds,
        style=made.style,
        intensity=wish.intensity,
        method=made.method,
        model=made.models.name,
        unknown=", ".join(unknown),
        warnings=made.warnings,
    )
