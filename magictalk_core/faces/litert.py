"""LiteRT models on one thread: results do not depend on a thread count, and processes give the parallelism."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LiteRtModel"]


@contextmanager
def _without_notes() -> Iterator[None]:
    """Keep LiteRT's native `INFO:` lines, which no setting turns off, from standard error; everything else passes."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            notes.seek(0)
            os.write(2, b"".join(line for line in notes if not line.startswith(b"INFO: ")))


class LiteRtModel:
    """A `.tflite` model with one float32 input. Not safe for use from several threads.

    `shape`: of the input, without its batch dimension. `side`: its first number, height and width of the picture for
    models that take one.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with _without_notes():
            self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]
        self.shape = tuple(int(n) for n in self._input["shape"][1:])
        self.side = self.shape[0]

    def run(self, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Outputs in the model's order for one input without its batch dimension."""
        self._interpreter.set_tensor(self._input["index"], values[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]

    def run_picture(self, picture: NDArray[np.uint8], scale: float, offset: float = 0.0) -> list[NDArray[np.float32]]:
        """`run` on picture * scale + offset, computed where the model reads it."""
        values = self._interpreter.tensor(self._input["index"])()[0]
        np.multiply(picture, np.float32(scale), out=values, dtype=np.float32)
        if offset:
            values += np.float32(offset)
        # The interpreter refuses to run while its memory is looked at.
        del values
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]

    def invoke(self) -> None:
        """Run on the last input once more: the bare speed of the model."""
        self._interpreter.invoke()
