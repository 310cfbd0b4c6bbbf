"""What `magictalk run` costs where nothing changed: the listing of the raw files, and the rest, per corpus.

    python benchmarks/nothing_changed.py --home COPY         # a finished workspace, such as the demo's
    python benchmarks/nothing_changed.py                     # a made-up corpus of 300,000 clips and 2,000 shards
    python benchmarks/nothing_changed.py --clips 3000 --shards 20

Seconds are processor time, of this process and its children. Of the finished workspace everything is run that
`magictalk run` runs, once before it is measured, so that changed code has no part in it. The made-up corpus has empty
raw files, one frame in every clip and no media: it is taken to its card, and indexing and decoding, which a second run
skips, are not part of it.
"""

from __future__ import annotations

import argparse
import logging
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.lineage_scale import index_rows
from magictalk_core.corpora.registry import add_corpus, list_corpora, new_entry
from magictalk_core.preparation import listing
from magictalk_core.preparation.known_shards import KnownShards
from magictalk_core.preparation.listing import observe_source, write_index
from magictalk_core.preparation.records import SHARD_TABLES, media_work, table_work
from magictalk_core.presets.of_workspace import preset_of
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.schema import FRAMES, MEDIA, SPEECH, TableSpec
from magictalk_core.workspace import Workspace
from pipelines.run import quiet_libraries, run

CORPUS = "big"
LIMIT_S = 5.0
_SPECS = {"media": MEDIA, "blendshapes": FRAMES, "speech": SPEECH}


def made_up(home: Path, clips: int, shards: int) -> Workspace:
    """A corpus whose shards are finished, and are known to be so."""
    workspace = Workspace(home)
    rows = index_rows(clips, shards)
    raw = home.parent / "raw"
    for path in raw / rows["raw_path"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    add_corpus(workspace, new_entry(name=CORPUS, kind="folder", root=raw))
    indexed, listing.index_corpus = listing.index_corpus, lambda *_: (rows, True)  # type: ignore[assignment]
    write_index(workspace, CORPUS, preset_of(workspace))
    listing.index_corpus = indexed
    known = KnownShards.read(workspace, CORPUS, preset_of(workspace), SHARD_TABLES)
    for shard, own in rows.groupby("shard"):
        known.remember(str(shard), _shard_tables(workspace, str(shard), list(own["clip_id"])))
    return workspace


def _shard_tables(workspace: Workspace, shard: str, clips: list[str]) -> dict[str, str]:
    """Table -> md5 of what was written for one shard, with its records."""
    facts = {"clip_id": clips, "frame_index": 0, "time_s": 0.0, "face_found": True, "confidence": 1.0, "status": "ok"}
    facts |= {"tracker": "litert/1", "feature_id": "f", "n_frames": 1, "duration_s": 0.04}
    md5s = {}
    for table, spec in _SPECS.items():
        path = workspace.shard_table(CORPUS, table, shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(_table(spec, facts, len(clips)), path)
        md5s[table] = file_md5(path)
        work = media_work(workspace, CORPUS, shard, "1", {}, "1") if table == "media" else None
        work = work or table_work(workspace, CORPUS, table, shard, "1", {}, "1")
        work.record(clips=clips)
    return md5s


def _table(spec: TableSpec, facts: dict[str, Any], n: int) -> pa.Table:
    columns = []
    for field in spec.schema():
        value = facts.get(field.name, [0.5, 0.5] if field.name == "features" else None)
        values = value if field.name == "clip_id" else [value] * n
        columns.append(pa.array(values, type=field.type))
    return pa.table(columns, schema=spec.schema())


def processor_s() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measured(workspace: Workspace, selection: str | None) -> None:
    """Print the table; the first run settles what an earlier release left."""
    quiet_libraries()
    loaded, start = processor_s(), time.monotonic()
    run(workspace, None, selection)
    settled = processor_s() - loaded
    corpora = [entry.name for entry in list_corpora(workspace)]
    before = processor_s()
    for corpus in corpora:
        observe_source(workspace, corpus)
    listed = processor_s() - before
    before, computed = processor_s(), 0
    report = run(workspace, None, selection)
    rest = processor_s() - before - listed
    computed = sum(outcome.counts.get("clips_computed", 0) for outcome in report.outcomes)
    n, whole = len(corpora), loaded + rest
    looked = f"{len(report.outcomes)} results looked at, {computed} clips computed"
    print("| what | processor seconds | per corpus |\n|---|---|---|")
    print(f"| the run before, which settles | {settled:.1f} | |")
    print(f"| listing the raw files of {n} corpora | {listed:.1f} | {listed / n:.1f} |")
    print(f"| loading the program | {loaded:.1f} | |")
    print(f"| {looked} | {rest:.1f} | |")
    print(f"| a run that changes nothing, after the listing | {whole:.1f} | {whole / n:.1f} |")
    kept = "kept" if whole / n <= LIMIT_S else "MISSED"
    print(f"\n{LIMIT_S:.0f} s per corpus: {kept}. {time.monotonic() - start:.0f} s by the clock for all of it.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="a finished workspace; it is run, so give a copy")
    parser.add_argument("--select", help="what to run in it, as of `magictalk run`; default: everything")
    parser.add_argument("--clips", type=int, default=300_000)
    parser.add_argument("--shards", type=int, default=2_000)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    if options.home:
        measured(Workspace(options.home.absolute()), options.select)
        return
    with tempfile.TemporaryDirectory() as folder:
        workspace = made_up(Path(folder) / "home", options.clips, options.shards)
        measured(workspace, f"+{CORPUS}/card")


if __name__ == "__main__":
    main()
