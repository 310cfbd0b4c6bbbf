"""Which published recordings a corpus needs and does not have: the lists against what lies below its folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from magictalk_core.corpora.hdtf.clips import find_media
from magictalk_core.corpora.hdtf.lists import read_lists
from magictalk_core.corpora.list_files import videos_by_stem, youtube_address
from magictalk_core.corpora.registry import CorpusEntry
from magictalk_core.corpora.talkinghead1kh.clips import media_of
from magictalk_core.corpora.talkinghead1kh.lists import LISTS, Tube, read_talkinghead_lists
from magictalk_core.errors import PermanentError, UserError

__all__ = ["Recording", "wanted_recordings"]


@dataclass(frozen=True)
class Recording:
    """A published recording and the files, below the local folder, that it is wanted as. `height` in lines."""

    address: str
    files: tuple[str, ...]
    height: int | None


def wanted_recordings(entry: CorpusEntry) -> list[Recording]:
    """What the lists name and the corpus folder does not have, one per YouTube id, in the order of the lists.

    Recordings of which no clip is used (HDTF without a crop, TalkingHead-1KH ids without tubes) are not wanted. Raises
    `UserError` for a corpus that has no lists.
    """
    if not entry.root.is_dir():
        raise PermanentError(f"corpus `{entry.name}`: its folder {entry.root} is not there: is the disk mounted?")
    readers = {"hdtf": _wanted_of_hdtf, "talkinghead1kh": _wanted_of_talkinghead}
    if entry.kind not in readers:
        raise UserError(
            f"corpus `{entry.name}` is of kind {entry.kind}, which is not published as lists: only "
            f"{' and '.join(readers)} can be fetched"
        )
    paths = [
        Path(folder, name).relative_to(entry.root).as_posix()
        for folder, _, names in os.walk(entry.root)
        for name in names
        if not name.startswith(".")
    ]
    return readers[entry.kind](entry, paths)


def _wanted_of_hdtf(entry: CorpusEntry, paths: Sequence[str]) -> list[Recording]:
    """`<S>_<name>.mp4`, the names of the reference script's raw videos."""
    lists = read_lists(entry.root, paths)
    if not lists.videos:
        raise UserError(f"corpus `{entry.name}`: no HDTF lists, such as RD_video_url.txt, below {entry.root}")
    stems = videos_by_stem(paths)
    names = {name for video in lists.videos for name in (video.key, video.name)}
    found: dict[str, Recording] = {}
    for video in lists.videos:
        clips = [clip for clip in video.clips if clip.crop is not None]
        if video.youtube_id and any(find_media(video, clip, stems, names)[0] is None for clip in clips):
            _add(found, youtube_address(video.youtube_id), f"{video.key}.mp4", video.height or None)
    return list(found.values())


def _wanted_of_talkinghead(entry: CorpusEntry, paths: Sequence[str]) -> list[Recording]:
    """`<split>/raw_videos/<id>.mp4`, the layout of the official scripts."""
    lists = read_talkinghead_lists(entry.root, paths)
    tubes: dict[str, list[Tube]] = {}
    splits: dict[str, str] = {}
    for name in LISTS:
        for tube in lists.tubes[name]:
            tubes.setdefault(tube.video_id, []).append(tube)
            splits.setdefault(tube.video_id, name)
    if not tubes:
        raise UserError(f"corpus `{entry.name}`: no lists with tubes, such as val_video_tubes.txt, below {entry.root}")
    stems = videos_by_stem(paths)
    found: dict[str, Recording] = {}
    for video_id, own in tubes.items():
        if any(media_of(stems, tube)[0] is None for tube in own):
            file = f"{splits[video_id]}/raw_videos/{video_id}.mp4"
            _add(found, youtube_address(video_id), file, max(tube.height for tube in own) or None)
    return list(found.values())


def _add(found: dict[str, Recording], address: str, file: str, height: int | None) -> None:
    known = found.get(address, Recording(address, (), height))
    found[address] = replace(known, files=(*known.files, file), height=known.height or height)
