"""Text to a WAV file by a program that is on this machine: espeak-ng, flite, or a command that the user names."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from magictalk_core.commands.dialogue_script import Voice
from magictalk_core.errors import PermanentError, UserError

__all__ = ["must_have_program", "speak"]

_SECONDS = 120.0
_INSTALL = {"espeak-ng": "apt install espeak-ng", "flite": "apt install flite"}


def _program(voice: Voice) -> str:
    return voice.command[0] if voice.command else voice.program


def must_have_program(voice: Voice, where: str) -> None:
    """Raise `UserError` where the program is not on this machine: asked before the first line is spoken."""
    program = _program(voice)
    if shutil.which(program) is None:
        step = _INSTALL.get(program, "install it, or name another in `voice.command`")
        raise UserError(f"{where}: no program `{program}` on this machine: {step}")


def speak(text: str, voice: Voice, output: Path, where: str) -> None:
    """Write what is said to `output` (.wav). Raises `PermanentError` when the program fails."""
    words = _arguments(text, voice, output)
    try:
        done = subprocess.run(words, capture_output=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise PermanentError(f"{where}: `{words[0]}` said nothing within {_SECONDS:.0f} s") from None
    except (OSError, ValueError) as error:
        raise PermanentError(f"{where}: `{words[0]}` cannot be run: {error}") from error
    if done.returncode or not output.is_file() or output.stat().st_size <= 44:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[:300]
        raise PermanentError(
            f"{where}: `{words[0]}` ended with {done.returncode} and no sound: {said or 'nothing said'}"
        )


def _arguments(text: str, voice: Voice, output: Path) -> list[str]:
    """An argument list: no shell reads it, and a text that begins with a dash is no option."""
    if voice.command:
        filled = {"{text}": text, "{output}": str(output)}
        # In one pass: a text that holds {output} says it.
        return [re.sub(r"\{text\}|\{output\}", lambda found: filled[found.group()], word) for word in voice.command]
    if voice.program == "flite":
        return ["flite", *(["-voice", voice.name] if voice.name else []), "-t", text, "-o", str(output)]
    chosen = ["-v", voice.name] if voice.name else []
    manner = ["-p", str(voice.pitch), "-s", str(voice.words_per_minute)]
    return ["espeak-ng", *chosen, *manner, "-w", str(output), "--", text]
