"""What `magictalk animate` takes, what it says of it, and one line for what it does not take."""

from __future__ import annotations

import json
import shutil
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from training_fixtures import build, preset
from typer.testing import CliRunner

from magictalk_core.media.decode import read_frames
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.families import FAMILIES
from magictalk_core.training.run import current_model, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.vocabulary.emotions import EMOTION_ALIASES, EMOTIONS, emotion_named
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from tests.face_fixtures import need_embedded_weights

runner = CliRunner()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a model."""
    need_embedded_weights()
    folder = tmp_path_factory.mktemp("animate")
    build(folder)
    workspace = Workspace(folder / "home")
    settings = preset(network={"noise_skip": True})
    train(FAMILIES["emodiff"], settings, folder / "set", workspace.models("emodiff"), MemoryTracker())
    return workspace.home


def _sound(path: Path, seconds: float, level: float = 0.3) -> Path:
    samples = level * np.sin(np.arange(round(16_000 * seconds)) / 10)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def line(home: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The words of a command that works, with options replaced or added."""
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "me.png")
    good = {
        "--audio": _sound(tmp_path / "a.wav", 0.2), "--portrait": tmp_path / "me.png", "--style": "happy",
        "--home": home, "-o": tmp_path / "out.mp4", "--size": 64,
    }  # fmt: skip

    def words(*more: str, **changed: object) -> list[str]:
        options = good | {f"--{name}": value for name, value in changed.items()}
        return ["animate", "--no-lips", *more, *(str(word) for pair in options.items() for word in pair)]

    return words


def _refused(words: list[str], *says: str) -> None:
    done = runner.invoke(app, words)
    (said,) = done.stderr.strip().splitlines()
    assert done.exit_code == 2 and all(one in said for one in says), said
    assert not Path(words[words.index("-o") + 1]).exists()


@pytest.mark.parametrize("size", [65, 127, 1023])
def test_an_odd_size_becomes_even_with_a_word(size: int, line: Callable[..., list[str]], tmp_path: Path) -> None:
    done = runner.invoke(app, line("--json", size=size, style="JOY", audio=_sound(tmp_path / "b.wav", 0.05)))
    assert done.exit_code == 0, done.output
    (made,) = json.loads(done.stdout)
    assert (made["size"], made["style"]) == (size + 1, "happy")
    assert next(read_frames(tmp_path / "out.mp4")).shape == (size + 1, size + 1, 3)
    assert f"--size {size}: made {size + 1} pixels wide, H.264 takes even sides only" in done.stderr
    assert made["face"].startswith("1 of 1, ") and len(made["warnings"]) == len(done.stderr.splitlines())


def test_a_success_is_one_fact_a_line(line: Callable[..., list[str]]) -> None:
    done = runner.invoke(app, line(audio=line()[line().index("--audio") + 1]))
    facts = dict(said.split(maxsplit=1) for said in done.stdout.splitlines())
    wanted = ["output", "frames", "duration_s", "size", "height", "style", "intensity", "method", "model", "renderer"]
    wanted += ["face"]
    assert done.exit_code == 0 and list(facts) == wanted


@pytest.mark.parametrize("seed", ["-1", str(2**63), str(2**64), "9" * 40, "1.5", "nan"])
def test_a_seed_that_no_generator_takes(seed: str, line: Callable[..., list[str]]) -> None:
    _refused(line(seed=seed), "--seed")


def test_the_largest_seed(line: Callable[..., list[str]]) -> None:
    assert runner.invoke(app, line(seed=2**63 - 1)).exit_code == 0


@pytest.mark.parametrize("intensity", ["-0.1", "1.1", "nan", "inf"])
def test_an_intensity_outside_of_0_to_1(intensity: str, line: Callable[..., list[str]]) -> None:
    _refused(line(intensity=intensity), "intensity")


def test_a_face_that_is_not_there(line: Callable[..., list[str]]) -> None:
    _refused(line(face=2), "me.png: --face 2: the picture has 1, the largest is --face 1")
    _refused(line(face=0), "--face")


@pytest.mark.parametrize("word", ["Happy", "HAPPY ", "joy", "Joyful", "smile", "happiness"])
def test_case_and_synonyms_mean_one_emotion(word: str) -> None:
    bank = StyleBank({"a/b/1": np.ones((2, 3), np.float32)}, {"happy": ["a/b/1"]})
    assert bank.name_of(word) == "happy"
    np.testing.assert_array_equal(bank.frames(word), bank.frames("happy"))


def test_every_synonym_is_of_one_emotion_and_labels_of_others_keep_their_name() -> None:
    assert set(EMOTION_ALIASES.values()) <= set(EMOTIONS) and not set(EMOTION_ALIASES) & set(EMOTIONS)
    assert [emotion_named(word) for word in ("ANGER", "anger", "Fear", "scared", "disgust")] == [
        "angry", "angry", "fear", "fear", "disgusted",
    ]  # fmt: skip
    assert StyleBank({"a": np.ones((1, 3), np.float32)}, {"Excited": ["a"]}).name_of("excited") == "Excited"


def test_the_error_lists_what_there_is(line: Callable[..., list[str]]) -> None:
    _refused(line(style="anger"), "unknown style `anger`: expected an emotion (happy, sad) or a training clip, e.g. ")


def _no_folder(model: Path) -> None:
    shutil.rmtree(model)


def _no_model(model: Path) -> None:
    shutil.rmtree(model)
    (model / "pictures").mkdir(parents=True)


def _cut_weights(model: Path) -> None:
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def _broken_config(model: Path) -> None:
    (model / "config.json").write_text("{")


def _empty_config(model: Path) -> None:
    (model / "config.json").write_text("{}")


def _no_styles(model: Path) -> None:
    (model / "styles.safetensors").unlink()


def _empty_styles(model: Path) -> None:
    StyleBank({}, {}).save(model)


def _broken_styles(model: Path) -> None:
    (model / "styles.safetensors").write_bytes(b"x" * 100)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_no_folder, "no emodiff model at "),
        (_no_model, "no emodiff model at "),
        (_cut_weights, "the model cannot be read ("),
        (_broken_config, "the model cannot be read (JSONDecodeError"),
        (_empty_config, "expected a model of emodiff"),
        (_no_styles, "no style bank in "),
        (_empty_styles, "the model's style bank is empty"),
        (_broken_styles, "the model cannot be read ("),
    ],
    ids=lambda value: value.__name__[1:] if callable(value) else "",
)
def test_a_model_that_is_none_names_the_next_command(
    spoil: Callable[[Path], None], says: str, line: Callable[..., list[str]], home: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(current_model(Workspace(home).models("emodiff")), model)
    spoil(model)
    _refused(line(model=model), says, "magictalk run --select models/emodiff")


def test_without_lip_models_the_next_command_is_named(line: Callable[..., list[str]]) -> None:
    lips = [word for word in line() if word != "--no-lips"]
    _refused(lips, '--select "+models/lip_residue"`, or give --no-lips')


def _cut_sound(path: Path) -> Path:
    _sound(path, 1.0)
    path.write_bytes(path.read_bytes()[:20])
    return path


def _no_samples(path: Path) -> Path:
    return _sound(path, 0.0)


def _ten_ms(path: Path) -> Path:
    return _sound(path, 0.01)


def _picture_only(path: Path) -> Path:
    video = path.with_suffix(".mp4")
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=s=64x64:d=0.2", str(video)]
    subprocess.run(command, check=True)
    return video


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path, "no such audio or video file"),
        (lambda path: path.parent, "a folder, expected one audio or video file"),
        (lambda path: path.touch() or path, "the file is empty"),
        (_cut_sound, ".wav: "),
        (_no_samples, ".wav: "),
        (_ten_ms, "holds 10 ms of sound, expected at least the 40 ms of one frame"),
        (_picture_only, "has no audio stream"),
    ],
    ids=["missing", "folder", "empty", "cut", "no samples", "10 ms", "picture only"],
)
@pytest.mark.parametrize("command", ["animate", "speech"])
def test_a_sound_that_is_none(
    command: str, make: Callable[[Path], Path], says: str, line: Callable[..., list[str]], tmp_path: Path
) -> None:
    audio = make(tmp_path / "sound.wav")
    spoken = ["speech", str(audio), "-o", str(tmp_path / "out.npy"), "--feature", "logmel-29-1"]
    _refused(line(audio=audio) if command == "animate" else spoken, says)


def test_silence_is_said(line: Callable[..., list[str]], tmp_path: Path) -> None:
    done = runner.invoke(app, line(audio=_sound(tmp_path / "b.wav", 0.1, level=0.0)))
    assert done.exit_code == 0 and "b.wav: nothing but silence: the mouth will hardly move" in done.stderr


def test_a_sound_without_a_voice_is_said(line: Callable[..., list[str]]) -> None:
    done = runner.invoke(app, line())
    assert done.exit_code == 0 and "a.wav: nobody seems to speak in it" in done.stderr


def test_a_sound_cut_in_the_middle_is_as_long_as_what_is_there(line: Callable[..., list[str]], tmp_path: Path) -> None:
    path = _sound(tmp_path / "b.wav", 0.8)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = runner.invoke(app, line("--json", audio=path))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["frames"] == 10
