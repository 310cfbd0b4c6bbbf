"""Several people who talk to each other, from one script to one labelled video: what `magictalk dialogue` does.

Every speaker performs one track as long as the whole: speech where it is that speaker's turn, in the emotion of the
line, and silence elsewhere, in which a listener breathes, blinks and looks on as the models do at rest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.animate import check_output, face_of
from magictalk_core.commands.dialogue_script import DialogueScript, Line, read_script
from magictalk_core.commands.dialogue_writer import written_by
from magictalk_core.commands.drawing import head_of
from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.opened_models import Performers, open_models
from magictalk_core.commands.text_to_speech import must_have_program, speak
from magictalk_core.commands.untrusted import sound_of
from magictalk_core.errors import UserError
from magictalk_core.media.tile import Panel, side_by_side
from magictalk_core.models.methods import EMODIFF, MAGICTALK, to_motion
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.face import PortraitFace
from magictalk_core.portrait.generated import write_generated
from magictalk_core.portrait.idle import idle_motion
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.portrait.matte import WholeHead
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.speech.activity import voice_activity
from magictalk_core.speech.features import speech_features
from magictalk_core.training.run import model_input
from magictalk_core.vocabulary.emotions import NEUTRAL
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE
from magictalk_core.vocabulary.stand_ins import PORTRAIT
from magictalk_core.work.provenance import Input
from magictalk_core.workspace import Workspace

__all__ = ["DIALOGUE_VERSION", "Dialogue", "dialogue_file"]

DIALOGUE_VERSION = "1"
_TAIL_S = 0.6
"""Silence after the last word."""
_BLEND_FRAMES = 8
"""In which a face goes from the mood of one line to that of the next."""
_LONGEST_S = 600.0
Motion = NDArray[np.float32]
_Seen = tuple[PortraitFace, WholeHead]


@dataclass(frozen=True)
class Dialogue:
    """What was made."""

    output: str
    frames: int
    duration_s: float
    speakers: tuple[str, ...]
    lines: int
    method: str
    model: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Turn:
    """A line that is heard: `samples` from frame `start` to `end` of the whole."""

    line: Line
    samples: NDArray[np.float32]
    start: int
    end: int


def dialogue_file(
    workspace: Workspace,
    script_file: Path,
    output: Path,
    *,
    model: Path | None = None,
    lips: bool = True,
    endpoint: str | None = None,
) -> Dialogue:
    """Write `output` (mp4). `endpoint`: the URL that writes the lines of a script with `write`; nothing is asked
    without it. Raises `UserError` naming file, line and field, `PermanentError` for a voice that fails."""
    script = read_script(script_file)
    check_output(output, script.seed)
    _must_have_voices(script, script_file)
    faces, told = _faces(script, script_file)
    models = open_models(workspace, model, lips)
    _must_know_emotions(script.lines, models, script_file)
    lines = script.lines or written_by(endpoint, script, sorted(models.styles.emotions), script_file)
    turns, total = _turns(lines, script, script_file)
    motions = {name: _performed(name, turns, total, models, script.seed + i) for i, name in enumerate(script.speakers)}
    sound = np.zeros(total * SAMPLE_RATE // FRAME_RATE, np.float32)
    for turn in turns:
        _put(sound, turn)
    method = EMODIFF if models.refiner is None else MAGICTALK
    said = [one.line.model_dump(mode="json", exclude={"audio"}) for one in turns]
    asked = {"lines": said, "layout": script.layout, "size": _even(script.size), "seed": script.seed, "method": method}
    work = file_work("dialogue", output, DIALOGUE_VERSION, _inputs(workspace, script, script_file, models),
                     asked | {"models": models.stamp}, workspace.home)  # fmt: skip
    tags = provenance_metadata(
        model=f"{method} ({models.stamp})", style=", ".join(sorted({t.line.emotion for t in turns}))
    )
    frames = _frames(script, faces, motions, turns)
    made = write_generated(output, frames, sound, tags, work)
    work.record(stand_ins=[str(PORTRAIT)])
    warnings = (*told, *models.remarks)
    seconds = round(made.frames / FRAME_RATE, 3)
    return Dialogue(
        str(output), made.frames, seconds, tuple(script.speakers), len(turns), method, models.name, warnings
    )


def _even(size: int) -> int:
    return size + size % 2


def _must_have_voices(script: DialogueScript, file: Path) -> None:
    speaking = {line.speaker for line in script.lines if line.text is not None} or set(script.speakers)
    for name in sorted(speaking):
        must_have_program(script.speakers[name].voice, f"{file}: speakers.{name}.voice")


def _faces(script: DialogueScript, file: Path) -> tuple[dict[str, _Seen], list[str]]:
    faces: dict[str, _Seen] = {}
    told: list[str] = []
    for name, one in script.speakers.items():
        try:
            face, said = face_of(one.portrait, one.face)
        except UserError as error:
            raise UserError(f"{file}: speakers.{name}.portrait: {error}") from error
        told += said
        faces[name] = face, head_of(one.portrait, face, told)
    return faces, told


def _must_know_emotions(lines: Sequence[Line], models: Performers, file: Path) -> None:
    for number, line in enumerate(lines, 1):
        try:
            models.styles.at_intensity(line.emotion, line.intensity)
        except UserError as error:
            raise UserError(f"{file}: lines.{number}.emotion: {error}") from error


def _turns(lines: Sequence[Line], script: DialogueScript, file: Path) -> tuple[list[_Turn], int]:
    """Every line with its sound, and the frames of the whole."""
    turns, at = [], 0
    with tempfile.TemporaryDirectory(prefix="magictalk-") as folder:
        for number, line in enumerate(lines, 1):
            where, heard = f"{file}: lines.{number}", line.audio
            if heard is None:
                heard = Path(folder) / f"{number}.wav"
                speak(line.text or "", script.speakers[line.speaker].voice, heard, where)
            try:
                samples = sound_of(heard, SAMPLE_RATE, own_clock=True).samples
            except UserError as error:
                raise UserError(f"{where}.audio: {error}") from error
            start = at + round(line.pause * FRAME_RATE)
            at = start + max(1, round(len(samples) / SAMPLE_RATE * FRAME_RATE))
            if at > _LONGEST_S * FRAME_RATE:
                raise UserError(f"{where}: the dialogue is longer than {_LONGEST_S:.0f} s: cut the script into parts")
            turns.append(_Turn(line, samples, start, at))
    return turns, at + round(_TAIL_S * FRAME_RATE)


def _put(sound: NDArray[np.float32], turn: _Turn) -> None:
    first = turn.start * SAMPLE_RATE // FRAME_RATE
    length = min(len(turn.samples), len(sound) - first)
    sound[first : first + length] = turn.samples[:length]


def _performed(name: str, turns: Sequence[_Turn], total: int, models: Performers, seed: int) -> Motion:
    """The motion (total, 58) of one speaker: performed once per mood over the whole, so that blinks and head go on
    through every line, and taken from the mood of the moment."""
    own = [turn for turn in turns if turn.line.speaker == name]
    sound = np.zeros(total * SAMPLE_RATE // FRAME_RATE, np.float32)
    for turn in own:
        _put(sound, turn)
    speech, voice = speech_features(sound, total, models.emodiff.feature_id), voice_activity(sound, total)
    rest = (NEUTRAL if NEUTRAL in models.styles.emotions else own[0].line.emotion if own else NEUTRAL, 1.0)
    moods = [rest, *dict.fromkeys((turn.line.emotion, turn.line.intensity) for turn in own)]
    weights = _weights(moods, own, total)
    motion = np.zeros((total, 0), np.float32)
    for mood, weight in zip(dict.fromkeys(moods), weights, strict=True):
        style = models.styles.at_intensity(*mood)
        made = to_motion(models.perform(speech, voice, style, seed), models.emodiff.channels)[:total]
        part = weight[:, None] * np.nan_to_num(made)
        motion = part if not motion.size else motion + part
    return motion.astype(np.float32)


def _weights(moods: Sequence[tuple[str, float]], own: Sequence[_Turn], total: int) -> list[NDArray[np.float32]]:
    """Of every mood at every frame, in sum 1: the line's while it is said and a moment longer, rest elsewhere."""
    names = list(dict.fromkeys(moods))
    chosen = np.zeros(total, int)
    for turn in own:
        mood = names.index((turn.line.emotion, turn.line.intensity))
        chosen[max(0, turn.start - _BLEND_FRAMES) : turn.end + _BLEND_FRAMES] = mood
    kernel = np.hanning(2 * _BLEND_FRAMES + 1)
    kernel /= kernel.sum()
    padded = np.pad(chosen, _BLEND_FRAMES, mode="edge")
    return [np.convolve(padded == place, kernel, mode="valid").astype(np.float32) for place in range(len(names))]


def _inputs(workspace: Workspace, script: DialogueScript, file: Path, models: Performers) -> list[Input]:
    found = [file_input("script", file), *(file_input("portrait", one.portrait) for one in script.speakers.values())]
    found += [file_input("audio", line.audio) for line in script.lines if line.audio is not None]
    return [*found, *(model_input(workspace, folder) for folder in models.folders)]


def _frames(
    script: DialogueScript, faces: dict[str, _Seen], motions: dict[str, Motion], turns: Sequence[_Turn]
) -> Iterator[NDArray[np.uint8]]:
    rig, size = builtin_rig(), _even(script.size)
    total = len(next(iter(motions.values())))
    animators = {
        name: PortraitAnimator(face.rgb, face.landmarks, rig, size, head=head) for name, (face, head) in faces.items()
    }
    idles = {name: idle_motion(total, FRAME_RATE, script.seed + number) for number, name in enumerate(faces)}
    moved = {name: np.nan_to_num(motions[name]) + idle.motion for name, idle in idles.items()}
    try:
        if script.layout == "cut":
            for number, name in enumerate(_on_screen(turns, total)):
                yield stamp(
                    animators[name].frame(moved[name][number], float(idles[name].breath_cm[number])), SYNTHETIC_LABEL
                )
        else:
            panels = [
                Panel(name, animators[name].render(moved[name], breath_cm=idles[name].breath_cm), SYNTHETIC_LABEL)
                for name in faces
            ]
            yield from side_by_side(panels, size)
    finally:
        for animator in animators.values():
            animator.close()


def _on_screen(turns: Sequence[_Turn], total: int) -> list[str]:
    """Who is seen at every frame: the cut falls into the middle of the pause before a line."""
    shown = [turns[0].line.speaker] * total
    for before, turn in pairwise(turns):
        at = (before.end + turn.start) // 2
        shown[at:] = [turn.line.speaker] * (total - at)
    return shown
