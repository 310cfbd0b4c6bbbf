"""Which of HDTF's raw videos are to be downloaded."""

from __future__ import annotations

from collections.abc import Sequence

from magictalk_core.corpora.hdtf.clips import find_media
from magictalk_core.corpora.hdtf.lists import read_lists
from magictalk_core.corpora.list_files import videos_by_stem, youtube_address
from magictalk_core.corpora.records import Corpus, Recording
from magictalk_core.errors import UserError

__all__ = ["wanted_videos"]


def wanted_videos(corpus: Corpus, paths: Sequence[str]) -> list[Recording]:
    """`<S>_<name>.mp4`, the names of the reference script's raw videos, where a clip with a crop is not here."""
    lists = read_lists(corpus.root, paths)
    if not lists.videos:
        raise UserError(f"corpus `{corpus.name}`: no HDTF lists, such as RD_video_url.txt, below {corpus.root}")
    stems = videos_by_stem(paths)
    names = {name for video in lists.videos for name in (video.key, video.name)}
    wanted = []
    for video in lists.videos:
        clips = [clip for clip in video.clips if clip.crop is not None]
        if video.youtube_id and any(find_media(video, clip, stems, names)[0] is None for clip in clips):
            wanted.append(Recording(youtube_address(video.youtube_id), (f"{video.key}.mp4",), video.height or None))
    return wanted
