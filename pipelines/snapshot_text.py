"""The difference of two snapshots as text: what happened to the clips first, then the channels that moved most."""

from __future__ import annotations

import typer

from magictalk_core.lineage.snapshot_diff import CorpusDiff, SnapshotDiff
from pipelines.console import show_facts, show_rows

__all__ = ["print_diff"]

_MOST = 10
"""Clips and channels named; `--json` has all."""


def print_diff(diff: SnapshotDiff) -> None:
    if not diff.corpora:
        typer.echo(f"{diff.one} and {diff.other} hold the same data")
        return
    for corpus in diff.corpora:
        _print_corpus(corpus)
    show_facts({"accepted frames": f"{diff.frames_before} -> {diff.frames_after}"}, as_json=False)
    rows = [
        {"channel": c.channel, "mean": f"{c.mean_before:.4f} -> {c.mean_after:.4f}", "distance": f"{c.distance:.4f}"}
        for c in diff.channels[:_MOST]
        if c.distance > 0
    ]
    if rows:
        show_rows(rows, ["channel", "mean", "distance"], as_json=False)


def _print_corpus(corpus: CorpusDiff) -> None:
    facts = {
        "corpus": corpus.corpus,
        "digest": f"{corpus.digest_before or 'none'} -> {corpus.digest_after or 'none'}",
        "added": _shown(list(corpus.added)),
        "removed": _shown(list(corpus.removed)),
        "changed": _shown([f"{clip} ({', '.join(columns)})" for clip, columns in corpus.changed.items()]),
        "decided otherwise": _shown([f"{d.clip_id}: {d.before} -> {d.after}" for d in corpus.decided]),
        "tables": _shown(list(corpus.tables)),
    }
    show_facts(facts, as_json=False)


def _shown(names: list[str]) -> str:
    more = f"; and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{len(names)}: {'; '.join(names[:_MOST])}{more}" if names else "0"
