"""Speech, a portrait and a style to a labelled talking video: what `magictalk animate` does.

Everything that can be wrong with the input or the output is checked before the first frame is made, and the video
appears whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from magictalk_core.commands.drawing import Drawing, Look, drawing_of
from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.perform import Performance, Wish, must_be_seed, perform
from magictalk_core.commands.renderer_choice import WARP
from magictalk_core.commands.untrusted import must_be_file, picture_of
from magictalk_core.errors import UserError
from magictalk_core.portrait.face import PortraitFace, find_face
from magictalk_core.portrait.generated import write_generated
from magictalk_core.portrait.idle import idle_motion
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.portrait.signing import must_be_able_to_sign
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

__all__ = ["ANIMATION_VERSION", "Animated", "animate_file", "check_output", "face_of"]

ANIMATION_VERSION = "4"


@dataclass(frozen=True)
class Animated:
    """What was made, in frames of `size` x `height` pixels; `method` is EmoDiff's alone, or the whole one with refined
    lips. `model` is a folder, or `magictalk-base` with its version; `renderer` the warp, or face-vid2vid with a mark of
    its weights. `face` says which of how many, `warnings` what was done to the portrait and what will not look well."""

    output: str
    frames: int
    duration_s: float
    size: int
    height: int
    style: str
    intensity: float
    method: str
    model: str
    renderer: str
    face: str
    warnings: tuple[str, ...]


def animate_file(
    workspace: Workspace,
    audio: Path,
    portrait: Path,
    wish: Wish,
    output: Path,
    look: Look | None = None,
    *,
    face: int | None = None,
) -> Animated:
    """Write `output` (mp4, 25 fps, as long as the audio within one frame).

    Without a model in the wish the workspace's own perform, and where it has none those that come with the package.
    `face` is a number of `portrait.face.find_face`. Raises `UserError` for an output that cannot be written, a missing
    or unreadable file, a portrait without that face, an unknown style, and models that are not there.
    """
    check_output(output, wish.seed)
    must_be_file(audio, "audio or video file")  # told before the portrait is looked at
    drawing, seen, told = drawing_of(workspace, look or Look(), lambda: face_of(portrait, face), portrait)
    made = perform(workspace, audio, wish, told)
    asked = {"style": made.style, "intensity": wish.intensity, "seed": wish.seed, "size": drawing.size, "face": face}
    asked |= {"method": made.method, "models": made.models.stamp, **drawing.asked}
    inputs = [*made.inputs, file_input("portrait", portrait), *drawing.inputs]
    work = file_work("animation", output, ANIMATION_VERSION, inputs, asked, workspace.home)
    sides = _write(drawing, made, wish.seed, output, work)
    facts = (str(output), len(made.motion), made.seconds, *sides, made.style, wish.intensity, made.method)
    return Animated(*facts, made.models.name, drawing.name, str(seen), made.warnings)


def check_output(output: Path, seed: int) -> None:
    """What can be wrong with where a video goes, before anything is made. Raises `UserError`."""
    if output.suffix.lower() != ".mp4":
        raise UserError(f"-o {output}: expected a file name that ends in .mp4")
    must_be_writable(output)
    must_be_able_to_sign()
    must_be_seed(seed)


def face_of(portrait: Path, number: int | None) -> tuple[PortraitFace, list[str]]:
    """The face to move, and what its user should know of the picture."""
    picture = picture_of(portrait)
    try:
        seen = find_face(picture.rgb, number)
    except UserError as error:
        remarks = "".join(f" ({remark})" for remark in picture.remarks)
        raise UserError(f"{portrait}: {error}{remarks}") from error
    return seen, [f"{portrait}: {said}" for said in (*picture.remarks, *seen.warnings)]


def _write(drawing: Drawing, made: Performance, seed: int, output: Path, work: Work) -> tuple[int, int]:
    """Draw, label, sign and record the video; gives its width and height."""
    idle = idle_motion(len(made.motion), FRAME_RATE, seed)
    motion = np.nan_to_num(made.motion) + idle.motion
    maker = made.maker if drawing.name == WARP else f"{made.maker}, drawn by {drawing.name}"
    tags = provenance_metadata(model=maker, style=made.style)
    scene = drawing.open()
    try:
        stamped = (stamp(frame, SYNTHETIC_LABEL) for frame in scene.render(motion, idle.breath_cm))
        write_generated(output, stamped, made.samples, tags, work)
    finally:
        scene.close()
    work.record(stand_ins=list(drawing.stand_ins))
    return scene.width, scene.height
