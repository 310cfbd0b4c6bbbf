"""What a user study asks, and what comes back: the two files, checked.

The questions are the paper's (section 4.4, Figure 7): emotion preservation and overall quality, with a reference
picture and the emotion given. People see pairs of videos whose names say nothing; which method a video shows stands in
the study's key alone, which stays in the workspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from magictalk_core.config import StrictModel
from magictalk_core.errors import UserError

__all__ = ["CHOICES", "QUESTIONS", "Answer", "Returned", "Study", "StudyVideo", "Trial", "read_returned", "read_study"]

STUDY_FORMAT, RETURNED_FORMAT = "magictalk-study-key", "magictalk-user-study"
VERSION = 1

Choice = Literal["left", "same", "right"]
CHOICES: tuple[Choice, ...] = ("left", "same", "right")

QUESTIONS: dict[str, str] = {
    "emotion": "Which video preserves the emotion better?",
    "quality": "Which video has the better overall quality?",
}
"""Figure 7: ratings for emotion preservation, and for overall quality."""

Kind = Literal["pair", "degraded", "instructed"]


class StudyVideo(StrictModel):
    """What a video with a blind name shows."""

    method: str
    clip_id: str


class Trial(StrictModel):
    """Two videos of one clip. Of an attention check `expected` is the right answer to `quality`: a video of a degraded
    pair, a side of an instructed one."""

    id: str
    kind: Kind = "pair"
    clip_id: str
    emotion: str | None
    reference: str = Field(description="file of the reference picture")
    a: str = Field(description="blind name of a video")
    b: str
    expected: str | None = None


class Study(StrictModel):
    """The key of a study."""

    format: Literal["magictalk-study-key"] = "magictalk-study-key"
    version: Literal[1] = 1
    id: str
    seed: int
    pairs_each: int = Field(ge=1, description="pairs that one person is shown")
    allowed_failures: int = Field(0, ge=0, description="attention checks that a person may fail and still count")
    videos: dict[str, StudyVideo]
    trials: tuple[Trial, ...]

    @property
    def checks(self) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.kind != "pair")

    @property
    def methods(self) -> list[str]:
        shown = {code for trial in self.trials if trial.kind == "pair" for code in (trial.a, trial.b)}
        return sorted({self.videos[code].method for code in shown})


class Answer(StrictModel):
    """One trial as it was shown and answered. `seconds`: from both videos shown to the answer."""

    trial: str
    left: str
    right: str
    emotion: Choice
    quality: Choice
    seconds: float = Field(ge=0)


class Returned(StrictModel):
    """What the page hands out at its end. It holds no personal data: the participant is a code."""

    format: Literal["magictalk-user-study"]
    version: Literal[1]
    study: str
    participant: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")
    answers: tuple[Answer, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_once(self) -> Returned:
        trials = [answer.trial for answer in self.answers]
        if len(set(trials)) < len(trials):
            raise ValueError("a trial is answered twice")
        return self


def read_study(path: Path) -> Study:
    """The key in a file. Raises `UserError` where there is none, or it is none of this release."""
    try:
        return Study.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no study was made: type `magictalk study make --out DIR`") from None
    except ValidationError as error:
        raise UserError(f"{path}: no key of a study of this release: {_first(error)}: make the study anew") from error


def read_returned(paths: Sequence[Path], study: Study) -> dict[str, Returned]:
    """Participant -> answers, of files that the page handed out for this study.

    Raises `UserError` naming the file: one that is no such file or of another study, answers to what was not asked, a
    participant that two files have.
    """
    found: dict[str, tuple[Path, Returned]] = {}
    for path in sorted(paths):
        returned = _read_one(path, study)
        if returned.participant in found:
            first = found[returned.participant][0]
            raise UserError(f"{path}: participant `{returned.participant}` has handed in {first} already: keep one")
        found[returned.participant] = path, returned
    return {participant: returned for participant, (_, returned) in found.items()}


def _read_one(path: Path, study: Study) -> Returned:
    try:
        returned = Returned.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise UserError(f"{path}: no answers of the study's page: {_first(error)}") from error
    if returned.study != study.id:
        raise UserError(f"{path}: answers of study {returned.study}, expected {study.id}")
    trials = {trial.id: trial for trial in study.trials}
    for answer in returned.answers:
        trial = trials.get(answer.trial)
        if trial is None or {answer.left, answer.right} != {trial.a, trial.b}:
            raise UserError(f"{path}: trial {answer.trial} was not asked like that in this study")
    unanswered = [check.id for check in study.checks if check.id not in {one.trial for one in returned.answers}]
    if unanswered:
        raise UserError(f"{path}: the attention check {unanswered[0]} is not answered: the study was not finished")
    return returned


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]
