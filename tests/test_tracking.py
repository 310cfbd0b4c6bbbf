"""MLflow: a store at a relative path, and one call for the values of a step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from magictalk_core.training.tracking import MlflowTracker


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
