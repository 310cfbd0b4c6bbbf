"""`magictalk animate` without a portrait: curves in every format, read back, and what does not go together."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from training_fixtures import BLIND, build, preset
from typer.testing import CliRunner

from magictalk_core.commands.convert import convert_file
from magictalk_core.models.families import FAMILIES
from magictalk_core.portrait.label import DIGITAL_SOURCE_TYPE
from magictalk_core.rig.curve_files import read_curves
from magictalk_core.rig.gltf_reader import read_gltf
from magictalk_core.rig.live_link_reader import read_live_link
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_table
from magictalk_core.storage.schema import FRAMES
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.vocabulary.arkit import ARKIT_NAMES
from magictalk_core.work.provenance import read_record, record_path
from magictalk_core.workspace import Workspace
from pipelines.cli import app

runner = CliRunner()
FRAMES_MADE = 12


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a model."""
    folder = tmp_path_factory.mktemp("curves")
    build(folder)
    workspace = Workspace(folder / "home")
    settings = preset(network={"noise_skip": True})
    train(FAMILIES["emodiff"], settings, folder / "set", workspace.models("emodiff"), MemoryTracker())
    return workspace.home


@pytest.fixture
def animate(home: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The words of a command that makes `name` of half a second of sound."""
    with wave.open(str(tmp_path / "my voice.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        samples = 0.3 * np.sin(np.arange(640 * FRAMES_MADE) / 10)
        file.writeframes((samples * 32767).astype("<i2").tobytes())

    def words(name: str, *more: str) -> list[str]:
        options = ["--audio", str(tmp_path / "my voice.wav"), "--style", "joy", "--home", str(home), "--no-lips"]
        return ["animate", *options, "-o", str(tmp_path / name), *more]

    return words


def _made(words: list[str]) -> dict[str, object]:
    done = runner.invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    (facts,) = json.loads(done.stdout)
    return dict(facts)


def test_a_table_keeps_the_contract_and_says_what_it_is(animate: Callable[..., list[str]], tmp_path: Path) -> None:
    facts = _made(animate("take.parquet"))
    assert (facts["format"], facts["frames"], facts["style"]) == ("parquet", FRAMES_MADE, "happy")
    assert (facts["method"], facts["unknown"]) == ("emodiff", f"{BLIND}, tongueOut")
    table = read_table(FRAMES, tmp_path / "take.parquet")
    assert table.num_rows == FRAMES_MADE and set(table["tracker"].to_pylist()) == {"synthetic/emodiff"}
    assert set(table["clip_id"].to_pylist()) == {"my-voice"} or len(set(table["clip_id"].to_pylist())) == 1
    shapes = np.stack(
        [table[name].to_numpy(zero_copy_only=False) for name in ARKIT_NAMES if name not in (BLIND, "tongueOut")]
    )
    assert (
        np.isfinite(shapes).all() and shapes.min() >= 0 and shapes.max() <= 1 and table[BLIND].null_count == FRAMES_MADE
    )
    said = {k.decode(): v.decode() for k, v in pq.read_schema(tmp_path / "take.parquet").metadata.items()}
    assert (
        said["digital_source_type"] == DIGITAL_SOURCE_TYPE
        and "SYNTHETIC" in said["title"]
        and "style happy" in said["comment"]
    )


def test_every_format_holds_the_same_curves(animate: Callable[..., list[str]], tmp_path: Path) -> None:
    for name, form in (("a.parquet", None), ("a.csv", None), ("l.csv", "livelink"), ("a.glb", None), ("a.usda", None)):
        _made(animate(name, *(["--format", form] if form else [])))
    (wanted,) = read_curves(tmp_path / "a.parquet", None)
    (table,) = read_curves(tmp_path / "a.csv", None)
    recording, scene = read_live_link(tmp_path / "l.csv"), read_gltf(tmp_path / "a.glb")
    for found in (table, recording, scene):
        assert len(found) == FRAMES_MADE and found.fps == 25.0 and found.seen.all()
        np.testing.assert_allclose(np.nan_to_num(found.coefficients), np.nan_to_num(wanted.coefficients), atol=1e-6)
        np.testing.assert_allclose(found.pose[:, :3], wanted.pose[:, :3], atol=1e-4)
    text = (tmp_path / "a.usda").read_text(encoding="utf-8")
    jaw = text.split("blendShapeWeights.timeSamples = {")[1].splitlines()[1].split("[")[1].split(",")
    assert float(jaw[ARKIT_NAMES.index("jawOpen")]) == pytest.approx(
        wanted.coefficients[0, ARKIT_NAMES.index("jawOpen")]
    )
    glb = (tmp_path / "a.glb").read_bytes()
    for content in (text.encode(), glb):
        assert DIGITAL_SOURCE_TYPE.encode() in content and b"SYNTHETIC MEDIA" in content
    convert_file(tmp_path / "a.glb", tmp_path / "b.parquet", form=None, clip=None, smooth=None, fps=None)
    (back,) = read_curves(tmp_path / "b.parquet", None)
    np.testing.assert_allclose(back.coefficients, wanted.coefficients, atol=1e-6)


def test_a_record_lies_beside_it(animate: Callable[..., list[str]], tmp_path: Path, home: Path) -> None:
    out = tmp_path / "take.csv"
    _made(animate("take.csv", "--format", "livelink", "--seed", "7", "--intensity", "1.0"))
    record = read_record(record_path(out))
    assert record.kind == "animation_curves" and record.md5 == file_md5(out)
    assert {one.kind for one in record.inputs} == {"audio", "model"}
    assert (record.settings["seed"], record.settings["style"], record.settings["format"]) == (7, "happy", "livelink")
    told = runner.invoke(app, ["lineage", str(out), "--home", str(home)])
    assert told.exit_code == 0 and file_md5(tmp_path / "my voice.wav") in told.stdout


def test_a_seed_is_a_performance(animate: Callable[..., list[str]], tmp_path: Path) -> None:
    for name, seed in (("a.csv", "1"), ("b.csv", "1"), ("c.csv", "2")):
        _made(animate(name, "--seed", seed))
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.csv", "b.csv", "c.csv"))
    assert a == b != c


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("o.mp4", [], "a video needs --portrait, or --rig builtin; curves end in .csv, .parquet, .glb or .usda"),
        ("o.csv", ["--portrait", "me.png"], "--portrait: -o "),
        ("o.glb", ["--size", "128", "--face", "1"], "--size, --face: -o "),
        ("o.mp4", ["--format", "livelink"], "a file of format livelink ends in .csv"),
        ("o.csv", ["--format", "usd"], "a file of format usd ends in .usda"),
        ("o.fbx", [], "expected a name that ends in .csv, .glb, .parquet, .usda"),
        ("o.csv", ["--format", "fbx"], "--format fbx: expected one of parquet, csv, livelink, gltf, usd"),
        ("no/such\0.csv", [], ""),
        ("o.csv", ["--style", "bored"], "unknown style `bored`"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    animate: Callable[..., list[str]], tmp_path: Path, name: str, more: list[str], says: str
) -> None:
    done = runner.invoke(app, animate(name, *more))
    (line,) = done.stderr.strip().splitlines()
    assert done.exit_code == 2 and line.startswith("magictalk: ") and says in line
    assert not list(tmp_path.glob("o.*"))
