"""Comparison videos appear as a whole and signed, or not at all; a clip without a portrait is a row with a reason."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from magictalk_core.commands.verify import verify_file
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.evaluation.comparison import Comparison, render_comparisons
from magictalk_core.evaluation.generate import motion_rows
from magictalk_core.faces.extract import frames_table
from magictalk_core.faces.observation import NO_FACE, FaceObservation
from magictalk_core.media.decode import read_frames
from magictalk_core.media.encode import write_video
from magictalk_core.portrait import generated
from magictalk_core.portrait.provenance import read_provenance
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.rig import save_rig
from magictalk_core.sample_corpus.portraits import speaker_portrait
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, MEDIA, MOTION
from magictalk_core.work.manifest import build_manifest
from magictalk_core.workspace import Workspace
from tests.test_corpora_gates import clip, media

FRAMES_PER_CLIP = 4


def preset(size: int = 96, rig: str = "") -> Preset:
    return Preset.model_validate({"name": "tiny", "evaluation": {"video_size": size, "rig": rig}})


def _observation(found: bool) -> FaceObservation:
    return FaceObservation(True, 0.9, None, np.full(52, 0.1, np.float32), np.ones(6, np.float32)) if found else NO_FACE


def held_out(workspace: Workspace, raw: Path, pictures: dict[str, tuple[NDArray[np.uint8], bool]]) -> None:
    """Test clips that stand still; by name the picture, and whether a tracker found a face in it."""
    raw.mkdir()
    add_corpus(workspace, new_entry(name="c", kind="folder", root=raw))
    clips, medias, frames = [], [], []
    for name, (picture, found) in pictures.items():
        clips.append(clip(name, split="test"))
        write_video(workspace.corpus("c") / f"{name}.mp4", [picture] * FRAMES_PER_CLIP, 25, None)
        medias.append(media(name, video_path=f"{name}.mp4", video_md5=name))
        frames.append(frames_table(f"c/s/{name}", [_observation(found)] * FRAMES_PER_CLIP, "litert-geometric/3"))
    write_table(CLIPS, clips, workspace.clips_table("c"))
    write_table(MEDIA, medias, workspace.shard_table("c", "media", "b0"))
    write_table(FRAMES, pa.concat_tables(frames), workspace.shard_table("c", "blendshapes", "b0"))
    build_manifest(workspace.dataset("c"), workspace.manifest("c"))
    save_rig(builtin_rig(), workspace.rig / "rig.npz")
    reader = CorpusReader(workspace, "c")
    motions = [
        motion_rows(f"c/s/{name}", "magictalk", np.nan_to_num(reader.motion(f"c/s/{name}")[0])) for name in pictures
    ]
    write_table(MOTION, pd.concat(motions, ignore_index=True), workspace.refined("test") / "motion.parquet")
    styles = {f"c/s/{name}": f"c/s/{name}" for name in pictures}
    write_text(workspace.generated("test") / "styles.json", json.dumps(styles))


@pytest.fixture(scope="module")
def face() -> NDArray[np.uint8]:
    return speaker_portrait("W901")[0]


@pytest.fixture(scope="module")
def wall(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.full_like(face, 128)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_one_portrait_without_a_face_costs_its_own_video_only(
    workspace: Workspace, tmp_path: Path, face: NDArray[np.uint8], wall: NDArray[np.uint8]
) -> None:
    held_out(workspace, tmp_path / "raw", {"a": (face, True), "b": (wall, True), "d": (wall, False), "e": (face, True)})
    result = render_comparisons(workspace, ["c"], preset())
    assert result.comparisons == (
        Comparison("c/s/a", "c-s-a.mp4"),
        Comparison("c/s/b", None, "no face found in the frame that should be the portrait"),
        Comparison("c/s/d", None, "no frame with a face to take as portrait"),
        Comparison("c/s/e", "c-s-e.mp4"),
    )
    assert result.videos == 2
    for name in ("c-s-a.mp4", "c-s-e.mp4"):
        manifest = read_provenance(result.path / name)
        assert manifest["title"] == name and verify_file(result.path / name).is_intact
    assert render_comparisons(workspace, ["c"], preset()) == result


def test_videos_of_two_runs_differ_by_their_signature_alone(
    workspace: Workspace, tmp_path: Path, face: NDArray[np.uint8]
) -> None:
    """The version is over what is shown: equal where the signed files are not, another where the picture is."""
    held_out(workspace, tmp_path / "raw", {"a": (face, True)})
    one = render_comparisons(workspace, ["c"], preset())
    first = (one.path / "c-s-a.mp4").read_bytes()
    shutil.rmtree(one.path)
    other = render_comparisons(workspace, ["c"], preset())
    second = (one.path / "c-s-a.mp4").read_bytes()
    assert first != second and one.md5 != other.md5, "each signature has its own time and number"
    assert _without_manifest(first) == _without_manifest(second)
    assert one.version == other.version == render_comparisons(workspace, ["c"], preset()).version
    assert render_comparisons(workspace, ["c"], preset(size=128)).version != one.version


def _without_manifest(video: bytes) -> bytes:
    """An mp4 without its `uuid` box, in which C2PA lies."""
    kept, at = b"", 0
    while at < len(video):
        size = int.from_bytes(video[at : at + 4])
        if video[at + 4 : at + 8] != b"uuid":
            kept += video[at : at + size]
        at += size
    return kept


def test_a_rig_of_the_users_is_what_the_videos_show(
    workspace: Workspace, tmp_path: Path, face: NDArray[np.uint8]
) -> None:
    held_out(workspace, tmp_path / "raw", {"a": (face, True)})
    own = replace(builtin_rig(), name="green", colours=np.full_like(builtin_rig().colours, (0.0, 1.0, 0.0)))
    save_rig(own, tmp_path / "green.npz")
    before = render_comparisons(workspace, ["c"], preset())
    after = render_comparisons(workspace, ["c"], preset(rig=str(tmp_path / "green.npz")))
    assert after.version != before.version and after.comparisons[0].file is not None
    picture = next(iter(read_frames(after.path / after.comparisons[0].file)))
    middle = picture[picture.shape[0] // 2, 96 + 30 : 96 + 66].astype(int)
    assert (middle[:, 1] > middle[:, 0] + 60).mean() > 0.5


def test_without_any_portrait_there_is_a_list_of_reasons(
    workspace: Workspace, tmp_path: Path, wall: NDArray[np.uint8]
) -> None:
    held_out(workspace, tmp_path / "raw", {"b": (wall, True)})
    result = render_comparisons(workspace, ["c"], preset())
    assert result.videos == 0 and len(result.comparisons) == 1
    assert files(result.path) == {"comparisons.json"}


@pytest.mark.thinned(2)
@pytest.mark.parametrize("breaks", ["write_video", "sign_video"])
def test_a_run_that_fails_leaves_the_old_videos_and_nothing_unsigned(
    breaks: str, workspace: Workspace, tmp_path: Path, face: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out(workspace, tmp_path / "raw", {"a": (face, True), "e": (face, True)})
    before = render_comparisons(workspace, ["c"], preset())
    works, calls = getattr(generated, breaks), []

    def fails_the_second_time(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments[0])
        if len(calls) == 2:
            raise OSError("no space left on device")
        return works(*arguments, **named)

    monkeypatch.setattr(generated, breaks, fails_the_second_time)
    with pytest.raises(OSError, match="no space"):
        render_comparisons(workspace, ["c"], preset(size=128))
    assert len(calls) == 2
    videos = list(workspace.videos.rglob("*.mp4"))
    assert {path.parent for path in videos} == {before.path} and len(videos) == 2
    for path in videos:
        read_provenance(path)
    monkeypatch.undo()
    assert render_comparisons(workspace, ["c"], preset()) == before, "the old set is whole and still valid"


def test_what_a_killed_run_left_is_cleared_away(workspace: Workspace, tmp_path: Path, face: NDArray[np.uint8]) -> None:
    held_out(workspace, tmp_path / "raw", {"a": (face, True)})
    for name in (".tmp-comparison-1f2e3d", ".tmp-old-comparison-1f2e3d"):
        (workspace.videos / name).mkdir(parents=True)
        (workspace.videos / name / "unsigned.mp4").write_bytes(b"x")
    render_comparisons(workspace, ["c"], preset())
    assert {name for name in files(workspace.videos) if not name.endswith(".provenance.json")} == {
        "comparison/c-s-a.mp4",
        "comparison/comparisons.json",
    }
