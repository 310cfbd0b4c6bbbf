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
    """An RGB picture with depth, smooth at its edges, `size` wide and, where no `height` is given, as high; `close` it.

    By 4x multisampling, or with `oversampled` by drawing at twice the size: for a mesh of many small triangles Mesa's
    software renderer takes half the time for that (decision 024).

    A process may hold several, in one thread: whatever talks to GL does so inside `with canvas.active():`, since GL has
    one current context and the other canvas may have taken it.
    """

    def __init__(self, size: int, height: int | None = None, *, oversampled: bool = False) -> None:
        # Imported here: it needs a system library, and only drawing needs it.
        import moderngl

        self.size = size
        self.height = size if height is None else height
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
        make, times = self.context, 2 if oversampled else 1
        sides = (self.size * times, self.height * times)
        many = {} if oversampled else {"samples": 4}
        drawn = make.framebuffer(make.renderbuffer(sides, 4, **many), make.depth_renderbuffer(sides, **many))
        return drawn, None if oversampled else make.framebuffer(make.renderbuffer(sides, 4))

    @contextmanager
    def active(self) -> Iterator[None]:
        """This canvas's context is the current one inside."""
        with self.context:
            yield

    def begin(self, background: tuple[float, float, float]) -> None:
        self._drawn.use()
        self.write()
        self._drawn.clear(*background, 1.0)

    def write(self, colour: bool = True, depth: bool = True) -> None:
        """What drawing changes from here on."""
        self._drawn.color_mask = (colour,) * 4
        self._drawn.depth_mask = depth

    def picture(self) -> NDArray[np.uint8]:
        """What was drawn, (height, size, 3), top row first."""
        if self._resolved is None:
            raw = np.frombuffer(self._drawn.read(components=3, alignment=1), np.uint8)
            whole = raw.reshape(2 * self.height, 2 * self.size, 3)
            fine = cv2.resize(whole, (self.size, self.height), interpolation=cv2.INTER_AREA)
            return np.ascontiguousarray(fine[::-1], np.uint8)
        self.context.copy_framebuffer(self._resolved, self._drawn)
        raw = np.frombuffer(self._resolved.read(components=3, alignment=1), np.uint8)
        return np.ascontiguousarray(raw.reshape(self.height, self.size, 3)[::-1])

    def close(self) -> None:
        self.context.release()
