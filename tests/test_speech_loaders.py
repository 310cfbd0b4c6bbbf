"""Published graphs without TensorFlow: graphs that TensorFlow wrote give its numbers, damaged ones give one error."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import safe_open
from speech_fixtures import GRAPH_SIZES, golden, golden_file, noise

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.speech import published, weight_files
from magictalk_core.speech.deepspeech import DeepSpeechConfig, State, network_from_weights
from magictalk_core.speech.extractor import raw_logits
from magictalk_core.speech.features import feature_weights, speech_features
from magictalk_core.speech.frozen_graph import read_constants
from magictalk_core.speech.mfcc import context_windows
from magictalk_core.speech.published import Weights, graph_010, graph_093, load_model, tflite_093
from magictalk_core.speech.tflite_weights import read_layers
from magictalk_core.speech.weight_files import weights_sha256
from magictalk_core.weights import resolver
from magictalk_core.weights.manifest import WEIGHTS, WeightFile
from magictalk_core.weights.resolver import describe, fetch, find, resolve, verify

READERS: dict[str, Callable[[Path], Weights]] = {
    "093.pb": graph_093,
    "093.pbmm": graph_093,
    "010.pb": graph_010,
    "093.int8.tflite": tflite_093,
    "093.float.tflite": tflite_093,
}


def outputs(weights: Weights, bidirectional: bool = False) -> tuple[NDArray[np.float32], State]:
    """Raw logits of the golden contexts, and the last state."""
    config = DeepSpeechConfig(GRAPH_SIZES.hidden, GRAPH_SIZES.recurrent, bidirectional)
    contexts = context_windows(golden("graph/mfcc").astype(np.float32))
    with torch.inference_mode():
        logits, state = network_from_weights(config, weights)(torch.from_numpy(contexts)[None])
    return logits[0].numpy(), state


@pytest.mark.parametrize("name", ["093.pb", "093.pbmm"])
def test_a_graph_of_093_gives_tensorflows_numbers(name: str, tmp_path: Path) -> None:
    logits, (hidden, cell) = outputs(graph_093(golden_file(name, tmp_path)))
    np.testing.assert_allclose(logits, golden("093/raw_logits"), atol=1e-4)
    # What that graph calls `logits` are probabilities.
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, golden("093/logits"), atol=1e-4)
    np.testing.assert_allclose(hidden[0].numpy(), golden("093/hidden"), atol=1e-4)
    np.testing.assert_allclose(cell[0].numpy(), golden("093/cell"), atol=1e-4)


def test_the_graph_of_010_gives_tensorflows_numbers(tmp_path: Path) -> None:
    logits, _ = outputs(graph_010(golden_file("010.pb", tmp_path)), bidirectional=True)
    np.testing.assert_allclose(logits, golden("010/logits"), atol=1e-4)


def test_a_tflite_graph_gives_tensorflows_numbers(tmp_path: Path) -> None:
    logits, (_, cell) = outputs(tflite_093(golden_file("093.float.tflite", tmp_path)))
    np.testing.assert_allclose(logits, golden("lite/raw_logits"), atol=1e-4)
    np.testing.assert_allclose(cell[0].numpy(), golden("lite/cell"), atol=1e-4)


def test_weights_of_8_bits_are_the_floats_rounded(tmp_path: Path) -> None:
    exact, rounded = (tflite_093(golden_file(f"093.{kind}.tflite", tmp_path)) for kind in ("float", "int8"))
    changed = [name for name in exact if not torch.equal(exact[name], rounded[name])]
    # The converter leaves tensors of less than 1024 values alone.
    assert sorted(changed) == ["layer_1.weight", "lstm.kernel"]
    for name in changed:
        half_step = float(exact[name].abs().max()) / 127 / 2
        assert float((exact[name] - rounded[name]).abs().max()) <= half_step * 1.01
    np.testing.assert_allclose(outputs(rounded)[0], golden("lite/raw_logits"), atol=2e-3)


# --- damaged and hostile files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(READERS))
def test_a_file_that_is_cut_off_is_one_error(name: str, tmp_path: Path) -> None:
    whole = golden(f"file/{name}").tobytes()
    for length in (0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 9):
        path = tmp_path / name
        path.write_bytes(whole[:length])
        with pytest.raises(PermanentError, match=r"no frozen TensorFlow graph|no TensorFlow Lite graph") as failure:
            READERS[name](path)
        assert str(path) in str(failure.value) and "\n" not in str(failure.value)


@pytest.mark.parametrize("name", list(READERS))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8)), max_size=6))
def test_changed_bytes_give_weights_or_one_error(name: str, changes: list[tuple[int, bytes]], tmp_path: Path) -> None:
    content = bytearray(golden(f"file/{name}").tobytes())
    for place, new in changes:
        place %= len(content)
        content[place : place + len(new)] = new
    path = tmp_path / name
    path.write_bytes(bytes(content))
    try:
        weights = READERS[name](path)
    except PermanentError:
        return
    assert sum(value.numel() for value in weights.values()) < 1 << 20


def _field(number: int, content: bytes) -> bytes:
    size, prefix = len(content), bytes([number << 3 | 2])
    while size >= 0x80:
        prefix, size = prefix + bytes([size & 0x7F | 0x80]), size >> 7
    return prefix + bytes([size]) + content


def _attribute(name: str, value: bytes) -> bytes:
    return _field(5, _field(1, name.encode()) + _field(2, value))


def _constant(name: str, sides: list[int], values: bytes, kind: int = 1) -> bytes:
    shape = b"".join(_field(2, b"\x08" + _varint(side)) for side in sides)
    tensor = b"\x08" + bytes([kind]) + _field(2, shape) + values
    return _field(1, _field(1, name.encode()) + _field(2, b"Const") + _attribute("value", _field(8, tensor)))


def _varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def test_values_may_be_listed_and_the_last_one_repeated(tmp_path: Path) -> None:
    path = tmp_path / "a.pb"
    listed = _field(5, np.array([1, 2, 3], "<f4").tobytes())
    single = b"".join(b"\x2d" + np.float32(v).tobytes() for v in (1, 2, 3, 4, 5, 6))
    path.write_bytes(_constant("x", [2, 3], listed) + _constant("y", [2, 3], single) + _constant("other", [9], b""))
    found = read_constants(path, ["x", "y"])
    assert found["x"].tolist() == [[1, 2, 3], [3, 3, 3]] and found["y"].tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("sides", "kind", "values", "message"),
    [
        ([60_000, 60_000], 1, _field(4, b"\0" * 16), "16 bytes, expected 14400000000"),
        ([60_000, 60_000], 1, _field(5, b"\0" * 16), "4 values, expected 3600000000"),
        ([1 << 40], 1, _field(4, b"\0" * 16), "has the shape"),
        ([(1 << 64) - 1], 1, _field(4, b"\0" * 16), "has the shape"),
        ([2, 2], 1, b"", "0 values, expected 4"),
        ([2, 2], 1, _field(5, b"\0" * 5), "broken list of values"),
        ([2, 2], 2, _field(4, b"\0" * 32), "type 2, expected 1"),
    ],
)
def test_sizes_that_are_not_there_allocate_nothing(
    sides: list[int], kind: int, values: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.pb"
    path.write_bytes(_constant("x", sides, values, kind))
    with pytest.raises(PermanentError, match=message):
        read_constants(path, ["x"])


def test_a_graph_of_something_else_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no node b1, b2, b3"):
        graph_010(golden_file("093.pb", tmp_path))
    with pytest.raises(PermanentError, match=r"no node cudnn_lstm/.*layer_1/bias"):
        graph_093(golden_file("010.pb", tmp_path))
    with pytest.raises(PermanentError, match="identifier TFL3"):
        read_layers(golden_file("093.pb", tmp_path))
    path = tmp_path / "a.pb"
    path.write_bytes(_field(1, _field(1, b"x") + _field(2, b"Placeholder")))
    with pytest.raises(PermanentError, match="node x is a `Placeholder`, expected a constant"):
        read_constants(path, ["x"])


# --- from the manifest to features ---------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MAGICTALK_WEIGHTS", raising=False)
    published._load.cache_clear()
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def small_files(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The three published files at golden sizes, in the cache and listed by their MD5."""
    files = {
        "deepspeech-0.9.3": ("093.pbmm", GRAPH_SIZES),
        "deepspeech-0.9.3-tflite": ("093.int8.tflite", GRAPH_SIZES),
        "deepspeech-0.1.0": ("010.pb", DeepSpeechConfig(GRAPH_SIZES.hidden, GRAPH_SIZES.recurrent, True)),
    }
    listed = dict(WEIGHTS)
    for feature_id, (name, config) in files.items():
        model, content = published.MODELS[feature_id], golden(f"file/{name}").tobytes()
        file = weight_files.FILES[feature_id]
        assert file is not None
        (cache / file).write_bytes(content)
        listed[file] = replace(WEIGHTS[file], md5=hashlib.md5(content).hexdigest(), size=len(content))
        monkeypatch.setitem(published.MODELS, feature_id, replace(model, config=config))
    monkeypatch.setattr(resolver, "WEIGHTS", listed)
    return cache


@pytest.mark.parametrize("feature_id", ["deepspeech-0.9.3", "deepspeech-0.9.3-tflite", "deepspeech-0.1.0"])
def test_a_published_file_is_converted_once_and_gives_features(feature_id: str, small_files: Path) -> None:
    found = speech_features(noise(1), 25, feature_id)
    assert found.shape == (25, 58) and np.isfinite(found).all()
    (converted,) = (small_files / "converted").glob("*.safetensors")
    with safe_open(converted, "pt") as file:
        metadata = file.metadata()
    source = small_files / str(weight_files.FILES[feature_id])
    assert metadata["source"] == source.name
    assert metadata["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest() == weights_sha256(feature_id)
    assert feature_weights(feature_id) == metadata["source_sha256"]
    written = converted.stat().st_mtime_ns
    published._load.cache_clear()
    np.testing.assert_array_equal(speech_features(noise(1), 25, feature_id), found)
    assert converted.stat().st_mtime_ns == written


def test_a_damaged_conversion_is_one_error_that_says_what_to_do(small_files: Path) -> None:
    load_model("deepspeech-0.9.3")
    published._load.cache_clear()
    (converted,) = (small_files / "converted").glob("*.safetensors")
    converted.write_bytes(b"damaged")
    with pytest.raises(PermanentError, match=r"no safetensors file.*remove it"):
        load_model("deepspeech-0.9.3")


def test_missing_weights_name_the_file_its_checksum_its_source_and_the_command(cache: Path) -> None:
    for feature_id, name in weight_files.FILES.items():
        if name is None:
            continue
        file = WEIGHTS[name]
        with pytest.raises(PermanentError) as failure:
            speech_features(noise(0.1), 2, feature_id)
        for part in (file.name, str(file.md5), "sha256 not known", file.source, f"magictalk weights fetch {file.name}"):
            assert part in str(failure.value)
    with pytest.raises(UserError, match=r"no speech network `deepspeech`; known: deepspeech-0\.9\.3,"):
        load_model("deepspeech")


def test_a_missing_shipped_file_says_how_to_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _, recipe = weight_files.SHIPPED["deepspeech-small-1"]
    monkeypatch.setitem(weight_files.SHIPPED, "deepspeech-small-1", ("not_there.safetensors", recipe))
    with pytest.raises(
        PermanentError, match=r"not_there.*install magictalk again.*magictalk_core\.recipes\.deepspeech_small"
    ):
        load_model("deepspeech-small-1")


def test_other_bytes_under_a_published_name_are_refused(cache: Path) -> None:
    name = "deepspeech-0.9.3-models.pbmm"
    (cache / name).write_bytes(b"something else")
    with pytest.raises(PermanentError, match=r"expected 188915987 bytes, md5 8b15.*found 14 bytes, md5") as failure:
        find(name)
    assert hashlib.md5(b"something else").hexdigest() in str(failure.value)
    assert {status.file.name: status.ok for status in verify() if status.path} == {name: False}


def test_an_unpublished_sha256_is_recorded_at_first_use_and_holds(small_files: Path) -> None:
    name = "deepspeech-0.9.3-models.pbmm"
    (before,) = (row["sha256"] for row in describe() if row["name"] == name)
    assert "sha256 not known to the project: recorded at first use" in before
    path = resolve(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (after,) = (row["sha256"] for row in describe() if row["name"] == name)
    assert after == f"sha256 {digest} (recorded at first use in {small_files / name}.sha256)"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(PermanentError, match=f"expected sha256 {digest}"):
        find(name)


def _archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_a_member_of_an_archive_is_fetched_and_checked(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = b"a frozen graph"
    archive = tmp_path / "models.tar.gz"
    archive.write_bytes(_archive({"models/lm.binary": b"x" * 5000, "./models/output_graph.pb": graph}))
    md5 = hashlib.md5(graph).hexdigest()
    file = WeightFile("g.pb", None, "MPL-2.0", "tests", f"{archive.as_uri()}!models/output_graph.pb", md5=md5)
    monkeypatch.setattr(resolver, "WEIGHTS", {"g.pb": file})
    assert fetch("g.pb").read_bytes() == graph
    assert (cache / "g.pb.sha256").read_text().strip() == hashlib.sha256(graph).hexdigest()
    for change, message in (
        ({"md5": "0" * 32}, "expected md5 000.* got 14 bytes, md5 .*nothing was kept"),
        ({"size": 5}, "more than the expected 5 bytes"),
        ({"source": f"{archive.as_uri()}!models/other.pb"}, "holds no `models/other.pb`"),
    ):
        other = replace(file, name="h.pb", **change)
        monkeypatch.setattr(resolver, "WEIGHTS", {"h.pb": other})
        with pytest.raises(PermanentError, match=message):
            fetch("h.pb")
    archive.write_bytes(b"no archive")
    with pytest.raises(PermanentError, match=r"no \.tar\.gz that can be read"):
        fetch("h.pb")
    assert {path.name for path in cache.iterdir()} == {"g.pb", "g.pb.sha256", ".lock"}


def test_the_two_readers_of_093_agree_with_each_other(tmp_path: Path) -> None:
    plain, packed = (graph_093(golden_file(name, tmp_path)) for name in ("093.pb", "093.pbmm"))
    assert all(torch.equal(plain[name], packed[name]) for name in plain)
    model = load_model("deepspeech-small-1", "cpu")
    assert raw_logits(model, [noise(0.2)])[0].shape == (10, 29)
