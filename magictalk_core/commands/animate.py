"""Speech, a portrait and a style to a labelled talking video: what `magictalk animate` does.

Everything that can be wrong with the input or the output is checked before the first frame is made, and the video
appears whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.perform import Performance, Wish, must_be_seed, perform
from magictalk_core.commands.untrusted import must_be_file, picture_of
from magictalk_core.errors import MissingWeights, TransientError, UserError
from magictalk_core.faces.person_mask import PERSON_WEIGHTS, load_person_mask
from magictalk_core.media.encode import write_video
from magictalk_core.portrait.face import PortraitFace, find_face
from magictalk_core.portrait.idle import idle_motion
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.portrait.matte import WholeHead, whole_head
from magictalk_core.portrait.provenance import must_be_able_to_sign, sign_video
from magictalk_core.portrait.scene import DEFAULT_SIZES, Crop, Scene
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.vocabulary.stand_ins import PORTRAIT
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

__all__ = ["ANIMATION_VERSION", "Animated", "animate_file"]

ANIMATION_VERSION = "4"


@dataclass(frozen=True)
class Animated:
    """What was made, in frames of `size` x `height` pixels; `method` is EmoDiff's alone, or the whole one with refined
    lips. `model` is a folder, or `magictalk-base` with its version. `face` says which of how many, `warnings` what was
    done to the portrait and what will not look well."""

    output: str
    frames: int
    duration_s: float
    size: int
    height: int
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
    size: int | None = None,
    face: int | None = None,
    crop: str = Crop.FACE,
) -> Animated:
    """Write `output` (mp4, 25 fps, as long as the audio within one frame).

    Without a model in the wish the workspace's own perform, and where it has none those that come with the package.
    `face` is a number of `portrait.face.find_face`, `crop` a value of `Crop`, `size` that of `portrait.scene.Scene`: an
    odd one becomes the next even one, without one `DEFAULT_SIZES` holds. Raises `UserError` for an output that cannot
    be written, a missing or unreadable file, a portrait without that face, an unknown style, and models that are not
    there.
    """
    _check(output, wish.seed)
    framing = _crop_named(crop)
    must_be_file(audio, "audio or video file")  # told before the portrait is looked at
    seen, told = _face_of(portrait, face)
    head = _head_of(portrait, seen, told)
    wanted = DEFAULT_SIZES[framing] if size is None else size
    even = wanted + wanted % 2
    if even != wanted:
        told.append(f"--size {size}: made {even} pixels wide, H.264 takes even sides only")
    made = perform(workspace, audio, wish, told)
    asked = {"style": made.style, "intensity": wish.intensity, "seed": wish.seed, "size": even, "face": face}
    inputs = [*made.inputs, file_input("portrait", portrait)]
    asked |= {"method": made.method, "models": made.models.stamp}
    asked |= {"crop": framing.value, "cut_out": head.person is not None}
    work = file_work("animation", output, ANIMATION_VERSION, inputs, asked, workspace.home)
    scene = Scene(seen.rgb, seen.landmarks, builtin_rig(), framing, even, head)
    _render(scene, made, wish.seed, output, work)
    facts = (
        str(output),
        len(made.motion),
        made.seconds,
        scene.width,
        scene.height,
        made.style,
        wish.intensity,
        made.method,
    )
    return Animated(*facts, made.models.name, str(seen), made.warnings)


def _check(output: Path, seed: int) -> None:
    if output.suffix.lower() != ".mp4":
        raise UserError(f"-o {output}: expected a file name that ends in .mp4")
    must_be_writable(output)
    must_be_able_to_sign()
    must_be_seed(seed)


def _crop_named(name: str) -> Crop:
    if name not in set(Crop):
        raise UserError(f"--crop {name}: expected one of {', '.join(Crop)}")
    return Crop(name)


def _face_of(portrait: Path, number: int | None) -> tuple[PortraitFace, list[str]]:
    """The face to move, and what its user should know of the picture."""
    picture = picture_of(portrait)
    try:
        seen = find_face(picture.rgb, number)
    except UserError as error:
        remarks = "".join(f" ({remark})" for remark in picture.remarks)
        raise UserError(f"{portrait}: {error}{remarks}") from error
    return seen, [f"{portrait}: {said}" for said in (*picture.remarks, *seen.warnings)]


def _head_of(portrait: Path, face: PortraitFace, told: list[str]) -> WholeHead:
    """The head around the face; where its background cannot be told from it, that is told."""
    try:
        network = load_person_mask()
    except (MissingWeights, TransientError) as error:
        told.append(
            f"{portrait}: the background moves a little with the head: the network that tells a person from it is not "
            f"here ({error}): type `magictalk weights fetch {PERSON_WEIGHTS}`"
        )
        return WholeHead(None)
    head = whole_head(network, face.rgb, face.landmarks)
    if head.person is None:
        told.append(f"{portrait}: no person is told from the background, which moves a little with the head")
    return head


def _render(scene: Scene, made: Performance, seed: int, output: Path, work: Work) -> None:
    idle = idle_motion(len(made.motion), FRAME_RATE, seed)
    motion = np.nan_to_num(made.motion) + idle.motion
    tags = provenance_metadata(model=made.maker, style=made.style)
    try:
        stamped = (stamp(frame, SYNTHETIC_LABEL) for frame in scene.render(motion, idle.breath_cm))
        # Signed before it gets its name: no unsigned video ever stands there, and a failure leaves none behind.
        with atomic_path(output) as unsigned:
            write_video(unsigned, stamped, FRAME_RATE, made.samples, metadata=tags)
            sign_video(unsigned, work, title=output.name)
    finally:
        scene.close()
    work.record(stand_ins=[str(PORTRAIT)])
