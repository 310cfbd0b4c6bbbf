from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from assets.resources import DvcRepository
from magictalk_core.errors import PermanentError, TransientError, UserError
from magictalk_core.presets.preset import load_preset
from magictalk_core.storage.atomic import atomic_directory, atomic_path
from magictalk_core.storage.hashes import directory_md5, file_md5, tree_md5
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.work.manifest import build_manifest, read_manifest
from magictalk_core.work.provenance import Input, Work, archived_path, read_record, record_of, record_path
from magictalk_core.workspace import Workspace
from pipelines.dvc_workspace import prepare_repository

NAMES = st.text("abcXYZ01_-. äß", min_size=1, max_size=8).filter(lambda s: s.strip(". ") == s)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TREES = st.dictionaries(PATHS, st.binary(max_size=20), min_size=1, max_size=6)


def write_tree(root: Path, tree: dict[str, bytes]) -> None:
    for name, content in tree.items():
        path = root / name
        if any(part.is_file() for part in path.parents) or path.is_dir():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_manifest_snapshot_and_lock_are_one_number(workspace: Workspace) -> None:
    """The bridge: shard md5s -> manifest digest = what DVC writes into dvc.lock."""
    dataset = workspace.dataset("c")
    names = ("clips.parquet", "media/a.parquet", "media/b 2.parquet", "speech/ü.parquet")
    write_tree(dataset, {name: name.encode() for name in names})
    workspace.corpus_file("c").write_text("name: c")
    workspace.listing("c").write_text("{}")
    workspace.preset.write_text(yaml.safe_dump(load_preset("sample").model_dump(mode="json")))
    prepare_repository(workspace, ["c"])
    manifest = build_manifest(dataset, workspace.manifest("c"))
    locked = DvcRepository(root=str(workspace.home)).keep("c")
    assert locked == manifest.digest == tree_md5(dataset)
    assert len(manifest.digest) == 36  # MLflow's limit for a dataset digest
    from dvc.repo import Repo

    # Someone types `dvc` beside a run that has something to record: passing trouble, which the asset tries again.
    write_tree(dataset, {"media/new.parquet": b"new"})
    build_manifest(dataset, workspace.manifest("c"))
    with Repo(str(workspace.home)).lock, pytest.raises(TransientError, match="another DVC command"):
        DvcRepository(root=str(workspace.home)).keep("c")


def _dataset_of(workspace: Workspace) -> str:
    write_tree(workspace.dataset("c"), {"clips.parquet": b"clips"})
    workspace.corpus_file("c").write_text("name: c")
    workspace.listing("c").write_text("{}")
    workspace.preset.write_text(yaml.safe_dump(load_preset("sample").model_dump(mode="json")))
    prepare_repository(workspace, ["c"])
    return build_manifest(workspace.dataset("c"), workspace.manifest("c")).digest


@pytest.mark.thinned(3)
@pytest.mark.parametrize("recorded", [False, True], ids=["first", "again"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".dvc/tmp/rwlock", b""),
        (".dvc/tmp/rwlock", b'{"write": {"/some'),
        (".dvc/tmp/rwlock", bytes(40)),
        ("dvc.lock", b""),
        ("dvc.lock", b"schema: '2.0'\nstages:\n  dataset@c:\n   cmd: [a"),
        ("dvc.lock", bytes(40)),
        (".dvc/config", b""),
        ("params.yaml", b""),
        ("dvc.yaml", b""),
    ],
)
def test_what_a_kill_left_of_dvcs_files_is_mended_by_the_next_run(
    workspace: Workspace, caplog: pytest.LogCaptureFixture, name: str, content: bytes, recorded: bool
) -> None:
    expected, dvc = _dataset_of(workspace), DvcRepository(root=str(workspace.home))
    if recorded:
        dvc.keep("c")
    damaged = workspace.home / name
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_bytes(content)
    is_state = name in (".dvc/tmp/rwlock", "dvc.lock")
    if recorded and name == ".dvc/tmp/rwlock":
        assert dvc.keep("c") == expected, "what is recorded already is not asked of DVC"
    elif is_state:
        with pytest.raises(PermanentError, match=f"{name}: DVC cannot read it.*rename it"):
            dvc.keep("c")
    prepare_repository(workspace, ["c"])
    assert dvc.keep("c") == expected
    aside = list(damaged.parent.glob(f"{damaged.name}.damaged-*"))
    assert [path.read_bytes() for path in aside] == ([content] if is_state else [])
    assert any(str(damaged) in record.getMessage() for record in caplog.records) == is_state


@given(TREES)
def test_the_digest_does_not_depend_on_the_order_of_files(tree: dict[str, bytes]) -> None:
    entries = [(name, str(hash(content))) for name, content in tree.items()]
    assert directory_md5(entries) == directory_md5(reversed(entries))


def test_manifest_changes_when_any_of_150_shards_changes(tmp_path: Path) -> None:
    """Dagster forgets individual versions at 100 upstream partitions; the manifest must not."""
    dataset, out = tmp_path / "dataset", tmp_path / "m.json"
    write_tree(dataset, {f"speech/{i:03d}.parquet": bytes([i]) for i in range(150)})
    digests = {build_manifest(dataset, out).digest}
    for i in (0, 73, 149):
        (dataset / f"speech/{i:03d}.parquet").write_bytes(b"other")
        digests.add(build_manifest(dataset, out).digest)
    assert len(digests) == 4
    assert read_manifest(out) == build_manifest(dataset, out)


def test_manifest_drops_shards_that_left_and_names_a_missing_one(tmp_path: Path) -> None:
    dataset, out = tmp_path / "dataset", tmp_path / "m.json"
    write_tree(dataset, {"speech/a.parquet": b"a", "speech/gone.parquet": b"g"})
    manifest = build_manifest(dataset, out, {"speech/a.parquet"})
    assert [name for name, _ in manifest.entries] == ["speech/a.parquet"]
    assert not (dataset / "speech/gone.parquet").exists()
    with pytest.raises(PermanentError, match=r"speech/b\.parquet"):
        build_manifest(dataset, out, {"speech/a.parquet", "speech/b.parquet"})


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "d"
    for content in ("one", "two"):
        with atomic_directory(target) as temporary:
            (temporary / content).write_text(content)
    assert [p.name for p in target.iterdir()] == ["two"] and len(list(tmp_path.iterdir())) == 1


def test_a_writer_killed_in_the_middle_leaves_nothing_a_reader_sees(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from magictalk_core.storage.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as t: t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    target = tmp_path / "out.parquet"
    done = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert done.returncode == -9 and not target.exists()


def test_work_is_not_made_when_inputs_settings_version_or_outputs_change(tmp_path: Path) -> None:
    output = tmp_path / "out"
    write_tree(output, {"a.mp4": b"1", "b.mp4": b"2"})

    def work(model: str = "x", size: int = 1, version: str = "1") -> Work:
        return Work(tmp_path, "videos", output, version, (Input(kind="model", name="m", md5=model),), {"size": size})

    work().record()
    assert work().is_made()
    assert not any(other.is_made() for other in (work("y"), work(size=2), work(version="2")))
    (output / "a.mp4").write_bytes(b"edited")
    assert not work().is_made()
    (output / "a.mp4").write_bytes(b"1")
    assert work().is_made()
    write_tree(output, {"c.mp4": b"3"})
    assert not work().is_made()


def test_a_kill_between_output_and_record_is_seen(tmp_path: Path) -> None:
    output = tmp_path / "table.csv"
    output.write_text("old")
    work = Work(tmp_path, "table", output, "1")
    work.record()
    output.write_text("new")  # and then the process was killed
    assert not work.is_made()
    record_path(output).write_text('{"kind": "tab')
    assert not work.is_made()
    record_path(output).unlink()
    assert not work.is_made() and record_of(output) is None
    assert work.record().files == {"table.csv": file_md5(output)} and work.is_made()


def test_a_record_of_the_same_work_stays_as_it_was_written_first(tmp_path: Path) -> None:
    output = tmp_path / "table.csv"
    output.write_text("1")
    first = Work(tmp_path, "table", output, "1").record(clips=["c/s/2", "c/s/1", "c/s/1"])
    state = record_path(output).stat()
    assert Work(tmp_path, "table", output, "1").record(clips=["c/s/1", "c/s/2"]) == first
    assert record_path(output).stat() == state
    assert first.clips is not None and first.clips.count == 2 and (tmp_path / first.clips.file).is_file()
    archived = read_record(archived_path(tmp_path, first.md5, "table"))
    assert archived.seal is not None and archived.model_copy(update={"seal": None}) == first


def test_records_of_a_dataset_lie_outside_of_the_folder_that_dvc_hashes(tmp_path: Path) -> None:
    dataset = Workspace(tmp_path).dataset("c")
    assert record_path(dataset / "speech/a.parquet") == tmp_path / "corpora/c/provenance/speech/a.json"
    assert record_path(dataset / "clips.parquet") == tmp_path / "corpora/c/provenance/clips.json"
    assert record_path(dataset) == tmp_path / "corpora/c/.dataset.provenance.json"


def test_file_md5_is_plain_md5(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a\r\n")
    assert file_md5(tmp_path / "f") == "933222b19ff3e7ea5f65517ea1f7d57e"


def test_a_lock_refuses_a_second_process_and_names_the_first(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from magictalk_core.storage.locks import held_or_refused\n"
        "with held_or_refused(Path(sys.argv[1]), 'it'):\n    print('held', flush=True); time.sleep(60)"
    )
    lock = tmp_path / "l" / ".lock"
    with subprocess.Popen([sys.executable, "-c", holder, str(lock)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=f"it is in use by process {process.pid}"), held_or_refused(lock, "it"):
            pass
        process.kill()
    with held_or_refused(lock, "it"):
        assert lock.read_text() == str(os.getpid())
