"""Odd forms of one talking clip against the plain one: what every command makes of them, as one Markdown table.

    bash ../shared/cases/odd_videos.sh /tmp/odd CLIP
    python benchmarks/odd_inputs.py /tmp/odd [--forms tv.ts,mask.mp4]

A cell holds the correlation and the mean absolute difference of `jawOpen` with the plain clip, over the frames that
both show a face in, and how many of the form's frames do; or why there is nothing. Another command is another entry of
COLUMNS: a function of a file that returns the jaw per frame, null without a face, with remarks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import MagicTalkError
from magictalk_core.faces.extract import extract_video
from magictalk_core.faces.tracker import Tracker, open_tracker
from magictalk_core.media.completeness import told_missing
from magictalk_core.media.container import PacketCount
from magictalk_core.media.probe import probe
from magictalk_core.vocabulary.rates import FRAME_RATE

PLAIN = "base.mp4"
REFERENCES = {"anamorphic.mp4": "anamorphic_ref.mp4"}
"""Forms whose picture is another one's than the plain clip's."""
SHIFTS_S = {"black_first2s.mp4": 2.0}
"""How much later than in its reference a form shows the same."""


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
    remarks = [*probe(path).remarks, *told_missing(path, len(jaw) / FRAME_RATE, packets)]
    return Answer(jaw, "; ".join(remarks))


COLUMNS: dict[str, Callable[[Path], Answer]] = {"extract": extracted}


def cell(answer: Answer, plain: Answer, shift_s: float) -> str:
    shift = round(shift_s * FRAME_RATE)
    ours = answer.jaw[shift:] if shift >= 0 else answer.jaw
    theirs = plain.jaw[-shift:] if shift < 0 else plain.jaw
    n = min(len(ours), len(theirs))
    both = np.isfinite(ours[:n]) & np.isfinite(theirs[:n])
    seen = f"{np.isfinite(answer.jaw).sum()} of {len(answer.jaw)}"
    told = f"; {answer.remarks}" if answer.remarks else ""
    if both.sum() < 3:
        return f"no face in common ({seen}){told}"
    a, b = ours[:n][both], theirs[:n][both]
    return f"r {np.corrcoef(a, b)[0, 1]:.3f}, diff {np.abs(a - b).mean():.3f} ({seen}){told}"


def row(path: Path, answered: Callable[[str, Path], Answer | str]) -> list[str]:
    cells = [path.name]
    for name in COLUMNS:
        answer = answered(name, path)
        plain = answered(name, path.with_name(REFERENCES.get(path.name, PLAIN)))
        if isinstance(answer, str) or isinstance(plain, str):
            cells.append(answer if isinstance(answer, str) else f"no reference: {plain}")
        else:
            cells.append(cell(answer, plain, SHIFTS_S.get(path.name, 0.0)))
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
    for path in files:
        print(f"| {' | '.join(row(path, ask))} |", flush=True)


if __name__ == "__main__":
    main()
