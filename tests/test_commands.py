"""The command line as a user meets it: help, results, and one clear line for what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skimage.data
from face_fixtures import astronaut, need_embedded_weights, noise
from PIL import Image
from training_fixtures import build, lip_preset, preset
from typer.testing import CliRunner

from magictalk_core.commands.verify import verify_file
from magictalk_core.errors import PermanentError
from magictalk_core.media.decode import read_audio, read_frames
from magictalk_core.media.encode import write_video
from magictalk_core.media.probe import probe
from magictalk_core.models.families import FAMILIES
from magictalk_core.portrait import generated
from magictalk_core.portrait.provenance import read_provenance
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.run import current_model, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.provenance import Work, output_md5, read_record, record_path
from magictalk_core.workspace import Workspace
from pipelines.cli import app

runner = CliRunner()

COMMANDS = [
    ["demo"], ["run"], ["extract"], ["convert"], ["animate"], ["live"], ["corpus", "add"], ["corpus", "list"],
    ["emotions"], ["dialogue"], ["verify"],
    ["corpus", "check"], ["corpus", "unpack"], ["corpus", "fetch"], ["weights", "list"],
    ["weights", "fetch"], ["weights", "verify"], ["lineage"], ["lineage-report"],
]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a model."""
    folder = tmp_path_factory.mktemp("commands")
    build(folder)
    workspace = Workspace(folder / "home")
    train(
        FAMILIES["emodiff"],
        preset(network={"noise_skip": True}),
        folder / "set",
        workspace.models("emodiff"),
        MemoryTracker(),
    )
    return workspace.home


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """A portrait, a picture without a face, speech, and a file that is not a sound."""
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "portrait.png")
    Image.fromarray(noise()).save(tmp_path / "noise.png")
    speech = resources.files("magictalk_core.sample_corpus").joinpath("speech/W901-happy-001.ogg").read_bytes()
    (tmp_path / "speech.ogg").write_bytes(speech)
    (tmp_path / "broken.wav").write_bytes(b"RIFF not a sound at all")
    files = {"portrait": "portrait.png", "noise": "noise.png", "speech": "speech.ogg", "broken": "broken.wav"}
    return {name: tmp_path / file for name, file in files.items()}


def _animate(home: Path, audio: Path, portrait: Path, style: str, out: Path, *more: str) -> list[str]:
    return [
        "animate", "--audio", str(audio), "--portrait", str(portrait), "--style", style, "-o", str(out), "--home",
        str(home), "--no-lips", "--json", *more,
    ]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    done = runner.invoke(app, [*command, "--help"])
    assert done.exit_code == 0 and f"Example: magictalk {' '.join(command)}" in done.output


def test_a_video_as_long_as_its_speech(home: Path, inputs: dict[str, Path], tmp_path: Path) -> None:
    need_embedded_weights()
    out = tmp_path / "made" / "out.mp4"
    done = runner.invoke(app, _animate(home, inputs["speech"], inputs["portrait"], "happy", out, "--size", "128"))
    assert done.exit_code == 0, done.output
    (summary,) = json.loads(done.stdout)
    seconds = len(read_audio(inputs["speech"], 16_000)) / 16_000
    frames = list(read_frames(out))
    assert abs(len(frames) - seconds * 25) <= 1 and summary["frames"] == len(frames)
    assert frames[0].shape == (128, 128, 3) and probe(out).has_audio
    assert np.abs(frames[10].astype(int) - frames[20].astype(int)).max() > 10
    manifest = read_provenance(out)
    assert (manifest["validation_state"], manifest["title"]) == ("Valid", "out.mp4")
    assert verify_file(out).is_intact
    record = read_record(record_path(out))
    read = {one.kind: one.md5 for one in record.inputs}
    model = output_md5(current_model(Workspace(home).models("emodiff")))
    assert read == {"audio": file_md5(inputs["speech"]), "portrait": file_md5(inputs["portrait"]), "model": model}
    assert record.md5 == file_md5(out) and record.settings["style"] == "happy" and record.settings["seed"] == 0
    # A copy that is sent around is known by its content, and by what it says of itself.
    sent = tmp_path / "sent.mp4"
    sent.write_bytes(out.read_bytes())
    told = runner.invoke(app, ["lineage", str(sent), "--home", str(home)])
    assert told.exit_code == 0 and read["audio"] in told.stdout and model in told.stdout


def test_the_whole_picture_is_kept(home: Path, inputs: dict[str, Path], tmp_path: Path) -> None:
    """In its own shape, and still where nobody moves."""
    need_embedded_weights()
    Image.fromarray(skimage.data.astronaut()[:301, :400]).save(inputs["portrait"])
    out = tmp_path / "out.mp4"
    line = _animate(home, inputs["speech"], inputs["portrait"], "happy", out, "--crop", "keep", "--size", "200")
    done = runner.invoke(app, line)
    assert done.exit_code == 0, done.output
    (summary,) = json.loads(done.stdout)
    frames = list(read_frames(out))
    assert frames[0].shape == (150, 200, 3) and (summary["size"], summary["height"]) == (200, 150)
    assert read_record(record_path(out)).settings["crop"] == "keep"
    change = np.abs(frames[10].astype(int) - frames[30].astype(int)).mean(axis=2)
    assert change[:, :15].max() < 25 and change[10:60, 70:110].mean() > 2


def test_an_unknown_crop_is_one_line(home: Path, inputs: dict[str, Path], tmp_path: Path) -> None:
    line = _animate(home, inputs["speech"], inputs["portrait"], "happy", tmp_path / "out.mp4", "--crop", "tight")
    done = runner.invoke(app, line)
    assert done.exit_code == 2 and "--crop tight: expected one of face, keep" in done.stderr


def test_no_unsigned_video_ever_has_the_final_name(
    home: Path, inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stood there before stays, and nothing else is left, when signing fails."""
    need_embedded_weights()
    out = tmp_path / "made" / "out.mp4"
    out.parent.mkdir()
    out.write_bytes(b"an older video")
    seen = []

    def fail(path: Path, work: Work, title: str, *_: str) -> None:
        seen.append((path.is_file(), path.name == title, out.read_bytes()))
        raise PermanentError("the signer is broken")

    monkeypatch.setattr(generated, "sign_video", fail)
    done = runner.invoke(app, _animate(home, inputs["speech"], inputs["portrait"], "happy", out, "--size", "64"))
    assert done.exit_code == 1 and "the signer is broken" in done.stderr
    assert seen == [(True, False, b"an older video")]
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"] and out.read_bytes() == b"an older video"


def test_lips_are_refined_with_the_models_of_the_workspace(home: Path, inputs: dict[str, Path], tmp_path: Path) -> None:
    need_embedded_weights()
    out = tmp_path / "out.mp4"
    command = _animate(home, inputs["speech"], inputs["portrait"], "happy", out, "--size", "64", "--lips")
    done = runner.invoke(app, command)
    assert done.exit_code == 2 and '--select "+models/lip_residue"`, or give --no-lips' in done.stderr
    workspace, data = Workspace(home), home.parent / "set"
    for family in ("sync_expert", "audio2bs", "lip_residue"):
        train(FAMILIES[family], lip_preset(epochs=1), data, workspace.models(family), MemoryTracker())
    done = runner.invoke(app, command)
    assert done.exit_code == 0, done.output
    (summary,) = json.loads(done.stdout)
    assert summary["method"] == "magictalk" and out.is_file()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"portrait": "noise"}, "noise.png: no face found"),
        ({"portrait": "speech"}, "speech.ogg: not readable as a picture"),
        ({"audio": "broken"}, "broken.wav: "),
        ({"audio": "missing"}, "no such audio or video file"),
        ({"style": "bored"}, "unknown style `bored`: expected an emotion (happy, sad) or a training clip"),
        ({"out": "out.avi"}, "out.avi is no video (.mp4)"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_no_file(
    home: Path, inputs: dict[str, Path], tmp_path: Path, change: dict[str, str], says: str
) -> None:
    need_embedded_weights()
    files = inputs | {"missing": tmp_path / "missing.wav"}
    out = tmp_path / "made" / change.get("out", "out.mp4")
    arguments = files[change.get("audio", "speech")], files[change.get("portrait", "portrait")]
    done = runner.invoke(app, _animate(home, *arguments, change.get("style", "happy"), out))
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("magictalk: ") and says in line
    assert not out.parent.exists() or not list(out.parent.iterdir())


@pytest.mark.thinned(2)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_blendshapes_of_a_video(tmp_path: Path, suffix: str) -> None:
    need_embedded_weights()
    video, out = tmp_path / "v.mp4", tmp_path / f"out.{suffix}"
    write_video(video, [astronaut(), astronaut(), noise(), astronaut()], 25, None)
    # A process of its own: the children of this one keep the environment in which the first of them began.
    command = [sys.executable, "-m", "pipelines.cli", "extract", str(video), "-o", str(out), "--tracker", "litert"]
    environment = {name: value for name, value in os.environ.items() if name != "MAGICTALK_WEIGHTS"}
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    (summary,) = json.loads(done.stdout)
    assert (summary["output"], summary["frames"], summary["frames_with_face"]) == (str(out), 4, 3)
    assert summary["tracker"].startswith("litert-geometric/")
    table = pd.read_csv(out) if suffix == "csv" else pd.read_parquet(out)
    assert set(MOTION_NAMES) <= set(table.columns) and table["face_found"].tolist() == [True, True, False, True]
    assert table.loc[2, list(MOTION_NAMES)].isna().all() and table.loc[0, "mouthSmileLeft"] > 0.3


@pytest.mark.parametrize("columns", ["40", "80"])
def test_a_single_result_is_one_fact_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = tmp_path / ("a-folder-with-a-long-name" * 3) / "out.npy"
    speech = resources.files("magictalk_core.sample_corpus").joinpath("speech/W901-happy-001.ogg").read_bytes()
    (tmp_path / "speech.ogg").write_bytes(speech)
    done = runner.invoke(app, ["speech", str(tmp_path / "speech.ogg"), "-o", str(out), "--feature", "logmel-29-1"])
    assert done.exit_code == 0, done.output
    facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(facts) == ["output", "feature", "layout", "shape"] and facts["output"] == str(out)


@pytest.mark.parametrize("columns", ["40", "80", "400", ""])
def test_paths_stay_whole_in_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns) if columns else monkeypatch.delenv("COLUMNS", raising=False)
    home, roots = tmp_path / "home", [tmp_path / f"raw[{n}]" / ("long" * 12) for n in range(2)]
    for number, root in enumerate(roots):
        root.mkdir(parents=True)
        add = ["corpus", "add", f"c{number}", "--kind", "folder", "--root", str(root), "--home", str(home)]
        assert runner.invoke(app, add).exit_code == 0
    lines = runner.invoke(app, ["corpus", "list", "--home", str(home)]).stdout.splitlines()
    assert all(any(str(root) in line.split() for line in lines) for root in roots)
    assert len(lines) == (3 if columns in ("400", "") else 2 * 3 + 1), "a table where it fits, else facts"


def test_extract_refuses_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"nothing")
    for arguments, says in (
        ([str(tmp_path / "none.mp4"), "-o", str(tmp_path / "o.csv")], "no such video file"),
        ([str(tmp_path / "v.mp4"), "-o", str(tmp_path / "o.csv")], "v.mp4: "),
        ([str(tmp_path / "v.mp4"), "-o", str(tmp_path / "o.txt")], "ends in .csv, .glb, .parquet"),
        ([str(tmp_path / "v.mp4"), "-o", str(tmp_path / "o.csv"), "--tracker", "best"], "expected one of auto"),
    ):
        done = runner.invoke(app, ["extract", *arguments])
        assert done.exit_code == 2 and says in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.glob("o.*"))


def test_corpora_are_registered_and_listed(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "more").mkdir()
    home = ["--home", str(tmp_path / "home")]
    assert runner.invoke(app, ["corpus", "list", "--json", *home]).stdout.strip() == "[]"
    add = ["corpus", "add", "mine", "--kind", "folder", "--root", str(tmp_path / "raw"), *home]
    assert runner.invoke(app, add).exit_code == 0 and runner.invoke(app, add).exit_code == 0
    other = ["corpus", "add", "mine", "--kind", "folder", "--root", str(tmp_path / "more"), *home]
    taken = runner.invoke(app, other)
    assert taken.exit_code == 2 and "--replace" in taken.stderr
    assert runner.invoke(app, [*other, "--replace"]).exit_code == 0
    (row,) = json.loads(runner.invoke(app, ["corpus", "list", "--json", *home]).stdout)
    assert (row["name"], row["kind"], row["clips"]) == ("mine", "folder", None)
    nowhere = runner.invoke(
        app, ["corpus", "add", "other", "--kind", "folder", "--root", str(tmp_path / "nowhere"), *home]
    )
    assert nowhere.exit_code == 2 and "nowhere" in nowhere.stderr
    odd = runner.invoke(app, ["corpus", "add", "other", "--kind", "movie", "--root", str(tmp_path / "raw"), *home])
    assert odd.exit_code == 2 and "folder" in odd.stderr


def test_a_run_without_corpora_or_with_an_unknown_preset_says_what_to_do(tmp_path: Path) -> None:
    done = runner.invoke(app, ["run", "--home", str(tmp_path), "--preset", "huge"])
    assert done.exit_code == 2 and "expected one of base, own_face, paper, sample" in done.stderr
