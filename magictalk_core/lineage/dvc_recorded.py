"""Whether `dvc.lock` says of a stage what lies on disk: asked without DVC, which takes seconds to load and to look.

Whatever is not understood here, an ignore pattern or a hash of another kind, counts as not recorded: DVC then looks
itself. Where every hash of every input and output is that of the lock, it would find the same.
"""

from __future__ import annotations

import configparser
import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from magictalk_core.storage.hashes import directory_md5
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.workspace import Workspace

__all__ = ["cache_folder", "recorded_as_they_lie", "unlike_their_record"]

_FOREACH, _ITEM = "foreach", "${item}"
_DEEP = "**/"


def recorded_as_they_lie(home: Path, stages: Sequence[str]) -> frozenset[str]:
    """Those of `stages` whose command, settings, inputs and outputs are what `dvc.lock` says, outputs that the cache
    holds included."""
    try:
        lock = _yaml(home / "dvc.lock")["stages"]
        known = _Stages(_yaml(home / "dvc.yaml")["stages"])
        disk = _Disk(home, _ignored(home / ".dvcignore"))
        return frozenset(s for s in stages if s in lock and _is_recorded(disk, known.named(s), lock[s]))
    except (FileNotFoundError, KeyError, TypeError, AttributeError, ValueError, yaml.YAMLError):
        return frozenset()  # DVC tells what is wrong with its files


def unlike_their_record(home: Path) -> tuple[str, ...]:
    """Assets of the stages in `dvc.lock` that lie on disk as something else, in the order of `dvc.yaml`: what
    `dvc status` names."""
    lock, described = (_yaml(home / name)["stages"] for name in ("dvc.lock", "dvc.yaml"))
    single = [name for name, stage in described.items() if name in lock and _FOREACH not in stage]
    several = [name for name in lock if "@" in name]
    stages = _Stages(described)
    same = recorded_as_they_lie(home, [*several, *single])
    return tuple(str(stages.named(name)["meta"]["asset_key"]) for name in [*several, *single] if name not in same)


def cache_folder(home: Path) -> Path:
    """Where the objects of DVC's cache lie, there or not."""
    folder = home / ".dvc" / "cache"
    for name in ("config", "config.local"):
        config = configparser.ConfigParser(interpolation=None)
        config.read(home / ".dvc" / name, encoding="utf-8")
        if config.has_option("cache", "dir"):
            folder = home / ".dvc" / config.get("cache", "dir")
    return folder / "files" / "md5"


def _yaml(path: Path) -> Any:
    return yaml.load(path.read_bytes(), yaml.CSafeLoader)


@dataclass(frozen=True)
class _Stages:
    """The stages of a `dvc.yaml`."""

    described: Mapping[str, Any]

    def named(self, stage: str) -> Mapping[str, Any]:
        """A stage, one of several over a list with its item filled in."""
        name, _, item = stage.partition("@")
        found: Mapping[str, Any] = self.described[name]
        if _FOREACH in found:
            found = _filled(found["do"], item)
        return found


def _filled(value: Any, item: str) -> Any:
    if isinstance(value, str):
        return value.replace(_ITEM, item)
    if isinstance(value, list):
        return [_filled(each, item) for each in value]
    if isinstance(value, dict):
        return {_filled(key, item): _filled(each, item) for key, each in value.items()}
    return value


def _is_recorded(disk: _Disk, stage: Mapping[str, Any], lock: Mapping[str, Any]) -> bool:
    outs = {name: how for kind in ("outs", "metrics", "plots") for name, how in _named(stage.get(kind, ()))}
    deps, made = lock.get("deps", ()), lock.get("outs", ())
    if lock["cmd"] != stage["cmd"] or {one["path"] for one in deps} != set(stage.get("deps", ())):
        return False
    if {one["path"] for one in made} != set(outs):
        return False
    kept = [one for one in made if outs[one["path"]].get("cache", True)]
    return (
        _asked_settings(disk.home, stage) == lock.get("params", {})
        and all(disk.md5(one["path"]) == one["md5"] and one["hash"] == "md5" for one in [*deps, *made])
        and all(disk.is_cached(one["path"], one["md5"]) for one in kept)
    )


def _named(entries: Sequence[Any]) -> list[tuple[str, Mapping[str, Any]]]:
    pairs = [{one: {}} if isinstance(one, str) else one for one in entries]
    return [(name, how) for pair in pairs for name, how in pair.items()]


def _asked_settings(home: Path, stage: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """File -> dotted name -> value now, as `params` of a lock has them."""
    found: dict[str, dict[str, Any]] = {}
    for file, names in _named(stage.get("params", ())):
        values = _yaml(home / file)
        for name in names:
            value = values
            for part in str(name).split("."):
                value = value[part]
            found.setdefault(file, {})[str(name)] = value
    return found


class _Disk:
    """Files of the workspace as DVC hashes them."""

    def __init__(self, home: Path, ignored: Sequence[str]) -> None:
        self.home, self._ignored = home, ignored
        self._memory = RememberedHashes(Workspace(home).file_hashes)
        self._md5s: dict[str, str] = {}
        self._files: dict[str, dict[str, str]] = {}

    def md5(self, name: str) -> str:
        """Of a file, or `<md5>.dir` of a folder; empty where nothing is there."""
        if name not in self._md5s:
            path = self.home / name
            files = {"": path} if path.is_file() else dict(self._below(path, name))
            md5s = self._memory.md5_of(list(files.values()))
            self._files[name] = {below: md5s[file] for below, file in files.items()}
            whole = self._files[name].get("") or directory_md5(self._files[name].items())
            self._md5s[name] = whole if files else ""
        return self._md5s[name]

    def is_cached(self, name: str, md5: str) -> bool:
        """Whether DVC's cache holds an output, whose files were hashed before."""
        folder, objects = cache_folder(self.home), {md5, *self._files[name].values()}
        return all((folder / one[:2] / one[2:]).is_file() for one in objects)

    def _below(self, folder: Path, name: str) -> list[tuple[str, Path]]:
        found = []
        for here, folders, files in os.walk(folder):
            at = os.path.relpath(here, folder)
            inside = "" if at == "." else f"{at}/"
            folders[:] = [each for each in folders if not self._is_ignored(f"{name}/{inside}{each}")]
            found += [
                (f"{inside}{each}", Path(here, each))
                for each in files
                if not self._is_ignored(f"{name}/{inside}{each}")
            ]
        return found

    def _is_ignored(self, path: str) -> bool:
        parts = path.split("/")
        for pattern in self._ignored:
            wanted = pattern.removeprefix(_DEEP).split("/")
            tail = parts[-len(wanted) :]
            if len(tail) == len(wanted) and all(map(fnmatch.fnmatchcase, tail, wanted)):
                return True
        return False


def _ignored(path: Path) -> list[str]:
    """The patterns of a `.dvcignore` of names, and of paths that begin with `**/`. Raises `ValueError` for others."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for pattern in patterns:
        rest = pattern.removeprefix(_DEEP)
        if pattern.startswith("!") or rest.startswith("/") or rest.endswith("/") or _DEEP in rest:
            raise ValueError(pattern)
        if "/" in rest and rest == pattern:
            raise ValueError(pattern)
    return patterns
