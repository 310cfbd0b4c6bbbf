"""A study without rendering: its key, and answers as the page gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from magictalk_core.evaluation.study.definition import Study, Trial
from magictalk_core.evaluation.study.plan import StudyClip, plan_study
from magictalk_core.workspace import Workspace

METHODS = ("eamm", "magictalk", "sadtalker")
Choose = Callable[[Trial], str]


def small_study(clips: int = 2, pairs_each: int = 0, checks: int = 2, seed: int = 3) -> Study:
    asked = [StudyClip(f"c/s/{i}", "happy", METHODS) for i in range(clips)]
    return plan_study(asked, seed, pairs_each, checks)


def with_key(workspace: Workspace, study: Study) -> Study:
    workspace.study.mkdir(parents=True, exist_ok=True)
    (workspace.study / "key.json").write_text(study.model_dump_json())
    return study


def prefers(study: Study, order: tuple[str, ...]) -> Choose:
    """The side, with video `a` on the left, of the method that comes first in `order`."""

    def choose(trial: Trial) -> str:
        a, b = (order.index(study.videos[code].method) for code in (trial.a, trial.b))
        return "left" if a < b else "right"

    return choose


def answers_of(study: Study, participant: str, choose: Choose, fails: int = 0) -> dict[str, Any]:
    """What the page hands out to somebody who chooses like that and fails so many attention checks."""
    answers = []
    for trial in study.trials:
        side = choose(trial) if trial.kind == "pair" else _right_side(trial)
        if trial.kind != "pair" and fails > 0:
            side, fails = {"left": "right", "right": "left"}[side], fails - 1
        shown = {"trial": trial.id, "left": trial.a, "right": trial.b}
        answers.append({**shown, "emotion": side, "quality": side, "seconds": 2.5})
    head = {"format": "magictalk-user-study", "version": 1, "study": study.id, "participant": participant}
    return {**head, "answers": answers}


def _right_side(trial: Trial) -> str:
    if trial.kind == "instructed":
        return str(trial.expected)
    return "left" if trial.expected == trial.a else "right"


def hand_in(folder: Path, answers: dict[str, Any], name: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name or answers['participant']}.json"
    path.write_text(json.dumps(answers))
    return path
