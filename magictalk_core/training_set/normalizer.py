"""Mean and standard deviation per column, of the training split: what every network sees is normalised by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Normalizer"]


@dataclass(frozen=True, eq=False)
class Normalizer:
    """mean, std (D,) in natural units."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, numbers: Mapping[str, Sequence[float]]) -> Normalizer:
        """From the entry `states` or `features` of a `normalizer.json`."""
        return cls(*(torch.tensor(numbers[name], dtype=torch.float32) for name in ("mean", "std")))

    def normal(self, values: Tensor) -> Tensor:
        """(..., D) natural units to normalised ones."""
        return (values - self.mean) / self.std

    def natural(self, values: Tensor) -> Tensor:
        """(..., D) normalised values back to natural units."""
        return values * self.std + self.mean

    def columns(self, places: Sequence[int]) -> Normalizer:
        """Of some of the columns, in that order."""
        return Normalizer(self.mean[list(places)], self.std[list(places)])

    def to(self, device: torch.device) -> Normalizer:
        return Normalizer(self.mean.to(device), self.std.to(device))
