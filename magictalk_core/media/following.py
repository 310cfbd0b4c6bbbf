"""Whose face a video is about, and where it is in every probed frame: one way for `extract` and for the corpora.

A video is opened by its first two seconds that show a face: they say whether the picture lies on its side, and who is
the speaker. From there one face is followed from probe to probe.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.crop import Box, Window, evidence, follow_speaker, same_face
from magictalk_core.media.picture import ScaledBox, Sighting, scale_box, small_rgb
from magictalk_core.media.scores import luma, roll_deg, sharpness, yaw_deg
from magictalk_core.media.turning import RIGHT_ANGLES

__all__ = ["PROBE_EVERY", "Detector", "Follower", "Opening", "main_person", "opened", "probe_picture"]

PROBE_EVERY = 5
"""Faces are looked for in one of so many frames."""

_DETECT_SIDE_PX = 640
_OPENING_FRAMES = 50
_OPENING_BYTES = 600_000_000
_SURE_UPRIGHT = 0.9
"""Score from which an upright face needs no comparison: of 126 frames of ../shared/samples turned by right angles, no
face reached it that was not upright."""
_TURN_MARGIN = 0.05
"""By how much more the faces must speak for a turn, on average."""
_TURN_SCORE = 0.75
"""Least average of the surest face that speaks for a turn: true ones have 0.8 and more, half a face that passes for one
upside down up to 0.72."""
_SURE = 0.7
_LOOK_AGAIN = 2.5

Rgb = NDArray[np.uint8]


class Detector(Protocol):
    """`faces.detection.FaceDetector`: faces of an RGB picture uint8 (h, w, 3), best first."""

    def detect(self, rgb: Rgb) -> Sequence[Box]: ...


@dataclass(frozen=True)
class Opening:
    """What the first frames with a face say of the whole clip. `turned_deg`: clockwise, to stand upright; `start`: the
    speaker's first face; `faces`: those of the opening's probes. All in pixels of the upright picture."""

    turned_deg: int
    start: ScaledBox
    faces: tuple[tuple[ScaledBox, ...], ...]


def probe_picture(frame: Any, turned_deg: int) -> tuple[Rgb, float]:
    """The small upright picture in which faces are looked for, and the factor from its pixels to the whole one's."""
    rgb, scale = small_rgb(frame, _DETECT_SIDE_PX)
    return _turned(rgb, turned_deg), scale


def _turned(rgb: Rgb, degrees: int) -> Rgb:
    return np.ascontiguousarray(np.rot90(rgb, -degrees // 90)) if degrees else rgb


def _faces(detector: Detector, rgb: Rgb, scale: float, window: Window | None = None) -> tuple[ScaledBox, ...]:
    gray = luma(rgb)
    found = (scale_box(box, scale, yaw_deg(box), sharpness(gray, box), roll_deg(box)) for box in detector.detect(rgb))
    return tuple(box for box in found if window is None or window.holds(box))


# --- the opening ---------------------------------------------------------------------------------------------------


def opened(frames: Iterator[Any], detector: Detector, window: Window | None) -> Iterator[tuple[Any, Opening | None]]:
    """The frames (`av.VideoFrame`), each with the opening of its clip; None as long as no frame showed a face.

    Waits for two seconds of frames, or less where they take much memory. Within a `window`, the corpus's own, nothing
    is turned: it is given in pixels of the picture as it lies.
    """
    opening: Opening | None = None
    while opening is None:
        waiting = _some(frames)
        if not waiting:
            return
        opening = _opening(waiting[::PROBE_EVERY], detector, window)
        yield from ((frame, opening) for frame in waiting)
    yield from ((frame, opening) for frame in frames)


def _some(frames: Iterator[Any]) -> list[Any]:
    """The next frames, a multiple of PROBE_EVERY unless they end."""
    first = list(islice(frames, PROBE_EVERY))
    if not first:
        return []
    size = sum(plane.buffer_size for plane in first[0].planes)
    count = min(_OPENING_FRAMES, _OPENING_BYTES // max(1, size))
    return [*first, *islice(frames, max(0, count // PROBE_EVERY - 1) * PROBE_EVERY)]


def _opening(probes: Sequence[Any], detector: Detector, window: Window | None) -> Opening | None:
    pictures = [probe_picture(frame, 0) for frame in probes]
    lying = [_faces(detector, rgb, scale, window) for rgb, scale in pictures]
    degrees = 0 if window is not None else _upright_turn(pictures, lying, detector)
    seen = lying if degrees == 0 else [_faces(detector, _turned(rgb, degrees), scale) for rgb, scale in pictures]
    first = next((face for face in follow_speaker(seen) if face is not None), None)
    return None if first is None else Opening(degrees, first, tuple(seen))


def _upright_turn(pictures: Sequence[tuple[Rgb, float]], lying: Sequence[Sequence[ScaledBox]], look: Detector) -> int:
    """The turn that makes the faces of most pictures stand upright; as they lie where that is not clear."""
    votes, surest = ({degrees: 0.0 for degrees in RIGHT_ANGLES} for _ in range(2))
    for (rgb, _), seen in zip(pictures, lying, strict=True):
        for degrees, score in _votes(rgb, seen, look).items():
            votes[degrees] += sum(score)
            surest[degrees] += max(score)
    best = max(RIGHT_ANGLES, key=lambda degrees: votes[degrees])
    count = len(pictures)
    clear = surest[best] > _TURN_SCORE * count and votes[best] > votes[0] + _TURN_MARGIN * count
    return best if clear else 0


def _votes(rgb: Rgb, seen: Sequence[ScaledBox], look: Detector) -> dict[int, list[float]]:
    """Scores for every turn, from the surest face of the picture under each: its tilt says what else to turn."""
    votes: dict[int, list[float]] = defaultdict(list)
    for degrees in RIGHT_ANGLES:
        faces = seen if degrees == 0 else _faces(look, _turned(rgb, degrees), 1.0)
        face = max(faces, key=lambda one: one.score, default=None)
        if face is None:
            continue
        more = 90 * round(face.roll_deg / 90)
        votes[(degrees + more) % 360].append(face.score)
        if degrees == more == 0 and face.score >= _SURE_UPRIGHT:
            break  # leaves nothing to look for
    return votes


# --- from probe to probe -------------------------------------------------------------------------------------------


@dataclass
class _Person:
    last: ScaledBox
    evidence: float = 0.0


class Follower:
    """Follows the speaker of an opening through the probes that begin with the opening's.

    Somebody else is followed only while the speaker is not to be seen, and left when he is back.
    """

    def __init__(self, detector: Detector, opening: Opening, window: Window | None = None) -> None:
        self._detector = detector
        self._window = window
        self._known = deque(opening.faces)
        self._people = [_Person(opening.start)]
        self._surest = opening.start.score

    def look(self, rgb: Rgb, scale: float, is_probe: bool = True) -> Sighting:
        """The speaker in the next probe (`probe_picture`), or in a frame between two."""
        known = is_probe and bool(self._known)
        seen = self._known.popleft() if known else _faces(self._detector, rgb, scale, self._window)
        found = self._known_person(seen)
        if found is None or found[0] is not self._speaker():
            # Beside a large face a small one is missed in the whole picture.
            again = self._look_again(rgb, scale, self._speaker().last)
            seen = (*seen, *again)
            found = self._known_person(again) or found or self._somebody_else(seen)
        if found is None:
            return Sighting(None, seen)
        person, face = found
        person.last, person.evidence = face, person.evidence + evidence(face)
        self._surest = max(self._surest, face.score)
        return Sighting(face, seen, next(i for i, one in enumerate(self._people) if one is person))

    def _speaker(self) -> _Person:
        """Who was followed most so far; before anybody was, who the opening is about."""
        return max(self._people, key=lambda person: person.evidence)

    def _known_person(self, seen: Sequence[ScaledBox]) -> tuple[_Person, ScaledBox] | None:
        """Of those followed before, the one with the most evidence whose place shows a face."""
        for person in sorted(self._people, key=lambda one: -one.evidence):
            (face,) = follow_speaker([seen], person.last)
            if face is not None:
                return person, face
        return None

    def _somebody_else(self, seen: Sequence[ScaledBox]) -> tuple[_Person, ScaledBox] | None:
        """The surest other face; what is less sure than this clip's faces are is not taken for one."""
        (face,) = follow_speaker([[box for box in seen if box.score >= min(_SURE, self._surest)]])
        if face is None:
            return None
        self._people.append(_Person(face))
        return self._people[-1], face

    def _look_again(self, rgb: Rgb, scale: float, face: ScaledBox) -> tuple[ScaledBox, ...]:
        """Faces at the place of `face` in the small picture's part around it."""
        side = round(_LOOK_AGAIN * max(face.width, face.height) / scale)
        x = max(0, round((face.x + face.width / 2) / scale - side / 2))
        y = max(0, round((face.y + face.height / 2) / scale - side / 2))
        part = np.ascontiguousarray(rgb[y : y + side, x : x + side])
        if not part.size:
            return ()
        boxes = [replace(b, x=b.x + x * scale, y=b.y + y * scale) for b in _faces(self._detector, part, scale)]
        return tuple(b for b in boxes if same_face(b, face) and (self._window is None or self._window.holds(b)))


def main_person(sightings: Sequence[Sighting]) -> list[ScaledBox | None]:
    """Of all faces that were followed, those of the person with most of the evidence; None elsewhere.

    Where another face is followed, somebody else is shown.
    """
    weights: defaultdict[int, float] = defaultdict(float)
    for sighting in sightings:
        if sighting.face is not None:
            weights[sighting.person] += evidence(sighting.face)
    main = max(weights, key=lambda person: weights[person], default=-1)
    return [sighting.face if sighting.person == main else None for sighting in sightings]
