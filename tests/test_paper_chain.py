"""The paper's tables and figures after one run of the whole graph: all is there, signed, and made once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from chain_fixtures import (
    BOOKKEEPING,
    CORPUS,
    copy_of,
    files_of,
    is_named,
    settings_in,
    tiny_preset,
    with_another,
    without,
    written_since,
)

from magictalk_core.commands.verify import verify_file
from magictalk_core.errors import UserError
from magictalk_core.evaluation.figures.write import FIGURES
from magictalk_core.evaluation.paper_tables.write import write_paper_table
from magictalk_core.evaluation.pictures.motion import driving_clips, make_picture_motion
from magictalk_core.evaluation.pictures.table import score_pictures
from magictalk_core.presets.preset import Preset
from magictalk_core.report.paper_page import PAPER_TABLES
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace
from pipelines.dvc_workspace import stage_params


@pytest.fixture(scope="module")
def preset() -> Preset:
    return Preset.model_validate(tiny_preset())


def test_every_method_is_drawn_by_both_renderers_with_both_head_poses(tiny_chain: Workspace, preset: Preset) -> None:
    table = pd.read_parquet(tiny_chain.picture_scores / "picture_scores.parquet")
    drawn = {(m, r, p) for m, r, p in zip(table["method"], table["renderer"], table["pose"], strict=True)}
    wanted = {
        (method, renderer, pose)
        for method in preset.pictures.methods
        for renderer in ("portrait", "rig")
        for pose in ("generated", "ground_truth")
    }
    wanted |= {("ground_truth_curves", renderer, "ground_truth") for renderer in ("portrait", "rig")}
    assert drawn == wanted | {("ground_truth", "recorded", "ground_truth")}
    assert table["value"].notna().eq(table["reason"].isna()).all()
    portrait = table[(table["renderer"] == "portrait") & (table["method"] == "magictalk")]
    assert portrait["stand_ins"].str.contains("portrait=mesh-texture-warp").all()
    recorded = table[table["renderer"] == "recorded"]
    judge = recorded["metric"] == "emotion_fan_accuracy"
    assert recorded.loc[~judge, "stand_ins"].eq("none").all()
    assert recorded.loc[judge, "stand_ins"].eq("emotion=emotion_fan").all()


def test_the_own_judge_of_emotions_looks_at_every_face_and_fid_at_all_clips_together(tiny_chain: Workspace) -> None:
    table = pd.read_parquet(tiny_chain.picture_scores / "picture_scores.parquet")
    fan = table[table["metric"] == "emotion_fan_accuracy"]
    assert set(fan["renderer"]) == {"recorded", "portrait"}
    assert fan["weights"].eq("own model `emotion_fan`").all() and set(fan["value"].dropna()) <= {0.0, 1.0}
    assert (
        fan["value"].notna().any() and fan.loc[fan["value"].isna(), "reason"].str.contains("the judge knows no").all()
    )
    sets = table[table["metric"] == "fid"]
    assert (
        set(sets["clip_id"]) == {f"{CORPUS}/*"}
        and not (table["clip_id"] == f"{CORPUS}/*")[table["metric"] != "fid"].any()
    )
    videos = table[["method", "renderer", "pose"]].drop_duplicates()
    assert len(sets) == len(videos) and sets["reason"].str.contains("pt_inception").all()


def test_another_judge_of_emotions_makes_the_scores_anew(
    tiny_chain: Workspace, preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests: list[str] = []
    monkeypatch.setattr(Work, "is_made", lambda work: not digests.append(work.digest))
    score_pictures(tiny_chain, [CORPUS], preset)
    monkeypatch.setattr("magictalk_core.evaluation.pictures.table.runs_in_use", lambda out: None)
    score_pictures(tiny_chain, [CORPUS], preset)
    assert digests[0] != digests[1]


@pytest.mark.parametrize("name", PAPER_TABLES)
def test_a_table_has_its_four_forms(name: str, tiny_chain: Workspace) -> None:
    folder = tiny_chain.tables / name
    assert {path.suffix for path in folder.iterdir()} == {".parquet", ".csv", ".md", ".tex"}
    frame = pd.read_csv(folder / f"{name}.csv", keep_default_na=False)
    assert {"measured", "printed"} == set(frame["source"])
    page = (tiny_chain.paper / "paper.html").read_text(encoding="utf-8")
    assert f'id="{name}"' in page


def test_grids_and_figures_are_signed(tiny_chain: Workspace) -> None:
    made = [*tiny_chain.figures.rglob("*.png"), *tiny_chain.figures.rglob("*.mp4")]
    made += (tiny_chain.videos / "grids").glob("*.mp4")
    assert {path.suffix for path in made} == {".png", ".mp4"}
    assert all(verify_file(path).is_intact for path in made)


def test_asked_again_nothing_is_drawn_or_judged(tiny_chain: Workspace, preset: Preset, tmp_path: Path) -> None:
    workspace = copy_of(tiny_chain, tmp_path / "home")
    before = files_of(workspace.home)
    make_picture_motion(workspace, [CORPUS], preset)
    score_pictures(workspace, [CORPUS], preset)
    for name in PAPER_TABLES:
        write_paper_table(workspace, name, preset)
    for make in FIGURES.values():
        make(workspace, [CORPUS], preset)
    assert without(written_since(before, workspace.home), BOOKKEEPING) == set()


def test_a_method_that_nobody_makes_is_named(tiny_chain: Workspace, preset: Preset, tmp_path: Path) -> None:
    pictures = preset.pictures.model_copy(update={"methods": ("magictalk", "kernel_fridge")})
    asked = preset.model_copy(update={"pictures": pictures})
    workspace = copy_of(tiny_chain, tmp_path / "home")
    with pytest.raises(UserError, match=r"nobody makes kernel_fridge; there are .*mean_motion"):
        make_picture_motion(workspace, [CORPUS], asked)


def test_another_clip_drives_when_that_is_asked(tiny_chain: Workspace, preset: Preset, tmp_path: Path) -> None:
    pictures = preset.pictures.model_copy(update={"driven": "cross", "clips": 0, "methods": ("magictalk", "emodiff")})
    asked = preset.model_copy(update={"pictures": pictures})
    workspace = copy_of(tiny_chain, tmp_path / "home")
    drivers = driving_clips(workspace, [CORPUS], asked)
    assert len(drivers) == 2 and all(clip != driver for clip, driver in drivers.items())
    made = pd.read_parquet(make_picture_motion(workspace, [CORPUS], asked).path)
    assert set(made["method"].astype(str)) == {"magictalk", "emodiff"}
    own = pd.read_parquet(workspace.refined("test") / "motion.parquet")
    lengths = own.groupby("clip_id", observed=True).size()
    for clip, driver in drivers.items():
        found = made[(made["clip_id"] == clip) & (made["method"] == "magictalk")]
        assert len(found) == lengths[driver], "as long as the speech that drives it"


@pytest.mark.parametrize("stage", ["picture_motion", "picture_scores"])
def test_params_name_the_settings_that_pictures_read(
    stage: str, tiny_chain: Workspace, preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = {"picture_motion": make_picture_motion, "picture_scores": score_pictures}[stage]

    def identity(asked: Preset) -> str:
        found: list[str] = []
        with monkeypatch.context() as patched:
            patched.setattr(Work, "is_made", lambda work: not found.append(work.digest))
            make(tiny_chain, [CORPUS], asked)
        return found[0]

    params, other = stage_params(stage), preset
    for name in settings_in(preset):
        if not is_named(name, params):
            other = with_another(other, name)
    assert identity(other) == identity(preset)


def test_weights_that_were_brought_make_the_scores_anew(
    tiny_chain: Workspace, preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests: list[str] = []
    monkeypatch.setattr(Work, "is_made", lambda work: not digests.append(work.digest))
    score_pictures(tiny_chain, [CORPUS], preset)
    monkeypatch.setattr("magictalk_core.evaluation.pictures.table.weights_here", lambda: ["syncnet_v2.model"])
    score_pictures(tiny_chain, [CORPUS], preset)
    assert digests[0] != digests[1]
