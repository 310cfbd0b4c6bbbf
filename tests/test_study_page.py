"""The study as people meet it: a page opened from file in Chromium, answered; Figure 7 of what it hands out."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import Browser, chromium
from external_fixtures import FRAMES_PER_CLIP, held_out

from magictalk_core.commands.verify import verify_file
from magictalk_core.config import ExternalConfig
from magictalk_core.evaluation.external.videos import make_external_videos
from magictalk_core.evaluation.generate import motion_rows
from magictalk_core.evaluation.study.definition import Study, read_study
from magictalk_core.evaluation.study.figure import make_user_study, read_results
from magictalk_core.evaluation.study.make import make_study
from magictalk_core.evaluation.study.returned import add_returned
from magictalk_core.media.decode import read_frames
from magictalk_core.media.encode import write_video
from magictalk_core.media.probe import probe
from magictalk_core.portrait.provenance import read_provenance
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.rig import save_rig
from magictalk_core.sample_corpus.portraits import speaker_portrait
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import MOTION
from magictalk_core.workspace import Workspace

pytestmark = pytest.mark.slow

SIZE = 128
TAB, ENTER, SPACE = "\ue004", "\ue007", " "


@pytest.fixture
def study(workspace: Workspace, tmp_path: Path) -> Path:
    """A study of two clips: ours, and two systems given as videos; its page."""
    face = speaker_portrait("W901")[0]
    held_out(workspace, tmp_path / "raw", face=face)
    save_rig(builtin_rig(), workspace.rig / "rig.npz")
    reader = CorpusReader(workspace, "c")
    motion = pd.concat(
        [motion_rows(f"c/s/{n}", "magictalk", np.nan_to_num(reader.motion(f"c/s/{n}")[0])) for n in "ab"],
        ignore_index=True,
    )
    write_table(MOTION, motion, workspace.refined("test") / "motion.parquet")
    configs = []
    for number, name in enumerate(("eamm", "sadtalker")):
        folder = tmp_path / name
        for clip in "ab":
            shown = np.clip(face.astype(int) - 60 * (number + 1), 0, 255).astype(np.uint8)
            write_video(folder / f"{clip}.mp4", [shown] * FRAMES_PER_CLIP, 25, None)
        configs.append(ExternalConfig(system=name, videos=folder))
    values = {"external": [one.model_dump() for one in configs], "video_size": SIZE}
    preset = Preset.model_validate({"name": "tiny", "evaluation": values})
    assert make_external_videos(workspace, ["c"], preset).made == 4
    made = make_study(workspace, ["c"], preset, tmp_path / "page", clips=2, checks=2)
    assert (made.clips, made.pairs, made.checks) == (2, 6, 2) and made.methods == ("eamm", "magictalk", "sadtalker")
    return made.page


def test_nothing_but_the_picture_tells_videos_apart(study: Path, workspace: Workspace) -> None:
    key = read_study(workspace.study / "key.json")
    files = sorted((study.parent / "videos").iterdir())
    assert {path.stem for path in files} == set(key.videos)
    seen = [probe(path) for path in files]
    assert {(one.width, one.height, one.fps, one.codec, one.has_audio) for one in seen} == {
        (SIZE, SIZE, 25.0, "h264", True)
    }
    assert {len(list(read_frames(path))) for path in files} == {FRAMES_PER_CLIP}
    verdicts = [verify_file(path) for path in files]
    assert all(one.is_intact for one in verdicts)
    assert len({one.mark for one in verdicts} - {None}) <= 1, "the pixels tell no method"
    titles = {(read_provenance(path)["title"], read_provenance(path)["validation_state"]) for path in files}
    assert len(titles) == 1
    for path in [study, *files]:
        text = path.read_bytes().replace(b"magictalk-user-study", b"")
        assert b"sadtalker" not in text and b"eamm" not in text and b"c/s/" not in text
    # The label lies on every one of them.
    corners = [next(iter(read_frames(path)))[-8:, :30].max() for path in files]
    assert min(corners) > 150


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_page_is_answered_and_becomes_figure_7(
    width: int, height: int, study: Path, workspace: Workspace, tmp_path: Path
) -> None:
    key = read_study(workspace.study / "key.json")
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    shots = Path(os.environ.get("MAGICTALK_SCREENSHOTS") or tmp_path)
    with chromium(downloads, width, height) as browser:
        for participant, is_careful in (("p1", True), ("p2", True), ("p3", False)):
            browser.open(study, f"?p={participant}")
            assert browser.script("return document.documentElement.scrollWidth <= window.innerWidth")
            if participant == "p1":
                browser.picture(shots / f"study_{width}_intro.png")
            (_with_the_mouse if participant != "p2" else _with_keys_alone)(browser, key, is_careful, shots, width)
            browser.wait_for("document.getElementById('save')")
            browser.click("#save")
            _wait_for_file(downloads / f"study-{key.id}-{participant}.json")
            assert browser.complaints() == []
    files = sorted(downloads.glob("*.json"))
    orders = [[answer["trial"] for answer in json.loads(path.read_text())["answers"]] for path in files]
    assert len(set(map(tuple, orders))) == 3, "the order is not drawn per participant"
    assert add_returned(workspace, files) == (3, 3)
    result = make_user_study(workspace)
    assert (result.participants, result.excluded) == (2, 1)
    assert list(read_results(result.path)["excluded"]) == ["p3"]
    table = pd.read_csv(result.path / "user_study.csv").set_index(["question", "method"])
    for question in ("emotion", "quality"):
        assert table.loc[question, "share"].to_dict() == {"magictalk": 1.0, "sadtalker": 0.5, "eamm": 0.0}
    assert (result.path / "figure7.png").is_file()


def _choice(browser: Browser, key: Study, is_careful: bool) -> str:
    """What somebody answers who likes ours best and EAMM least, reads instructions, and sees large blocks."""
    said = browser.script("const say = document.getElementById('say'); return say && say.textContent")
    if said is not None:
        side = "left" if "“Left”" in said else "right"
        return side if is_careful else {"left": "right", "right": "left"}[side]
    sources = browser.script("return [...document.querySelectorAll('video')].map(v => v.src)")
    order = ["magictalk", "sadtalker", "eamm", "degraded"]
    left, right = (order.index(key.videos[Path(source).stem].method) for source in sources)
    return "left" if left < right else "right"


def _with_the_mouse(browser: Browser, key: Study, is_careful: bool, shots: Path, width: int) -> None:
    browser.click("#start")
    for number in range(len(key.trials)):
        browser.wait_for(f"document.querySelector('h1').textContent === 'Pair {number + 1} of {len(key.trials)}'")
        assert browser.script("return [...document.querySelectorAll('input')].every(i => i.disabled)")
        browser.click("#play-left")
        browser.wait_for("document.querySelectorAll('video')[0].ended")
        assert browser.script("return document.getElementById('next').disabled")
        browser.click("#play-right")
        browser.wait_for("!document.querySelector('input').disabled")
        side = _choice(browser, key, is_careful)
        for question in ("emotion", "quality"):
            browser.click(f"input[name={question}][value={side}]")
        assert browser.script("return document.documentElement.scrollWidth <= window.innerWidth")
        if number in (0, 3):
            browser.picture(shots / f"study_{width}_pair{number}.png")
        browser.click("#next")


def _with_keys_alone(browser: Browser, key: Study, is_careful: bool, shots: Path, width: int) -> None:
    browser.keys(TAB, TAB, ENTER)  # past the code
    for number in range(len(key.trials)):
        browser.wait_for(f"document.querySelector('h1').textContent === 'Pair {number + 1} of {len(key.trials)}'")
        browser.keys("1")
        browser.wait_for("document.querySelectorAll('video')[0].ended")
        browser.keys("2")
        browser.wait_for("!document.querySelector('input').disabled")
        side = _choice(browser, key, is_careful)
        # From the heading: both play buttons, then the two groups of choices.
        steps = {"left": (SPACE,), "right": ("\ue012",)}[side]  # the arrow to the left goes round to the last
        browser.keys(TAB, TAB, TAB, *steps, TAB, *steps, ENTER)


def _wait_for_file(path: Path) -> Any:
    deadline = time.monotonic() + 30
    while not path.is_file():
        assert time.monotonic() < deadline, f"{path} was not saved"
        time.sleep(0.1)
