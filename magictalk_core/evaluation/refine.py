"""The whole method on the test clips of a workspace: EmoDiff's motion with refined lips."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from magictalk_core.evaluation.generate import EMODIFF, STYLES, GeneratedMotion, motion_rows
from magictalk_core.evaluation.stand_ins import PartsUsed, stand_ins_of
from magictalk_core.models.emodiff.config import SamplingConfig
from magictalk_core.models.lip_residue.model import LipRefiner, audio2bs_of
from magictalk_core.models.methods import MAGICTALK
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame, table_metadata, write_table
from magictalk_core.storage.schema import MOTION
from magictalk_core.training.run import current_model, model_input
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["MAGICTALK", "REFINED_VERSION", "refine_test_motion"]

REFINED_VERSION = "3"


def refine_test_motion(workspace: Workspace, corpora: Sequence[str]) -> GeneratedMotion:
    """A MOTION table of the method `magictalk`, or the finished one when motion and models are unchanged."""
    generated = workspace.generated("test")
    needed(generated / "motion.parquet", "generated")
    path = workspace.refined("test") / "motion.parquet"
    residue = current_model(workspace.models("lip_residue"))
    audio2bs = audio2bs_of(residue, workspace.models("audio2bs"))
    inputs = (
        input_of(workspace.home, "generated", generated / "motion.parquet"),
        *(model_input(workspace, folder) for folder in (audio2bs, residue)),
        *manifest_inputs(workspace, corpora),
    )
    work = Work(workspace.home, "refined", path, REFINED_VERSION, inputs)
    if not work.is_made():
        refiner = LipRefiner.load(audio2bs, residue)
        styles = json.loads((generated / STYLES).read_text(encoding="utf-8"))
        motion = read_frame(MOTION, generated / "motion.parquet", filters=[("method", "==", EMODIFF)])
        readers = {corpus: CorpusReader(workspace, corpus) for corpus in corpora}
        # Refined from the motion of a model that was asked in some way: the mouth rests as it does, the stamp goes on.
        asked = table_metadata(generated / "motion.parquet")["sampling"]
        sampling, tables = SamplingConfig.model_validate_json(asked), []
        for clip_id, table in motion.groupby("clip_id", sort=True, observed=True):
            reader = readers[str(clip_id).split("/")[0]]
            clip, style = reader.clip(str(clip_id)), reader.motion(styles[str(clip_id)])[0]
            made = table.sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)
            voice = reader.voice(str(clip_id), len(made)) if sampling.rest else None
            refined = refiner.refine(made, MOTION_NAMES, clip.speech[: len(made)], clip.feature_id, style, voice)
            tables.append(motion_rows(str(clip_id), MAGICTALK, refined))
        write_table(MOTION, pd.concat(tables, ignore_index=True), path, {"sampling": asked})
        used = [str(one) for one in stand_ins_of(PartsUsed.of(workspace, corpora), MAGICTALK, "")]
        work.record(clips=[*styles, *styles.values()], stand_ins=used)
    found = read_frame(MOTION, path, columns=["clip_id"])
    return GeneratedMotion(path, file_md5(path), len(found), found["clip_id"].nunique())
