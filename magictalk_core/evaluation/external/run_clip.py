"""One clip through one system: its commands in a folder of its own, one after the other, then its video delivered.

Whatever the system does is an outcome of this clip alone. The folder is removed; what the system printed stays in a
log.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from magictalk_core.config import ExternalConfig
from magictalk_core.evaluation.external.delivery import Delivered, Refused, Wanted, deliver
from magictalk_core.evaluation.external.folder import Given, lay_out, outputs_in
from magictalk_core.evaluation.external.system import ExternalSystem, Step
from magictalk_core.storage.machine import writing
from magictalk_core.vocabulary.external import ExternalReason
from magictalk_core.work.program import ProgramEnd, ProgramLimits, program_environment, run_program

__all__ = ["commands", "run_clip"]

_ENDS = {
    "failed": ExternalReason.CRASHED,
    "timeout": ExternalReason.TIMEOUT,
    "memory": ExternalReason.MEMORY,
    "not_started": ExternalReason.NOT_STARTED,
}


def commands(system: ExternalSystem, config: ExternalConfig, emotion: str | None) -> list[Step]:
    """The system's steps with nothing left to fill in; `config.arguments` end the last one."""
    word = system.emotions.get(emotion or "", "")
    filled = []
    for number, step in enumerate(system.steps, 1):
        words: Sequence[str] = config.fit if step.argv == ("{fit}",) else step.argv
        values = {"{python}": str(config.python), "{emotion}": word}
        argv = [_fill(one, values) for one in words]
        if number == len(system.steps):
            argv += config.arguments
        filled.append(Step(tuple(argv), step.folder))
    return filled


def _fill(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word


def run_clip(
    system: ExternalSystem,
    config: ExternalConfig,
    given: Given,
    emotion: str | None,
    frames: int,
    runs: Path,
    target: Path,
    log: Path,
) -> Delivered | Refused:
    """Run a system that lacks nothing; the video appears at `target`. `runs`: where the run's folder is made; `frames`:
    of the clip; `log`: begun anew. Raises `MachineError` alone."""
    checkout, python = config.checkout, config.python
    if checkout is None or python is None:
        raise ValueError(f"{system.name}: configured without checkout or python")
    log.unlink(missing_ok=True)
    with _new_folder(runs / f"{system.name}-{uuid.uuid4().hex[:8]}") as run:
        folder = run / "work"
        with writing(folder):
            folder.mkdir()
            lay_out(system, checkout, folder, given)
        ran = _run_steps(config, commands(system, config, emotion), folder, log)
        if isinstance(ran, Refused):
            return ran
        found = list(outputs_in(folder, system.output.pattern))
        if not found:
            return Refused(ExternalReason.NO_OUTPUT, f"it left no {system.output.pattern}: {ran}")
        if len(found) > 1 and not system.output.is_frames:
            names = ", ".join(path.name for path in found)
            return Refused(ExternalReason.NO_OUTPUT, f"it left several for {system.output.pattern}: {names}")
        output = system.output
        wanted = Wanted(frames, config.size or output.size, output.panel, output.first_frame)
        return deliver(found, target, wanted, given.audio)


def _run_steps(config: ExternalConfig, steps: Sequence[Step], folder: Path, log: Path) -> Refused | str:
    """How the last step ended, or why no further one was run."""
    limits = ProgramLimits(config.timeout_s, config.memory_gb)
    said = ""
    for number, step in enumerate(steps, 1):
        end = _run_step(config, step, folder, limits, log)
        if end.kind != "ended":
            which = f"command {number} of {len(steps)}: " if len(steps) > 1 else ""
            said = end.detail
            if end.kind == "timeout" and number > 1:  # what was left of the limit says nothing to whoever set it
                said = f"no end within {config.timeout_s:g} s, all commands together"
            return Refused(_ENDS[end.kind], f"{which}{said}")
        limits = ProgramLimits(max(0.0, limits.timeout_s - end.seconds), limits.memory_gb)
        said = end.detail
    return said


def _run_step(config: ExternalConfig, step: Step, folder: Path, limits: ProgramLimits, log: Path) -> ProgramEnd:
    python = Path(step.argv[0]) if config.python is None else config.python
    environment = program_environment(python, folder.parent / "tmp", config.environment)
    return run_program(step.argv, folder / step.folder, environment, limits, log)


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    with writing(folder):
        (folder / "tmp").mkdir(parents=True)
    try:
        yield folder
    finally:
        # Links into the checkout are removed as links: `rmtree` follows none.
        shutil.rmtree(folder, ignore_errors=True)
