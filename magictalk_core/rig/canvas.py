"""Off-screen drawing with moderngl over EGL: a GPU where there is one, Mesa's software renderer elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = ["Canvas"]


class Canvas:
    """An RGB picture with depth and 4x multisampling, `size` wide and, where no `height` is given, as high; `close` it.

    A process may hold several, in one thread: whatever talks to GL does so inside `with canvas.active():`, since GL has
    one current context and the other canvas may have taken it.
    """

    def __init__(self, size: int, height: int | None = None) -> None:
        # Imported here: it needs a system library, and only drawing needs it.
        import moderngl

        self.size = size
        self.height = size if height is None else height
        sides = (self.size, self.height)
        try:
            create: Any = moderngl.create_standalone_context
            self.context: Any = create(backend="egl")
        except Exception as error:  # moderngl raises bare Exception when no EGL is there
            raise PermanentError(
                f"no off-screen renderer ({error}): type `apt-get install -y libegl1 libgl1 libgl1-mesa-dri`"
            ) from error
        self.context.enable(moderngl.DEPTH_TEST)
        self._multisampled = self.context.framebuffer(
            self.context.renderbuffer(sides, 4, samples=4),
            self.context.depth_renderbuffer(sides, samples=4),
        )
        self._resolved = self.context.framebuffer(self.context.renderbuffer(sides, 4))

    @contextmanager
    def active(self) -> Iterator[None]:
        """This canvas's context is the current one inside."""
        with self.context:
            yield

    def begin(self, background: tuple[float, float, float]) -> None:
        self._multisampled.use()
        self.write()
        self._multisampled.clear(*background, 1.0)

    def write(self, colour: bool = True, depth: bool = True) -> None:
        """What drawing changes from here on."""
        self._multisampled.color_mask = (colour,) * 4
        self._multisampled.depth_mask = depth

    def picture(self) -> NDArray[np.uint8]:
        """What was drawn, (height, size, 3), top row first."""
        self.context.copy_framebuffer(self._resolved, self._multisampled)
        raw = np.frombuffer(self._resolved.read(components=3, alignment=1), np.uint8)
        return np.ascontiguousarray(raw.reshape(self.height, self.size, 3)[::-1])

    def close(self) -> None:
        self.context.release()
