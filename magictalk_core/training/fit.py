"""The loop of a training: loss, gradients, running average, validation, early stop, checkpoints, measurements."""

from __future__ import annotations

import copy
import logging
import math
import resource
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from magictalk_core.config import AdversarialTraining, InitialisedTraining, TrainingConfig
from magictalk_core.errors import PermanentError
from magictalk_core.training.checkpoint import Best, TrainerState, latest_checkpoint, load_checkpoint, save_checkpoint
from magictalk_core.training.processes import Processes
from magictalk_core.training.samples import Sampler
from magictalk_core.training.task import TaskOfParts, TrainingTask
from magictalk_core.training.tracking import RunTracker

__all__ = ["Fitted", "Progress", "average_decay", "fit", "learning_rate"]

logger = logging.getLogger("magictalk.training")

LOG_EVERY = 10
Progress = Callable[[int, int, float, float], None]
"""(step, steps, loss, seconds left)."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The end of a training: the weights to use, where they are from, and what was measured on the way.

    `measured` depends on the machine and on interruptions: steps and windows per second, peak memory.
    """

    state: TrainerState
    weights: dict[str, Tensor]
    metrics: dict[str, float]
    measured: dict[str, float]


@dataclass
class _Clock:
    """Throughput since this process began."""

    batch: int
    first: int
    began: float = field(default_factory=time.monotonic)

    def left(self, step: int, steps: int) -> float:
        return (time.monotonic() - self.began) / max(1, step - self.first) * (steps - step)

    def measured(self, step: int, device: torch.device) -> dict[str, float]:
        """Steps and rows of a batch per second, and the most memory that was in use, MiB."""
        speed = (step - self.first) / max(1e-9, time.monotonic() - self.began)
        found = {"steps_per_s": speed, "samples_per_s": speed * self.batch, "peak_memory_mib": _peak_memory_mib()}
        if device.type == "cuda":
            found["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
        return found


def _peak_memory_mib() -> float:
    # Kilobytes on Linux, bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform != "darwin" else 2**20)


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Constant, or a half cosine down to 2 % of the start."""
    if config.decay == "constant":
        return config.learning_rate
    return config.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def fit(
    task: TrainingTask,
    config: TrainingConfig,
    run: Path,
    tracker: RunTracker,
    progress: Progress,
    processes: Processes,
    sampler: Sampler | None = None,
) -> Fitted:
    """Train `task` from the last checkpoint in `run`, or from the beginning, to its end or its early stop."""
    state = _new_state(task, config, processes.device)
    checkpoint = processes.agreed(latest_checkpoint(run))
    if checkpoint is not None:
        load_checkpoint(checkpoint, state)
        logger.info("going on from %s", checkpoint.name)
    per_epoch = task.steps_per_epoch()
    steps, clock = per_epoch * config.epochs, _Clock(config.batch, state.step)
    if state.step == 0 and config.patience and isinstance(config, InitialisedTraining) and config.init:
        # What is begun from is the first that may be kept: a training that gains nothing changes nothing.
        _validate(task, state, config, tracker, processes)
    while state.step < steps and not _is_over(state, config):
        loss = _step(task, state, config, steps, processes)
        is_last = state.step == steps
        if state.step % LOG_EVERY == 0 or is_last:
            parts = task.loss_parts() if isinstance(task, TaskOfParts) else {}
            curves = {"train/loss": loss, **{f"train/{name}": value for name, value in parts.items()}}
            _log(state, {**curves, "train/epoch": state.step / per_epoch}, tracker, processes)
            progress(state.step, steps, loss, clock.left(state.step, steps))
        if state.step % config.validate_every == 0 or is_last:
            _validate(task, state, config, tracker, processes)
        is_sampled = config.sample_every and state.step % (per_epoch * config.sample_every) == 0
        if sampler is not None and is_sampled and processes.is_first:
            sampler.log(state.average, state.step)
        if state.step % config.checkpoint_every == 0 and not is_last and processes.is_first:
            save_checkpoint(run, state, config.keep_checkpoints)
    if processes.is_first:
        save_checkpoint(run, state, config.keep_checkpoints)
    return _fitted(state, config, clock.measured(state.step, processes.device))


def _new_state(task: TrainingTask, config: TrainingConfig, device: torch.device) -> TrainerState:
    torch.manual_seed(config.seed)
    network = task.build_network().to(device)
    beta1 = config.beta1 if isinstance(config, AdversarialTraining) else 0.9
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=(beta1, 0.999))
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    return TrainerState(network, average, optimizer, 0, [])


def _autocast(config: TrainingConfig, device: torch.device) -> AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16) if config.precision == "bf16" else nullcontext()


def _step(task: TrainingTask, state: TrainerState, config: TrainingConfig, steps: int, processes: Processes) -> float:
    """One optimizer step; returns the loss of the whole batch as far as this process knows it."""
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.step, steps)
    with _autocast(config, processes.device):
        loss = task.training_loss(state.network, state.step, (processes.rank, processes.count))
    if not torch.isfinite(loss):
        raise PermanentError(
            f"the loss is {loss.item()} at step {state.step}: lower training.learning_rate (now "
            f"{config.learning_rate:g}) in the preset"
        )
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    processes.average_gradients(state.network)
    nn.utils.clip_grad_norm_(state.network.parameters(), config.clip_norm)
    state.optimizer.step()
    _update_average(state.average, state.network, average_decay(config.ema, state.step))
    state.step += 1
    return float(loss.detach())


def average_decay(decay: float, step: int) -> float:
    """Decay of the running average after `step` optimizer steps: min(decay, (1 + step) / (10 + step)).

    Without the warm-up, a decay of 0.9999 leaves 81 % of the random start in the average after 2,100 steps. Source:
    the `num_updates` of TensorFlow's ExponentialMovingAverage.
    """
    return min(decay, (1 + step) / (10 + step))


def _update_average(average: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value.detach(), 1 - decay)
        else:
            average[name].copy_(value)  # counters


def _log(state: TrainerState, values: dict[str, float], tracker: RunTracker, processes: Processes) -> None:
    if processes.is_first:
        state.curves += [(state.step, name, value) for name, value in values.items() if name != "train/epoch"]
        tracker.metrics(values, state.step)


def _validate(
    task: TrainingTask, state: TrainerState, config: TrainingConfig, tracker: RunTracker, processes: Processes
) -> None:
    """Log the held-out loss; with `patience` also that of the averaged weights, of which the best are kept."""
    now = task.validation_loss(state.network)
    if now is None:
        return
    values = {"val/loss": now}
    if config.patience:
        shadow = copy.deepcopy(state.network)
        shadow.load_state_dict(state.average)
        averaged = processes.agreed(task.validation_loss(shadow) or math.inf)
        values["val/loss_ema"] = averaged
        if state.best is None or averaged < state.best.loss:
            weights = {name: value.detach().clone() for name, value in state.average.items()}
            state.best = Best(averaged, state.step, weights)
    _log(state, values, tracker, processes)


def _is_over(state: TrainerState, config: TrainingConfig) -> bool:
    """Whether the held-out loss has not fallen for `patience` validations."""
    if not config.patience or state.best is None:
        return False
    return state.step - state.best.step >= config.patience * config.validate_every


def _fitted(state: TrainerState, config: TrainingConfig, measured: dict[str, float]) -> Fitted:
    metrics = {"steps": float(state.step)}
    if not config.patience or state.best is None:
        return Fitted(state, state.average, metrics, measured)
    logger.info("the best weights are those of step %d of %d", state.best.step, state.step)
    return Fitted(state, state.best.weights, metrics | {"best_step": float(state.best.step)}, measured)
