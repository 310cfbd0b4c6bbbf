"""What nothing needs is listed and, when asked to, removed; what something needs never is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from store_fixtures import CORPUS, SHARD, small_store
from typer.testing import CliRunner

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.lineage.garbage import collect_garbage, find_garbage
from magictalk_core.lineage.integrity.audit import audit
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.workspace import Workspace
from pipelines.cli import app


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return small_store(tmp_path / "home")


def found(store: Workspace, days: float = 0) -> set[tuple[str, str]]:
    return {(one.kind, one.path.relative_to(store.home).as_posix()) for one in find_garbage(store, days)}


def _put(path: Path, content: bytes = b"old") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_store_without_garbage_has_none(store: Workspace) -> None:
    assert found(store) == set()


def test_pieces_of_former_settings_are_unneeded_and_young_ones_stay(store: Workspace) -> None:
    piece = "cache/media/ab/" + "ab" * 16 + ".json"
    _put(store.home / piece)
    assert found(store) == {("piece", piece)} and found(store, days=1) == set()
    unneeded = collect_garbage(store, 0, delete=False)
    assert [one.bytes for one in unneeded] == [3] and (store.home / piece).is_file()
    collect_garbage(store, 0, delete=True)
    assert not (store.home / piece).parent.exists() and found(store) == set()
    assert audit(store).report.findings == ()


def test_a_shard_that_left_takes_its_pieces_and_media_along(store: Workspace) -> None:
    _put(store.media(CORPUS, "b009") / "gone.mp4")
    listed = store.piece_list(CORPUS, "media", SHARD)
    gone = store.piece_list(CORPUS, "media", "b009")
    shutil.copyfile(listed, gone)
    assert found(store) == {
        ("media", "corpora/c/media/b009/gone.mp4"),
        ("piece list", "corpora/c/pieces/media/b009.json"),
    }


def test_pieces_are_not_judged_while_a_shard_has_no_list(store: Workspace) -> None:
    """As in a workspace of a former release: what its shards are made of is not known."""
    _put(store.home / "cache/media/ab" / ("ab" * 16 + ".json"))
    store.piece_list(CORPUS, "media", SHARD).unlink()
    assert found(store) == set()


def test_halves_of_files_are_unneeded(store: Workspace) -> None:
    _put(store.home / ".tmp-x.parquet")
    _put(store.home / "models/.tmp-run-1/weights.bin")
    assert found(store) == {("temporary", ".tmp-x.parquet"), ("temporary", "models/.tmp-run-1/weights.bin")}


def test_models_stay_whatever_is_released_of_them(store: Workspace) -> None:
    """The champion, the one before it, the newest, and the Audio2BS that a lip champion was trained on, which nothing
    else names: a rollback must find them. Checkpoints and runs that nobody points to are theirs to remove by hand."""
    runs = {"emodiff": ("champion", "previous", "newest"), "audio2bs": ("newest", "of_the_lips"), "lip_residue": ("c",)}
    for family, names in runs.items():
        for name in names:
            run = store.models(family) / name
            _put(run / "model" / "model.safetensors", f"{family} {name}".encode())
            _put(run / "step-00000002" / "trainer.json", b"{}")
            _put(run / "result.json", b"{}")
        write_text(store.models(family) / "newest.json", json.dumps({"run": names[-1]}))
        write_text(store.models(family) / "current.json", json.dumps({"champion": names[0]}))
    _put(store.home / "models/emodiff/.tmp-killed/weights.bin")
    models = {path for path in (store.home / "models").rglob("*") if path.is_file() and ".tmp-" not in path.as_posix()}
    removed = {one.path.relative_to(store.home).as_posix() for one in collect_garbage(store, 0, delete=True)}
    assert removed == {"models/emodiff/.tmp-killed/weights.bin"}
    assert {path for path in (store.home / "models").rglob("*") if path.is_file()} == models


def test_nothing_is_removed_when_a_list_is_damaged_or_a_run_works(store: Workspace) -> None:
    _put(store.home / "cache/media/ab" / ("ab" * 16 + ".json"))
    with held_or_refused(store.run_lock, "it"), pytest.raises(UserError, match="in use by process"):
        collect_garbage(store, 0, delete=True)
    listed = store.piece_list(CORPUS, "speech", SHARD)
    listed.write_bytes(listed.read_bytes().replace(b"c/a/0", b"c/a/1"))
    with pytest.raises(PermanentError, match="damaged"):
        collect_garbage(store, 0, delete=True)
    assert (store.home / "cache/media/ab").is_dir()


def test_what_a_snapshot_in_the_history_names_stays(store: Workspace) -> None:
    """Tables of a former commit, and the media that they list, can be restored; an object of no commit cannot."""
    from dvc.repo import Repo
    from scmrepo.git import Git

    shutil.rmtree(store.home / ".dvc")
    Git.init(str(store.home)).close()
    repo = Repo.init(str(store.home))
    dataset, table = store.dataset(CORPUS), store.shard_table(CORPUS, "media", SHARD)
    former = store.media(CORPUS, SHARD) / "a.mp4"
    for message in ("A", "B"):
        repo.add(str(dataset))
        repo.scm.add([str(dataset.with_suffix(".dvc"))])
        repo.scm.commit(message)
        if message == "A":
            # The next snapshot has no media of this shard.
            table.unlink()
    repo.close()
    _put(store.home / ".dvc/cache/files/md5/ab" / ("c" * 30))
    unneeded = {one for one in found(store) if one[0] in ("dvc", "media")}
    assert unneeded == {("dvc", ".dvc/cache/files/md5/ab/" + "c" * 30)} and former.is_file()


def test_the_command_lists_first_and_removes_when_told(store: Workspace) -> None:
    piece = _put(store.home / "cache/media/ab" / ("ab" * 16 + ".json"))
    runner = CliRunner()
    told = runner.invoke(app, ["gc", "--home", str(store.home), "--days", "0"])
    assert told.exit_code == 0 and "piece: 1 files, 3 bytes" in told.stdout and "nothing was removed" in told.stdout
    rows = json.loads(runner.invoke(app, ["gc", "--home", str(store.home), "--days", "0", "--json"]).stdout)
    assert rows == [{"kind": "piece", "path": str(piece), "bytes": 3, "deleted": False}]
    assert runner.invoke(app, ["gc", "--home", str(store.home), "--days", "0", "--delete"]).exit_code == 0
    assert not piece.exists()
