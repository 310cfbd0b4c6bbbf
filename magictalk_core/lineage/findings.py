"""Whether what the records say is still true: outputs that are stale, that nothing makes any more, or that nobody can
vouch for.

stale: an input is another now than the one that was read, or is stale itself. orphaned: the record's output or what it
was made from is gone from the workspace. unverifiable: a record is missing, cannot be read, or names another hash than
the output has; or an input has no record and is no file that a person gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from magictalk_core.corpora.registry import list_corpora
from magictalk_core.lineage.graph import GIVEN
from magictalk_core.lineage.registry import Registry
from magictalk_core.preparation.records import SHARD_TABLES
from magictalk_core.storage.hashes import file_md5
from magictalk_core.work.manifest import read_manifest
from magictalk_core.work.provenance import Input, Provenance, record_path
from magictalk_core.workspace import Workspace

__all__ = ["Finding", "find_orphaned", "find_stale", "find_unverifiable"]

State = Literal["stale", "orphaned", "unverifiable"]


@dataclass(frozen=True)
class Finding:
    """One output that is not as its record would have it, and why, in words with the values."""

    state: State
    kind: str
    name: str
    why: str


def _in_use(registry: Registry) -> list[Provenance]:
    """Records of outputs that a run would look at: of a model family the newest. A champion may be older than the data;
    that is for a release to say, whose decisions are history themselves."""
    newest = {record.name for record in registry.newest_models}
    looked_at = [r for r in registry.current.values() if r.kind != "release"]
    return [r for r in looked_at if r.kind != "model" or r.name in newest]


def find_stale(registry: Registry) -> list[Finding]:
    """Outputs that another run would make again, the nearest cause of each; inputs before what is made from them."""
    causes: dict[tuple[str, str], str] = {}
    records = {(record.kind, record.name): record for record in _in_use(registry)}
    seen: set[tuple[str, str]] = set()

    def visit(record: Provenance) -> None:
        key = record.kind, record.name
        if key in seen:
            return
        seen.add(key)
        for one in record.inputs:
            now = registry.now(one, record.kind)
            if now is not None and (now.kind, now.name) in records:
                visit(records[now.kind, now.name])
            cause = _changed(registry, one, now) or _stale_before(one, now, causes)
            if cause is not None and key not in causes:
                causes[key] = cause

    for record in records.values():
        visit(record)
    return [Finding("stale", kind, name, why) for (kind, name), why in causes.items()]


def _changed(registry: Registry, one: Input, now: Provenance | None) -> str | None:
    if now is None:
        path = registry.workspace.home / one.name
        if one.kind in GIVEN and path.is_file() and file_md5(path) != one.md5:
            return f"{one.name} was {one.md5}, is {file_md5(path)}"
        return None
    if one.part is not None:
        found = now.digests.get(one.part)
        return None if found == one.part_md5 else f"{one.name} ({one.part}) was {one.part_md5}, is {found}"
    return None if now.md5 == one.md5 else f"{one.name} was {one.md5}, {now.name} is {now.md5}"


def _stale_before(one: Input, now: Provenance | None, causes: dict[tuple[str, str], str]) -> str | None:
    if now is None or (now.kind, now.name) not in causes or one.part is not None:
        # Of an input of which only a part is read it is not known whether the part will be another.
        return None
    return f"{now.name} is stale"


def find_orphaned(registry: Registry) -> list[Finding]:
    """Records whose output is gone, and shards that the index has no clip for."""
    found = []
    for record in registry.current.values():
        output = registry.output(record)
        if not output.exists():
            found.append(Finding("orphaned", record.kind, record.name, "the record is there, the output is gone"))
        elif record.kind in SHARD_TABLES and _left_behind(registry, record):
            found.append(Finding("orphaned", record.kind, record.name, "no manifest names it: its clips are gone"))
    return found


def _left_behind(registry: Registry, record: Provenance) -> bool:
    corpus = record.name.split("/")[1]
    manifest = registry.workspace.manifest(corpus)
    if not manifest.is_file():
        return False
    inside = record.name.removeprefix(f"corpora/{corpus}/dataset/")
    return inside not in dict(read_manifest(manifest).entries)


def find_unverifiable(registry: Registry, hashed: Callable[[Path], str] | None = None) -> list[Finding]:
    """Outputs of which nobody can say what they are or what they were made from.

    `hashed`: how the hash of an output is found, where it is to be read again; without, records are compared with each
    other only, and files with the audit.
    """
    found = [Finding("unverifiable", "record", broken.split(":")[0], broken) for broken in registry.broken]
    found += [
        Finding("unverifiable", kind, name, "no provenance record lies beside it: `magictalk run` writes it")
        for kind, name in _unrecorded(registry)
    ]
    for record in registry.current.values():
        for one in record.inputs:
            if one.kind not in GIVEN and one.kind != "clip" and registry.source_of(one) is None:
                why = f"its input {one.name} of hash {one.md5} has no record"
                found.append(Finding("unverifiable", record.kind, record.name, why))
        output = registry.output(record)
        if hashed is not None and record.files and output.exists():
            known = record.md5 if output.is_dir() else record.files.get(output.name, record.md5)
            now = hashed(output)
            if now != known:
                found.append(
                    Finding("unverifiable", record.kind, record.name, f"its record says {known}, its content is {now}")
                )
    return found


def _unrecorded(registry: Registry) -> Iterator[tuple[str, str]]:
    workspace = registry.workspace
    for kind, path in _outputs(workspace):
        if path.exists() and not record_path(path).is_file():
            yield kind, path.relative_to(workspace.home).as_posix()


def _outputs(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    """What must have a record wherever it lies: outputs at places that are known without one."""
    for entry in list_corpora(workspace):
        name = entry.name
        yield from (("source", workspace.listing(name)), ("index", workspace.index_table(name)))
        yield from (("clips", workspace.clips_table(name)), ("manifest", workspace.manifest(name)))
        for table in SHARD_TABLES:
            yield from ((table, path) for path in sorted((workspace.dataset(name) / table).glob("*.parquet")))
    yield from (("arkit_dataset", workspace.arkit_dataset), ("training_set", workspace.training_set))
    yield from (("model", path.parent / "model") for path in sorted(workspace.home.glob("models/*/*/result.json")))
    tests: Sequence[tuple[str, Path]] = (
        ("generated", workspace.generated("test") / "motion.parquet"),
        ("refined", workspace.refined("test") / "motion.parquet"),
        ("scores", workspace.scores / "scores.parquet"),
        ("seed_scores", workspace.seed_scores / "seed_scores.parquet"),
        ("set_scores", workspace.set_scores / "set_scores.parquet"),
        ("lip_ablation", workspace.lip_ablation / "lip_ablation.csv"),
        ("picture_motion", workspace.picture_motion("test") / "motion.parquet"),
        ("picture_scores", workspace.picture_scores / "picture_scores.parquet"),
        ("summary", workspace.tables / "summary.csv"),
        ("claims", workspace.tables / "claims.parquet"),
        ("gain", workspace.tables / "gain.json"),
        ("comparison", workspace.videos / "comparison"),
        ("external_videos", workspace.external_videos),
        ("user_study", workspace.figures / "user_study"),
        ("grids", workspace.videos / "grids"),
        ("paper", workspace.paper / "paper.html"),
        *((name, workspace.tables / name) for name in ("table1", "table2", "table3", "table4", "ablations")),
        *((name, workspace.figures / name) for name in ("figure4", "figure6", "figure9")),
    )
    yield from tests
    yield from (("video", path) for path in sorted((workspace.videos / "comparison").glob("*.mp4")))
    yield from (("external_video", path) for path in sorted(workspace.external.glob("*/*.mp4")))
