"""Animated portraits, looked at and measured: contact sheets and what judges that nobody here has trained say of them.

    python benchmarks/portrait_sheet.py ../shared/samples/portraits /tmp/sheets
        [--size 256] [--only mona] [--no-measures] [--held-out obama,statue] [--first-look]

One utterance of the sample corpus drives every portrait, five times: its true curves as neutral, happy, angry and sad,
and the neutral ones with the expression of surprise of `recipes.base_models`. `emotions.png` shows a frame of each
between two sounds, `mouth_and_eyes.png` closed lips, vowels and a blink, `turns.png` the head turned. Pictures of real
people: never publish them. `--first-look` draws as the sample corpus and the picture scores are drawn.

Who tunes the renderer on portraits looks at some and holds others out: those of `--held-out` (parts of file names) are
on no sheet, and have rows and means of their own.

Measured on the frames, per portrait: expression networks of face-api and `fer` (an emotion counts where it is the first
after neutral, or at least 0.2 above the neutral rendering), the identity network's cosine to the picture as given,
and, by MediaPipe, how the opening of the lips follows jawOpen and the lids eyeBlink (correlation over all frames of two
of the clips).
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.untrusted import picture_of
from magictalk_core.errors import UserError
from magictalk_core.faces.person_mask import load_person_mask
from magictalk_core.faces.tracker import open_tracker
from magictalk_core.judges.expression import ExpressionJudge, FaceApiExpression, FerExpression
from magictalk_core.judges.identity import FaceRecognition
from magictalk_core.portrait.animator import PortraitAnimator, crop_to_face
from magictalk_core.portrait.face import find_face
from magictalk_core.portrait.matte import whole_head
from magictalk_core.recipes.base_models.expressions import MANNERS
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.sample_corpus.build import utterances
from magictalk_core.sample_corpus.curves import motion_curves
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

EMOTIONS = ("neutral", "happy", "angry", "sad", "surprised")
UTTERANCE = "M901-neutral-001"
"""Bob may bring five more apples home."""
JUDGED_EVERY = 10
TRACKED = ("neutral", "happy")
TURNS = {
    "yaw 20": {"head_yaw_deg": 20}, "yaw -20": {"head_yaw_deg": -20}, "yaw 10": {"head_yaw_deg": 10},
    "pitch 12": {"head_pitch_deg": 12}, "pitch -12": {"head_pitch_deg": -12}, "roll 15": {"head_roll_deg": 15},
}  # fmt: skip
RISE = 0.2
Motion = NDArray[np.float32]
Frames = NDArray[np.uint8]


def column(name: str) -> int:
    return MOTION_NAMES.index(name)


def driving() -> dict[str, Motion]:
    """The same utterance in every emotion, (n, 58) at 25 frames per second."""
    said = next(u for u in utterances() if u.key == UTTERANCE)
    times = np.arange(round(said.duration_s * FRAME_RATE)) / FRAME_RATE
    made = {e: motion_curves(dataclasses.replace(said, emotion=e), times) for e in EMOTIONS if e != "surprised"}
    surprised = made["neutral"].copy()
    for stem, value in MANNERS["surprised"].face.items():
        for name in (stem, f"{stem}Left", f"{stem}Right"):
            if name in MOTION_NAMES:
                surprised[:, column(name)] = np.clip(surprised[:, column(name)] + value, 0, 1)
    return made | {"surprised": surprised}


def moments(motion: Motion) -> dict[str, int]:
    """Frames worth a look: between sounds, lips closed, two vowels, a blink half way down and at its lowest."""
    jaw, blink = motion[:, column("jawOpen")], motion[:, column("eyeBlinkLeft")]
    press = motion[:, column("mouthPressLeft")]
    awake = blink < 0.1
    lowest = int(blink.argmax())
    half = int(np.abs(blink[max(0, lowest - 4) : lowest + 1] - 0.5).argmin()) + max(0, lowest - 4)
    return {
        "between": int(np.where(awake, np.abs(jaw - 0.1), 9).argmin()),
        "bilabial": int(np.where(awake, press, -1).argmax()),
        "half open": int(np.where(awake, np.abs(jaw - 0.3), 9).argmin()),
        "open": int(np.where(awake, jaw, -1).argmax()),
        "round": int(np.where(awake, motion[:, column("mouthPucker")], -1).argmax()),
        "half blink": half,
        "blink": lowest,
    }


def turned(animator: PortraitAnimator) -> list[tuple[str, Frames]]:
    found = []
    for name, angles in TURNS.items():
        row = np.zeros(len(MOTION_NAMES), np.float32)
        for channel, degrees in angles.items():
            row[column(channel)] = degrees
        found.append((name, animator.frame(row)))
    return found


def sheet(rows: Mapping[str, list[tuple[str, Frames]]]) -> Frames:
    """One row of titled pictures per name."""
    lines = []
    for name, pictures in rows.items():
        titled = []
        for title, picture in pictures:
            marked = np.ascontiguousarray(picture)
            cv2.putText(marked, title, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1, cv2.LINE_AA)
            titled.append(marked)
        cv2.putText(titled[0], name[:30], (4, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 255, 255), 1, cv2.LINE_AA)
        lines.append(np.concatenate(titled, axis=1))
    return np.concatenate(lines)


@dataclasses.dataclass
class Found:
    """What was measured of one portrait."""

    shown: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    """Per judge and emotion: 1 where it is seen."""
    rise: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    identity: float = np.nan
    mouth: float = np.nan
    blink: float = np.nan


def expression_of(judge: ExpressionJudge, clips: Mapping[str, Frames]) -> tuple[dict[str, float], dict[str, float]]:
    """Whether each emotion is shown, and how far it rises above the neutral rendering."""
    means = {e: np.nanmean(judge.probabilities(frames[::JUDGED_EVERY]), axis=0) for e, frames in clips.items()}
    others = [i for i, label in enumerate(judge.labels) if label != "neutral"]
    shown, rise = {}, {}
    for emotion in EMOTIONS[1:]:
        at = judge.labels.index(emotion)
        rise[emotion] = float(means[emotion][at] - means["neutral"][at])
        first = others[int(means[emotion][others].argmax())] == at
        shown[emotion] = float(first or rise[emotion] >= RISE)
    return shown, rise


def following(clips: Mapping[str, Frames], motions: Mapping[str, Motion]) -> tuple[float, float]:
    """Correlations of lips and lids, as MediaPipe sees them, with what drove them; mean over two emotions."""
    tracker, mouths, lids = open_tracker("mediapipe"), [], []
    for emotion in TRACKED:
        frames = clips[emotion]
        seen = list(tracker.track(frames))
        gaps, blinks, known = [], [], []
        for index, one in enumerate(seen):
            if one.landmarks is None:
                continue
            p = one.landmarks
            gaps.append(np.linalg.norm(p[13, :2] - p[14, :2]) / np.linalg.norm(p[10, :2] - p[2, :2]))
            blinks.append(np.mean([one.coefficients[column(f"eyeBlink{side}")] for side in ("Left", "Right")]))
            known.append(index)
        if len(known) > 5:
            drive = motions[emotion][known]
            mouths.append(np.corrcoef(gaps, drive[:, column("jawOpen")])[0, 1])
            lids.append(np.corrcoef(blinks, drive[:, column("eyeBlinkLeft")])[0, 1])
    return (float(np.mean(mouths)), float(np.mean(lids))) if mouths else (np.nan, np.nan)


class Judges:
    def __init__(self) -> None:
        self.expression = {"face-api": FaceApiExpression.load(), "fer": FerExpression.load()}
        self.identity = FaceRecognition.load()

    def of(self, given: Frames, clips: Mapping[str, Frames], motions: Mapping[str, Motion]) -> Found:
        found = Found()
        for name, judge in self.expression.items():
            found.shown[name], found.rise[name] = expression_of(judge, clips)
        some = np.concatenate([frames[::JUDGED_EVERY] for frames in clips.values()])
        own, made = self.identity.embeddings(given[None])[0], self.identity.embeddings(some)
        cosines = made @ own / np.linalg.norm(made, axis=1) / np.linalg.norm(own)
        found.identity = float(np.nanmean(cosines))
        found.mouth, found.blink = following(clips, motions)
        return found


def print_table(results: Mapping[str, Found]) -> None:
    names = list(next(iter(results.values())).shown)
    heads = [f"{judge}: {emotion}" for judge in names for emotion in EMOTIONS[1:]]
    print("| portrait | " + " | ".join(heads) + " | identity | mouth r | blink r |")
    print("|" + "---|" * (len(heads) + 4))
    for portrait, found in results.items():
        cells = [f"{found.rise[j][e]:+.2f}{' *' if found.shown[j][e] else ''}" for j in names for e in EMOTIONS[1:]]
        numbers = [f"{v:.2f}" for v in (found.identity, found.mouth, found.blink)]
        print(f"| {portrait} | " + " | ".join(cells + numbers) + " |")
    for judge in names:
        pairs = [found.shown[judge][e] for found in results.values() for e in EMOTIONS[1:]]
        print(f"{judge}: {np.mean(pairs):.0%} of {len(pairs)} pairs show or raise the intended emotion")
    either = [max(found.shown[j][e] for j in names) for found in results.values() for e in EMOTIONS[1:]]
    print(f"either judge: {np.mean(either):.0%}")
    for name in ("identity", "mouth", "blink"):
        print(f"{name}: mean {np.nanmean([getattr(found, name) for found in results.values()]):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("portraits", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--only", default="")
    parser.add_argument("--no-measures", action="store_true")
    parser.add_argument("--held-out", default="")
    parser.add_argument("--first-look", action="store_true")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    motions = driving()
    judges = None if asked.no_measures else Judges()
    held = [part for part in asked.held_out.split(",") if part]
    network = None if asked.first_look else load_person_mask()
    emotions, parts, turns, results = {}, {}, {}, {}
    for path in sorted(p for p in asked.portraits.iterdir() if asked.only in p.name):
        try:
            face = find_face(picture_of(path).rgb)
        except UserError as error:
            print(f"{path.name}: refused: {error}")
            continue
        print(f"{path.name}: {'; '.join(face.warnings) or 'no warning'}", flush=True)
        given = crop_to_face(face.rgb, face.landmarks[:468], asked.size)[0]
        head = None if network is None else whole_head(network, face.rgb, face.landmarks)
        animator = PortraitAnimator(face.rgb, face.landmarks, builtin_rig(), asked.size, head=head)
        aside = any(part in path.name for part in held)
        at = {e: moments(motion) for e, motion in motions.items()}
        if judges is None:
            wanted = {e: sorted({*at[e].values()}) for e in EMOTIONS}
            frames = {e: dict(zip(rows, animator.render(motions[e][rows]), strict=True)) for e, rows in wanted.items()}
        else:
            clips = {e: np.stack(list(animator.render(motion))) for e, motion in motions.items()}
            results[path.stem] = judges.of(given, clips, motions)
            frames = {e: dict(enumerate(clip)) for e, clip in clips.items()}
        turns[path.stem] = [("given", given), *turned(animator)]
        animator.close()
        shown = [(e, frames[e][at[e]["between"]]) for e in EMOTIONS]
        emotions[path.stem] = [("given", given), *shown]
        neutral = [(m, frames["neutral"][index]) for m, index in at["neutral"].items() if m != "between"]
        loud = [(f"{e} open", frames[e][at[e]["open"]]) for e in ("happy", "angry")]
        parts[path.stem] = [*neutral, *loud]
        if aside:
            del emotions[path.stem], parts[path.stem], turns[path.stem]
    for name, rows in (("emotions", emotions), ("mouth_and_eyes", parts), ("turns", turns)):
        if not rows:
            continue
        target = asked.output / f"{name}.png"
        cv2.imwrite(str(target), cv2.cvtColor(sheet(rows), cv2.COLOR_RGB2BGR))
        print(target)
    for title, aside in (("looked at", False), ("held out", True)):
        chosen = {name: found for name, found in results.items() if any(part in name for part in held) == aside}
        if chosen:
            print(f"\n{title}:")
            print_table(chosen)


if __name__ == "__main__":
    main()
