"""Figure 9: one face and one voice in the style of every emotion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.figures.scene import Motion, Scene
from magictalk_core.evaluation.figures.stills import chosen_frames, times_of
from magictalk_core.evaluation.figures.tiles import Picture, StillRow, still_grid
from magictalk_core.evaluation.generate import EMODIFF, to_motion
from magictalk_core.evaluation.pictures.crops import crops_of
from magictalk_core.evaluation.pictures.render import Renderer
from magictalk_core.media.tile import Panel
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.preparation.reader import CorpusReader, usable_clips
from magictalk_core.presets.preset import Preset
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL

__all__ = ["emotion_panels", "figure9", "in_every_style", "style_clips"]

_STILL, _COLUMNS = 160, 6


def style_clips(reader: CorpusReader, clip_id: str) -> dict[str, str]:
    """Emotion -> the clip that shows it: of the speaker where there is one, else of anybody; the strongest first, never
    the clip itself. Raises `PermanentError` for a corpus without emotion labels."""
    clips = usable_clips(reader).reset_index(drop=True)
    labelled = clips[clips["emotion"].notna() & (clips["clip_id"] != clip_id)]
    if not len(labelled):
        raise PermanentError(f"Figure 9: no clip of corpus `{reader.corpus}` has an emotion label")
    speaker = str(reader.row(clip_id)["speaker"])
    order = pd.DataFrame(
        {
            "emotion": labelled["emotion"].astype(str),
            "other": labelled["speaker"] != speaker,
            "level": -labelled["level"].fillna(0).astype(int),
            "clip_id": labelled["clip_id"],
        }
    ).sort_values(["emotion", "other", "level", "clip_id"])
    first = order.drop_duplicates("emotion")
    return dict(zip(first["emotion"], first["clip_id"].astype(str), strict=True))


def in_every_style(
    reader: CorpusReader, clip_id: str, styles: Mapping[str, str], folders: Mapping[str, Path], preset: Preset
) -> dict[str, Motion]:
    """Emotion -> motion (n, 58) of the clip's speech in that style, by EmoDiff with refined lips; one seed for all."""
    model = EmoDiffModel.load(folders[EMODIFF], sampling=preset.emodiff.sampling)
    lips = LipRefiner.load(folders["audio2bs"], folders["lip_residue"])
    heard = reader.clip(clip_id)
    frames = {emotion: reader.motion(style)[0] for emotion, style in styles.items()}
    places = [MOTION_NAMES.index(name) for name in model.channels]
    voice = reader.voice(clip_id, len(heard.speech)) if model.rests else None
    requests = []
    for own in frames.values():
        style = own[:, places]
        requests.append(
            MotionRequest(heard.speech, style[np.isfinite(style).all(axis=1)], None, preset.evaluation.seed, voice)
        )
    made = [to_motion(motion, model.channels) for motion in model.generate_many(requests)]
    return {
        emotion: lips.refine(motion, MOTION_NAMES, heard.speech[: len(motion)], heard.feature_id, own, voice)
        for (emotion, own), motion in zip(frames.items(), made, strict=True)
    }


def figure9(scene: Scene) -> Picture:
    """Stills of the scene's motions, which are one per emotion."""
    at = chosen_frames(next(iter(scene.motions.values()))[: scene.frames], _COLUMNS)
    boxes = scene.clip.track.boxes()
    rows = []
    for emotion, motion in scene.motions.items():
        frames = scene.drawn(Renderer.PORTRAIT, motion)
        rows.append(StillRow(emotion, [crops_of(frames[i : i + 1], boxes[i : i + 1], _STILL)[0] for i in at]))
    return still_grid(f"Figure 9: the speech of {scene.clip.clip_id} in every style", times_of(at), rows, _STILL)


def emotion_panels(scene: Scene, columns: int = 4) -> list[list[Panel]]:
    """One panel per emotion, in rows of `columns`."""
    panels = [
        Panel(emotion, list(scene.drawn(Renderer.PORTRAIT, motion)), SYNTHETIC_LABEL)
        for emotion, motion in scene.motions.items()
    ]
    return [panels[i : i + columns] for i in range(0, len(panels), columns)]
