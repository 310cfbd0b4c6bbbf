"""SyncNet: whether a mouth and a sound belong together, by the network of the public file `syncnet_v2.model`.

Chung and Zisserman, Out of time (2016), in the form of joonson/syncnet_python (SyncNetModel.py, SyncNetInstance.py):
windows of five whole face crops of 224 x 224, BGR, 0..255, against 20 steps of 13 MFCC. `syncnet_crops` cuts the faces
as that project's run_pipeline.py does, in memory and without its lossy intermediate video.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import medfilt
from torch import Tensor, nn

from magictalk_core.errors import PermanentError
from magictalk_core.judges.published import load_strictly, ready, state_dict_of
from magictalk_core.metrics.pictures import picture_batch
from magictalk_core.metrics.syncnet import SyncScore, sync_score
from magictalk_core.speech.mfcc import mfcc_syncnet
from magictalk_core.weights.resolver import resolve

__all__ = ["SIDE", "SyncNet", "SyncNetNetwork", "syncnet_crops"]

SIDE = 224
_FRAMES, _STEPS, _STEPS_PER_FRAME, _SAMPLES_PER_FRAME = 5, 20, 4, 640
_BATCH = 20
_MARGIN = 0.4
_PADDING = 110
_SMOOTHED = 13


def _sound_layers() -> list[nn.Module]:
    layers: list[nn.Module] = []
    pools = {0: nn.MaxPool2d(1, 1), 1: nn.MaxPool2d(3, (1, 2)), 4: nn.MaxPool2d(3, 2)}
    channels = 1
    for number, width in enumerate((64, 192, 384, 256, 256)):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [pools[number]] if number in pools else []
        channels = width
    return [*layers, nn.Conv2d(256, 512, (5, 4)), nn.BatchNorm2d(512), nn.ReLU()]


def _face_layers() -> list[nn.Module]:
    return [
        nn.Conv3d(3, 96, (5, 7, 7), (1, 2, 2)),
        nn.BatchNorm3d(96),
        nn.ReLU(),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)),
        nn.BatchNorm3d(256),
        nn.ReLU(),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        *(
            layer
            for _ in range(3)
            for layer in (nn.Conv3d(256, 256, (1, 3, 3), 1, (0, 1, 1)), nn.BatchNorm3d(256), nn.ReLU())
        ),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        nn.Conv3d(256, 512, (1, 6, 6)),
        nn.BatchNorm3d(512),
        nn.ReLU(),
    ]


def _embedding_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


class SyncNetNetwork(nn.Module):
    """Both towers; the names of the weights are those of the public file."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(*_sound_layers())
        self.netfcaud = _embedding_layers()
        self.netcnnlip = nn.Sequential(*_face_layers())
        self.netfclip = _embedding_layers()

    def sound(self, mfcc: Tensor) -> Tensor:
        """(b, 1, 13, 20) -> (b, 1024), not normalised."""
        found: Tensor = self.netfcaud(self.netcnnaud(mfcc).flatten(1))
        return found

    def faces(self, windows: Tensor) -> Tensor:
        """(b, 3, 5, 224, 224) -> (b, 1024), not normalised."""
        found: Tensor = self.netfclip(self.netcnnlip(windows).flatten(1))
        return found


class SyncNet:
    """SyncNet in use."""

    def __init__(self, network: SyncNetNetwork) -> None:
        self._network = network

    @classmethod
    def load(cls, device: str = "cpu") -> SyncNet:
        """With `syncnet_v2.model`; raises `MissingWeights` where it is not here."""
        return cls.from_file(resolve("syncnet_v2.model"), device)

    @classmethod
    def from_file(cls, path: Path, device: str = "cpu") -> SyncNet:
        """From a state dict in the public layout; raises `PermanentError` for any other."""
        network = SyncNetNetwork()
        load_strictly(network, state_dict_of(path), str(path))
        return cls(ready(network, device))

    def score(self, frames: NDArray[Any], sound: NDArray[Any]) -> SyncScore:
        """Of the face crops (n, H, W, 3) uint8 RGB of a clip at 25 fps and its mono sound (m,) int16 at 16 kHz.

        The longer of the two is cut. Crops of another size than 224 are resized to it. Raises `PermanentError` for
        fewer than 6 frames, sound in floats (SyncNet's MFCC needs the int16 scale), and other shapes.
        """
        return sync_score(*self.embeddings(frames, sound))

    def embeddings(self, frames: NDArray[Any], sound: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(faces, sound), (w, 1024) each, of the windows of the same arguments; w is frames - 5."""
        pictures = picture_batch(frames)
        if sound.ndim != 1 or sound.dtype != np.int16:
            raise PermanentError(f"SyncNet: expected mono int16 sound (m,), found {sound.shape} of {sound.dtype}")
        count = min(len(pictures), len(sound) // _SAMPLES_PER_FRAME) - _FRAMES
        if count < 1:
            raise PermanentError(
                f"SyncNet: expected at least {_FRAMES + 1} frames of picture and sound, found {len(pictures)} and "
                f"{len(sound) // _SAMPLES_PER_FRAME}"
            )
        bgr = np.stack([_fitted(frame)[..., ::-1] for frame in pictures[: count + _FRAMES - 1]])
        mfcc = torch.from_numpy(mfcc_syncnet(sound).T.copy())
        device = next(self._network.parameters()).device
        faces, heard = [], []
        with torch.inference_mode():
            for start in range(0, count, _BATCH):
                places = range(start, min(start + _BATCH, count))
                windows = torch.from_numpy(np.stack([bgr[i : i + _FRAMES] for i in places])).to(device)
                faces.append(self._network.faces(windows.permute(0, 4, 1, 2, 3).float()).cpu())
                steps = [mfcc[None, :, _STEPS_PER_FRAME * i : _STEPS_PER_FRAME * i + _STEPS] for i in places]
                heard.append(self._network.sound(torch.stack(steps).to(device)).cpu())
        return torch.cat(faces).numpy(), torch.cat(heard).numpy()


def _fitted(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if frame.shape[:2] == (SIDE, SIDE):
        return frame
    return np.asarray(cv2.resize(frame, (SIDE, SIDE)), np.uint8)


def syncnet_crops(frames: NDArray[Any], boxes: NDArray[Any]) -> NDArray[np.uint8]:
    """(n, 224, 224, 3): the faces of a clip as SyncNet wants them, from its frames (n, H, W, 3) and the box of the
    speaker's face in each (n, 4): x, y, width, height in pixels, NaN where it was not found.

    Boxes that are missing lie on the line between those around them; centre and size are the median of 13 frames; the
    crop reaches 0.4 of the face beyond it, more below than above, into grey where the picture ends. Raises
    `PermanentError` where no frame has a box.
    """
    pictures, found = picture_batch(frames), np.asarray(boxes, np.float64)
    seen = np.isfinite(found).all(axis=1) if found.shape == (len(pictures), 4) else np.zeros(0, bool)
    if not seen.any():
        raise PermanentError(f"SyncNet crops: expected boxes ({len(pictures)}, 4), one at least, found {found.shape}")
    moments = np.arange(len(found))
    x, y, width, height = (np.interp(moments, moments[seen], found[seen, i]) for i in range(4))
    half, middle_x, middle_y = np.maximum(width, height) / 2, x + width / 2, y + height / 2
    places = np.column_stack([_smoothed(v) for v in (middle_x, middle_y, half)])
    return np.stack([_face(frame, *place) for frame, place in zip(pictures, places, strict=True)])


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of 13; the first and last value repeated beyond the ends, where the original has zeros and shrinks."""
    edge = _SMOOTHED // 2
    return np.asarray(medfilt(np.pad(values, edge, mode="edge"), _SMOOTHED)[edge:-edge])


def _face(frame: NDArray[np.uint8], x: float, y: float, half: float) -> NDArray[np.uint8]:
    border = int(half * (1 + 2 * _MARGIN)) + 1
    grey = (_PADDING, _PADDING, _PADDING)
    padded = cv2.copyMakeBorder(frame, border, border, border, border, cv2.BORDER_CONSTANT, value=grey)
    x, y = x + border, y + border
    top, bottom = int(y - half), int(y + half * (1 + 2 * _MARGIN))
    left, right = int(x - half * (1 + _MARGIN)), int(x + half * (1 + _MARGIN))
    return np.asarray(cv2.resize(padded[max(0, top) : bottom, max(0, left) : right], (SIDE, SIDE)), np.uint8)
