"""What a folder of finished videos holds for the test clips, before anything is taken from it."""

from __future__ import annotations

from pathlib import Path

from magictalk_core.corpora.registry import list_corpora
from magictalk_core.evaluation.external.finished import match_videos
from magictalk_core.evaluation.generate import test_clips
from magictalk_core.presets.of_workspace import preset_of
from magictalk_core.workspace import Workspace

__all__ = ["preview_videos"]


def preview_videos(workspace: Workspace, folder: Path) -> list[str]:
    """How many clips have a file, then each clip without or with several, and each file that belongs to none."""
    corpora = [one.name for one in list_corpora(workspace) if workspace.clips_table(one.name).is_file()]
    clips = [clip_id for _, clip_id in test_clips(workspace, corpora, preset_of(workspace).evaluation.max_clips)]
    match = match_videos(folder, clips)
    return [f"{len(match.found)} of {len(clips)} test clips have a video in {folder}", *match.lines()]
