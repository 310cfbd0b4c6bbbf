"""Which failures of an asset are tried again: the passing ones, and no others."""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, cast

import dagster as dg

from magictalk_core.errors import MagicTalkError, TransientError
from magictalk_core.work.circumstances import in_dagster_run

__all__ = ["MAX_RETRIES", "SECONDS_BETWEEN_TRIES", "retried_when_transient"]

MAX_RETRIES = 3
SECONDS_BETWEEN_TRIES = 10.0

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def retried_when_transient(body: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """An asset's body whose `TransientError` is retried; other errors of ours never are, whatever a job's policy.

    Stands below `@dg.asset`. The error stays the cause of what Dagster records, so a run's failure can name its class.
    What the body leaves names Dagster's run in its provenance record.
    """

    @functools.wraps(body)
    def run(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        with _sorted_failures():
            return body(*arguments, **named)

    @functools.wraps(body)
    def run_step_by_step(*arguments: Parameters.args, **named: Parameters.kwargs) -> Iterator[Any]:
        with _sorted_failures():
            yield from cast("Iterator[Any]", body(*arguments, **named))

    return (
        cast("Callable[Parameters, Result]", run_step_by_step)
        if inspect.isgeneratorfunction(inspect.unwrap(body))
        else run
    )


@contextmanager
def _sorted_failures() -> Iterator[None]:
    try:
        with in_dagster_run(dg.OpExecutionContext.get().run_id):
            yield
    except TransientError as error:
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=SECONDS_BETWEEN_TRIES) from error
    except MagicTalkError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
