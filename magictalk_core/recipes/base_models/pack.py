"""From model folders as training leaves them to the small ones that are shipped: weights in half precision, no more
than using them needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from magictalk_core.errors import PermanentError
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.storage.hashes import file_md5

__all__ = ["pack_models"]

_WEIGHTS = "model.safetensors"
_STYLES = frozenset(("styles.safetensors", "styles.json"))
"""Of all training clips: those that are shipped are `recipes.base_models.styles`."""
_DIGITS = 7
"""Significant ones of single precision."""


def pack_models(models: Mapping[str, Path], styles: StyleBank, out: Path) -> None:
    """Write a folder per family of `models` into `out`. Raises `PermanentError` for a weight beyond half precision."""
    for family, source in models.items():
        folder = out / family
        folder.mkdir(parents=True)
        _halve(source / _WEIGHTS, folder / _WEIGHTS)
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        (folder / "channels.json").write_bytes((source / "channels.json").read_bytes())
        _round(source / "normalizer.json", folder / "normalizer.json")
        known = {path.name for path in folder.iterdir()} | _STYLES
        for path in sorted(source.iterdir()):
            if path.name not in known:
                # What a family adds: how EmoDiff is asked, and the like.
                (folder / path.name).write_bytes(path.read_bytes())
        if family == "emodiff":
            styles.save(folder)
    _pair_again(out)


def _halve(source: Path, target: Path) -> None:
    weights = load_file(source)
    halves = {name: v.half() if v.is_floating_point() else v for name, v in weights.items()}
    for name, value in halves.items():
        if not bool(torch.isfinite(value.float()).all()):
            raise PermanentError(f"{source}: `{name}` is beyond half precision: it cannot be shipped")
    save_file({name: value.contiguous() for name, value in halves.items()}, target, metadata={"format": "pt"})


def _round(source: Path, target: Path) -> None:
    numbers = json.loads(source.read_text(encoding="utf-8"))
    rounded = {
        part: {name: [float(f"{v:.{_DIGITS}g}") for v in values] for name, values in entry.items()}
        for part, entry in numbers.items()
    }
    target.write_text(json.dumps(rounded), encoding="utf-8")


def _pair_again(out: Path) -> None:
    """The residue names its Audio2BS by the md5 of its weights, which are other bytes now."""
    path = out / "lip_residue" / "config.json"
    if path.is_file():
        config = json.loads(path.read_text(encoding="utf-8"))
        config["audio2bs"] = file_md5(out / "audio2bs" / _WEIGHTS)
        path.write_text(json.dumps(config, indent=1), encoding="utf-8")
