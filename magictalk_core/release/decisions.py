"""What was decided about the models of a family, and why: one JSON file per decision, and all of them as a page.

::

    releases/<family>/0001.json  0002.json ...   in order; never changed
    releases/<family>/README.md                  the same to read
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from magictalk_core.config import StrictModel
from magictalk_core.release.paired import Compared
from magictalk_core.storage.atomic import write_if_changed, write_text
from magictalk_core.storage.markdown import Markdown, code, escaped, markdown_table

__all__ = ["Action", "Decision", "DecisionBook", "Released"]

Action = Literal["first", "promoted", "refused", "taken_over", "promoted_by_hand", "rolled_back"]

_WORDS: dict[Action, str] = {
    "first": "first model",
    "promoted": "promoted",
    "refused": "refused",
    "taken_over": "alias moved in MLflow",
    "promoted_by_hand": "promoted by hand",
    "rolled_back": "rolled back by hand",
}


class Released(StrictModel):
    """A registered version: its number in MLflow, its run directory, the md5 of its weights."""

    version: int
    run: str
    weights_md5: str


class Decision(StrictModel):
    """One look at a model. `champion` is what is in use afterwards, `before` what was; `work` is the digest of all that
    an automatic decision depends on, so that it is not made twice."""

    family: str
    action: Action
    reason: str
    challenger: Released
    before: Released | None
    champion: Released
    compared: tuple[Compared, ...] = ()
    floor: tuple[Compared, ...] = ()
    floor_name: str = ""
    work: str = ""
    made: str = ""
    dagster_run: str = ""

    @property
    def is_in_use(self) -> bool:
        """Whether the challenger became, or stayed, the champion."""
        return self.challenger.run == self.champion.run

    @property
    def is_above_floor(self) -> bool | None:
        """Whether a first model is better than the best simple baseline in its first metric; None: not looked at."""
        first = self.floor[0] if self.floor else None
        return None if first is None or first.gain is None else first.gain > 0

    def markdown(self) -> str:
        """As Dagster's metadata, MLflow and the page show it."""
        lines = [f"**{_WORDS[self.action]}**: {escaped(self.reason)}", ""]
        for title, found in ((f"against the champion, version {_number(self.before)}", self.compared),
                             (f"against `{self.floor_name}`", self.floor)):  # fmt: skip
            if found:
                head = ("metric", title, "challenger", "gain", "95 % interval", "margin", "clips")
                lines += [*markdown_table(map(Markdown, head), map(_cells, found)), ""]
        return "\n".join(lines)


def _number(released: Released | None) -> str:
    return "-" if released is None else str(released.version)


def _cells(found: Compared) -> tuple[object, ...]:
    def shown(value: float | None, sign: str = "") -> str:
        return "-" if value is None else f"{value:{sign}.4g}"

    interval = f"{shown(found.low, '+')} to {shown(found.high, '+')}" if found.low is not None else "-"
    means = shown(found.champion), shown(found.challenger), shown(found.gain, "+")
    return (found.metric, *means, interval, f"{found.margin:g}", found.clips)


class DecisionBook:
    """The decisions in one folder. One writer at a time: the asset, or a hand, under the family's lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def all(self) -> tuple[Decision, ...]:
        """Oldest first."""
        files = sorted(self.folder.glob("[0-9]*.json"))
        return tuple(Decision.model_validate_json(file.read_text(encoding="utf-8")) for file in files)

    @property
    def latest(self) -> Decision | None:
        return self.all[-1] if self.all else None

    @property
    def champion(self) -> Released | None:
        return self.latest.champion if self.latest else None

    def rolled_back(self, run: str) -> Decision | None:
        """The decision by which a hand took the model of this run out of use, when no hand put it back since."""
        for decision in reversed(self.all):
            if decision.action == "rolled_back" and decision.before is not None and decision.before.run == run:
                return decision
            if decision.action == "promoted_by_hand" and decision.champion.run == run:
                return None
        return None

    def add(self, decision: Decision) -> Decision:
        """Append a decision, with the time."""
        stamped = decision.model_copy(update={"made": datetime.now(UTC).isoformat(timespec="seconds")})
        number = len(self.all) + 1
        write_text(self.folder / f"{number:04d}.json", json.dumps(stamped.model_dump(mode="json"), indent=1))
        self.__dict__.pop("all")
        write_if_changed(self.folder / "README.md", self.page())
        return stamped

    def page(self) -> str:
        """All decisions, the newest first."""
        latest = self.latest
        if latest is None:
            return "No model was released.\n"
        champion = latest.champion
        lines = [
            f"# Releases of {latest.family}",
            "",
            f"In use: version {champion.version}, weights md5 {code(champion.weights_md5)}, run {code(champion.run)}.",
            "",
        ]
        for decision in reversed(self.all):
            lines += [f"## Version {decision.challenger.version}, {decision.made}", "", decision.markdown()]
        return "\n".join(lines)
