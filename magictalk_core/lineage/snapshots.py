"""Snapshots: states of a workspace's data that are kept, can be told apart and can be laid out again.

A snapshot is a commit of the workspace's Git repository. It names the datasets by hash (`dvc.lock`), their files
(`manifests/`), the registered corpora and the preset; DVC's cache holds the data. `<c>/snapshot` makes one. Restoring
an old one never rewrites history: it is a new commit with the old state, and the newer one can be restored as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import yaml

from magictalk_core.errors import UserError
from magictalk_core.lineage.dvc_data import (
    dataset_stage,
    fetch_datasets,
    lay_out_datasets,
    locked_datasets,
    locked_outputs,
    record_stages,
    send_datasets,
)
from magictalk_core.lineage.dvc_recorded import unlike_their_record
from magictalk_core.lineage.git_history import Commit, GitHistory
from magictalk_core.presets.preset import Preset, parse_preset
from magictalk_core.storage.hashes import digest_of, tree_md5
from magictalk_core.work.manifest import manifests_of, read_manifest
from magictalk_core.workspace import Workspace

__all__ = [
    "Restored",
    "Snapshot",
    "commit_workspace",
    "find_snapshot",
    "list_snapshots",
    "preset_of_snapshot",
    "pull_snapshots",
    "push_snapshots",
    "record_dataset",
    "restore_snapshot",
]

_STATE = ("dvc.lock", "preset.yaml")
"""What tells one snapshot from another."""

_RESTORED = (
    "dvc.lock",
    "dvc.yaml",
    "params.yaml",
    "preset.yaml",
    "manifests/*.json",
    "corpora/*/corpus.yaml",
    "corpora/*/listing.json",
    "corpora/*/.dataset.provenance.json",
    "corpora/*/provenance/*.json",
    "corpora/*/provenance/*/*.json",
)
"""Never among them: withdrawals, the archive of provenance records and the remotes, which only grow."""

_SHORTEST_DIGEST = 6


@dataclass(frozen=True)
class Snapshot:
    """One state: its commit, the digest of each dataset as in `dvc.lock`, and the preset that made them."""

    id: str
    made: datetime
    reason: str
    datasets: Mapping[str, str]
    preset: str
    preset_digest: str

    def facts(self) -> dict[str, str]:
        """For people and for JSON, one row."""
        datasets = "; ".join(f"{corpus} {digest}" for corpus, digest in sorted(self.datasets.items()))
        return {
            "snapshot": self.id[:10],
            "made": self.made.isoformat(timespec="seconds"),
            "datasets": datasets,
            "preset": f"{self.preset} {self.preset_digest[:10]}",
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Restored:
    """What a restore did: the snapshot, the commit that it is now, and the files of the workspace that changed.

    `newer`: assets of which other data's results lie there, and are named by `dvc status` until they are made again.
    """

    snapshot: Snapshot
    commit: str | None
    files: tuple[str, ...]
    unregistered: tuple[str, ...]
    newer: tuple[str, ...]


def record_dataset(workspace: Workspace, corpus: str) -> str:
    """Put the dataset of a corpus into DVC's cache and its digest into `dvc.lock`; returns it."""
    stage = dataset_stage(corpus)
    record_stages(workspace.home, [stage])
    return str(locked_outputs(workspace.home)[stage][f"corpora/{corpus}/dataset"]["md5"])


def commit_workspace(workspace: Workspace, message: str) -> str | None:
    """Commit the small files of a workspace; its id, None where nothing changed or commits are off.

    Of a corpus whose manifest is ahead of `dvc.lock` nothing is taken: a commit never names data that nobody kept.
    """
    history = GitHistory(workspace.home)
    if not history.takes_commits:
        return None
    kept = _datasets_kept(workspace)
    manifests = manifests_of(workspace)
    ahead = [corpus for corpus, path in manifests.items() if read_manifest(path).digest != kept.get(corpus)]
    but = [f"manifests/{name}" for corpus in ahead for name in (f"{corpus}.json", f".{corpus}.json.provenance.json")]
    but += [f"corpora/{corpus}/.dataset.provenance.json" for corpus in ahead]
    but += [f"corpora/{corpus}/{rest}" for corpus in ahead for rest in ("listing.json", "provenance/*.json")]
    but += [f"corpora/{corpus}/provenance/*/*.json" for corpus in ahead]
    return history.commit(message, but)


def list_snapshots(workspace: Workspace) -> list[Snapshot]:
    """Newest first; a commit with the data and the preset of the one before it is not listed again."""
    history = GitHistory(workspace.home)
    if not history.exists:
        return []
    found: list[Snapshot] = []
    for commit in history.commits():
        snapshot = _described(history, commit)
        if snapshot is None:
            continue
        if found and _state(found[-1]) == _state(snapshot):
            found.pop()  # the older one of equals is the one that made it
        found.append(snapshot)
    return found


def find_snapshot(workspace: Workspace, ref: str) -> Snapshot:
    """The snapshot of a commit's hash, `HEAD~2`, a tag, or of a dataset's digest or its beginning.

    Raises `UserError` when there is none.
    """
    history = GitHistory(workspace.home)
    if not history.exists:
        raise UserError(f"{workspace.home} has no snapshot yet: `magictalk run` makes them")
    if len(ref) >= _SHORTEST_DIGEST:
        for snapshot in list_snapshots(workspace):
            if any(digest.startswith(ref) for digest in snapshot.datasets.values()):
                return snapshot
    found = _described(history, history.resolve(ref))
    if found is None:
        raise UserError(f"{ref}: that commit has no dataset: `magictalk snapshot list` shows those that have")
    return found


def preset_of_snapshot(workspace: Workspace, ref: str) -> Preset:
    """The preset that a snapshot was made with."""
    snapshot = find_snapshot(workspace, ref)
    files = GitHistory(workspace.home).files(snapshot.id, "preset.yaml")
    if not files:
        raise UserError(f"snapshot {snapshot.id[:10]} holds no preset")
    return parse_preset(files["preset.yaml"].decode(), snapshot.id[:10])


def restore_snapshot(
    workspace: Workspace, ref: str, force: bool = False, after: Callable[[Workspace], None] = lambda workspace: None
) -> Restored:
    """Lay the data, the registered corpora and the preset of a snapshot out again, and commit that state.

    Refuses, unless `force`, where a dataset on disk is in no snapshot and would be lost. `after` is told the workspace
    once the data lie there: withdrawals since that snapshot are applied in it. Call it while holding the run lock.
    """
    history, snapshot = GitHistory(workspace.home), find_snapshot(workspace, ref)
    if not history.takes_commits:
        raise UserError(f"{workspace.home}: a Git repository of your own: use `git checkout` and `dvc checkout` there")
    unkept = [] if force else _unkept(workspace)
    if unkept:
        raise UserError(
            f"the dataset of {', '.join(unkept)} is in no snapshot: type `magictalk run --select "
            f"{unkept[0]}/snapshot` to keep it, or --force to lose it"
        )
    commit_workspace(workspace, "state before a restore")
    before = set(_registered(workspace))
    files = history.restore(snapshot.id, *_RESTORED)
    lay_out_datasets(workspace.home, sorted(snapshot.datasets))
    after(workspace)
    made = history.commit(f"restored {snapshot.id[:10]}: {snapshot.reason}")
    unregistered = tuple(sorted(before - set(_registered(workspace))))
    return Restored(snapshot, made, tuple(files), unregistered, unlike_their_record(workspace.home))


def push_snapshots(workspace: Workspace, remote: str | None = None, everything: bool = False) -> int:
    """Copy the data of this snapshot, or of all, to a DVC remote; returns how many files were sent.

    The settings of the remote are committed, so that a clone of the workspace's Git repository knows where to pull.
    """
    sent = send_datasets(workspace.home, remote, everything)
    commit_workspace(workspace, "where the data are kept")
    return sent


def pull_snapshots(workspace: Workspace, remote: str | None = None, everything: bool = False) -> int:
    """Bring the data of this snapshot, or of all, from a DVC remote, and lay this one's out; returns how many files
    came."""
    came = fetch_datasets(workspace.home, remote, everything)
    lay_out_datasets(workspace.home, sorted(_datasets_kept(workspace)))
    return came


def _datasets_kept(workspace: Workspace) -> dict[str, str]:
    lock = workspace.home / "dvc.lock"
    return locked_datasets(lock.read_bytes()) if lock.is_file() else {}


def _unkept(workspace: Workspace) -> list[str]:
    """Corpora whose dataset on disk is not what `dvc.lock` says."""
    kept = _datasets_kept(workspace)
    present = [name for name in _registered(workspace) if workspace.dataset(name).is_dir()]
    return [name for name in present if tree_md5(workspace.dataset(name)) != kept.get(name)]


def _registered(workspace: Workspace) -> Sequence[str]:
    return sorted(path.parent.name for path in workspace.corpora.glob("*/corpus.yaml"))


def _described(history: GitHistory, commit: Commit) -> Snapshot | None:
    """None for a commit without a dataset."""
    files = history.files(commit.id, *_STATE)
    datasets = locked_datasets(files.get("dvc.lock", b""))
    if not datasets:
        return None
    preset = yaml.load(files.get("preset.yaml", b"{}"), yaml.CSafeLoader)
    reason = commit.message.splitlines()[0] if commit.message else ""
    return Snapshot(commit.id, commit.made, reason, datasets, str(preset.get("name", "")), digest_of(preset))


def _state(snapshot: Snapshot) -> str:
    return json.dumps([dict(snapshot.datasets), snapshot.preset_digest], sort_keys=True)
