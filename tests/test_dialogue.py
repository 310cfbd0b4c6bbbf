"""`magictalk dialogue` and `magictalk emotions`: several speakers, one edited, labelled, signed video; clear errors."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from face_fixtures import need_embedded_weights
from PIL import Image
from typer.testing import CliRunner

from magictalk_core.commands.dialogue import dialogue_file
from magictalk_core.commands.dialogue_script import Voice, read_script
from magictalk_core.commands.emotions import emotions_file
from magictalk_core.commands.perform import Wish
from magictalk_core.commands.text_to_speech import must_have_program, speak
from magictalk_core.commands.verify import verify_file
from magictalk_core.errors import PermanentError, TransientError, UserError
from magictalk_core.media.decode import read_audio, read_frames
from magictalk_core.vocabulary.emotions import EMOTIONS
from magictalk_core.work.provenance import read_record, record_path
from magictalk_core.workspace import Workspace
from pipelines.cli import app

runner = CliRunner()
TONE = """import sys, wave, math, struct
words, path = sys.argv[1], sys.argv[2]
with wave.open(path, "wb") as file:
    file.setnchannels(1); file.setsampwidth(2); file.setframerate(16000)
    loud = [0.3 * math.sin(i / 8) * (i // 1600 % 2) for i in range(800 * len(words))]
    file.writeframes(b"".join(struct.pack("<h", int(32767 * x)) for x in loud))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two portraits, and a program that speaks in tones: what is tested is not how a machine's voice sounds."""
    need_embedded_weights()
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path / "cache"))
    face = skimage.data.astronaut()[:300, 60:400]
    Image.fromarray(face).save(tmp_path / "a.png")
    Image.fromarray(np.ascontiguousarray(face[:, ::-1])).save(tmp_path / "b.png")
    (tmp_path / "tone.py").write_text(TONE)
    return tmp_path


def script(folder: Path, layout: str = "side by side", **more: Any) -> Path:
    voice = {"program": "command", "command": [sys.executable, str(folder / "tone.py"), "{text}", "{output}"]}
    speakers = {name: {"portrait": f"{name}.png", "voice": voice} for name in ("a", "b")}
    lines = [
        {"speaker": "a", "text": "hello there", "emotion": "happy"},
        {"speaker": "b", "text": "$(touch x); who is it?", "emotion": "angry", "intensity": 0.5, "pause": 0.6},
    ]
    path = folder / "script.yaml"
    values = {"speakers": speakers, "lines": lines, "layout": layout, "size": 96} | more
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    return path


@pytest.mark.parametrize("layout", ["side by side", "cut"])
def test_two_speakers_and_two_lines(layout: str, folder: Path) -> None:
    out = folder / "talk.mp4"
    made = dialogue_file(Workspace(folder / "home"), script(folder, layout), out)
    frames, sound = np.stack(list(read_frames(out))), read_audio(out)
    assert frames.shape[1:] == ((122, 192, 3) if layout == "side by side" else (96, 96, 3))
    assert len(frames) == made.frames and made.lines == 2 and made.speakers == ("a", "b")
    loud = np.abs(sound[: len(sound) // 640 * 640].reshape(-1, 640)).max(axis=1) > 0.1
    assert not loud[:6].any() and loud[8:20].any(), "the pause before the first line is silent, then it is heard"
    assert made.duration_s == pytest.approx(0.3 + 0.55 + 0.6 + 1.1 + 0.6, abs=0.1)
    found = verify_file(out)
    assert found.is_intact and found.models[0].startswith("magictalk-base") and found.label.startswith("seen")  # type: ignore[union-attr]
    record = read_record(record_path(out))
    assert [one.kind for one in record.inputs][:3] == ["script", "portrait", "portrait"]
    assert not (folder / "x").exists() and not Path("x").exists(), "no shell reads a text"
    if layout == "cut":
        early, late = frames[2].astype(int), frames[-2].astype(int)
        assert np.abs(early - late).mean() > 20, "cut to the other speaker"
    else:
        still = frames[:, 40:90, 100:190].astype(int)
        assert np.abs(np.diff(still[:18], axis=0)).max() > 0, "a listener is no photograph"


WRONG: dict[str, tuple[str, str]] = {
    "speakers: [1": ("script.yaml:1", "no YAML"),
    "- a": ("script.yaml:1", "expected `speakers:` and `lines:`"),
    "speakers:\n  a:\n    portrait: a.png\nlines:\n  - speaker: a\n    txt: hello\n": ("script.yaml:6", "lines.1.txt"),
    "speakers:\n  a: {portrait: a.png}\nlines:\n  - {speaker: a, text: h}\n  - {speaker: a, text: h, intensity: 2}\n": (
        "script.yaml:5", "lines.2.intensity",
    ),
    "speakers:\n  a: {portrait: a.png}\nlines:\n  - {speaker: z, text: hi}\n": ("script.yaml:1", "no speaker `z`"),
    "speakers:\n  a:\n    portrait: a.png\n    voice: {program: rm}\nlines: [{speaker: a, text: hi}]\n": (
        "script.yaml:4", "speakers.a.voice.program",
    ),
    "speakers:\n  a:\n    portrait: gone.png\n    voice: {program: command, command: [sh, '{text}', '{output}']}\n"
    "lines: [{speaker: a, text: hi}]\n": ("script.yaml", "speakers.a.portrait"),
    "speakers:\n  a:\n    portrait: a.png\n    voice: {program: command, command: [no-voice, '{text}', '{output}']}\n"
    "lines: [{speaker: a, text: hi}]\n": ("script.yaml", "no program `no-voice`"),
    "speakers:\n  a:\n    portrait: a.png\n    voice: {program: command, command: [sh, '{text}', '{output}']}\n"
    "lines: [{speaker: a, text: hi, emotion: hungry}]\n": ("script.yaml", "lines.1.emotion: unknown style `hungry`"),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_told_with_file_line_and_field(text: str, folder: Path) -> None:
    where, said = WRONG[text]
    path = folder / "script.yaml"
    path.write_text(text)
    done = runner.invoke(app, ["dialogue", str(path), "-o", str(folder / "o.mp4"), "--home", str(folder / "home")])
    assert done.exit_code == 2 and where in done.stderr and said in done.stderr, done.stderr
    assert not (folder / "o.mp4").exists()


@pytest.mark.parametrize("program", ["espeak-ng", "flite"])
def test_the_programs_of_debian_speak(program: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        with pytest.raises(UserError, match=f"apt install {program}"):
            must_have_program(Voice(program=program), "script.yaml")
        return
    speak("-v is no option; hello", Voice(program=program), tmp_path / "o.wav", "line 1")
    assert len(read_audio(tmp_path / "o.wav")) > 8_000


def test_a_voice_that_fails_is_told(tmp_path: Path) -> None:
    broken = Voice(
        program="command", command=(sys.executable, "-c", "raise SystemExit('no voice')", "{text}", "{output}")
    )
    with pytest.raises(PermanentError, match=r"line 1: .* ended with 1 and no sound: no voice"):
        speak("hello", broken, tmp_path / "o.wav", "line 1")


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[Any], list[str]]]:
    """A stub on the loopback that answers as an OpenAI-compatible server does."""
    asked: list[Any] = []
    answers: list[str] = []

    class Stub(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            body = json.dumps({"choices": [{"message": {"content": answers[0]}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked, answers
    server.shutdown()
    server.server_close()
    thread.join()


def test_lines_that_an_endpoint_writes(folder: Path, endpoint: tuple[str, list[Any], list[str]]) -> None:
    url, asked, answers = endpoint
    path = script(folder, lines=None, write="two people meet")
    workspace, out = Workspace(folder / "home"), folder / "o.mp4"
    with pytest.raises(UserError, match="--writer URL"):
        dialogue_file(workspace, path, out)
    answers.append('Here: [{"speaker": "b", "text": "hi", "emotion": "sad", "intensity": 0.5, "pause": 0.1}]')
    made = dialogue_file(workspace, path, out, endpoint=url)
    assert made.lines == 1 and asked[0][0] == "/v1/chat/completions"
    assert asked[0][1]["messages"][1]["content"] == "two people meet"
    for answer in ("no list", '[{"speaker": "z", "text": "hi"}]', '[{"speaker": "a", "audio": "/etc/passwd"}]'):
        answers[0] = answer
        with pytest.raises(PermanentError, match="--writer"):
            dialogue_file(workspace, path, out, endpoint=url)
    with pytest.raises(TransientError, match="no answer"):
        dialogue_file(workspace, path, out, endpoint="http://127.0.0.1:9/v1")
    with pytest.raises(UserError, match="begins with http"):
        dialogue_file(workspace, path, out, endpoint="file:///etc")


def test_paths_are_beside_the_script(folder: Path) -> None:
    read = read_script(script(folder))
    assert read.speakers["a"].portrait == folder / "a.png"


def test_one_voice_in_every_emotion(folder: Path) -> None:
    speak("hello", Voice(program="command", command=(sys.executable, str(folder / "tone.py"), "{text}", "{output}")),
          folder / "v.wav", "line")  # fmt: skip
    out = folder / "all.mp4"
    made = emotions_file(Workspace(folder / "home"), folder / "v.wav", folder / "a.png", Wish("neutral"), out, size=64)
    assert made.styles == EMOTIONS and verify_file(out).is_intact
    frames = list(read_frames(out))
    assert frames[0].shape == (2 * (64 + 26) + 28, 4 * 64, 3) and len(frames) == made.frames
    two = emotions_file(
        Workspace(folder / "home"),
        folder / "v.wav",
        folder / "a.png",
        Wish("neutral"),
        out,
        styles=["joy", "SAD"],
        size=64,
    )
    assert two.styles == ("happy", "sad")
