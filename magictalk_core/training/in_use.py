"""Which run of a family is the newest, and which one its users get: two small files beside the runs.

::

    <out>/newest.json     {"run": digest}        what the newest training asked for; the result of that training
    <out>/current.json    {"champion": digest}   a copy of MLflow's alias, so that using a model needs no store

Only a release writes `current.json`, and DVC does not look at it: it says nothing of what was trained.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import write_if_changed

__all__ = ["RunsInUse", "point_champion", "point_newest", "runs_in_use"]

_NEWEST, _CURRENT = "newest.json", "current.json"


@dataclass(frozen=True)
class RunsInUse:
    """Names of run directories; a family that nothing was released of has no champion."""

    newest: str
    champion: str | None = None


def runs_in_use(out: Path) -> RunsInUse | None:
    """The newest run and the champion of the runs in `out`; None before the first training."""
    current = _read(out / _CURRENT)
    # Before there were releases `current.json` named the newest run, as `run`.
    newest = (_read(out / _NEWEST) or current).get("run")
    return None if newest is None else RunsInUse(newest, current.get("champion"))


def point_newest(out: Path, run: str) -> None:
    """A training asked for `run`; the champion stays."""
    write_if_changed(out / _NEWEST, json.dumps({"run": run}, indent=1))


def point_champion(out: Path, run: str) -> None:
    """MLflow's alias now names `run`."""
    found = runs_in_use(out)
    # Of a home from before there were releases the file that is written here names the newest run.
    point_newest(out, found.newest if found else run)
    write_if_changed(out / _CURRENT, json.dumps({"champion": run}, indent=1))


def _read(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): str(run) for name, run in values.items()}
    except (ValueError, AttributeError) as error:
        raise PermanentError(
            f"{file}: expected the name of a run ({error}): remove the file, then type `magictalk run --select "
            f"release/{file.parent.name}`"
        ) from error
