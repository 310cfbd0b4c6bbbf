"""The models that `magictalk animate` uses, opened; what is not there or cannot be read is one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.training.in_use import runs_in_use
from magictalk_core.training.run import current_model
from magictalk_core.workspace import Workspace

__all__ = ["open_emodiff", "open_refiner"]

_LIP_MODELS = ("audio2bs", "lip_residue")
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, OSError, RuntimeError, SafetensorError)
"""What readers of JSON, of safetensors and of torch's state dicts raise on files that are not what they should be."""


def open_emodiff(workspace: Workspace, folder: Path | None) -> tuple[EmoDiffModel, StyleBank, Path]:
    """The model in `folder`, by default the workspace's champion, its styles, and where it lies. Raises `UserError`."""
    step = f"`magictalk run --select models/emodiff --home {workspace.home}`"
    with _readable(workspace.models("emodiff") if folder is None else folder, step):
        path = current_model(workspace.models("emodiff")) if folder is None else folder
        return EmoDiffModel.load(path), StyleBank.load(path), path


def open_refiner(workspace: Workspace) -> LipRefiner:
    """The workspace's lip models. Raises `UserError`."""
    missing = [name for name in _LIP_MODELS if runs_in_use(workspace.models(name)) is None]
    step = f'`magictalk run --home {workspace.home} --select "+models/lip_residue"`'
    if missing:
        raise UserError(
            f"{workspace.home} has no trained {' and '.join(missing)}: type {step}, or give --no-lips for the mouth of "
            "EmoDiff alone"
        )
    with _readable(workspace.models("lip_residue"), step):
        return LipRefiner.of(current_model(workspace.models("lip_residue")), workspace.models("audio2bs"))


@contextmanager
def _readable(folder: Path, step: str) -> Iterator[None]:
    """What goes wrong in the block is the user's: no model, one of another kind, or a damaged one."""
    try:
        yield
    except PermanentError as error:
        said = str(error)
        raise UserError(said if "magictalk run" in said else f"{said}: make one with {step}") from error
    except _BROKEN as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{folder}: the model cannot be read ({what}): make it again with {step}") from error
