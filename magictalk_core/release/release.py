"""Whether the newest model of a family replaces the one in use, decided on the test clips and put down in words.

MLflow's alias `champion` is what counts. `current.json` beside the runs is its copy, the book of decisions its history.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from magictalk_core.config import FamilyRelease, MetricRule
from magictalk_core.errors import PermanentError
from magictalk_core.presets.preset import Preset
from magictalk_core.release.decisions import Action, Decision, DecisionBook, Released
from magictalk_core.release.families import RELEASE_VERSION
from magictalk_core.release.paired import Compared, compare, is_better, losses, wins
from magictalk_core.release.retraining import withdrawn_clips
from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.storage.locks import one_at_a_time
from magictalk_core.training.in_use import point_champion, runs_in_use
from magictalk_core.training.registry import CHALLENGER, CHAMPION, PREVIOUS, ModelRegistry, ModelVersion
from magictalk_core.training.run import TrainedModel, current_model, model_input, newest_run, run_named
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

if TYPE_CHECKING:
    from magictalk_core.release.candidates import HeldOut

__all__ = ["FamilyReleases", "as_released", "release_newest"]

logger = logging.getLogger("magictalk.release")


@dataclass(frozen=True)
class FamilyReleases:
    """The models of one family: its runs, its versions in MLflow, and its decisions."""

    workspace: Workspace
    family: str

    @property
    def out(self) -> Path:
        return self.workspace.models(self.family)

    @property
    def book(self) -> DecisionBook:
        return DecisionBook(self.workspace.releases(self.family))

    @property
    def lock(self) -> Path:
        return self.workspace.releases(self.family) / ".lock"

    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.workspace.mlflow_uri)

    def put_in_use(self, registry: ModelRegistry, version: ModelVersion, before: Released | None) -> Released:
        """Move the aliases, have the files here, then copy the alias: a kill in between is mended by `champion`."""
        if not (self.out / version.run / "result.json").is_file():
            registry.fetch(version, self.out)
        if before is not None and before.version != version.number:
            registry.point(self.family, PREVIOUS, before.version)
        registry.point(self.family, CHAMPION, version.number)
        point_champion(self.out, version.run)
        return as_released(version)

    def champion(self, registry: ModelRegistry) -> Released | None:
        """The model in use as MLflow has it. Where somebody moved the alias there, that is taken over; where another
        store has none yet, the model in use is registered there."""
        known = self.book.champion
        version = registry.at(self.family, CHAMPION)
        if version is None and known is None:
            return None
        if version is None and known is not None:
            version = registry.register(self.family, run_named(self.out, known.run))
            return self.put_in_use(registry, version, None)
        assert version is not None
        in_use = runs_in_use(self.out)
        if known is None or version.run != known.run or in_use is None or in_use.champion != version.run:
            found = self.put_in_use(registry, version, known)
            if known is None or known.run != found.run:
                reason = f"the alias {CHAMPION} in MLflow names version {version.number}"
                self.record("taken_over", reason, found, known, found)
            return found
        return as_released(version)

    def record(self, action: Action, reason: str, challenger: Released, before: Released | None, champion: Released,
               **more: object) -> Decision:  # fmt: skip
        """Put a decision in the book."""
        facts = {"family": self.family, "action": action, "reason": reason, "challenger": challenger, "before": before}
        return self.put_down(Decision.model_validate(facts | {"champion": champion} | more))

    def put_down(self, decision: Decision) -> Decision:
        """Write a decision, and the record of the book: which models were compared last, which weights are in use."""
        decision = self.book.add(decision)
        champion = decision.champion
        folders = dict.fromkeys(self.out / one.run / "model" for one in (decision.challenger, champion))
        inputs = [model_input(self.workspace, folder) for folder in folders if folder.is_dir()]
        folder = self.workspace.releases(self.family)
        work = Work(self.workspace.home, "release", folder, RELEASE_VERSION, inputs)
        work.record(digests={"dagster": champion.weights_md5})
        return decision


def as_released(version: ModelVersion) -> Released:
    return Released(version=version.number, run=version.run, weights_md5=version.weights_md5)


def release_newest(
    workspace: Workspace,
    corpora: Sequence[str],
    preset: Preset,
    family: str,
    tags: Mapping[str, str] | None = None,
) -> Decision:
    """Compare the newest model of `family` with the champion, and put the better one in use.

    Nothing is generated where the newest is the champion, or where the same comparison was made before. `tags` go on
    the version in MLflow. Raises `TransientError` while MLflow does not answer.
    """
    releases = FamilyReleases(workspace, family)
    newest = newest_run(releases.out)
    with one_at_a_time(releases.lock):
        known = releases.book.latest
        if known is not None and _is_settled(releases, known, newest):
            return known
        # Imported here: torch, and most calls find nothing to compare.
        from magictalk_core.release.candidates import HeldOut

        rules: FamilyRelease = getattr(preset.release, family)
        question = _Question(releases, HeldOut.of(workspace, corpora, preset), rules.metrics, newest)
        if known is not None and known.work == question.digest:
            return known
        registry = releases.registry()
        champion = releases.champion(registry)
        version = registry.register(family, newest, tags)
        registry.point(family, CHALLENGER, version.number)
        decision = question.decide(as_released(version), champion)
        if decision.is_in_use:
            releases.put_in_use(registry, version, champion)
        registry.note(family, version.number, decision.action, decision.reason, decision.markdown())
        logger.info("release of %s: %s: %s", family, decision.action, decision.reason)
        return releases.put_down(decision.model_copy(update={"dagster_run": (tags or {}).get("dagster.run_id", "")}))


def _is_settled(releases: FamilyReleases, known: Decision, newest: TrainedModel) -> bool:
    in_use = runs_in_use(releases.out)
    return in_use is not None and known.champion.run == newest.path.parent.name == in_use.champion


@dataclass(frozen=True)
class _Question:
    """Whether a finished run is better than the champion, on the held-out clips, by the declared metrics."""

    releases: FamilyReleases
    held_out: HeldOut
    rules: tuple[MetricRule, ...]
    newest: TrainedModel

    @property
    def digest(self) -> str:
        """Of all that the answer depends on."""
        champion = self.releases.book.champion
        values = {
            "version": RELEASE_VERSION,
            "challenger": self.newest.weights_md5,
            "champion": None if champion is None else champion.weights_md5,
            "held_out": self.held_out.digest,
            "rules": [rule.model_dump() for rule in self.rules],
            "judge": self._judge(),
            "withdrawn": 0 if champion is None else self._withdrawn(champion.run),
        }
        return digest_of(values)

    def _judge(self) -> str | None:
        if not any(rule.metric.startswith("sync_expert") for rule in self.rules):
            return None
        return file_md5(current_model(self.releases.workspace.models("sync_expert")) / "model.safetensors")

    def decide(self, challenger: Released, champion: Released | None) -> Decision:
        if champion is None:
            return self._first(challenger)
        taken_out = self.releases.book.rolled_back(challenger.run)
        if taken_out is not None:
            reason = f"taken out of use by hand on {taken_out.made}: {taken_out.reason}"
            return self._kept(f"{reason}; put it back with `magictalk release promote`", challenger, champion)
        if champion.weights_md5 == challenger.weights_md5:
            reason = f"the weights of version {champion.version}, bit for bit"
            return self._decision("promoted", reason, challenger, champion, challenger)
        gone = self._withdrawn(champion.run)
        if gone and not self._withdrawn(challenger.run):
            reason = f"version {champion.version} was trained on {gone} withdrawn clip{'s' if gone > 1 else ''}"
            return self._decision("promoted", f"{reason}, this one on none", challenger, champion, challenger)
        if not self.held_out.clips:
            return self._kept("no accepted clip in the test split: nothing to compare on", challenger, champion)
        return self._compared(challenger, champion)

    def _withdrawn(self, run: str) -> int:
        return len(withdrawn_clips(self.held_out.workspace, self.held_out.corpora, self.releases.out / run))

    def _first(self, challenger: Released) -> Decision:
        """The first model is used in any case: without it there is none. What it must be worth is said."""
        if not self.held_out.clips:
            reason = "first model; no accepted clip in the test split, so nobody knows what it is worth"
            return self._decision("first", reason, challenger, None, challenger)
        made = self._values(challenger.run)
        name, floor = self._floor(made)
        if not floor or floor[0].gain is None:
            reason = f"first model; no baseline has a value of {self.rules[0].metric} to compare with"
        elif floor[0].gain > 0:
            reason = f"first model, above the best simple baseline, {name}: {floor[0]}"
        else:
            reason = f"first model, but below the best simple baseline, {name}: {floor[0]}"
        decision = self._decision("first", reason, challenger, None, challenger)
        return decision.model_copy(update={"floor": floor, "floor_name": name})

    def _floor(self, made: pd.DataFrame) -> tuple[str, tuple[Compared, ...]]:
        """The baseline that is best in the first metric, and the comparison with it."""
        from magictalk_core.release.candidates import baselines_of

        metrics = [rule.metric for rule in self.rules]
        found = {
            name: compare(made, values, self.rules, name)
            for name, values in baselines_of(self.releases.family, self.held_out, metrics).items()
        }
        known = {name: each for name, each in found.items() if each[0].gain is not None}
        if not known:
            return "", ()
        best = min(known, key=lambda name: known[name][0].gain or 0.0)
        return best, known[best]

    def _compared(self, challenger: Released, champion: Released) -> Decision:
        new = self._values(challenger.run)
        try:
            old = self._values(champion.run)
        except PermanentError as error:
            reason = f"version {champion.version} cannot be used on today's test clips ({error})"
            return self._decision("promoted", reason, challenger, champion, challenger)
        found = compare(new, old, self.rules, f"{self.releases.family}/{challenger.weights_md5}")
        better, worse = wins(found), losses(found)
        if is_better(found):
            reason = f"better than version {champion.version} in {_listed(better)}"
            decision = self._decision("promoted", reason, challenger, champion, challenger)
        elif worse:
            decision = self._kept(f"a loss against version {champion.version} is not excluded in {_listed(worse)}",
                                  challenger, champion)  # fmt: skip
        else:
            decision = self._kept(f"not better than version {champion.version} for sure: {_listed(found)}",
                                  challenger, champion)  # fmt: skip
        return decision.model_copy(update={"compared": found})

    def _values(self, run: str) -> pd.DataFrame:
        from magictalk_core.release.candidates import values_of

        model = run_named(self.releases.out, run).path
        return values_of(self.releases.family, model, self.held_out, [rule.metric for rule in self.rules])

    def _kept(self, reason: str, challenger: Released, champion: Released) -> Decision:
        return self._decision("refused", reason, challenger, champion, champion)

    def _decision(
        self, action: Action, reason: str, challenger: Released, before: Released | None, champion: Released
    ) -> Decision:
        return Decision(
            family=self.releases.family,
            action=action,
            reason=reason,
            challenger=challenger,
            before=before,
            champion=champion,
            # As the question is asked the next time: with the champion of then.
            work=self.digest if champion == before else "",
        )


def _listed(found: Sequence[Compared]) -> str:
    return "; ".join(map(str, found))
