"""TalkingHead-1KH: face tubes in minute chunks of YouTube videos, of which only lists are published.

Media is found by name, in whichever state it is: minute chunks `<id>_NNNN.mp4`, from which tubes are cut; cropped clips
`<chunk>_S<>_E<>_L<>_T<>_R<>_B<>.mp4`, which are finished; or whole videos `<id>.mp4`, whose chunks are found at their
key frames when they are read. Chunks win over cropped clips, and those over whole videos.

Splits: the official train and val lists. There is no test list, so the videos of val are the test set, and 15 % of the
train videos, by rank, are for validation. The small list is a part of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from magictalk_core.corpora.list_files import videos_by_stem, youtube_address
from magictalk_core.corpora.records import ClipSource, Corpus, ListedBox
from magictalk_core.corpora.splits import official_splits, speaker_splits
from magictalk_core.corpora.talkinghead1kh.lists import LISTS, TalkingHeadLists, Tube, read_talkinghead_lists
from magictalk_core.vocabulary.clips import Split, clip_id

__all__ = ["all_tubes", "find_clips", "media_of"]


def all_tubes(lists: TalkingHeadLists) -> dict[str, Tube]:
    """Every tube once, by the name of its clip."""
    return {tube.clip_name: tube for name in LISTS for tube in lists.tubes[name]}


def media_of(stems: Mapping[str, str], tube: Tube) -> tuple[str | None, str]:
    """Path of the file that holds the tube, and what it is: chunk, clip, video or missing."""
    for stem, state in ((tube.chunk_name, "chunk"), (tube.clip_name, "clip"), (tube.video_id, "video")):
        if stem in stems:
            return stems[stem], state
    return None, "missing"


def find_clips(corpus: Corpus, paths: Sequence[str]) -> list[ClipSource]:
    """One clip per tube, sorted by id; `path` is None where its media is not here."""
    lists = read_talkinghead_lists(corpus.root, paths)
    stems, tubes = videos_by_stem(paths), all_tubes(lists)
    videos = {tube.video_id for tube in tubes.values()}
    val = {*lists.ids["val"], *(tube.video_id for tube in lists.tubes["val"])}
    # Ranked over the lists of ids, which are complete: a longer list of tubes moves nobody.
    everybody = videos | set(lists.ids["train"])
    splits = official_splits(everybody, val) if corpus.split == "official" else speaker_splits(videos, corpus.split)
    clips = [_clip(corpus, tube, media_of(stems, tube), splits[tube.video_id]) for tube in tubes.values()]
    return sorted(clips, key=lambda clip: clip.clip_id)


def _clip(corpus: Corpus, tube: Tube, media: tuple[str | None, str], split: Split) -> ClipSource:
    path, state = media
    is_cut = state != "clip"
    box = ListedBox(tube.left, tube.top, tube.right - tube.left, tube.bottom - tube.top, tube.width, tube.height)
    name = tube.clip_name.removeprefix(f"{tube.video_id}_").replace("_", "-")
    return ClipSource(
        clip_id=clip_id(corpus.name, tube.video_id, name),
        corpus=corpus.name,
        shard=corpus.shard(tube.video_id, tube.video_id),
        speaker=tube.video_id,
        source=tube.video_id,
        path=None if path is None else Path(path),
        licence=corpus.licence,
        start_frame=tube.first if is_cut else None,
        end_frame=tube.last if is_cut else None,
        chunk=tube.chunk if state == "video" else None,
        box=box if is_cut else None,
        address=youtube_address(tube.video_id),
        split=split,
    )
