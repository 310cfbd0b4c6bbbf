"""Is a file as magictalk wrote it, and if not, what was done to it: what `magictalk verify` does.

Everything is read in a child process with limits: the file comes from anywhere. No network, no workspace is needed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from magictalk_core.commands.untrusted import made_apart, must_be_file
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.portrait.content import VideoContent, read_content
from magictalk_core.portrait.edits import Edit, EditKind, edits_since, encoder_told, tags_told
from magictalk_core.portrait.label import DIGITAL_SOURCE_TYPE
from magictalk_core.portrait.label_seen import LABEL_SEEN
from magictalk_core.portrait.provenance import (
    GENERATOR,
    ContentSaid,
    content_in_manifest,
    read_provenance,
    work_in_manifest,
)
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL

__all__ = ["State", "Verdict", "verify_file"]

_PICTURE = ".png"
_WRITTEN_CRF = " crf=18.0 "
"""Of `media.encode.write_video`."""
_TAGS = ("title", "comment", "digital_source_type")


class State(StrEnum):
    """What the signature says."""

    INTACT = "intact"
    CHANGED = "changed since it was signed"
    OF_OTHERS = "signed by others"
    MISSING = "no manifest"


@dataclass(frozen=True)
class Verdict:
    """`edits`: what was done to the file; empty where it `is_intact`. `made_by` and what follows: what the manifest
    says, believed where it is intact. `mark`: payload in the pixels, with its score in standard deviations and the
    chance that it is none."""

    file: str
    is_intact: bool
    manifest: str
    says: str
    edits: tuple[str, ...]
    signer: str | None = None
    signed: str | None = None
    action: str | None = None
    made_by: str | None = None
    work: str | None = None
    models: tuple[str, ...] = ()
    training_sets: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    mlflow_runs: tuple[str, ...] = ()
    label: str | None = None
    tags: str | None = None
    mark: str | None = None
    mark_score: float | None = None
    mark_chance: float | None = None
    next_step: str | None = None


@dataclass(frozen=True)
class _Seen:
    manifest: dict[str, Any] | None
    content: VideoContent | None
    said: ContentSaid | None = field(default=None)


def verify_file(path: Path, original: Path | None = None) -> Verdict:
    """What can be said of a video, or of a PNG that a figure was written to.

    `original`: a copy that is intact, to compare with where the manifest of `path` is gone. Raises `UserError` for what
    is no such file, and for an original that is not intact itself.
    """
    seen = _looked_at(path)
    state = _state(seen)
    said = seen.said
    if original is not None:
        said = _said_of_original(original)
    found = _edits(seen, state, said)
    intact = state is State.INTACT and not found
    return Verdict(
        file=str(path),
        is_intact=intact,
        manifest=str(state),
        says=_sentence(intact, state, seen, found),
        edits=tuple(str(one) for one in found),
        **_told_by_manifest(seen.manifest),
        **_told_by_content(seen),
    )


def _looked_at(path: Path) -> _Seen:
    must_be_file(path, "video")
    with made_apart(_look, path, suffix=".json") as piece:
        raw = json.loads(piece.read_text(encoding="utf-8"))
    content = None if raw["content"] is None else VideoContent.model_validate(raw["content"])
    manifest = raw["manifest"]
    return _Seen(manifest, content, None if manifest is None else content_in_manifest(manifest))


def _look(path: Path, piece: Path) -> None:
    """In the child."""
    content = None if path.suffix.lower() == _PICTURE else read_content(path, SYNTHETIC_LABEL).model_dump(mode="json")
    try:
        manifest = read_provenance(path)
    except PermanentError:
        manifest = None
    piece.write_text(json.dumps({"content": content, "manifest": manifest}), encoding="utf-8")


def _state(seen: _Seen) -> State:
    if seen.manifest is None:
        return State.MISSING
    made_by = [one.get("name") for one in seen.manifest.get("claim_generator_info") or []]
    if GENERATOR not in made_by:
        return State.OF_OTHERS
    return State.INTACT if seen.manifest["validation_state"] in ("Valid", "Trusted") else State.CHANGED


def _said_of_original(original: Path) -> ContentSaid:
    seen = _looked_at(original)
    if _state(seen) is not State.INTACT or seen.said is None:
        raise UserError(f"--original {original}: {_state(seen)}: expected a copy that is as magictalk wrote it")
    return seen.said


def _edits(seen: _Seen, state: State, said: ContentSaid | None) -> list[Edit]:
    content = seen.content
    if content is None:  # a picture: its bytes are bound, and nothing else is known
        return (
            []
            if state is not State.CHANGED
            else [Edit(EditKind.PIXELS, "or something else in it: its hash is another")]
        )
    if state is State.INTACT and said is None:
        return []  # of a release that made no statement: the hash of the whole file holds
    known = said is not None or _is_ours(content)
    found = _edits_without_statement(content) if said is None else edits_since(said, content)
    if not known or state is State.OF_OTHERS:
        return found
    if state is not State.INTACT and not any(one.kind in _OF_STREAMS for one in found):
        found.insert(0, Edit(EditKind.REMUXED, _UNTOUCHED if said is not None else _UNKNOWN))
    if state is State.MISSING:
        found.append(Edit(EditKind.METADATA, "the C2PA manifest is gone"))
    return found


_UNTOUCHED = "the container is another; picture and sound are as they were written"
_UNKNOWN = (
    "the picture is encoded as magictalk does it, the container is another; whether it was cut or has another sound is "
    "told by a copy that is intact (--original)"
)
_OF_STREAMS = frozenset({EditKind.CUT, EditKind.REENCODED, EditKind.PIXELS, EditKind.SOUND})


def _is_ours(content: VideoContent) -> bool:
    return content.mark is not None or content.tags.get("digital_source_type") == DIGITAL_SOURCE_TYPE


def _edits_without_statement(content: VideoContent) -> list[Edit]:
    """What can be told of a file alone, where nothing says what it was."""
    if not _is_ours(content):
        return []
    found = []
    if _WRITTEN_CRF not in content.picture.encoder:
        found.append(
            Edit(EditKind.REENCODED, f"{encoder_told(content.picture.encoder)}; magictalk writes x264, crf 18")
        )
    if content.sound is None:
        found.append(Edit(EditKind.SOUND, "there is none"))
    elif abs(content.sound.seconds - content.picture.seconds) > 0.2:
        lengths = f"{content.sound.seconds:.2f} s of sound for {content.picture.seconds:.2f} s of picture"
        found.append(Edit(EditKind.CUT, f"{lengths}: one of them was cut or replaced"))
    if content.mark is not None and content.mark.is_mirrored:
        found.append(Edit(EditKind.PIXELS, "the picture is mirrored"))
    if content.label is not None and content.label < LABEL_SEEN:
        found.append(Edit(EditKind.PIXELS, f"the label `{SYNTHETIC_LABEL}` is not to be seen"))
    return [*found, *tags_told(dict.fromkeys(_TAGS, ""), {name: "" for name in content.tags})]


def _sentence(intact: bool, state: State, seen: _Seen, found: list[Edit]) -> str:
    if intact:
        return "as magictalk wrote it"
    if state is State.OF_OTHERS:
        return "signed, but not by magictalk: its manifest says nothing that is known here"
    if state is State.MISSING and not found:
        return "nothing in it says that magictalk wrote it: no manifest, no tags, no mark in the pixels"
    kinds = ", ".join(dict.fromkeys(str(one.kind) for one in found))
    return f"not as magictalk wrote it: {kinds}" if kinds else "not as magictalk wrote it: its hash is another"


def _told_by_manifest(manifest: dict[str, Any] | None) -> dict[str, Any]:
    if manifest is None:
        return {}
    signature = manifest.get("signature_info") or {}
    told: dict[str, Any] = {
        "signer": signature.get("common_name") or signature.get("issuer"),
        "signed": signature.get("time"),
        "action": _action(manifest),
        "made_by": " ".join(
            f"{one.get('name')} {one.get('version', '')}".strip() for one in manifest.get("claim_generator_info") or []
        ),
    }
    work = work_in_manifest(manifest)
    if work is None:
        return told
    models = [one for one in work.get("models", []) if isinstance(one, dict)]
    stamp = work["settings"].get("models") if isinstance(work.get("settings"), dict) else None
    named = [f"{one.get('name')} {one.get('md5')}" for one in models]
    return told | {
        "work": f"{work.get('kind')} {work['inputs_digest']}",
        "models": tuple([str(stamp), *named] if stamp else named),
        "training_sets": tuple(map(str, work.get("training_sets", []))),
        "snapshots": tuple(f"{one.get('corpus')} {one.get('digest')}" for one in work.get("snapshots", [])),
        "mlflow_runs": tuple(str(one["mlflow_run"]) for one in models if one.get("mlflow_run")),
    }


def _action(manifest: dict[str, Any]) -> str | None:
    for assertion in manifest.get("assertions", []):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            for one in assertion.get("data", {}).get("actions", []):
                kind = str(one.get("digitalSourceType", "")).rsplit("/", 1)[-1]
                return f"{one.get('action')} {kind}".strip()
    return None


def _told_by_content(seen: _Seen) -> dict[str, Any]:
    content = seen.content
    if content is None:
        return {}
    is_seen = content.label is not None and content.label >= LABEL_SEEN
    missing = [name for name in _TAGS if name not in content.tags]
    told: dict[str, Any] = {
        "label": f"{'seen' if is_seen else 'not seen'} ({content.label})",
        "tags": "there" if not missing else f"missing: {', '.join(missing)}",
    }
    if content.mark is None:
        return told
    step = (
        f"magictalk lineage {content.mark.payload} finds in a workspace what made it" if seen.manifest is None else None
    )
    return told | {
        "mark": content.mark.payload,
        "mark_score": round(content.mark.score, 1),
        "mark_chance": content.mark.chance,
        "next_step": step,
    }
