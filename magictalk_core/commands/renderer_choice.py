"""Which renderer draws a talking video: the warp of the portrait's own texture, or face-vid2vid with its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from magictalk_core.commands.file_record import file_input
from magictalk_core.commands.opened_models import readable
from magictalk_core.commands.untrusted import must_be_file
from magictalk_core.errors import UserError
from magictalk_core.models.facevid2vid.model import FAMILY, FaceVid2VidModel, MotionMode
from magictalk_core.models.facevid2vid.renderer import NeuralAnimator
from magictalk_core.portrait.face import PortraitFace
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.training.in_use import runs_in_use
from magictalk_core.training.run import current_model, model_input
from magictalk_core.vocabulary.stand_ins import StandIn
from magictalk_core.work.provenance import Input
from magictalk_core.workspace import Workspace

__all__ = ["MOTION_MODES", "RENDERERS", "WARP", "NeuralRenderer", "RendererWish", "open_renderer", "renderer_wish"]

WARP = "warp"
RENDERERS = (WARP, FAMILY)
MOTION_MODES: tuple[MotionMode, ...] = ("relative", "pose-aware", "absolute")

_AS_PUBLISHED = StandIn(
    "portrait",
    "facevid2vid-as-published",
    "face-vid2vid, fine-tuned on TalkingHead-1KH",
    "expressions weaker than a fine-tuned one's",
)
"""What a video says of itself that weights of others drew."""

_WHERE = (
    "SadTalker's release v0.0.2 has facevid2vid_00189-model.pth.tar, "
    "https://github.com/OpenTalker/SadTalker/releases/tag/v0.0.2, for non-commercial use"
)


@dataclass(frozen=True)
class RendererWish:
    """A renderer by name. `weights`: a model folder or a public file, None: the workspace's own; `estimator`: a public
    file that lends its estimator; `mode`: how the rig's motion becomes the portrait's; `adapt_scale`: made as large as
    the portrait's face."""

    name: str = WARP
    weights: Path | None = None
    estimator: Path | None = None
    mode: MotionMode = "relative"
    adapt_scale: bool = False


def renderer_wish(
    name: str | None, weights: Path | None, estimator: Path | None, mode: str | None, adapt_scale: bool
) -> RendererWish:
    """What was typed, None where nothing was. Raises `UserError` for names that are none, and for what has no meaning
    together."""
    if name is not None and name not in RENDERERS:
        raise UserError(f"--renderer {name}: expected one of {', '.join(RENDERERS)}")
    modes = {one: one for one in MOTION_MODES}
    if mode is not None and mode not in modes:
        raise UserError(f"--renderer-motion {mode}: expected one of {', '.join(modes)}")
    given = {
        "--renderer-weights": weights, "--renderer-estimator": estimator, "--renderer-motion": mode,
        "--adapt-scale": adapt_scale or None,
    }  # fmt: skip
    named = [option for option, value in given.items() if value is not None]
    if named and name != FAMILY:
        raise UserError(f"{', '.join(named)}: only --renderer {FAMILY} takes it: add that, or leave it out")
    chosen = modes["relative" if mode is None else mode]
    if adapt_scale and chosen != "relative":
        raise UserError(f"--adapt-scale: has a meaning for relative motion, not for --renderer-motion {chosen}")
    return RendererWish(name or WARP, weights, estimator, chosen, adapt_scale)


@dataclass(frozen=True, eq=False)
class NeuralRenderer:
    """Face-vid2vid with its weights. `name` goes with what it draws and holds no path; `inputs` are its weights."""

    name: str
    wish: RendererWish
    model: FaceVid2VidModel
    inputs: tuple[Input, ...]
    stand_ins: tuple[str, ...]

    def animator(self, face: PortraitFace, size: int) -> NeuralAnimator:
        """The face, ready to move; `close` it."""
        wish = self.wish
        rig = builtin_rig()
        return NeuralAnimator(self.model, face.rgb, face.landmarks, rig, size, wish.mode, wish.adapt_scale)

    def remarks(self, size: int) -> list[str]:
        """What to know of frames of that size before they are made."""
        found = []
        if size > self.model.size:
            found.append(f"{self.name} draws {self.model.size} pixels: enlarged to {size} by Lanczos, no sharper")
        if self.model.is_slow:
            found.append(f"no GPU: {self.name} takes 10 to 35 seconds of a core for a frame (docs/neural_renderer.md)")
        if self.model.is_worse_than_copying:
            found.append(
                f"{self.name} is worse than its source picture copied, on its own held-out clips: train it longer"
            )
        return found


def open_renderer(workspace: Workspace, wish: RendererWish) -> NeuralRenderer | None:
    """The networks of a wish, None for the warp, which has none. Raises `UserError` where weights are not there or
    cannot be used."""
    if wish.name == WARP:
        return None
    runs = workspace.models(FAMILY)
    if wish.weights is None and runs_in_use(runs) is None:
        raise UserError(
            f"--renderer {FAMILY} needs weights, and {runs} has no trained model: give --renderer-weights FILE with a "
            f"public one ({_WHERE}), or train your own with `magictalk run --select models/{FAMILY} --home "
            f"{workspace.home}`"
        )
    path = current_model(runs) if wish.weights is None else wish.weights
    step = f"`magictalk run --select models/{FAMILY} --home {workspace.home}`"
    if _is_folder(path):
        if wish.estimator is not None:
            raise UserError(f"{path}: a model folder has an estimator of its own: leave out --renderer-estimator")
        with readable(path, step):
            model = FaceVid2VidModel.load(path)
        return NeuralRenderer(model.name, wish, model, (model_input(workspace, path),), ())
    for file in (path, wish.estimator):
        if file is not None:
            must_be_file(file, "file of face-vid2vid's weights")
    model = FaceVid2VidModel.load(path, wish.estimator)
    inputs = tuple(file_input("model", file) for file in model.files)
    return NeuralRenderer(model.name, wish, model, inputs, (str(_AS_PUBLISHED),))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
