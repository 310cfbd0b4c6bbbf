"""The rig, looked at, measured and timed: a contact sheet, what independent judges see, frames a second.

    python benchmarks/rig_sheet.py /tmp/rig.png [--rig FILE] [--no-measures] [--frames 300]

Expressions are the six of the sheet, as an actor gives them, and the manners of `recipes.base_models`, which are
those of speech. Judges: expression networks of face-api and `fer`; an emotion counts where it is the first after
neutral, or at least 0.2 above the neutral face. MediaPipe reads single shapes driven at 0.7. Time is of
`RigRenderer.frame` at 256 px on the machine as it is: processor time of all threads, and wall time.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.tracker import open_tracker
from magictalk_core.judges.expression import FaceApiExpression, FerExpression
from magictalk_core.recipes.base_models.expressions import MANNERS
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.render import RigRenderer
from magictalk_core.rig.rig import Rig
from magictalk_core.rig.sheet import EXPRESSIONS, SHOWN, motion_row, rig_sheet
from magictalk_core.rig.user_rig import read_rig
from magictalk_core.vocabulary.arkit import MOTION_NAMES

SIZE = 256
RISE = 0.2
DRIVEN = 0.7
SHAPES = ("jawOpen", "mouthSmile", "mouthFrown", "mouthPucker", "mouthUpperUp", "browDown", "browInnerUp",
          "browOuterUp", "eyeBlink", "eyeWide", "eyeSquint", "eyeLookOut", "eyeLookDown")  # fmt: skip


def judged(pictures: Mapping[str, NDArray[np.uint8]]) -> None:
    """Print what the expression networks say of each manner."""
    judges = {"face-api": FaceApiExpression.load(), "fer": FerExpression.load()}
    names = [n for n in pictures if n != "neutral"]
    seen: dict[str, set[str]] = {}
    for judge_name, judge in judges.items():
        found = dict(zip(pictures, judge.probabilities(np.stack(list(pictures.values()))), strict=True))
        others = [i for i, label in enumerate(judge.labels) if label != "neutral"]
        rest = found["neutral"]
        print(f"{judge_name}: the neutral face is {judge.labels[int(np.argmax(rest))]} ({rest.max():.2f})")
        for name in names:
            at, values = judge.labels.index(name), found[name]
            first = others[int(values[others].argmax())]
            shown = first == at or values[at] - rest[at] >= RISE
            seen.setdefault(name, set()).update([judge_name] if shown else [])
            print(f"  {name}: {values[at]:.2f} ({values[at] - rest[at]:+.2f}){' *' if shown else ''}; "
                  f"first {judge.labels[first]} {values[first]:.2f}")  # fmt: skip
    print("shown to either judge:", ", ".join(name for name, who in seen.items() if who))
    print("shown to both:", ", ".join(name for name, who in seen.items() if len(who) == len(judges)))


def tracked(renderer: RigRenderer) -> None:
    """Print what MediaPipe reads of single shapes."""
    frames = [renderer.frame(motion_row({}))] + [renderer.frame(motion_row({shape: DRIVEN})) for shape in SHAPES]
    rest, *moved = list(open_tracker("mediapipe").track(np.stack(frames)))
    cells = []
    for shape, one in zip(SHAPES, moved, strict=True):
        at = [MOTION_NAMES.index(n) for n in (shape, f"{shape}Left", f"{shape}Right") if n in MOTION_NAMES]
        value, before = (float(np.mean(seen.coefficients[at])) for seen in (one, rest))
        cells.append(f"{shape} {before:.2f} -> {value:.2f}")
    print(f"MediaPipe on shapes at {DRIVEN:g}:", "; ".join(cells))


def timed(rig: Rig, frames: int) -> None:
    """Print time per frame of random motion."""
    renderer = RigRenderer(rig, SIZE)
    motion = np.random.default_rng(0).uniform(0, 0.3, (frames, len(MOTION_NAMES))).astype(np.float32)
    renderer.frame(motion[0])
    used, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for row in motion:
        renderer.frame(row)
    wall, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    renderer.close()
    print(f"{SIZE} px: {1000 * cpu / frames:.1f} ms of processor time a frame, {frames / wall:.0f} frames/s wall, "
          f"{len(rig.neutral)} vertices, {len(rig.triangles)} triangles")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rig", type=Path)
    parser.add_argument("--no-measures", action="store_true")
    parser.add_argument("--frames", type=int, default=300)
    asked = parser.parse_args()
    rig = builtin_rig() if asked.rig is None else read_rig(asked.rig).rig
    cv2.imwrite(str(asked.output), cv2.cvtColor(rig_sheet(rig, SIZE), cv2.COLOR_RGB2BGR))
    if not asked.no_measures:
        renderer = RigRenderer(rig, SIZE)
        for title, faces in (
            ("as an actor gives them", {name: SHOWN[name] for name in ("neutral", *EXPRESSIONS)}),
            ("in speech, at their fullest", {name: MANNERS[name].face for name in ("neutral", *EXPRESSIONS)}),
        ):
            print(title)
            judged({name: renderer.frame(motion_row(face)) for name, face in faces.items()})
        tracked(renderer)
        renderer.close()
    timed(rig, asked.frames)


if __name__ == "__main__":
    main()
