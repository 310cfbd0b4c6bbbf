"""Sends what trainings could not send: records that wait beside their runs because MLflow was down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from magictalk_core.storage.locks import held_or_refused
from magictalk_core.training.journal import Journal, RunNote, pending_runs
from magictalk_core.training.sending import MlflowRun, send_pending
from magictalk_core.training.store import ExperimentStore

__all__ = ["Sent", "send_what_waits"]


@dataclass(frozen=True)
class Sent:
    """One run directory: how many records went to MLflow, how many still wait and what the store said."""

    run: str
    sent: int
    waiting: int
    mlflow_run: str
    problem: str = ""


def send_what_waits(models: Path, uri: str) -> list[Sent]:
    """For every run directory below `models` with records that wait, oldest first; the first that the store does not
    take ends it, and the others are left as they are. Raises `UserError` for a training that is going on."""
    found: list[Sent] = []
    waiting = pending_runs(models)
    if not waiting:
        return found
    store = ExperimentStore(uri)
    for folder in waiting:
        with held_or_refused(folder / ".lock", f"the training {folder}"):
            found.append(_send(folder, store))
        if found[-1].problem:
            break
    return found


def _send(folder: Path, store: ExperimentStore) -> Sent:
    journal, problem = Journal(folder), ""
    before = len(journal.records)
    try:
        send_pending(folder, journal, store, MlflowRun(store))
    # Whatever the store, its client or the network raise: it is said, and the records stay.
    except Exception as error:
        problem = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    note, left = RunNote.read(folder), len(journal.records)
    return Sent(f"{folder.parent.name}/{folder.name}", before - left, left, note.run_id if note else "", problem)
