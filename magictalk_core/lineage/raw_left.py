"""The raw files of withdrawn clips: where they lie, whose they are, and what else is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from magictalk_core.corpora.raw_files import LOCAL, raw_file
from magictalk_core.corpora.registry import list_corpora
from magictalk_core.corpora.withdrawal_log import WithdrawnClip
from magictalk_core.lineage.withdraw import known_clips
from magictalk_core.vocabulary.clips import Status
from magictalk_core.workspace import Workspace

__all__ = ["RawLeft", "raw_left"]


@dataclass(frozen=True)
class RawLeft:
    """A raw file. `is_local`: the workspace unpacked or fetched it; else it is the user's own. `others`: clips in it
    that nobody withdrew, for whose sake it stays."""

    path: Path
    exists: bool
    is_local: bool
    others: tuple[str, ...]


def raw_left(workspace: Workspace, clips: Sequence[WithdrawnClip]) -> list[RawLeft]:
    """Every raw video and sound file that the clips were made from."""
    roots = {entry.name: entry.root for entry in list_corpora(workspace)}
    wanted = {
        (clip.clip_id.split("/")[0], path)
        for clip in clips
        for path in (clip.raw_path, clip.raw_audio_path)
        if path is not None
    }
    gone = {clip.clip_id for clip in clips}
    rows = known_clips(workspace)
    stays = rows[(rows["status"] != str(Status.WITHDRAWN)) & ~rows["clip_id"].isin(gone)]
    found = []
    for corpus, name in sorted(wanted):
        if corpus not in roots:
            continue
        path = raw_file(roots[corpus], workspace.local_media(corpus), name)
        shared = stays[(stays["corpus"] == corpus) & ((stays["raw_path"] == name) | (stays["raw_audio_path"] == name))]
        found.append(RawLeft(path, path.is_file(), name.startswith(LOCAL), tuple(map(str, shared["clip_id"]))))
    return found
