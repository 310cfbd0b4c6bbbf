"""Weights: found by name, checked by content, fetched once however many ask. No network: pip gets a local wheel."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from magictalk_core.errors import MissingWeights, PermanentError, TransientError, UserError
from magictalk_core.weights import resolver
from magictalk_core.weights.manifest import WEIGHTS, WeightFile, npm_tarball
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
        if file.in_wheel:
            assert file.requirement.count("==") == 1 and file.member
        else:
            assert file.address.startswith("https://")


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
    with pytest.raises(MissingWeights) as failure:
        resolve(file.name)
    for part in (file.name, str(file.sha256), file.source, f"magictalk weights fetch {file.name}"):
        assert part in str(failure.value)
    with pytest.raises(UserError, match=r"no weight file `nothing\.bin`; known: "):
        find("nothing.bin")


# --- npm -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def npm_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A registry of one package of two networks, as npm lays it out, and an empty cache. Gives the tarball."""
    tarball = tmp_path / "npm" / "@tiny" / "faces" / "-" / "faces-1.2.0.tgz"
    tarball.parent.mkdir(parents=True)
    with tarfile.open(tarball, "w:gz") as archive:
        for name, content in {"package.json": b"{}", **{f"model/{n}": c for n, c in CONTENT.items()}}.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    files = {}
    for name, content in CONTENT.items():
        digest = hashlib.sha256(content).hexdigest()
        files[name] = WeightFile(name, digest, "MIT", "tests", f"npm:@tiny/faces@1.2.0!model/{name}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "npm")))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(resolver, "WEIGHTS", files)
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MAGICTALK_WEIGHTS", raising=False)
    yield tarball
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


def test_one_npm_tarball_gives_every_member_without_npm(npm_registry: Path) -> None:
    assert resolve("one.tflite").read_bytes() == CONTENT["one.tflite"]
    npm_registry.unlink()  # the other one came along
    assert resolve("two.tflite").read_bytes() == CONTENT["two.tflite"]


def test_an_npm_package_that_is_not_there_is_worth_another_try(npm_registry: Path) -> None:
    npm_registry.unlink()
    with pytest.raises(
        TransientError, match=r"cannot download `one\.tflite` from http.*/@tiny/faces/-/faces-1\.2\.0\.tgz"
    ):
        resolve("one.tflite")


def test_a_member_of_npm_with_other_bytes_or_none_is_refused(
    npm_registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = {"one.tflite": "model/two.tflite", "other.bin": "model/other.bin"}
    for name, member in sources.items():
        file = WeightFile(name, "0" * 64, "MIT", "tests", f"npm:@tiny/faces@1.2.0!{member}")
        monkeypatch.setattr(resolver, "WEIGHTS", {name: file})
        with pytest.raises(PermanentError, match=r"nothing was kept|holds no `package/model/other\.bin`"):
            resolve(name)


def test_addresses_of_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("npm_config_registry", raising=False)
    assert npm_tarball("@a/b-c@1.0.0") == "https://registry.npmjs.org/@a/b-c/-/b-c-1.0.0.tgz"
    assert npm_tarball("plain@2.1.0") == "https://registry.npmjs.org/plain/-/plain-2.1.0.tgz"
