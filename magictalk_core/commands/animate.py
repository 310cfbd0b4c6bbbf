"""Speech, a portrait and a style to a labelled talking video: what `magictalk animate` does.

Everything that can be wrong with the input or the output is checked before the first frame is made, and the video
appears whole or not at all.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.opened_models import open_models
from magictalk_core.commands.untrusted import is_silent, picture_of, sound_of
from magictalk_core.errors import UserError
from magictalk_core.media.encode import write_video
from magictalk_core.models.methods import EMODIFF, MAGICTALK, to_motion
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.face import PortraitFace, find_face
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.portrait.provenance import must_be_able_to_sign, sign_video
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.speech.features import speech_features
from magictalk_core.speech.presence import has_speech
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.training.run import model_input
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE
from magictalk_core.vocabulary.stand_ins import PORTRAIT
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

__all__ = ["ANIMATION_VERSION", "MAX_SEED", "Animated", "animate_file"]

ANIMATION_VERSION = "1"

MAX_SEED = 2**63 - 1
"""The largest that every random number generator takes."""

_logger = logging.getLogger("magictalk.animate")


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
    style: str,
    output: Path,
    *,
    model: Path | None = None,
    size: int = 256,
    seed: int = 0,
    intensity: float = 1.0,
    lips: bool = True,
    face: int | None = None,
) -> Animated:
    """Write `output` (mp4, 25 fps, as long as the audio within one frame).

    With `lips` the mouth is that of the lip models. Without `model` the workspace's own models perform, and where it
    has none those that come with the package. `face` is a number of `portrait.face.find_face`. An odd `size` becomes
    the next even one. Raises `UserError` for an output that cannot be written, a missing or unreadable
    file, a portrait without that face, an unknown style, and models that are not there.
    """
    _check(output, seed)
    sound = sound_of(audio, SAMPLE_RATE, own_clock=True)
    samples = sound.samples
    seen, warnings = _face_of(portrait, face)
    warnings += [f"{audio}: {remark}" for remark in sound.remarks]
    models = open_models(workspace, model, lips)
    warnings += models.remarks
    style = models.styles.name_of(style)
    frames_of_style = models.styles.at_intensity(style, intensity)
    even = size + size % 2
    if even != size:
        warnings.append(f"--size {size}: made {even} pixels wide, H.264 takes even sides only")
    if is_silent(samples):
        warnings.append(f"{audio}: nothing but silence: the mouth will hardly move")
    elif not has_speech(samples):
        warnings.append(f"{audio}: nobody seems to speak in it: music and noise move the mouth too, but say nothing")
    for warning in warnings:
        _logger.warning("%s", warning)
    frames = max(1, round(len(samples) / SAMPLE_RATE * FRAME_RATE))
    speech = speech_features(samples, frames, models.emodiff.feature_id)
    state = models.perform(speech, frames_of_style, seed)
    method = EMODIFF if models.refiner is None else MAGICTALK
    inputs = [file_input("audio", audio), file_input("portrait", portrait)]
    inputs += [model_input(workspace, folder) for folder in models.folders]
    asked = {"style": style, "intensity": intensity, "seed": seed, "size": even, "face": face, "method": method}
    asked["models"] = models.stamp
    work = file_work("animation", output, ANIMATION_VERSION, inputs, asked, workspace.home)
    _render(seen, to_motion(state, models.emodiff.channels), samples, even, output, style, method, work)
    made = (str(output), frames, round(frames / FRAME_RATE, 3), even, style, intensity, method, models.name)
    return Animated(*made, str(seen), tuple(warnings))


def _check(output: Path, seed: int) -> None:
    if output.suffix.lower() != ".mp4":
        raise UserError(f"-o {output}: expected a file name that ends in .mp4")
    must_be_writable(output)
    must_be_able_to_sign()
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"--seed {seed}: expected a whole number from 0 to {MAX_SEED}")


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
    face: PortraitFace,
    motion: NDArray[np.float32],
    samples: NDArray[np.float32],
    size: int,
    output: Path,
    style: str,
    method: str,
    work: Work,
) -> None:
    animator = PortraitAnimator(face.rgb, face.landmarks, builtin_rig(), size)
    try:
        stamped = (stamp(frame, SYNTHETIC_LABEL) for frame in animator.render(motion))
        # Signed before it gets its name: no unsigned video ever stands there, and a failure leaves none behind.
        with atomic_path(output) as unsigned:
            write_video(
                unsigned,
                stamped,
                FRAME_RATE,
                samples,
                metadata=provenance_metadata(model=f"{method} ({work.settings['models']})", style=style),
            )
            sign_video(unsigned, work, title=output.name)
    finally:
        animator.close()
    work.record(stand_ins=[str(PORTRAIT)])
