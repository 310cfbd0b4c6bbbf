"""The folder that one run of a system works in: the checkout by links, with what the run gets and may write of its own.

The checkout itself is never written to, so that clips do not meet each other's files in it and two systems may run side
by side: MakeItTalk reads every sound of its folder `examples`, PD-FGC and EVP write into their own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from magictalk_core.evaluation.external.system import ExternalSystem
from magictalk_core.media.decode import read_frames

__all__ = ["Given", "lay_out", "outputs_in"]


@dataclass(frozen=True, eq=False)
class Given:
    """What a system may get of one clip: the portrait (h, w, 3) RGB, the clip's sound, and the video of the clip that
    shows its style."""

    portrait: NDArray[np.uint8]
    audio: Path
    style_video: Path


def lay_out(system: ExternalSystem, checkout: Path, folder: Path, given: Given) -> None:
    """Fill the empty `folder` for one run."""
    own = {Path(path) for path in system.own}
    own |= {parent for path in own for parent in path.parents if parent != Path(".")}
    declared = {Path(path) for path in system.own}
    _link_all(checkout, folder, Path("."), own, declared)
    for path in sorted(declared):
        (folder / path).mkdir(parents=True, exist_ok=True)
    for name in system.linked:
        _link(folder / name, checkout / name)
    for name, target in system.aliases.items():
        _link(folder / name, folder / target)
    _give(system, folder, given)


def _link_all(checkout: Path, folder: Path, inside: Path, own: set[Path], declared: set[Path]) -> None:
    """Links to all that lies `inside` the checkout; folders on the way to one of the run's own are made anew."""
    for entry in sorted((checkout / inside).iterdir()) if (checkout / inside).is_dir() else []:
        path = inside / entry.name
        if path in declared or entry.name == ".git":
            continue
        if path in own:
            (folder / path).mkdir()
            _link_all(checkout, folder, path, own, declared)
        else:
            _link(folder / path, entry)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target.absolute())


def _give(system: ExternalSystem, folder: Path, given: Given) -> None:
    for what, name in system.gives.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if what == "portrait":
            _save_portrait(given.portrait, system.portrait_side, target)
        elif what == "style_frames":
            target.mkdir()
            for index, frame in enumerate(read_frames(given.style_video)):
                Image.fromarray(frame).save(target / f"{index:06d}.png")
        else:
            shutil.copyfile(given.audio if what == "audio" else given.style_video, target)


def _save_portrait(portrait: NDArray[np.uint8], side: int | None, target: Path) -> None:
    if side is not None and portrait.shape[:2] != (side, side):
        shrinks = side < max(portrait.shape[:2])
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        portrait = np.asarray(cv2.resize(portrait, (side, side), interpolation=how), np.uint8)
    if target.suffix == ".jpg":
        # As good as it gets: the system asks for this suffix, and its losses are not ours to add.
        Image.fromarray(portrait).save(target, quality=100, subsampling=0)
    else:
        Image.fromarray(portrait).save(target)


def outputs_in(folder: Path, pattern: str) -> Iterator[Path]:
    """Files of a run that match the pattern of its output, by name."""
    yield from sorted(path for path in folder.glob(pattern) if path.is_file())
