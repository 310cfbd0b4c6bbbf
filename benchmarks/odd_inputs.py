"""Odd forms of one talking clip against the plain one: what every command makes of them, as one Markdown table.

    bash ../shared/cases/odd_videos.sh /tmp/odd CLIP
    python benchmarks/odd_inputs.py /tmp/odd [--forms tv.ts,mask.mp4]

A cell holds the correlation and the mean absolute difference of `jawOpen` with the plain clip, over the frames that
both show a face in, and how many of the form's frames do; or why there is nothing. Another command is another entry of
COLUMNS: a function of a file that returns the jaw per frame, null without a face, with remarks.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import MagicTalkError
from magictalk_core.faces.extract import extract_video
from magictalk_core.faces.tracker import Tracker, open_tracker
from magictalk_core.media.completeness import told_missing
from magictalk_core.media.container import PacketCount
from magictalk_core.media.decode import read_frames
from magictalk_core.media.probe import INTERLACED, probe
from magictalk_core.vocabulary.rates import FRAME_RATE

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


@dataclass(frozen=True)
class Answer:
    """What a command made of a file: `jaw` per frame, NaN without a face."""

    jaw: NDArray[np.float64]
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
    return Answer(jaw, "; ".join(dict.fromkeys(remarks)))


COLUMNS: dict[str, Callable[[Path], Answer]] = {"extract": extracted}


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
        else:
            cells.append(cell(answer, plain, counterparts(path, reference, len(answer.jaw))))
    return cells


@cache
def ask(column: str, path: Path) -> Answer | str:
    """The answer of a command, or in one line why there is none."""
    try:
        return COLUMNS[column](path)
    except MagicTalkError as error:
        return str(error)


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
