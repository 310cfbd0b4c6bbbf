"""One training run, from a training set to a model folder; interrupted anywhere, it goes on from its last checkpoint.

The run directory is named by the digest of settings and data, so a retry of the same work finds its own checkpoints,
different work never collides, and finished work is returned without training.

::

    <out>/<digest>/preset.yaml  curves.csv  mlflow_run.json  step-XXXXXXXX/  model/  result.json
    <out>/current.json          which digest the newest training asked for
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from magictalk_core.config import Preset
from magictalk_core.errors import UserError
from magictalk_core.models.families import family_named
from magictalk_core.storage.atomic import atomic_directory, atomic_path, write_text
from magictalk_core.storage.hashes import digest_of, file_md5, tree_md5
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.training.fit import Fitted, Progress, fit
from magictalk_core.training.processes import Processes
from magictalk_core.training.task import TrainingTask
from magictalk_core.training.tracking import RunTracker
from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["TrainedModel", "current_model", "current_run", "run_digest", "train"]

_WITHOUT_EFFECT = ("keep_checkpoints", "sample_every")
"""Settings that change nothing of the weights."""


@dataclass(frozen=True)
class TrainedModel:
    """A finished run."""

    path: Path
    weights_md5: str
    run_id: str
    metrics: dict[str, float]
    curves: Path
    measured: dict[str, float]
    """Speed and memory of the machine that finished it; see `fit.Fitted`."""


def run_digest(family: str, preset: Preset, data: TrainingSet, models: Mapping[str, Path] | None = None) -> str:
    """The identity of a training: family, version, the settings that matter, the data, the models it learns from."""
    found = family_named(family)
    settings = {name: value.model_dump() for name, value in found.settings(preset).items()}
    for value in settings.values():
        for name in _WITHOUT_EFFECT:
            value.pop(name, None)
    # The whole folder: settings of the model, such as guidance, are part of what it teaches.
    needed = {name: tree_md5(path) for name, path in (models or {}).items()}
    work = {"family": family, "version": found.version, "data": data.info["digest"], "needs": needed, **settings}
    return digest_of({**work, "stride": preset.training_set.stride})


def train(
    family: str,
    preset: Preset,
    data_dir: Path,
    out: Path,
    tracker: RunTracker,
    tags: Mapping[str, str] | None = None,
    progress: Progress = lambda step, steps, loss, left: None,
) -> TrainedModel:
    """Train `family`, or return the finished run of the same work. Bit for bit repeatable on one kind of machine.

    The models that a family learns from are the current ones of the folders beside `out`.
    """
    found = family_named(family)
    data = TrainingSet.open(data_dir)
    models = {name: current_model(out.parent / name) for name in found.needs}
    run = out / run_digest(family, preset, data, models)
    processes = Processes.of(found.training(preset))
    lock = held_or_refused(run / ".lock", f"the training {run}") if processes.is_first else nullcontext()
    with lock:
        if not processes.agreed((run / "result.json").is_file()):
            task = found.build(preset, data, models)
            run_id = ""
            if processes.is_first:
                write_text(run / "preset.yaml", yaml.safe_dump(preset.model_dump(mode="json"), sort_keys=False))
                run_id = _open_tracking(run, family, preset, data, tracker, tags or {})
            fitted = fit(task, found.training(preset), run, tracker, progress, processes)
            if processes.is_first:
                _finish(task, run, fitted, tracker, run_id)
        if processes.is_first:
            write_text(out / "current.json", json.dumps({"run": run.name}))
        # The others read what the first has written.
        processes.agreed(None)
    return current_run(out)


def _open_tracking(
    run: Path, family: str, preset: Preset, data: TrainingSet, tracker: RunTracker, tags: Mapping[str, str]
) -> str:
    """Start the tracked run, or go on with the one that this directory began."""
    note = run / "mlflow_run.json"
    known = json.loads(note.read_text(encoding="utf-8"))["run_id"] if note.is_file() else None
    run_id = tracker.start(f"magictalk/{family}", run.name[:12], known)
    write_text(note, json.dumps({"run_id": run_id}))
    tracker.tags({"code_version": family_named(family).version, "config_digest": run.name, **tags})
    if known is None:
        settings = family_named(family).settings(preset)
        tracker.params({f"{k}.{n}": v for k, m in settings.items() for n, v in m.model_dump().items()})
        tracker.params({"feature_id": data.info["feature_id"], "tracker_kind": data.info["tracker_kind"]})
        tracker.artifact(run / "preset.yaml")
        for corpus, digest in data.info["corpora"].items():
            tracker.dataset(corpus, digest)
    return run_id


def _finish(task: TrainingTask, run: Path, fitted: Fitted, tracker: RunTracker, run_id: str) -> None:
    """Write the model, the curves and, last of all, the result."""
    with atomic_directory(run / "model") as folder:
        task.save_model(fitted.weights, folder)
    with atomic_path(run / "curves.csv") as temporary:
        pd.DataFrame(fitted.state.curves, columns=["step", "metric", "value"]).to_csv(temporary, index=False)
    network = fitted.state.network
    network.load_state_dict(fitted.weights)
    metrics = dict(fitted.metrics)
    held_out = task.validation_loss(network)
    if held_out is not None:
        metrics["val/loss"] = held_out
        tracker.metrics({"val/loss_final": held_out}, fitted.state.step)
    tracker.metrics({f"machine/{name}": value for name, value in fitted.measured.items()}, fitted.state.step)
    md5 = file_md5(run / "model" / "model.safetensors")
    tracker.tags({"weights_md5": md5})
    tracker.artifact(run / "curves.csv")
    tracker.finish()
    result: dict[str, Any] = {"weights_md5": md5, "run_id": run_id, "metrics": metrics, "measured": fitted.measured}
    write_text(run / "result.json", json.dumps(result, indent=1))


def current_run(out: Path) -> TrainedModel:
    """The run that the newest training in `out` asked for."""
    pointer = out / "current.json"
    if not pointer.is_file():
        raise UserError(
            f"no trained model in {out}: type `magictalk run --select models/{out.name}` or `magictalk demo`"
        )
    run = out / json.loads(pointer.read_text(encoding="utf-8"))["run"]
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    numbers = result["metrics"], run / "curves.csv", result["measured"]
    return TrainedModel(run / "model", result["weights_md5"], result["run_id"], *numbers)


def current_model(out: Path) -> Path:
    """The model folder of `current_run`."""
    return current_run(out).path
