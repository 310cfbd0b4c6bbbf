"""How fast lineage answers on a registry of 300,000 clips and 2,000 shards that is made up, record by record.

    python benchmarks/lineage_scale.py            # seconds of each question, as Markdown
    python benchmarks/lineage_scale.py --shards 20 --clips 300

The outputs themselves do not exist: only their records, the index, and what the questions read besides.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.lineage.as_html import html_page
from magictalk_core.lineage.as_text import tree_lines
from magictalk_core.lineage.clip_index import ClipIndex
from magictalk_core.lineage.descendants import descendants_of_clips
from magictalk_core.lineage.graph import upstream_graph
from magictalk_core.lineage.reference import find_subject
from magictalk_core.lineage.registry import Registry
from magictalk_core.lineage.report import look_at_lineage
from magictalk_core.preparation.records import SHARD_TABLES, index_parts
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIP_IDS, CLIPS
from magictalk_core.training_set.dataset import LEARNED
from magictalk_core.vocabulary.clips import Split
from magictalk_core.work.circumstances import CodeUsed
from magictalk_core.work.provenance import ClipSet, Input, Provenance, archived_path, clips_digest, record_path
from magictalk_core.workspace import Workspace

CORPUS = "big"
LIMITS_S = {"read all records": 60.0, "full lineage": 60.0, "one clip's descendants": 5.0}


def md5_of(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


class RecordWriter:
    """Records as `Work.record` leaves them, without outputs and without waiting for the disk each time."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.written = workspace, list[Provenance]()

    def __call__(
        self,
        kind: str,
        name: str,
        inputs: Sequence[Provenance | Input] = (),
        *,
        clips: Sequence[str] | None = None,
        md5: str | None = None,
        digests: Mapping[str, str] | None = None,
    ) -> Provenance:
        named = [one if isinstance(one, Input) else self.whole(one) for one in inputs]
        md5 = md5 or md5_of(f"{kind}/{name}/" + "".join(one.part_md5 or one.md5 for one in named))
        record = Provenance(
            kind=kind, work_version="1", name=name, md5=md5, files={name.rsplit("/", 1)[-1]: md5}, inputs=tuple(named),
            inputs_digest=md5, digests=dict(digests or {}), clips=None if clips is None else self._clips(clips),
            code=CodeUsed(version="1"), made=datetime(2026, 1, 1, tzinfo=UTC), seconds=1.0,
        )  # fmt: skip
        home = self.workspace.home
        for path in (record_path(home / name), archived_path(home, md5, kind)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(record.model_dump_json(indent=1, exclude_none=True))
        self.written.append(record)
        return record

    @staticmethod
    def whole(record: Provenance) -> Input:
        return Input(kind=record.kind, name=record.name, md5=record.md5)

    @staticmethod
    def part(record: Provenance, part: str) -> Input:
        return Input(kind=record.kind, name=record.name, md5=record.md5, part=part, part_md5=record.digests[part])

    def _clips(self, ids: Sequence[str]) -> ClipSet:
        digest = clips_digest(ids)
        path = self.workspace.home / "provenance" / "clips" / f"{digest}.parquet"
        if not path.is_file():
            write_table(CLIP_IDS, pd.DataFrame({"clip_id": list(ids)}), path)
        file = path.relative_to(self.workspace.home).as_posix()
        return ClipSet(digest=digest, count=len(ids), file=file, md5=file_md5(path))


def index_rows(clips: int, shards: int) -> pd.DataFrame:
    """A CLIPS table: clips spread evenly over speakers, one speaker a shard; every tenth speaker is held out."""
    at = pd.RangeIndex(clips).to_series()
    speaker = (at % shards).map(lambda n: f"M{n:05d}")
    rows = pd.DataFrame(None, index=at.index, columns=list(CLIPS.names), dtype=object)
    rows["clip_id"] = CORPUS + "/" + speaker + "/" + at.astype(str)
    rows["corpus"], rows["speaker"], rows["shard"], rows["source"] = CORPUS, speaker, speaker, speaker
    rows["licence"], rows["status"] = "MEAD terms of use: non-commercial research only, no redistribution", "ok"
    rows["raw_path"] = speaker + "/video/" + at.astype(str) + ".mp4"
    rows["raw_md5"] = rows["raw_path"].map(md5_of)
    rows["split"] = (at % shards % 10 == 9).map({True: str(Split.TEST), False: str(Split.TRAIN)})
    return rows


def make_registry(home: Path, clips: int, shards: int) -> Workspace:
    """A workspace of which only what lineage reads is there."""
    workspace = Workspace(home)
    raw = home.parent / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    add_corpus(workspace, new_entry(name=CORPUS, kind="mead", root=raw))
    rows = index_rows(clips, shards)
    write_table(CLIPS, rows, workspace.index_table(CORPUS))
    packed = workspace.training_set / "index.parquet"
    packed.parent.mkdir(parents=True)
    rows[["clip_id", "split"]].to_parquet(packed)
    _records_of_corpus(RecordWriter(workspace), workspace, rows)
    return workspace


def _records_of_corpus(write: RecordWriter, workspace: Workspace, rows: pd.DataFrame) -> None:
    base, everything = f"corpora/{CORPUS}", list(rows["clip_id"])
    entry = Input(kind="registration", name=f"{base}/corpus.yaml", md5=file_md5(workspace.corpus_file(CORPUS)))
    source = write("source", f"{base}/listing.json", [entry], digests={"dagster": "0" * 32})
    index = write("index", f"{base}/index.parquet", [source, entry], clips=everything, digests=index_parts(rows))
    tables: dict[str, list[Provenance]] = {table: [] for table in SHARD_TABLES}
    for shard, own in rows.groupby("shard"):
        ids = list(own["clip_id"])
        made = write("media", f"{base}/dataset/media/{shard}.parquet", [write.part(index, str(shard))], clips=ids)
        tables["media"].append(made)
        for table in ("blendshapes", "speech"):
            tables[table].append(write(table, f"{base}/dataset/{table}/{shard}.parquet", [made], clips=ids))
    shards = [record for records in tables.values() for record in records]
    finished = write("clips", f"{base}/dataset/clips.parquet", [index, *shards], clips=everything)
    digest = f"{md5_of('dataset')}.dir"
    manifest = write("manifest", f"manifests/{CORPUS}.json", [finished, *shards], clips=everything, md5=digest)
    write("snapshot", f"{base}/dataset", [manifest], clips=everything, md5=digest)
    write("card", f"{base}/card", [finished, manifest], clips=everything)
    _records_of_models(write, workspace, manifest, rows)


def _records_of_models(write: RecordWriter, workspace: Workspace, manifest: Provenance, rows: pd.DataFrame) -> None:
    everything = list(rows["clip_id"])
    learned, test = (list(rows["clip_id"][(rows["split"] == Split.TEST) == held_out]) for held_out in (False, True))
    data = write("training_set", "training_set", [manifest], clips=everything, digests={LEARNED: md5_of("learned")})
    write("arkit_dataset", "arkit_dataset", [manifest], clips=everything)
    models = {}
    for family in ("emodiff", "sync_expert"):
        run = md5_of(family)
        folder = workspace.models(family) / run
        folder.mkdir(parents=True)
        (folder / "result.json").write_text('{"weights_md5": "", "run_id": "", "metrics": {}, "measured": {}}')
        (folder.parent / "newest.json").write_text(f'{{"run": "{run}"}}')
        name = f"models/{family}/{run}/model"
        models[family] = write("model", name, [write.part(data, LEARNED)], clips=learned)
    rig = write("rig", "rig/rig.npz")
    generated = write("generated", "generated/test/motion.parquet", [models["emodiff"], data, manifest], clips=test)
    refined = write("refined", "refined/test/motion.parquet", [generated, manifest], clips=test)
    scores = write("scores", "scores/scores.parquet", [generated, refined, rig, models["sync_expert"], manifest])
    write("summary", "tables/summary.csv", [scores], clips=test)
    write("comparison", "videos/comparison", [refined, rig], clips=test[:4])
    for number, clip in enumerate(test[:4]):
        write("video", f"videos/comparison/{number}.mp4", [refined, rig], clips=[clip])


def measured(question: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    answer = question()
    return answer, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=300_000)
    parser.add_argument("--shards", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_registry(Path(folder) / "home", options.clips, options.shards)
        registry, reading = measured(lambda: Registry.read(workspace))
        clips = ClipIndex(workspace)

        def lineage_of_a_video() -> tuple[int, int]:
            graph = upstream_graph(registry, clips, find_subject(registry, clips, "videos/comparison/0.mp4"))
            return len(list(tree_lines(graph))), len(html_page(graph, "0.mp4", "by its name"))

        (lines, page), video = measured(lineage_of_a_video)
        row = clips.rows.iloc[[0]]
        found, planned = measured(lambda: descendants_of_clips(registry, row))
        report, audit = measured(lambda: look_at_lineage(workspace))
    print(f"{options.clips:,} clips, {options.shards:,} shards, {len(registry.current):,} records\n")
    print("| question | seconds | answer |\n|---|---|---|")
    print(f"| read all records | {reading:.2f} | |")
    print(f"| a video down to its raw files, as text and as a page | {video:.2f} | {lines} lines, {page:,} bytes |")
    print(f"| what a change of one clip makes again | {planned:.2f} | {len(found)} outputs |")
    print(f"| full lineage report: every record against every other | {audit:.2f} | {len(report.findings)} findings |")


if __name__ == "__main__":
    main()
