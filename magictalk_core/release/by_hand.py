"""Releases by hand: what there is, a version put in use, and the step back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from magictalk_core.errors import UserError
from magictalk_core.release.decisions import Decision
from magictalk_core.release.families import RELEASED
from magictalk_core.release.release import FamilyReleases
from magictalk_core.storage.locks import one_at_a_time
from magictalk_core.training.in_use import runs_in_use
from magictalk_core.training.registry import PREVIOUS, ModelVersion
from magictalk_core.workspace import Workspace

__all__ = ["VersionRow", "list_versions", "promote", "roll_back"]


@dataclass(frozen=True)
class VersionRow:
    """A registered version as a list shows it."""

    family: str
    version: int
    aliases: str
    weights_md5: str
    run: str
    here: bool
    registered: str
    reason: str


def list_versions(workspace: Workspace, families: Sequence[str] = RELEASED) -> list[VersionRow]:
    """Every version in MLflow, newest first, family by family. An alias that somebody moved there is taken over."""
    rows = []
    for family in families:
        releases = FamilyReleases(workspace, known_family(family))
        registry = releases.registry()
        if runs_in_use(releases.out) is not None:
            with one_at_a_time(releases.lock):
                releases.champion(registry)
        rows += [_row(releases, version) for version in registry.versions(family)]
    return rows


def _row(releases: FamilyReleases, version: ModelVersion) -> VersionRow:
    made = datetime.fromtimestamp(version.created_ms / 1000, UTC).isoformat(timespec="seconds")
    return VersionRow(
        releases.family,
        version.number,
        ", ".join(version.aliases),
        version.weights_md5,
        version.run,
        (releases.out / version.run / "result.json").is_file(),
        made,
        version.reason,
    )


def known_family(name: str) -> str:
    """Raises `UserError` for a family that nothing is released of."""
    if name not in RELEASED:
        raise UserError(f"no releases of `{name}`: expected one of {', '.join(RELEASED)}")
    return name


def promote(workspace: Workspace, family: str, number: int, reason: str) -> Decision:
    """Put version `number` in use, for a reason. Raises `UserError` where there is no such version."""
    releases = FamilyReleases(workspace, known_family(family))
    if not reason.strip():
        raise UserError("a promotion by hand needs a reason: give --reason TEXT")
    registry = releases.registry()
    with one_at_a_time(releases.lock):
        versions = registry.versions(family)
        found = next((version for version in versions if version.number == number), None)
        if found is None:
            known = ", ".join(str(version.number) for version in versions) or "none"
            raise UserError(f"no version {number} of {family} in MLflow; known: {known}: see `magictalk release list`")
        before = releases.champion(registry)
        if before is not None and before.version == number:
            raise UserError(f"version {number} of {family} is in use already")
        champion = releases.put_in_use(registry, found, before)
        decision = releases.record("promoted_by_hand", reason.strip(), champion, before, champion)
        registry.note(family, number, decision.action, decision.reason, decision.markdown())
        return decision


def roll_back(workspace: Workspace, family: str, reason: str) -> Decision:
    """Put the previous champion back in use; the model that it replaces is not promoted again by itself."""
    releases = FamilyReleases(workspace, known_family(family))
    if not reason.strip():
        raise UserError("a rollback needs a reason: give --reason TEXT")
    registry = releases.registry()
    with one_at_a_time(releases.lock):
        before, previous = releases.champion(registry), registry.at(family, PREVIOUS)
        if before is None or previous is None or previous.number == before.version:
            raise UserError(f"{family} has no previous champion to go back to: see `magictalk release list`")
        champion = releases.put_in_use(registry, previous, before)
        decision = releases.record("rolled_back", reason.strip(), before, before, champion)
        registry.note(family, before.version, decision.action, decision.reason, decision.markdown())
        return decision
