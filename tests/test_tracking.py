"""MLflow: a store at a relative path, one call for the values of a step, and a store that is gone or was cleaned."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from training_fixtures import build, preset

from magictalk_core.models.emodiff.family import EMODIFF
from magictalk_core.training.journal import Journal
from magictalk_core.training.run import newest_run, train
from magictalk_core.training.sending import MlflowRun
from magictalk_core.training.store import ExperimentStore
from magictalk_core.training.sync import send_what_waits
from magictalk_core.training.tracking import MemoryTracker, MlflowTracker
from magictalk_core.work.provenance import output_md5


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training-set")
    build(folder)
    return folder / "set"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """An empty store in a folder, by its address; a copy, since MLflow takes seconds to make its tables."""
    made = tmp_path_factory.mktemp("store") / "mlflow.db"
    ExperimentStore(f"sqlite:///{made}").client.search_experiments()

    def copied(folder: Path) -> str:
        shutil.copy(made, folder / "mlflow.db")
        return f"sqlite:///{folder / 'mlflow.db'}"

    return copied


@pytest.mark.slow
def test_a_relative_path_of_the_store_counts_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    tracker = MlflowTracker("sqlite:///data/mlflow.db")
    tracker.start("magictalk/toy", "a", _folder(tmp_path))
    (tmp_path / "curves.csv").write_text("step,metric,value\n")
    tracker.artifact(Path("curves.csv"))
    monkeypatch.chdir("/")
    run_id = tracker.finish()
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'data' / 'mlflow.db'}")
    assert [found.path for found in client.list_artifacts(run_id)] == ["curves.csv"]
    assert (tmp_path / "data" / "artifacts").is_dir()


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "toy" / "digest"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.slow
def test_the_values_of_many_steps_are_one_call_and_all_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    tracker.start("magictalk/toy", "a", _folder(tmp_path))
    tracker.params({f"p{i}": i for i in range(7)})
    tracker.tags({"weights_md5": "0" * 32, "code_version": "1"})
    for step in (10, 20):
        tracker.metrics({"train/loss": 1.0 / step, "train/epoch": step / 5, "val/loss": 0.5}, step)
    run_id = tracker.finish()
    assert calls == ["log_batch"] * 3
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.get_run(run_id)
    assert run.data.params == {f"p{i}": str(i) for i in range(7)} and run.data.tags["code_version"] == "1"
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "train/loss")] == [(10, 0.1), (20, 0.05)]
    assert "system/cpu_utilization_percentage" in run.data.metrics
    experiment = client.get_experiment_by_name("magictalk/toy")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development", "no view of language models"


def _with_a_lost_run(tmp_path: Path, data: Path, uri: str, remove: Callable[[Any, str], None]) -> tuple[Any, str, str]:
    """A client, the id of the MLflow run that an interrupted training began, and that of the one it ended in."""
    import mlflow

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


@pytest.mark.thinned(2)
@pytest.mark.parametrize("remove", [_delete_run, _delete_experiment, _remove_for_good])
def test_an_interrupted_training_whose_mlflow_run_is_gone_goes_on(
    tmp_path: Path, data: Path, store: Callable[[Path], str], remove: Callable[[Any, str], None]
) -> None:
    client, _, after = _with_a_lost_run(tmp_path, data, store(tmp_path), remove)
    run = client.get_run(after)
    assert run.info.lifecycle_stage == "active" and run.info.status == "FINISHED"
    assert run.data.params["training.batch"] == "8", "a new run says what it is a training of"
    steps = [metric.step for metric in client.get_metric_history(after, "train/loss")]
    assert steps[-1] == 20


NOBODY = "http://127.0.0.1:9"
"""A server that refuses the connection."""


def _losses(uri: str, run_id: str) -> list[tuple[int, float]]:
    import mlflow

    return [(m.step, m.value) for m in mlflow.MlflowClient(uri).get_metric_history(run_id, "train/loss")]


def _outage(monkeypatch: pytest.MonkeyPatch, first: int, last: int) -> None:
    """The calls of the store from number `first` to number `last` find nobody."""
    calls = 0

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(MlflowRun, name)

        def call(self: Any, *arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if first <= calls <= last:
                raise ConnectionError("the server is gone")
            return original(self, *arguments, **named)

        return call

    for name in ("start", "params", "tags", "dataset", "metrics", "artifact", "finish"):
        monkeypatch.setattr(MlflowRun, name, counted(name))


@pytest.mark.parametrize(("first", "last"), [(1, 2), (4, 4)], ids=["at the start", "at the end"])
def test_an_outage_costs_nothing(
    tmp_path: Path,
    data: Path,
    store: Callable[[Path], str],
    monkeypatch: pytest.MonkeyPatch,
    first: int,
    last: int,
) -> None:
    monkeypatch.setattr("magictalk_core.training.tracking.FIRST_PAUSE_S", 0.0)
    # Sent at the start, after a failure, and at the end: however busy the machine is.
    monkeypatch.setattr("magictalk_core.training.tracking.SEND_EVERY_S", 1e6)
    uri = store(tmp_path)
    _outage(monkeypatch, first, last)
    trained = train(EMODIFF, preset(), data, tmp_path / "models" / "emodiff", MlflowTracker(uri))
    left = send_what_waits(tmp_path / "models", uri)
    assert bool(left) == (first == 4), "an outage that ended before the training is mended by it"
    assert [step for step, _ in _losses(uri, trained.run_id)] == [10, 20]


def test_a_training_that_no_store_heard_is_sent_later_once(
    tmp_path: Path, data: Path, store: Callable[[Path], str], caplog: pytest.LogCaptureFixture
) -> None:
    import mlflow

    out, uri = tmp_path / "models" / "emodiff", store(tmp_path)
    with caplog.at_level("INFO", "magictalk.training"):
        trained = train(EMODIFF, preset(), data, out, MlflowTracker(NOBODY))
    said = [record.getMessage() for record in caplog.records if "MLflow" in record.getMessage()]
    assert len(said) == 2 and said[0].endswith("training goes on") and "`magictalk mlflow sync`" in said[1]
    assert trained.run_id == "" and trained.weights_md5

    (refused,) = send_what_waits(tmp_path / "models", NOBODY)
    assert refused.sent == 0 and refused.problem
    (sent,) = send_what_waits(tmp_path / "models", uri)
    assert sent.sent == refused.waiting and sent.waiting == 0
    run_id = newest_run(out).run_id
    assert run_id == sent.mlflow_run, "the model knows its run now"
    run = mlflow.MlflowClient(uri).get_run(run_id)
    assert run.info.status == "FINISHED" and run.data.tags["weights_md5"] == trained.weights_md5
    assert run.data.params["training_set.window"] == "16", "the resolved preset"
    digests = {entry.dataset.name: entry.dataset.digest for entry in run.inputs.dataset_inputs}
    assert digests["toy"].endswith(".dir") and digests["training_set"] == output_md5(data)
    assert [step for step, _ in _losses(uri, run_id)] == [10, 20]
    assert send_what_waits(tmp_path / "models", uri) == []


def test_records_sent_twice_are_stored_once(tmp_path: Path, store: Callable[[Path], str]) -> None:
    """A kill between sending and noting it."""
    import mlflow

    uri, folder = store(tmp_path), _folder(tmp_path)
    tracker = MlflowTracker(uri)
    tracker.start("magictalk/toy", "a", folder)
    tracker.params({"p": 1})
    tracker.metrics({"train/loss": 0.5}, 10)
    before = Journal(folder).path.read_text()
    run_id = tracker.finish()
    Journal(folder).path.write_text(before + '{"do": "metr')
    (again,) = send_what_waits(tmp_path / "models", uri)
    assert again.sent == 2 and again.waiting == 0, "the unfinished line was never sent"
    assert _losses(uri, run_id) == [(10, 0.5)]
    assert mlflow.MlflowClient(uri).get_run(run_id).data.params == {"p": "1"}


def test_what_mlflow_refuses_does_not_hold_up_the_rest(tmp_path: Path, store: Callable[[Path], str]) -> None:
    tracker = MlflowTracker(store(tmp_path))
    tracker.start("magictalk/toy", "a", _folder(tmp_path))
    tracker.params({"p": 1})
    tracker.params({"p": 2})
    tracker.metrics({"train/loss": 0.5}, 10)
    run_id = tracker.finish()
    assert _losses(f"sqlite:///{tmp_path / 'mlflow.db'}", run_id) == [(10, 0.5)]


@pytest.mark.slow
def test_a_server_killed_during_a_training_has_all_curves_when_it_is_back(tmp_path: Path, data: Path) -> None:
    uri, server = _served(tmp_path)
    tracker = _Watched(uri, lambda step: os.killpg(server.pid, signal.SIGKILL) if step == 10 else None)
    try:
        longer = preset(training={"epochs": 4})
        whole = train(EMODIFF, longer, data, tmp_path / "whole", MemoryTracker())
        trained = train(EMODIFF, longer, data, tmp_path / "models" / "emodiff", tracker)
    finally:
        server.wait(timeout=30)
    assert trained.weights_md5 == whole.weights_md5, "the training went on to its end"
    _, server = _served(tmp_path, int(uri.rsplit(":", 1)[1]))
    try:
        (sent,) = send_what_waits(tmp_path / "models", uri)
        assert sent.waiting == 0 and not sent.problem
        assert [step for step, _ in _losses(uri, sent.mlflow_run)] == [10, 20, 30, 40]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


class _Watched(MlflowTracker):
    """Says after every step that it was told of what it was, and sends without waiting."""

    def __init__(self, uri: str, on_step: Callable[[int], object]) -> None:
        super().__init__(uri)
        self._on_step = on_step

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        super().metrics(values, step)
        self._on_step(step)


def _served(tmp_path: Path, port: int = 0) -> tuple[str, subprocess.Popen[bytes]]:
    """A real `mlflow server` on its own store; returns when it answers."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    store = f"sqlite:///{tmp_path / 'server.db'}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--port", str(port)]
    command += ["--artifacts-destination", str(tmp_path / "files"), "--workers", "1", "--host", "127.0.0.1"]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=tmp_path
    )
    for _ in range(600):
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return f"http://127.0.0.1:{port}", server
        time.sleep(0.5)
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    raise AssertionError("mlflow server did not start in five minutes")
