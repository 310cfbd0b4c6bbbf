"""Figure 7: preference for emotion preservation (left) and overall quality (right), from the answers that came back."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from magictalk_core.evaluation.external.systems import title_of
from magictalk_core.evaluation.study.definition import QUESTIONS, Study, read_returned, read_study
from magictalk_core.evaluation.study.results import Preference, StudyResults, study_results
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.work.provenance import Work, input_of, output_md5
from magictalk_core.workspace import Workspace

__all__ = ["USER_STUDY_VERSION", "UserStudy", "make_user_study", "read_results"]

USER_STUDY_VERSION = "1"
_NAMES = {"emotion": "Emotion preservation", "quality": "Overall quality"}
_OURS = "magictalk"
_BAR, _OUR_BAR, _INK = "#9aa3b2", "#1b4f8f", "#1d1f24"


@dataclass(frozen=True)
class UserStudy:
    """The folder with `user_study.csv`, `user_study.json` and, where there are answers, `figure7.png` and `.svg`."""

    path: Path
    md5: str
    participants: int
    excluded: int


def make_user_study(workspace: Workspace) -> UserStudy:
    """Bring `figures/user_study` up to date with `study/key.json` and `study/returned/`.

    Without a study, or without answers, the tables say so. Raises `UserError` for returned files that cannot count.
    """
    out, home = workspace.figures / "user_study", workspace.home
    key = workspace.study / "key.json"
    files = sorted((workspace.study / "returned").glob("*.json"))
    given = [key, *files] if key.is_file() else []
    work = Work(home, "user_study", out, USER_STUDY_VERSION, tuple(input_of(home, "answers", path) for path in given))
    if not work.is_made():
        study = read_study(key) if key.is_file() else None
        results = None if study is None else study_results(study, read_returned(files, study))
        with atomic_directory(out) as folder:
            _write(folder, study, results)
        clips = None if study is None else {video.clip_id for video in study.videos.values()}
        work.record(clips=clips)
    told = read_results(out)
    return UserStudy(out, output_md5(out), told["participants"], len(told["excluded"]))


def read_results(folder: Path) -> dict[str, Any]:
    """What `user_study.json` of the figure's folder holds."""
    found: dict[str, Any] = json.loads((folder / "user_study.json").read_text(encoding="utf-8"))
    return found


def _write(folder: Path, study: Study | None, results: StudyResults | None) -> None:
    preferences = () if results is None else results.preferences
    with (folder / "user_study.csv").open("w", newline="", encoding="utf-8") as file:
        columns = ("question", "method", "share", "low", "high", "participants", "answers")
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows({**asdict(one), **_rounded(one)} for one in preferences)
    told = {
        "study": None if study is None else study.id,
        "participants": 0 if results is None else len(results.participants),
        "excluded": {} if results is None else dict(results.excluded),
        "agreement": [] if results is None else [asdict(one) for one in results.agreements],
        "questions": QUESTIONS,
        "reason": _why_empty(study, results),
    }
    (folder / "user_study.json").write_text(json.dumps(told, indent=1, sort_keys=True), encoding="utf-8")
    if preferences and results is not None:
        _plot(folder, results)


def _rounded(one: Preference) -> dict[str, float | None]:
    values = {"share": one.share, "low": one.low, "high": one.high}
    return {name: None if value is None else float(f"{value:.6g}") for name, value in values.items()}


def _why_empty(study: Study | None, results: StudyResults | None) -> str | None:
    if study is None or results is None:
        return "no study was made: magictalk study make --out DIR"
    if not results.participants and not results.excluded:
        return "no answers came back: magictalk study add FILE"
    return None if results.participants else "every participant failed the attention checks"


def _plot(folder: Path, results: StudyResults) -> None:
    # Imported here: it takes a second, and most runs have no answers.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    axes = figure.subplots(1, len(QUESTIONS), sharey=True)
    for axis, question in zip(axes, QUESTIONS, strict=True):
        rows = [one for one in results.preferences if one.question == question]
        _bars(axis, rows)
        alpha = next(one for one in results.agreements if one.question == question).alpha
        shown = "alpha not defined" if alpha is None else f"Krippendorff's alpha {alpha:.2f}"
        axis.set_title(f"{_NAMES[question]}\n", fontsize=11, color=_INK)
        axis.text(0.5, 1.02, shown, transform=axis.transAxes, ha="center", fontsize=8.5, color="#5c616b")
    axes[0].set_ylabel("preferred to the others, %", fontsize=9)
    count = f"{len(results.participants)} participants, {len(results.excluded)} left out by attention checks"
    figure.supxlabel(f"{count}; ties count half; 95 % intervals over participants; dashed: chance", fontsize=8)
    for canvas, name in ((FigureCanvasAgg(figure), "figure7.png"), (FigureCanvasSVG(figure), "figure7.svg")):
        metadata = {"Software": None} if name.endswith("png") else {"Date": None, "Creator": None}
        canvas.print_figure(folder / name, dpi=150, metadata=metadata)


def _bars(axis: Any, rows: Sequence[Preference]) -> None:
    ordered = sorted(rows, key=lambda one: (one.method == _OURS, one.method))
    places = range(len(ordered))
    shares = [100 * one.share for one in ordered]
    axis.bar(places, shares, 0.62, color=[_OUR_BAR if one.method == _OURS else _BAR for one in ordered])
    for place, one in zip(places, ordered, strict=True):
        if one.low is not None and one.high is not None:
            axis.plot([place, place], [100 * one.low, 100 * one.high], color=_INK, linewidth=1.4)
        top = 100 * (one.high if one.high is not None else one.share)
        on_paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        axis.text(place, min(top + 2, 103), f"{100 * one.share:.0f}", ha="center", fontsize=8.5, bbox=on_paper)
    axis.axhline(50, linestyle="--", linewidth=0.9, color="#b3541e")
    axis.set_xticks(list(places), [_title(one.method) for one in ordered], fontsize=8.5)
    axis.set_ylim(0, 110)
    axis.set_yticks([0, 25, 50, 75, 100])
    axis.spines[["top", "right"]].set_visible(False)


def _title(method: str) -> str:
    return "MagicTalk" if method == _OURS else title_of(method)
