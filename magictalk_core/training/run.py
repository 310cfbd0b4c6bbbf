"""One training run, from a training set to a model folder; interrupted anywhere, it goes on from its last checkpoint.

The run directory is named by the digest of settings and data, so a retry of the same work finds its own checkpoints,
different work never collides, and finished work is returned without training; torch is loaded for a training alone.

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
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from magictalk_core.config import FamilySettings, StrictModel
from magictalk_core.errors import UserError
from magictalk_core.storage.atomic import atomic_directory, atomic_path, write_text
from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.storage.sealed import sealed
from magictalk_core.training.family import ModelFamily
from magictalk_core.training.tracking import RunTracker
from magictalk_core.training_set.dataset import TrainingSet, training_set_input
from magictalk_core.work.provenance import Input, Work, input_of, record_path
from magictalk_core.workspace import Workspace

if TYPE_CHECKING:
    from magictalk_core.training.fit import Fitted, Progress
    from magictalk_core.training.samples import SampleRenderer
    from magictalk_core.training.task import TrainingTask

__all__ = ["TrainedModel", "current_model", "current_run", "finished_run", "model_input", "run_digest", "train"]


WEIGHTS = "model.safetensors"


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

    def facts(self) -> dict[str, Any]:
        """What a record of the model says of it: where it is, its md5, its MLflow run, its metrics."""
        numbers = {key.replace("/", "."): value for key, value in (self.metrics | self.measured).items()}
        return {"path": str(self.path), "dvc.md5": self.weights_md5, "mlflow.run_id": self.run_id, **numbers}


def run_digest(
    family: ModelFamily, settings: FamilySettings, data: TrainingSet, models: Mapping[str, Path] | None = None
) -> str:
    """The identity of a training: family, version, the settings that matter, what it learns from and which models.

    The test split is no part of it: `TrainingSet.learned`.
    """
    needed = {name: file_md5(path / "model.safetensors") for name, path in (models or {}).items()}
    work = {"family": family.name, "version": family.version, "data": data.info["learned"], "needs": needed}
    return digest_of({**work, "settings": family.learned_from(settings)})


def _models_and_run(
    family: ModelFamily, preset: StrictModel, data: TrainingSet, out: Path
) -> tuple[dict[str, Path], Path]:
    """The models that a training learns from, the current ones beside `out`, and its run directory."""
    models = {name: current_model(out.parent / name) for name in family.needs}
    return models, out / run_digest(family, family.settings_of(preset), data, models)


def _work(
    family: ModelFamily, settings: FamilySettings, data: TrainingSet, models: Mapping[str, Path], run: Path
) -> Work:
    """The training as work with a provenance record. `models` lie side by side in the workspace, or wherever."""
    folder = run.parent.parent
    home = folder.parent if folder.name == "models" else folder
    inputs = (
        training_set_input(home, data.path, is_learned=True),
        *(input_of(home, "model", path) for path in models.values()),
    )
    learned_from = family.learned_from(settings)
    return Work(home, "model", run / "model", family.version, inputs, learned_from, run.name)


def _record(work: Work, data: TrainingSet, run_id: str) -> None:
    clips = data.learned().index["clip_id"]
    work.record(clips=clips, mlflow_run=run_id or None, digests={"dagster": file_md5(work.output / WEIGHTS)})


def _point_at(run: Path) -> None:
    write_text(run.parent / "current.json", json.dumps({"run": run.name}))


def finished_run(family: ModelFamily, preset: StrictModel, data_dir: Path, out: Path) -> TrainedModel | None:
    """What `train` would return without training, and is then the current run; None where there is work to do."""
    data = TrainingSet.open(data_dir)
    models, run = _models_and_run(family, preset, data, out)
    if not (run / "result.json").is_file():
        return None
    if not record_path(run / "model").is_file():
        result = json.loads((run / "result.json").read_text(encoding="utf-8"))
        _record(_work(family, family.settings_of(preset), data, models, run), data, result["run_id"])
    _point_at(run)
    return current_run(out)


def train(
    family: ModelFamily,
    preset: StrictModel,
    data_dir: Path,
    out: Path,
    tracker: RunTracker,
    tags: Mapping[str, str] | None = None,
    progress: Progress = lambda step, steps, loss, left: None,
    render: SampleRenderer | None = None,
) -> TrainedModel:
    """Train `family`, or return the finished run of the same work. Bit for bit repeatable on one kind of machine.

    `preset` has the family's section; it is laid beside the run as a whole. The models that a family learns from are
    the current ones of the folders beside `out`. `render` makes a video of what the model makes while it is trained.
    """
    from magictalk_core.training.fit import fit
    from magictalk_core.training.processes import Processes
    from magictalk_core.training.samples import Sampler

    settings = family.settings_of(preset)
    data = TrainingSet.open(data_dir)
    models, run = _models_and_run(family, preset, data, out)
    processes = Processes.of(settings.training)
    lock = held_or_refused(run / ".lock", f"the training {run}") if processes.is_first else nullcontext()
    with lock:
        if not processes.agreed((run / "result.json").is_file()):
            task, work = family.build(settings, data.learned(), models), _work(family, settings, data, models, run)
            run_id = ""
            if processes.is_first:
                write_text(run / "preset.yaml", yaml.safe_dump(preset.model_dump(mode="json"), sort_keys=False))
                run_id = _open_tracking(run, family, settings, data, tracker, tags or {})
            sampler = None if render is None else Sampler(task, render, family.name, tracker)
            fitted = fit(task, settings.training, run, tracker, progress, processes, sampler)
            if processes.is_first:
                _finish(family, task, data, run, fitted, tracker, run_id, work)
        if processes.is_first:
            _point_at(run)
        # The others read what the first has written.
        processes.agreed(None)
    return current_run(out)


def _open_tracking(
    run: Path,
    family: ModelFamily,
    settings: FamilySettings,
    data: TrainingSet,
    tracker: RunTracker,
    tags: Mapping[str, str],
) -> str:
    """Start the tracked run, or go on with the one that this directory began."""
    note = run / "mlflow_run.json"
    known = json.loads(note.read_text(encoding="utf-8"))["run_id"] if note.is_file() else None
    run_id = tracker.start(f"magictalk/{family.name}", run.name[:12], known)
    if run_id:
        write_text(note, json.dumps({"run_id": run_id}))
    tracker.tags({"code_version": family.version, "config_digest": run.name, **tags})
    if known is None or run_id != known:
        values = settings.model_dump(mode="json").items()
        tracker.params({f"{part}.{name}": value for part, section in values for name, value in section.items()})
        tracker.params({"feature_id": data.info["feature_id"], "tracker_kind": data.info["tracker_kind"]})
        tracker.artifact(run / "preset.yaml")
        for corpus, digest in data.info["corpora"].items():
            tracker.dataset(corpus, digest)
    return run_id


def _finish(
    family: ModelFamily,
    task: TrainingTask,
    data: TrainingSet,
    run: Path,
    fitted: Fitted,
    tracker: RunTracker,
    run_id: str,
    work: Work,
) -> None:
    """Write the model with its record, the curves and, last of all, the result."""
    from magictalk_core.training.model_folder import write_model_folder

    with atomic_directory(run / "model") as folder:
        facts = task.describe_model(fitted.weights, folder)
        write_model_folder(family, fitted.weights, data, facts, folder)
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
    _record(work, data, run_id)
    result: dict[str, Any] = {"weights_md5": md5, "run_id": run_id, "metrics": metrics, "measured": fitted.measured}
    result["files"] = {name: file_md5(run / name) for name in ("curves.csv", "preset.yaml")}
    write_text(run / "result.json", sealed(json.dumps(result, indent=1)))


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


def model_input(workspace: Workspace, folder: Path) -> Input:
    """A model folder as the input of other work."""
    return input_of(workspace.home, "model", folder)
