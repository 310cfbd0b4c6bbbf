from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from magictalk_core.config import MediaConfig, QualityConfig
from magictalk_core.faces.detection import load_face_detector
from magictalk_core.media import scan
from magictalk_core.media.audio import loudest_dbfs, write_wav
from magictalk_core.media.decode import read_audio, read_frames
from magictalk_core.media.probe import probe
from magictalk_core.media.signature import signature_distance
from magictalk_core.media.standardize import standardize_clip
from magictalk_core.preparation.gates import decide
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import MEDIA
from tests.media_fixtures import X264, FakeBox, FakeDetector, ffmpeg, make_clip, make_levels, mark_rotation

CONFIG = MediaConfig(size=64)

Standardize = Callable[..., dict[str, Any]]


@pytest.fixture
def detector() -> FakeDetector:
    """Stands in for the face network, which needs a weights file."""
    return FakeDetector()


@pytest.fixture
def standardize(tmp_path: Path, detector: FakeDetector) -> Standardize:
    def run(video: Path, audio: Path | None = None, config: MediaConfig = CONFIG, **cut: float) -> dict[str, Any]:
        out = tmp_path / "out"
        start, end = cut.get("start_s"), cut.get("end_s")
        row = standardize_clip(video, audio, start, end, out, "a.b1", config, lambda: detector)
        write_table(MEDIA, [{"clip_id": "c/s/a", **row}], tmp_path / "row.parquet")
        files = {p.name for p in out.glob("*")} if out.is_dir() else set()
        assert files == {row[name] for name in ("video_path", "audio_path")} - {None}
        return row

    return run


def test_a_good_clip(tmp_path: Path, standardize: Standardize) -> None:
    row = standardize(make_clip(tmp_path / "a.mov", 2.0, "30", "321x241", extra=["-pix_fmt", "yuv444p"]))
    video, wave = tmp_path / "out" / "a.b1.mp4", tmp_path / "out" / "a.b1.wav"
    assert (row["status"], row["reason"], row["detail"]) == ("ok", None, None)
    assert (row["video_path"], row["audio_path"]) == (video.name, wave.name)
    assert (row["video_md5"], row["audio_md5"]) == (file_md5(video), file_md5(wave))
    assert (row["n_frames"], row["duration_s"]) == (50, 2.0)
    assert (row["native_width"], row["native_height"], row["native_rate"]) == (321, 241, 48000)
    # A face of 0.4 x 241 px in the middle, times 1.9.
    assert row["crop_size"] == 184 and abs(row["crop_x"] - 68.5) <= 1 and abs(row["crop_y"] - 28.5) <= 1
    found = probe(video)
    assert (found.width, found.height, found.fps, found.sample_rate) == (64, 64, 25.0, 16000)
    assert len(list(read_frames(video))) == 50
    samples = read_audio(wave)
    assert len(samples) == 32000
    inside = read_audio(video)[:32000]
    assert np.corrcoef(samples[2000:30000], inside[2000:30000])[0, 1] > 0.99


def test_same_input_same_bytes(tmp_path: Path, standardize: Standardize) -> None:
    clip = make_clip(tmp_path / "a.mp4", 1.0)
    first = standardize(clip)
    (tmp_path / "moved").mkdir()
    assert standardize(clip.rename(tmp_path / "moved" / "b.mp4")) == first


def test_picture_and_sound_stay_together(tmp_path: Path, standardize: Standardize) -> None:
    """A white flash and a click at 1.2 s, at 30 fps with 44.1 kHz sound."""
    clip = tmp_path / "a.mp4"
    ffmpeg(
        *(
            "-f",
            "lavfi",
            "-i",
            "color=black:size=160x120:rate=30:duration=2,drawbox=c=white:t=fill:enable='gte(t,1.2)'",
        ),
        *("-f", "lavfi", "-i", "aevalsrc=if(gte(t\\,1.2)\\,0.5*sin(4000*t)\\,0):d=2:s=44100"),
        *X264,
        clip,
    )
    standardize(clip)
    video = tmp_path / "out" / "a.b1.mp4"
    levels = [frame.mean() for frame in read_frames(video)]
    assert int(np.argmax(np.array(levels) > 128)) == 30
    for sound in (video, tmp_path / "out" / "a.b1.wav"):
        assert int(np.argmax(np.abs(read_audio(sound)) > 0.2)) / 16000 == pytest.approx(1.2, abs=0.005)


def test_the_sound_inside_wins_over_the_separate_file(tmp_path: Path, standardize: Standardize) -> None:
    other = tmp_path / "other.wav"
    write_wav(other, np.full(40_000, 0.25, np.float32), 16_000)
    assert standardize(make_clip(tmp_path / "a.mp4", 1.0), other)["status"] == "ok"
    assert np.abs(read_audio(tmp_path / "out" / "a.b1.wav")).max() < 0.2
    mute = standardize(make_clip(tmp_path / "b.mp4", 1.0, sound=None), other)
    assert mute["status"] == "ok"
    np.testing.assert_allclose(read_audio(tmp_path / "out" / "a.b1.wav"), np.full(16_000, 0.25), atol=1e-3)


def test_without_sound_the_video_is_still_written(tmp_path: Path, standardize: Standardize) -> None:
    row = standardize(make_clip(tmp_path / "a.mp4", 1.0, sound=None))
    assert (row["status"], row["reason"], row["audio_path"]) == ("rejected", "no_audio", None)
    assert row["video_path"] and not probe(tmp_path / "out" / row["video_path"]).has_audio


def reason(row: dict[str, Any], **thresholds: float) -> str | None:
    """What the gates say about a row."""
    found = decide(row, QualityConfig(**thresholds))
    return None if found is None else str(found[0])


def test_silence_is_told_from_speech(tmp_path: Path, standardize: Standardize) -> None:
    row = standardize(make_clip(tmp_path / "a.mp4", 1.0, sound="anullsrc=r=48000:cl=stereo"))
    assert row["status"] == "ok" and row["loudest_dbfs"] == -math.inf and reason(row) == "silent"
    assert row["video_path"] and row["audio_path"]
    assert json.loads(json.dumps(row)) == row, "rows travel as JSON"


def test_a_file_that_breaks_off(tmp_path: Path, standardize: Standardize) -> None:
    clip = make_clip(tmp_path / "a.mp4", 4.0, extra=["-movflags", "+faststart"])
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    row = standardize(clip)
    assert (row["status"], row["reason"]) == ("rejected", "truncated") and "of 4.00 s" in row["detail"]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "webm", "mpg"])
def test_half_a_file_is_never_an_exception(tmp_path: Path, standardize: Standardize, suffix: str) -> None:
    clip = tmp_path / f"a.{suffix}"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=96x64:rate=25:duration=4", "-f", "lavfi", "-i", "sine=duration=4", clip)
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    row = standardize(clip)
    # An MPEG program stream does not say how long it should be: what is there is a shorter clip.
    assert row["reason"] in {"truncated", "unreadable"} or (suffix == "mpg" and row["duration_s"] < 3)


@pytest.mark.parametrize(
    "content", [b"", b"text\n" * 500, b"\x00\x00\x00\x20ftypisom"], ids=["empty", "text", "header only"]
)
def test_what_is_no_video(tmp_path: Path, standardize: Standardize, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    row = standardize(tmp_path / "a.mp4")
    assert (row["status"], row["reason"]) == ("rejected", "unreadable")
    assert row["detail"] and str(tmp_path) not in row["detail"]


def test_sound_only(tmp_path: Path, standardize: Standardize) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "a.m4a")
    assert standardize((tmp_path / "a.m4a").rename(tmp_path / "a.mp4"))["reason"] == "no_video"


def test_length_limits(tmp_path: Path, standardize: Standardize) -> None:
    clip = make_clip(tmp_path / "a.mp4", 2.0)
    assert standardize(clip, config=CONFIG.model_copy(update={"max_decoded_s": 1.5}))["reason"] == "too_long"
    assert reason(standardize(make_clip(tmp_path / "b.mp4", 0.3))) == "too_short"
    assert reason(standardize(clip), max_duration_s=1.5) == "too_long"
    assert reason(standardize(clip, start_s=1.5)) == "too_short"
    cut = standardize(clip, start_s=0.5, end_s=1.5)
    assert (cut["status"], cut["n_frames"], cut["duration_s"]) == ("ok", 25, 1.0)


def test_no_face(tmp_path: Path, standardize: Standardize, detector: FakeDetector) -> None:
    clip = make_clip(tmp_path / "a.mp4", 1.0)
    detector.every = 0
    assert standardize(clip)["reason"] == "no_face"


class BrightFaces(FakeDetector):
    """Finds its face in bright pictures only."""

    def detect(self, rgb: np.ndarray) -> list[FakeBox]:
        return super().detect(rgb) if rgb.mean() > 128 else []


def test_a_face_that_comes_and_goes(tmp_path: Path) -> None:
    levels = [200 if i // 5 % 2 == 0 else 50 for i in range(25)]
    clip = make_levels(tmp_path / "a.mp4", [i / 25 for i in range(25)], levels)
    row = standardize_clip(clip, None, None, None, tmp_path / "out", "a", CONFIG, BrightFaces)
    assert row["face_share"] == 0.6 and row["other_speaker_share"] == 0.0 and row["video_path"]
    loose = {"min_sharpness": 0.0, "min_face_px": 10.0}
    assert (reason(row), reason(row, min_face_share=0.5, max_frozen_share=1.0, **loose)) == ("no_face", None)


def test_frames_beyond_the_memory_budget_are_decoded_again(
    tmp_path: Path, standardize: Standardize, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "a.mp4", 1.0, "30")
    once = standardize(clip)
    monkeypatch.setattr(scan, "KEEP_BYTES", 100_000)
    assert standardize(clip) == once


def test_a_rotated_clip_is_cropped_where_it_is_seen(tmp_path: Path, standardize: Standardize) -> None:
    """The same picture stored upright and stored lying with a rotation mark gives the same crop."""
    upright, lying = tmp_path / "a.mp4", tmp_path / "b.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc=size=240x320:rate=25:duration=1", "-f", "lavfi", "-i", "sine=duration=1"]
    ffmpeg(*picture, *X264, "-crf", "8", upright)
    ffmpeg(*picture, "-vf", "transpose=clock", *X264, "-crf", "8", tmp_path / "c.mp4")
    mark_rotation(tmp_path / "c.mp4", 90, lying)
    first = standardize(upright)
    expected = np.stack(list(read_frames(tmp_path / "out" / "a.b1.mp4")))
    second = standardize(lying)
    found = np.stack(list(read_frames(tmp_path / "out" / "a.b1.mp4")))
    by_pixels = {"video_md5", "sharpness", "signature", "cut_score", "fade_score"}
    assert all(first[name] == second[name] for name in set(first) - by_pixels)
    assert signature_distance(first["signature"], second["signature"]) < 0.05
    # Luma: chroma samples lie to the left of their pixels, and above them once the picture is turned.
    assert np.abs(found.mean(axis=-1) - expected.mean(axis=-1)).mean() < 4


def test_write_wav_refuses_what_is_no_sound(tmp_path: Path) -> None:
    from magictalk_core.errors import PermanentError

    for samples in (np.zeros((2, 5), np.float32), np.array([np.nan], np.float32)):
        with pytest.raises(PermanentError, match="finite mono samples"):
            write_wav(tmp_path / "a.wav", samples, 16_000)
    assert not (tmp_path / "a.wav").exists()


def test_level() -> None:
    assert loudest_dbfs(np.ones(1600, np.float32), 16_000) == pytest.approx(0)
    assert loudest_dbfs(np.zeros(0, np.float32), 16_000) == -np.inf
    quiet = np.zeros(16_000, np.float32)
    quiet[3200:4800] = 0.1
    assert loudest_dbfs(quiet, 16_000) == pytest.approx(-20)


@pytest.mark.shared
def test_real_clips(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The face network on real footage: MPEG-1, variable rate, 1080p, and a clip that fills its picture."""
    monkeypatch.setenv("MAGICTALK_WEIGHTS", str(shared / "weights"))
    expected = {
        "grid_swiz3n.mpg": (75, 200, 300),
        "videoretalking_1.mp4": (152, 400, 500),
        "mead_M030_sad_level3_001_audio.mp4": (93, 850, 1000),
        "real3d_may_5s.mp4": (125, 512, 512),
    }
    for name, (frames, low, high) in expected.items():
        path = shared / "samples" / "clips" / name
        row = standardize_clip(path, None, None, None, tmp_path, name, MediaConfig(), load_face_detector)
        assert (row["status"], row["n_frames"]) == ("ok", frames), row
        assert low <= row["crop_size"] <= high, row
