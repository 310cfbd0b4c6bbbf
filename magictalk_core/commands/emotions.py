"""One face and one voice in every style, side by side with their names: what `magictalk emotions` does (Figure 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from magictalk_core.commands.animate import check_output, face_of
from magictalk_core.commands.drawing import head_of
from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.perform import Performance, Wish, perform_styles
from magictalk_core.commands.untrusted import must_be_file
from magictalk_core.errors import UserError
from magictalk_core.evaluation.figures.tiles import panel_grid
from magictalk_core.media.tile import Panel
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.generated import write_generated
from magictalk_core.portrait.idle import idle_motion
from magictalk_core.portrait.label import provenance_metadata
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.vocabulary.stand_ins import PORTRAIT
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

__all__ = ["EMOTIONS_VERSION", "EveryEmotion", "emotions_file"]

EMOTIONS_VERSION = "1"
_COLUMNS = 4
_MOST_STYLES = 24


@dataclass(frozen=True)
class EveryEmotion:
    """What was made."""

    output: str
    frames: int
    duration_s: float
    styles: tuple[str, ...]
    method: str
    model: str
    warnings: tuple[str, ...]


def emotions_file(
    workspace: Workspace,
    audio: Path,
    portrait: Path,
    wish: Wish,
    output: Path,
    *,
    styles: Sequence[str] = (),
    size: int = 224,
    face: int | None = None,
) -> EveryEmotion:
    """Write `output` (mp4): a panel of `size` pixels per style, four in a row, with the voice. `styles`: names as
    `wish.style` takes them, every emotion of the models by default. Raises `UserError` as `animate_file` does."""
    check_output(output, wish.seed)
    must_be_file(audio, "audio or video file")
    if len(styles) > _MOST_STYLES:
        raise UserError(f"{len(styles)} styles: expected at most {_MOST_STYLES}")
    seen, told = face_of(portrait, face)
    head = head_of(portrait, seen, told)
    even = size + size % 2
    made = perform_styles(workspace, audio, wish, list(styles) or None, told)
    first, names = made[0], [one.style for one in made]
    asked = {"styles": names, "intensity": wish.intensity, "seed": wish.seed, "size": even, "face": face}
    inputs = [*first.inputs, file_input("portrait", portrait)]
    asked |= {"method": first.method, "models": first.models.stamp}
    work = file_work("emotions", output, EMOTIONS_VERSION, inputs, asked, workspace.home)
    _render(PortraitAnimator(seen.rgb, seen.landmarks, builtin_rig(), even, head=head), made, wish.seed, output, work)
    facts = (str(output), len(first.motion), first.seconds, tuple(names), first.method, first.models.name)
    return EveryEmotion(*facts, first.warnings)


def _render(animator: PortraitAnimator, made: Sequence[Performance], seed: int, output: Path, work: Work) -> None:
    idle, size = idle_motion(len(made[0].motion), FRAME_RATE, seed), len(animator.portrait)
    try:
        panels = [
            Panel(
                one.style,
                animator.render(np.nan_to_num(one.motion) + idle.motion, breath_cm=idle.breath_cm),
                SYNTHETIC_LABEL,
            )
            for one in made
        ]
        rows = [panels[i : i + _COLUMNS] for i in range(0, len(panels), _COLUMNS)]
        tags = provenance_metadata(model=made[0].maker, style=", ".join(one.style for one in made))
        write_generated(output, panel_grid(rows, size), made[0].samples, tags, work)
    finally:
        animator.close()
    work.record(stand_ins=[str(PORTRAIT)])
