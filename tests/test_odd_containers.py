"""Containers of cameras, television and old programs: read where that is safe, else named with what to type."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from magictalk_core.media.container import MediaError
from magictalk_core.media.decode import read_audio, read_frames
from magictalk_core.media.probe import probe
from tests.media_fixtures import ffmpeg, make_clip

TAKEN = {
    "a.mts": ["-c", "copy", "-f", "mpegts"],
    "a.ts": ["-c", "copy"],
    "a.wmv": ["-c:v", "wmv2", "-b:v", "4M", "-c:a", "wmav2"],
    "a.flv": ["-c:v", "flv", "-b:v", "4M", "-ar", "44100", "-c:a", "libmp3lame"],
    "a.3gp": ["-s", "176x144", "-c:v", "h263", "-b:v", "800k", "-ar", "8000", "-ac", "1", "-c:a", "aac"],
    "a.mxf": ["-c:v", "mpeg2video", "-b:v", "8M", "-c:a", "pcm_s16le", "-ar", "48000"],
    "a.gif": ["-an"],
    "a.y4m": ["-an"],
    "a.ivf": ["-an", "-c:v", "libvpx", "-b:v", "4M", "-deadline", "realtime", "-cpu-used", "8"],
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_container_of_cameras_and_television_is_read(name: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 1.0, size="176x144")
    ffmpeg("-i", clip, *TAKEN[name], tmp_path / name)
    ours, theirs = list(read_frames(tmp_path / name)), list(read_frames(clip))
    assert abs(len(ours) - 25) <= 1
    if ours[0].shape == theirs[0].shape:
        assert np.abs(ours[10].astype(int) - theirs[10]).mean() < 20
    if probe(tmp_path / name).has_audio:
        assert len(read_audio(tmp_path / name)) == pytest.approx(16_000, abs=1600)


@pytest.mark.parametrize(
    ("name", "form", "options"),
    [
        ("a b.nut", "nut", ["-c", "copy"]),
        ("a.tta", "tta", ["-vn", "-ac", "2"]),
        ("a.h264", "h264", ["-c:v", "copy", "-an"]),
        ("a.rm", "rm", ["-c:v", "rv10", "-an", "-s", "176x144"]),
    ],
)
def test_another_container_is_named_with_what_to_type(
    name: str, form: str, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ffmpeg("-i", make_clip(tmp_path / "clip.mp4", 0.4, size="176x144"), *options, tmp_path / name)
    with pytest.raises(MediaError) as refused:
        probe(tmp_path / name)
    says, command = str(refused.value).split(": convert it with: ")
    assert says == f"format {form} is not on the list" and str(tmp_path) not in command
    # What it says is what works.
    monkeypatch.chdir(tmp_path)
    subprocess.run([*shlex.split(command), "-v", "error", "-nostdin"], check=True)
    assert probe(tmp_path / f"{Path(name).stem}.mp4").duration_s > 0.3


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.mp4", b"ffconcat version 1.0\nfile b.mp4\n", "format concat is a list that names other files"),
        ("a.png", b"", "format png_pipe is a still picture"),
    ],
)
def test_lists_and_pictures_are_named_as_such(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    if content:
        (tmp_path / name).write_bytes(content)
    else:
        ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", "1", tmp_path / name)
    with pytest.raises(MediaError, match=says):
        probe(tmp_path / name)


def test_a_broken_file_of_a_known_format_is_not_called_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(make_clip(tmp_path / "clip.mp4", 0.4).read_bytes()[:400])
    with pytest.raises(MediaError) as refused:
        probe(tmp_path / "a.mp4")
    assert "not on the list" not in str(refused.value)
