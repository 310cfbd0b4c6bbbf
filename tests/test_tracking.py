"""MLflow: a store at a relative path, one call for the values of a step, and a store that is gone or was cleaned."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from training_fixtures import build, preset

import magictalk_core.training.enduring as enduring
from magictalk_core.models.emodiff.family import EMODIFF
from magictalk_core.training.enduring import EnduringTracker
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker, MlflowTracker


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training-set")
    build(folder)
    return folder / "set"


def test_a_relative_path_of_the_store_counts_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    tracker = MlflowTracker("sqlite:///data/mlflow.db")
    run_id = tracker.start("magictalk/toy", "a", None)
    (tmp_path / "curves.csv").write_text("step,metric,value\n")
    tracker.artifact(Path("curves.csv"))
    monkeypatch.chdir("/")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'data' / 'mlflow.db'}")
    assert [found.path for found in client.list_artifacts(run_id)] == ["curves.csv"]
    assert (tmp_path / "data" / "artifacts").is_dir()


def test_the_values_of_a_step_are_one_call_and_all_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    calls: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(mlflow.MlflowClient, name)

        def call(self: Any, *arguments: Any, **named: Any) -> Any:
            calls.append(name)
            return original(self, *arguments, **named)

        return call

    for name in ("log_batch", "log_metric", "log_param", "set_tag"):
        monkeypatch.setattr(mlflow.MlflowClient, name, counted(name))
    tracker = MlflowTracker(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run_id = tracker.start("magictalk/toy", "a", None)
    tracker.params({f"p{i}": i for i in range(7)})
    tracker.tags({"weights_md5": "0" * 32, "code_version": "1"})
    for step in (10, 20):
        tracker.metrics({"train/loss": 1.0 / step, "train/epoch": step / 5, "val/loss": 0.5}, step)
    tracker.finish()
    assert calls == ["log_batch"] * 4
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.get_run(run_id)
    assert run.data.params == {f"p{i}": str(i) for i in range(7)} and run.data.tags["code_version"] == "1"
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "train/loss")] == [(10, 0.1), (20, 0.05)]


def _with_a_lost_run(tmp_path: Path, data: Path, remove: Callable[[Any, str], None]) -> tuple[Any, str, str]:
    """A client, the id of the MLflow run that an interrupted training began, and that of the one it ended in."""
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(_Interrupted):
        train(EMODIFF, preset(), data, tmp_path / "out", _Unplugged(uri, 10))
    (note,) = (tmp_path / "out").glob("*/mlflow_run.json")
    before = json.loads(note.read_text())["run_id"]
    client = mlflow.MlflowClient(uri)
    remove(client, before)
    trained = train(EMODIFF, preset(), data, tmp_path / "out", MlflowTracker(uri))
    assert json.loads(note.read_text())["run_id"] == trained.run_id
    return client, before, trained.run_id


class _Interrupted(Exception):
    pass


class _Unplugged(MlflowTracker):
    def __init__(self, uri: str, step: int) -> None:
        super().__init__(uri)
        self._step = step

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        super().metrics(values, step)
        if step > self._step:
            raise _Interrupted


def _delete_run(client: Any, run_id: str) -> None:
    client.delete_run(run_id)


def _delete_experiment(client: Any, run_id: str) -> None:
    client.delete_experiment(client.get_run(run_id).info.experiment_id)


def _remove_for_good(client: Any, run_id: str) -> None:
    client.delete_run(run_id)
    client._tracking_client.store._hard_delete_run(run_id)


@pytest.mark.parametrize("remove", [_delete_run, _delete_experiment, _remove_for_good])
def test_an_interrupted_training_whose_mlflow_run_is_gone_goes_on(
    tmp_path: Path, data: Path, remove: Callable[[Any, str], None]
) -> None:
    client, _, after = _with_a_lost_run(tmp_path, data, remove)
    run = client.get_run(after)
    assert run.info.lifecycle_stage == "active" and run.info.status == "FINISHED"
    assert run.data.params["training.batch"] == "8", "a new run says what it is a training of"
    steps = [metric.step for metric in client.get_metric_history(after, "train/loss")]
    assert steps[-1] == 20


class _Failing(MemoryTracker):
    """Raises in the calls from number `first` to number `last`."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self._calls, self._outage = 0, range(first, last + 1)

    def _count(self) -> None:
        self._calls += 1
        if self._calls in self._outage:
            raise ConnectionError("the server is gone")

    def start(self, experiment: str, name: str, run_id: str | None) -> str:
        self._count()
        return super().start(experiment, name, run_id)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self._count()
        super().metrics(values, step)

    def finish(self) -> None:
        self._count()
        super().finish()


def _all_curves(tracker: MemoryTracker) -> list[tuple[int, dict[str, float]]]:
    return [(step, values) for step, values in tracker.logged["metrics"] if "train/loss" in values]


@pytest.mark.parametrize(
    ("first", "last"), [(1, 2), (3, 3), (2, 10**6), (1, 10**6)], ids=["at the start", "once", "dies", "never there"]
)
def test_an_outage_of_the_store_costs_curves_only(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, first: int, last: int
) -> None:
    monkeypatch.setattr(enduring, "RETRY_S", 0.0)
    whole = train(EMODIFF, preset(), data, tmp_path / "whole", MemoryTracker())
    tracker = _Failing(first, last)
    trained = train(EMODIFF, preset(), data, tmp_path / "out", EnduringTracker(tracker))
    assert trained.weights_md5 == whole.weights_md5
    assert trained.curves.read_bytes() == whole.curves.read_bytes(), "the curves are kept beside the run"
    if last < 10**6:
        assert tracker.finished and [step for step, _ in _all_curves(tracker)] == [10, 20], "what waited is stored"


def test_an_outage_is_said_once_and_so_is_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    tracker = EnduringTracker(_Failing(2, 10**6))
    with caplog.at_level("INFO", "magictalk.training"):
        tracker.start("magictalk/toy", "a", None)
        for step in range(10, 60, 10):
            tracker.metrics({"train/loss": 1.0}, step)
        tracker.finish()
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "MLflow does not answer (ConnectionError: the server is gone): training goes on"
    assert len(said) == 2 and "6 records of this training are not in its store" in said[1]
