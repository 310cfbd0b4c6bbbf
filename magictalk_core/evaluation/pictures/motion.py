"""Whose motion is made into pictures: one MOTION table of every method of `pictures.methods`, for the chosen clips.

Self-driven, the methods come from the tables of generated and refined motion by their names; the two ablations that no
such table holds, without style and without separated mouth, are asked here. Cross-driven, when the speech is another
clip's, the models are asked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.evaluation.all_channels import refine_all_channels
from magictalk_core.evaluation.generate import EMODIFF, INDEPENDENT_WINDOWS, GeneratedMotion, motion_rows, to_motion
from magictalk_core.evaluation.lip_ablation import ALL_CHANNELS
from magictalk_core.evaluation.pictures.families import PICTURE_FAMILIES
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.evaluation.set_scores import NO_STYLE
from magictalk_core.evaluation.stand_ins import PartsUsed, stand_ins_of
from magictalk_core.evaluation.test_sets import clips_of_set, driving_clip
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.lip_residue.model import LipRefiner, audio2bs_of
from magictalk_core.models.sync_expert.model import SyncExpertModel
from magictalk_core.preparation.reader import CorpusReader, pick_style_clip
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame, table_metadata, write_table
from magictalk_core.storage.schema import MOTION
from magictalk_core.training.run import current_model, model_input
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["PICTURE_MOTION_VERSION", "driving_clips", "make_picture_motion"]

PICTURE_MOTION_VERSION = "1"
_FAMILIES: Mapping[str, tuple[str, ...]] = {
    MAGICTALK: (EMODIFF, "audio2bs", "lip_residue"),
    EMODIFF: (EMODIFF,),
    INDEPENDENT_WINDOWS: (EMODIFF,),
    NO_STYLE: (NO_STYLE,),
    ALL_CHANNELS: (EMODIFF, "sync_expert_all_channels"),
}
"""Methods that can be asked for any speech, and the models that they ask. Others are taken from the tables."""

Motion = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Asked:
    """One clip as it is asked: the speech that drives it, the clip that gives the style."""

    clip_id: str
    driver: str
    style_id: str
    speech: Motion
    voice: Motion | None
    feature_id: str
    style: Motion


def driving_clips(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> dict[str, str]:
    """Picture clip -> whose speech it speaks, in the order in which they are judged."""
    chosen = preset.pictures
    clips = clips_of_set(workspace, corpora, chosen.test_set, chosen.clips, preset.evaluation.max_clips)
    if chosen.driven == "self":
        return {clip_id: clip_id for _, clip_id in clips}
    readers = {corpus: CorpusReader(workspace, corpus) for corpus, _ in clips}
    speakers = {clip_id: str(readers[corpus].row(clip_id)["speaker"]) for corpus, clip_id in clips}
    return {clip_id: driving_clip(clips, clip_id, speakers) for _, clip_id in clips}


def make_picture_motion(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> GeneratedMotion:
    """Write `picture_motion/test/motion.parquet`, or return the finished one when nothing that it reads changed."""
    path = workspace.picture_motion("test") / "motion.parquet"
    tables = _tables(workspace)
    folders = _folders(workspace, tables, preset)
    drivers = driving_clips(workspace, corpora, preset)
    inputs = (
        *(input_of(workspace.home, kind, table) for kind, table in tables.items()),
        *(model_input(workspace, folder) for folder in folders.values()),
        *manifest_inputs(workspace, corpora),
    )
    settings = {
        "pictures": preset.pictures.model_dump(mode="json", include={"driven", "methods"}),
        "clips": drivers,
        "sampling": preset.emodiff.sampling.model_dump(mode="json"),
        "all_channels": preset.all_channels.model_dump(mode="json"),
        "seed": preset.evaluation.seed,
    }
    work = Work(workspace.home, "picture_motion", path, PICTURE_MOTION_VERSION, inputs, settings)
    if not work.is_made():
        rows = _methods(workspace, tables, folders, drivers, preset)
        write_table(MOTION, rows, path, {"sampling": table_metadata(tables["generated"])["sampling"]})
        used = [str(one) for one in stand_ins_of(PartsUsed.of(workspace, corpora), MAGICTALK, "")]
        work.record(clips={*drivers, *drivers.values()}, stand_ins=used)
    found = len(read_frame(MOTION, path, columns=["clip_id"]))
    return GeneratedMotion(path, file_md5(path), found, len(drivers))


def _tables(workspace: Workspace) -> dict[str, Path]:
    return {
        "generated": needed(workspace.generated("test") / "motion.parquet", "generated"),
        "refined": needed(workspace.refined("test") / "motion.parquet", "refined"),
    }


def _folders(workspace: Workspace, tables: Mapping[str, Path], preset: Preset) -> dict[str, Path]:
    """The models of the methods that no table holds: nobody needs to train an ablation that is not asked for."""
    there = {name for table in tables.values() for name in read_frame(MOTION, table, columns=["method"])["method"]}
    asked = set(preset.pictures.methods) - (there if preset.pictures.driven == "self" else set())
    wanted = {family for method in asked for family in _FAMILIES.get(method, ())}
    folders = {name: current_model(workspace.models(name)) for name in PICTURE_FAMILIES if name in wanted}
    if "lip_residue" in folders:
        folders["audio2bs"] = audio2bs_of(folders["lip_residue"], workspace.models("audio2bs"))
    return folders


def _methods(
    workspace: Workspace,
    tables: Mapping[str, Path],
    folders: Mapping[str, Path],
    drivers: Mapping[str, str],
    preset: Preset,
) -> pd.DataFrame:
    """MOTION rows of every asked method. Raises `UserError` for one that nobody makes."""
    wanted = preset.pictures.methods
    is_self = preset.pictures.driven == "self"
    there = pd.concat([read_frame(MOTION, table) for table in tables.values()], ignore_index=True)
    taken = there[there["clip_id"].isin(list(drivers)) & there["method"].isin(wanted)] if is_self else there.iloc[:0]
    missing = [name for name in wanted if name not in set(taken["method"])]
    unknown = [name for name in missing if name not in _FAMILIES]
    if unknown:
        known = sorted({*_FAMILIES, *there["method"]}) if is_self else list(_FAMILIES)
        raise UserError(f"pictures.methods: nobody makes {', '.join(unknown)}; there are {', '.join(known)}")
    asked = [_ask(workspace, clip, driver, preset) for clip, driver in drivers.items()]
    made = _make(folders, missing, asked, preset) if missing else []
    return pd.concat([taken, *made], ignore_index=True)


def _ask(workspace: Workspace, clip_id: str, driver: str, preset: Preset) -> _Asked:
    reader = CorpusReader(workspace, clip_id.split("/")[0])
    style_id = pick_style_clip(reader, clip_id)
    speaker = CorpusReader(workspace, driver.split("/")[0])
    heard = speaker.clip(driver)
    voice = speaker.voice(driver, len(heard.speech)) if preset.emodiff.sampling.rest else None
    return _Asked(clip_id, driver, style_id, heard.speech, voice, heard.feature_id, reader.motion(style_id)[0])


def _request(asked: _Asked, model: EmoDiffModel, seed: int) -> MotionRequest:
    style = asked.style[:, [MOTION_NAMES.index(name) for name in model.channels]]
    return MotionRequest(asked.speech, style[np.isfinite(style).all(axis=1)], None, seed, asked.voice)


def _make(
    folders: Mapping[str, Path], wanted: Sequence[str], asked: Sequence[_Asked], preset: Preset
) -> list[pd.DataFrame]:
    """MOTION rows of the methods that are asked here."""
    sampling, seed = preset.emodiff.sampling, preset.evaluation.seed

    @cache
    def model() -> EmoDiffModel:
        return EmoDiffModel.load(folders[EMODIFF], sampling=sampling)

    def by(family: EmoDiffModel, autoregressive: bool = True) -> list[Motion]:
        requests = [_request(one, family, seed) for one in asked]
        made = family.generate_many(requests, autoregressive=autoregressive)
        return [to_motion(motion, family.channels) for motion in made]

    @cache
    def plain() -> list[Motion]:
        return by(model())

    def refined() -> list[Motion]:
        lips = LipRefiner.load(folders["audio2bs"], folders["lip_residue"])
        rests = model().voice_of
        return [
            lips.refine(motion, MOTION_NAMES, one.speech[: len(motion)], one.feature_id, one.style, rests(one.voice))
            for motion, one in zip(plain(), asked, strict=True)
        ]

    def all_channels() -> list[Motion]:
        expert = SyncExpertModel.load(folders["sync_expert_all_channels"], "sync_expert_all_channels")
        return [
            refine_all_channels(
                expert, motion, MOTION_NAMES, one.speech[: len(motion)], one.feature_id, preset.all_channels
            )
            for motion, one in zip(plain(), asked, strict=True)
        ]

    ways: dict[str, Callable[[], list[Motion]]] = {
        EMODIFF: plain,
        MAGICTALK: refined,
        INDEPENDENT_WINDOWS: lambda: by(model(), autoregressive=False),
        NO_STYLE: lambda: by(EmoDiffModel.load(folders[NO_STYLE], sampling=sampling)),
        ALL_CHANNELS: all_channels,
    }
    return [
        motion_rows(one.clip_id, name, motion)
        for name in wanted
        for one, motion in zip(asked, ways[name](), strict=True)
    ]
