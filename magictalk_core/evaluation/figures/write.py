"""`figures/<name>/` and `videos/grids/`: what is shown of the chosen clips, signed; unchanged ones are not remade."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from magictalk_core.evaluation.figures.emotions import emotion_panels, figure9, in_every_style, style_clips
from magictalk_core.evaluation.figures.scene import Scene, motions_of, open_scene
from magictalk_core.evaluation.figures.stills import figure4, figure6, in_order
from magictalk_core.evaluation.figures.tiles import Picture, panel_grid
from magictalk_core.evaluation.paper_tables.rows import TITLES
from magictalk_core.evaluation.pictures.clip import NoFace
from magictalk_core.evaluation.pictures.families import COMPLEXITY_FAMILIES
from magictalk_core.evaluation.pictures.motion import driving_clips
from magictalk_core.evaluation.pictures.render import Renderer
from magictalk_core.evaluation.stand_ins import PORTRAIT
from magictalk_core.evaluation.test_sets import NAMED_SETS
from magictalk_core.media.encode import write_video
from magictalk_core.media.tile import Panel
from magictalk_core.models.lip_residue.model import audio2bs_of
from magictalk_core.portrait.label import provenance_metadata
from magictalk_core.portrait.picture_file import write_labelled_png
from magictalk_core.portrait.provenance import sign_picture, sign_video
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.hashes import directory_md5, file_md5
from magictalk_core.training.run import current_model, model_input
from magictalk_core.vocabulary.emotions import NEUTRAL
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Input, Work, input_of, output_md5
from magictalk_core.workspace import Workspace

__all__ = ["FIGURES", "FIGURES_VERSION", "Figure", "write_grids"]

FIGURES_VERSION = "4"
_PANEL = 224
_LIST = "shown.json"


@dataclass(frozen=True)
class Figure:
    """The folder of a figure."""

    path: Path
    md5: str


@dataclass(frozen=True, eq=False)
class _Signer:
    """Signs what `work` makes. `unsigned`: file -> its md5 before, which two runs have in common; a signature has a
    time."""

    work: Work
    unsigned: dict[str, str] = field(default_factory=dict)

    def sign(self, path: Path, signed: Callable[[Path, Work], object]) -> None:
        self.unsigned[path.name] = file_md5(path)
        signed(path, self.work)


def _inputs(workspace: Workspace, corpora: Sequence[str]) -> list[Input]:
    motion = needed(workspace.picture_motion("test") / "motion.parquet", "picture_motion")
    rig = needed(workspace.rig / "rig.npz", "rig")
    home = workspace.home
    return [input_of(home, "picture_motion", motion), input_of(home, "rig", rig), *manifest_inputs(workspace, corpora)]


def _figure(
    workspace: Workspace,
    out: Path,
    kind: str,
    inputs: Sequence[Input],
    settings: Mapping[str, Any],
    clips: Sequence[str],
    draw: Callable[[Path, _Signer], Mapping[str, Any]],
) -> Figure:
    """`draw` fills the folder and says what it shows."""
    work = Work(workspace.home, kind, out, FIGURES_VERSION, inputs, {**settings, "clips": list(clips)})
    if not work.is_made():
        signer = _Signer(work)
        with atomic_directory(out) as folder:
            shown = draw(folder, signer)
            (folder / _LIST).write_text(json.dumps(shown, indent=1), encoding="utf-8")
        version = directory_md5([(_LIST, file_md5(out / _LIST)), *signer.unsigned.items()])
        work.record(clips=clips, stand_ins=[str(PORTRAIT)], digests={"dagster": version})
    return Figure(out, output_md5(out))


def _save(folder: Path, name: str, picture: Picture, signer: _Signer) -> str:
    path = folder / f"{name}.png"
    write_labelled_png(path, picture, provenance_metadata(model=name, style="see the figure"))
    signer.sign(path, sign_picture)
    return path.name


def write_figure4(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> Figure:
    """Stills of the methods for the first and the last picture clip."""
    clips = _ends(list(driving_clips(workspace, corpora, preset)))

    def draw(folder: Path, signer: _Signer) -> Mapping[str, Any]:
        return _each(
            workspace, clips, _most_frames(preset), lambda scene, name: _save(folder, name, figure4(scene, {}), signer)
        )

    return _figure(
        workspace, workspace.figures / "figure4", "figure4", _inputs(workspace, corpora), _shown_of(preset), clips, draw
    )


def write_figure6(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> Figure:
    """With and without style on the rig: an angry clip as in the paper where there is one, else the most emotional."""
    clips = [_clip_of(workspace, list(driving_clips(workspace, corpora, preset)), _EMOTIONAL)]

    def draw(folder: Path, signer: _Signer) -> Mapping[str, Any]:
        return _each(
            workspace, clips, _most_frames(preset), lambda scene, name: _save(folder, name, figure6(scene), signer)
        )

    return _figure(
        workspace, workspace.figures / "figure6", "figure6", _inputs(workspace, corpora), _shown_of(preset), clips, draw
    )


_Wish = Callable[[str | None], bool]
_EMOTIONAL: tuple[_Wish, ...] = (lambda emotion: emotion == "angry", lambda emotion: emotion not in (None, NEUTRAL))
_AT_REST: tuple[_Wish, ...] = (lambda emotion: emotion == NEUTRAL,)


def _clip_of(workspace: Workspace, clips: Sequence[str], wishes: Sequence[_Wish]) -> str:
    """The first clip with an emotion of the first wish that any of them fulfils; the first of all where none does."""
    readers = {clip.split("/")[0]: CorpusReader(workspace, clip.split("/")[0]) for clip in clips}
    emotions = {clip: readers[clip.split("/")[0]].row(clip)["emotion"] for clip in clips}
    for wanted in wishes:
        for clip, emotion in emotions.items():
            if wanted(emotion):
                return clip
    return clips[0]


def write_figure9(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> Figure:
    """One face and one voice in every style, from a neutral face where there is one: stills, and a video with sound."""
    clip = _clip_of(workspace, list(driving_clips(workspace, corpora, preset)), _AT_REST)
    folders = {family: current_model(workspace.models(family)) for family in COMPLEXITY_FAMILIES}
    folders["audio2bs"] = audio2bs_of(folders["lip_residue"], workspace.models("audio2bs"))
    inputs = [*_inputs(workspace, corpora)[1:], *(model_input(workspace, folder) for folder in folders.values())]
    settings: dict[str, Any] = {
        "sampling": preset.emodiff.sampling.model_dump(mode="json"),
        "seed": preset.evaluation.seed,
    }
    settings |= _shown_of(preset)
    reader = CorpusReader(workspace, clip.split("/")[0])
    styles = style_clips(reader, clip)

    def draw(folder: Path, signer: _Signer) -> Mapping[str, Any]:
        motions = in_every_style(reader, clip, styles, folders, preset)
        with open_scene(workspace, clip, motions, _most_frames(preset)) as scene:
            still = _save(folder, "figure9", figure9(scene), signer)
            video = _video(folder, "figure9", emotion_panels(scene), scene, signer, "every emotion")
        return {"speech": clip, "styles": styles, "picture": still, "video": video}

    shown = [clip, *styles.values()]
    return _figure(workspace, workspace.figures / "figure9", "figure9", inputs, settings, shown, draw)


def write_grids(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> Figure:
    """A video per picture clip: the recording and every method, through portrait and rig, with sound and counter."""
    clips = list(driving_clips(workspace, corpora, preset))

    def draw(folder: Path, signer: _Signer) -> Mapping[str, Any]:
        def one(scene: Scene, name: str) -> str:
            return _video(folder, name, _method_panels(scene), scene, signer, "a clip of the same emotion")

        return _each(workspace, clips, _most_frames(preset), one)

    return _figure(
        workspace, workspace.videos / "grids", "grids", _inputs(workspace, corpora), _shown_of(preset), clips, draw
    )


def _method_panels(scene: Scene) -> list[list[Panel]]:
    rows = []
    for renderer in (Renderer.PORTRAIT, Renderer.RIG):
        first = Panel("recorded", scene.clip.frames[: scene.frames]) if renderer is Renderer.PORTRAIT else None
        drawn = {"true curves": scene.clip.motion, **dict(in_order(scene.motions))}
        panels = [Panel(_short(name), scene.drawn(renderer, motion), SYNTHETIC_LABEL) for name, motion in drawn.items()]
        rows.append([*([first] if first is not None else [_blank(scene)]), *panels])
    return rows


def _blank(scene: Scene) -> Panel:
    return Panel("", np.full((scene.frames, _PANEL, _PANEL, 3), 245, np.uint8))


def _short(method: str) -> str:
    return TITLES.get(method, method).replace(", w/o lip refinement", "")


def _video(folder: Path, name: str, panels: list[list[Panel]], scene: Scene, signer: _Signer, style: str) -> str:
    path = folder / f"{name}.mp4"
    metadata = provenance_metadata(model="several methods", style=style, source=scene.clip.clip_id)
    write_video(path, panel_grid(panels, _PANEL), FRAME_RATE, scene.clip.audio, metadata=metadata)
    signer.sign(path, sign_video)
    return path.name


def _shown_of(preset: Preset) -> dict[str, Any]:
    return {"frames": _most_frames(preset)}


def _most_frames(preset: Preset) -> int | None:
    return NAMED_SETS[preset.pictures.test_set].most_frames(preset.pictures.seconds)


def _ends(clips: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([clips[0], clips[-1]]))


def _each(
    workspace: Workspace, clips: Sequence[str], most_frames: int | None, make: Callable[[Scene, str], str]
) -> dict[str, Any]:
    """clip -> what was made of it: the file, or the reason why there is none."""
    made: dict[str, Any] = {}
    for clip in clips:
        try:
            with open_scene(workspace, clip, motions_of(workspace, clip), most_frames) as scene:
                made[clip] = {"file": make(scene, clip.replace("/", "-"))}
        except NoFace as error:
            made[clip] = {"reason": str(error)}
    return made


FIGURES: Mapping[str, Callable[[Workspace, Sequence[str], Preset], Figure]] = {
    "figure4": write_figure4,
    "figure6": write_figure6,
    "figure9": write_figure9,
    "grids": write_grids,
}
