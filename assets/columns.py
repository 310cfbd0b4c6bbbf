"""Which columns a table's columns come from, as Dagster's column lineage.

A column that an upstream table has under the same name is taken over from it; all others are computed from the columns
named as their origin. Dagster's open-source page lists it with the materialization.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg

from assets.keys import corpus_key
from magictalk_core.storage.schema import (
    CLAIMS,
    CLIPS,
    EXTERNAL_VIDEOS,
    FRAMES,
    MEDIA,
    MOTION,
    SCORES,
    SET_SCORES,
    SPEECH,
    TableSpec,
)

__all__ = [
    "column_lineage",
    "of_arkit_dataset",
    "of_claims",
    "of_clips",
    "of_external_videos",
    "of_index",
    "of_motion",
    "of_scores",
    "of_shard_table",
]

Origin = tuple[dg.AssetKey, str]


def column_lineage(
    spec: TableSpec, taken_over: Mapping[dg.AssetKey, TableSpec], computed_from: Sequence[Origin]
) -> dg.TableColumnLineage:
    """`taken_over`: upstream tables by asset, whose columns of the same name go in as they are."""
    deps = {}
    for name in spec.names:
        same = [dg.TableColumnDep(key, name) for key, table in taken_over.items() if name in table.names]
        deps[name] = same or [dg.TableColumnDep(key, column) for key, column in computed_from]
    return dg.TableColumnLineage(deps)


def of_index(corpus: str) -> dg.TableColumnLineage:
    source = corpus_key(corpus, "source")
    return column_lineage(CLIPS, {}, [(source, "path"), (source, "md5")])


def of_shard_table(corpus: str, stage: str) -> dg.TableColumnLineage:
    index, media = corpus_key(corpus, "index"), corpus_key(corpus, "media")
    if stage == "media":
        raw = ("raw_path", "raw_md5", "raw_audio_path", "raw_audio_md5", "start_s", "end_s")
        return column_lineage(MEDIA, {index: CLIPS}, [(index, name) for name in raw])
    spec, file = (FRAMES, "video") if stage == "blendshapes" else (SPEECH, "audio")
    return column_lineage(spec, {media: MEDIA}, [(media, f"{file}_path"), (media, f"{file}_md5")])


def of_clips(corpus: str) -> dg.TableColumnLineage:
    """Labels come from the index, measured values from the media; a verdict from both."""
    index, media = corpus_key(corpus, "index"), corpus_key(corpus, "media")
    both = [(index, "reason"), (media, "reason")]
    return column_lineage(CLIPS, {index: CLIPS, media: MEDIA}, both)


def of_arkit_dataset(corpora: Sequence[str], spec: TableSpec) -> dg.TableColumnLineage:
    tables: dict[dg.AssetKey, TableSpec] = {corpus_key(corpus, "blendshapes"): FRAMES for corpus in corpora}
    tables |= {corpus_key(corpus, "clips"): CLIPS for corpus in corpora}
    return column_lineage(spec, tables, [(corpus_key(corpus, "clips"), "clip_id") for corpus in corpora])


def of_motion(corpora: Sequence[str]) -> dg.TableColumnLineage:
    """Generated motion: heard from the speech of the test clips, in the style of a reference clip's frames."""
    heard = [(corpus_key(corpus, "speech"), "features") for corpus in corpora]
    return column_lineage(MOTION, {}, [*heard, *((corpus_key(corpus, "clips"), "clip_id") for corpus in corpora)])


def of_external_videos(corpora: Sequence[str]) -> dg.TableColumnLineage:
    """Videos of the test clips: from their sound and picture."""
    files = [(corpus_key(corpus, "media"), name) for corpus in corpora for name in ("video_path", "audio_path")]
    return column_lineage(EXTERNAL_VIDEOS, {}, files)


def of_scores(spec: TableSpec, motions: Sequence[str]) -> dg.TableColumnLineage:
    keys = [dg.AssetKey(name) for name in motions]
    return column_lineage(spec, {key: MOTION for key in keys}, [(key, "clip_id") for key in keys])


def of_claims() -> dg.TableColumnLineage:
    scores, sets = dg.AssetKey("scores"), dg.AssetKey("set_scores")
    return column_lineage(CLAIMS, {scores: SCORES, sets: SET_SCORES}, [(scores, "value"), (sets, "value")])
