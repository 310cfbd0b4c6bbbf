"""Speech, a portrait and a style to a labelled talking video: what `magictalk animate` does.

Everything that can be wrong with the input or the output is checked before the first frame is made, and the video
appears whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.perform import Performance, Wish, must_be_seed, perform
from magictalk_core.commands.untrusted import must_be_file, picture_of
from magictalk_core.errors import UserError
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.face import PortraitFace, find_face
from magictalk_core.portrait.generated import write_generated
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.portrait.signing import must_be_able_to_sign
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.stand_ins import PORTRAIT
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

__all__ = ["ANIMATION_VERSION", "DEFAULT_SIZE", "Animated", "animate_file", "check_output", "face_of"]

ANIMATION_VERSION = "4"

DEFAULT_SIZE = 256


@dataclass(frozen=True)
class Animated:
    """What was made; `method` is EmoDiff's alone, or the whole one with refined lips. `model` is a folder, or
    `magictalk-base` with its version. `face` says which of how many, `warnings` what was done to the portrait and what
    will not look well."""

    output: str
    frames: int
    duration_s: float
    size: int
    style: str
    intensity: float
    method: str
    model: str
    face: str
    warnings: tuple[str, ...]


def animate_file(
    workspace: Workspace,
    audio: Path,
    portrait: Path,
    wish: Wish,
    output: Path,
    *,
    size: int = DEFAULT_SIZE,
    face: int | None = None,
) -> Animated:
    """Write `output` (mp4, 25 fps, as long as the audio within one frame).

    Without a model in the wish the workspace's own perform, and where it has none those that come with the package.
    `face` is a number of `portrait.face.find_face`. An odd `size` becomes the next even one. Raises `UserError` for an
    output that cannot be written, a missing or unreadable file, a portrait without that face, an unknown style, and
    models that are not there.
    """
    check_output(output, wish.seed)
    must_be_file(audio, "audio or video file")  # told before the portrait is looked at
    seen, told = face_of(portrait, face)
    even = size + size % 2
    if even != size:
        told.append(f"--size {size}: made {even} pixels wide, H.264 takes even sides only")
    made = perform(workspace, audio, wish, told)
    asked = {"style": made.style, "intensity": wish.intensity, "seed": wish.seed, "size": even, "face": face}
    inputs = [*made.inputs, file_input("portrait", portrait)]
    asked |= {"method": made.method, "models": made.models.stamp}
    work = file_work("animation", output, ANIMATION_VERSION, inputs, asked, workspace.home)
    _render(seen, made, even, output, work)
    facts = (str(output), len(made.motion), made.seconds, even, made.style, wish.intensity, made.method)
    return Animated(*facts, made.models.name, str(seen), made.warnings)


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


def _render(face: PortraitFace, made: Performance, size: int, output: Path, work: Work) -> None:
    animator = PortraitAnimator(face.rgb, face.landmarks, builtin_rig(), size)
    tags = provenance_metadata(model=made.maker, style=made.style)
    try:
        stamped = (stamp(frame, SYNTHETIC_LABEL) for frame in animator.render(made.motion))
        write_generated(output, stamped, made.samples, tags, work)
    finally:
        animator.close()
    work.record(stand_ins=[str(PORTRAIT)])
