"""Where in a picture a person is: the selfie segmentation network of the mediapipe wheel, on LiteRT.

Its last layer is an operator of MediaPipe's own (`Convolution2DTransposeBias`), which LiteRT does not know. The graph
is cut before it, and the layer, four small matrix products, is computed here.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from magictalk_core.errors import PermanentError
from magictalk_core.faces.litert import LiteRtModel
from magictalk_core.weights.resolver import resolve

__all__ = ["PERSON_WEIGHTS", "PersonMask", "load_person_mask"]

PERSON_WEIGHTS = "selfie_segmentation.tflite"
_LAST_LAYER = b"Convolution2DTransposeBias"


class PersonMask:
    """The network, from the bytes of its file. Not safe for use from several threads."""

    def __init__(self, content: bytes) -> None:
        trunk, self._kernel, self._bias = _cut(content)
        self._trunk = LiteRtModel(trunk)

    def of(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(h, w) 0..1: how surely each pixel of a picture (h, w, 3) is a person. As fine as 256 by 256 pixels."""
        side = self._trunk.side
        small = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        (features,) = self._trunk.run(small)
        # Stride and size of the kernel are both 2: every value becomes a square of its own.
        squares = np.einsum("hwc,abc->hawb", features[0], self._kernel)
        mask = expit(squares.reshape(side, side) + self._bias).astype(np.float32)
        return np.asarray(cv2.resize(mask, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def load_person_mask() -> PersonMask:
    """Raises what `resolve` raises where the file is not here and cannot be fetched."""
    return PersonMask(resolve(PERSON_WEIGHTS).read_bytes())


def _cut(content: bytes) -> tuple[bytes, NDArray[np.float32], float]:
    """The graph up to its last convolution, and that layer's kernel (2, 2, channels) and bias."""
    # Imported here: the schema is a megabyte of generated code.
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    codes = [model.operatorCodes[operator.opcodeIndex].customCode for operator in graph.operators]
    if codes.count(_LAST_LAYER) != 1:
        raise PermanentError(f"{PERSON_WEIGHTS}: expected one {_LAST_LAYER.decode()}, found {codes.count(_LAST_LAYER)}")
    at = codes.index(_LAST_LAYER)
    features, kernel, bias = (int(index) for index in graph.operators[at].inputs)
    # Both are stored with 16 bits, and made longer by an operator each.
    origin = {int(o.outputs[0]): int(o.inputs[0]) for o in graph.operators[:at] if len(o.inputs) == 1}
    held = []
    for index in (kernel, bias):
        tensor = graph.tensors[origin[index]]
        values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float16).astype(np.float32)
        held.append(values.reshape(tensor.shape))
    graph.operators, graph.outputs, model.signatureDefs = graph.operators[:at], [features], None
    builder = schema.flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), held[0][0], float(held[1][0])
