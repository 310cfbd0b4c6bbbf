"""The models that `magictalk animate` and `live` use, opened; what is not there or cannot be read is one line.

In this order: the folder that was named, the workspace's own (its champion, or what was trained last), those that come
with the package. Models that began from others (`training.init`) give way to those where they follow held-out clips
less well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from magictalk_core.commands.init_choice import gain_over
from magictalk_core.commands.lip_choice import lip_worth
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.models.emodiff.blinks import BLINKS_FILE, BlinkStatistics
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.lip_residue.gain import Face, Gain
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.lip_residue.worth import LipWorth, base_worth
from magictalk_core.models.shipped.base import BASE, base_folder, base_name
from magictalk_core.models.shipped.initial import SHIPPED, initial_folder
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.in_use import runs_in_use
from magictalk_core.training.initial import begun_from
from magictalk_core.training.run import WEIGHTS, current_model, newest_run
from magictalk_core.workspace import Workspace

__all__ = [
    "Beginning",
    "LivePerformers",
    "Performers",
    "beginning_of",
    "open_live_models",
    "open_models",
    "readable",
]

_LIP_MODELS = ("audio2bs", "lip_residue")
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, OSError, RuntimeError, SafetensorError)
"""What readers of JSON, of safetensors and of torch's state dicts raise on files that are not what they should be."""

_STUDENT = "emodiff_student"
_FEW = 4
"""Evaluations of a model that was not distilled for few: of a solver that offline takes 20."""

Motion = NDArray[np.float32]
_Which = Callable[[Path], Path]
"""From the runs of a family to the model folder of one of them."""


@dataclass(frozen=True, eq=False)
class Performers:
    """EmoDiff with its styles and, where lips are refined, the models that do it.

    `name`: what is printed; `stamp`: what goes with what they make, and holds no path. `folder` is EmoDiff's.
    `remarks`: why they are not what was asked for.
    """

    name: str
    stamp: str
    folder: Path
    emodiff: EmoDiffModel
    styles: StyleBank
    refiner: LipRefiner | None
    remarks: tuple[str, ...] = ()

    @property
    def face(self) -> Face:
        return Face(self.emodiff, self.styles, self.refiner)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Of every model that takes part."""
        lips = () if self.refiner is None else (self.refiner.audio2bs.folder.path, self.refiner.folder.path)
        return (self.folder, *lips)

    def perform(self, speech: Motion, voice: Motion, style: Motion, seed: int) -> Motion:
        """(L, D) motion in EmoDiff's channels of speech (L, F) with the `speech.activity` voice (L,), in the mood of
        style frames (k, D)."""
        emodiff = self.emodiff
        state = emodiff.generate(speech, style, None, seed, voice=voice)
        if self.refiner is None:
            return state
        rests = emodiff.voice_of(voice)
        return self.refiner.refine(state, emodiff.channels, speech, emodiff.feature_id, style, rests)


def open_models(workspace: Workspace, model: Path | None = None, lips: bool = True) -> Performers:
    """`model`: a folder of EmoDiff or its student, or the name `magictalk-base`; None: what the workspace has, else
    `magictalk-base`. With `lips` the mouth is refined where refinement was seen to gain. The workspace's models give
    way to those that their training began from where these follow held-out clips better. Raises `UserError`."""
    return _opened(workspace, model, lips, judged_by_lips=lips)


def _opened(workspace: Workspace, model: Path | None, lips: bool, judged_by_lips: bool) -> Performers:
    is_own = runs_in_use(workspace.models("emodiff")) is not None
    if model == Path(BASE) or (model is None and not is_own):
        return _shipped(lips)
    own = _own(workspace, model, lips)
    return own if model is not None else _unless_it_lost(workspace, own, lips, judged_by_lips)


def _own(workspace: Workspace, model: Path | None, lips: bool, which: _Which = current_model) -> Performers:
    """`model`, or the workspace's own, with its lips: of each family that one that `which` finds among its runs."""
    step = f"`magictalk run --select models/emodiff --home {workspace.home}`"
    with readable(workspace.models("emodiff") if model is None else model, step):
        path = which(workspace.models("emodiff")) if model is None else model
        emodiff, styles = EmoDiffModel.load(path), StyleBank.load(path)
    stamp = f"emodiff {file_md5(path / WEIGHTS)[:12]}"
    refiner = _own_refiner(workspace, which) if lips else None
    worth = None if refiner is None else lip_worth(workspace, emodiff, path, refiner)
    if worth is not None and not worth.is_worth:
        return Performers(str(path), stamp, path, emodiff, styles, None, (_remark(worth),))
    return Performers(str(path), stamp, path, emodiff, styles, refiner)


@dataclass(frozen=True, eq=False)
class Beginning:
    """What a workspace's models began from, and what they gained over it; None where nothing was held out to tell."""

    models: Performers
    gain: Gain | None


def beginning_of(workspace: Workspace) -> Beginning | None:
    """Of the workspace's newest models, as `animate` uses models; None for those that began from chance. Raises
    `UserError`, also where what they began from is gone."""
    if runs_in_use(workspace.models("emodiff")) is None:
        return None
    own = _own(workspace, None, _has_lips(workspace), _newest_model)
    return _beginning(workspace, own, _newest_model)


def _newest_model(runs: Path) -> Path:
    return newest_run(runs).path


def _beginning(workspace: Workspace, own: Performers, which: _Which = current_model) -> Beginning | None:
    lips = [which(workspace.models(name)) for name in _LIP_MODELS] if _has_lips(workspace) else []
    named = [init for init in map(begun_from, (own.folder, *lips)) if init is not None]
    if not named:
        return None
    before = _begun(named[0])
    return Beginning(before, gain_over(workspace, (before.face, [*before.folders]), (own.face, [*own.folders])))


def _begun(init: str) -> Performers:
    """The models that `training.init` names, as `animate` uses them."""
    if init in (SHIPPED, BASE):
        return _shipped(lips=True)
    if runs_in_use(Workspace(Path(init)).models("emodiff")) is not None:
        return open_models(Workspace(Path(init)))
    with readable(Path(init), "`magictalk run --init base`"):
        folder = initial_folder("emodiff", init)
        refiner = LipRefiner.load(initial_folder("audio2bs", init), initial_folder("lip_residue", init))
        emodiff, styles = EmoDiffModel.load(folder), StyleBank.load(folder)
        return Performers(init, f"emodiff {file_md5(folder / WEIGHTS)[:12]}", folder, emodiff, styles, refiner)


def _unless_it_lost(workspace: Workspace, own: Performers, lips: bool, judged_by_lips: bool) -> Performers:
    """`own`, or what it began from where that follows held-out clips better, and why."""
    whole = own if own.refiner is not None or not _has_lips(workspace) else _own(workspace, None, True)
    try:
        began = _beginning(workspace, whole)
    except UserError as error:
        return replace(own, remarks=(*own.remarks, f"not compared with what these models began from: {error}"))
    if began is None or began.gain is None:
        return own
    gain, before = began.gain, began.models
    lost = not gain.is_worth if judged_by_lips else gain.emodiff_after < gain.emodiff_before
    if not lost:
        return own
    said = gain.sentence(before.name) if judged_by_lips else gain.sentence_of_emodiff(before.name)
    remark = f"{own.name} is not used: {said}"
    return replace(before, refiner=before.refiner if lips else None, remarks=(*before.remarks, remark))


def _has_lips(workspace: Workspace) -> bool:
    return all(runs_in_use(workspace.models(name)) is not None for name in _LIP_MODELS)


@dataclass(frozen=True, eq=False)
class LivePerformers:
    """What performs while somebody speaks: `motion` moves the face in the moods of `styles`, `refiner` the mouth.

    `name`: what is printed.
    """

    name: str
    motion: EmoDiffModel
    styles: StyleBank
    refiner: LipRefiner


def open_live_models(workspace: Workspace, model: Path | None = None) -> LivePerformers:
    """`model` as in `open_models`. The few-step student moves the face where there is one, else EmoDiff itself in
    `_FEW` evaluations; the mouth is always that of the lip models, which need no second of speech to come. Raises
    `UserError`."""
    students = workspace.models(_STUDENT)
    if model is None and runs_in_use(workspace.models("emodiff")) and runs_in_use(students):
        model = current_model(students)
    performers = _opened(workspace, model, lips=False, judged_by_lips=True)
    motion = performers.emodiff
    if performers.folder == base_folder("emodiff"):
        with readable(base_folder(), "`pip install --force-reinstall magictalk`"):
            if (base_folder() / _STUDENT).is_dir():
                motion = EmoDiffModel.load(base_folder(_STUDENT))
            refiner = LipRefiner.load(base_folder("audio2bs"), base_folder("lip_residue"))
    else:
        refiner = _own_refiner(workspace)
    if motion.sampling.sampler != "student":
        few, blinks = {"sampler": "dpmpp", "evaluations": _FEW}, motion.blinks
        if (performers.folder / BLINKS_FILE).is_file():
            # In so few evaluations a network that blinks does not: 3 a minute in place of 17.
            few, blinks = few | {"blinks": "drawn"}, BlinkStatistics.load(performers.folder)
        motion = replace(motion, sampling=motion.sampling.model_copy(update=few), blinks=blinks)
    return LivePerformers(performers.name, motion, performers.styles, refiner)


def _shipped(lips: bool) -> Performers:
    with readable(base_folder(), "`pip install --force-reinstall magictalk`"):
        folder, worth = base_folder("emodiff"), base_worth()
        emodiff, styles = EmoDiffModel.load(folder), StyleBank.load(folder)
        used = lips and worth.is_worth
        refiner = LipRefiner.load(base_folder("audio2bs"), base_folder("lip_residue")) if used else None
        remarks = (_remark(worth),) if lips and not used else ()
        return Performers(base_name(), base_name(), folder, emodiff, styles, refiner, remarks)


def _remark(worth: LipWorth) -> str:
    return (
        f"the mouth is EmoDiff's own: on {worth.clips} held-out clips refined lips followed the jaw with r "
        f"{worth.refined:.2f}, EmoDiff's with {worth.emodiff:.2f}"
    )


def _own_refiner(workspace: Workspace, which: _Which = current_model) -> LipRefiner:
    """The workspace's lip models. Raises `UserError`."""
    missing = [name for name in _LIP_MODELS if runs_in_use(workspace.models(name)) is None]
    step = f'`magictalk run --home {workspace.home} --select "+models/lip_residue"`'
    if missing:
        raise UserError(
            f"{workspace.home} has no trained {' and '.join(missing)}: type {step}, or give --no-lips for the mouth of "
            "EmoDiff alone"
        )
    with readable(workspace.models("lip_residue"), step):
        return LipRefiner.of(which(workspace.models("lip_residue")), workspace.models("audio2bs"))


@contextmanager
def readable(folder: Path, step: str) -> Iterator[None]:
    """What goes wrong in the block is the user's: no model, one of another kind, or a damaged one."""
    try:
        yield
    except PermanentError as error:
        said = str(error)
        raise UserError(said if "magictalk run" in said else f"{said}: make one with {step}") from error
    except _BROKEN as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{folder}: the model cannot be read ({what}): make it again with {step}") from error
