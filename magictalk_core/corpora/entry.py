"""What a user says about a corpus when registering it."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator

from magictalk_core.config import StrictModel

__all__ = ["AUTO_SPLIT", "UNKNOWN_LICENCE", "CorpusEntry", "is_corpus_name"]

AUTO_SPLIT = "auto"
UNKNOWN_LICENCE = "unknown"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
# First parts of the asset keys that belong to no corpus.
_RESERVED = frozenset(
    {
        "arkit_dataset",
        "cache",
        "external_videos",
        "figures",
        "generated",
        "lineage_report",
        "lip_ablation",
        "manifests",
        "models",
        "paper",
        "picture_motion",
        "picture_scores",
        "recipes",
        "refined",
        "release",
        "report",
        "rig",
        "scores",
        "seed_scores",
        "set_scores",
        "tables",
        "training_set",
        "videos",
    }
)


def is_corpus_name(name: str) -> bool:
    """Whether a corpus can have this name: it is the name of a folder and the first part of clip ids and asset keys."""
    return _NAME.fullmatch(name) is not None


class CorpusEntry(StrictModel):
    """What the user said about a corpus. The folder `root` is only ever read.

    What is left open (`auto`, `unknown`, None, empty) is for the kind to say: see `CorpusKind.resolve`.
    """

    name: str = Field(description="first part of its clip ids: lower-case letters, digits and _")
    kind: str = Field(description="layout on disk: a name of corpora/kinds.py")
    root: Path = Field(
        description="folder with the raw files, absolute; its file may say it another way: see registry.py"
    )
    licence: str = Field(UNKNOWN_LICENCE, description="licence or terms of the raw clips; unknown: the kind's own")
    labels: Path | None = Field(None, description="CSV with path[,speaker,emotion,level,split,licence]")
    synthetic: bool | None = Field(None, description="whether the clips are made, not filmed; None: as the kind says")
    training: bool = Field(
        True, description="whether training sets take its clips; no where they show what another corpus shows"
    )
    buckets: int | None = Field(None, ge=1, le=1000, description="shards of a kind whose shards are not its speakers")
    views: tuple[str, ...] = Field((), description="camera views that are used, or all; empty: the kind's first")
    split: str = Field(AUTO_SPLIT, description="a split scheme of the kind; auto: its usual one")

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not is_corpus_name(name):
            raise ValueError(
                f"`{name}` is no corpus name: expected a lower-case letter, then at most 31 lower-case letters, digits "
                "or _, for example `mead` or `my_clips`"
            )
        if name in _RESERVED:
            raise ValueError(f"`{name}` is the name of an asset: choose another, for example `{name}_clips`")
        return name
