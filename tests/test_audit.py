"""Every kind of fault of a file is found and named, and what has a copy is brought back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from store_fixtures import CORPUS, SHARD, dvc_object, small_store
from typer.testing import CliRunner

from magictalk_core.corpora.withdrawal_log import append_line, head_of
from magictalk_core.errors import UserError
from magictalk_core.lineage.integrity.audit import audit
from magictalk_core.lineage.integrity.findings import Finding, Kind
from magictalk_core.lineage.integrity.places import files_of_workspace, is_bookkeeping
from magictalk_core.lineage.integrity.repair import repaired
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace
from pipelines.cli import app


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return small_store(tmp_path / "home")


def found(store: Workspace) -> tuple[Finding, ...]:
    return audit(store).report.findings


def kinds(store: Workspace) -> dict[str, Kind]:
    return {finding.path: finding.kind for finding in found(store)}


def artefacts(store: Workspace) -> list[Path]:
    """Every result in the workspace, its raw files and DVC's cache."""
    raw = store.home.parent / f"{store.home.name}-raw"
    ours = [place.path for place in files_of_workspace(store.home, set())]
    results = [path for path in ours if not is_bookkeeping(path.relative_to(store.home).as_posix())]
    cached = [path for path in (store.home / ".dvc/cache").rglob("*") if path.is_file()]
    return sorted([*results, *cached, *raw.iterdir()])


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_whole_store_has_nothing_wrong(store: Workspace) -> None:
    report = audit(store).report
    assert report.findings == () and report.notes == ()
    assert report.files > 20 and report.bytes > 10_000


def _flips_not_found(store: Workspace, number: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    files = artefacts(store)
    missed = []
    for i in range(number):
        path = files[i % len(files)]
        content, bit = path.read_bytes(), int(rng.integers(8 * path.stat().st_size))
        flip(path, bit)
        shown = path.relative_to(store.home).as_posix() if path.is_relative_to(store.home) else str(path)
        if shown not in kinds(store):
            missed.append(f"{shown} bit {bit}")
        path.write_bytes(content)
    return missed


def test_every_flipped_bit_is_found(store: Workspace) -> None:
    assert _flips_not_found(store, 200, seed=1) == []


@pytest.mark.slow
def test_ten_thousand_flipped_bits_are_found(store: Workspace) -> None:
    assert _flips_not_found(store, 10_000, seed=2) == []


def only(store: Workspace) -> Finding:
    (finding,) = found(store)
    return finding


def test_a_truncated_file_is_named_as_such(store: Workspace) -> None:
    for name in ("dataset/speech/b000.parquet", "media/b000/a.mp4"):
        path = store.corpus(CORPUS) / name
        whole = path.read_bytes()
        path.write_bytes(b"" if name.endswith(".mp4") else whole[:-20])
        finding = only(store)
        assert (finding.path, finding.kind) == (f"corpora/c/{name}", Kind.TRUNCATED)
        path.write_bytes(whole)
    raw = store.home.parent / "home-raw" / "a.mp4"
    raw.write_bytes(raw.read_bytes()[:-1])
    assert (only(store).path, only(store).kind) == (str(raw), Kind.TRUNCATED)


def test_an_added_file_is_named_as_foreign(store: Workspace) -> None:
    added = (
        "corpora/c/dataset/speech/b001.parquet",
        "training_set/extra.npy",
        "corpora/c/media/b000/x.mp4",
        "notes.txt",
    )
    for name in added:
        (store.home / name).write_bytes(b"hello")
    assert kinds(store) == dict.fromkeys(added, Kind.FOREIGN)


def test_a_result_of_which_nothing_is_recorded_is_named(store: Workspace) -> None:
    (store.home / "rig").mkdir()
    (store.home / "rig" / "rig.npz").write_bytes(b"rig")
    assert kinds(store) == {"rig/rig.npz": Kind.UNRECORDED}


def swap(first: Path, second: Path) -> None:
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def test_swapped_files_are_named_with_each_other(store: Workspace) -> None:
    media = store.media(CORPUS, SHARD)
    swap(media / "a.mp4", media / "b.mp4")
    one, other = found(store)
    assert {one.kind, other.kind} == {Kind.SWAPPED}
    assert "corpora/c/media/b000/b.mp4 should hold" in one.what and "b000/a.mp4 should hold" in other.what


def test_a_record_that_lies_beside_another_output_is_named(store: Workspace) -> None:
    records = store.corpus(CORPUS) / "provenance"
    swap(records / "speech" / "b000.json", records / "blendshapes" / "b000.json")
    assert set(kinds(store).values()) == {Kind.SWAPPED} and len(kinds(store)) == 2


def test_missing_and_half_written_files_are_named(store: Workspace) -> None:
    store.shard_table(CORPUS, "media", SHARD).unlink()
    (store.training_set / "states.npy").unlink()
    (store.home / "models" / ".tmp-abc.json").write_text("{")
    (store.home / ".tmp-training_set-1").mkdir()
    (store.home / ".tmp-training_set-1" / "states.npy").write_bytes(b"half")
    assert kinds(store) == {
        "corpora/c/dataset/media/b000.parquet": Kind.MISSING,
        "training_set/states.npy": Kind.MISSING,
        "models/.tmp-abc.json": Kind.HALF_WRITTEN,
        ".tmp-training_set-1": Kind.HALF_WRITTEN,
    }


def test_a_file_that_cannot_be_read_is_named(store: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = store.training_set / "states.npy"

    def refuse(path: Path) -> str:
        if path == bad:
            raise OSError(5, "Input/output error")
        return file_md5(path)

    monkeypatch.setattr("magictalk_core.lineage.integrity.audit.file_md5", refuse)
    finding = only(store)
    assert (finding.path, finding.kind) == ("training_set/states.npy", Kind.UNREADABLE) and "error" in finding.what


def test_a_dataset_newer_than_its_manifest_is_a_note(store: Workspace) -> None:
    table = store.shard_table(CORPUS, "speech", SHARD)
    shutil.copyfile(store.shard_table(CORPUS, "media", SHARD), table)
    Work(store.home, "speech", table, "2").record()
    report = audit(store).report
    assert report.findings == () and "manifests/c.json is out of date" in report.notes[0]


def test_repair_restores_from_dvcs_cache_and_from_other_copies(store: Workspace) -> None:
    media = store.media(CORPUS, SHARD)
    before = {path: file_md5(path) for path in artefacts(store)}
    table = store.shard_table(CORPUS, "blendshapes", SHARD)
    flip(table, 999)
    store.clips_table(CORPUS).unlink()
    cached = dvc_object(store, before[store.shard_table(CORPUS, "speech", SHARD)])
    flip(cached, 5)
    swap(media / "a.mp4", media / "b.mp4")
    (store.home / ".tmp-x").write_bytes(b"half")
    assert len(audit(store).report.wrong) == 6
    report = repaired(store)
    assert report.wrong == () and len(report.findings) == 6
    assert {path: file_md5(path) for path in artefacts(store)} == before
    assert audit(store).report.findings == ()


def test_a_damaged_manifest_is_named_once_and_restored(store: Workspace) -> None:
    manifest = store.manifest(CORPUS)
    whole = manifest.read_bytes()
    cached = dvc_object(store, file_md5(manifest))
    cached.parent.mkdir(exist_ok=True)
    cached.write_bytes(whole)
    flip(manifest, 500)
    assert (only(store).path, only(store).kind) == ("manifests/c.json", Kind.DAMAGED)
    assert repaired(store).wrong == () and manifest.read_bytes() == whole


def test_a_damaged_record_comes_back_from_its_copy_and_its_copy_from_it(store: Workspace) -> None:
    beside = store.training_set.with_name(".training_set.provenance.json")
    (archived,) = (store.home / "provenance/records").rglob("*.training_set.json")
    for record in (beside, archived):
        whole = record.read_bytes()
        flip(record, 900)
        assert only(store).path == record.relative_to(store.home).as_posix()
        assert repaired(store).wrong == () and record.read_bytes() == whole


@pytest.mark.slow
def test_a_spoiled_record_of_withdrawals_is_named(store: Workspace) -> None:
    """Whatever bit of the chain or of its head: who was withdrawn must not be a matter of belief."""
    for number, reason in enumerate(("a letter", "line\u2028and\x85ends of other alphabets", "an e-mail"), 1):
        append_line(store, "Ada", reason, action="withdraw", kind="clip", names=(f"c/s/{number}",))
    assert found(store) == ()
    for path in (store.withdrawals, head_of(store)):
        whole = path.read_bytes()
        for bit in range(0, 8 * len(whole), 41):
            flip(path, bit)
            finding = only(store)
            assert (finding.path, finding.kind) == ("withdrawals.jsonl", Kind.DAMAGED), f"{path.name} bit {bit}"
            assert "backup" in finding.what
            path.write_bytes(whole)
    lines = store.withdrawals.read_bytes().splitlines(keepends=True)
    store.withdrawals.write_bytes(b"".join(lines[:-1]))
    assert "3 lines, and 2 are left" in only(store).what
    store.withdrawals.unlink()
    assert only(store).path == "withdrawals.jsonl"


def test_repair_leaves_what_has_no_copy_and_says_how_it_is_made_again(store: Workspace) -> None:
    flip(store.media(CORPUS, SHARD) / "a.mp4", 7)
    raw = store.home.parent / "home-raw" / "b.mp4"
    flip(raw, 7)
    (store.home / "mine.txt").write_text("mine")
    flipped = raw.read_bytes()
    report = repaired(store)
    assert len(report.wrong) == 3 and raw.read_bytes() == flipped and (store.home / "mine.txt").is_file()
    assert any("magictalk run --select c/media" in finding.what for finding in report.wrong)


def test_repair_throws_a_damaged_piece_away(store: Workspace) -> None:
    piece = next((store.home / "cache" / "media").rglob("*.parquet"))
    flip(piece, 50)
    assert repaired(store).wrong == () and not piece.exists()
    assert audit(store).report.findings == ()


def test_repair_waits_for_no_run(store: Workspace) -> None:
    with held_or_refused(store.run_lock, "it"), pytest.raises(UserError, match="in use by process"):
        repaired(store)


def test_repair_restores_from_a_dvc_remote_what_lies_nowhere_else(store: Workspace, tmp_path: Path) -> None:
    from dvc.repo import Repo

    remote = tmp_path / "remote"
    shutil.copytree(store.home / ".dvc/cache", remote)
    cache = tmp_path / "cache"
    shutil.move(store.home / ".dvc", cache)
    Repo.init(str(store.home), no_scm=True).close()
    shutil.rmtree(cache)
    config = f"[core]\n no_scm = True\n analytics = false\n['remote \"away\"']\n url = {remote}\n"
    (store.home / ".dvc/config").write_text(config)
    table = store.shard_table(CORPUS, "blendshapes", SHARD)
    whole = file_md5(table)
    flip(table, 4321)
    report = repaired(store)
    assert [finding.repaired for finding in report.findings] == ["restored from the remote away"]
    assert file_md5(table) == whole


def test_the_command_names_what_is_wrong_and_exits_with_1(store: Workspace) -> None:
    runner = CliRunner()
    whole = runner.invoke(app, ["audit", "--home", str(store.home)])
    assert whole.exit_code == 0 and "wrong" in whole.stdout
    flip(store.training_set / "states.npy", 300)
    told = runner.invoke(app, ["audit", "--home", str(store.home)])
    assert told.exit_code == 1 and "training_set/states.npy" in told.stdout
    result = runner.invoke(app, ["audit", "--home", str(store.home), "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 1 and report["wrong"] == 1
    assert report["findings"][0]["kind"] == "damaged" and report["findings"][0]["path"] == "training_set/states.npy"


def test_raw_files_are_left_out_when_asked(store: Workspace) -> None:
    flip(store.home.parent / "home-raw" / "a.mp4", 1)
    assert audit(store, with_raw=False).report.findings == ()
    finding = only(store)
    assert finding.kind is Kind.DAMAGED and "written since it was listed" in finding.what
