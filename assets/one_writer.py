"""One writer at a time for every thing that an asset makes, whoever starts it: a command, a job of the UI, the daemon.

The locks are files of the workspace, which the system releases when their holder dies. A second writer waits, and then
finds the work done. Shards of one corpus are written beside each other, but not while the corpus is recorded: clips,
manifest and snapshot hold the dataset alone. The dataset's lock is always taken before the shard's.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from magictalk_core.storage.locks import shared_with_others, waited_for
from magictalk_core.workspace import Workspace

__all__ = ["one_writer", "recording_dataset", "writing", "writing_shard"]

WAIT_S = 3600.0
"""A job that waits takes a place in the queue: after this long the error says who holds the lock."""


@contextmanager
def writing(workspace: Workspace, thing: str) -> Iterator[None]:
    """Hold the lock of `thing`. Raises `TransientError` where another process holds it for an hour."""
    with waited_for(workspace.lock(thing), thing, WAIT_S):
        yield


@contextmanager
def writing_shard(workspace: Workspace, corpus: str, shard: str) -> Iterator[None]:
    """Hold the tables and media of one shard; other shards may be written meanwhile."""
    with (
        shared_with_others(workspace.lock(f"{corpus}/dataset"), f"the dataset of {corpus}", WAIT_S),
        writing(workspace, f"{corpus}/shards/{shard}"),
    ):
        yield


@contextmanager
def recording_dataset(workspace: Workspace, corpus: str) -> Iterator[None]:
    """Hold the whole dataset of `corpus`: no shard is written meanwhile."""
    with writing(workspace, f"{corpus}/dataset"):
        yield


def one_writer(thing: str, *, dataset_of: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The body of an asset that writes `thing`, its key; `dataset_of`: the corpus whose dataset it records.

    Stands below `@retried_when_transient`; the body must ask for `store`.
    """

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def locks(named: dict[str, Any]) -> Iterator[None]:
            workspace: Workspace = named["store"].workspace
            with writing(workspace, thing):
                if dataset_of is None:
                    yield
                else:
                    with recording_dataset(workspace, dataset_of):
                        yield

        @functools.wraps(body)
        def run(*arguments: Any, **named: Any) -> Any:
            with locks(named):
                return body(*arguments, **named)

        @functools.wraps(body)
        def run_step_by_step(*arguments: Any, **named: Any) -> Iterator[Any]:
            with locks(named):
                yield from body(*arguments, **named)

        decorated: Any = run_step_by_step if inspect.isgeneratorfunction(body) else run
        decorated.writes = thing
        return cast("Callable[..., Any]", decorated)

    return decorate
