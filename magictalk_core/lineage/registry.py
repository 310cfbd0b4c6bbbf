"""All provenance records of a workspace: those beside its outputs, and the copies of records of replaced outputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq

from magictalk_core.errors import PermanentError
from magictalk_core.training.in_use import RunsInUse, runs_in_use
from magictalk_core.work.provenance import Input, Provenance, read_record, record_path
from magictalk_core.workspace import Workspace

__all__ = ["Registry"]

_NO_OUTPUTS = frozenset({"cache", "corpora", "dagster", "logs", "mlflow", "provenance", "raw"})
"""Folders of the workspace that are not walked: no record lies in them, or only at known places."""


def _places(home: Path) -> Iterator[Path]:
    """Every record that lies beside an output. Folders of media and pieces are not walked: they hold millions."""
    yield from home.glob(".*.provenance.json")
    for folder in sorted(home.iterdir()) if home.is_dir() else ():
        if folder.is_dir() and folder.name not in _NO_OUTPUTS and not folder.name.startswith("."):
            yield from folder.rglob(".*.provenance.json")
    for corpus in sorted((home / "corpora").glob("*")):
        yield from corpus.glob(".*.provenance.json")
        yield from (corpus / "provenance").rglob("*.json")


@dataclass(frozen=True, eq=False)
class Registry:
    """`current`: (kind, name) -> the record beside the output. `ever`: md5 -> every record of that hash, current or of
    an output that was replaced. `broken`: records that cannot be read, in words."""

    workspace: Workspace
    current: Mapping[tuple[str, str], Provenance]
    ever: Mapping[str, Sequence[Provenance]]
    broken: Sequence[str]

    @classmethod
    def read(cls, workspace: Workspace) -> Registry:
        current: dict[tuple[str, str], Provenance] = {}
        ever: dict[str, list[Provenance]] = defaultdict(list)
        broken: list[str] = []
        for path in _places(workspace.home):
            try:
                record = read_record(path)
            except PermanentError as error:
                broken.append(str(error))
                continue
            current[record.kind, record.name] = record
            ever[record.md5].append(record)
        for path in sorted((workspace.home / "provenance" / "records").glob("*/*.json")):
            md5, kind = path.name.removesuffix(".json").rsplit(".", 1)
            if any(record.kind == kind for record in ever.get(md5, ())):
                continue
            try:
                ever[md5].append(read_record(path))
            except PermanentError as error:
                broken.append(str(error))
        return cls(workspace, current, ever, broken)

    def source_of(self, one: Input) -> Provenance | None:
        """The record that an input names: of that hash and kind, of the same name where several have it."""
        found = [record for record in self.ever.get(one.md5, ()) if record.kind == one.kind]
        named = [record for record in found if record.name == one.name]
        return next(iter(named or found), None)

    def now(self, one: Input, reader: str) -> Provenance | None:
        """What a `reader` of that kind would read now in place of the input: of models trainings the newest, all others
        the champion or what the champion was trained with; of all else that of its name."""
        if one.kind != "model" or not one.name.startswith("models/"):
            return self.current.get((one.kind, one.name))
        runs = runs_in_use(self.workspace.models(one.name.split("/")[1]))
        if runs is None:
            return None
        if reader != "model" and one.name in self._trained_with:
            return self.current.get((one.kind, one.name))
        run = runs.newest if reader == "model" else runs.champion or runs.newest
        return self._model(one.name.split("/")[1], run)

    @cached_property
    def newest_models(self) -> Sequence[Provenance]:
        """Of every family the model of the newest training."""
        found = [self._model(family, runs.newest) for family, runs in self._runs.items()]
        return [record for record in found if record is not None]

    @cached_property
    def _runs(self) -> Mapping[str, RunsInUse]:
        models = self.workspace.home / "models"
        folders = sorted(models.iterdir()) if models.is_dir() else ()
        found = {folder.name: runs_in_use(folder) for folder in folders if folder.is_dir()}
        return {family: runs for family, runs in found.items() if runs is not None}

    @cached_property
    def _trained_with(self) -> frozenset[str]:
        """Names of models that those in use were trained with: they are used together, whatever was released since."""
        used = [self._model(family, runs.champion or runs.newest) for family, runs in self._runs.items()]
        return frozenset(one.name for record in used if record for one in record.inputs if one.kind == "model")

    def _model(self, family: str, run: str) -> Provenance | None:
        return self.current.get(("model", f"models/{family}/{run}/model"))

    def is_current(self, record: Provenance) -> bool:
        return self.current.get((record.kind, record.name)) is record

    def output(self, record: Provenance) -> Path:
        """Where its output lies; `name` is absolute for what lies outside of the workspace."""
        return self.workspace.home / record.name

    @cached_property
    def consumers(self) -> Mapping[tuple[str, str], Sequence[tuple[Provenance, Input]]]:
        """(kind, md5) of an input -> the records that name it, with how they do."""
        found: dict[tuple[str, str], list[tuple[Provenance, Input]]] = defaultdict(list)
        for records in self.ever.values():
            for record in records:
                for one in record.inputs:
                    found[one.kind, one.md5].append((record, one))
        return found

    def clips_of(self, record: Provenance) -> frozenset[str]:
        """The ids of the clips behind a record; empty where it names none."""
        if record.clips is None:
            return frozenset()
        path = self.workspace.home / record.clips.file
        if not path.is_file():
            raise PermanentError(f"{path}: the clips of {record.name} are not there: `magictalk run` writes them anew")
        return frozenset(map(str, pq.read_table(path, columns=["clip_id"])["clip_id"].to_pylist()))

    def lies_there(self, record: Provenance) -> bool:
        """Whether the output still is where the record says; its record beside it is another question."""
        return self.output(record).exists() and record_path(self.output(record)).is_file()
