"""Which run of a family is the newest, and which one its users get: `current.json` beside the runs.

::

    <out>/current.json     {"champion": digest or null, "newest": digest}

`newest` is what the newest training asked for. `champion` is a copy of MLflow's alias, so that using a model needs no
store: only a release writes it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.locks import one_at_a_time

__all__ = ["RunsInUse", "point_champion", "point_newest", "runs_in_use"]


@dataclass(frozen=True)
class RunsInUse:
    """Names of run directories; a family that nothing was released of has no champion."""

    newest: str
    champion: str | None = None


def runs_in_use(out: Path) -> RunsInUse | None:
    """What `current.json` in `out` says; None before the first training."""
    file = out / "current.json"
    if not file.is_file():
        return None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        # Before there were releases the file named the newest run alone, as `run`.
        return RunsInUse(newest=values["run"]) if "run" in values else RunsInUse(**values)
    except (ValueError, TypeError) as error:
        raise PermanentError(
            f"{file}: expected the names of a champion and of the newest run ({error}): remove the file, then type "
            f"`magictalk run --select models/{out.name}`"
        ) from error


def point_newest(out: Path, run: str) -> None:
    """A training asked for `run`; the champion stays."""
    with one_at_a_time(out / ".lock"):
        found = runs_in_use(out)
        _write(out, RunsInUse(run) if found is None else replace(found, newest=run))


def point_champion(out: Path, run: str) -> None:
    """MLflow's alias now names `run`."""
    with one_at_a_time(out / ".lock"):
        found = runs_in_use(out)
        _write(out, replace(found or RunsInUse(run), champion=run))


def _write(out: Path, wanted: RunsInUse) -> None:
    if runs_in_use(out) != wanted:
        write_text(out / "current.json", json.dumps(asdict(wanted), indent=1, sort_keys=True))
