"""Who draws a portrait for `magictalk animate`: the warp of its own texture, or face-vid2vid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.renderer_choice import WARP, NeuralRenderer, RendererWish, open_renderer
from magictalk_core.errors import MissingWeights, TransientError, UserError
from magictalk_core.faces.person_mask import PERSON_WEIGHTS, load_person_mask
from magictalk_core.portrait.face import PortraitFace
from magictalk_core.portrait.matte import WholeHead, whole_head
from magictalk_core.portrait.scene import DEFAULT_SIZES, Crop, Scene
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.vocabulary.stand_ins import PORTRAIT
from magictalk_core.work.provenance import Input
from magictalk_core.workspace import Workspace

__all__ = ["Drawable", "Drawing", "Look", "drawing_of", "even_side", "head_of"]


@dataclass(frozen=True)
class Look:
    """How a portrait is shown: `crop` a value of `portrait.scene.Crop`, `size` that of `portrait.scene.Scene` (without
    one `DEFAULT_SIZES` holds, an odd one becomes the next even one), and who draws it."""

    size: int | None = None
    crop: str = Crop.FACE
    renderer: RendererWish = field(default_factory=RendererWish)


class Drawable(Protocol):
    """A portrait that is ready to move; `close` it. Frames are (height, width, 3)."""

    width: int
    height: int

    def render(
        self, motion: NDArray[np.floating], breath_cm: NDArray[np.floating] | None = None
    ) -> Iterator[NDArray[np.uint8]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, eq=False)
class Drawing:
    """A portrait before it is opened. `name` goes with what is made and holds no path; `asked` and `inputs` are what
    the frames depend on, the portrait itself aside; `size` is even."""

    name: str
    size: int
    asked: Mapping[str, object]
    inputs: tuple[Input, ...]
    stand_ins: tuple[str, ...]
    open: Callable[[], Drawable]


def drawing_of(
    workspace: Workspace, look: Look, face: Callable[[], tuple[PortraitFace, list[str]]], portrait: Path
) -> tuple[Drawing, PortraitFace, list[str]]:
    """Who draws the `face`, that face, and what its user should know of it.

    `face` is asked once the look is known to be possible. Raises `UserError` for a crop or a renderer that is none,
    for both together where they do not go, and for weights that are not there.
    """
    if look.crop not in set(Crop):
        raise UserError(f"--crop {look.crop}: expected one of {', '.join(Crop)}")
    framing = Crop(look.crop)
    neural = open_renderer(workspace, look.renderer)
    if neural and framing is not Crop.FACE:
        raise UserError(
            f"--crop {framing}: --renderer {look.renderer.name} draws the face alone: leave one of them out"
        )
    seen, told = face()
    wanted = DEFAULT_SIZES[framing] if look.size is None else look.size
    size = even_side(wanted, told)
    if neural:
        told += neural.remarks(size)
        return _by_networks(neural, seen, size), seen, told
    return _by_warp(portrait, seen, framing, size, told), seen, told


def even_side(size: int, told: list[str]) -> int:
    """The side that a video has when `size` was asked for; a change is told."""
    even = size + size % 2
    if even != size:
        told.append(f"--size {size}: made {even} pixels wide, H.264 takes even sides only")
    return even


def _by_networks(neural: NeuralRenderer, face: PortraitFace, size: int) -> Drawing:
    asked = {"renderer": neural.name, "renderer_motion": neural.wish.mode, "adapt_scale": neural.wish.adapt_scale}
    return Drawing(neural.name, size, asked, neural.inputs, neural.stand_ins, lambda: neural.animator(face, size))


def _by_warp(portrait: Path, face: PortraitFace, framing: Crop, size: int, told: list[str]) -> Drawing:
    head = head_of(portrait, face, told)
    asked = {"renderer": WARP, "crop": framing.value, "cut_out": head.person is not None}

    def scene() -> Scene:
        return Scene(face.rgb, face.landmarks, builtin_rig(), framing, size, head)

    return Drawing(WARP, size, asked, (), (str(PORTRAIT),), scene)


def head_of(portrait: Path, face: PortraitFace, told: list[str]) -> WholeHead:
    """The head around the face; where its background cannot be told from it, that is told."""
    try:
        network = load_person_mask()
    except (MissingWeights, TransientError) as error:
        told.append(
            f"{portrait}: the background moves a little with the head: the network that tells a person from it is not "
            f"here ({error}): type `magictalk weights fetch {PERSON_WEIGHTS}`"
        )
        return WholeHead(None)
    head = whole_head(network, face.rgb, face.landmarks)
    if head.person is None:
        told.append(f"{portrait}: no person is told from the background, which moves a little with the head")
    return head
