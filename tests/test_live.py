"""A face that moves while somebody speaks: the values, what is sent, and how it begins and ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import types
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from test_live_link_packet import read_packet
from training_fixtures import build, lip_preset, preset
from typer.testing import CliRunner

import magictalk_core.sample_corpus
from magictalk_core.commands.live_clock import LiveClock
from magictalk_core.commands.live_face import LiveFace, live_frames
from magictalk_core.commands.live_sources import file_blocks, microphone_blocks, raw_blocks
from magictalk_core.commands.opened_models import open_live_models
from magictalk_core.errors import UserError
from magictalk_core.media.decode import read_audio
from magictalk_core.metrics.blinks import find_blinks
from magictalk_core.models.audio2bs.stream import Audio2BSStream
from magictalk_core.models.emodiff.stream import EmoDiffStream
from magictalk_core.models.families import FAMILIES
from magictalk_core.models.lip_residue.stream import MouthStream
from magictalk_core.presets.preset import Preset
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES
from magictalk_core.vocabulary.rates import SAMPLE_RATE
from magictalk_core.workspace import Workspace
from pipelines.cli import app

runner = CliRunner()

SPOKEN = next(iter(sorted((Path(magictalk_core.sample_corpus.__file__).parent / "speech").glob("*.ogg"))))


def _preset() -> Preset:
    values = lip_preset(epochs=1).model_dump()
    values["emodiff"] = preset(network={"noise_skip": True, "relative_to_style": True}).model_dump()["emodiff"]
    values["emodiff_student"]["training"]["epochs"] = 1
    values["audio2bs"]["network"] |= {"base": "linear", "feature_frames": 5, "base_components": 8}
    return Preset.model_validate(values)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with all models, which hear Whisper's features."""
    folder = tmp_path_factory.mktemp("live")
    build(folder, feature=("whisper-tiny-en-l2", 384))
    workspace = Workspace(folder / "home")
    for family in ("emodiff", "emodiff_student", "sync_expert", "audio2bs", "lip_residue"):
        train(FAMILIES[family], _preset(), folder / "set", workspace.models(family), MemoryTracker())
    return workspace.home


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """1.4 s that rises and falls like speech, 16 kHz."""
    path, times = tmp_path / "me.wav", np.arange(22_400) / 16_000
    samples = 0.3 * np.sin(2 * np.pi * 180 * times) * np.sin(2 * np.pi * 3 * times) ** 2
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    """Somebody who listens, on a free port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(20)
        yield listening


def _to(receiver: socket.socket) -> str:
    return f"udp://127.0.0.1:{receiver.getsockname()[1]}"


def _samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)


def _features(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 384)).astype(np.float32)


@pytest.mark.parametrize("cuts", [[], [1, 2, 3, 20], [29]])
def test_a_neutral_mouth_is_that_of_the_whole_speech(home: Path, cuts: list[int]) -> None:
    model = open_live_models(Workspace(home)).refiner.audio2bs
    speech = torch.from_numpy(_features(30))
    wanted, states = model.neutral(speech)
    stream = Audio2BSStream(model)
    parts = [stream.push(part) for part in torch.tensor_split(speech, cuts)]
    parts.append(stream.finish())
    mouth, state = (torch.cat(values) for values in zip(*parts, strict=True))
    torch.testing.assert_close(mouth, wanted[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(state, states[0], atol=1e-5, rtol=0)


def test_a_shorter_look_ahead_still_hears_what_the_base_reads(home: Path) -> None:
    """What a frame waits for does not depend on how much came at once."""
    model = open_live_models(Workspace(home)).refiner.audio2bs
    speech, found = torch.from_numpy(_features(30)), []
    for cuts in ([], list(range(1, 30))):
        stream = Audio2BSStream(model, look_ahead=2)
        parts = [stream.push(part)[0] for part in torch.tensor_split(speech, cuts)]
        assert stream.look_ahead == 2 and sum(map(len, parts)) == 28
        found.append(torch.cat([*parts, stream.finish()[0]]))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=0)
    whole = model.neutral(speech)[0][0]
    assert 0 < float((found[0] - whole).abs().max()) < 0.2


def test_a_refined_mouth_is_that_of_the_whole_speech(home: Path) -> None:
    models = open_live_models(Workspace(home))
    style, speech = models.styles.frames("happy"), _features(40)
    stream = MouthStream(models.refiner, style, models.motion.channels, None)
    found = np.concatenate([stream.push(speech[:25]), stream.push(speech[25:]), stream.finish()])
    wanted = models.refiner.mouth_of(speech, style, models.motion.channels).mouth
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 3, 4, 9, 40])
def test_the_rest_of_the_face_does_not_know_of_blocks(home: Path, frames: int) -> None:
    models = open_live_models(Workspace(home))
    style, speech = models.styles.frames("sad"), _features(frames)
    whole, pieces = (EmoDiffStream(models.motion, style, 3, look_ahead=2) for _ in range(2))
    made = np.concatenate([whole.push(speech), whole.finish()])
    parts = [pieces.push(part) for part in np.array_split(speech, 7)]
    np.testing.assert_allclose(np.concatenate([*parts, pieces.finish()]), made, atol=1e-6)
    assert made.shape == (frames, len(models.motion.channels)) and np.isfinite(made).all()


def test_the_face_that_comes_is_one_for_every_way_to_cut(home: Path, speech: Path) -> None:
    samples = _samples(speech)
    face = LiveFace.open(Workspace(home), "happy", seed=2)
    whole = np.concatenate([face.push(samples), face.finish()])
    again = LiveFace(face.models, "happy", seed=2)
    frames = np.stack(list(live_frames(again, np.array_split(samples, 57))))
    assert whole.shape == (round(len(samples) / 640), len(MOTION_NAMES))
    np.testing.assert_allclose(frames, whole, atol=1e-6)
    shapes = frames[:, : len(ARKIT_NAMES)]
    assert np.nanmin(shapes) >= 0 and np.nanmax(shapes) <= 1
    other = LiveFace(face.models, "happy", seed=3)
    brow = MOTION_NAMES.index("browInnerUp")
    assert np.abs(np.concatenate([other.push(samples), other.finish()]) - whole)[:, brow].max() > 1e-3


def test_a_frame_comes_with_its_sample_and_not_before(home: Path, speech: Path) -> None:
    face = LiveFace.open(Workspace(home), "happy")
    samples = np.tile(_samples(speech), 2)
    for frame in (0, 1, 13):
        needed, face = face.samples_needed(frame), LiveFace(face.models, "happy")
        assert len(face.push(samples[: needed - 1])) == frame and len(face.push(samples[needed - 1 : needed])) in (1, 2)
    assert face.look_ahead_s < 0.4


class _Known:
    """A face of frames that are numbered, each known a fixed time after its own."""

    def samples_needed(self, frame: int) -> int:
        return 640 * frame + 4000


@pytest.mark.parametrize("fps", [25, 60])
def test_packets_keep_the_time_of_the_sound(fps: int) -> None:
    clock, seconds = LiveClock(_Known(), fps), 3
    frames = np.arange(25 * seconds, dtype=np.float32)[:, None]
    sent, given = [], 0
    for heard in range(0, 16_000 * seconds + clock.delay + 160, 160):
        known = max(0, min(len(frames), (heard - 4000) // 640 + 1))
        is_last = known == len(frames) and given < known
        (clock.finish if is_last else clock.push)(frames[given:known])
        given = known
        sent += [(number, float(motion[0]), heard) for number, motion in clock.due(heard)]
    assert [number for number, _, _ in sent] == list(range(fps * seconds))
    for number, value, heard in sent:
        assert value == pytest.approx(min(number * 25 / fps, 25 * seconds - 1), abs=1e-4)
        assert 0 <= heard - clock.due_at(number) < 160, "each within the block that it is due in: no drift"
    assert clock.delay_s < 0.25 + 1 / 25


def test_a_file_comes_at_the_pace_of_its_playing() -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    blocks = list(file_blocks(np.arange(16_000 * 60, dtype=np.float32), 60, True, lambda: now[0], sleep))
    assert now[0] == pytest.approx(160.0, abs=1e-6) and len(blocks) == 3600, "60 s take 60 s"
    np.testing.assert_array_equal(np.concatenate(blocks), np.arange(16_000 * 60))
    assert {len(block) for block in blocks} == {266, 267} and min(slept) > 0


def test_raw_samples_come_as_they_are(tmp_path: Path) -> None:
    values = np.arange(-500, 500, dtype="<i2")
    (tmp_path / "raw").write_bytes(values.tobytes() + b"x")
    with (tmp_path / "raw").open("rb") as file:
        blocks = list(raw_blocks(file, 100))
    np.testing.assert_allclose(np.concatenate(blocks) * 32768, values)
    assert [len(block) for block in blocks] == [160] * 6 + [40]


def test_a_microphone_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UserError, match=r"needs the package sounddevice: type `pip install .magictalk\[mic\]"):
        microphone_blocks(60)

    class Stream:
        def __init__(self, callback: object, **options: object) -> None:
            self.callback, self.options = callback, options

        def __enter__(self) -> None:
            assert (self.options["samplerate"], self.options["channels"]) == (16_000, 1)
            self.callback(np.full((267, 1), 0.5), 267, None, None)  # type: ignore[operator]

        def __exit__(self, *error: object) -> None:
            closed.append(True)

    closed: list[bool] = []
    monkeypatch.setitem(sys.modules, "sounddevice", types.SimpleNamespace(InputStream=Stream))
    blocks = microphone_blocks(60)
    np.testing.assert_array_equal(next(blocks), np.full(267, 0.5, np.float32))
    blocks.close()
    assert closed == [True]


def _received(receiver: socket.socket, packets: int) -> list[dict[str, object]]:
    return [read_packet(receiver.recv(2048)) for _ in range(packets)]


@pytest.mark.parametrize("fps", [25, 60])
def test_a_file_is_streamed_to_who_listens(home: Path, speech: Path, receiver: socket.socket, fps: int) -> None:
    words = ["live", "--audio", str(speech), "--style", "happy", "--to", _to(receiver), "--fps", str(fps)]
    done = runner.invoke(app, [*words, "--no-pace", "--home", str(home), "--json"])
    assert done.exit_code == 0, done.output
    (facts,) = json.loads(done.stdout)
    wanted = round(1.4 * fps)
    assert (facts["packets"], facts["unheard"], facts["ended"]) == (wanted, 0, "with the sound")
    assert facts["seconds"] == 1.4 and facts["delay_ms"] < 400 and facts["latency_ms"] is None
    packets = _received(receiver, wanted)
    assert {(one["subject"], one["fps"]) for one in packets} == {("magictalk-synthetic", fps)}
    first = packets[0]["frame"]
    assert [one["frame"] for one in packets] == list(range(first, first + wanted))  # type: ignore[arg-type]
    face = LiveFace.open(Workspace(home), "happy")
    made = np.concatenate([face.push(_samples(speech)), face.finish()])
    jaw = ARKIT_NAMES.index("jawOpen")
    at = np.arange(wanted) * 25 / fps
    line = np.interp(at, np.arange(len(made)), made[:, MOTION_NAMES.index("jawOpen")])
    np.testing.assert_allclose([one["values"][jaw] for one in packets], line, atol=2e-4)  # type: ignore[index]


@pytest.mark.slow
def test_ctrl_c_ends_it_well_and_raw_sound_is_heard(home: Path, speech: Path, receiver: socket.socket) -> None:
    words = ["live", "--audio", "-", "--style", "sad", "--to", _to(receiver), "--home", str(home), "--json"]
    command = [sys.executable, "-m", "pipelines.cli", *words]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as child:  # type: ignore[call-overload]
        assert child.stdin is not None
        child.stdin.write((_samples(speech) * 32767).astype("<i2").tobytes())
        child.stdin.flush()
        receiver.settimeout(120)
        assert read_packet(receiver.recv(2048))["subject"] == "magictalk-synthetic"
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        out, err = child.stdout.read(), child.stderr.read()  # type: ignore[union-attr]
        assert child.wait(60) == 0, err
    (facts,) = json.loads(out)
    assert facts["ended"] == "by hand" and facts["packets"] >= 1 and b"Traceback" not in err


def test_nobody_there_is_a_word_and_no_end(home: Path, speech: Path, receiver: socket.socket) -> None:
    target = _to(receiver)
    receiver.close()
    words = ["live", "--audio", str(speech), "--style", "happy", "--to", target, "--no-pace", "--home", str(home)]
    done = runner.invoke(app, words)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("nobody listens there yet") == 1
    facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert int(facts["packets"]) == 84 and int(facts["unheard"]) >= 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--to": "tcp://127.0.0.1:1"}, "--to tcp://127.0.0.1:1: expected udp://host:port"),
        ({"--to": "udp://127.0.0.1"}, "expected udp://host:port"),
        ({"--to": "udp://127.0.0.1:99999"}, "expected udp://host:port"),
        ({"--to": "udp://no-such-host.invalid:11111"}, "cannot be reached"),
        ({"--fps": "30"}, "--fps 30: expected 25 or 60"),
        ({"--style": "bored"}, "unknown style `bored`"),
        ({"--audio": "missing.wav"}, "missing.wav: no such audio or video file"),
        ({"--audio": "-", "--no-pace": None}, "--no-pace: --audio - has a pace of its own"),
        ({"--subject": " "}, "--subject"),
        ({"--seed": "-1"}, "--seed"),
    ],
    ids=str,
)
def test_what_is_wrong_is_one_line(home: Path, speech: Path, change: dict[str, str | None], says: str) -> None:
    options = {"--audio": str(speech), "--style": "happy", "--home": str(home)} | change
    words = [word for name, value in options.items() for word in ([name] if value is None else [name, value])]
    done = runner.invoke(app, ["live", *words])
    (line,) = done.stderr.strip().splitlines()
    assert done.exit_code == 2 and line.startswith("magictalk: ") and says in line


@pytest.mark.slow
def test_shipped_models_rest_while_nobody_speaks_and_blink(tmp_path: Path) -> None:
    """As offline: what is said before and after counts, not how the sound was cut."""
    spoken = read_audio(SPOKEN, SAMPLE_RATE)[: 3 * SAMPLE_RATE]
    sound = np.concatenate([spoken, np.zeros(20 * SAMPLE_RATE, np.float32)])
    face = LiveFace.open(Workspace(tmp_path / "home"), "neutral")
    made = np.concatenate([*(face.push(block) for block in np.array_split(sound, 400)), face.finish()])
    jaw = made[:, MOTION_NAMES.index("jawOpen")]
    quiet = round((len(spoken) / SAMPLE_RATE + 0.3) * 25)
    assert jaw[:quiet].max() > 0.1 and jaw[quiet:].max() < 0.03
    assert 2 <= len(find_blinks(made).peaks) <= 12, "8 to 30 a minute"
