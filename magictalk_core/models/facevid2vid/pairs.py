"""Which two frames of a clip a step looks at, and how they are varied: a pure function of (seed, step)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.models.facevid2vid.clip_frames import ClipFrames

__all__ = ["Pairs", "draw_pairs", "held_out_pairs", "mirrored_angles", "pairs_at"]

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """`source` and `driving` (B, 3, S, S) in 0..1, frames of one clip each, and the head's angles (B, 3) in both."""

    source: Tensor
    driving: Tensor
    source_angles: Tensor
    driving_angles: Tensor

    def rows(self, first: int, every: int) -> Pairs:
        """Those of the rows `first::every`."""
        return Pairs(*(getattr(self, name)[first::every] for name in self.__dataclass_fields__))

    def to(self, device: torch.device) -> Pairs:
        return Pairs(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def draw_pairs(frames: ClipFrames, clips: Indices, rng: np.random.Generator, mirror: bool, colour: float) -> Pairs:
    """Two different frames of each of `clips`; with `mirror` half of the pairs are mirrored. `colour`: the largest
    change of brightness, contrast, saturation and hue (1 is half a turn), the same for both frames."""
    kept = frames.pictures.shape[1]
    first = rng.integers(0, kept, len(clips))
    second = (first + rng.integers(1, kept, len(clips))) % kept
    turned = rng.random(len(clips)) < (0.5 if mirror else 0.0)
    drawn = rng.uniform(-colour, colour, (len(clips), 4)).astype(np.float32)
    found = pairs_at(frames, clips, first, second)
    source, driving = (_varied(part, turned, drawn) for part in (found.source, found.driving))
    angles = [
        torch.where(torch.from_numpy(turned)[:, None], mirrored_angles(part), part)
        for part in (found.source_angles, found.driving_angles)
    ]
    return Pairs(source, driving, *angles)


def held_out_pairs(frames: ClipFrames, clips: Indices, per_clip: int) -> tuple[Pairs, Indices]:
    """`per_clip` fixed pairs of each of `clips`, half of the clip apart, and which clip each is of (0, 1, ...)."""
    kept = frames.pictures.shape[1]
    starts = np.linspace(0, kept - 1, per_clip).round().astype(np.int64)
    first = np.tile(starts, len(clips))
    second = (first + max(1, kept // 2)) % kept
    of_clip = np.repeat(np.arange(len(clips)), per_clip)
    return pairs_at(frames, clips[of_clip], first, second), of_clip


def pairs_at(frames: ClipFrames, clips: Indices, first: Indices, second: Indices) -> Pairs:
    """The frames `first` and `second` of `clips`, as they are."""
    pictures = [
        torch.from_numpy(frames.pictures[clips, at].astype(np.float32) / 255).permute(0, 3, 1, 2).contiguous()
        for at in (first, second)
    ]
    angles = [torch.from_numpy(frames.angles[clips, at].astype(np.float32)) for at in (first, second)]
    return Pairs(*pictures, *angles)


def mirrored_angles(angles: Tensor) -> Tensor:
    """Pitch, yaw and roll (B, 3) of the mirrored picture."""
    return angles * torch.tensor([1.0, -1.0, -1.0])


def _varied(pictures: Tensor, turned: NDArray[np.bool_], drawn: NDArray[np.float32]) -> Tensor:
    """(B, 3, S, S), mirrored where `turned`, in other colours: `drawn` (B, 4) in -1..1 times the largest change."""
    found = torch.where(torch.from_numpy(turned)[:, None, None, None], pictures.flip(3), pictures)
    brightness, contrast, saturation, hue = (torch.from_numpy(drawn[:, i])[:, None, None, None] for i in range(4))
    found = found * (1 + brightness)
    mean = found.mean(dim=(1, 2, 3), keepdim=True)
    found = (found - mean) * (1 + contrast) + mean
    grey = found.mean(dim=1, keepdim=True)
    return (_turned_hue(found - grey, math.pi * hue) * (1 + saturation) + grey).clamp(0, 1)


def _turned_hue(colours: Tensor, angle: Tensor) -> Tensor:
    """Colours without their grey (B, 3, S, S), turned about the grey axis: v cos a + (axis x v) sin a."""
    red, green, blue = colours.unbind(dim=1)
    crossed = torch.stack((blue - green, red - blue, green - red), dim=1) / math.sqrt(3)
    return colours * torch.cos(angle) + crossed * torch.sin(angle)
