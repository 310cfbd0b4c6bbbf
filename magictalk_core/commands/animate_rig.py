"""Speech and an emotional style to a labelled video of a rig, without a portrait: `magictalk animate --rig`."""

from __future__ import annotations

from pathlib import Path

from magictalk_core.commands.animate import Animated, check_output
from magictalk_core.commands.drawing import even_side
from magictalk_core.commands.file_record import file_work
from magictalk_core.commands.perform import Performance, Wish, perform
from magictalk_core.commands.show_rig import rig_from, rig_input
from magictalk_core.commands.untrusted import must_be_file
from magictalk_core.portrait.generated import write_generated
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.portrait.scene import DEFAULT_SIZES, Crop
from magictalk_core.rig.render import RigRenderer
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

__all__ = ["RIG_ANIMATION_VERSION", "animate_rig"]

RIG_ANIMATION_VERSION = "1"


def animate_rig(
    workspace: Workspace, audio: Path, rig: Path, wish: Wish, output: Path, *, size: int = DEFAULT_SIZES[Crop.FACE]
) -> Animated:
    """Write `output` (mp4, 25 fps): the rig says `audio`. `rig`: a file or folder of `rig.user_rig`, or `builtin`.

    Raises `UserError` as `animate_file` does, and for a rig that cannot be read.
    """
    check_output(output, wish.seed)
    must_be_file(audio, "audio or video file")
    read, told = rig_from(rig), list[str]()
    if read.missing:
        told.append(f"--rig {rig}: these shapes are not in it, and stand still: {', '.join(read.missing)}")
    even = even_side(size, told)
    made = perform(workspace, audio, wish, told)
    asked = {"style": made.style, "intensity": wish.intensity, "seed": wish.seed, "size": even, "rig": read.rig.name}
    asked |= {"method": made.method, "models": made.models.stamp}
    inputs = [*made.inputs, *rig_input(rig)]
    work = file_work("animation", output, RIG_ANIMATION_VERSION, inputs, asked, workspace.home)
    _render(read.rig, made, even, output, work)
    facts = (str(output), len(made.motion), made.seconds, even, even, made.style, wish.intensity, made.method)
    return Animated(*facts, made.models.name, f"rig {read.rig.name}", "the rig's own", made.warnings)


def _render(rig: Rig, made: Performance, size: int, output: Path, work: Work) -> None:
    renderer = RigRenderer(rig, size)
    tags = provenance_metadata(model=made.maker, style=made.style)
    try:
        stamped = (stamp(frame, SYNTHETIC_LABEL) for frame in renderer.render(made.motion))
        write_generated(output, stamped, made.samples, tags, work)
    finally:
        renderer.close()
    work.record(stand_ins=[f"rig={rig.name}"])
