"""The card of the dataset: Markdown with the front matter that dataset hubs read."""

from __future__ import annotations

from typing import Any

import pandas as pd

from magictalk_core.arkit_dataset.statistics import DatasetStatistics
from magictalk_core.storage.markdown import code, markdown_table
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, BLIND_CHANNELS
from magictalk_core.vocabulary.clips import Status

__all__ = ["card_text"]

_USE = """```python
import pandas as pd

frames = pd.read_parquet("arkit_dataset/data")  # all splits; one row per frame, `clip_id` and labels in every row
```

With the `datasets` library: `load_dataset("parquet", data_dir="arkit_dataset/data")` gives the splits by name."""

_POSE = """Head pose: right-handed axes, +x to the subject's own left, +y up, +z to the viewer; R = Ry(yaw) Rx(pitch)
Rz(roll), degrees; positive yaw turns the nose to the subject's left, positive pitch looks down, positive roll turns
counter-clockwise in the picture. Translation in centimetres under an assumed vertical field of view of 63 degrees."""


def _front_matter(info: dict[str, Any]) -> list[str]:
    splits = sorted({file.removeprefix("data/").split("-")[0] for file in info["files"]})
    lines = ["---", "pretty_name: ARKit blendshapes", "license: other", "configs:", "- config_name: default"]
    lines.append("  data_files:")
    for split in splits:
        lines += [f"  - split: {split}", f'    path: "data/{split}-*.parquet"']
    return [*lines, "---", ""]


def _label(value: object) -> object:
    """A column with gaps turns its integers into floats, and its gaps into NaN."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else "-"
    return "-" if value is None or value is pd.NA else value


def _count_rows(clips: pd.DataFrame, columns: list[str]) -> list[list[object]]:
    rows = []
    for key, group in clips.groupby(columns, dropna=False, sort=True, observed=True):
        names = [_label(k) for k in (key if isinstance(key, tuple) else (key,))]
        rows.append([*names, len(group), int(group["n_frames"].sum()), f"{group['duration_s'].sum() / 3600:.3f}"])
    return rows


def _blind_lines(info: dict[str, Any]) -> list[str]:
    lines = []
    for tracker in info["trackers"]:
        blind = BLIND_CHANNELS.get(tracker.split("/")[0], ())
        names = ", ".join(code(name) for name in ARKIT_NAMES if name in blind)
        lines.append(f"- {code(tracker)} does not see {names or 'nothing'}: null, or near zero by construction.")
    return lines


def card_text(info: dict[str, Any], clips: pd.DataFrame, present: pd.DataFrame, stats: DatasetStatistics) -> str:
    """Markdown. `clips`: all rows of the clip tables; `present`: those in the dataset."""
    rejected = clips[clips["status"] == Status.REJECTED]
    reasons = rejected.groupby("reason", observed=True).size().sort_values(ascending=False)
    seen = info["frames_with_face"] / max(1, info["total_frames"])
    lines = [
        *_front_matter(info),
        "# ARKit blendshapes",
        "",
        f"{info['total_clips']} clips of {info['total_speakers']} speakers, {info['total_frames']} frames "
        f"({info['total_hours']} hours) at 25 frames per second; a face in {seen:.1%} of them. For every frame: the 52 "
        "ARKit coefficients by name, the head pose, the labels of its clip.",
        "",
        _USE,
        "",
        "## Splits",
        "",
        *markdown_table(("split", "clips", "frames", "hours"), _count_rows(present, ["split"])),
        "",
        "## Sources",
        "",
        *markdown_table(("corpus", "clips", "frames", "hours"), _count_rows(present, ["corpus"])),
        "",
        *(f"- {code(corpus)}: version {code(digest)}" for corpus, digest in info["sources"].items()),
        "",
        "## Emotions",
        "",
        *markdown_table(("emotion", "level", "clips", "frames", "hours"), _count_rows(present, ["emotion", "level"])),
    ]
    if len(stats.clips):
        lines += ["", "![mean by emotion](meta/emotions.svg)", "", "![spread](meta/channels.svg)"]
    lines += ["", "## What the values mean", "", _POSE, "", *_blind_lines(info)]
    lines += ["- A frame without a face has `face_found` false and nulls.", "- Values are raw: nothing is smoothed."]
    lines += ["", "## Licences", ""]
    lines += markdown_table(("licence", "clips", "frames", "hours"), _count_rows(present, ["licence"]))
    lines += ["", "Curves of a real person's face are personal data, under the terms of the footage they came from."]
    lines += ["", "## Left out", ""]
    if len(reasons):
        lines += markdown_table(("reason", "clips"), [[code(reason), n] for reason, n in reasons.items()])
    lines += [
        "",
        f"{len(rejected)} clips were rejected; `meta/excluded.csv` names them. Withdrawn clips are not named.",
    ]
    return "\n".join(lines) + "\n"
