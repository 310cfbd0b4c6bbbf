"""Lines of a dialogue written by a language model behind an OpenAI-compatible endpoint; off unless a URL is given."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from magictalk_core.commands.dialogue_script import DialogueScript, Line
from magictalk_core.errors import PermanentError, TransientError, UserError

__all__ = ["MODEL_NAME", "TOKEN", "written_by"]

TOKEN, MODEL_NAME = "MAGICTALK_WRITER_TOKEN", "MAGICTALK_WRITER_MODEL"
"""Environment variables: what authorizes at the endpoint, and which of its models is asked."""
_SECONDS, _MOST_BYTES = 120.0, 1_000_000


def written_by(endpoint: str | None, script: DialogueScript, emotions: Sequence[str], file: Path) -> tuple[Line, ...]:
    """Ask `endpoint` (`.../v1`) for the lines of `script.write`. Raises `UserError` without an endpoint,
    `TransientError` when it does not answer, `PermanentError` for an answer that is no list of lines."""
    if endpoint is None:
        raise UserError(f"{file}: write: give the endpoint that writes the lines with --writer URL, or write `lines:`")
    if urlsplit(endpoint).scheme not in ("http", "https"):
        raise UserError(f"--writer {endpoint}: expected an address that begins with http:// or https://")
    text = _answer(endpoint.rstrip("/") + "/chat/completions", _asked(script, emotions))
    try:
        values = json.loads(text[text.index("[") : text.rindex("]") + 1])
        lines = tuple(Line.model_validate(one) for one in values)
    except (ValueError, ValidationError) as error:
        said = str(error).splitlines()[0]
        raise PermanentError(f"--writer {endpoint}: no list of lines in the answer: {said}") from error
    strangers = {line.speaker for line in lines} - set(script.speakers)
    wrong = {line.emotion for line in lines} - set(emotions)
    if not lines or strangers or wrong or any(line.text is None for line in lines):
        named = ", ".join(sorted(strangers | wrong)) or "no line with a text"
        raise PermanentError(f"--writer {endpoint}: the answer names what the script does not: {named}")
    return lines


def _asked(script: DialogueScript, emotions: Sequence[str]) -> dict[str, object]:
    form = (
        'Answer with one JSON list and nothing else. Every element: {"speaker": one of '
        f'{json.dumps(list(script.speakers))}, "text": one or two spoken sentences, "emotion": one of '
        f'{json.dumps(list(emotions))}, "intensity": 0 to 1, "pause": seconds of silence before it, 0 to 2}}.'
    )
    messages = [{"role": "system", "content": form}, {"role": "user", "content": script.write}]
    return {"model": os.environ.get(MODEL_NAME, "default"), "messages": messages, "temperature": 0, "seed": script.seed}


def _answer(url: str, body: dict[str, object]) -> str:
    headers = {"Content-Type": "application/json"}
    if os.environ.get(TOKEN):
        headers["Authorization"] = f"Bearer {os.environ[TOKEN]}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            raw = answer.read(_MOST_BYTES)
    except (urllib.error.URLError, TimeoutError, OSError, ValueError) as error:
        raise TransientError(f"--writer {url}: no answer: {getattr(error, 'reason', error)}") from error
    try:
        return str(json.loads(raw)["choices"][0]["message"]["content"])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise PermanentError(f"--writer {url}: the answer is none of an OpenAI-compatible endpoint: {error}") from error
