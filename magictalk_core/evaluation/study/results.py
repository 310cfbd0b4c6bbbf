"""Returned answers as numbers: preference per method with its interval, agreement, who was left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.study.definition import QUESTIONS, Answer, Returned, Study, Trial
from magictalk_core.metrics.agreement import alpha_interval, krippendorff_alpha
from magictalk_core.metrics.intervals import mean_interval

__all__ = ["RESAMPLES", "Agreement", "Preference", "StudyResults", "failed_checks", "study_results"]

RESAMPLES = 2000
_OF_A = {"a": 1.0, "same": 0.5, "b": 0.0}


@dataclass(frozen=True)
class Preference:
    """How often a method was preferred to the others, ties half, as the mean over participants: 0.5 is chance.

    `low`, `high`: 95 % bootstrap interval over participants, None with fewer than two.
    """

    question: str
    method: str
    share: float
    low: float | None
    high: float | None
    participants: int
    answers: int


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha (nominal: one video, the other, no difference) over the pairs of a question."""

    question: str
    alpha: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class StudyResults:
    """`excluded`: participant -> the attention checks that they failed."""

    participants: tuple[str, ...]
    excluded: Mapping[str, tuple[str, ...]]
    preferences: tuple[Preference, ...]
    agreements: tuple[Agreement, ...]


def failed_checks(study: Study, returned: Returned) -> tuple[str, ...]:
    """Ids of the attention checks that were answered wrongly."""
    answers = {answer.trial: answer for answer in returned.answers}
    return tuple(check.id for check in study.checks if not _is_right(check, answers[check.id]))


def _is_right(check: Trial, answer: Answer) -> bool:
    if check.kind == "instructed":
        return answer.emotion == answer.quality == check.expected
    # Which of the two shows more emotion is a matter of taste even then; which is the better picture is not.
    chosen = {"left": answer.left, "right": answer.right}.get(answer.quality)
    return chosen == check.expected


def study_results(study: Study, returned: Mapping[str, Returned]) -> StudyResults:
    """Participants who failed more checks than the study allows are left out, and named."""
    failures = {name: failed_checks(study, one) for name, one in sorted(returned.items())}
    excluded = {name: failed for name, failed in failures.items() if len(failed) > study.allowed_failures}
    kept = [name for name in failures if name not in excluded]
    preferences, agreements = [], []
    for question in QUESTIONS:
        values = _values(study, [returned[name] for name in kept], question)
        preferences += _preferences(study, values, question)
        alpha = krippendorff_alpha(values) if values.size else None
        interval = None if alpha is None else alpha_interval(values, question, RESAMPLES)
        low, high = interval or (None, None)
        agreements.append(Agreement(question, alpha, low, high))
    return StudyResults(tuple(kept), excluded, tuple(preferences), tuple(agreements))


def _values(study: Study, returned: Sequence[Returned], question: str) -> NDArray[np.float64]:
    """(participants, pairs): 1 where video `a` of the pair was preferred, 0 where `b`, 0.5 neither; NaN: not asked."""
    pairs = {trial.id: (column, trial) for column, trial in enumerate(_pairs(study))}
    values = np.full((len(returned), len(pairs)), np.nan)
    for row, one in enumerate(returned):
        for answer in one.answers:
            if answer.trial in pairs:
                column, trial = pairs[answer.trial]
                side = getattr(answer, question)
                chosen = {"left": answer.left, "right": answer.right}.get(side)
                values[row, column] = _OF_A["same" if chosen is None else "a" if chosen == trial.a else "b"]
    return values


def _pairs(study: Study) -> list[Trial]:
    return [trial for trial in study.trials if trial.kind == "pair"]


def _preferences(study: Study, values: NDArray[np.float64], question: str) -> list[Preference]:
    pairs, found = _pairs(study), []
    for method in study.methods:
        # (participants, pairs of the method) of how the method did.
        columns = [
            values[:, i] if study.videos[t.a].method == method else 1 - values[:, i]
            for i, t in enumerate(pairs)
            if method in (study.videos[t.a].method, study.videos[t.b].method)
        ]
        own = np.stack(columns, axis=1)
        asked = ~np.isnan(own)
        shares = np.array([row[known].mean() for row, known in zip(own, asked, strict=True) if known.any()])
        if not len(shares):
            continue
        low, high = mean_interval(shares, f"{question} {method}", RESAMPLES) or (None, None)
        found.append(Preference(question, method, float(shares.mean()), low, high, len(shares), int(asked.sum())))
    return found
