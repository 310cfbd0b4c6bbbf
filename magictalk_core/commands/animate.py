"""Speech, a portrait and a style to a labelled talking video: what `magictalk animate` does.

Everything that can be wrong with the input or the output is checked before the first frame is made, and the video
appears whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.perform import Performance, Wish, must_be_seed, perform
from magictalk_core.commands.renderer_choice import WARP, NeuralRenderer, RendererWish, open_renderer
from magictalk_core.commands.untrusted import must_be_file, picture_of
from magictalk_core.errors import UserError
from magictalk_core.media.encode import write_video
from magictalk_core.models.facevid2vid.renderer import NeuralAnimator
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.face import PortraitFace, find_face
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.portrait.provenance import must_be_able_to_sign, sign_video
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.vocabulary.stand_ins import PORTRAIT
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

__all__ = ["ANIMATION_VERSION", "DEFAULT_SIZE", "Animated", "animate_file"]

ANIMATION_VERSION = "3"

DEFAULT_SIZE = 256


@dataclass(frozen=True)
class Animated:
    """What was made; `method` is EmoDiff's alone, or the whole one with refined lips. `model` is a folder, or
    `magictalk-base` with its version; `renderer` the warp, or face-vid2vid with a mark of its weights. `face` says
    which of how many, `warnings` what was done to the portrait and what will not look well."""

    output: str
    frames: int
    duration_s: float
    size: int
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
    *,
    size: int = DEFAULT_SIZE,
    face: int | None = None,
    renderer: RendererWish | None = None,
) -> Animated:
    """Write `output` (mp4, 25 fps, as long as the audio within one frame).

    Without a model in the wish the workspace's own perform, and where it has none those that come with the package.
    `face` is a number of `portrait.face.find_face`. An odd `size` becomes the next even one. Raises `UserError` for an
    output that cannot be written, a missing or unreadable file, a portrait without that face, an unknown style, and
    models that are not there, those of the `renderer` too.
    """
    _check(output, wish.seed)
    neural = open_renderer(workspace, renderer or RendererWish())
    must_be_file(audio, "audio or video file")  # told before the portrait is looked at
    seen, told = _face_of(portrait, face)
    even = size + size % 2
    if even != size:
        told.append(f"--size {size}: made {even} pixels wide, H.264 takes even sides only")
    told += neural.remarks(even) if neural else []
    made = perform(workspace, audio, wish, told)
    asked = {"style": made.style, "intensity": wish.intensity, "seed": wish.seed, "size": even, "face": face}
    inputs = [*made.inputs, file_input("portrait", portrait), *(neural.inputs if neural else ())]
    drawn = neural.name if neural else WARP
    asked |= {"method": made.method, "models": made.models.stamp, "renderer": drawn}
    asked |= {"renderer_motion": neural.wish.mode, "adapt_scale": neural.wish.adapt_scale} if neural else {}
    work = file_work("animation", output, ANIMATION_VERSION, inputs, asked, workspace.home)
    _render(seen, made, even, output, work, neural)
    facts = (str(output), len(made.motion), made.seconds, even, made.style, wish.intensity, made.method)
    return Animated(*facts, made.models.name, drawn, str(seen), made.warnings)


def _check(output: Path, seed: int) -> None:
    if output.suffix.lower() != ".mp4":
        raise UserError(f"-o {output}: expected a file name that ends in .mp4")
    must_be_writable(output)
    must_be_able_to_sign()
    must_be_seed(seed)


def _face_of(portrait: Path, number: int | None) -> tuple[PortraitFace, list[str]]:
    """The face to move, and what its user should know of the picture."""
    picture = picture_of(portrait)
    try:
        seen = find_face(picture.rgb, number)
    except UserError as error:
        remarks = "".join(f" ({remark})" for remark in picture.remarks)
        raise UserError(f"{portrait}: {error}{remarks}") from error
    return seen, [f"{portrait}: {said}" for said in (*picture.remarks, *seen.warnings)]


def _render(
    face: PortraitFace, made: Performance, size: int, output: Path, work: Work, neural: NeuralRenderer | None
) -> None:
    animator: PortraitAnimator | NeuralAnimator
    if neural is None:
        animator, maker = PortraitAnimator(face.rgb, face.landmarks, builtin_rig(), size), made.maker
    else:
        animator, maker = neural.animator(face, size), f"{made.maker}, drawn by {neural.name}"
    tags = provenance_metadata(model=maker, style=made.style)
    try:
        stamped = (stamp(frame, SYNTHETIC_LABEL) for frame in animator.render(made.motion))
        # Signed before it gets its name: no unsigned video ever stands there, and a failure leaves none behind.
        with atomic_path(output) as unsigned:
            write_video(unsigned, stamped, FRAME_RATE, made.samples, metadata=tags)
            sign_video(unsigned, work, title=output.name)
    finally:
        animator.close()
    work.record(stand_ins=[str(PORTRAIT)] if neural is None else neural.stand_ins)
