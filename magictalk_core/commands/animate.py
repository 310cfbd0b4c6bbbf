"""Speech, a portrait and a style to a labelled talking video: what `magictalk animate` does.

Everything that can be wrong with the input is checked before the first frame is made, and the video appears whole or
not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.untrusted import picture_of, sound_of
from magictalk_core.errors import UserError
from magictalk_core.evaluation.generate import EMODIFF, to_motion
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.faces.landmarks import portrait_landmarks
from magictalk_core.media.encode import write_video
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.portrait.provenance import sign_video
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.speech.features import speech_features
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.training.run import current_model
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE
from magictalk_core.workspace import Workspace

__all__ = ["Animated", "animate_file"]


@dataclass(frozen=True)
class Animated:
    """What was made; `method` is EmoDiff's alone, or the whole one with refined lips."""

    output: str
    frames: int
    duration_s: float
    style: str
    intensity: float
    method: str
    model: str
    remarks: str | None = None
    """What is unusual about how the sound was read."""


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
) -> Animated:
    """Write `output` (mp4, 25 fps, as long as the audio within one frame).

    With `lips` the mouth is that of the workspace's lip models. Raises `UserError` for a missing or unreadable file, a
    portrait without a face, an unknown style, and lip models that are not there.
    """
    if output.suffix.lower() != ".mp4":
        raise UserError(f"-o {output}: expected a file name that ends in .mp4")
    sound = sound_of(audio, SAMPLE_RATE, own_clock=True)
    samples = sound.samples
    picture = picture_of(portrait)
    landmarks = portrait_landmarks(picture)
    if landmarks is None:
        raise UserError(f"{portrait}: no face found; expected a picture with one face, frontal, at least 100 px wide")
    model_dir = model or current_model(workspace.models("emodiff"))
    emodiff = EmoDiffModel.load(model_dir)
    refiner = _refiner(workspace) if lips else None
    frames = max(1, round(len(samples) / SAMPLE_RATE * FRAME_RATE))
    frames_of_style = StyleBank.load(model_dir).at_intensity(style, intensity)
    speech = speech_features(samples, frames, emodiff.feature_id)
    state = emodiff.generate(speech, frames_of_style, None, seed)
    if refiner is not None:
        state = refiner.refine(state, emodiff.channels, speech, emodiff.feature_id, frames_of_style)
    method = EMODIFF if refiner is None else MAGICTALK
    _render(picture, landmarks, to_motion(state, emodiff.channels), samples, size, output, style, method)
    duration = round(frames / FRAME_RATE, 3)
    remarks = "; ".join(sound.remarks) or None
    return Animated(str(output), frames, duration, style, intensity, method, str(model_dir), remarks)


def _refiner(workspace: Workspace) -> LipRefiner:
    missing = [name for name in ("audio2bs", "lip_residue") if not (workspace.models(name) / "current.json").is_file()]
    if missing:
        raise UserError(
            f"{workspace.home} has no trained {' and '.join(missing)}: type `magictalk run --home {workspace.home} "
            '--select "+models/lip_residue"`, or give --no-lips for the mouth of EmoDiff alone'
        )
    return LipRefiner.load(current_model(workspace.models("audio2bs")), current_model(workspace.models("lip_residue")))


def _render(
    picture: NDArray[np.uint8],
    landmarks: NDArray[np.float32],
    motion: NDArray[np.float32],
    samples: NDArray[np.float32],
    size: int,
    output: Path,
    style: str,
    method: str,
) -> None:
    animator = PortraitAnimator(picture, landmarks, builtin_rig(), size)
    try:
        stamped = (stamp(frame, SYNTHETIC_LABEL) for frame in animator.render(motion))
        # Signed before it gets its name: no unsigned video ever stands there, and a failure leaves none behind.
        with atomic_path(output) as unsigned:
            write_video(unsigned, stamped, FRAME_RATE, samples, metadata=provenance_metadata(model=method, style=style))
            sign_video(unsigned, title=output.name)
    finally:
        animator.close()
