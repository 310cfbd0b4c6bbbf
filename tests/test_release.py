"""Releases: which model is in use, what replaces it, and the way back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from release_fixtures import CORPUS, STRONG, WEAK, asked, toy_workspace, trained
from typer.testing import CliRunner

from assets.links import mlflow_link, mlflow_version_link
from assets.release import ABOVE_FLOOR, NEWEST_IN_USE, build_release_assets
from assets.resources import Settings, Store
from magictalk_core.config import MetricRule
from magictalk_core.errors import TransientError, UserError
from magictalk_core.release import candidates
from magictalk_core.release.by_hand import list_versions, promote, roll_back
from magictalk_core.release.decisions import Decision, DecisionBook
from magictalk_core.release.paired import compare, is_better
from magictalk_core.release.release import FamilyReleases, release_newest
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.registry import CHALLENGER, CHAMPION, PREVIOUS
from magictalk_core.training.run import current_model, current_run, newest_run
from magictalk_core.training.store import ExperimentStore
from magictalk_core.workspace import Workspace
from pipelines.cli import app

FAMILY = "emodiff"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A strong model, then the newest, a weak one, and an empty MLflow store; nothing released."""
    workspace = toy_workspace(tmp_path_factory.mktemp("release") / "home")
    trained(workspace, STRONG)
    trained(workspace, WEAK)
    ExperimentStore(f"sqlite:///{workspace.mlflow / 'mlflow.db'}").client.search_experiments()
    return workspace


@pytest.fixture
def toy(made: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(made.home, tmp_path / "home")
    return Workspace(tmp_path / "home")


def release(workspace: Workspace, epochs: int) -> Decision:
    """As the asset does after a training with so many epochs."""
    trained(workspace, epochs)
    return release_newest(workspace, [CORPUS], asked(epochs), FAMILY)


def weights(workspace: Workspace) -> str:
    return file_md5(current_model(workspace.models(FAMILY)) / "model.safetensors")


def aliases(workspace: Workspace) -> dict[str, int]:
    rows = list_versions(workspace, [FAMILY])
    return {alias: row.version for row in rows for alias in row.aliases.split(", ") if alias}


def test_a_worse_model_does_not_replace_a_better_one(toy: Workspace) -> None:
    first = release(toy, STRONG)
    strong = weights(toy)
    assert first.action == "first" and "first model, but below the best simple baseline" in first.reason
    refused = release(toy, WEAK)
    assert refused.action == "refused" and not refused.is_in_use
    mouth = refused.compared[0]
    assert mouth.clips == 4 and mouth.champion is not None and mouth.challenger is not None
    assert mouth.challenger > mouth.champion and mouth.high is not None and mouth.high < 0, "a sure loss"
    assert "mae_mouth from" in refused.reason, "the numbers stand in the reason"
    assert newest_run(toy.models(FAMILY)).weights_md5 != strong == weights(toy), "what users get is what it was"
    assert aliases(toy) == {CHAMPION: 1, CHALLENGER: 2}
    page = (toy.releases(FAMILY) / "README.md").read_text(encoding="utf-8")
    assert "**refused**" in page and "In use: version 1" in page


def test_a_better_model_is_promoted_and_a_rollback_restores_the_old_one_bit_for_bit(toy: Workspace) -> None:
    release(toy, WEAK)
    before = {path.name: path.read_bytes() for path in current_model(toy.models(FAMILY)).iterdir()}
    assert release(toy, STRONG).action == "promoted"
    assert aliases(toy) == {CHAMPION: 2, CHALLENGER: 2, PREVIOUS: 1}
    strong = weights(toy)

    # The run is gone from the disk, as after a clean-up: MLflow has the files.
    shutil.rmtree(
        current_model(toy.models(FAMILY)).parent.parent / DecisionBook(toy.releases(FAMILY)).all[0].champion.run
    )
    back = roll_back(toy, FAMILY, "lips jump")
    assert {path.name: path.read_bytes() for path in current_model(toy.models(FAMILY)).iterdir()} == before
    assert aliases(toy)[CHAMPION] == 1 and aliases(toy)[PREVIOUS] == 2
    assert back.action == "rolled_back" and back.reason == "lips jump"

    again = release_newest(toy, [CORPUS], asked(STRONG), FAMILY)
    assert again.action == "refused" and "taken out of use by hand" in again.reason, "a hand's word stands"
    assert promote(toy, FAMILY, 2, "mended").champion.version == 2 and weights(toy) == strong


def test_the_same_models_are_compared_once(toy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first, refused = release(toy, STRONG), release(toy, WEAK)

    def never(*arguments: object) -> None:
        raise AssertionError("nothing changed: nothing is generated")

    monkeypatch.setattr(candidates, "values_of", never)
    monkeypatch.setattr("magictalk_core.training.registry.ModelRegistry.versions", never)
    assert release(toy, WEAK) == refused
    trained(toy, STRONG)
    assert release_newest(toy, [CORPUS], asked(STRONG), FAMILY).champion == first.champion
    assert len(DecisionBook(toy.releases(FAMILY)).all) == 2


def test_without_test_clips_only_the_first_model_is_promoted(
    made: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    workspace = toy_workspace(tmp_path / "home", {"m1": "train", "w2": "val"})
    workspace.mlflow.mkdir()
    shutil.copy(made.mlflow / "mlflow.db", workspace.mlflow)
    first = release(workspace, 1)
    assert first.action == "first" and "no accepted clip in the test split" in first.reason
    second = release(workspace, 2)
    assert second.action == "refused" and "nothing to compare on" in second.reason and second.champion == first.champion


def test_a_home_from_before_there_were_releases_is_taken_over(toy: Workspace) -> None:
    out = toy.models(FAMILY)
    newest = newest_run(out)
    (out / "newest.json").unlink()
    (out / "current.json").write_text(json.dumps({"run": newest.path.parent.name}))
    assert current_model(out) == newest.path
    first = release_newest(toy, [CORPUS], asked(WEAK), FAMILY)
    assert first.action == "first" and newest_run(out) == newest and current_model(out) == newest.path


def test_an_alias_moved_in_mlflow_is_taken_over(toy: Workspace) -> None:
    release(toy, STRONG)
    release(toy, WEAK)
    FamilyReleases(toy, FAMILY).registry().point(FAMILY, CHAMPION, 2)
    assert aliases(toy)[CHAMPION] == 2
    assert weights(toy) == newest_run(toy.models(FAMILY)).weights_md5
    latest = DecisionBook(toy.releases(FAMILY)).latest
    assert latest is not None and latest.action == "taken_over"


def test_a_registry_that_is_down_is_worth_another_try_and_changes_nothing(
    toy: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TransientError, match="9 does not answer"):
        release(toy, STRONG)
    assert DecisionBook(toy.releases(FAMILY)).latest is None


def test_the_asset_says_why_and_links_both_ways(toy: Workspace) -> None:
    release(toy, STRONG)
    trained(toy, WEAK)
    preset = toy.preset
    preset.write_text(json.dumps(asked(WEAK).model_dump(mode="json")))
    asset = next(a for a in build_release_assets([CORPUS]) if a.key.path[-1] == FAMILY)
    resources = {"store": Store(home=str(toy.home)), "settings": Settings(home=str(toy.home))}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([asset], resources=resources, instance=instance)
    (event,) = result.asset_materializations_for_node(asset.op.name)
    facts = {name: value.value for name, value in event.metadata.items()}
    assert facts["decision"] == "refused" and facts["mlflow.version"] == "1" and facts["mlflow.challenger"] == "2"
    champion = current_run(toy.models(FAMILY))
    assert facts["mlflow.run_id"] == champion.run_id
    assert facts["mlflow.url"] == f"http://127.0.0.1:5000/#/runs/{champion.run_id}"
    assert facts["mlflow.version_url"] == f"http://127.0.0.1:5000/#/models/magictalk-{FAMILY}/versions/1"
    assert "mae\\_mouth" in facts["comparison"]
    assert (event.tags or {})["dagster/data_version"] == facts["md5"] == weights(toy)
    passed = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert passed == {NEWEST_IN_USE: False, ABOVE_FLOOR: True}
    client = FamilyReleases(toy, FAMILY).registry()._store.client
    version = client.get_model_version(f"magictalk-{FAMILY}", "2")
    assert version.tags["dagster.run_id"] == result.run_id and version.tags["release.decision"] == "refused"
    logged = client.get_logged_model(version.model_id) if version.model_id else None
    assert logged is None or logged.tags["weights_md5"] == newest_run(toy.models(FAMILY)).weights_md5


def test_links_lead_to_the_server_that_is_configured(toy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example/ml/")
    assert mlflow_link(toy, "r1").url == "https://tracking.example/ml/#/runs/r1"
    assert mlflow_version_link(toy, "m", 2).url == "https://tracking.example/ml/#/models/m/versions/2"


def test_releases_by_hand_from_the_command_line(toy: Workspace) -> None:
    def magictalk(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["release", *words, "--home", str(toy.home)])
        return done.exit_code, done.output

    release(toy, STRONG)
    release(toy, WEAK)
    code, shown = magictalk("list", FAMILY, "--json")
    assert code == 0 and [row["version"] for row in json.loads(shown)] == [2, 1]
    code, shown = magictalk("promote", FAMILY, "2", "--reason", "reviewed")
    assert code == 0 and "version 2" in shown
    code, shown = magictalk("rollback", FAMILY, "--reason", "worse after all")
    assert code == 0 and "version 1" in shown
    for wrong, said in (
        (["promote", FAMILY, "7", "--reason", "x"], "no version 7"),
        (["promote", FAMILY, "1", "--reason", "x"], "in use already"),
        (["promote", FAMILY, "2", "--reason", " "], "needs a reason"),
        (["promote", "facevid2vid", "2", "--reason", "x"], "no releases of `facevid2vid`"),
    ):
        code, shown = magictalk(*wrong)
        assert code == 2 and said in shown, shown


def test_a_metric_that_a_family_does_not_have_is_named(toy: Workspace) -> None:
    trained(toy, STRONG)
    values = asked(STRONG).model_dump()
    values["release"]["emodiff"]["metrics"] = [{"metric": "jaw", "better": "higher", "margin": 0}]
    with pytest.raises(UserError, match="no metric `jaw`"):
        release_newest(toy, [CORPUS], type(asked(1)).model_validate(values), FAMILY)


def _table(values: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"jaw_open_correlation": values, "mae_mouth": values}, index=list(map(str, range(len(values)))))


RULES = (
    MetricRule(metric="jaw_open_correlation", better="higher", margin=0.05),
    MetricRule(metric="mae_mouth", better="lower", margin=1.0),
)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 8).flatmap(lambda n: st.tuples(*[st.lists(st.floats(-1, 1), min_size=n, max_size=n)] * 2)))
def test_two_models_are_never_each_better_than_the_other(pair: tuple[list[float], list[float]]) -> None:
    one, other = map(_table, pair)
    rules = RULES[:1]
    forth, back = (compare(a, b, rules, "x") for a, b in ((one, other), (other, one)))
    assert not (is_better(forth) and is_better(back))
    assert forth[0].gain == pytest.approx(-(back[0].gain or 0.0))
    assert not is_better(compare(one, one, rules, "x")), "nor better than itself"


def test_a_gain_in_one_metric_does_not_pay_for_a_loss_beyond_the_margin_in_another() -> None:
    old = _table([0.5, 0.52, 0.48, 0.51])
    better = compare(old + 0.2, old, RULES, "x")
    assert is_better(better), "the error grew by 0.2, and 1.0 is allowed"
    strict = (RULES[0], RULES[1].model_copy(update={"margin": 0.1}))
    assert not is_better(compare(old + 0.2, old, strict, "x"))
    one = compare(old[:1] + 0.2, old[:1], RULES, "x")
    assert one[0].low is None and not is_better(one), "one clip is no evidence"
    unmeasured = compare(old * np.nan, old, RULES, "x")
    assert not is_better(unmeasured) and "no value" in str(unmeasured[0])
