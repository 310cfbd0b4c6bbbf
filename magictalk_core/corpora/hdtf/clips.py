"""HDTF: clips that its lists cut out of YouTube videos, and where their media lie.

Two layouts are understood, anywhere below the root: raw videos `<S>_<name>.mp4` or `<name>.mp4`, cut and cropped by the
lists; and clips that somebody's script has cut and cropped already, `<S>_<name>_<iii>.mp4` or `<name>_<i>.mp4`. A raw
video is preferred: the reference script drops its sound and keeps nothing around the window.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from magictalk_core.corpora.hdtf.lists import HdtfVideo, Interval, read_lists
from magictalk_core.corpora.list_files import videos_by_stem, youtube_address
from magictalk_core.corpora.records import ClipSource, Corpus, ListedBox
from magictalk_core.corpora.splits import speaker_splits
from magictalk_core.vocabulary.clips import Split, clip_id

__all__ = ["find_clips", "find_media", "speakers_of"]

logger = logging.getLogger("magictalk.corpora")


def speakers_of(videos: Iterable[HdtfVideo]) -> dict[str, str]:
    """Key of each video -> its speaker: in WDA and WRA a politician, the name without the number at its end; in RD the
    video. Names that share a YouTube id are one speaker, the first by name."""
    videos = list(videos)
    speakers = {video.key: _person(video) for video in videos}
    by_id: dict[str, list[str]] = {}
    for video in videos:
        if video.youtube_id is not None:
            by_id.setdefault(video.youtube_id, []).append(speakers[video.key])
    leader: dict[str, str] = {}

    def first(speaker: str) -> str:
        while speaker in leader:
            speaker = leader[speaker]
        return speaker

    for same in by_id.values():
        low, *others = sorted({first(speaker) for speaker in same})
        leader.update(dict.fromkeys(others, low))
    return {key: first(speaker) for key, speaker in speakers.items()}


def _person(video: HdtfVideo) -> str:
    if video.subset == "RD":
        return video.name
    return video.name.rstrip("0123456789") or video.name


def find_media(video: HdtfVideo, clip: Interval, stems: Mapping[str, str], names: set[str]) -> tuple[str | None, bool]:
    """Path of the clip's file (None: not here), and whether it is the raw video, still to be cut.

    `stems`: file name without suffix -> path; `names`: all names and keys of the lists, which are never a clip.
    """
    for stem in (video.key, video.name):
        if stem in stems:
            return stems[stem], True
    for stem in _cut_stems(video, clip.index):
        if stem in stems and stem not in names:
            return stems[stem], False
    return None, False


def _cut_stems(video: HdtfVideo, index: int) -> Iterator[str]:
    for name in (video.key, video.name):
        yield f"{name}_{index:03d}"
        yield f"{name}_{index}"


def find_clips(corpus: Corpus, paths: Sequence[str]) -> list[ClipSource]:
    """Every timed clip that has a crop, sorted by id; `path` is None where its file is not here.

    Lists are read from the corpus folder, no media are opened. What is odd in the lists goes to `corpus check`; the log
    only says how much.
    """
    lists = read_lists(corpus.root, paths)
    if lists.problems:
        logger.debug("%s: %d remarks on its lists: see `magictalk corpus check`", corpus.name, len(lists.problems))
    stems = videos_by_stem(paths)
    names = {name for video in lists.videos for name in (video.key, video.name)}
    speakers = speakers_of(lists.videos)
    listed = [(video, clip) for video in lists.videos for clip in video.clips if clip.crop is not None]
    splits = speaker_splits((speakers[video.key] for video, _ in listed), corpus.split)
    clips = []
    for video, clip in listed:
        path, is_raw = find_media(video, clip, stems, names)
        speaker = speakers[video.key]
        clips.append(_clip(corpus, video, clip, path, is_raw, speaker, splits[speaker]))
    return sorted(clips, key=lambda clip: clip.clip_id)


def _clip(
    corpus: Corpus, video: HdtfVideo, clip: Interval, path: str | None, is_raw: bool, speaker: str, split: Split
) -> ClipSource:
    # Of a clip that is not here the list's numbers are kept: they say what is missing.
    is_cut = path is not None and not is_raw
    crop, height = None if is_cut else clip.crop, video.height or None
    return ClipSource(
        clip_id=clip_id(corpus.name, video.key, f"{clip.index:03d}"),
        corpus=corpus.name,
        shard=corpus.shard(speaker, video.key),
        speaker=speaker,
        source=video.key,
        path=None if path is None else Path(path),
        licence=corpus.licence,
        start_s=None if is_cut else clip.start_s,
        end_s=None if is_cut else clip.end_s,
        box=None if crop is None else ListedBox(crop.x, crop.y, crop.width, crop.height, of_height=height),
        address=None if video.youtube_id is None else youtube_address(video.youtube_id),
        split=split,
    )
