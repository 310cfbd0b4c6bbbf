"""`magictalk-base`, the models that come with the package: which are used when, what they are, what they do."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
from face_fixtures import need_embedded_weights
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from training_fixtures import build, preset
from typer.testing import CliRunner

from magictalk_core.commands import opened_models
from magictalk_core.commands.opened_models import Performers, open_models
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.media.decode import read_audio
from magictalk_core.models.families import FAMILIES
from magictalk_core.models.lip_residue.worth import LipWorth, base_worth
from magictalk_core.models.shipped import base
from magictalk_core.models.shipped.base import BASE, BASE_FAMILIES, SYNC_EXPERT, base_folder, base_name
from magictalk_core.models.sync_expert.linear import LINEAR_SYNC
from magictalk_core.portrait.provenance import PROVENANCE_LABEL, read_provenance
from magictalk_core.speech.activity import voice_activity
from magictalk_core.speech.features import WHISPER, speech_features
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.in_use import point_champion, runs_in_use
from magictalk_core.training.run import current_model, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.vocabulary.arkit import STATE_NAMES
from magictalk_core.vocabulary.emotions import EMOTIONS, NEUTRAL, SIGNATURES
from magictalk_core.work.provenance import read_record, record_path
from magictalk_core.workspace import Workspace
from pipelines.cli import app

runner = CliRunner()

MOST_BYTES = 8_000_000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Performers:
    """What performs where there is no workspace."""
    return open_models(Workspace(tmp_path_factory.mktemp("none") / "home"))


@pytest.fixture(scope="module")
def voice() -> NDArray[np.float32]:
    path = resources.files("magictalk_core.sample_corpus").joinpath("speech/W901-neutral-001.ogg")
    with resources.as_file(path) as file:
        return read_audio(file, 16_000)


def said(models: Performers, samples: NDArray[np.float32], style: NDArray[np.float32]) -> NDArray[np.float32]:
    """The motion of 16 kHz samples in a style, as `animate` has it."""
    frames = len(samples) // 640
    heard, spoken = speech_features(samples, frames, WHISPER), voice_activity(samples, frames)
    return models.perform(heard, spoken, style, 0)


def test_the_files_are_as_the_recipe_left_them_and_small() -> None:
    folder = base_folder()
    known = json.loads((folder / "measured.json").read_text(encoding="utf-8"))["files"]
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    found.pop("measured.json")
    assert {name: file_md5(path) for name, path in found.items()} == known
    assert sum(path.stat().st_size for path in found.values()) < MOST_BYTES
    assert {path.suffix for path in found.values()} == {".safetensors", ".json", ".md"}
    for family in BASE_FAMILIES:
        with safe_open(folder / family / "model.safetensors", "np") as file:
            assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"float16"}
        config = json.loads((folder / family / "config.json").read_text(encoding="utf-8"))
        assert (config["family"], config["feature_id"]) == (family, WHISPER)
        assert config["version"] == FAMILIES[family].version
    with safe_open(folder / SYNC_EXPERT / LINEAR_SYNC, "np") as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"float16"}
        assert file.metadata()["feature"] == WHISPER and file.metadata()["license"] == "Apache-2.0"
    assert found[f"{SYNC_EXPERT}/{LINEAR_SYNC}"].stat().st_size < 1_000_000


def test_the_card_says_what_they_are_made_from() -> None:
    card = (base_folder() / "README.md").read_text(encoding="utf-8")
    for word in ("Apache-2.0", "synthetic", "magictalk_core.recipes.base_models", "espeak-ng", "Limits", "Figures"):
        assert word in card
    assert "{" not in card, "a figure was not filled in"


def test_a_missing_folder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "BASE", "magictalk-none")
    with pytest.raises(PermanentError, match="magictalk-none/emodiff is missing from this installation"):
        base_folder("emodiff")


def test_a_workspace_without_a_model_gets_those_of_the_package(models: Performers) -> None:
    assert models.name == models.stamp == base_name() and models.name.startswith(f"{BASE} ")
    assert models.folder == base_folder("emodiff") and models.emodiff.channels == STATE_NAMES
    assert len(models.folders) == (3 if base_worth().is_worth else 1)


def test_named_before_own_before_shipped(tmp_path: Path) -> None:
    build(tmp_path)
    workspace, data = Workspace(tmp_path / "home"), tmp_path / "set"
    out = workspace.models("emodiff")
    first = train(FAMILIES["emodiff"], preset({"noise_skip": True}), data, out, MemoryTracker()).path
    assert open_models(workspace, lips=False).folder == first
    newest = train(FAMILIES["emodiff"], preset({"noise_skip": True, "hidden": 16}), data, out, MemoryTracker()).path
    assert open_models(workspace, lips=False).folder == newest != first
    point_champion(out, first.parent.name)
    champion = open_models(workspace, lips=False)
    assert champion.folder == current_model(out) == first and champion.name == str(first)
    assert str(tmp_path) not in champion.stamp and file_md5(first / "model.safetensors")[:12] in champion.stamp
    assert open_models(workspace, newest, lips=False).folder == newest
    assert open_models(workspace, Path(BASE)).name == base_name()
    assert open_models(workspace, base_folder("emodiff"), lips=False).folder == base_folder("emodiff")
    with pytest.raises(UserError, match="no trained audio2bs and lip_residue"):
        open_models(workspace)
    assert runs_in_use(out) is not None


def test_lips_that_lost_are_off_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path / "home")
    monkeypatch.setattr(opened_models, "base_worth", lambda: LipWorth(emodiff=0.5, refined=0.25, clips=40))
    lost = open_models(workspace)
    assert lost.refiner is None and len(lost.folders) == 1
    assert lost.remarks == (
        "the mouth is EmoDiff's own: on 40 held-out clips refined lips followed the jaw with r 0.25, EmoDiff's with "
        "0.50",
    )
    assert open_models(workspace, lips=False).remarks == ()
    monkeypatch.setattr(opened_models, "base_worth", lambda: LipWorth(emodiff=0.5, refined=0.5, clips=40))
    assert open_models(workspace).refiner is not None


@pytest.mark.thinned(3)
@pytest.mark.parametrize("emotion", sorted(EMOTIONS))
def test_every_emotion_of_mead_is_a_style_and_shows(
    models: Performers, voice: NDArray[np.float32], emotion: str
) -> None:
    jaw = STATE_NAMES.index("jawOpen")
    style = models.styles.frames(models.styles.name_of(emotion))
    moved = said(models, voice, style)
    assert moved.shape == (len(voice) // 640, 57) and np.isfinite(moved).all()
    assert moved[:, :51].min() >= 0 and moved[:, :51].max() <= 1 and moved[:, jaw].std() > 0.03
    calm = said(models, voice, models.styles.frames(NEUTRAL))
    for channels in SIGNATURES.get(emotion, ()):
        columns = [STATE_NAMES.index(name) for name in channels]
        assert moved[:, columns].mean() > calm[:, columns].mean()


@pytest.mark.thinned(3)
@pytest.mark.parametrize("emotion", sorted(set(EMOTIONS) - {NEUTRAL}))
def test_a_higher_intensity_is_further_from_neutral(
    models: Performers, voice: NDArray[np.float32], emotion: str
) -> None:
    faces = [
        said(models, voice[:32_000], models.styles.at_intensity(emotion, intensity))[:, :51].mean(0)
        for intensity in (0.0, 0.33, 0.67, 1.0)
    ]
    far = [float(np.abs(face - faces[0]).sum()) for face in faces]
    assert far == sorted(far) and far[-1] > 0.5


def test_the_mouth_rests_in_silence_and_comes_to_rest_in_a_pause(
    models: Performers, voice: NDArray[np.float32]
) -> None:
    style, jaw = models.styles.frames(NEUTRAL), STATE_NAMES.index("jawOpen")
    silent = said(models, np.zeros(96_000, np.float32), style)[:, jaw]
    assert silent[8:].max() < 0.03
    paused = said(models, np.concatenate([voice, np.zeros(48_000, np.float32), voice]), style)[:, jaw]
    end = len(voice) // 640
    assert paused[end + 8 : end + 70].max() < 0.03 < 0.15 < paused[:end].max()


def test_styles_have_three_strengths_and_an_unknown_one_says_what_there_is(models: Performers) -> None:
    assert {f"happy_{k}" for k in (1, 2, 3)} < set(models.styles.clips)
    with pytest.raises(
        UserError, match=r"unknown style `bored`: expected an emotion \(angry, contempt, disgusted, fear"
    ):
        models.styles.name_of("bored")


def test_animate_works_in_an_empty_home_and_says_and_stamps_what_it_used(tmp_path: Path) -> None:
    need_embedded_weights()
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "me.png")
    speech = resources.files("magictalk_core.sample_corpus").joinpath("speech/M901-sad-001.ogg").read_bytes()
    (tmp_path / "me.ogg").write_bytes(speech)
    out = tmp_path / "me.mp4"
    words = ["animate", "--audio", tmp_path / "me.ogg", "--portrait", tmp_path / "me.png", "--style", "sad"]
    words += ["-o", out, "--size", 64, "--json", "--home", tmp_path / "home"]
    done = runner.invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    (made,) = json.loads(done.stdout)
    method = "magictalk" if base_worth().is_worth else "emodiff"
    assert (made["model"], made["method"]) == (base_name(), method)
    with av.open(str(out)) as container:
        assert f"model {method} ({base_name()})" in container.metadata["comment"]
    record = read_record(record_path(out))
    assert record.settings["models"] == base_name()
    assert sum(one.kind == "model" for one in record.inputs) == (3 if method == "magictalk" else 1)
    assertions = {one["label"]: one["data"] for one in read_provenance(out)["assertions"]}
    assert assertions[PROVENANCE_LABEL]["settings"]["models"] == base_name()
    assert str(tmp_path) not in json.dumps(assertions[PROVENANCE_LABEL]) and not (tmp_path / "home").exists()
