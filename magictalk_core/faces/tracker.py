"""Trackers: a picture in, coefficients and head pose out. A picture's values depend on that picture alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.bundle import LandmarkerBundle, with_poses
from magictalk_core.faces.face_mesh import FaceMesh, load_face_mesh
from magictalk_core.faces.head_pose import pose_from_frame
from magictalk_core.faces.observation import NO_FACE, FaceObservation
from magictalk_core.faces.solver import face_frame, solve
from magictalk_core.faces.tracker_ids import BLENDSHAPES_ID, GEOMETRIC_ID, TrackerChoice, tracker_id

__all__ = [
    "LiteRtTracker",
    "Tracker",
    "geometric_tracker",
    "open_tracker",
]

Picture = NDArray[np.uint8]
Observer = Callable[[Picture], FaceObservation]
Finish = Callable[[Sequence[FaceObservation], Sequence[tuple[int, int]]], list[FaceObservation]]

_BATCH = 32
"""Pictures in memory at a time."""


class Tracker(Protocol):
    """`id` is `<kind>/<version>`; `track` yields one observation per RGB picture (h, w, 3), in order.

    None stands for a picture known to show no face.
    """

    id: str

    def track(self, pictures: Iterable[Picture | None]) -> Iterator[FaceObservation]: ...


class LiteRtTracker:
    """Runs one of several equal observers per picture: as many threads as there are observers, the same values.

    `finish` completes the observations of a batch, given the (height, width) of their pictures.
    """

    def __init__(self, tracker: str, observers: list[Observer], finish: Finish | None = None) -> None:
        self.id = tracker
        self._observers = observers
        self._finish = finish

    def track(self, pictures: Iterable[Picture | None]) -> Iterator[FaceObservation]:
        idle: SimpleQueue[Observer] = SimpleQueue()
        for observer in self._observers:
            idle.put(observer)

        def observe(rgb: Picture | None) -> FaceObservation:
            if rgb is None:
                return NO_FACE
            observer = idle.get()
            try:
                return observer(rgb)
            finally:
                idle.put(observer)

        with ThreadPoolExecutor(len(self._observers)) as pool:
            run = map if len(self._observers) == 1 else pool.map
            waiting: tuple[Iterator[FaceObservation], list[Picture | None]] | None = None
            for batch in _batches(pictures):
                # Threads begin with this batch at once, and go on with it while the next one is decoded.
                started = run(observe, batch)
                if waiting is not None:
                    yield from self._finished(*waiting)
                waiting = started, batch
            if waiting is not None:
                yield from self._finished(*waiting)

    def _finished(self, seen: Iterator[FaceObservation], batch: list[Picture | None]) -> list[FaceObservation]:
        sizes = [(0, 0) if rgb is None else rgb.shape[:2] for rgb in batch]
        return list(seen) if self._finish is None else self._finish(list(seen), sizes)


def _batches(pictures: Iterable[Picture | None]) -> Iterator[list[Picture | None]]:
    rest = iter(pictures)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _geometric_observer(mesh: FaceMesh) -> Observer:
    def observe(rgb: Picture) -> FaceObservation:
        found = mesh.find(rgb)
        if found is None:
            return NO_FACE
        frame = face_frame(found.landmarks)
        pose = pose_from_frame(frame.rotation, frame.scale, frame.centre, rgb.shape[1], rgb.shape[0])
        return FaceObservation(True, found.presence, found.landmarks, solve(frame), pose)

    return observe


def geometric_tracker(threads: int = 1) -> Tracker:
    """Networks of the mediapipe wheel and the geometric solver: needs nothing that a package index does not carry."""
    return LiteRtTracker(GEOMETRIC_ID, [_geometric_observer(load_face_mesh()) for _ in range(threads)])


def open_tracker(choice: TrackerChoice, threads: int = 1) -> Tracker:
    """Load the tracker. `mediapipe` without its file is a `PermanentError` that says where to get it.

    `threads` work side by side with the same results; MediaPipe ignores it and uses the processor as it likes.
    """
    tracker = tracker_id(choice)
    if tracker == GEOMETRIC_ID:
        return geometric_tracker(threads)
    if tracker == BLENDSHAPES_ID:
        return LiteRtTracker(BLENDSHAPES_ID, [LandmarkerBundle().observe for _ in range(threads)], with_poses)
    from magictalk_core.faces.mediapipe_tracker import MediaPipeTracker

    return MediaPipeTracker()
