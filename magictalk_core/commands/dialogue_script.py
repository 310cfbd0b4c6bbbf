"""The script of a dialogue: a YAML file of speakers and lines, checked field by field before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from magictalk_core.commands.untrusted import must_be_file
from magictalk_core.config import StrictModel
from magictalk_core.errors import UserError

__all__ = ["DialogueScript", "Line", "Speaker", "Voice", "read_script"]

_MOST_LINES, _LONGEST_TEXT, _MOST_BYTES = 200, 2_000, 1_000_000
Name = Annotated[str, Field(min_length=1, max_length=60)]


class Voice(StrictModel):
    """How a speaker's text becomes sound. `program`: espeak-ng, flite, or `command` with an argument list of the user's
    own in which `{text}` and `{output}` (a WAV file) are filled in; no shell reads it."""

    program: str = Field("espeak-ng", pattern=r"^(espeak-ng|flite|command)$")
    name: str | None = Field(None, max_length=200, pattern=r"^[\w+./-]+$", description="of a voice of that program")
    pitch: int = Field(50, ge=0, le=99, description="of espeak-ng")
    words_per_minute: int = Field(160, ge=80, le=400, description="of espeak-ng")
    command: tuple[str, ...] = Field((), max_length=50)

    @model_validator(mode="after")
    def _is_whole(self) -> Voice:
        if (self.program == "command") != bool(self.command):
            raise ValueError("`command` (a list of arguments) belongs to `program: command`, and that to it")
        if self.command and not any("{output}" in word for word in self.command):
            raise ValueError("no argument of `command` holds {output}, the WAV file to write")
        if self.command and not any("{text}" in word for word in self.command):
            raise ValueError("no argument of `command` holds {text}, what is to be said")
        return self


class Speaker(StrictModel):
    """Who talks: a picture, which of its faces, and a voice."""

    portrait: Path
    face: int | None = Field(None, ge=1)
    voice: Voice = Voice()


class Line(StrictModel):
    """What is said: `text`, or a recording in `audio`; with `pause` seconds of silence before it."""

    speaker: Name
    text: Annotated[str, Field(min_length=1, max_length=_LONGEST_TEXT)] | None = None
    audio: Path | None = None
    emotion: Name = "neutral"
    intensity: float = Field(1.0, ge=0.0, le=1.0)
    pause: float = Field(0.3, ge=0.0, le=10.0)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Line:
        if (self.text is None) == (self.audio is None):
            raise ValueError("expected either `text` or `audio`")
        return self


class DialogueScript(StrictModel):
    """`layout`: both `side by side`, or `cut` to whoever speaks. `write`: instead of lines, what an OpenAI-compatible
    endpoint is asked to write them about."""

    speakers: dict[Name, Speaker] = Field(min_length=1, max_length=4)
    lines: tuple[Line, ...] = Field((), max_length=_MOST_LINES)
    write: Annotated[str, Field(min_length=1, max_length=_LONGEST_TEXT)] | None = None
    layout: str = Field("side by side", pattern=r"^(side by side|cut)$")
    size: int = Field(256, ge=64, le=1024)
    seed: int = Field(0, ge=0, le=2**63 - 1)

    @model_validator(mode="after")
    def _names_known_speakers(self) -> DialogueScript:
        if bool(self.lines) == (self.write is not None):
            raise ValueError("expected either `lines` or `write`")
        for number, line in enumerate(self.lines, 1):
            if line.speaker not in self.speakers:
                known = ", ".join(self.speakers)
                raise ValueError(f"line {number}: no speaker `{line.speaker}`: expected one of {known}")
        return self


def read_script(path: Path) -> DialogueScript:
    """Paths in it are relative to its folder. Raises `UserError` with file, line and field of what is wrong."""
    must_be_file(path, "script")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path}: {path.stat().st_size} bytes, expected a script of at most {_MOST_BYTES}")
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: expected a script (docs/dialogue.md)") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: no text in UTF-8: expected a script in YAML") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark is not None else ""
        said = getattr(error, "problem", None) or str(error)
        raise UserError(f"{path}{where}: no YAML: {' '.join(str(said).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}:1: expected `speakers:` and `lines:` (docs/dialogue.md)")
    try:
        script = DialogueScript.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        # Lines are counted from 1, as whoever wrote them does.
        field = ".".join(str(step + 1 if isinstance(step, int) else step) for step in first["loc"]) or "the script"
        said = str(first["msg"]).removeprefix("Value error, ")
        raise UserError(f"{path}:{_line_of(tree, first['loc'])}: {field}: {said}") from error
    return _beside(script, path.parent)


def _line_of(node: Any, place: tuple[int | str, ...]) -> int:
    """The line on which the value at `place` begins, as far as the file has it."""
    line = 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _beside(script: DialogueScript, folder: Path) -> DialogueScript:
    """With paths from the script's folder."""
    speakers = {
        name: one.model_copy(update={"portrait": folder / one.portrait.expanduser()})
        for name, one in script.speakers.items()
    }
    lines = tuple(
        line if line.audio is None else line.model_copy(update={"audio": folder / line.audio.expanduser()})
        for line in script.lines
    )
    return script.model_copy(update={"speakers": speakers, "lines": lines})
