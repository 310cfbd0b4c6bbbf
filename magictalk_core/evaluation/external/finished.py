"""A folder of finished videos, matched to clips by name: of a system that was run elsewhere, or has no public code.

A file belongs to the clip `corpus/source/clip` when its path below the folder, without suffix, is that id, or its name
is the id with `-`, `_` or `__` for `/`, or the last part alone where no other test clip has the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from magictalk_core.errors import UserError

__all__ = ["VIDEO_SUFFIXES", "Match", "match_videos"]

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"})


@dataclass(frozen=True)
class Match:
    """What a folder holds for clips: one file each, several (`ambiguous`) or none (`missing`); `unmatched` are videos
    that belong to none of the clips."""

    found: Mapping[str, Path]
    ambiguous: Mapping[str, tuple[Path, ...]]
    missing: tuple[str, ...]
    unmatched: tuple[Path, ...]

    def lines(self) -> list[str]:
        """What is not as it should be, one line each."""
        several = [f"several for {clip}: {', '.join(p.name for p in paths)}" for clip, paths in self.ambiguous.items()]
        missing = [f"missing: {clip}" for clip in self.missing]
        return [*several, *missing, *(f"unmatched: {path}" for path in self.unmatched)]


def match_videos(folder: Path, clip_ids: Sequence[str]) -> Match:
    """Match the videos below `folder`. Raises `UserError` where there is no such folder."""
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no folder of finished videos; `magictalk compare add NAME --videos DIR` names another"
        )
    names = _names(clip_ids)
    per_clip: dict[str, list[Path]] = {}
    unmatched = []
    files = (path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    for path in sorted(files):
        inside = path.relative_to(folder).with_suffix("").as_posix()
        clip = names.get(inside) or names.get(path.stem)
        if clip is None:
            unmatched.append(path)
        else:
            per_clip.setdefault(clip, []).append(path)
    return Match(
        {clip: paths[0] for clip, paths in per_clip.items() if len(paths) == 1},
        {clip: tuple(paths) for clip, paths in per_clip.items() if len(paths) > 1},
        tuple(clip for clip in clip_ids if clip not in per_clip),
        tuple(unmatched),
    )


def _names(clip_ids: Sequence[str]) -> dict[str, str]:
    """Name of a file -> clip; a name that two clips could have stands for neither."""
    wanted: dict[str, set[str]] = {}
    for clip in clip_ids:
        short = clip.rpartition("/")[2]
        for name in {clip, short, *(clip.replace("/", sign) for sign in ("-", "_", "__"))}:
            wanted.setdefault(name, set()).add(clip)
    return {name: next(iter(clips)) for name, clips in wanted.items() if len(clips) == 1}
