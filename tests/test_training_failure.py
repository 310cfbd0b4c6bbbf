"""A training that fails under Dagster: the cause in words, with the end of its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from release_fixtures import WEAK, asked, toy_workspace

from assets.models import build_model_assets
from assets.resources import Settings, Store, TrainingLauncher
from magictalk_core.errors import MachineError, MagicTalkError, UserError
from magictalk_core.models.families import FAMILIES
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.training.run import run_digest
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.workspace import Workspace
from pipelines.failures import failure_of


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = toy_workspace(tmp_path_factory.mktemp("failure") / "home")
    workspace.preset.write_text(json.dumps(asked(WEAK).model_dump(mode="json")))
    return workspace


def failure(toy: Workspace, launcher: TrainingLauncher) -> tuple[str, MagicTalkError]:
    """What the page of the failed step says, and what `magictalk run` would."""
    asset = next(each for each in build_model_assets() if each.key.path[-1] == "emodiff")
    home = str(toy.home)
    resources: dict[str, Any] = {"store": Store(home=home), "settings": Settings(home=home), "launcher": launcher}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([asset], resources=resources, instance=instance, raise_on_error=False)
        (event,) = [each for each in result.all_events if each.is_step_failure]
        user_failure = event.step_failure_data.user_failure_data
        assert user_failure is not None
        return str(user_failure.description), failure_of(result, instance, toy)


def test_the_cause_is_named_with_the_end_of_the_log(toy: Workspace) -> None:
    settings = FAMILIES["emodiff"].settings_of(asked(WEAK))
    digest = run_digest(FAMILIES["emodiff"], settings, TrainingSet.open(toy.training_set))
    with held_or_refused(toy.models("emodiff") / digest / ".lock", "the training"):
        page, told = failure(toy, TrainingLauncher())
    assert page.startswith("the training of emodiff failed: the training ") and "is in use by process" in page
    assert f"The end of {toy.logs / 'training-emodiff.log'}" in page and "training failed: UserError" in page
    assert isinstance(told, UserError) and str(told).count("is in use by process") == 1


def test_a_training_that_was_killed_is_the_machines_trouble(toy: Workspace, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    python.chmod(0o755)
    page, told = failure(toy, TrainingLauncher(python=str(python)))
    assert "it was killed (signal 9)" in page
    assert isinstance(told, MachineError)
