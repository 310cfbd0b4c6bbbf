"""What happened to a video between the moment it was signed and now, stream by stream, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from magictalk_core.portrait.content import (
    GRID,
    PictureContent,
    SoundContent,
    VideoContent,
    frame_digests,
    loudness_of,
    prints_of,
)
from magictalk_core.portrait.label_seen import LABEL_SEEN
from magictalk_core.portrait.provenance import ContentSaid
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["ALTERED_LEVELS", "Edit", "EditKind", "edits_since", "encoder_told", "tags_told"]

ALTERED_LEVELS = 10.0
"""Difference of brightness at one of 16 x 16 places that no encoder makes: x264 crf 28 and a 75 % downscale reach 5."""
_SHARE_OF_ANOTHER = 0.5
"""Of the places: when as many differ, the picture as a whole is another, or moved."""
_MOST_PRINTS = 60
_SAME_SOUND_DB, _SILENT_DB = 3.0, -60.0
_SHARE_OF_SOUND = 0.8
_LAG_FRAMES = 5
"""Encoders of sound begin with up to a fifth of a second of their own."""
_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "middle", "right")


class EditKind(StrEnum):
    """The kinds of change that are named."""

    REENCODED = "re-encoded"
    REMUXED = "re-muxed"
    CUT = "cut"
    SOUND = "another sound"
    PIXELS = "altered pixels"
    METADATA = "stripped metadata"


@dataclass(frozen=True)
class Edit:
    """One change, and what was found of it."""

    kind: EditKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def edits_since(said: ContentSaid, now: VideoContent) -> list[Edit]:
    """Changes of picture, sound and tags; empty where every stream is as it was."""
    picture, start_s = _picture(said.picture, now.picture)
    found = [*picture, *_sound(said.sound, now.sound, start_s, now.picture.seconds), *tags_told(said.tags, now.tags)]
    mark = now.mark
    if said.mark is not None and mark is not None and mark.payload != said.mark:
        found.append(Edit(EditKind.PIXELS, f"they carry the mark {mark.payload}, not {said.mark}"))
    if mark is not None and mark.is_mirrored:
        found.append(Edit(EditKind.PIXELS, "the picture is mirrored"))
    if picture and said.label is not None and now.label is not None and now.label < LABEL_SEEN:
        found.append(Edit(EditKind.PIXELS, f"the label `{said.label}` is not to be seen any more"))
    return found


def tags_told(said: Mapping[str, str], now: Mapping[str, str]) -> list[Edit]:
    """Tags of the container that are gone or say something else."""
    gone = sorted(name for name in said if name not in now)
    other = sorted(name for name in said if name in now and now[name] != said[name])
    parts = [f"without the tags {', '.join(gone)}"] * bool(gone) + [f"other tags {', '.join(other)}"] * bool(other)
    return [Edit(EditKind.METADATA, "; ".join(parts))] if parts else []


def encoder_told(encoder: str) -> str:
    """How a picture stream says it was encoded."""
    quality = re.search(r" crf=([\d.]+)", encoder)
    if not encoder:
        return "by another encoder than x264, or without its note"
    return "by x264" + (f", crf {float(quality.group(1)):g}" if quality else "")


def _picture(said: PictureContent, now: PictureContent) -> tuple[list[Edit], float]:
    """The edits, and where in the original the video begins now, seconds."""
    if now.md5 == said.md5:
        return [], 0.0
    before, after = frame_digests(said), frame_digests(now)
    first = _place_of(after, before)
    if first is not None:
        return [_cut(said, now, first / FRAME_RATE, "the pictures that are left are untouched")], first / FRAME_RATE
    start_s, differences = _aligned(said, now)
    found = []
    if abs(now.seconds - said.seconds) > 1.5 / FRAME_RATE or now.frames < 0.98 * said.frames:
        found.append(_cut(said, now, start_s, ""))
    altered = np.median(differences, axis=0) if len(differences) else np.zeros((GRID, GRID))
    places = differences.max(axis=0, initial=0) > ALTERED_LEVELS if len(differences) < 3 else _lasting(differences)
    if altered.max() > ALTERED_LEVELS or places.any():
        found.append(Edit(EditKind.PIXELS, _where(places | (altered > ALTERED_LEVELS), differences, said, start_s)))
    untouched = len(set(after) & set(before)) >= 0.5 * len(after)
    if not untouched:
        sizes = f"{said.width}x{said.height} to {now.width}x{now.height}"
        scaled = f", scaled from {sizes}" if (said.width, said.height) != (now.width, now.height) else ""
        found.append(Edit(EditKind.REENCODED, f"{encoder_told(now.encoder)}{scaled}"))
    elif not found:
        found.append(
            Edit(EditKind.PIXELS, f"{sum(a not in set(before) for a in after)} pictures are not the signed ones")
        )
    return found, start_s


def _place_of(part: list[bytes], whole: list[bytes]) -> int | None:
    """Where `part` lies in `whole` as it is."""
    for start in range(len(whole) - len(part) + 1):
        if whole[start] == part[0] and whole[start : start + len(part)] == part:
            return start
    return None


def _cut(said: PictureContent, now: PictureContent, start_s: float, more: str) -> Edit:
    frames = f"{now.frames} of {said.frames} frames, {now.seconds:.2f} of {said.seconds:.2f} s"
    if now.seconds > said.seconds + 1.5 / FRAME_RATE:
        return Edit(EditKind.CUT, f"longer than it was: {now.frames} frames for {said.frames}")
    where = f", from {start_s:.2f} s on" if start_s > 0 else ""
    return Edit(EditKind.CUT, "; ".join(filter(None, (frames + where, more))))


def _aligned(said: PictureContent, now: PictureContent) -> tuple[float, NDArray[np.float64]]:
    """The shift at which the prints fit best, seconds, and the differences there (n, 16, 16), brighter or darker as a
    whole taken off."""
    before, after = prints_of(said).astype(np.float64), prints_of(now).astype(np.float64)
    times = np.arange(len(before)) / said.prints_per_s
    spare = max(0.0, said.seconds - now.seconds)
    best, shift_s = np.inf, 0.0
    step = max(1.0, spare * FRAME_RATE / 2000)
    for shift in np.arange(0.0, spare * FRAME_RATE + 1e-6, step) / FRAME_RATE:
        pair = _paired(before, after, times - shift, now.prints_per_s)
        few = pair[:: max(1, len(pair) // _MOST_PRINTS)]
        score = float(np.mean(np.minimum(np.abs(few), ALTERED_LEVELS))) if len(few) else np.inf
        if score < best - 1e-9:
            best, shift_s = score, float(shift)
    return shift_s, np.abs(_paired(before, after, times - shift_s, now.prints_per_s))


def _paired(
    before: NDArray[np.float64], after: NDArray[np.float64], times: NDArray[np.float64], rate: int
) -> NDArray[np.float64]:
    """Print by print the difference to what is shown at `times`, where something is."""
    places = np.rint(times * rate).astype(int)
    shown = (places >= 0) & (places < len(after))
    difference = after[places[shown]] - before[shown]
    return np.asarray(difference - np.median(difference, axis=(1, 2), keepdims=True), np.float64)


def _lasting(differences: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Places that differ in three prints in a row: half a second; a shifted blink does not."""
    large = differences > ALTERED_LEVELS
    return np.asarray((large[:-2] & large[1:-1] & large[2:]).any(axis=0))


def _where(places: NDArray[np.bool_], differences: NDArray[np.float64], said: PictureContent, start_s: float) -> str:
    if places.mean() > _SHARE_OF_ANOTHER:
        return "most of the picture is another one: replaced, cropped, turned or graded anew"
    rows, columns = np.nonzero(places)
    where = f"{_ROWS[int(np.median(rows) * 3 // GRID)]} {_COLUMNS[int(np.median(columns) * 3 // GRID)]}"
    seen = np.nonzero((differences[:, places] > ALTERED_LEVELS).any(axis=1))[0] / said.prints_per_s
    when = f" from {seen.min():.1f} to {seen.max():.1f} s" if len(seen) else ""
    return f"{places.sum()} of {places.size} places differ, {where} of the picture{when}"


def _sound(said: SoundContent | None, now: SoundContent | None, start_s: float, seconds: float) -> list[Edit]:
    if said is None or now is None:
        if said is None and now is not None:
            return [Edit(EditKind.SOUND, "a sound was added to a silent video")]
        return [] if said is None else [Edit(EditKind.SOUND, "the sound is gone")]
    if said.packets == now.packets:
        return []
    before = loudness_of(said)[round(start_s * FRAME_RATE) :][: round(seconds * FRAME_RATE)]
    share, louder = _alike(before, loudness_of(now))
    if share < _SHARE_OF_SOUND:
        return [Edit(EditKind.SOUND, f"{100 * share:.0f} % of it is as loud as what was signed")]
    change = f", {abs(louder):.0f} dB {'louder' if louder > 0 else 'softer'}" if abs(louder) >= 1 else ""
    if said.codec == now.codec and abs(said.seconds - now.seconds) > 0.1 and not change:
        return []  # of a cut, which is told
    return [Edit(EditKind.REENCODED, f"the sound, as {now.codec}{change}; what is heard is the same")]


def _alike(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """Share of the heard moments that are alike at the best lag, and by how much all is louder, dB."""
    best = (0.0, 0.0)
    for lag in range(-_LAG_FRAMES, _LAG_FRAMES + 1):
        one, other = before[max(0, -lag) :], after[max(0, lag) :]
        length = min(len(one), len(other))
        heard = (one[:length] > _SILENT_DB) | (other[:length] > _SILENT_DB)
        if not heard.any():
            return (1.0, 0.0) if not (before > _SILENT_DB).any() else (0.0, 0.0)
        change = other[:length][heard] - one[:length][heard]
        louder = float(np.median(change))
        share = float(np.mean(np.abs(change - louder) < _SAME_SOUND_DB)) * min(1.0, length / max(len(before), 1) + 0.2)
        if share > best[0]:
            best = (share, louder)
    return best
