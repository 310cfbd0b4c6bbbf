"""Refined lips are used where they follow held-out people at least as well as EmoDiff's own do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_fixtures import SPEAKERS, build, lip_preset, preset

from magictalk_core.commands.lip_choice import lip_worth
from magictalk_core.commands.opened_models import open_models
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.models.families import FAMILIES
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.lip_residue.worth import LipWorth, jaw_correlation, measure_lips
from magictalk_core.training.run import current_model, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With EmoDiff and lip models of a minute, and the training set that they learned from."""
    folder = tmp_path_factory.mktemp("choice")
    build(folder)
    found = Workspace(folder / "home")
    found.training_set.parent.mkdir(parents=True)
    (folder / "set").rename(found.training_set)
    settings = lip_preset(epochs=1)
    for name, preset_of in (
        ("emodiff", preset({"noise_skip": True})),
        *((n, settings) for n in ("sync_expert", "audio2bs", "lip_residue")),
    ):
        train(FAMILIES[name], preset_of, found.training_set, found.models(name), MemoryTracker())
    return found


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def opened(workspace: Workspace) -> tuple[EmoDiffModel, Path, LipRefiner]:
    folder = current_model(workspace.models("emodiff"))
    refiner = LipRefiner.of(current_model(workspace.models("lip_residue")), workspace.models("audio2bs"))
    return EmoDiffModel.load(folder), folder, refiner


def test_a_correlation_of_jaws_is_their_mean_over_clips() -> None:
    jaw = np.array([[0.0], [1.0], [0.0], [2.0]], np.float32)
    assert jaw_correlation([jaw, -jaw, np.zeros_like(jaw)], [2 * jaw, jaw, jaw], 0) == pytest.approx(0.0)
    assert (
        LipWorth(emodiff=0.5, refined=0.5, clips=1).is_worth
        and not LipWorth(emodiff=0.5, refined=0.4, clips=1).is_worth
    )


def test_it_is_asked_of_the_validation_people_once(workspace: Workspace, cache: Path) -> None:
    emodiff, folder, refiner = opened(workspace)
    found = lip_worth(workspace, emodiff, folder, refiner)
    assert found is not None and found == measure_lips(emodiff, refiner, TrainingSet.open(workspace.training_set))
    held_out = sum(split == "val" for split in SPEAKERS.values())
    assert found.clips == 4 * held_out and -1 <= found.refined <= 1
    (file,) = (cache / "lips").iterdir()
    for values, used in (
        (LipWorth(emodiff=0.9, refined=0.1, clips=4), False),
        (LipWorth(emodiff=0.1, refined=0.9, clips=4), True),
    ):
        file.write_text(values.model_dump_json())
        models = open_models(workspace)
        assert (models.refiner is not None) is used and len(models.folders) == (3 if used else 1)
        assert [
            remark for remark in models.remarks if "the mouth is EmoDiff's own: on 4 held-out clips" in remark
        ] == list(models.remarks)
        assert bool(models.remarks) is not used
    file.write_text("{}")
    assert lip_worth(workspace, emodiff, folder, refiner) == found


def test_a_cache_that_takes_nothing_is_told_and_stops_nobody(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path / "file"))
    assert lip_worth(workspace, *opened(workspace)) is not None
    assert "set MAGICTALK_CACHE" in caplog.text


def test_nothing_is_known_without_held_out_people_whom_the_models_can_read(
    workspace: Workspace, cache: Path, tmp_path: Path
) -> None:
    emodiff, folder, refiner = opened(workspace)
    empty = Workspace(tmp_path / "empty")
    assert lip_worth(empty, emodiff, folder, refiner) is None
    build(tmp_path, speakers={"m1": "train"})
    empty.training_set.parent.mkdir(parents=True)
    (tmp_path / "set").rename(empty.training_set)
    assert lip_worth(empty, emodiff, folder, refiner) is None and not cache.exists()
