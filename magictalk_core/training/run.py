"""One training run, from a training set to a model folder; interrupted anywhere, it goes on from its last checkpoint.

The run directory is named by the digest of settings and data, so a retry of the same work finds its own checkpoints,
different work never collides, and finished work is returned without training.

::

    <out>/<digest>/preset.yaml  curves.csv  mlflow_run.json  step-XXXXXXXX/  model/  result.json
    <out>/current.json          which digest the newest training asked for
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from torch import Tensor, nn

from magictalk_core.config import Preset, TrainingConfig
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.lineage.atomic import atomic_directory, atomic_path, write_text
from magictalk_core.lineage.hashes import digest_of, file_md5
from magictalk_core.lineage.locks import held_or_refused
from magictalk_core.training.checkpoint import TrainerState, latest_checkpoint, load_checkpoint, save_checkpoint
from magictalk_core.training.dataset import TrainingSet
from magictalk_core.training.families import family_named
from magictalk_core.training.task import TrainingTask
from magictalk_core.training.tracking import RunTracker

__all__ = ["TrainedModel", "current_model", "current_run", "run_digest", "train"]

logger = logging.getLogger("magictalk.training")

LOG_EVERY = 10
Progress = Callable[[int, int, float, float], None]
"""(step, steps, loss, seconds left)."""


@dataclass(frozen=True)
class TrainedModel:
    """A finished run."""

    path: Path
    weights_md5: str
    run_id: str
    metrics: dict[str, float]
    curves: Path


def run_digest(family: str, preset: Preset, data: TrainingSet, models: Mapping[str, Path] | None = None) -> str:
    """The identity of a training: family, version, the settings that matter, the data, the models it learns from."""
    found = family_named(family)
    settings = {name: value.model_dump() for name, value in found.settings(preset).items()}
    for value in settings.values():
        value.pop("keep_checkpoints", None)
    needed = {name: file_md5(path / "model.safetensors") for name, path in (models or {}).items()}
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
    with held_or_refused(run / ".lock", f"the training {run}"):
        if not (run / "result.json").is_file():
            write_text(run / "preset.yaml", yaml.safe_dump(preset.model_dump(mode="json"), sort_keys=False))
            run_id = _open_tracking(run, family, preset, data, tracker, tags or {})
            task = found.build(preset, data, models)
            state = _fit(task, found.training(preset), run, tracker, progress)
            _finish(task, run, state, tracker, run_id)
    write_text(out / "current.json", json.dumps({"run": run.name}))
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


def _device(config: TrainingConfig) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("training.device is cuda, but torch sees no GPU: set device to auto or cpu in the preset")
    return torch.device("cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu")


def _new_state(task: TrainingTask, config: TrainingConfig) -> TrainerState:
    torch.manual_seed(config.seed)
    network = task.build_network().to(_device(config))
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    return TrainerState(network, average, optimizer, 0, [])


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Constant, or a half cosine down to 2 % of the start."""
    if config.decay == "constant":
        return config.learning_rate
    return config.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _update_average(average: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value.detach(), 1 - decay)
        else:
            average[name].copy_(value)  # counters


def _fit(
    task: TrainingTask, config: TrainingConfig, run: Path, tracker: RunTracker, progress: Progress
) -> TrainerState:
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    state = _new_state(task, config)
    checkpoint = latest_checkpoint(run)
    if checkpoint is not None:
        load_checkpoint(checkpoint, state)
        logger.info("going on from %s", checkpoint.name)
    per_epoch = task.steps_per_epoch()
    steps, began, first = per_epoch * config.epochs, time.monotonic(), state.step
    while state.step < steps:
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(config, state.step, steps)
        loss = task.training_loss(state.network, state.step)
        if not torch.isfinite(loss):
            raise PermanentError(f"the loss is {loss.item()} at step {state.step}: lower the learning rate")
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.network.parameters(), config.clip_norm)
        state.optimizer.step()
        _update_average(state.average, state.network, config.ema)
        state.step += 1
        if state.step % LOG_EVERY == 0 or state.step == steps:
            _log(task, state, float(loss.detach()), per_epoch, tracker)
            left = (time.monotonic() - began) / (state.step - first) * (steps - state.step)
            progress(state.step, steps, float(loss.detach()), left)
        if state.step % config.checkpoint_every == 0 and state.step < steps:
            save_checkpoint(run, state, config.keep_checkpoints)
    save_checkpoint(run, state, config.keep_checkpoints)
    return state


def _log(task: TrainingTask, state: TrainerState, loss: float, per_epoch: int, tracker: RunTracker) -> None:
    values = {"train/loss": loss, "train/epoch": state.step / per_epoch}
    if state.step % (5 * LOG_EVERY) == 0:
        held_out = task.validation_loss(state.network)
        if held_out is not None:
            values["val/loss"] = held_out
    state.curves += [(state.step, name, value) for name, value in values.items() if name != "train/epoch"]
    tracker.metrics(values, state.step)


def _finish(task: TrainingTask, run: Path, state: TrainerState, tracker: RunTracker, run_id: str) -> None:
    """Write the model from the averaged weights, the curves and, last of all, the result."""
    with atomic_directory(run / "model") as folder:
        task.save_model(state.average, folder)
    with atomic_path(run / "curves.csv") as temporary:
        pd.DataFrame(state.curves, columns=["step", "metric", "value"]).to_csv(temporary, index=False)
    state.network.load_state_dict(state.average)
    metrics = {"steps": float(state.step)}
    held_out = task.validation_loss(state.network)
    if held_out is not None:
        metrics["val/loss"] = held_out
        tracker.metrics({"val/loss_ema": held_out}, state.step)
    md5 = file_md5(run / "model" / "model.safetensors")
    tracker.tags({"weights_md5": md5})
    tracker.artifact(run / "curves.csv")
    tracker.finish()
    result: dict[str, Any] = {"weights_md5": md5, "run_id": run_id, "metrics": metrics}
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
    return TrainedModel(run / "model", result["weights_md5"], result["run_id"], result["metrics"], run / "curves.csv")


def current_model(out: Path) -> Path:
    """The model folder of `current_run`."""
    return current_run(out).path
