"""Checkpoints: whole directories, safetensors and JSON only, enough to go on bit for bit.

::

    step-00000100/
      model.safetensors       weights
      ema.safetensors         their running average
      best.safetensors        the average with the least held-out loss, where training may stop early
      optimizer.safetensors   Adam's moments
      trainer.json            step, the curves so far, the best step and its loss, md5 of the other files; sealed

No random state is stored: every draw of a step comes from a generator seeded by (seed, step).
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.sealed import is_sealed_whole, sealed

__all__ = ["Best", "TrainerState", "latest_checkpoint", "load_checkpoint", "save_checkpoint"]

_NAME = re.compile(r"step-(\d{8})")
Curves = list[tuple[int, str, float]]


@dataclass(frozen=True, eq=False)
class Best:
    """The averaged weights with the least held-out loss so far."""

    loss: float
    step: int
    weights: dict[str, Tensor]


@dataclass
class TrainerState:
    """What changes while training."""

    network: nn.Module
    average: dict[str, Tensor]
    optimizer: torch.optim.Adam
    step: int
    curves: Curves
    best: Best | None = None


def _optimizer_tensors(state: TrainerState) -> dict[str, Tensor]:
    names = [name for name, _ in state.network.named_parameters()]
    values = state.optimizer.state_dict()["state"]
    each = ((names[i], key, value) for i, entry in values.items() for key, value in entry.items())
    return {f"{name}|{key}": value.detach().cpu().contiguous() for name, key, value in each}


def save_checkpoint(run: Path, state: TrainerState, keep: int) -> Path:
    """Write `step-XXXXXXXX` and remove all but the newest `keep`."""
    target = run / f"step-{state.step:08d}"
    with atomic_directory(target) as folder:
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in state.network.state_dict().items()},
            folder / "model.safetensors",
        )
        save_file({k: v.cpu().contiguous() for k, v in state.average.items()}, folder / "ema.safetensors")
        save_file(_optimizer_tensors(state), folder / "optimizer.safetensors")
        values: dict[str, Any] = {"step": state.step, "curves": state.curves}
        if state.best is not None:
            values["best"] = {"loss": state.best.loss, "step": state.best.step}
            save_file({k: v.cpu().contiguous() for k, v in state.best.weights.items()}, folder / "best.safetensors")
        values["files"] = {path.name: file_md5(path) for path in sorted(folder.iterdir())}
        (folder / "trainer.json").write_text(sealed(json.dumps(values)), encoding="utf-8")
    for old in _checkpoints(run)[:-keep]:
        shutil.rmtree(old)
    return target


def _checkpoints(run: Path) -> list[Path]:
    return sorted(p for p in run.glob("step-*") if _NAME.fullmatch(p.name)) if run.is_dir() else []


def latest_checkpoint(run: Path) -> Path | None:
    """The newest whole checkpoint: a directory appears only when it is complete."""
    found = _checkpoints(run)
    return found[-1] if found else None


def load_checkpoint(path: Path, state: TrainerState) -> None:
    """Put the checkpoint into `state`. Raises `PermanentError` when a file of it is not as it was written."""
    values = _whole(path)
    state.network.load_state_dict(load_file(path / "model.safetensors"))
    for key, value in load_file(path / "ema.safetensors").items():
        state.average[key].copy_(value)
    saved: dict[str, dict[str, Tensor]] = {}
    for key, value in load_file(path / "optimizer.safetensors").items():
        name, field = key.split("|")
        saved.setdefault(name, {})[field] = value
    groups = state.optimizer.state_dict()["param_groups"]
    names = [name for name, _ in state.network.named_parameters()]
    entries: dict[int, Any] = {i: saved[name] for i, name in enumerate(names) if name in saved}
    state.optimizer.load_state_dict({"state": entries, "param_groups": groups})
    state.step = values["step"]
    state.curves = [(int(s), str(m), float(v)) for s, m, v in values["curves"]]
    if "best" in values:
        weights = {k: v.to(state.average[k].device) for k, v in load_file(path / "best.safetensors").items()}
        state.best = Best(values["best"]["loss"], values["best"]["step"], weights)


def _whole(path: Path) -> dict[str, Any]:
    """What `trainer.json` of a checkpoint says, after every file was compared with it."""
    content = (path / "trainer.json").read_bytes()
    values: dict[str, Any] = json.loads(content) if is_sealed_whole(content) else {}
    wrong = [name for name, md5 in values.get("files", {}).items() if file_md5(path / name) != md5]
    if wrong or not values:
        name = wrong[0] if wrong else "trainer.json"
        raise PermanentError(f"{path / name}: damaged: remove {path}, the training goes on from the one before it")
    return values
