"""Files that belong to a finished training and come later, such as its card with the scores: into its MLflow run."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from magictalk_core.training.journal import Journal, RunNote
from magictalk_core.training.sending import MlflowRun, send_pending
from magictalk_core.training.store import ExperimentStore

__all__ = ["attach_to_run"]

logger = logging.getLogger("magictalk.training")


def attach_to_run(run: Path, files: Sequence[Path], folder: str, uri: str) -> None:
    """Store `files` under `folder` of the MLflow run that the training in the directory `run` reported to.

    A store that does not answer costs nothing: they wait beside the run for `magictalk mlflow sync`. A training that
    was tracked nowhere has no place for them.
    """
    if RunNote.read(run) is None:
        return
    journal = Journal(run)
    for file in files:
        record = {"do": "attach", "path": str(file.absolute()), "folder": folder, "ms": int(time.time() * 1000)}
        if record["path"] not in (waits.get("path") for waits in journal.records):
            journal.add(record)
    store = ExperimentStore(uri)
    try:
        send_pending(run, journal, store, MlflowRun(store))
    # Whatever a store, its client or the network raises: a card is worth no failed run.
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        logger.warning("MLflow does not answer (%s): %d files wait for `magictalk mlflow sync`", said, len(files))
