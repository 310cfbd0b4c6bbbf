"""`magictalk withdraw` from the name to the last deleted object: record, mark, purge; each step can be done again."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from magictalk_core.corpora.withdrawal_log import WithdrawnClip
from magictalk_core.corpora.withdrawals import read_withdrawals
from magictalk_core.errors import UserError
from magictalk_core.lineage.affected import Affected, affected_outputs
from magictalk_core.lineage.content import ClipFinder
from magictalk_core.lineage.purge import plan_purge, purge
from magictalk_core.lineage.raw_left import RawLeft, raw_left
from magictalk_core.lineage.withdraw import Found, Kind, find_withdrawn, known_clips, record_withdrawal
from magictalk_core.vocabulary.clips import Split, Status
from magictalk_core.work.withdrawn_marks import mark_output
from magictalk_core.workspace import Workspace

__all__ = ["Asked", "Outcome", "withdraw_clips"]

_UNMARKED = frozenset({"corpus table", "media", "raw file"})
"""Written anew by the next run, or not to be touched."""


@dataclass(frozen=True)
class Asked:
    """What the person at the keyboard wants; `by` signs it."""

    kind: Kind
    names: tuple[str, ...]
    reason: str
    by: str
    purge: bool = False
    with_raw: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Outcome:
    """What was, or of a dry run would be, withdrawn. `numbers`: of the withdrawal, those in force already included;
    `removed`: by a purge; `warning`: what the next run will lack."""

    numbers: tuple[int, ...]
    is_new: bool
    dry_run: bool
    names: tuple[str, ...]
    clips: tuple[WithdrawnClip, ...]
    affected: tuple[Affected, ...]
    raw: tuple[RawLeft, ...]
    removed: dict[str, int]
    warning: str | None
    seconds: float

    def facts(self) -> dict[str, Any]:
        """One line each, for people."""
        copies = [f"{clip.clip_id} ({clip.via})" for clip in self.clips if clip.via != "named"]
        state = "dry run: nothing is written" if self.dry_run else "recorded" if self.is_new else "was in force already"
        return {
            "withdrawal": f"{', '.join(map(str, self.numbers))}: {state}" if self.numbers else state,
            "names": self.names,
            "clips": len(self.clips),
            "of them copies": copies,
            "affected": _summary(self.affected),
            "to remove" if self.dry_run else "removed": [f"{n} {what}" for what, n in self.removed.items() if n],
            "raw files left": _where(self.raw),
            "warning": self.warning,
            "next": None if self.dry_run else "magictalk run, then magictalk withdraw --verify",
            "seconds": self.seconds,
        }


def _where(raw: tuple[RawLeft, ...]) -> list[str]:
    """The folders of raw files, with how many are in each, and those that hold clips of others by name."""
    folders = Counter(one.path.parent for one in raw)
    shared = [f"{one.path} holds {len(one.others)} clips that nobody withdrew" for one in raw if one.others]
    return [f"{n} in {folder}" for folder, n in sorted(folders.items())] + shared


def _summary(affected: tuple[Affected, ...]) -> list[str]:
    kinds = sorted({one.kind for one in affected})
    return [f"{sum(one.kind == kind for one in affected)} {kind}" for kind in kinds]


def withdraw_clips(workspace: Workspace, asked: Asked) -> Outcome:
    """Do what is asked. Call it while holding the workspace's run lock.

    What is withdrawn already is not recorded twice, and is marked and purged all the same: so a command that was killed
    ends its work when it is typed again.
    """
    start = time.monotonic()
    found = find_withdrawn(workspace, asked.kind, asked.names)
    numbers, is_new = found.already, not found.already
    if asked.purge and found.already:
        numbers = _to_purge(workspace, found)
    if is_new and not asked.dry_run:
        numbers = (record_withdrawal(workspace, found, asked.by, asked.reason).number,)
    finder = ClipFinder(clip.clip_id for clip in found.clips)
    affected = tuple(affected_outputs(workspace, finder)) if found.clips else ()
    removed: dict[str, int] = {}
    if not asked.dry_run:
        for one in affected:
            if one.kind not in _UNMARKED:
                output = workspace.home / one.name
                mark_output(output, numbers[0], one.how, one.why, changes=one.kind != "model")
    if asked.purge:
        plan = plan_purge(workspace, numbers, _recorded(workspace, numbers) or found.clips)
        removed = plan.counts()
        if not asked.dry_run:
            removed = dict(purge(workspace, plan, asked.by, asked.reason, asked.with_raw).removed)
    raw = tuple(one for one in raw_left(workspace, found.clips) if one.exists)
    warning = _lost_splits(workspace, finder.ids)
    seconds = round(time.monotonic() - start, 2)
    return Outcome(numbers, is_new, asked.dry_run, found.names, found.clips, affected, raw, removed, warning, seconds)


def _recorded(workspace: Workspace, numbers: tuple[int, ...]) -> tuple[WithdrawnClip, ...]:
    return tuple(clip for number, clip in read_withdrawals(workspace).clips() if number in numbers)


def _to_purge(workspace: Workspace, found: Found) -> tuple[int, ...]:
    """The withdrawals in force of just these names. A purge ends a whole withdrawal: raises `UserError` where what is
    asked for is a part of another one."""
    active = read_withdrawals(workspace).active
    same = tuple(n for n in found.already if (active[n].kind, active[n].names) == (found.kind, found.names))
    if not same:
        line = active[found.already[0]]
        names = " ".join(f"--{line.kind} {name}" for name in line.names)
        raise UserError(
            f"{', '.join(found.names)} is part of withdrawal {line.number}, and a purge is of a whole one: type "
            f"`magictalk withdraw {names} --reason ... --purge`, or undo it first"
        )
    return same


def _lost_splits(workspace: Workspace, gone: frozenset[str]) -> str | None:
    """Splits that have no accepted clip any more: a model then has nothing to be trained or judged on."""
    clips = known_clips(workspace)
    left = clips[(clips["status"] == str(Status.OK)) & ~clips["clip_id"].isin(gone)]
    before = clips[(clips["status"] != str(Status.REJECTED))]
    lost = [split.value for split in Split if (before["split"] == split).any() and not (left["split"] == split).any()]
    return (
        f"no accepted clip is left in split {' and '.join(lost)}: add clips, or label others with it" if lost else None
    )
