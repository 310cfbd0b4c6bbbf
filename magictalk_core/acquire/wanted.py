"""Which published recordings a corpus needs and does not have: the lists against what lies below its folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.kinds import corpus_of, kind_names, kind_of
from magictalk_core.corpora.raw_files import log_left_out, scan_folder
from magictalk_core.corpora.records import Recording
from magictalk_core.errors import PermanentError, UserError

__all__ = ["wanted_recordings"]


def wanted_recordings(entry: CorpusEntry) -> list[Recording]:
    """What the lists name and the corpus folder does not have, one per address, in the order of the lists.

    Recordings of which no clip is used (HDTF without a crop, TalkingHead-1KH ids without tubes) are not wanted. Raises
    `UserError` for a corpus that has no lists.
    """
    if not entry.root.is_dir():
        raise PermanentError(f"corpus `{entry.name}`: its folder {entry.root} is not there: is the disk mounted?")
    wanted = kind_of(entry).wanted
    if wanted is None:
        raise UserError(
            f"corpus `{entry.name}` is of kind {entry.kind}, which is not published as lists: fetching is for "
            + kind_names(lambda kind: kind.wanted)
        )
    files, left_out = scan_folder(entry.root)
    log_left_out(entry.name, left_out)
    return _one_per_address(wanted(corpus_of(entry), sorted(file.path for file in files)))


def _one_per_address(wanted: Iterable[Recording]) -> list[Recording]:
    """Recordings that are wanted under several names, once; the first height that is known counts."""
    found: dict[str, Recording] = {}
    for one in wanted:
        known = found.get(one.address)
        if known is not None:
            one = replace(one, files=(*known.files, *one.files), height=known.height or one.height)
        found[one.address] = one
    return list(found.values())
