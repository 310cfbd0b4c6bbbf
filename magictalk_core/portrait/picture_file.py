"""Writing labelled pictures: PNG with the machine-readable tags of generated media; equal pixels, equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from magictalk_core.storage.atomic import atomic_path

__all__ = ["write_labelled_png"]


def write_labelled_png(path: Path, picture: NDArray[np.uint8], metadata: Mapping[str, str]) -> None:
    """Write (h, w, 3) RGB with `metadata` as text chunks."""
    info = PngInfo()
    for name, value in metadata.items():
        info.add_itxt(name, value)
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", pnginfo=info)
