"""Which of TalkingHead-1KH's videos are to be downloaded."""

from __future__ import annotations

from collections.abc import Sequence

from magictalk_core.corpora.list_files import videos_by_stem, youtube_address
from magictalk_core.corpora.records import Corpus, Recording
from magictalk_core.corpora.talkinghead1kh.clips import media_of
from magictalk_core.corpora.talkinghead1kh.lists import LISTS, Tube, read_talkinghead_lists
from magictalk_core.errors import UserError

__all__ = ["wanted_videos"]


def wanted_videos(corpus: Corpus, paths: Sequence[str]) -> list[Recording]:
    """`<list>/raw_videos/<id>.mp4`, the layout of the official scripts, where a tube is not here."""
    lists = read_talkinghead_lists(corpus.root, paths)
    tubes: dict[str, list[Tube]] = {}
    list_of: dict[str, str] = {}
    for name in LISTS:
        for tube in lists.tubes[name]:
            tubes.setdefault(tube.video_id, []).append(tube)
            list_of.setdefault(tube.video_id, name)
    if not tubes:
        raise UserError(
            f"corpus `{corpus.name}`: no lists with tubes, such as val_video_tubes.txt, below {corpus.root}"
        )
    stems = videos_by_stem(paths)
    wanted = []
    for video_id, own in tubes.items():
        if any(media_of(stems, tube)[0] is None for tube in own):
            file = f"{list_of[video_id]}/raw_videos/{video_id}.mp4"
            height = max(tube.height for tube in own) or None
            wanted.append(Recording(youtube_address(video_id), (file,), height))
    return wanted
