"""C2PA: a signed manifest inside a generated file that says it was made by a trained model, by which and from what.

Beside the standard's action there are two statements of our own: what made the file (`PROVENANCE_LABEL`) and what it
held when it was signed, stream by stream (`CONTENT_LABEL`, `content.py`), so that `magictalk verify` can name a change.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field, ValidationError

from magictalk_core import __version__
from magictalk_core.config import StrictModel
from magictalk_core.errors import PermanentError
from magictalk_core.portrait.content import PictureContent, SoundContent, read_content
from magictalk_core.portrait.label import DIGITAL_SOURCE_TYPE
from magictalk_core.portrait.signing import open_signer
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.work.ancestry import ancestry_of
from magictalk_core.work.provenance import Work

__all__ = [
    "CONTENT_LABEL",
    "GENERATOR",
    "PROVENANCE_LABEL",
    "ContentSaid",
    "content_in_manifest",
    "read_provenance",
    "sign_picture",
    "sign_video",
    "work_in_manifest",
    "work_in_video",
]


PROVENANCE_LABEL = "org.magictalk.provenance"
"""Of the assertion in a manifest that names the work, as `Work` knows it."""
CONTENT_LABEL = "org.magictalk.content"
"""Of the assertion that says what the streams were."""
GENERATOR = "magictalk"


class ContentSaid(StrictModel):
    """What a video held when it was signed. `mark`: the payload in its pixels, None where it has none; `label`: the
    word that is to be seen in it, None where none was drawn."""

    version: int = Field(1, ge=1)
    picture: PictureContent
    sound: SoundContent | None
    tags: dict[str, str]
    mark: str | None = None
    label: str | None = None


def _assertion(work: Work) -> dict[str, Any]:
    """What a video says of itself wherever it goes: hashes, and no path of this machine."""
    inputs = [{"kind": one.kind, "name": _public_name(one.name), "md5": one.md5} for one in work.inputs]
    behind = {name: value for name, value in asdict(ancestry_of(work.home, work.inputs)).items() if value}
    return {
        "kind": work.kind,
        "version": work.version,
        "inputs_digest": work.digest,
        "inputs": inputs,
        "settings": dict(work.settings),
        **behind,
    }


def _public_name(name: str) -> str:
    return PurePosixPath(name).name if name.startswith("/") else name


def sign_picture(path: Path, work: Work | None = None) -> None:
    """`sign_video` for a PNG, without what it holds: its bytes alone are bound."""
    _sign(path, "image/png", work, None, [])


def sign_video(
    path: Path, work: Work | None = None, title: str | None = None, mark: str | None = None, label: str | None = None
) -> None:
    """Add a C2PA manifest to the mp4 at `path`, in place and atomically: that it is made, by which `work`, and what its
    streams are, with the `mark` in the pixels and the visible `label` as far as it has them.

    `title` is the name that the file will have, where it is signed under a temporary one. The provenance record cannot
    be named by its hash, since it holds that of the signed file: the work is named by its identity and its inputs.
    """
    held = read_content(path)
    ours = {key: value for key, value in held.tags.items() if key not in _TAGS_OF_CONTAINERS}
    said = ContentSaid(picture=held.picture, sound=held.sound, tags=ours, mark=mark, label=label)
    _sign(path, "video/mp4", work, title, [{"label": CONTENT_LABEL, "data": said.model_dump(mode="json")}])


_TAGS_OF_CONTAINERS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
"""Written by whatever writes the container."""


def _sign(path: Path, media_type: str, work: Work | None, title: str | None, said: list[dict[str, Any]]) -> None:
    from c2pa import Builder

    manifest = {
        "claim_generator_info": [{"name": GENERATOR, "version": __version__}],
        "title": title or path.name,
        "format": media_type,
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": DIGITAL_SOURCE_TYPE}]},
            },
            *([] if work is None else [{"label": PROVENANCE_LABEL, "data": _assertion(work)}]),
            *said,
        ],
    }
    with atomic_path(path) as temporary, path.open("rb") as source, temporary.open("w+b") as target:
        Builder(json.dumps(manifest)).sign(open_signer(), media_type, source, target)


def read_provenance(path: Path) -> dict[str, Any]:
    """The active manifest of a video or PNG, with `validation_state` and the codes of what failed in `failures`; raises
    `PermanentError` when there is none."""
    from c2pa import Reader

    try:
        with path.open("rb") as file, Reader(_media_type(path), file) as reader:
            store: dict[str, Any] = json.loads(reader.json())
    except Exception as error:  # c2pa raises one class per message
        raise PermanentError(f"{path}: no readable C2PA manifest ({error})") from error
    results = store.get("validation_results", {}).get("activeManifest", {})
    failures = [str(one.get("code")) for one in results.get("failure", [])]
    active = store["manifests"][store["active_manifest"]]
    return {**active, "validation_state": store.get("validation_state"), "failures": failures}


def _media_type(path: Path) -> str:
    return "image/png" if path.suffix == ".png" else "video/mp4"


def work_in_video(path: Path) -> dict[str, Any] | None:
    """What the manifest of a video says of the work that made it, with `validation_state`; None where it says nothing.

    The file comes from anywhere: values of another form than we write count as nothing.
    """
    try:
        return work_in_manifest(read_provenance(path))
    except PermanentError:
        return None


def work_in_manifest(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """`work_in_video` of what `read_provenance` found."""
    for said in _statements(manifest, PROVENANCE_LABEL):
        if _is_our_form(said):
            inputs = [{"kind": one["kind"], "name": one["name"], "md5": one["md5"]} for one in said["inputs"]]
            return {**said, "inputs": inputs, "validation_state": manifest["validation_state"]}
    return None


def content_in_manifest(manifest: dict[str, Any]) -> ContentSaid | None:
    """What a video held when it was signed; None where the manifest does not say, or in no form of ours."""
    for said in _statements(manifest, CONTENT_LABEL):
        try:
            return ContentSaid.model_validate(said)
        except ValidationError:
            continue
    return None


def _statements(manifest: dict[str, Any], label: str) -> list[Any]:
    found = manifest.get("assertions", [])
    return [one.get("data") for one in found if str(one.get("label", "")).startswith(label)]


def _is_our_form(said: Any) -> bool:
    if not isinstance(said, dict) or not isinstance(said.get("inputs_digest"), str):
        return False
    inputs = said.get("inputs")
    keys = ("kind", "name", "md5")
    return isinstance(inputs, list) and all(
        isinstance(one, dict) and all(isinstance(one.get(key), str) for key in keys) for one in inputs
    )
