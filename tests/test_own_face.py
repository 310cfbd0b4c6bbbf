"""Fine-tuning: what a training begins from, that it must fit, what is kept of it, and who is used in the end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from training_fixtures import write_tables

from magictalk_core.commands.gain import write_gain
from magictalk_core.commands.opened_models import open_models
from magictalk_core.errors import UserError
from magictalk_core.models.audio2bs.config import Audio2BSNetworkConfig
from magictalk_core.models.audio2bs.linear import Readout, Stretch, frames_around
from magictalk_core.models.audio2bs.model import Audio2BSModel
from magictalk_core.models.audio2bs.network import Audio2BS
from magictalk_core.models.audio2bs.network import of_channels as mouth_of_channels
from magictalk_core.models.audio2bs.prior import PENALTIES, correct_readout
from magictalk_core.models.emodiff.config import EmoDiffNetworkConfig
from magictalk_core.models.emodiff.network import Denoiser
from magictalk_core.models.emodiff.network import of_channels as motion_of_channels
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.families import FAMILIES
from magictalk_core.models.lip_residue.config import LipResidueNetworkConfig
from magictalk_core.models.lip_residue.gain import stretch_correlations
from magictalk_core.models.lip_residue.network import ResidueGenerator
from magictalk_core.models.lip_residue.network import of_channels as residue_of_channels
from magictalk_core.models.lip_residue.task import ResidueTask
from magictalk_core.models.shipped.base import BASE_FAMILIES, base_folder, base_name
from magictalk_core.presets.beginning import begins_from, preset_beginning_from
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.initial import must_match, read_as_begun
from magictalk_core.training.model_folder import ModelFolder
from magictalk_core.training.run import newest_run, run_digest, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.build import build_training_set
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.arkit import STATE_NAMES
from magictalk_core.work.provenance import record_of
from magictalk_core.workspace import Workspace

FEATURES, CHANNELS, WIDTH = 7, 3, 5


# --- a readout that begins at another ---------------------------------------------------------------------------------


def voices(truth: NDArray[np.float64], count: int = 5, noise: float = 0.0, seed: int = 0) -> list[Stretch]:
    """Mouths that `truth` (M, width, F) makes of speech."""
    random, made = np.random.default_rng(seed), []
    for _ in range(count):
        features = random.normal(size=(120, FEATURES))
        mouth = 0.5 + np.einsum("nwf,mwf->nm", frames_around(features, WIDTH), truth)
        made.append(Stretch(features, mouth + noise * random.normal(size=mouth.shape)))
    return made


def drawn(seed: int) -> NDArray[np.float64]:
    return 0.02 * np.random.default_rng(seed).normal(size=(CHANNELS, WIDTH, FEATURES))


def test_a_readout_is_corrected_towards_who_speaks_as_far_as_left_out_clips_gain() -> None:
    truth, prior = drawn(1), Readout(drawn(2), np.full(CHANNELS, 0.5))
    found = correct_readout(prior, voices(truth), list("abcde"), FEATURES, 0)
    assert found.penalty < 10 and np.abs(found.readout.weight - truth).max() < np.abs(prior.weight - truth).max() / 2
    assert set(found.tried) == set(PENALTIES) and found.tried[found.penalty] > found.tried[PENALTIES[-1]] + 0.1


def test_the_correction_is_the_ridge_towards_the_prior() -> None:
    known, prior = voices(drawn(1), noise=0.01), Readout(drawn(2), np.full(CHANNELS, 0.5))
    found = correct_readout(prior, known, list("abcde"), FEATURES, 0)
    clips = [frames_around(s.features, WIDTH).reshape(len(s.features), -1) for s in known]
    # Components of all features are a rotation of them: the penalty is the same in either.
    x, y = np.concatenate([c - c.mean(0) for c in clips]), np.concatenate([s.mouth - s.mouth.mean(0) for s in known])
    strength, before = found.penalty * np.trace(x.T @ x) / x.shape[1], prior.weight.reshape(CHANNELS, -1).T
    stacked = np.vstack([x, np.sqrt(strength) * np.eye(x.shape[1])])
    wanted, *_ = np.linalg.lstsq(stacked, np.vstack([y, np.sqrt(strength) * before]), rcond=None)
    np.testing.assert_allclose(found.readout.weight.reshape(CHANNELS, -1), wanted.T, atol=1e-8)


def test_where_nothing_is_gained_or_nothing_can_be_left_out_the_prior_stays() -> None:
    truth = drawn(1)
    prior = Readout(truth, np.full(CHANNELS, 0.5))
    found = correct_readout(prior, voices(truth, noise=0.2), list("abcde"), FEATURES, 0)
    assert found.penalty == float("inf") and found.readout is prior
    alone = correct_readout(Readout(drawn(2), np.zeros(CHANNELS)), voices(truth), ["a"] * 5, FEATURES, 0)
    assert alone.penalty == float("inf") and alone.tried == {}


# --- networks of fewer channels ---------------------------------------------------------------------------------------


def test_a_network_of_fewer_channels_is_the_whole_one_with_the_others_at_their_mean() -> None:
    torch.manual_seed(0)
    kept, size, feature = [0, 2, 3], 5, 29
    config = EmoDiffNetworkConfig(hidden=16, blocks=1, heads=2, cross_attention=True, noise_skip=True)
    whole, few = Denoiser(config, 8, size, feature), Denoiser(config, 8, len(kept), feature)
    few.load_state_dict(motion_of_channels(whole.state_dict(), kept, size))
    x, condition = torch.zeros(2, 8, size), torch.zeros(2, 8, size + 1)
    x[..., kept], condition[..., [*kept, size]] = torch.randn(2, 8, 3), torch.randn(2, 8, 4)
    t, speech, dropped = torch.tensor([3, 400]), torch.randn(2, 8, feature), torch.tensor([False, False])
    found = few(x[..., kept], t, condition[..., [*kept, size]], speech, dropped)
    torch.testing.assert_close(found, whole(x, t, condition, speech, dropped)[..., kept])

    lips = Audio2BSNetworkConfig(base="linear", feature_frames=3, hidden=8, layers=1, encoder=8, head=8)
    mouths, mouth = Audio2BS(lips, size, feature), Audio2BS(lips, len(kept), feature)
    mouths.stand_on(torch.randn(size, 3, feature) * 0.02, torch.rand(size))
    mouth.load_state_dict(mouth_of_channels(mouths.state_dict(), kept))
    heard = torch.randn(1, 6 + lips.window - 1, 3, feature)
    torch.testing.assert_close(mouth(heard)[0], mouths(heard)[0][..., kept])

    for reads in ("mouth", "state"):
        added = LipResidueNetworkConfig(head=8, style_size=8, reads=reads)  # type: ignore[arg-type]
        wide, narrow = ResidueGenerator(added, 4, size, 6), ResidueGenerator(added, 4, len(kept), 4)
        torch.nn.init.normal_(wide.last.weight)
        narrow.load_state_dict(residue_of_channels(wide.state_dict(), kept, [0, 1, 4, 5], reads))
        neutral, state, style = torch.zeros(1, 7, size), torch.randn(1, 7, 4), torch.zeros(1, 32, 6)
        neutral[..., kept], style[..., [0, 1, 4, 5]] = torch.rand(1, 7, 3), torch.randn(1, 32, 4)
        made = narrow(neutral[..., kept], state, style[..., [0, 1, 4, 5]])
        torch.testing.assert_close(made, wide(neutral, state, style)[..., kept])


# --- trainings that begin from the shipped models ---------------------------------------------------------------------


def own_face(**training: Any) -> Preset:
    """The preset, in seconds."""
    values = load_preset("own_face").model_dump()
    few = {"epochs": 1, "batch": 8, "threads": 1, "validate_every": 2, "learning_rate": 1e-5} | training
    for section in BASE_FAMILIES:
        values[section]["training"] |= few
    return Preset.model_validate(values)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set of a toy corpus, one channel blind, as the shipped models hear it."""
    folder = tmp_path_factory.mktemp("own")
    tables = write_tables(folder / "tables", frames_per_clip=60, feature=("whisper-tiny-en-l2", 384))
    config = load_preset("own_face").training_set
    build_training_set({"toy": tables}, config, "whisper-tiny-en-l2", folder / "training_set")
    return folder / "training_set"


@pytest.fixture(scope="module")
def workspace(data: Path) -> Workspace:
    """With the three families begun from `magictalk-base`."""
    found = Workspace(data.parent)
    for family in ("audio2bs", "emodiff", "lip_residue"):
        train(FAMILIES[family], own_face(), data, found.models(family), MemoryTracker())
    return found


@pytest.mark.slow
def test_a_training_says_what_it_began_from_and_is_another_one_for_it(workspace: Workspace, data: Path) -> None:
    opened = TrainingSet.open(data)
    for family in BASE_FAMILIES:
        begun, weights = newest_run(workspace.models(family)), base_folder(family) / "model.safetensors"
        config = json.loads((begun.path / "config.json").read_text())
        assert config["init"] == {"name": "base", "weights_md5": file_md5(weights)}
        record = record_of(begun.path)
        assert record is not None and str(base_folder(family)) in {one.name for one in record.inputs}
        folder, base = ModelFolder.open(begun.path, (family,)), ModelFolder.open(base_folder(family), (family,))
        assert set(folder.channels) == set(STATE_NAMES) - {"cheekPuff"}
        torch.testing.assert_close(folder.features.mean, base.features.mean)
        torch.testing.assert_close(folder.states.mean, base.states.mean[base.places(folder.channels)])
    settings = own_face().emodiff
    other = settings.model_copy(update={"training": settings.training.model_copy(update={"init": ""})})
    begun_digest = run_digest(FAMILIES["emodiff"], settings, opened, {"init": base_folder("emodiff")})
    assert begun_digest == newest_run(workspace.models("emodiff")).path.parent.name
    assert begun_digest != run_digest(FAMILIES["emodiff"], other, opened)
    assert "init" not in FAMILIES["emodiff"].learned_from(other)["training"], (
        "what began from chance keeps its identity"
    )


def test_the_styles_of_the_beginning_stay_beside_those_of_the_clips(workspace: Workspace) -> None:
    base = StyleBank.load(base_folder("emodiff"))
    styles = StyleBank.load(newest_run(workspace.models("emodiff")).path)
    assert set(base.clips) < set(styles.clips) and styles.emotions["fear"] == base.emotions["fear"]
    assert set(styles.emotions["happy"]) == {f"toy/{who}-happy/{take}" for who in ("m1", "m2", "w1") for take in (1, 2)}
    kept = [i for i, name in enumerate(STATE_NAMES) if name != "cheekPuff"]
    np.testing.assert_array_equal(styles.frames("fear"), base.frames("fear")[:, kept])


def test_a_training_that_gains_nothing_changes_nothing(data: Path, tmp_path: Path) -> None:
    wild = own_face(learning_rate=3.0, patience=1, epochs=4)
    trained = train(FAMILIES["emodiff"], wild, data, tmp_path / "emodiff", MemoryTracker())
    assert trained.metrics["best_step"] == 0
    base, kept = ModelFolder.open(base_folder("emodiff"), ("emodiff",)), ModelFolder.open(trained.path, ("emodiff",))
    wanted = motion_of_channels(base.weights(), base.places(kept.channels), len(base.channels))
    for name, value in kept.weights().items():
        torch.testing.assert_close(value, wanted[name])


def test_the_residue_stays_where_no_clip_shows_an_emotion(workspace: Workspace, data: Path) -> None:
    begun, audio2bs = base_folder("lip_residue"), Audio2BSModel.load(newest_run(workspace.models("audio2bs")).path)
    known = read_as_begun(TrainingSet.open(data).learned(), begun)
    initial = ModelFolder.open(begun, ("lip_residue",))
    for emotions, learns in ((known.index["emotion"], True), ("neutral", False), (None, False)):
        named = replace(known, index=known.index.assign(emotion=emotions))
        task = ResidueTask(own_face().lip_residue, named, audio2bs, None, initial)
        assert (task.steps_per_epoch() > 0) is learns


def test_another_network_is_refused_by_the_fields_that_differ(tmp_path: Path, data: Path) -> None:
    emodiff = FAMILIES["emodiff"]
    with pytest.raises(UserError) as told:
        preset_beginning_from(Workspace(tmp_path), "base", load_preset("base"))
    assert "emodiff.training.init: `base`" in str(told.value)
    assert "set emodiff.network.speech_context: 1, or take the preset `own_face`" in str(told.value)
    settings = own_face().emodiff
    with pytest.raises(UserError, match=r"set speech\.feature: \"whisper-tiny-en-l2\"; training_set\.window: 32"):
        must_match(emodiff, settings, "logmel-29-1", 16)
    ridge = load_preset("own_face").audio2bs
    weaker = ridge.model_copy(update={"network": ridge.network.model_copy(update={"base_components": 96})})
    assert must_match(FAMILIES["audio2bs"], weaker, "whisper-tiny-en-l2", 32) == base_folder("audio2bs")
    with pytest.raises(UserError, match=r"`nowhere` holds no emodiff: expected `base`, a workspace .* emodiff/model"):
        preset_beginning_from(Workspace(tmp_path), "nowhere", None)


def test_the_preset_of_a_run_that_begins_somewhere(workspace: Workspace, tmp_path: Path) -> None:
    found = preset_beginning_from(Workspace(tmp_path), "base", None)
    assert found.name == "own_face" and begins_from(found) == {"base"} and not begins_from(load_preset("base"))
    assert FAMILIES["emodiff_no_style"].settings_of(found).training.init == ""  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="is trained in this workspace, and every run would begin from another one"):
        preset_beginning_from(workspace, str(workspace.home), own_face())
    other = preset_beginning_from(Workspace(tmp_path), str(workspace.home), None)
    assert FAMILIES["audio2bs"].initial_of(other.audio2bs) == newest_run(workspace.models("audio2bs")).path


# --- who is used ------------------------------------------------------------------------------------------------------


def test_jaws_are_compared_stretch_by_stretch() -> None:
    jaw = np.abs(np.sin(np.arange(150.0)))
    still = np.concatenate([jaw[:75], np.zeros(75)])
    assert stretch_correlations(jaw, jaw) == pytest.approx([1.0, 1.0])
    assert stretch_correlations(jaw, still) == pytest.approx([1.0]), "in the second the mouth rests"
    assert stretch_correlations(np.zeros(150), jaw) == [0.0, 0.0]
    assert len(stretch_correlations(jaw[:30], jaw[:30])) == 1


def test_what_was_begun_from_stays_in_use_where_fine_tuning_lost(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path))
    table = write_gain(workspace)
    assert table.gain is not None and table.gain.split == "test" and table.gain.clips == 4
    told = json.loads(table.path.read_text())
    assert told["began_from"] == base_name() and told["says"] == table.sentence and base_name() in table.sentence
    (file,) = (tmp_path / "gains").iterdir()
    lost = table.gain.model_copy(update={"before": 0.6, "after": 0.5, "emodiff_before": 0.3, "emodiff_after": 0.4})
    for gain, used in ((lost, base_name()), (lost.model_copy(update={"after": 0.7}), "emodiff")):
        file.write_text(gain.model_dump_json())
        models = open_models(workspace)
        assert (models.name == base_name()) is (used == base_name())
        assert any("is not used: on 4 held-out clips" in remark for remark in models.remarks) is (used == base_name())
        # Without refined lips EmoDiffs are compared, and here the own one won.
        assert open_models(workspace, lips=False).name != base_name()
    file.write_text(replace_loss(table.gain))
    assert open_models(workspace, lips=False).name == base_name()


def replace_loss(gain: Any) -> str:
    return str(gain.model_copy(update={"emodiff_before": 0.5, "emodiff_after": 0.4}).model_dump_json())
