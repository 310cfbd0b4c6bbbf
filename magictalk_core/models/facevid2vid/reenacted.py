"""A picture of a source made to move as a driving frame of the same person: what is trained, and how it is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.metrics.intervals import mean_interval
from magictalk_core.metrics.psnr_ssim import ssim
from magictalk_core.models.facevid2vid.estimator import HeadMotion
from magictalk_core.models.facevid2vid.network import FaceVid2Vid, Generated
from magictalk_core.models.facevid2vid.pairs import Pairs
from magictalk_core.models.facevid2vid.thin_plate import Warp, draw_warps
from magictalk_core.models.facevid2vid.transform import degrees, place, pose_of

__all__ = ["Reenacted", "angles_said", "held_out_l1", "measured_on", "reenact"]

_BATCH = 16
_RESAMPLES = 2000


@dataclass(frozen=True)
class Reenacted:
    """What was made of pairs: the pictures, the keypoints (B, K, 3) of the driving frames, what the estimator says of
    them, and the keypoints of the warped driving frames where there are any."""

    made: Generated
    keypoints: Tensor
    motion: HeadMotion
    warped_keypoints: Tensor | None


def reenact(network: FaceVid2Vid, source: Tensor, driving: Tensor, warp: Warp | None = None) -> Reenacted:
    """Source and driving (B, 3, S, S) in 0..1. Every keypoint is a canonical one of the source, moved."""
    pictures = [source, driving] if warp is None else [source, driving, warp.pictures(driving)]
    motion = network.he_estimator(torch.cat(pictures))
    canonical, count = network.kp_detector(source), len(source)
    placed = [
        place(canonical, pose_of(motion.at(slice(start, start + count)), network.config.rotation))
        for start in range(0, count * len(pictures), count)
    ]
    made = network.generator(source, placed[0], placed[1])
    return Reenacted(made, placed[1], motion.at(slice(count, 2 * count)), placed[2] if warp else None)


def angles_said(motion: HeadMotion) -> Tensor:
    """(B, 3) pitch, yaw and roll in degrees."""
    return torch.stack([degrees(motion.pitch), degrees(motion.yaw), degrees(motion.roll)], dim=1)


@contextmanager
def _looking(network: nn.Module) -> Iterator[None]:
    """Without gradients and with stored statistics; the network's mode comes back."""
    was = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was)


def _batches(pairs: Pairs, device: torch.device) -> Iterator[Pairs]:
    for start in range(0, len(pairs.source), _BATCH):
        names = pairs.__dataclass_fields__
        yield Pairs(*(getattr(pairs, name)[start : start + _BATCH] for name in names)).to(device)


def held_out_l1(network: FaceVid2Vid, pairs: Pairs) -> float:
    """Mean absolute difference of made and driving pictures, in 0..1."""
    device, total = next(network.parameters()).device, 0.0
    with _looking(network):
        for batch in _batches(pairs, device):
            made = reenact(network, batch.source, batch.driving).made.pictures.float()
            total += float((made - batch.driving).abs().mean(dim=(1, 2, 3)).sum())
    return total / len(pairs.source)


def measured_on(network: FaceVid2Vid, pairs: Pairs, of_clip: NDArray[np.int64], known: Tensor) -> dict[str, Any]:
    """How well the network does on held-out pairs, beside what one gets for nothing.

    `l1` and `ssim` of the made pictures and of the copied source; the gains over copying, per clip, with their paired
    95 % interval; `equivariance`, how far the keypoints of a warped picture lie from where the warp took them, beside
    the same of keypoints that stayed where they were; `pose_deg`, the mean error of the head's angles, beside that of
    always saying their mean. `known` (n, 3): the angles that the estimator was told.
    """
    device = next(network.parameters()).device
    warp = draw_warps(np.random.default_rng(0), len(pairs.source), 0.05, 0.005, 5)
    made, moved, still, angles = [], [], [], []
    with _looking(network):
        for number, batch in enumerate(_batches(pairs, device)):
            rows = slice(number * _BATCH, number * _BATCH + len(batch.source))
            own = Warp(warp.affine[rows], warp.centres, warp.bends[rows]).to(device)
            found = reenact(network, batch.source, batch.driving, own)
            made.append(found.made.pictures.float().cpu())
            angles.append(angles_said(found.motion).cpu())
            assert found.warped_keypoints is not None
            at, warped_at = found.keypoints[..., :2], found.warped_keypoints[..., :2]
            moved.append((own.places(warped_at) - at).abs().mean(dim=(1, 2)).cpu())
            still.append((own.places(at) - at).abs().mean(dim=(1, 2)).cpu())
    pictures = torch.cat(made)
    error = (torch.cat(angles) - known).abs().mean()
    of_mean = (known - known.mean(dim=0)).abs().mean()
    return {
        "pairs": len(pictures),
        **_against_copying(pictures, pairs, of_clip),
        "equivariance": {"error": float(torch.cat(moved).mean()), "if_still": float(torch.cat(still).mean())},
        "pose_deg": {"error": float(error), "of_the_mean": float(of_mean)},
    }


def _against_copying(made: Tensor, pairs: Pairs, of_clip: NDArray[np.int64]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    wanted = _bytes(pairs.driving)
    sides = {"made": _bytes(made), "copied": _bytes(pairs.source)}
    for name, sign in (("l1", -1.0), ("ssim", 1.0)):
        values = {
            side: np.array([_alike(name, a, b) for a, b in zip(pictures, wanted, strict=True)])
            for side, pictures in sides.items()
        }
        gains = sign * (values["made"] - values["copied"])
        by_clip = np.array([gains[of_clip == clip].mean() for clip in np.unique(of_clip)])
        interval = mean_interval(by_clip, f"facevid2vid {name}", _RESAMPLES)
        found[name] = {
            **{side: float(value.mean()) for side, value in values.items()},
            "gain": float(by_clip.mean()),
            "interval": None if interval is None else list(interval),
        }
    return found


def _alike(name: str, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return ssim(a, b) if name == "ssim" else float(np.abs(a.astype(np.float64) - b).mean() / 255)


def _bytes(pictures: Tensor) -> NDArray[np.uint8]:
    """(n, 3, S, S) in 0..1 to (n, S, S, 3) as they would be written."""
    return (pictures.permute(0, 2, 3, 1) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
