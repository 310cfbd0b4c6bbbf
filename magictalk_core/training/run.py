"""One training run, from a training set to a model folder; interrupted anywhere, it goes on from its last checkpoint.

The run directory is named by the digest of settings and data, so a retry of the same work finds its own checkpoints,
different work never collides, and finished work is returned without training; torch is loaded for a training alone.

::

    <out>/<digest>/preset.yaml  curves.csv  curves.svg  mlflow_run.json  step-XXXXXXXX/  samples/  model/  result.json
    <out>/newest.json  <out>/current.json   which run is the newest, which one is the champion: `training.in_use`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from magictalk_core.config import DataSettings, FamilySettings, StrictModel
from magictalk_core.errors import UserError
from magictalk_core.storage.atomic import atomic_directory, atomic_path, write_text
from magictalk_core.storage.hashes import digest_of, file_md5, file_sha256
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.storage.sealed import sealed
from magictalk_core.training.family import INIT, ModelFamily
from magictalk_core.training.in_use import RunsInUse, point_newest, runs_in_use
from magictalk_core.training.initial import must_match, read_as_begun
from magictalk_core.training.journal import RunNote
from magictalk_core.training.tracking import RunTracker
from magictalk_core.training_set.dataset import TrainingSet, training_set_input
from magictalk_core.work.provenance import Input, Weights, Work, input_of, record_path
from magictalk_core.work.withdrawn_marks import warn_of_mark
from magictalk_core.workspace import Workspace

if TYPE_CHECKING:
    from magictalk_core.training.fit import Fitted, Progress
    from magictalk_core.training.samples import SampleRenderer
    from magictalk_core.training.task import TrainingTask

__all__ = [
    "TrainedModel",
    "current_model",
    "current_run",
    "finished_run",
    "finished_runs",
    "model_input",
    "newest_run",
    "run_digest",
    "run_named",
    "run_with_weights",
    "train",
]

CurvePlot = Callable[[Path, Path], None]
"""(curves.csv, picture to write)."""


WEIGHTS = "model.safetensors"
_OF_OTHERS = "weights_file"


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
        return {"path": str(self.path), "md5": self.weights_md5, "mlflow.run_id": self.run_id, **numbers}


def run_digest(
    family: ModelFamily, settings: FamilySettings, data: TrainingSet, models: Mapping[str, Path] | None = None
) -> str:
    """The identity of a training: family, version, the settings that matter, what it learns from and which models.

    The test split is no part of it: `TrainingSet.learned`.
    """
    needed = {name: file_md5(path / "model.safetensors") for name, path in (models or {}).items()}
    of_others = family.weights_file(settings)
    if of_others is not None:
        needed[_OF_OTHERS] = file_md5(of_others)
    work = {"family": family.name, "version": family.version, "data": data.info["learned"], "needs": needed}
    return digest_of({**work, "settings": family.learned_from(settings)})


def _models_and_run(
    family: ModelFamily, preset: StrictModel, data: TrainingSet, out: Path
) -> tuple[dict[str, Path], Path]:
    """The models that a training learns from, the newest ones beside `out`, the one that it begins from, and its run
    directory.

    The newest and not the champions: what a training gives depends on data and settings alone, never on what happens
    to be released.
    """
    settings = family.settings_of(preset)
    models = {name: newest_run(out.parent / name).path for name in family.needed_by(settings)}
    initial = must_match(family, settings, str(data.info["feature_id"]), int(data.info["window"]))
    if initial is not None:
        models[INIT] = initial
    return models, out / run_digest(family, settings, data, models)


def _begun(settings: FamilySettings, models: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """What a model folder, and the tags of its run, say of the model that the training begins from; empty: chance."""
    if INIT not in models:
        return {}
    name, weights = getattr(settings.training, INIT), file_md5(models[INIT] / WEIGHTS)
    return {INIT: {"name": name, "weights_md5": weights}}


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


def _record(work: Work, data: TrainingSet, run_id: str, of_others: Path | None) -> None:
    clips = data.learned().index["clip_id"]
    weights = [] if of_others is None else [Weights(name=of_others.name, sha256=file_sha256(of_others))]
    digests = {"dagster": file_md5(work.output / WEIGHTS)}
    work.record(clips=clips, weights=weights, mlflow_run=run_id or None, digests=digests)


def finished_run(family: ModelFamily, preset: StrictModel, data_dir: Path, out: Path) -> TrainedModel | None:
    """What `train` would return without training, and is then the newest run; None where there is work to do."""
    data = TrainingSet.open(data_dir)
    models, run = _models_and_run(family, preset, data, out)
    if not (run / "result.json").is_file():
        return None
    if not record_path(run / "model").is_file():
        result = json.loads((run / "result.json").read_text(encoding="utf-8"))
        settings = family.settings_of(preset)
        _record(_work(family, settings, data, models, run), data, result["run_id"], family.weights_file(settings))
    point_newest(out, run.name)
    return run_named(out, run.name)


def train(
    family: ModelFamily,
    preset: StrictModel,
    data_dir: Path,
    out: Path,
    tracker: RunTracker,
    tags: Mapping[str, str] | None = None,
    progress: Progress = lambda step, steps, loss, left: None,
    render: SampleRenderer | None = None,
    plot: CurvePlot | None = None,
) -> TrainedModel:
    """Train `family`, or return the finished run of the same work. Bit for bit repeatable on one kind of machine.

    `preset` has the family's section; it is laid beside the run as a whole. The models that a family learns from are
    the newest ones of the folders beside `out`. `render` makes a video of what the model makes while it is trained,
    `plot` a picture of the curves.
    """
    from magictalk_core.training.arithmetic import repeatable_arithmetic
    from magictalk_core.training.fit import fit
    from magictalk_core.training.processes import Processes
    from magictalk_core.training.samples import Sampler

    settings = family.settings_of(preset)
    data = TrainingSet.open(data_dir)
    models, run = _models_and_run(family, preset, data, out)
    if INIT in models:
        data = read_as_begun(data, models[INIT])
    begun = _begun(settings, models)
    processes = Processes.of(settings.training)
    lock = held_or_refused(run / ".lock", f"the training {run}") if processes.is_first else nullcontext()
    with lock:
        if not processes.agreed((run / "result.json").is_file()):
            task, work = family.build(settings, data.learned(), models), _work(family, settings, data, models, run)
            if processes.is_first:
                write_text(run / "preset.yaml", yaml.safe_dump(preset.model_dump(mode="json"), sort_keys=False))
                named = {f"{INIT}.{name}": value for name, value in begun.get(INIT, {}).items()}
                _open_tracking(run, family, preset, data, tracker, {**(tags or {}), **named})
            sampler = None if render is None else Sampler(task, render, family.name, tracker, run / "samples")
            with repeatable_arithmetic(settings.training.threads):
                fitted = fit(task, settings.training, run, tracker, progress, processes, sampler)
            if processes.is_first:
                if sampler is not None and settings.training.sample_every:
                    sampler.log(fitted.weights, fitted.state.step)
                _finish(family, task, data, run, fitted, tracker, plot, work, begun, family.weights_file(settings))
        if processes.is_first:
            point_newest(out, run.name)
        # The others read what the first has written.
        processes.agreed(None)
    return run_named(out, run.name)


def _open_tracking(
    run: Path,
    family: ModelFamily,
    preset: StrictModel,
    data: TrainingSet,
    tracker: RunTracker,
    tags: Mapping[str, str],
) -> None:
    """Start the tracked run, or go on with the one that this directory began, and say what is trained on what."""
    tracker.start(f"magictalk/{family.name}", run.name[:12], run)
    tracker.tags({"code_version": family.version, "config_digest": run.name, **tags})
    tracker.params({**_flat(family.settings_of(preset)), **_flat_data_settings(preset)})
    tracker.params({"feature_id": data.info["feature_id"], "tracker_kind": data.info["tracker_kind"]})
    tracker.artifact(run / "preset.yaml")
    for corpus, digest in data.info["corpora"].items():
        tracker.dataset(corpus, digest)
    # The same string as in `dvc.lock` and in the record of the training set.
    tracker.dataset("training_set", training_set_input(data.path.parent, data.path).md5)


def _flat(settings: StrictModel, prefix: str = "") -> dict[str, Any]:
    """Dotted name -> value of every setting."""
    found: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, StrictModel) else {f"{prefix}{name}": value}
    return found


def _flat_data_settings(preset: StrictModel) -> dict[str, Any]:
    """The sections of the resolved preset that data and training set depend on, and its name."""
    sections = {name: getattr(preset, name) for name in DataSettings.model_fields}
    found = {name: value for section, part in sections.items() for name, value in _flat(part, f"{section}.").items()}
    return {"preset": getattr(preset, "name", ""), **found}


def _finish(
    family: ModelFamily,
    task: TrainingTask,
    data: TrainingSet,
    run: Path,
    fitted: Fitted,
    tracker: RunTracker,
    plot: CurvePlot | None,
    work: Work,
    begun: Mapping[str, Any],
    of_others: Path | None,
) -> None:
    """Write the model with its record, the curves and, last of all, the result. `begun`: what it began from;
    `of_others`: the file of weights that it began at."""
    from magictalk_core.training.model_folder import write_model_folder

    with atomic_directory(run / "model") as folder:
        facts = {**task.describe_model(fitted.weights, folder), **begun}
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
    if plot is not None:
        plot(run / "curves.csv", run / "curves.svg")
        tracker.artifact(run / "curves.svg")
    run_id = tracker.finish()
    _record(work, data, run_id, of_others)
    result: dict[str, Any] = {"weights_md5": md5, "run_id": run_id, "metrics": metrics, "measured": fitted.measured}
    result["files"] = {name: file_md5(run / name) for name in ("curves.csv", "preset.yaml")}
    write_text(run / "result.json", sealed(json.dumps(result, indent=1)))


def run_named(out: Path, name: str) -> TrainedModel:
    """The finished run in the directory `name` of `out`."""
    run = out / name
    if not (run / "result.json").is_file():
        raise UserError(f"no finished training at {run}: type `magictalk run --select models/{out.name}`")
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    numbers = result["metrics"], run / "curves.csv", result["measured"]
    # A store that was down when the training ended has given its id since.
    note = RunNote.read(run)
    run_id = (note.run_id if note else "") or result["run_id"]
    return TrainedModel(run / "model", result["weights_md5"], run_id, *numbers)


def finished_runs(out: Path) -> dict[str, TrainedModel]:
    """Every finished run in `out`, by the name of its directory."""
    return {file.parent.name: run_named(out, file.parent.name) for file in sorted(out.glob("*/result.json"))}


def run_with_weights(out: Path, md5: str) -> TrainedModel | None:
    """The finished run in `out` whose weights have this md5; what a model was trained on is named so."""
    return next((run for run in finished_runs(out).values() if run.weights_md5 == md5), None)


def newest_run(out: Path) -> TrainedModel:
    """The run that the newest training in `out` asked for."""
    return run_named(out, _in_use(out).newest)


def current_run(out: Path) -> TrainedModel:
    """The run to use: the champion, or the newest where nothing was released."""
    found = _in_use(out)
    return run_named(out, found.champion or found.newest)


def current_model(out: Path) -> Path:
    """The model folder of `current_run`; a warning where what it learned from was withdrawn since."""
    path = current_run(out).path
    warn_of_mark(path.parent)
    return path


def _in_use(out: Path) -> RunsInUse:
    found = runs_in_use(out)
    if found is None:
        raise UserError(
            f"no trained model in {out}: type `magictalk run --select models/{out.name}` or `magictalk demo`"
        )
    return found


def model_input(workspace: Workspace, folder: Path) -> Input:
    """A model folder as the input of other work."""
    return input_of(workspace.home, "model", folder)
