"""Off-screen drawing with moderngl over EGL: a GPU where there is one, Mesa's software renderer elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = ["Canvas"]


class Canvas:
    """A square RGB picture with depth, smooth at its edges; `close` it.

    By 4x multisampling, or with `oversampled` by drawing at twice the size: for a mesh of many small triangles Mesa's
    software renderer takes half the time for that (decision 024).

    A process may hold several, in one thread: whatever talks to GL does so inside `with canvas.active():`, since GL has
    one current context and the other canvas may have taken it.
    """

    def __init__(self, size: int, oversampled: bool = False) -> None:
        # Imported here: it needs a system library, and only drawing needs it.
        import moderngl

        self.size = size
        try:
            create: Any = moderngl.create_standalone_context
            self.context: Any = create(backend="egl")
        except Exception as error:  # moderngl raises bare Exception when no EGL is there
            raise PermanentError(
                f"no off-screen renderer ({error}): type `apt-get install -y libegl1 libgl1 libgl1-mesa-dri`"
            ) from error
        self.context.enable(moderngl.DEPTH_TEST)
        self._drawn, self._resolved = self._targets(oversampled)

    def _targets(self, oversampled: bool) -> tuple[Any, Any]:
        """What is drawn into, and what its samples are gathered in."""
        make, side = self.context, self.size * (2 if oversampled else 1)
        many = {} if oversampled else {"samples": 4}
        drawn = make.framebuffer(
            make.renderbuffer((side, side), 4, **many), make.depth_renderbuffer((side, side), **many)
        )
        return drawn, None if oversampled else make.framebuffer(make.renderbuffer((side, side), 4))

    @contextmanager
    def active(self) -> Iterator[None]:
        """This canvas's context is the current one inside."""
        with self.context:
            yield

    def begin(self, background: tuple[float, float, float]) -> None:
        self._drawn.use()
        self._drawn.clear(*background, 1.0)

    def picture(self) -> NDArray[np.uint8]:
        """What was drawn, (size, size, 3), top row first."""
        if self._resolved is None:
            side = 2 * self.size
            raw = np.frombuffer(self._drawn.read(components=3, alignment=1), np.uint8).reshape(side, side, 3)
            fine = cv2.resize(raw, (self.size, self.size), interpolation=cv2.INTER_AREA)
            return np.ascontiguousarray(fine[::-1], np.uint8)
        self.context.copy_framebuffer(self._resolved, self._drawn)
        raw = np.frombuffer(self._resolved.read(components=3, alignment=1), np.uint8)
        return np.ascontiguousarray(raw.reshape(self.size, self.size, 3)[::-1])

    def close(self) -> None:
        self.context.release()
