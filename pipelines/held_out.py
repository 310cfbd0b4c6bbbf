"""What a run says, and leaves out, where nothing is held out or labelled: before the trainings, not after them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Set

import dagster as dg

from assets.evaluation import NEED_TEST_CLIPS
from assets.paper import PAPER_KEYS
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.vocabulary.clips import Split

__all__ = ["must_hold_clips_out", "without_what_needs_labels", "without_what_needs_test_clips"]

_NEED_THEM = NEED_TEST_CLIPS | PAPER_KEYS

logger = logging.getLogger("magictalk.corpora")

_REMEDY = (
    "add speakers, set split=val and split=test in the labels CSV, or hold out clips of the same speakers "
    "(`magictalk corpus add ... --split clip --replace`)"
)


_CUT = (
    "ffmpeg -i me.mp4 -force_key_frames 'expr:gte(t,n_forced*15)' -f segment -segment_time 15 -reset_timestamps 1 "
    "clips/%03d.mp4"
)


def must_hold_clips_out(wanted: Set[dg.AssetKey], accepted: Mapping[Split, int] | None) -> None:
    """Raise `UserError` where models are to be fine-tuned and no clip is held out that tells when to stop, and whether
    anything was gained."""
    trains = any(key.path[0] == "models" for key in wanted)
    if trains and accepted is not None and not accepted[Split.VAL]:
        raise UserError(
            f"fine-tuning needs held-out clips to stop by, found {accepted[Split.TRAIN]} accepted for training, none "
            f"for validation: give three videos or more, or cut a long one: `{_CUT}`"
        )


def without_what_needs_test_clips(
    wanted: Set[dg.AssetKey], selection: str | None, accepted: Mapping[Split, int] | None
) -> set[dg.AssetKey]:
    """`wanted` as far as it can be made from the `accepted` clips of each split; None: nobody knows yet.

    Raises `PermanentError` where `selection` names what cannot.
    """
    names = {key.to_user_string() for key in wanted}
    if accepted is None or not any(name.startswith("models/") or name in _NEED_THEM for name in names):
        return set(wanted)
    if not accepted[Split.VAL]:
        logger.warning("no accepted clip in the val split: the trainings measure no held-out loss; %s", _REMEDY)
    if accepted[Split.TEST]:
        return set(wanted)
    asked = {part.strip("+") for part in (selection or "").replace(",", " ").split()} & _NEED_THEM
    if asked:
        raise PermanentError(f"{min(asked)}: no accepted clip in the test split: {_REMEDY}")
    left_out = sorted(names & _NEED_THEM)
    if left_out:
        logger.warning(
            "no accepted clip in the test split: models are trained, and %s are left out; %s",
            ", ".join(left_out),
            _REMEDY,
        )
    return {key for key in wanted if key.to_user_string() not in _NEED_THEM}


def without_what_needs_labels(
    wanted: Set[dg.AssetKey], selection: str | None, emotions_of_clips: Callable[[], Set[str] | None]
) -> set[dg.AssetKey]:
    """`wanted` without the judge of emotions where the accepted training clips show fewer than two emotions.

    `emotions_of_clips` gives None where nobody knows yet. Who asks for the judge by name is told by its training.
    """
    judge = dg.AssetKey(["models", "emotion_fan"])
    asked = {part.strip("+") for part in (selection or "").replace(",", " ").split()}
    if judge not in wanted or judge.to_user_string() in asked:
        return set(wanted)
    emotions = emotions_of_clips()
    if emotions is None or len(emotions) > 1:
        return set(wanted)
    logger.warning(
        "the training clips have %s: no judge of emotions is trained, and pictures are not asked what they show; give "
        "labels with `magictalk corpus add ... --labels FILE --replace`",
        f"one emotion alone, {min(emotions)}" if emotions else "no label of emotion",
    )
    return set(wanted) - {judge}
