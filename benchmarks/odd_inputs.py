"""Odd forms of one talking clip against the plain one: what every command makes of them, as one Markdown table.

    bash ../shared/cases/odd_videos.sh /tmp/odd CLIP
    python benchmarks/odd_inputs.py /tmp/odd [--forms tv.ts,mask.mp4]

`extract` and `corpus`: the correlation and the mean absolute difference of `jawOpen` with the plain clip, over the
frames that both show a face in, and how many of the form's frames do; or the reason why there is nothing, a gate's in a
corpus. `animate` is driven by the form's sound: how many of its speech steps have the
letter of the plain clip's, at the best shift.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.untrusted import sound_of
from magictalk_core.config import MediaConfig, QualityConfig, SpeechConfig
from magictalk_core.errors import MagicTalkError, UserError
from magictalk_core.faces.detection import load_face_detector
from magictalk_core.faces.extract import extract_clip, extract_video
from magictalk_core.faces.tracker import Tracker, open_tracker
from magictalk_core.faces.tracker_ids import tracker_id
from magictalk_core.faces.visible import load_face_viewer
from magictalk_core.media.completeness import told_missing
from magictalk_core.media.container import PacketCount
from magictalk_core.media.decode import read_frames
from magictalk_core.media.probe import INTERLACED, probe
from magictalk_core.media.standardize import standardize_clip
from magictalk_core.preparation.gates import decide
from magictalk_core.speech.alignment import frame_count
from magictalk_core.speech.features import speech_features
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

PLAIN = "base.mp4"
REFERENCES = {"anamorphic.mp4": "anamorphic_ref.mp4"}
"""Forms whose picture is another one's than the plain clip's."""
MADE = {"interlaced50i.ts": "scale=720:576,setsar=1"}
"""Forms whose reference is the plain clip after a filter of ffmpeg."""
RETIMED = frozenset(
    {"anim.gif", "black_first2s.mp4", "editlist.mp4", "mp3vbr.avi", "sizechange.ts", "vfr_gap.mp4", "vfr_jerky.mkv"}
)
"""Forms that show the same pictures at other times, as all that begin with `fps_` do: compared picture by picture."""
_MATCH_PX = 96
_MAX_SHIFT = 60
"""Steps of 20 ms."""


@dataclass(frozen=True)
class Answer:
    """What a command made of a file: `jaw` per frame, NaN without a face, or the `letters` heard, 50 a second."""

    jaw: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    letters: NDArray[np.intp] | None = None
    remarks: str = ""


@cache
def _tracker() -> Tracker:
    return open_tracker("auto", 1)


def extracted(path: Path) -> Answer:
    """What `magictalk extract` does, in this process."""
    packets = PacketCount()
    table = extract_video(path, "odd", _tracker(), count=packets)
    jaw = np.array(table.column("jawOpen").to_pandas(), np.float64)
    measured = (INTERLACED,) if packets.combed else ()
    remarks = (*probe(path).remarks, *measured, *told_missing(path, len(jaw) / FRAME_RATE, packets))
    return Answer(jaw, remarks="; ".join(dict.fromkeys(remarks)))


def in_corpus(path: Path) -> Answer:
    """What a corpus makes of the file: standardized, gated, tracked. Raises `UserError` with the reason of a
    rejection."""
    with tempfile.TemporaryDirectory(prefix="magictalk-") as folder:
        row = standardize_clip(
            path, None, None, None, Path(folder), "odd", MediaConfig(), load_face_detector, None, load_face_viewer
        )
        if row["status"] != "ok":
            raise UserError(f"{row['reason']}: {row['detail']}")
        rejection = decide(row, QualityConfig())
        if rejection is not None:
            raise UserError(f"{rejection[0]}: {rejection[1]}")
        table = extract_clip(Path(folder) / row["video_path"], "odd", tracker_id("auto"))
    return Answer(np.array(table.column("jawOpen").to_pandas(), np.float64), remarks=row["detail"] or "")


def heard(path: Path) -> Answer:
    """The letters that `magictalk animate --audio` hears."""
    sound = sound_of(path, SAMPLE_RATE, own_clock=True)
    frames = frame_count(len(sound.samples) / SAMPLE_RATE)
    steps = speech_features(sound.samples, frames, SpeechConfig().feature).reshape(2 * frames, -1)
    return Answer(letters=steps.argmax(axis=1), remarks="; ".join(sound.remarks))


COLUMNS: dict[str, Callable[[Path], Answer]] = {"extract": extracted, "corpus": in_corpus, "animate": heard}


@cache
def _small_pictures(path: Path) -> NDArray[np.float32]:
    sides = (_MATCH_PX, _MATCH_PX)
    return np.array([cv2.resize(rgb, sides, interpolation=cv2.INTER_AREA) for rgb in read_frames(path)], np.float32)


def counterparts(path: Path, reference: Path, length: int) -> NDArray[np.intp]:
    """For every frame of a form the frame of its reference that shows the same moment."""
    if path.name not in RETIMED and not path.name.startswith("fps_"):
        return np.arange(length)
    theirs = _small_pictures(reference)
    found = [int(np.abs(theirs - picture).mean(axis=(1, 2, 3)).argmin()) for picture in _small_pictures(path)]
    return np.array(found[:length])


def letters_cell(ours: NDArray[np.intp], theirs: NDArray[np.intp], remarks: str) -> str:
    """At the shift that fits best: a form's sound may begin a little before or after its picture."""

    def same(shift: int) -> float:
        late, early = ours[max(0, shift) :], theirs[max(0, -shift) :]
        n = min(len(late), len(early))
        return float((late[:n] == early[:n]).mean()) if n else 0.0

    shift = max(range(-_MAX_SHIFT, _MAX_SHIFT + 1), key=lambda steps: (same(steps), -abs(steps)))
    moved = f", {20 * shift:+d} ms" if shift else ""
    told = f"; {remarks}" if remarks else ""
    return f"letters {same(shift):.0%} ({len(ours)} of {len(theirs)} steps{moved}){told}"


def cell(answer: Answer, plain: Answer, pairs: NDArray[np.intp]) -> str:
    n = min(len(answer.jaw), int((pairs < len(plain.jaw)).sum()))
    ours, theirs = answer.jaw[:n], plain.jaw[pairs[:n]]
    both = np.isfinite(ours) & np.isfinite(theirs)
    seen = f"{np.isfinite(answer.jaw).sum()} of {len(answer.jaw)}"
    told = f"; {answer.remarks}" if answer.remarks else ""
    if both.sum() < 3:
        return f"no face in common ({seen}){told}"
    r = np.corrcoef(ours[both], theirs[both])[0, 1]
    return f"r {r:.3f}, diff {np.abs(ours[both] - theirs[both]).mean():.3f} ({seen}){told}"


def reference_of(path: Path, made: Path) -> Path:
    """The clip that shows the same picture in a plain file; those of MADE are written to the folder `made`."""
    plain = path.with_name(REFERENCES.get(path.name, PLAIN))
    if path.name not in MADE:
        return plain
    target = made / f"{path.stem}.mp4"
    if not target.exists():
        quality = ("-c:v", "libx264", "-crf", "12", "-preset", "veryfast")
        subprocess.run(
            ["ffmpeg", "-v", "error", "-i", plain, "-vf", MADE[path.name], *quality, "-c:a", "copy", target], check=True
        )
    return target


def row(path: Path, made: Path) -> list[str]:
    cells = [path.name]
    reference = reference_of(path, made)
    for name in COLUMNS:
        answer, plain = ask(name, path), ask(name, reference)
        if isinstance(answer, str) or isinstance(plain, str):
            cells.append(answer if isinstance(answer, str) else f"no reference: {plain}")
        elif answer.letters is not None and plain.letters is not None:
            cells.append(letters_cell(answer.letters, plain.letters, answer.remarks))
        else:
            cells.append(cell(answer, plain, counterparts(path, reference, len(answer.jaw))))
    return cells


@cache
def ask(column: str, path: Path) -> Answer | str:
    """The answer of a command, or in one line why there is none."""
    try:
        return COLUMNS[column](path)
    except MagicTalkError as error:
        return " ".join(str(error).replace(f"{path}: ", "").split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="made by odd_videos.sh")
    parser.add_argument("--forms", default="", help="comma-separated file names; default: all")
    arguments = parser.parse_args()
    wanted = set(filter(None, arguments.forms.split(",")))
    files = [path for path in sorted(arguments.folder.iterdir()) if not wanted or path.name in wanted]
    print(f"| form | {' | '.join(COLUMNS)} |\n| --- |{' --- |' * len(COLUMNS)}")
    with tempfile.TemporaryDirectory(prefix="magictalk-") as made:
        for path in files:
            print(f"| {' | '.join(row(path, Path(made)))} |", flush=True)


if __name__ == "__main__":
    main()
