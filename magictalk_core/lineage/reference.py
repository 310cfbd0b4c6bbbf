"""What a user means: a path, a name, an asset, a clip, a speaker, a hash, or a video that came back from somewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.lineage.clip_index import ClipIndex
from magictalk_core.lineage.registry import Registry
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.in_use import runs_in_use
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.work.isolation import map_isolated
from magictalk_core.work.provenance import Input, Provenance, record_of
from magictalk_core.workspace import absolute

__all__ = ["Subject", "find_subject"]

_HASH = re.compile(r"[0-9a-f]{6,64}(\.dir)?")
_FULL_HASH = 32
_VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".webm"})
_DECODING_S, _DECODING_GB = 600.0, 4.0

_ASSETS = {
    "source": ("source", "corpora/{}/listing.json"),
    "index": ("index", "corpora/{}/index.parquet"),
    "clips": ("clips", "corpora/{}/dataset/clips.parquet"),
    "manifest": ("manifest", "manifests/{}.json"),
    "snapshot": ("snapshot", "corpora/{}/dataset"),
    "card": ("card", "corpora/{}/card"),
}
_NAMES = {
    "rig": ("rig", "rig/rig.npz"),
    "generated": ("generated", "generated/test/motion.parquet"),
    "refined": ("refined", "refined/test/motion.parquet"),
    "scores": ("scores", "scores/scores.parquet"),
    "seed_scores": ("seed_scores", "seed_scores/seed_scores.parquet"),
    "set_scores": ("set_scores", "set_scores/set_scores.parquet"),
    "lip_ablation": ("lip_ablation", "lip_ablation/lip_ablation.csv"),
    "external_videos": ("external_videos", "external/external_videos.parquet"),
    "figures/user_study": ("user_study", "figures/user_study"),
    "tables/summary": ("summary", "tables/summary.csv"),
    "tables/claims": ("claims", "tables/claims.parquet"),
    "tables/gain": ("gain", "tables/gain.json"),
    "picture_motion": ("picture_motion", "picture_motion/test/motion.parquet"),
    "picture_scores": ("picture_scores", "picture_scores/picture_scores.parquet"),
    "tables/table1": ("table1", "tables/table1"),
    "tables/table2": ("table2", "tables/table2"),
    "tables/table3": ("table3", "tables/table3"),
    "tables/table4": ("table4", "tables/table4"),
    "tables/ablations": ("ablations", "tables/ablations"),
    "figures/figure4": ("figure4", "figures/figure4"),
    "figures/figure6": ("figure6", "figures/figure6"),
    "figures/figure9": ("figure9", "figures/figure9"),
    "videos/grids": ("grids", "videos/grids"),
    "videos/comparison": ("comparison", "videos/comparison"),
    "report": ("report", "report/report.html"),
    "paper": ("paper", "paper/paper.html"),
}


@dataclass(frozen=True)
class Subject:
    """What is asked about. `records` are what is known of it, or `inputs` alone of a video that says what made it;
    `clips` where it is a clip, a speaker, a raw file. `how` says by what it was known."""

    title: str
    how: str
    records: tuple[Provenance, ...] = ()
    clips: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()


def find_subject(registry: Registry, clips: ClipIndex, ref: str) -> Subject:
    """Raises `UserError` saying what a reference may be, when nothing of the workspace is meant."""
    path = Path(ref).expanduser()
    ways: tuple[Callable[[], Subject | None], ...] = (
        lambda: _of_path(registry, clips, path) if path.exists() else None,
        lambda: _of_name(registry, ref),
        lambda: _of_clips(clips, ref),
        lambda: _of_hash(registry, clips, ref) if _HASH.fullmatch(ref) else None,
        lambda: _of_run(registry, ref),
    )
    for way in ways:
        subject = way()
        if subject is not None:
            return subject
    raise UserError(
        f"{ref}: nothing in {registry.workspace.home} is known by that: give the path of a file, an asset "
        "(training_set, sample/manifest, models/emodiff), a clip (corpus/source/clip), a speaker (corpus/speaker), "
        "a hash, or an MLflow run"
    )


def _of_path(registry: Registry, clips: ClipIndex, path: Path) -> Subject | None:
    path = absolute(path)
    name = path.relative_to(registry.workspace.home).as_posix() if _is_inside(registry, path) else path.as_posix()
    named = [record for (_, found), record in registry.current.items() if found == name]
    if named:
        return Subject(name, "by its place in the workspace", tuple(named))
    if path.is_dir():
        # By its record alone: nobody wants a whole disk to be read for having typed `/`.
        record = record_of(path)
        return None if record is None else Subject(path.name, "by the record beside it", (record,))
    if not path.is_file():
        return None  # a pipe or a device: reading it might never end
    try:
        md5 = file_md5(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    found = _of_hash(registry, clips, md5) or _of_media(clips, name, md5)
    if found is not None:
        return found
    beside = _beside(path, md5)
    if beside is not None:
        return beside
    return _of_credentials(registry, path) or _of_mark(registry, path) if path.suffix.lower() in _VIDEOS else None


def _is_inside(registry: Registry, path: Path) -> bool:
    return path.is_relative_to(absolute(registry.workspace.home))


def _beside(path: Path, md5: str) -> Subject | None:
    """A file of another workspace, with its record beside it."""
    record = record_of(path)
    if record is None or record.md5 != md5:
        return None
    return Subject(path.name, "by the record beside it, of no workspace that is looked at", (record,))


def _of_media(clips: ClipIndex, name: str, md5: str) -> Subject | None:
    clip = clips.of_media(name)
    return None if clip is None else Subject(clip, f"by its standardized file {name} ({md5})", clips=(clip,))


def _of_records(registry: Registry, title: str, md5: str, how: str) -> Subject | None:
    records = tuple(registry.ever.get(md5, ()))
    return Subject(title, how, records) if records else None


def _of_credentials(registry: Registry, path: Path) -> Subject | None:
    """A video by what its C2PA manifest says: the work, whose record may still be here, or its inputs."""
    from magictalk_core.portrait.provenance import work_in_video

    said = work_in_video(path)
    if said is None:
        return None
    records = [r for found in registry.ever.values() for r in found if r.inputs_digest == said["inputs_digest"]]
    state = f"by its C2PA manifest ({said['validation_state']})"
    if records:
        return Subject(path.name, f"{state}: made by the work that left {records[0].name}", tuple(records))
    inputs = tuple(Input(**one) for one in said["inputs"])
    return Subject(path.name, f"{state}: no record of that work is here, what it was made from is", inputs=inputs)


def _of_mark(registry: Registry, path: Path) -> Subject | None:
    """A video whose metadata is gone, by the mark in its pixels: the beginning of its work's digest."""
    task = [(str(path),)]
    ((_, found),) = map_isolated(_mark_in, task, workers=1, timeout_s=_DECODING_S, memory_gb=_DECODING_GB)
    if not isinstance(found, str):
        return None
    records = [r for known in registry.ever.values() for r in known if r.inputs_digest.startswith(found)]
    how = f"by the mark {found} in its pixels"
    return (
        Subject(path.name, f"{how}: made by the work that left {records[0].name}", tuple(records)) if records else None
    )


def _mark_in(path: str) -> str | None:
    """In the child: the file comes from anywhere."""
    from magictalk_core.portrait.content import read_content

    try:
        mark = read_content(Path(path), SYNTHETIC_LABEL).mark
    except PermanentError:
        return None
    return None if mark is None else mark.payload


def _of_name(registry: Registry, ref: str) -> Subject | None:
    found = _record_of_name(registry, ref.rstrip("/"))
    return None if found is None else Subject(ref, "by its name", (found,))


def _record_of_name(registry: Registry, ref: str) -> Provenance | None:
    for (_, name), record in registry.current.items():
        if name == ref:
            return record
    if ref in _NAMES:
        return registry.current.get(_NAMES[ref])
    corpus, _, asset = ref.partition("/")
    if asset in _ASSETS:
        kind, name = _ASSETS[asset]
        return registry.current.get((kind, name.format(corpus)))
    if corpus == "models" and asset:
        return _model(registry, *asset.partition("/")[::2])
    return None


def _model(registry: Registry, family: str, run: str) -> Provenance | None:
    """`models/<family>`: the one in use; `.../champion`, `.../newest`, or one by the first letters of its run."""
    runs = runs_in_use(registry.workspace.models(family))
    if run in ("", "champion", "newest"):
        if runs is None or (run == "champion" and runs.champion is None):
            return None
        name = runs.newest if run == "newest" else runs.champion or runs.newest
        return registry.current.get(("model", f"models/{family}/{name}/model"))
    found = [r for (k, n), r in registry.current.items() if k == "model" and n.startswith(f"models/{family}/{run}")]
    return found[0] if len(found) == 1 else None


def _of_clips(clips: ClipIndex, ref: str) -> Subject | None:
    rows = clips.rows
    corpus, _, rest = ref.partition("/")
    for what, found in (
        ("clip", rows[rows["clip_id"] == ref]),
        ("speaker", rows[(rows["corpus"] == corpus) & (rows["speaker"] == rest)]),
        ("source", rows[(rows["corpus"] == corpus) & (rows["source"] == rest)]),
        ("raw file", clips.of_path(ref)),
        ("raw file", clips.of_path(rest)),
    ):
        if len(found):
            return Subject(ref, f"by the index: a {what}", clips=tuple(map(str, found["clip_id"])))
    return None


def _of_hash(registry: Registry, clips: ClipIndex, ref: str) -> Subject | None:
    """A full hash, or the beginning of one where it is the only such."""
    raw = clips.of_hash(ref)
    if len(raw):
        files = ", ".join(sorted({f"{f.corpus}/{f.path}" for f in clips.raw_files(raw) if f.md5 == ref}))
        return Subject(files, "by the index: a raw file", clips=tuple(map(str, raw["clip_id"])))
    found = {id(record): record for record, _ in _named_by(registry, ref)}
    if len(found) > 1 and len(ref.removesuffix(".dir")) < _FULL_HASH:
        names = sorted({record.name for record in found.values()})
        raise UserError(f"{ref}: begins the hashes of {', '.join(names[:5])}: give more of it")
    records = sorted(found.values(), key=lambda record: not registry.is_current(record))
    return Subject(records[0].name, "by its hash", tuple(records)) if records else None


def _named_by(registry: Registry, ref: str) -> Iterator[tuple[Provenance, str]]:
    for md5, records in registry.ever.items():
        for record in records:
            for known in (md5, record.inputs_digest, *record.files.values(), *record.digests.values()):
                if known.startswith(ref):
                    yield record, known
                    break


def _of_run(registry: Registry, ref: str) -> Subject | None:
    records: Sequence[Any] = [
        record for found in registry.ever.values() for record in found if ref in (record.mlflow_run, record.dagster_run)
    ]
    return Subject(ref, "by the run that made it", tuple(records)) if records else None


def must_have_records(registry: Registry) -> None:
    """Raise `PermanentError` where nothing was recorded yet."""
    if not registry.ever:
        raise PermanentError(f"{registry.workspace.home}: no provenance records: type `magictalk run`")
