"""What went wrong in a Dagster run, as one error of the class that the step raised: the class decides the exit code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import dagster as dg

from magictalk_core.errors import (
    MachineError,
    MagicTalkError,
    PermanentError,
    TransientError,
    UserError,
)
from magictalk_core.storage.machine import GO_ON
from magictalk_core.workspace import Workspace
from pipelines.machine import machine_error_of_text
from pipelines.one_line import write_traceback

__all__ = ["failure_of"]

_KINDS = (UserError, PermanentError, TransientError, MachineError)


def failure_of(result: Any, instance: dg.DagsterInstance, workspace: Workspace) -> MagicTalkError:
    """The failure of what `dg.materialize` or a job's execution in `instance` returned, with the step that raised it.

    An error of ours speaks for itself. Of others the name of the type helps: they say that the machine is in trouble,
    or are ours to mend and leave their traceback in the workspace's logs.
    """
    for event in result.all_events:
        if event.is_step_failure:
            step = str(event.step_key)
            errors = [*_chain(event.step_failure_data.error), *_told_through_pipes(instance, result.run_id, step)]
            return _of_step(step, errors, workspace)
    return PermanentError("the run failed; see the run's page in `magictalk ui` for its log")


def _of_step(step: str, errors: list[Any], workspace: Workspace) -> MagicTalkError:
    where = step.replace("__", "/")
    for error in errors:
        kind = _kind(error.cls_name)
        if kind is not None:
            return kind(f"{where}: {_text(error)}")
    innermost = errors[-1]
    if innermost.cls_name == dg.DagsterExecutionInterruptedError.__name__:
        return MachineError(f"{where}: interrupted: {GO_ON.removeprefix('then ')}")
    trouble = machine_error_of_text(innermost.cls_name, innermost.message)
    if trouble is not None:
        return MachineError(f"{where}: {trouble}")
    text = f"{where}: {innermost.message.strip()}"
    if str(innermost.cls_name).startswith("Dagster"):
        return PermanentError(text)
    return PermanentError(f"{text}; traceback: {write_traceback(errors[0].to_string(), workspace)}")


def _chain(error: Any) -> Iterator[Any]:
    """The error and its causes, outermost first."""
    while error is not None:
        yield error
        error = error.cause


def _told_through_pipes(instance: dg.DagsterInstance, run_id: str, step: str) -> Iterator[Any]:
    """Exceptions of a child process, such as a training; the step that waits for it knows the exit code only."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        if event is not None and event.step_key == step and event.engine_event_data.error is not None:
            yield from _chain(event.engine_event_data.error)


def _text(error: Any) -> str:
    """The message without the name of the class before it."""
    return re.sub(rf"^[\w.]*\b{error.cls_name}: ", "", error.message.strip())


def _kind(name: str | None) -> type[MagicTalkError] | None:
    """The class of `errors` that the class of this name is, or is derived from; Dagster keeps names only."""
    found = next((each for each in _subclasses(MagicTalkError) if each.__name__ == name), None)
    return found and next((kind for kind in _KINDS if issubclass(found, kind)), PermanentError)


def _subclasses(of: type[MagicTalkError]) -> Iterator[type[MagicTalkError]]:
    for each in of.__subclasses__():
        yield each
        yield from _subclasses(each)
