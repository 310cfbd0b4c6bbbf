"""Figure 4: stills of the methods below the recording. Figure 6: what the style embedding does, on the rig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.figures.scene import Motion, Scene
from magictalk_core.evaluation.figures.tiles import Picture, StillRow, still_grid
from magictalk_core.evaluation.generate import EMODIFF
from magictalk_core.evaluation.paper_tables.rows import TITLES
from magictalk_core.evaluation.pictures.clip import read_video
from magictalk_core.evaluation.pictures.crops import crops_of
from magictalk_core.evaluation.pictures.render import Renderer
from magictalk_core.evaluation.set_scores import NO_STYLE
from magictalk_core.rig.render import RigRenderer
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["chosen_frames", "difference_picture", "figure4", "figure6", "in_order", "times_of"]

_COLUMNS = 6
_STILL = 192
_FULL_CM = 0.5
"""Difference that is drawn in the strongest colour."""


def chosen_frames(motion: Motion, columns: int = _COLUMNS) -> list[int]:
    """Of every equal part of a motion (n, 58) the frame with the widest open jaw: frames in which something is said."""
    jaw = np.nan_to_num(motion[:, MOTION_NAMES.index("jawOpen")])
    parts = [part for part in np.array_split(np.arange(len(motion)), columns) if len(part)]
    return [int(part[jaw[part].argmax()]) for part in parts]


def figure4(scene: Scene, others: Mapping[str, Path]) -> Picture:
    """The recording, every method and the finished videos of `others` (title -> file), cut with one track."""
    at = chosen_frames(scene.clip.motion[: scene.frames])
    boxes = scene.clip.track.boxes()

    def cut(frames: NDArray[np.uint8], scale: float = 1.0) -> list[Picture]:
        track = scene.clip.track if scale == 1.0 else scene.clip.track.scaled_to(frames.shape[2], frames.shape[1])
        own = boxes if scale == 1.0 else track.boxes()
        return [crops_of(frames[i : i + 1], own[i : i + 1], _STILL)[0] for i in at if i < len(frames)]

    rows = [StillRow("Ground truth", cut(scene.clip.frames), is_synthetic=False)]
    rows += [
        StillRow(TITLES.get(method, method), cut(scene.drawn(Renderer.PORTRAIT, motion)))
        for method, motion in in_order(scene.motions)
    ]
    for title, video in others.items():
        rows.append(StillRow(title, cut(read_video(video, scene.frames), 0.0)))
    return still_grid(f"Figure 4: {scene.clip.clip_id}", times_of(at), rows, _STILL)


def in_order(motions: Mapping[str, Motion]) -> list[tuple[str, Motion]]:
    """In the order of the tables; others behind by name."""
    places = {name: place for place, name in enumerate(TITLES)}
    return sorted(motions.items(), key=lambda pair: (places.get(pair[0], len(places)), pair[0]))


def times_of(at: Sequence[int]) -> list[str]:
    """Headings of the columns: when each frame is seen."""
    return [f"{i / FRAME_RATE:.2f} s" for i in at]


def figure6(scene: Scene) -> Picture:
    """With and without style embedding on the rig, and where the face differs. Raises `PermanentError` where one of the
    two methods is not drawn."""
    lacking = [name for name in (EMODIFF, NO_STYLE) if name not in scene.motions]
    if lacking:
        raise PermanentError(f"Figure 6 shows {', '.join(lacking)}: add it to pictures.methods")
    styled, plain = scene.motions[EMODIFF], scene.motions[NO_STYLE]
    at = chosen_frames(styled[: scene.frames])
    drawn = {name: scene.drawn(Renderer.RIG, motion) for name, motion in ((EMODIFF, styled), (NO_STYLE, plain))}
    rows = [
        StillRow("Recorded", [scene.clip.crops[i] for i in at], is_synthetic=False),
        StillRow("With style embedding", [drawn[EMODIFF][i] for i in at]),
        StillRow("Without", [drawn[NO_STYLE][i] for i in at]),
        StillRow(
            f"Difference, up to {_FULL_CM:g} cm", [difference_picture(scene.rig, styled[i], plain[i]) for i in at]
        ),
    ]
    emotion = scene.clip.emotion or "no emotion label"
    return still_grid(f"Figure 6: {scene.clip.clip_id}, {emotion}", times_of(at), rows, _STILL)


def difference_picture(rig: Rig, one: NDArray[np.floating], other: NDArray[np.floating]) -> Picture:
    """The rig in the shape of motion row `one` (58,), coloured by how far each vertex is from where `other` puts it;
    white is 0, red is 0.5 cm and more. Head pose does not count."""
    shapes = [rig.shape(row[: len(ARKIT_NAMES)]) for row in (one, other)]
    share = np.clip(np.linalg.norm(shapes[0] - shapes[1], axis=1) / _FULL_CM, 0, 1)[:, None]
    colours = (1 - share) * np.array([0.93, 0.93, 0.93]) + share * np.array([0.85, 0.1, 0.1])
    renderer = RigRenderer(replace(rig, colours=colours.astype(np.float32)), _STILL)
    try:
        still = np.asarray(one, np.float32).copy()
        still[len(ARKIT_NAMES) :] = 0
        return renderer.frame(still)
    finally:
        renderer.close()
