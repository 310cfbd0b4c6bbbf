"""Figures: which frames are shown, what is coloured, and that every picture says that it is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from magictalk_core.evaluation.figures.emotions import style_clips
from magictalk_core.evaluation.figures.stills import chosen_frames, difference_picture, in_order
from magictalk_core.evaluation.figures.tiles import StillRow, panel_grid, still_grid
from magictalk_core.media.tile import Panel
from magictalk_core.portrait.label import DIGITAL_SOURCE_TYPE, provenance_metadata
from magictalk_core.portrait.picture_file import write_labelled_png
from magictalk_core.portrait.provenance import read_provenance, sign_picture, work_in_video
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace
from tests.test_test_sets import mead_clip, workspace_of

JAW = MOTION_NAMES.index("jawOpen")


def test_stills_show_the_widest_jaw_of_every_part() -> None:
    motion = np.zeros((60, 58), np.float32)
    motion[[3, 17, 29, 33, 41, 59], JAW] = 0.8
    assert chosen_frames(motion) == [3, 17, 29, 33, 41, 59]
    assert chosen_frames(motion[:2]) == [0, 1] and chosen_frames(np.full((4, 58), np.nan, np.float32), 2) == [0, 2]


def test_methods_stand_in_the_order_of_the_tables() -> None:
    found = in_order(
        {name: np.zeros((1, 58), np.float32) for name in ("zebra", "emodiff", "kernel_ridge", "magictalk")}
    )
    assert [name for name, _ in found] == ["magictalk", "emodiff", "kernel_ridge", "zebra"]


def test_the_rig_is_red_where_two_motions_differ_and_nowhere_else() -> None:
    rig, one = builtin_rig(), np.zeros(58, np.float32)
    other, turned = one.copy(), one.copy()
    other[JAW] = 0.6
    turned[MOTION_NAMES.index("head_yaw_deg")] = 20

    def redness(picture: np.ndarray) -> float:
        values = picture.astype(int)
        return float((values[..., 0] - values[..., 1]).max())

    assert redness(difference_picture(rig, one, one)) < 10
    assert redness(difference_picture(rig, one, turned)) < 10, "the head pose does not count"
    changed = difference_picture(rig, one, other)
    assert redness(changed) > 60
    rows = np.argwhere(changed[..., 0].astype(int) - changed[..., 1] > 60)[:, 0]
    assert rows.mean() > 0.55 * len(changed), "a dropped jaw reddens the lower face"


def test_a_grid_has_names_counter_and_even_sides() -> None:
    def panel(name: str, n: int) -> Panel:
        return Panel(name, [np.full((40, 40, 3), 90, np.uint8)] * n, "SYNTHETIC")

    frames = list(panel_grid([[panel("a", 5), panel("b", 5), panel("c", 4)], [panel("d", 6)]], 50))
    assert len(frames) == 4, "as long as the shortest panel"
    assert {frame.shape for frame in frames} == {(2 * 76 + 28, 150, 3)}
    assert not np.array_equal(frames[0][-28:], frames[1][-28:]), "the counter counts"
    assert np.array_equal(frames[0][:-28], frames[1][:-28])


def test_only_what_was_filmed_goes_without_the_label() -> None:
    picture = np.full((64, 64, 3), 120, np.uint8)
    sheet = still_grid("Title", ["0.00 s"], [StillRow("Recorded", [picture], False), StillRow("Made", [picture])], 64)
    first, second = sheet[56 : 56 + 68, :200], sheet[56 + 68 :, :200]
    is_red = [(part[..., 0].astype(int) - part[..., 1]).max() > 80 for part in (first, second)]
    assert is_red == [False, True] and sheet.shape == (56 + 2 * 68, 200 + 68, 3)


def test_a_png_says_that_it_is_made_in_words_and_by_its_signature(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    picture = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    for path in paths:
        write_labelled_png(path, picture, provenance_metadata("figure4", "happy"))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(paths[0]) as unsigned:
        assert unsigned.info["digital_source_type"] == DIGITAL_SOURCE_TYPE
    work = Work(None, "figure4", paths[0], "1")
    sign_picture(paths[0], work)
    assert read_provenance(paths[0])["validation_state"] in ("Valid", "Trusted")
    said = work_in_video(paths[0])
    assert said is not None and said["inputs_digest"] == work.digest
    with Image.open(paths[0]) as signed:
        assert np.array_equal(np.asarray(signed), picture)


def test_styles_are_the_speakers_own_where_there_are_some_and_the_strongest(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [
        mead_clip("W1", "neutral", 1),
        mead_clip("W1", "happy", 2, level=1),
        mead_clip("W1", "happy", 3, level=3),
        mead_clip("M2", "happy", 4, level=3, split="train"),
        mead_clip("M2", "sad", 5, split="train"),
    ]
    reader = CorpusReader(workspace_of(workspace, tmp_path / "raw", "folder", rows), "c")
    own = next(clip for clip in reader.clips["clip_id"] if clip.endswith("W1-neutral-001"))
    found = {emotion: clip.split("/")[-1] for emotion, clip in style_clips(reader, own).items()}
    assert found == {"happy": "W1-happy-003", "sad": "M2-sad-005"}
    assert isinstance(reader.clips, pd.DataFrame)


@pytest.mark.parametrize("name", ["figure4", "figure6", "figure9"])
def test_the_chain_left_signed_figures(name: str, tiny_chain: Workspace) -> None:
    pictures = sorted((tiny_chain.figures / name).glob("*.png"))
    assert pictures and all(read_provenance(path)["validation_state"] == "Valid" for path in pictures)
