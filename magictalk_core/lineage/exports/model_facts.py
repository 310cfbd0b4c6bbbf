"""What a bill of materials and a card say of a trained model, gathered from its record and the files that it names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from magictalk_core.corpora.kinds import corpus_of, kind_of
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.lineage.exports.upstream import upstream_records
from magictalk_core.lineage.registry import Registry
from magictalk_core.models.families import FAMILIES
from magictalk_core.storage.hashes import file_md5, file_sha256
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIP_IDS, CLIPS
from magictalk_core.training.run import current_run
from magictalk_core.weights.manifest import WEIGHTS
from magictalk_core.work.provenance import Provenance, record_of
from magictalk_core.workspace import Workspace

__all__ = ["CorpusUsed", "ModelFacts", "ThirdParty", "model_facts", "took_part_in_scores"]


@dataclass(frozen=True)
class CorpusUsed:
    """A corpus that a model learned from: clips by licence, hours, what its terms ask. `digest` is its snapshot's."""

    name: str
    digest: str
    kind: str
    terms: str
    is_synthetic: bool
    licences: tuple[tuple[str, int], ...]
    clips: int
    hours: float


@dataclass(frozen=True)
class ThirdParty:
    """Weights of somebody else that took part; licence and source where they are listed."""

    name: str
    sha256: str
    licence: str | None
    source: str | None


@dataclass(frozen=True, eq=False)
class ModelFacts:
    """A model and everything behind it. `run` is the folder of its training, `config` what its folder says of it."""

    family: str
    description: str
    run: Path
    record: Provenance
    weights_md5: str
    weights_sha256: str
    config: dict[str, Any]
    metrics: dict[str, float]
    training_set: str
    corpora: tuple[CorpusUsed, ...]
    third_party: tuple[ThirdParty, ...]
    models: tuple[Provenance, ...]
    stand_ins: tuple[str, ...]
    scores: pd.DataFrame
    """Rows of the summary table that this very model took part in; empty where there are none."""

    @property
    def curves(self) -> pd.DataFrame:
        return pd.read_csv(self.run / "curves.csv")


def model_facts(workspace: Workspace, family: str, registry: Registry | None = None) -> ModelFacts:
    """Of the model in use of a family. `registry`: the records, where they are read already.

    Raises `UserError` for a family that there is none of, `PermanentError` where the model has no record.
    """
    if family not in FAMILIES:
        raise UserError(f"no model family `{family}`: expected one of {', '.join(FAMILIES)}")
    trained = current_run(workspace.models(family))
    record = record_of(trained.path)
    if record is None:
        raise PermanentError(
            f"{trained.path}: no provenance record, so nothing says what it learned from: "
            f"remove {trained.path.parent / 'result.json'}, then `magictalk run --select models/{family}`"
        )
    registry = registry or Registry.read(workspace)
    behind = upstream_records(registry, record)
    weights = trained.path / "model.safetensors"
    scores = _scores(workspace, registry, record)
    return ModelFacts(
        family=family,
        description=FAMILIES[family].description,
        run=trained.path.parent,
        record=record,
        weights_md5=file_md5(weights),
        weights_sha256=file_sha256(weights),
        config=json.loads((trained.path / "config.json").read_text(encoding="utf-8")),
        metrics=trained.metrics,
        training_set=next((one.md5 for one in record.inputs if one.kind == "training_set"), ""),
        corpora=_corpora(workspace, record, behind),
        third_party=_third_party(behind),
        models=tuple(one for one in behind[1:] if one.kind == "model"),
        stand_ins=_stand_ins(behind, scores),
        scores=scores,
    )


def _corpora(workspace: Workspace, record: Provenance, behind: Sequence[Provenance]) -> tuple[CorpusUsed, ...]:
    """The corpora of the clips that the model learned from. A clip that left its table since has no licence there."""
    if record.clips is None:
        return ()
    learned = read_frame(CLIP_IDS, workspace.home / record.clips.file)["clip_id"]
    digests = {
        one.name.removeprefix("manifests/").removesuffix(".json"): one.md5 for one in behind if one.kind == "manifest"
    }
    found = []
    for corpus, ids in learned.groupby(learned.str.split("/").str[0]):
        entry = load_corpus(workspace, str(corpus))
        table = read_frame(CLIPS, workspace.clips_table(str(corpus)), columns=["clip_id", "licence", "duration_s"])
        rows = table[table["clip_id"].isin(ids)]
        licences = Counter(map(str, rows["licence"]))
        if len(rows) < len(ids):
            licences["no longer in the clip table"] = len(ids) - len(rows)
        hours = round(float(rows["duration_s"].sum()) / 3600, 4)
        found.append(
            CorpusUsed(
                name=entry.name,
                digest=digests.get(entry.name, ""),
                kind=entry.kind,
                terms=kind_of(entry).terms,
                is_synthetic=corpus_of(entry).is_synthetic,
                licences=tuple(sorted(licences.items())),
                clips=len(ids),
                hours=hours,
            )
        )
    return tuple(found)


def _third_party(behind: Sequence[Provenance]) -> tuple[ThirdParty, ...]:
    found = {}
    for weights in (weights for record in behind for weights in record.weights):
        listed = WEIGHTS.get(weights.name)
        licence, source = (None, None) if listed is None else (listed.licence, listed.source)
        found[weights.name, weights.sha256] = ThirdParty(weights.name, weights.sha256, licence, source)
    return tuple(found[key] for key in sorted(found))


def took_part_in_scores(workspace: Workspace, registry: Registry, model: Provenance) -> bool:
    """Whether the summary table is of this very model."""
    path = workspace.tables / "summary.csv"
    summary = record_of(path) if path.is_file() else None
    behind = upstream_records(registry, summary) if summary is not None else []
    return any(one.kind == model.kind and one.md5 == model.md5 for one in behind)


def _scores(workspace: Workspace, registry: Registry, record: Provenance) -> pd.DataFrame:
    is_theirs = took_part_in_scores(workspace, registry, record)
    return pd.read_csv(workspace.tables / "summary.csv") if is_theirs else pd.DataFrame()


def _stand_ins(behind: Sequence[Provenance], scores: pd.DataFrame) -> tuple[str, ...]:
    named = {stand_in for record in behind for stand_in in record.stand_ins}
    if len(scores):
        named |= {one for text in scores["stand_ins"] for one in str(text).split("; ") if one != "none"}
    return tuple(sorted(named))
