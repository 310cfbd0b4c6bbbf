"""Writing videos: frames, length and sound come back; equal input gives equal bytes; tiles and labels."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import magictalk_core
from magictalk_core.errors import PermanentError
from magictalk_core.lineage.clip_index import ClipIndex
from magictalk_core.lineage.graph import upstream_graph
from magictalk_core.lineage.reference import Subject, find_subject
from magictalk_core.lineage.registry import Registry
from magictalk_core.media.audio import write_wav
from magictalk_core.media.decode import read_audio, read_frames
from magictalk_core.media.encode import write_video
from magictalk_core.media.probe import probe
from magictalk_core.media.tile import CAPTION_HEIGHT, Panel, side_by_side
from magictalk_core.portrait.label import DIGITAL_SOURCE_TYPE, provenance_metadata, stamp
from magictalk_core.portrait.provenance import read_provenance, sign_video, work_in_video
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.work.provenance import Input, Work, input_of
from magictalk_core.workspace import Workspace


def grey(*levels: int) -> list[NDArray[np.uint8]]:
    return [np.full((64, 96, 3), level, np.uint8) for level in levels]


def tone(seconds: float) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * 16_000)) / 16_000)).astype(np.float32)


def test_frames_come_back_in_order(tmp_path: Path) -> None:
    levels = list(range(10, 250, 10))
    path = tmp_path / "v.mp4"
    assert write_video(path, grey(*levels), 25, None) == len(levels)
    found = [float(f.mean()) for f in read_frames(path)]
    np.testing.assert_allclose(found, levels, atol=3)
    info = probe(path)
    assert (info.fps, info.width, info.height, info.has_audio) == (25, 96, 64, False)
    assert info.duration_s == pytest.approx(len(levels) / 25, abs=0.001)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0])
def test_sound_is_padded_or_cut_to_the_picture(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "v.mp4"
    write_video(path, grey(*[80] * 25), 25, tone(seconds))
    assert probe(path).duration_s == pytest.approx(1.0, abs=0.07)
    samples = read_audio(path)
    heard = np.abs(samples[: 16_000 * 95 // 100].reshape(-1, 800)).max(axis=1) > 0.1
    assert heard[: int(min(seconds, 0.9) * 20)].all()
    assert not heard[int(seconds * 20) + 2 :].any()


def test_sound_from_a_file_and_the_same_bytes_twice(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(0.4), 16_000)
    digests = set()
    for name in ("one.mp4", "two.mp4"):
        write_video(tmp_path / name, grey(10, 200, 30, 90), 25, tmp_path / "a.wav", metadata={"comment": "made"})
        digests.add(hashlib.md5((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("shape", [(65, 64, 3), (64, 65, 3)])
def test_odd_sides_are_refused_before_the_encoder_fails(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    with pytest.raises(PermanentError, match="takes even sides only"):
        write_video(tmp_path / "v.mp4", [np.zeros(shape, np.uint8)], 25, None)
    assert not list(tmp_path.iterdir())


def test_tags_and_the_index_in_front(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    write_video(path, grey(10, 20), 25, None, metadata=provenance_metadata("emodiff", "happy", "c/s/1"))
    with av.open(str(path)) as container:
        tags = dict(container.metadata)
    assert tags["digital_source_type"] == DIGITAL_SOURCE_TYPE
    assert "SYNTHETIC" in tags["title"] and "happy" in tags["comment"] and tags["source_clip"] == "c/s/1"
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_an_unfinished_video_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[NDArray[np.uint8]]:
        yield from grey(10, 20)
        raise ValueError("the renderer died")

    with pytest.raises(ValueError, match="renderer died"):
        write_video(tmp_path / "v.mp4", broken(), 25, None)
    with pytest.raises(PermanentError, match="no frame"):
        write_video(tmp_path / "v.mp4", [], 25, None)
    assert not list(tmp_path.iterdir())


def test_panels_stand_side_by_side_with_captions() -> None:
    panels = [Panel("truth", grey(50, 50, 50)), Panel("made", grey(200, 200), "SYNTHETIC")]
    frames = list(side_by_side(panels, 160))
    assert len(frames) == 2 and frames[0].shape == (160 + CAPTION_HEIGHT, 320, 3)
    assert frames[0][:160, :160].mean() == pytest.approx(50, abs=1)
    assert frames[0][:160, 160:].mean() == pytest.approx(200, abs=1)
    captions = frames[0][160:].astype(int)
    assert captions[:, :160].min() < 120 and captions[:, 160:].min() < 120
    red = captions[..., 0] - captions[..., 1]
    assert red[:, 160:].max() > 60 > red[:, :160].max()


def test_a_video_that_comes_back_is_known_by_its_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record and the video of the workspace were replaced; the file that was sent out says what made it."""
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path / "cache"))
    workspace = Workspace(tmp_path / "home")
    made, motion = workspace.videos / "v.mp4", workspace.refined("test") / "motion.parquet"
    motion.parent.mkdir(parents=True)
    motion.write_bytes(b"motion")
    Work(workspace.home, "refined", motion, "1").record()
    inputs = (input_of(workspace.home, "refined", motion), Input(kind="audio", name="/home/me/voice.wav", md5="a" * 32))
    work = Work(workspace.home, "video", made, "1", inputs, {"clip": "c/s/1"})
    made.parent.mkdir()
    write_video(made, grey(10, 90, 30), 25, tone(0.2))
    sign_video(made, work)
    sent = tmp_path / "sent.mp4"
    sent.write_bytes(made.read_bytes())
    said = work_in_video(sent)
    assert said is not None and said["inputs_digest"] == work.digest and said["validation_state"] == "Valid"
    assert [one["name"] for one in said["inputs"]] == ["refined/test/motion.parquet", "voice.wav"], "no path of ours"

    def known(path: Path) -> Subject:
        registry, clips = Registry.read(workspace), ClipIndex(workspace)
        subject = find_subject(registry, clips, str(path))
        graph = upstream_graph(registry, clips, subject)
        assert any(node.kind == "refined" and node.state == "current" for node in graph.nodes.values())
        return subject

    assert "C2PA" in known(sent).how and not known(sent).records
    work.record()
    assert "content" in known(sent).how or "hash" in known(sent).how
    changed = tmp_path / "changed.mp4"  # its bytes are others, its manifest is still there
    changed.write_bytes(sent.read_bytes() + b"\0\0\0\x08free")
    assert "C2PA" in known(changed).how and known(changed).records[0].name == "videos/v.mp4"


@pytest.mark.parametrize(("level", "size"), [(0, 256), (128, 256), (255, 64)])
def test_the_label_is_legible_on_any_ground(level: int, size: int) -> None:
    frame = np.full((size, size, 3), level, np.uint8)
    marked = stamp(frame, "SYNTHETIC")
    assert (frame == level).all()
    corner = marked[-size // 6 :, : size // 2].astype(int)
    assert corner.max() > 200 and corner.max() - corner.min() > 100
    np.testing.assert_array_equal(marked[: size // 2], frame[: size // 2])


def test_a_signed_video_says_that_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "v.mp4"
    write_video(path, grey(10, 90, 30), 25, tone(0.2))
    with pytest.raises(PermanentError, match="C2PA"):
        read_provenance(path)
    sign_video(path)
    manifest = read_provenance(path)
    actions = next(a for a in manifest["assertions"] if a["label"].startswith("c2pa.actions"))
    assert actions["data"]["actions"][0]["digitalSourceType"] == DIGITAL_SOURCE_TYPE
    assert manifest["validation_state"] == "Valid"
    assert len(list(read_frames(path))) == 3
    assert (tmp_path / "cache" / "signing" / "key.pem").stat().st_mode & 0o077 == 0
    key = (tmp_path / "cache" / "signing" / "key.pem").read_bytes()
    sign_video(path)
    assert (tmp_path / "cache" / "signing" / "key.pem").read_bytes() == key
    assert work_in_video(path) is None, "no work was named"
    # A changed file no longer validates.
    data = bytearray(path.read_bytes())
    data[data.index(b"mdat") + 40] ^= 0xFF
    (tmp_path / "forged.mp4").write_bytes(bytes(data))
    assert read_provenance(tmp_path / "forged.mp4")["validation_state"] == "Invalid"


def test_the_label_stands_in_one_place() -> None:
    root = Path(magictalk_core.__file__).parent
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in root.rglob("*.py")}
    found = [
        path.relative_to(root).as_posix()
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value == SYNTHETIC_LABEL
    ]
    assert found == ["vocabulary/label.py"]
