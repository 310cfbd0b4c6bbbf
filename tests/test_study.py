"""A user study: what is asked, which answers count, and what Figure 7 says of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_fixtures import METHODS, answers_of, hand_in, prefers, small_study, with_key

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.evaluation.study.definition import read_returned
from magictalk_core.evaluation.study.figure import make_user_study, read_results
from magictalk_core.evaluation.study.page import page_html
from magictalk_core.evaluation.study.plan import StudyClip, plan_study
from magictalk_core.evaluation.study.results import study_results
from magictalk_core.evaluation.study.returned import add_returned
from magictalk_core.metrics.agreement import alpha_interval, krippendorff_alpha
from magictalk_core.work.provenance import record_of
from magictalk_core.workspace import Workspace

N = np.nan

# --- agreement: values of the package krippendorff 0.9.0 ------------------------------------------------------------

TEXTBOOK = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
)
DRAWN = np.array(
    [
        [N, N, 1, N, N, 1, 1, 0],
        [0, 0, 0, N, N, N, 0.5, N],
        [0, N, 0, N, 1, 0, 0.5, 0],
        [1, 0, N, 0.5, 0.5, 0.5, 0.5, 0.5],
        [N, 1, 1, N, 1, 0.5, 0.5, 1],
    ]
)


@pytest.mark.parametrize(
    ("values", "nominal", "interval"),
    [
        (TEXTBOOK, 0.743421052631579, 0.8491071428571428),
        (DRAWN, 0.03703703703703709, -0.15740740740740744),
    ],
)
def test_alpha_is_that_of_an_independent_implementation(
    values: np.ndarray[Any, Any], nominal: float, interval: float
) -> None:
    assert krippendorff_alpha(values) == pytest.approx(nominal, abs=1e-12)
    assert krippendorff_alpha(values, "interval") == pytest.approx(interval, abs=1e-12)
    low, high = alpha_interval(values, "x", 200) or (N, N)
    assert low <= nominal <= high


@given(st.integers(2, 6), st.integers(2, 8), st.integers(0, 10_000))
def test_alpha_is_one_where_all_agree_and_asks_nobody_for_their_name(coders: int, units: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    unit = random.integers(0, 3, units).astype(float)
    assert krippendorff_alpha(np.tile(unit, (coders, 1))) in (None, 1.0)
    values = random.integers(0, 3, (coders, units)).astype(float)
    values[random.random(values.shape) < 0.2] = np.nan
    alpha = krippendorff_alpha(values)
    assert alpha is None or alpha <= 1
    assert krippendorff_alpha(values[::-1, ::-1]) == pytest.approx(alpha, abs=1e-9)


def test_alpha_of_nothing_is_none() -> None:
    assert krippendorff_alpha(np.full((3, 4), np.nan)) is None
    assert krippendorff_alpha(np.array([[1.0, np.nan], [np.nan, 1.0]])) is None


# --- the plan ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 3), st.integers(0, 4), st.integers(0, 1000))
def test_every_pair_is_asked_once_and_a_seed_is_all_there_is_to_it(clips: int, checks: int, seed: int) -> None:
    study = small_study(clips=clips, checks=checks, seed=seed)
    assert study == small_study(clips=clips, checks=checks, seed=seed)
    pairs = [t for t in study.trials if t.kind == "pair"]
    asked = Counter((t.clip_id, *sorted((study.videos[t.a].method, study.videos[t.b].method))) for t in pairs)
    assert len(asked) == 3 * clips and set(asked.values()) == {1}
    assert len(study.checks) == checks and len({t.id for t in study.trials}) == len(study.trials)
    assert study.methods == list(METHODS)
    for check in study.checks:
        assert check.expected in ((check.a, check.b) if check.kind == "degraded" else ("left", "right"))


def test_sides_and_names_tell_nothing() -> None:
    study = small_study(clips=40, checks=0)
    left = [study.videos[t.a].method for t in study.trials if "magictalk" in _methods(study, t)]
    assert 0.3 < left.count("magictalk") / len(left) < 0.7
    page = page_html(study)
    assert not any(method in page.replace("magictalk-user-study", "") for method in METHODS)
    assert "c/s/" not in page and "degraded" not in page


def _methods(study: Any, trial: Any) -> set[str]:
    return {study.videos[trial.a].method, study.videos[trial.b].method}


def test_a_study_of_one_method_is_refused() -> None:
    with pytest.raises(PermanentError, match="compare add"):
        plan_study([StudyClip("c/s/1", None, ("magictalk",))], 0, 0, 1)


def test_a_label_cannot_end_the_script() -> None:
    clips = [StudyClip("c/s/1", "</script><script>alert(1)", METHODS)]
    assert "</script><script>alert" not in page_html(plan_study(clips, 0, 0, 0))


# --- answers ----------------------------------------------------------------------------------------------------------


def test_who_is_always_preferred_has_all_and_who_never_is_has_nothing(workspace: Workspace) -> None:
    study = with_key(workspace, small_study())
    choose = prefers(study, ("magictalk", "sadtalker", "eamm"))
    for number in range(4):
        hand_in(workspace.study / "returned", answers_of(study, f"p{number}", choose))
    result = make_user_study(workspace)
    assert (result.participants, result.excluded) == (4, 0)
    table = pd.read_csv(result.path / "user_study.csv").set_index(["question", "method"])
    for question in ("emotion", "quality"):
        assert table.loc[question, "share"].to_dict() == {"magictalk": 1.0, "sadtalker": 0.5, "eamm": 0.0}
    assert table["participants"].eq(4).all() and table["answers"].eq(16).all()
    told = read_results(result.path)
    assert [one["alpha"] for one in told["agreement"]] == [1.0, 1.0] and told["reason"] is None
    assert (result.path / "figure7.png").stat().st_size > 10_000
    record = record_of(result.path)
    assert record is not None and len(record.inputs) == 5 and record.clips is not None and record.clips.count == 2


def test_shares_of_one_question_sum_to_half_of_all_whatever_was_answered() -> None:
    """Every pair gives one point to its two methods together."""
    study = small_study(clips=3)
    random = np.random.default_rng(1)
    returned = {}
    for number in range(5):
        answers = answers_of(study, f"p{number}", lambda _: str(random.choice(["left", "same", "right"])))
        returned |= _read(study, answers)
    results = study_results(study, returned)
    for question in ("emotion", "quality"):
        shares = [one.share for one in results.preferences if one.question == question]
        assert sum(shares) / len(shares) == pytest.approx(0.5)
        for one in results.preferences:
            assert one.low is not None and one.high is not None and one.low <= one.share <= one.high


def _read(study: Any, answers: dict[str, Any]) -> Any:
    from magictalk_core.evaluation.study.definition import Returned

    returned = Returned.model_validate_json(json.dumps(answers))
    return {returned.participant: returned}


def test_failed_attention_checks_are_excluded_and_counted(workspace: Workspace) -> None:
    study = with_key(workspace, small_study(checks=2))
    choose = prefers(study, ("magictalk", "sadtalker", "eamm"))
    against = prefers(study, ("eamm", "sadtalker", "magictalk"))
    hand_in(workspace.study / "returned", answers_of(study, "careful", choose))
    hand_in(workspace.study / "returned", answers_of(study, "careless", against, fails=1))
    result = make_user_study(workspace)
    assert (result.participants, result.excluded) == (1, 1)
    told = read_results(result.path)
    assert list(told["excluded"]) == ["careless"] and len(told["excluded"]["careless"]) == 1
    table = pd.read_csv(result.path / "user_study.csv")
    assert table.loc[table["method"] == "magictalk", "share"].eq(1.0).all()
    assert table["low"].isna().all()  # one participant has no interval


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda a: a.update(study="another"), "answers of study another"),
        (lambda a: a.update(version=2), "version"),
        (lambda a: a.update(name="Ada"), "name"),
        (lambda a: a.update(participant="Ada Lovelace"), "participant"),
        (lambda a: a["answers"][0].update(quality="both"), "answers.0.quality"),
        (lambda a: a["answers"][0].update(left="0" * 12), "was not asked like that"),
        (lambda a: a["answers"].append(a["answers"][0]), "answered twice"),
        (lambda a: a.update(answers=[x for x in a["answers"] if x["trial"] != _check_of()]), "is not answered"),
    ],
)
def test_what_is_no_answer_to_this_study_is_refused_by_name(spoil: Any, said: str, tmp_path: Path) -> None:
    study = small_study()
    answers = answers_of(study, "p", prefers(study, METHODS))
    spoil(answers)
    path = hand_in(tmp_path, answers, "p")
    with pytest.raises(UserError, match=said) as raised:
        read_returned([path], study)
    assert str(path) in str(raised.value)


def _check_of() -> str:
    return small_study().checks[0].id


def test_one_person_counts_once(workspace: Workspace, tmp_path: Path) -> None:
    study = with_key(workspace, small_study())
    first = hand_in(tmp_path, answers_of(study, "p1", prefers(study, METHODS)))
    assert add_returned(workspace, [first]) == (1, 1)
    assert add_returned(workspace, [first]) == (0, 1)  # the same file again
    changed = hand_in(tmp_path, answers_of(study, "p1", prefers(study, METHODS[::-1])), "other")
    other = hand_in(tmp_path, answers_of(study, "p2", prefers(study, METHODS)))
    with pytest.raises(UserError, match="p1") as raised:
        add_returned(workspace, [other, changed])
    assert "p1.json" in str(raised.value)
    assert [path.name for path in (workspace.study / "returned").iterdir()] == ["p1.json"]  # none was taken


def test_without_a_study_or_answers_the_figure_says_what_to_do(workspace: Workspace) -> None:
    result = make_user_study(workspace)
    assert "magictalk study make" in read_results(result.path)["reason"]
    assert record_of(result.path) is not None and not (result.path / "figure7.png").exists()
    with_key(workspace, small_study())
    again = make_user_study(workspace)
    assert "magictalk study add" in read_results(again.path)["reason"]
    before = (again.path / "user_study.json").stat().st_ino
    assert make_user_study(workspace) == again and (again.path / "user_study.json").stat().st_ino == before
