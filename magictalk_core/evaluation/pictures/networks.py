"""The networks that judge pictures, each loaded once per process, or the sentence that says what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from magictalk_core.errors import MissingWeights
from magictalk_core.judges.emotion_fan import OWN_EMOTION_FAN, EmotionFan
from magictalk_core.judges.expression import FaceApiExpression, FerExpression
from magictalk_core.judges.face_landmarks68 import Landmarks68
from magictalk_core.judges.identity import FaceRecognition
from magictalk_core.judges.inception import INCEPTION_WEIGHTS, Inception
from magictalk_core.judges.lpips import Lpips
from magictalk_core.judges.syncnet import SyncNet
from magictalk_core.weights.resolver import find

__all__ = [
    "Judge",
    "emotion_fan",
    "face_api_expression",
    "fer_expression",
    "identity",
    "inception",
    "landmarks",
    "lpips_alex",
    "lpips_vgg",
    "syncnet",
    "weights_here",
]

_BROUGHT = ("alexnet-owt-7be5be79.pth", "vgg16-397923af.pth", "syncnet_v2.model", INCEPTION_WEIGHTS)
"""Weights that no package registry carries: a table is made again when one of them comes."""


@dataclass(frozen=True, eq=False)
class Judge:
    """A network, or None and what is `missing`: the file, where it comes from and the command. `weights` names what
    judges, for the table."""

    weights: str
    network: Any
    missing: str | None = None

    def use(self) -> Any:
        """The network. Raises `MissingWeights` where it is not here."""
        if self.network is None:
            raise MissingWeights(self.missing or f"{self.weights} is not here")
        return self.network


def weights_here() -> list[str]:
    """Those of the files that people must bring which are here: part of what a score was made from."""
    return [name for name in _BROUGHT if find(name) is not None]


def _judge(weights: str, load: Callable[[], Any]) -> Judge:
    try:
        return Judge(weights, load())
    except MissingWeights as error:
        return Judge(weights, None, _what_to_fetch(error))


def _what_to_fetch(error: MissingWeights) -> str:
    """The file and the command, without the folders of this machine."""
    if error.file is None:
        return " ".join(str(error).split())
    command = f"magictalk weights fetch {error.file}"
    return f"needs `{error.file}`: type `{command}`, or bring the file (`magictalk weights list`)"


@cache
def landmarks() -> Judge:
    return _judge("face-api face_landmark_68", Landmarks68.load)


@cache
def face_api_expression() -> Judge:
    return _judge("face-api face_expression", FaceApiExpression.load)


@cache
def fer_expression() -> Judge:
    return _judge("fer mini-XCEPTION", FerExpression.load)


@cache
def emotion_fan(folder: Path | None) -> Judge:
    """The project's own, from the model folder that is in use; None where nobody trained it."""
    if folder is None:
        return Judge(
            OWN_EMOTION_FAN, None, "needs the model `emotion_fan`: type `magictalk run --select models/emotion_fan`"
        )
    return Judge(OWN_EMOTION_FAN, EmotionFan.load(folder))


@cache
def identity() -> Judge:
    return _judge("face-api face_recognition", FaceRecognition.load)


@cache
def inception() -> Judge:
    return _judge("Inception-v3 of pytorch-fid", Inception.load)


@cache
def lpips_alex() -> Judge:
    return _judge("alexnet of torchvision, heads of lpips 0.1", lambda: Lpips.load("alex"))


@cache
def lpips_vgg() -> Judge:
    return _judge("vgg16 of torchvision, heads of lpips 0.1", lambda: Lpips.load("vgg"))


@cache
def syncnet() -> Judge:
    return _judge("syncnet_v2.model", SyncNet.load)
