"""The DVC side of a workspace: recorded stages, datasets in the cache, and what goes to a remote and back.

DVC is loaded inside the functions: it takes about a second. Only datasets are kept in its cache, linked and not copied
where the file system can; everything else is recorded by hash and made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from magictalk_core.errors import PermanentError, TransientError, UserError
from magictalk_core.lineage.dvc_recorded import cache_folder, recorded_as_they_lie
from magictalk_core.storage.atomic import write_text
from magictalk_core.work.dvc_state import damaged_dvc_files

__all__ = [
    "dataset_stage",
    "fetch_datasets",
    "lay_out_datasets",
    "locked_datasets",
    "locked_outputs",
    "object_path",
    "record_stages",
    "send_datasets",
]


def dataset_stage(corpus: str) -> str:
    """The stage of `dvc.yaml` that owns the dataset directory of `corpus`."""
    return f"dataset@{corpus}"


def record_stages(home: Path, stages: Sequence[str]) -> None:
    """Write the inputs and outputs of `stages`, as they lie on disk, into `dvc.lock`; datasets go into the cache.

    Stages of which the lock says so already, and whose datasets the cache holds, are left alone, without loading DVC.

    Raises `PermanentError`, and records nothing, where DVC sees no file in the folder of a dataset: an empty entry
    would look like a snapshot. Results may be none. `TransientError` while another DVC command holds the repository.
    """
    lock = home / "dvc.lock"
    before = lock.read_text(encoding="utf-8") if lock.is_file() else None
    recorded = recorded_as_they_lie(home, stages)
    due = [stage for stage in stages if stage not in recorded]
    if not due:
        return
    with _opened(home) as repo:
        for stage in due:
            # Without force, commit asks a question and raises where nobody can answer it.
            repo.commit(f"{home}/dvc.yaml:{stage}", force=True)
    found = locked_outputs(home)
    datasets = [stage for stage in stages if stage.startswith(dataset_stage(""))]
    empty = [out for stage in datasets for out, about in found[stage].items() if about.get("nfiles") == 0]
    if empty:
        if before is None:
            lock.unlink()
        else:
            write_text(lock, before)
        raise PermanentError(
            f"{home / empty[0]}: DVC sees no file in it, so nothing was recorded: materialize it (`magictalk run`), "
            "and look that no .dvcignore and no repository of its own hides it"
        )


def locked_outputs(home: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """What `dvc.lock` says of each stage: path of an output -> its entry (`md5`, `size`, `nfiles`)."""
    lock = home / "dvc.lock"
    return _outputs_in(lock.read_bytes()) if lock.is_file() else {}


def _outputs_in(lock: bytes) -> dict[str, dict[str, dict[str, Any]]]:
    values = yaml.load(lock, yaml.CSafeLoader) or {}
    stages: dict[str, Any] = values.get("stages", {})
    return {name: {str(out["path"]): out for out in stage.get("outs", ())} for name, stage in stages.items()}


def locked_datasets(lock: bytes) -> dict[str, str]:
    """Corpus -> `<md5>.dir` of its dataset, in the content of a `dvc.lock`."""
    prefix = dataset_stage("")
    found = {}
    for stage, outs in _outputs_in(lock).items():
        corpus = stage.removeprefix(prefix)
        entry = outs.get(f"corpora/{corpus}/dataset")
        if stage.startswith(prefix) and entry is not None:
            found[corpus] = str(entry["md5"])
    return found


def lay_out_datasets(home: Path, corpora: Sequence[str]) -> None:
    """Make the dataset folders of `corpora` what `dvc.lock` says, from the cache.

    Raises `PermanentError` naming what the cache does not hold; such a folder is left empty.
    """
    from dvc.exceptions import CheckoutError

    with _opened(home) as repo:
        try:
            repo.checkout([f"{home}/dvc.yaml:{dataset_stage(name)}" for name in corpora], force=True)
        except CheckoutError as error:
            raise PermanentError(
                f"{home}: the cache does not hold all of {', '.join(error.target_infos)}: type `magictalk snapshot "
                "pull`; what was purged for a withdrawal is gone from everywhere"
            ) from error


def send_datasets(home: Path, remote: str | None, everything: bool) -> int:
    """Copy the datasets of this snapshot, or of every one in the history, to a DVC remote; returns how many files."""
    with _opened(home) as repo:
        _need_remote(repo, remote)
        return int(repo.push(remote=remote, all_commits=everything))


def fetch_datasets(home: Path, remote: str | None, everything: bool) -> int:
    """Bring them from a DVC remote into the cache; returns how many files came."""
    from dvc.exceptions import DownloadError

    with _opened(home) as repo:
        _need_remote(repo, remote)
        try:
            return int(repo.fetch(remote=remote, all_commits=everything))
        except DownloadError as error:
            raise PermanentError(
                f"{error.amount} files of the snapshots are not in the remote: `magictalk snapshot push --all` where "
                "they were made; what was purged for a withdrawal is gone from everywhere"
            ) from error


def object_path(home: Path, md5: str) -> Path:
    """Where DVC's cache holds the file of this hash, there or not; without loading DVC."""
    return cache_folder(home) / md5[:2] / md5[2:]


def _need_remote(repo: Any, name: str | None) -> None:
    remotes: Mapping[str, Any] = repo.config["remote"]
    if name is not None and name not in remotes:
        raise UserError(f"no DVC remote `{name}`: type `dvc remote add {name} URL` in {repo.root_dir}")
    if name is None and not repo.config["core"].get("remote"):
        raise UserError(
            f"{repo.root_dir} has no DVC remote: type `dvc remote add --default storage URL` there, with a folder, "
            "s3://, gs://, azure:// or ssh:// as the URL"
        )


@contextmanager
def _opened(home: Path) -> Iterator[Any]:
    """The DVC repository at `home`. The errors that it raises for its state become ours."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo

    damaged = damaged_dvc_files(home)
    if damaged:
        raise PermanentError(
            f"{damaged[0]}: DVC cannot read it, as after a kill or a full disk: rename it while no DVC "
            "command runs, then go on (`magictalk run` does so in its own workspace)"
        )
    try:
        repo = Repo(str(home))
    except NotDvcRepoError as error:
        raise UserError(f"{home}: no DVC repository yet: `magictalk run` makes it one") from error
    try:
        yield repo
    except LockError as error:
        raise TransientError(f"{home}: another DVC command holds it; wait until it ends") from error
    finally:
        repo.close()
