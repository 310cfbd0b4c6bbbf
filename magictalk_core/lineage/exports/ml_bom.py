"""CycloneDX 1.6: the bill of materials of a trained model.

Its data with their licences, the weights of others that took part, the libraries of the environment that writes the
bill, and a model card in the standard's own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from magictalk_core import __version__
from magictalk_core.lineage.exports.model_facts import CorpusUsed, ModelFacts, ThirdParty

__all__ = ["ml_bom"]

_SPDX = frozenset(("Apache-2.0", "MIT", "MPL-2.0", "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0"))
"""Licences that are named by their SPDX id; terms in other words stand as they are."""

_LIBRARIES = ("torch", "diffusers", "accelerate", "numpy", "pyarrow", "av", "ai-edge-litert", "mediapipe")


def ml_bom(facts: ModelFacts) -> dict[str, Any]:
    """The document as JSON values; the same model, scores and libraries give the same document."""
    model = f"model:{facts.family}"
    data = [_training_set(facts), *(_corpus(corpus) for corpus in facts.corpora)]
    parts = [*(_third_party(one) for one in facts.third_party), *_models(facts), *_libraries()]
    refs = [str(part["bom-ref"]) for part in (*data, *parts)]
    corpora = [ref for ref in refs if ref.startswith("corpus:")]
    depends = [ref for ref in refs if ref not in corpora]
    serial = uuid5(NAMESPACE_URL, f"magictalk:{facts.family}:{facts.weights_md5}:{facts.record.md5}")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": facts.record.made.isoformat(),
            "tools": {"components": [{"type": "application", "name": "magictalk", "version": __version__}]},
            "component": _model(facts, model),
        },
        "components": [*data, *parts],
        "dependencies": [
            {"ref": model, "dependsOn": depends},
            {"ref": "training_set", "dependsOn": corpora},
            *({"ref": ref} for ref in refs if ref != "training_set"),
        ],
    }


def _model(facts: ModelFacts, ref: str) -> dict[str, Any]:
    record = facts.record
    facts_named = {"weights_md5": facts.weights_md5, "record_md5": record.md5, "mlflow_run": record.mlflow_run}
    facts_named |= {"commit": record.code.commit, "preset": None if record.preset is None else record.preset.digest}
    return {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": f"magictalk-{facts.family}",
        "version": facts.weights_md5,
        "description": facts.description,
        "hashes": _hashes(facts.weights_sha256, facts.weights_md5),
        "modelCard": _model_card(facts),
        "properties": _properties(facts_named),
    }


def _model_card(facts: ModelFacts) -> dict[str, Any]:
    considerations: dict[str, Any] = {
        "useCases": ["ARKit motion and labelled videos of talking faces, from speech and an emotional style"],
        "technicalLimitations": [f"computed with a stand-in: {one}" for one in facts.stand_ins],
        "ethicalConsiderations": [
            {
                "name": "a face can be made to say what its owner never said",
                "mitigationStrategy": "every video is labelled as synthetic, visibly and by a signed C2PA manifest",
            },
            *({"name": f"terms of {corpus.name}", "mitigationStrategy": corpus.terms} for corpus in facts.corpora),
        ],
    }
    return {
        "modelParameters": {
            "task": facts.family,
            "architectureFamily": facts.family,
            "datasets": [{"ref": "training_set"}, *({"ref": f"corpus:{corpus.name}"} for corpus in facts.corpora)],
            "inputs": [{"format": f"speech features {facts.config.get('feature_id')}, 25 a second"}],
            "outputs": [{"format": "ARKit channels, 25 frames a second"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": _metrics(facts)},
        "considerations": considerations,
    }


def _metrics(facts: ModelFacts) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"type": name, "value": str(value)} for name, value in sorted(facts.metrics.items())]
    for row in facts.scores.to_dict("records"):
        if row["mean"] == row["mean"]:
            metric = {
                "type": f"{row['metric']} [{row['unit']}]",
                "value": str(row["mean"]),
                "slice": str(row["method"]),
            }
            interval = {"lowerBound": str(row["low"]), "upperBound": str(row["high"])}
            found.append({**metric, "confidenceInterval": interval} if row["low"] == row["low"] else metric)
    return found


def _training_set(facts: ModelFacts) -> dict[str, Any]:
    clips = 0 if facts.record.clips is None else facts.record.clips.count
    about = {"type": "dataset", "name": "training_set", "description": f"{clips} clips that the model learned from"}
    return {
        "type": "data",
        "bom-ref": "training_set",
        "name": "training_set",
        "version": facts.training_set,
        "data": [about],
    }


def _corpus(corpus: CorpusUsed) -> dict[str, Any]:
    origin = "made by a program" if corpus.is_synthetic else "filmed people"
    described = f"{corpus.clips} clips, {corpus.hours} hours, {origin}. {corpus.terms}"
    sensitive = [] if corpus.is_synthetic else ["faces and voices of real people: personal data"]
    return {
        "type": "data",
        "bom-ref": f"corpus:{corpus.name}",
        "name": corpus.name,
        "version": corpus.digest,
        "licenses": [_licence(name) for name, _ in corpus.licences],
        "data": [{"type": "dataset", "name": corpus.name, "description": described, "sensitiveData": sensitive}],
        "properties": _properties({f"clips under {name}": str(number) for name, number in corpus.licences}),
    }


def _third_party(weights: ThirdParty) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"weights:{weights.name}:{weights.sha256[:12]}",
        "name": weights.name,
        "hashes": _hashes(weights.sha256),
    }
    if weights.licence is not None:
        found["licenses"] = [_licence(weights.licence)]
    if weights.source is not None:
        found["externalReferences"] = [{"type": "distribution", "url": weights.source.partition("!")[0]}]
    return found


def _models(facts: ModelFacts) -> list[dict[str, Any]]:
    """Models of this workspace that this one learned from."""
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": f"model:{record.name}",
            "name": record.name,
            "version": record.files.get("model.safetensors", record.md5),
            "hashes": _hashes(None, record.files.get("model.safetensors")),
        }
        for record in facts.models
    ]


def _libraries() -> list[dict[str, Any]]:
    found = []
    for name in _LIBRARIES:
        try:
            version = metadata(name)["Version"]
        except PackageNotFoundError:
            continue
        ref = f"pkg:pypi/{name}@{version.partition('+')[0]}"
        found.append({"type": "library", "bom-ref": ref, "name": name, "version": version, "purl": ref})
    return found


def _hashes(sha256: str | None, md5: str | None = None) -> list[dict[str, str]]:
    pairs: Sequence[tuple[str, str | None]] = (("SHA-256", sha256), ("MD5", md5))
    return [{"alg": name, "content": value} for name, value in pairs if value is not None]


def _licence(name: str) -> dict[str, Any]:
    return {"license": {"id": name} if name in _SPDX else {"name": name}}


def _properties(values: dict[str, str | None]) -> list[dict[str, str]]:
    return [{"name": f"magictalk:{name}", "value": value} for name, value in values.items() if value is not None]
