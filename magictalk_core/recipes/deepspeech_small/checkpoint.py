"""The state of a training in one file that holds no code: tensors, and the rest as JSON in the file's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from magictalk_core.storage.atomic import atomic_path

__all__ = ["load_checkpoint", "save_checkpoint"]

_NETWORK, _OPTIMIZER = "network/", "optimizer/"


def save_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, facts: dict[str, Any]) -> None:
    """Replace the file at `path` by weights, moments of the optimizer and `facts`, which JSON can hold."""
    tensors = {_NETWORK + name: value for name, value in network.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}{number}/{name}": value for name, value in moments.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"facts": json.dumps(facts, sort_keys=True)})


def load_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a saved state into `network` and `optimizer`, of the sizes they were saved with; the facts beside it."""
    weights: dict[str, Tensor] = {}
    moments: dict[int, dict[str, Tensor]] = {}
    with safe_open(path, "pt") as file:
        for key in file.keys():
            if key.startswith(_NETWORK):
                weights[key.removeprefix(_NETWORK)] = file.get_tensor(key)
            else:
                number, name = key.removeprefix(_OPTIMIZER).split("/")
                moments.setdefault(int(number), {})[name] = file.get_tensor(key)
        facts: dict[str, Any] = json.loads(file.metadata()["facts"])
    network.load_state_dict(weights)
    # Rates of the parameter groups are set before every step.
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return facts
