"""The report: one file, nothing from the network, nothing unescaped, the same bytes for the same input."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.stand_ins import StandIn
from magictalk_core.evaluation.table import summary
from magictalk_core.metrics.catalogue import METRICS
from magictalk_core.models.shipped.base import BASE, base_name
from magictalk_core.models.shipped.real_voices import real_voices
from magictalk_core.report.funnel import IN_TRAINING_SPLIT, REASON_MEANING, STAGES, USED_FOR_TRAINING, funnel
from magictalk_core.report.model import (
    Command,
    CorpusSource,
    JawTrace,
    Provenance,
    ReportInputs,
    VideoEntry,
    VideoNotMade,
)
from magictalk_core.report.plots import write_funnel_plot
from magictalk_core.report.real_voices import real_voices_view
from magictalk_core.report.report import render_report, write_report
from magictalk_core.report.score_table import score_sections
from magictalk_core.report.training_use import TrainingUse
from magictalk_core.vocabulary.clips import Reason

DIGEST = "3f786850e387550fdab836ed7e6dc881.dir"


def clip(number: int, corpus: str = "sample", **values: Any) -> dict[str, Any]:
    row = {"clip_id": f"{corpus}/s/{number}", "corpus": corpus, "split": "train", "status": "ok", "reason": None}
    return {**row, "start_s": None, "end_s": None, "duration_s": 30.0, **values}


def clips() -> pd.DataFrame:
    rows = [clip(i) for i in range(4)] + [clip(4, split="test"), clip(5, split="val")]
    rows += [clip(6, status="rejected", reason="no_audio"), clip(7, status="rejected", reason="no_face")]
    rows += [clip(8, status="rejected", reason="unreadable", duration_s=None)]
    rows += [clip(9, status="rejected", reason="unreadable", duration_s=None, start_s=2.0, end_s=8.0)]
    rows += [clip(10, status="withdrawn"), clip(0, "other")]
    return pd.DataFrame(rows)


def scores() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [
        {
            "clip_id": f"c/s/{i}",
            "method": method,
            "metric": metric,
            "value": value,
            "unit": METRICS[metric].unit,
            "stand_ins": "tracker=litert-geometric/3",
        }
        for i in range(5)
        for method, metric, value in (
            ("ground_truth", "blinks_per_minute", 20.0 + i),
            ("emodiff", "blinks_per_minute", 18.0 + i),
            ("mean_motion", "blinks_per_minute", 0.0),
            ("emodiff", "jaw_open_correlation", 0.7 + 0.01 * i),
            ("mean_motion", "jaw_open_correlation", None),
            ("emodiff", "mae_mouth", 0.05 + 0.01 * generator.random()),
            ("mean_motion", "mae_mouth", 0.09),
        )
    ]
    return summary(pd.DataFrame(rows))


def arguments(**changes: Any) -> dict[str, Any]:
    wave = np.sin(np.arange(50) / 4).astype(np.float32) / 4 + 0.3
    curves = pd.DataFrame({"step": range(100), "metric": "loss/train", "value": 1 / (1 + np.arange(100))})
    values: dict[str, Any] = {
        "funnel": funnel(clips()),
        "scores_summary": scores(),
        "videos": [VideoEntry("../videos/a.mp4", "c/s/1", "happy", "c/s/2", JawTrace(wave, wave * 0.9, 0.973))],
        "loss_curves": curves,
        "provenance": Provenance(
            (CorpusSource("sample", "sample", DIGEST, synthetic=True),), "logmel-29-1", "EmoDiff", "sample"
        ),
        "stand_ins": [StandIn("speech features", "logmel-29-1", "DeepSpeech", "hears the voice")],
        "commands": [Command("the graph", "dagster dev -w workspace.yaml")],
    }
    return values | changes


def written(tmp_path: Path, **changes: Any) -> str:
    (tmp_path / "videos").mkdir(exist_ok=True)
    (tmp_path / "videos" / "a.mp4").write_bytes(b"not looked into")
    path = write_report(tmp_path / "report", **arguments(**changes))
    assert path == tmp_path / "report" / "report.html"
    return path.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Checks that tags close in order; collects ids, what the page would load, and its text."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.loads += [str(found[key]) for key in ("src", "href", "xlink:href", "poster", "data") if key in found]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


def test_report_is_one_sound_page_that_loads_only_its_videos(tmp_path: Path) -> None:
    page = written(tmp_path)
    outline = Outline(page)
    assert len(outline.ids) == len(set(outline.ids))
    assert [load for load in outline.loads if not load.startswith("#")] == ["../videos/a.mp4#t=0.04"]
    assert {load[1:] for load in outline.loads if load.startswith("#")} <= set(outline.ids)
    assert not re.search(r"@import|url\((?!#)|<script [^>]|<link", page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'" in page, "the policy allows this script and no other"
    assert set(re.findall(r"https?://[^\"\s]+", page)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_report_says_what_was_made_from_what(tmp_path: Path) -> None:
    text = Outline(written(tmp_path)).text
    for expected in (
        DIGEST,
        "logmel-29-1",
        "DeepSpeech",
        "dagster dev",
        "SYNTHETIC",
        "0.97",
        "c/s/1",
        "no_audio",
        "loss/train",
    ):
        assert expected in text
    assert "not known" in text  # no MLflow run was given, and the page says so


def test_what_comes_first_is_of_people_and_says_with_which_models(tmp_path: Path) -> None:
    page, people = written(tmp_path), real_voices()
    assert people.models == base_name(), "measure the shipped models again: benchmarks/real_voices.py --json"
    assert 0 < page.index('id="people"') < page.index('id="scores"')
    own = next(row for row in people.rows if row.method == f"magictalk of {BASE}")
    assert f"{own.r:.2f}" in page and f"{own.low:.2f} to {own.high:.2f}" in page
    assert {"log loudness", "pocketsphinx + rules"} < {row.method for row in people.rows}
    older = real_voices_view(people.model_copy(update={"models": "magictalk-base 0"}))
    assert "magictalk-base 0" in older["stale"] and not real_voices_view(people)["stale"]


def test_a_synthetic_corpus_is_not_called_filmed(tmp_path: Path) -> None:
    (video,) = arguments()["videos"]
    assert "Every panel but the first is generated" in written(tmp_path)
    assert "No panel is filmed" in written(tmp_path, videos=[replace(video, clip_id="sample/s/1")])


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    assert written(tmp_path) == written(tmp_path)


def test_names_from_the_data_are_escaped(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    entry = VideoEntry("../videos/a.mp4", evil, evil, evil, arguments()["videos"][0].jaw)
    page = written(tmp_path, videos=[entry], title=evil, commands=[Command(evil, evil)])
    assert page.count("<script") == 1 and "alert(1)</script>" not in page
    Outline(page)


def test_videos_that_could_not_be_made_are_named_with_the_reason(tmp_path: Path) -> None:
    missing = [VideoNotMade("c/s/<b>9</b>", "no face found")]
    text = Outline(written(tmp_path, videos_not_made=missing)).text
    assert "c/s/<b>9</b>" in text and "no face found" in text and "No comparison video could be made" not in text
    assert "No comparison video could be made." in Outline(written(tmp_path, videos=[], videos_not_made=missing)).text


def test_a_report_without_results_still_reads(tmp_path: Path) -> None:
    empty = pd.DataFrame(columns=list(scores().columns))
    curves = pd.DataFrame(columns=["step", "metric", "value"])
    page = written(tmp_path, scores_summary=empty, loss_curves=curves, videos=[], stand_ins=[], commands=[])
    text = Outline(page).text
    assert "No clip was scored." in text and "No training curves were recorded." in text


@pytest.mark.parametrize("path", ["/videos/a.mp4", "https://example.org/a.mp4", "//host/a.mp4"])
def test_video_paths_are_relative(tmp_path: Path, path: str) -> None:
    with pytest.raises(PermanentError, match="relative"):
        written(tmp_path, videos=[VideoEntry(path, "c/s/1", None, "happy")])


def test_a_missing_video_is_an_error_not_a_dead_link(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="videos/comparison"):
        written(tmp_path, videos=[VideoEntry("../videos/b.mp4", "c/s/1", None, "happy")])
    assert not (tmp_path / "report" / "report.html").exists()


def test_a_table_of_another_shape_is_refused() -> None:
    inputs = arguments(loss_curves=pd.DataFrame({"step": [1]}), videos_not_made=())
    with pytest.raises(PermanentError, match=r"loss_curves: missing columns \['metric', 'value'\]"):
        render_report(ReportInputs(**inputs))


def test_funnel_counts_each_clip_at_the_stage_it_reaches() -> None:
    other, sample = funnel(clips()).corpora
    assert tuple(stage.name for stage in sample.stages) == (*STAGES, IN_TRAINING_SPLIT)
    assert [stage.clips for stage in sample.stages] == [11, 9, 8, 7, 6, 4]
    assert [stage.minutes for stage in sample.stages] == pytest.approx([4.6, 4.5, 4.0, 3.5, 3.0, 2.0])
    assert sample.stages[0].unknown_length == 1
    assert [(s.name, s.clips) for s in sample.held_out] == [("val", 1), ("test", 1)]
    found = {r.reason: (r.clips, r.minutes) for r in sample.rejections}
    assert found == {"unreadable": (2, 0.1), "no_audio": (1, 0.5), "no_face": (1, 0.5), "withdrawn": (1, 0.5)}
    assert [stage.clips for stage in other.stages] == [1] * 6
    assert [stage.clips for stage in funnel(clips()).total] == [12, 10, 9, 8, 7, 5]


def test_what_was_learned_from_is_what_was_packed() -> None:
    use = TrainingUse({"sample/s/0": 12.0, "sample/s/1": 30.0}, {"sample/s/2": "too_short", "other/s/0": "copy"})
    other, sample = funnel(clips(), use).corpora
    assert [stage.name for stage in sample.stages] == [*STAGES, USED_FOR_TRAINING]
    assert (sample.stages[-1].clips, sample.stages[-1].minutes) == (2, pytest.approx(0.7))
    assert [(r.reason, r.clips, r.minutes) for r in sample.unused] == [("too_short", 1, 0.5)]
    assert other.stages[-1].clips == 0 and [r.reason for r in other.unused] == ["copy"]


def test_every_reason_has_a_stage_and_a_meaning() -> None:
    assert set(REASON_MEANING) == set(Reason)
    rows = pd.DataFrame([clip(i, status="rejected", reason=reason.value) for i, reason in enumerate(Reason)])
    (corpus,) = funnel(rows).corpora
    assert corpus.stages[-1].clips == 0
    assert sum(r.clips for r in corpus.rejections) == len(Reason)
    with pytest.raises(PermanentError, match="expected one of"):
        funnel(pd.DataFrame([clip(0, status="rejected", reason="bad_mood")]))


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_funnel_plot_is_a_file_with_stable_bytes(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        write_funnel_plot(funnel(clips()), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with pytest.raises(PermanentError, match=r"\.svg or \.png"):
        write_funnel_plot(funnel(clips()), tmp_path / "funnel.pdf")


def test_score_table_marks_the_best_method_where_two_compare() -> None:
    sections = score_sections(scores(), ["ground_truth", "emodiff", "mean_motion"])
    rows = {row.spec.name: {cell.method: cell for cell in row.cells} for section in sections for row in section.rows}
    assert rows["mae_mouth"]["emodiff"].best and not rows["mae_mouth"]["mean_motion"].best
    assert rows["blinks_per_minute"]["emodiff"].best  # nearest to the ground truth, not the lowest
    assert not rows["jaw_open_correlation"]["emodiff"].best  # nothing to compare with
    assert rows["jaw_open_correlation"]["mean_motion"].mean is None
    assert (rows["jaw_open_correlation"]["mean_motion"].n, rows["jaw_open_correlation"]["mean_motion"].clips) == (0, 5)
    for cells in rows.values():
        for cell in cells.values():
            assert cell.left is None or 0 <= cell.left <= cell.dot <= cell.right <= 100


def test_a_metric_nobody_can_read_is_refused() -> None:
    table = scores().assign(metric="mystery")
    with pytest.raises(PermanentError, match="mystery"):
        score_sections(table, ["emodiff"])
