"""What snapshots of the past lost to purges."""

from __future__ import annotations

import json
from collections.abc import Iterable

from magictalk_core.corpora.withdrawals import read_withdrawals
from magictalk_core.lineage.dvc_data import object_path
from magictalk_core.workspace import Workspace

__all__ = ["purged_from"]


def purged_from(workspace: Workspace, datasets: Iterable[str]) -> list[str]:
    """Why files of datasets, each by its `<md5>.dir`, are in no cache and no remote any more, in words; one line each.

    A dataset whose listing is not here is left to the one who looks for its files.
    """
    withdrawals = read_withdrawals(workspace)
    found = []
    for digest in datasets:
        listing = object_path(workspace.home, digest)
        for entry in json.loads(listing.read_text(encoding="utf-8")) if listing.is_file() else ():
            why = withdrawals.why_gone(entry["md5"])
            # The same bytes may have been made again since, from other clips: then nothing is lost.
            if why is not None and not object_path(workspace.home, entry["md5"]).is_file():
                found.append(why)
    return found
