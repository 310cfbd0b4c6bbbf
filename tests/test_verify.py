"""`magictalk verify`: a video as it was written is known, six kinds of tampering are named, all without a network."""

from __future__ import annotations

import ast
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner

import magictalk_core
from magictalk_core.commands.verify import verify_file
from magictalk_core.errors import UserError
from magictalk_core.lineage.clip_index import ClipIndex
from magictalk_core.lineage.reference import find_subject
from magictalk_core.lineage.registry import Registry
from magictalk_core.media.encode import write_video
from magictalk_core.portrait import signing
from magictalk_core.portrait.generated import mark_of, write_generated
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.portrait.provenance import read_provenance, sign_picture, work_in_manifest
from magictalk_core.portrait.signing import SIGNING, must_be_able_to_sign
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from tests import tampering as by

runner = CliRunner()
FRAMES = 50


def said_by(seed: int, seconds: float = FRAMES / 25) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Syllables of noise: something whose loudness moves as speech does."""
    chance = np.random.default_rng(seed)
    level = np.repeat(chance.choice([0.001, 0.05, 0.3], round(seconds * 10)), 1600)
    return (level * chance.normal(0, 0.3, len(level))).astype(np.float32)


def talking(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture with a part that moves."""
    face = skimage.data.astronaut()[:256, 96:352].copy()
    face[100:150, 90:160] = np.roll(face[100:150, 90:160], 2 * number, axis=1)
    return face


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated video with its work, in a workspace."""
    folder = tmp_path_factory.mktemp("verify")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAGICTALK_CACHE", str(folder / "cache"))
        workspace = Workspace(folder / "home")
        model = workspace.models("emodiff") / "run" / "model"
        model.mkdir(parents=True)
        (model / "weights").write_bytes(b"w")
        training_set = workspace.home / "training_set"
        training_set.mkdir()
        (training_set / "a").write_bytes(b"a")
        manifest = workspace.home / "manifests" / "mead.json"
        manifest.parent.mkdir()
        manifest.write_bytes(b"{}")
        dataset = input_of(workspace.home, "manifest", manifest, "d" * 32 + ".dir")
        Work(workspace.home, "training_set", training_set, "1", (dataset,)).record()
        learned = input_of(workspace.home, "training_set", training_set)
        Work(workspace.home, "model", model, "7", (learned,)).record(mlflow_run="run-1")
        video = workspace.videos / "made.mp4"
        inputs = (input_of(workspace.home, "model", model),)
        work = Work(workspace.home, "animation", video, "4", inputs, {"models": "emodiff 123"})
        frames = [stamp(talking(number), "SYNTHETIC") for number in range(FRAMES)]
        write_generated(video, frames, said_by(0), provenance_metadata("emodiff", "happy"), work)
        work.record()
    return video


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def local_only(own: socket.socket, address: Any) -> None:
        assert own.family == socket.AF_UNIX, f"verify asks no network: {address}"
        connect(own, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


def test_a_video_as_it_was_written(made: Path) -> None:
    done = runner.invoke(app, ["verify", str(made), "--json"])
    (found,) = json.loads(done.stdout)
    assert (done.exit_code, found["is_intact"], found["edits"]) == (0, True, [])
    assert found["manifest"] == "intact" and found["action"] == "c2pa.created trainedAlgorithmicMedia"
    assert found["models"][0] == "emodiff 123" and found["mlflow_runs"] == ["run-1"]
    assert found["snapshots"] == [f"mead {'d' * 32}.dir"] and len(found["training_sets"]) == 1
    assert found["label"].startswith("seen") and found["tags"] == "there" and found["mark_chance"] < 1e-9
    assert found["work"].split()[1].startswith(found["mark"])
    shown = runner.invoke(app, ["verify", str(made)])
    assert shown.exit_code == 0 and "as magictalk wrote it" in shown.stdout


TAMPERED: dict[str, tuple[str, Callable[[Path, Path], Path]]] = {
    "re-muxed": ("container is another", lambda a, b: by.remuxed(a, b)),
    "re-encoded": ("crf 28, scaled from 256x256 to 192x192", lambda a, b: by.reencoded(a, b, 28, 0.75)),
    "cut": ("from 0.60 s on", lambda a, b: by.cut(a, b, 15, 40)),
    "another sound": ("as loud as what was signed", lambda a, b: by.swapped_sound(a, b, said_by(5))),
    "altered pixels": ("lower left of the picture", lambda a, b: by.altered(a, b, by.without_label)),
    "stripped metadata": ("without the tags comment", lambda a, b: by.remuxed(a, b, tags=False)),
}


@pytest.mark.parametrize("keeps", ["the manifest", "nothing"])
@pytest.mark.parametrize("kind", TAMPERED)
def test_six_kinds_of_tampering_are_named(kind: str, keeps: str, made: Path, tmp_path: Path) -> None:
    """With the manifest glued to the tampered file, and without it against a copy that is intact."""
    detail, tamper = TAMPERED[kind]
    out = tamper(made, tmp_path / "tampered.mp4")
    original = made
    if keeps == "the manifest":
        by.with_manifest_of(made, out)
    found = verify_file(out, None if keeps == "the manifest" else original)
    assert not found.is_intact and kind in found.says
    assert any(said.startswith(f"{kind}:") and detail in said for said in found.edits), found.edits
    assert ("the C2PA manifest is gone" in " ".join(found.edits)) == (keeps == "nothing")
    if kind in ("re-muxed", "stripped metadata"):
        assert not {"re-encoded", "cut", "another sound", "altered pixels"} & set(
            found.says.replace(",", ":").split(": ")
        )
    if kind != "altered pixels":
        assert "altered pixels" not in found.says
    assert found.mark is not None, "the mark is still read"


def test_a_stripped_file_alone_says_what_it_can_and_lineage_knows_it(made: Path, tmp_path: Path) -> None:
    sent = by.reencoded(made, tmp_path / "sent.mp4", 28, 0.75)
    stripped = by.remuxed(sent, tmp_path / "stripped.mp4", tags=False)
    found = verify_file(stripped)
    assert not found.is_intact and found.manifest == "no manifest"
    assert "re-encoded" in found.says and "stripped metadata" in found.says and found.next_step is not None
    workspace = Workspace(made.parents[1])
    subject = find_subject(Registry.read(workspace), ClipIndex(workspace), str(stripped))
    assert subject.records[0].name == "videos/made.mp4" and f"mark {found.mark}" in subject.how


def test_one_changed_byte_is_seen(made: Path, tmp_path: Path) -> None:
    data = bytearray(made.read_bytes())
    data[data.rindex(b"mdat") + 2000] ^= 0xFF
    (tmp_path / "v.mp4").write_bytes(data)
    done = runner.invoke(app, ["verify", str(tmp_path / "v.mp4")])
    assert done.exit_code == 1 and "not as magictalk wrote it" in done.stdout


def test_an_ordinary_video_and_what_is_none(tmp_path: Path) -> None:
    plain = tmp_path / "plain.mp4"
    write_video(plain, [np.full((64, 64, 3), 90, np.uint8)] * 5, 25, None)
    found = verify_file(plain)
    assert not found.is_intact and found.says.startswith("nothing in it says") and not found.edits
    (tmp_path / "text.mp4").write_text("hello")
    for name, said in (("text.mp4", "media"), ("gone.mp4", "no such video"), (".", "a folder")):
        done = runner.invoke(app, ["verify", str(tmp_path / name)])
        assert done.exit_code == 2 and said in done.stderr, done.stderr
    done = runner.invoke(app, ["verify", str(plain), "--original", str(plain)])
    assert done.exit_code == 2 and "expected a copy that is as magictalk wrote it" in done.stderr


def test_a_picture_of_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "figure.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    assert verify_file(path).says.startswith("nothing in it says")
    sign_picture(path)
    assert verify_file(path).is_intact
    data = bytearray(path.read_bytes())
    data[data.rindex(b"IDAT") + 100] ^= 0xFF
    path.write_bytes(data)
    assert "altered pixels" in verify_file(path).says


def _own_certificate(folder: Path) -> None:
    """As an authority gives one: an RSA key below a root that is not ours."""
    root_key, key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    root = signing._certificate(
        "test root", root_key, None, root_key,
        [(x509.BasicConstraints(True, None), True), (signing._key_usage(sign=True), True)],
    )  # fmt: skip
    usage = x509.ExtendedKeyUsage([signing.ExtendedKeyUsageOID.EMAIL_PROTECTION])
    leaf = signing._certificate(
        "somebody", key, root, root_key,
        [(x509.BasicConstraints(False, None), True), (signing._key_usage(sign=False), True), (usage, False)],
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    folder.mkdir()
    (folder / "chain.pem").write_bytes(leaf.public_bytes(pem) + root.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(secret)


def test_the_users_own_certificate_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(SIGNING, str(tmp_path / "own"))
    with pytest.raises(UserError, match=r"chain.pem: No such file"):
        must_be_able_to_sign()
    _own_certificate(tmp_path / "own")
    must_be_able_to_sign()
    frames = [skimage.data.astronaut()[:128, :128]] * 4
    write_generated(tmp_path / "v.mp4", frames, None, provenance_metadata("m", "happy"))
    found = verify_file(tmp_path / "v.mp4")
    assert found.is_intact and found.signer == "somebody"
    assert not (tmp_path / "cache").exists()
    shutil.copy(tmp_path / "own" / "key.pem", tmp_path / "key.pem")
    _own_certificate(tmp_path / "other")
    shutil.copy(tmp_path / "key.pem", tmp_path / "other" / "key.pem")
    monkeypatch.setenv(SIGNING, str(tmp_path / "other"))
    with pytest.raises(UserError, match="does not belong to the first certificate"):
        must_be_able_to_sign()


def test_what_the_manifest_says_names_no_place_of_this_machine(made: Path) -> None:
    manifest = read_provenance(made)
    assert str(made.parents[2]) not in json.dumps(manifest)
    work = work_in_manifest(manifest)
    assert work is not None and work["models"][0]["version"] == "7"
    assert mark_of({"a": 1}) == mark_of({"a": 1}) != mark_of({"a": 2})


def test_no_generated_video_goes_by_another_door() -> None:
    """Whoever writes tags of a generated video writes it through `write_generated`; others write recordings."""
    root = Path(magictalk_core.__file__).parent
    signers, writers = set(), set()
    for path in root.rglob("*.py"):
        names = {
            node.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)
        }
        name = path.relative_to(root).as_posix()
        if "sign_video" in names:
            signers.add(name)
        if "provenance_metadata" in names and "write_video" in names:
            writers.add(name)
    assert signers == {"portrait/generated.py", "evaluation/external/source.py"} and not writers
