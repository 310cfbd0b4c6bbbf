"""Opening published torch files: pickles of tensors, read with torch's safe loader, key by key what a network needs."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.errors import PermanentError

__all__ = ["BATCH", "as_batches", "load_strictly", "ready", "state_dict_of"]

BATCH = 16
"""Frames that a judge looks at in one go."""

Network = TypeVar("Network", bound=nn.Module)


def state_dict_of(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.pth`, `.pt`, `.tar` or `.model` file, by name: a state dict, or a checkpoint that holds one
    under `state_dict`; the `module.` of a network that was trained on several GPUs is taken off.

    Raises `PermanentError` for a file with anything but tensors in it.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise PermanentError(f"{path} is no file of tensors that torch reads safely: {reason}") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise PermanentError(f"{path}: expected a state dict of tensors, found {type(content).__name__}")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def load_strictly(network: nn.Module, weights: Mapping[str, Tensor], origin: str) -> None:
    """Every weight of the network, nothing left over, every shape as it must be; `PermanentError` otherwise."""
    try:
        network.load_state_dict(dict(weights), strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:4]]
        raise PermanentError(f"{origin} does not fit {type(network).__name__}: {' '.join(lines)}") from error


def ready(network: Network, device: str = "cpu") -> Network:
    """The network in eval mode, float32, without gradients, on a torch device."""
    return network.eval().requires_grad_(False).float().to(torch.device(device))


def as_batches(frames: NDArray[np.uint8], device: torch.device, size: int = BATCH) -> Iterator[Tensor]:
    """Frames (n, H, W, 3) as float32 tensors (b, 3, H, W) of 0..255, b up to `size`."""
    for start in range(0, len(frames), size):
        batch = torch.from_numpy(np.ascontiguousarray(frames[start : start + size]))
        yield batch.to(device).permute(0, 3, 1, 2).float()
