"""Odd, damaged and hostile media: each file ends as accepted or with exactly one expected reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from magictalk_core.config import MediaConfig, QualityConfig
from magictalk_core.media.decode import read_audio, read_frames
from magictalk_core.media.standardize import standardize_clip
from magictalk_core.preparation.gates import decide
from tests.media_fixtures import X264, FakeDetector, ffmpeg, mark_rotation

SECONDS = 2.0
TONE = "sine=frequency=440:sample_rate=48000"

Make = Callable[[Path], Path]


def clip(
    name: str = "a.mp4",
    *out: str,
    video: str = "testsrc2=size=128x96:rate=25",
    sound: str | None = TONE,
    picture_s: float = SECONDS,
    sound_s: float = SECONDS,
    codec: tuple[str, ...] = X264,
) -> Make:
    """A moving picture with sound, encoded with the options `out`."""

    def make(folder: Path) -> Path:
        inputs = ["-f", "lavfi", "-t", str(picture_s), "-i", video]
        if sound is not None:
            inputs += ["-f", "lavfi", "-t", str(sound_s), "-i", sound]
        ffmpeg(*inputs, *codec, *out, folder / name)
        return folder / name

    return make


def changed(make: Make, change: Callable[[bytes], bytes], name: str = "b.mp4") -> Make:
    """The file after `change` of its bytes, under another name."""

    def run(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(change(make(folder).read_bytes()))
        return path

    return run


def cut_at(share: float, *out: str) -> Make:
    make = clip("a.mp4", "-movflags", "+faststart", *out, picture_s=10, sound_s=10)
    return changed(make, lambda data: data[: int(len(data) * share)])


def rotated(degrees: int) -> Make:
    def run(folder: Path) -> Path:
        mark_rotation(clip()(folder), degrees, folder / "b.mp4")
        return folder / "b.mp4"

    return run


def again(*arguments: str, name: str = "b.mp4", before: tuple[str, ...] = ()) -> Make:
    """A copy of a clip by ffmpeg with other container options."""

    def run(folder: Path) -> Path:
        ffmpeg(*before, "-i", clip()(folder), *arguments, folder / name)
        return folder / name

    return run


def written(content: bytes | str, name: str = "a.mp4") -> Make:
    def run(folder: Path) -> Path:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return folder / name

    return run


def with_offset(frames: int) -> Make:
    """The sound starts `frames` video frames after the picture (before it, if negative)."""

    def run(folder: Path) -> Path:
        source, shift = clip()(folder), frames / 25
        first, second = (["-itsoffset", str(-shift)], []) if shift < 0 else ([], ["-itsoffset", str(shift)])
        ffmpeg(
            *first, "-i", source, *second, "-i", source, "-map", "0:v", "-map", "1:a", "-c", "copy", folder / "b.mkv"
        )
        return folder / "b.mkv"

    return run


def size_changes(folder: Path) -> Path:
    """One scene whose second half is larger."""
    larger = "testsrc2=size=128x96:rate=25,trim=start=2,setpts=PTS-STARTPTS,scale=160:120"
    small, large = (
        clip("a.ts")(folder),
        clip("b.ts", "-output_ts_offset", "2", video=larger)(folder),
    )
    (folder / "c.ts").write_bytes(small.read_bytes() + large.read_bytes())
    return folder / "c.ts"


def linked(folder: Path) -> Path:
    (folder / "b.mp4").symlink_to(clip()(folder))
    return folder / "b.mp4"


def a_folder(folder: Path) -> Path:
    (folder / "a.mp4").mkdir()
    return folder / "a.mp4"


def cover_only(folder: Path) -> Path:
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64", "-frames:v", "1", folder / "cover.png")
    inputs = ["-f", "lavfi", "-t", "2", "-i", TONE, "-i", folder / "cover.png", "-map", "0", "-map", "1"]
    ffmpeg(*inputs, "-c:v", "png", "-disposition:v", "attached_pic", "-c:a", "aac", folder / "a.m4a")
    return (folder / "a.m4a").rename(folder / "a.mp4")


def spoiled(data: bytes) -> bytes:
    """Zeros over a stretch in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes(len(data) // 10) + data[middle + len(data) // 10 :]


def other_rate(rate: str) -> Make:
    return clip(video=f"testsrc2=size=128x96:rate={rate}")


def other_size(size: str, *out: str, seconds: float = SECONDS) -> Make:
    return clip("a.mp4", *out, video=f"testsrc2=size={size}:rate=25", picture_s=seconds, sound_s=seconds)


def other_sound(rate: str, layout: str = "mono", codec: str = "aac", name: str = "a.mkv") -> Make:
    return clip(
        name, "-ar", rate, "-channel_layout", layout, "-c:a", codec, sound=f"{TONE},aformat=channel_layouts={layout}"
    )


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CASES: dict[str, tuple[Make, str | None]] = {
    # Rates and times.
    "23.976 fps": (other_rate("24000/1001"), None),
    "29.97 fps": (other_rate("30000/1001"), None),
    "30 fps": (other_rate("30"), None),
    "12.5 fps": (other_rate("25/2"), None),
    "50 fps": (other_rate("50"), None),
    "60 fps": (other_rate("60"), None),
    "variable rate": (clip("a.mkv", "-vf", "select=not(mod(n\\,3))+lt(n\\,20)", "-fps_mode", "vfr"), None),
    "negative timestamps": (again("-c", "copy", "-output_ts_offset", "-1", name="b.mkv"), None),
    "timestamps from 10 s": (again("-c", "copy", "-output_ts_offset", "10", name="b.ts"), None),
    "edit list": (again("-c", "copy", before=("-ss", "0.5")), None),
    # Pictures.
    "rotated 90": (rotated(90), None),
    "rotated 180": (rotated(180), None),
    "rotated 270": (rotated(270), None),
    "interlaced": (clip("a.mp4", "-flags", "+ilme+ildct", "-x264opts", "tff=1"), None),
    "10 bit": (clip("a.mp4", "-pix_fmt", "yuv420p10le"), None),
    "4:4:4": (clip("a.mp4", "-pix_fmt", "yuv444p"), None),
    "4:2:2": (clip("a.mp4", "-pix_fmt", "yuv422p"), None),
    "grey": (clip("a.mp4", "-pix_fmt", "gray"), None),
    "full range": (clip("a.mp4", "-pix_fmt", "yuvj420p"), None),
    "odd size": (other_size("127x95", "-pix_fmt", "yuv444p"), None),
    "tall": (other_size("96x400"), None),
    "16x16": (other_size("16x16"), "face_too_small"),
    "4K": (other_size("3840x2160", seconds=0.84), None),
    "wider than allowed": (other_size("9000x16", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p"), "unreadable"),
    "picture size changes": (size_changes, None),
    "frozen": (clip(video="testsrc2=size=128x96:rate=25,loop=100:1:0"), "frozen"),
    "blurred": (clip("a.mp4", "-vf", "gblur=sigma=30", "-crf", "10"), "blurred"),
    # Codecs and containers.
    "mpeg4 in avi": (clip("a.avi", codec=("-c:v", "mpeg4")), None),
    "mjpeg in mov": (clip("a.mov", codec=("-c:v", "mjpeg", "-pix_fmt", "yuvj420p")), None),
    "mpeg2 in mpg": (clip("a.mpg", codec=("-c:v", "mpeg2video")), None),
    "vp9 in webm": (clip("a.webm", codec=("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")), None),
    "hevc": (clip(codec=("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error")), None),
    "prores": (clip("a.mov", codec=("-c:v", "prores_ks")), None),
    "ffv1 in mkv": (clip("a.mkv", codec=("-c:v", "ffv1")), None),
    "h264 in mkv": (clip("a.mkv"), None),
    "h264 in ts": (clip("a.ts"), None),
    "fragmented mp4": (clip("a.mp4", "-movflags", "+frag_keyframe+empty_moov", "-g", "10"), None),
    "open GOP, B frames": (clip("a.mp4", "-bf", "3", "-g", "30", "-x264opts", "open-gop=1"), None),
    "mp4 named avi": (again("-c", "copy", "-f", "mp4", name="b.avi"), None),
    "two video streams": (again("-map", "0:v", "-map", "0:v", "-map", "0:a", "-c", "copy"), None),
    "chapters and tags": (again("-c", "copy", "-metadata", "title=\n../x"), None),
    "linked": (linked, None),
    # Sound.
    "no sound": (clip(sound=None), "no_audio"),
    "digital silence": (clip(sound="anullsrc=r=48000:cl=stereo"), "silent"),
    "almost silence": (clip(sound=f"{TONE},volume=-70dB"), "silent"),
    "8 kHz": (other_sound("8000"), None),
    "44.1 kHz stereo": (other_sound("44100", "stereo"), None),
    "48 kHz 5.1": (other_sound("48000", "5.1"), None),
    "96 kHz 24 bit": (other_sound("96000", "stereo", "flac"), None),
    "mp3": (other_sound("44100", "stereo", "libmp3lame"), None),
    "opus": (other_sound("48000", "mono", "libopus"), None),
    "ac3": (other_sound("48000", "5.1", "ac3"), None),
    "pcm 24 bit": (other_sound("48000", "mono", "pcm_s24le"), None),
    "sound 5 s longer": (clip(sound_s=SECONDS + 5), "length_mismatch"),
    "sound 5 s shorter": (clip(picture_s=SECONDS + 5), "length_mismatch"),
    "sound 0.3 s longer": (clip(sound_s=SECONDS + 0.3), None),
    **{f"sound {n:+d} frames": (with_offset(n), None) for n in (-15, -10, -5, -2, -1, 1, 2, 5, 10, 15)},
    # Hardly anything there.
    "1 frame": (clip(picture_s=0.04, sound_s=0.04), "too_short"),
    "0.5 s": (clip(picture_s=0.5, sound_s=0.5), "too_short"),
    "sound only": (again("-vn", "-c:a", "copy"), "no_video"),
    "wav named mp4": (again("-vn", "-f", "wav"), "no_video"),
    "sound with a cover": (cover_only, "no_video"),
    "empty": (written(b""), "unreadable"),
    "a folder": (a_folder, "unreadable"),
    # Damage.
    "cut at 1 %": (cut_at(0.01), "unreadable"),
    "cut at 10 %": (cut_at(0.1), "truncated"),
    "cut at 50 %": (cut_at(0.5), "truncated"),
    "cut at 90 %": (cut_at(0.9), "truncated"),
    "no moov": (changed(clip(), lambda data: data[: data.rfind(b"moov") - 4]), "unreadable"),
    "zeros for a tail": (changed(clip("a.mp4", "-movflags", "+faststart"), lambda d: d[: len(d) // 2] + bytes(len(d) // 2)), "truncated"),
    "first kilobyte gone": (changed(clip("a.mp4", "-movflags", "+faststart"), lambda data: data[1024:]), "unreadable"),
    "noise": (written(np.random.default_rng(0).bytes(50_000)), "unreadable"),
    # Not what they seem.
    "text": (written("hello"), "unreadable"),
    "html": (written("<html><body>404</body></html>"), "unreadable"),
    "picture": (again("-frames:v", "1", "-f", "image2", "-c:v", "png", "-update", "1"), "unreadable"),
    "animation": (again("-f", "gif"), "no_audio"),
    "playlist": (written(PLAYLIST), "unreadable"),
    "concat script": (written("ffconcat version 1.0\nfile /etc/hostname\n"), "unreadable"),
    "session description": (written("v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"), "unreadable"),
}  # fmt: skip

# Where some frames survive, it depends on the decoder whether they count as a clip; what matters is no crash.
EITHER: dict[str, tuple[Make, set[str | None]]] = {
    "zeros in the middle": (changed(clip("a.mp4", "-movflags", "+faststart"), spoiled), {None, "unreadable", "truncated"}),
    "zeros in the middle of a ts": (changed(clip("a.ts"), spoiled, "b.ts"), {None, "unreadable", "truncated"}),
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], dict[str, Any]]:
    """Standardize with a detector that finds a face in the middle, and nothing left outside of the store."""
    monkeypatch.chdir(tmp_path)

    def standardize(path: Path) -> dict[str, Any]:
        before = {p for p in tmp_path.rglob("*")}
        config, store = MediaConfig(size=64), tmp_path / "store"
        row = standardize_clip(path, None, None, None, store, "clip", config, lambda: FakeDetector(0.6))
        new = {p.relative_to(tmp_path).as_posix() for p in set(tmp_path.rglob("*")) - before} - {"store"}
        assert new == {f"store/{row[name]}" for name in ("video_path", "audio_path") if row[name]}
        assert str(tmp_path) not in str(row["detail"])
        return row

    return standardize


def verdict(row: dict[str, Any]) -> str | None:
    found = decide(row, QualityConfig())
    return row["reason"] or (None if found is None else str(found[0]))


@pytest.mark.thinned(3)
@pytest.mark.parametrize("name", CASES)
def test_each_file_ends_as_expected(name: str, tmp_path: Path, run: Callable[[Path], dict[str, Any]]) -> None:
    make, expected = CASES[name]
    row = run(make(tmp_path))
    assert verdict(row) == expected, (row["detail"], decide(row, QualityConfig()))
    if expected is None:
        pictures, length = list(read_frames(tmp_path / "store" / "clip.mp4")), row["n_frames"]
        assert len(pictures) == length and row["duration_s"] == length / 25
        assert len(read_audio(tmp_path / "store" / "clip.wav")) == length * 640


def test_there_are_enough_of_them() -> None:
    assert len(CASES) + len(EITHER) >= 60


@pytest.mark.parametrize("name", EITHER)
def test_half_destroyed_files_crash_nothing(name: str, tmp_path: Path, run: Callable[[Path], dict[str, Any]]) -> None:
    make, allowed = EITHER[name]
    assert verdict(run(make(tmp_path))) in allowed


@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "30", "25/2", "60"])
def test_every_rate_keeps_the_length(rate: str, tmp_path: Path, run: Callable[[Path], dict[str, Any]]) -> None:
    assert abs(run(other_rate(rate)(tmp_path))["n_frames"] - 50) <= 1


@pytest.mark.parametrize("frames", [-15, -5, -1, 1, 5, 15])
def test_offsets_are_measured_and_kept(frames: int, tmp_path: Path, run: Callable[[Path], dict[str, Any]]) -> None:
    """The tone starts with the sound: where it begins in the result tells where the sound was put."""
    row = run(with_offset(frames)(tmp_path))
    # The encoder's priming moves the start of AAC by up to 1024 samples, and Matroska counts in milliseconds.
    assert row["audio_offset_s"] == pytest.approx(frames / 25, abs=0.025)
    samples = np.abs(read_audio(tmp_path / "store" / "clip.wav"))
    first = float(np.argmax(samples > 0.02)) / 16_000
    assert first == pytest.approx(max(0.0, frames / 25), abs=0.03)


HOSTILE = [
    "with space.mp4", "quote'\".mp4", "new\nline.mp4", "-dash.mp4", "$(touch x).mp4", ";touch x.mp4", "`touch x`.mp4",
    "\u202ertl.mp4", "emoji \U0001f600.mp4", "n" * 240 + ".mp4", "http:x.mp4", "concat:a.mp4|b.mp4", "pipe:0.mp4",
    "%03d.mp4", "dot..mp4", "back\\slash.mp4", "*?[a].mp4", "data:,x.mp4",
]  # fmt: skip


@pytest.mark.thinned(3)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(
    name: str, tmp_path: Path, run: Callable[[Path], dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    plain = tmp_path_factory.getbasetemp() / "plain.mp4"
    if not plain.exists():
        clip("plain.mp4")(plain.parent)
    shutil.copy(plain, tmp_path / name)
    # Relative, as somebody types it: a name must not become an option or an address.
    assert verdict(run(Path(name))) is None
    assert not (tmp_path / "x").exists()
