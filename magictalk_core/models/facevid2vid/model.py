"""A trained face-vid2vid in use: one portrait, driven by a stream of frames in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.models.facevid2vid.checkpoint import NETWORKS, PublicCheckpoint, network_from, read_public
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig
from magictalk_core.models.facevid2vid.network import FaceVid2Vid
from magictalk_core.models.facevid2vid.transform import Pose, movement_scale, place, pose_aware, pose_of, relative
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.model_folder import ModelFolder

__all__ = ["FAMILY", "FaceVid2VidModel", "MotionMode", "Source"]

FAMILY = "facevid2vid"

MotionMode = Literal["relative", "pose-aware", "absolute"]
"""How the driving's motion becomes the source's: keypoints move as much as the driving's did since its first frame; the
same with turns composed; or they go where the driving's are."""

_BATCH_GPU = 8
_BATCH_CPU = 1
_SLOW_SIZE = 256
_WEIGHTS = "model.safetensors"

Frame = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Source:
    """A portrait that was looked at: features in space (1, C, D, H, W), canonical keypoints (1, K, 3), its pose, and
    the keypoints where the pose has them."""

    volume: Tensor
    canonical: Tensor
    pose: Pose
    keypoints: Tensor


@dataclass(frozen=True, eq=False)
class FaceVid2VidModel:
    """Networks ready to use. `name` goes with what they make and holds no path; `files` are where they came from."""

    name: str
    files: tuple[Path, ...]
    network: FaceVid2Vid
    device: torch.device
    is_worse_than_copying: bool = False
    """On the clips that its training held out, as the model folder says; nobody measured a public file."""

    @classmethod
    def load(cls, path: Path, estimator: Path | None = None, device: str | None = None) -> FaceVid2VidModel:
        """A model folder of ours, or a file in a public layout, where named with the `estimator` of another file.

        `device` is torch's name; None: the GPU where there is one, on which pictures are made in half precision. Raises
        `UserError` for a public file that cannot be used, and `PermanentError` for a folder without the model.
        """
        where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        lost = False
        if path.is_dir():
            folder = ModelFolder.open(path, (FAMILY,))
            network, files, lost = _network_of_folder(folder), [path / _WEIGHTS], _lost(folder)
        else:
            network, files = _network_of_files(path, estimator)
        network.eval().requires_grad_(False).to(where)
        if where.type == "cuda":
            # The estimator and the detector stay exact: they are a twentieth of the work.
            network.generator.half()
        marks = "+".join(file_md5(file)[:12] for file in files)
        return cls(f"{FAMILY} {marks}", tuple(files), network, where, lost)

    @property
    def config(self) -> FaceVid2VidNetworkConfig:
        return self.network.config

    @property
    def size(self) -> int:
        """Side of the pictures that go in and come out."""
        return self.config.size

    @property
    def is_slow(self) -> bool:
        """Networks of the public size on a CPU."""
        return self.device.type == "cpu" and self.size >= _SLOW_SIZE

    @torch.inference_mode()
    def look_at(self, portrait: Frame) -> Source:
        """A portrait (size, size, 3) RGB. Raises `PermanentError` for another size."""
        picture = self._pictures([portrait])
        canonical = self.network.kp_detector(picture)
        pose = self._pose(picture)
        generator = self.network.generator
        volume = generator.appearance(picture.to(next(generator.parameters()).dtype))
        return Source(volume, canonical, pose, place(canonical, pose))

    def animate(
        self,
        source: Source,
        driving: Iterable[Frame],
        neutral: Frame,
        mode: MotionMode = "relative",
        adapt_scale: bool = False,
    ) -> Iterator[Frame]:
        """Frames (size, size, 3) of the source as it moves like the `driving` frames, one each, made batch by batch.

        `neutral` is the driving face at rest: motion counts from there. `adapt_scale` makes movements of keypoints as
        large as the source's face is to the driving's, in the mode `relative`. Raises `PermanentError` for frames of
        another size, and where `adapt_scale` finds no scale.
        """
        with torch.inference_mode():
            initial = self._pose(self._pictures([neutral]))
            start = place(source.canonical, initial)
        scale = movement_scale(source.keypoints, start) if adapt_scale else 1.0
        frames = iter(driving)
        while batch := list(islice(frames, self._batch)):
            with torch.inference_mode():
                pose = self._pose(self._pictures(batch))
                if mode == "pose-aware":
                    keypoints = pose_aware(source.canonical, source.pose, pose, initial)
                elif mode == "relative":
                    keypoints = relative(source.keypoints, place(source.canonical, pose), start, scale)
                else:
                    keypoints = place(source.canonical, pose)
                made = self.network.generator.move(source.volume, source.keypoints, keypoints).pictures
                pictures = (made.float() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
            yield from (np.ascontiguousarray(picture) for picture in pictures)

    @property
    def _batch(self) -> int:
        return _BATCH_GPU if self.device.type == "cuda" else _BATCH_CPU

    def _pose(self, pictures: Tensor) -> Pose:
        return pose_of(self.network.he_estimator(pictures), self.config.rotation)

    def _pictures(self, frames: list[Frame]) -> Tensor:
        for frame in frames:
            if frame.shape != (self.size, self.size, 3) or frame.dtype != np.uint8:
                wanted = (self.size, self.size, 3)
                raise PermanentError(
                    f"{FAMILY}: expected frames {wanted} of uint8, found {frame.shape} of {frame.dtype}"
                )
        batch = torch.from_numpy(np.stack(frames)).to(self.device)
        return batch.permute(0, 3, 1, 2).float() / 255


def _lost(folder: ModelFolder) -> bool:
    """Whether copying the source picture would have come nearer to the held-out frames."""
    measured = folder.config.get("held_out")
    return measured is not None and float(measured["l1"]["gain"]) <= 0


def _network_of_folder(folder: ModelFolder) -> FaceVid2Vid:
    config = FaceVid2VidNetworkConfig.model_validate(folder.config["network"])
    # The discriminator lies there too, for a further training.
    weights = {name: value for name, value in folder.weights().items() if name.partition(".")[0] in NETWORKS}
    with torch.device("meta"):
        network = FaceVid2Vid(config)
    network.load_state_dict(weights, strict=True, assign=True)
    return network


def _network_of_files(path: Path, estimator: Path | None) -> tuple[FaceVid2Vid, list[Path]]:
    checkpoint = read_public(path)
    brings: PublicCheckpoint | None = None if estimator is None else read_public(estimator)
    files = [path] if estimator is None else [path, estimator]
    return network_from(checkpoint, brings), files
