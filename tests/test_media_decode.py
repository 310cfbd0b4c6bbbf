from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.media.decode import at_constant_rate, read_audio, read_frames
from magictalk_core.media.probe import MediaError, probe
from magictalk_core.media.timed import Timed
from magictalk_core.vocabulary.clips import Reason
from tests.media_fixtures import ffmpeg, make_clip, make_levels


@given(
    st.lists(st.floats(0.001, 0.4), min_size=1, max_size=40),
    st.sampled_from([25.0, 24.0, 30.0]),
)
def test_constant_rate_takes_the_nearest_frame(durations: list[float], fps: float) -> None:
    times = np.concatenate([[0.0], np.cumsum(durations)[:-1]])
    items = [Timed.of(float(t), d, i) for i, (t, d) in enumerate(zip(times, durations, strict=True))]
    chosen = list(at_constant_rate(items, fps))
    assert abs(len(chosen) - sum(durations) * fps) <= 1
    for k, i in enumerate(chosen):
        assert abs(times[i] - k / fps) <= np.abs(times - k / fps).min() + 1e-9


@given(st.floats(0, 3), st.floats(0.2, 3))
def test_a_cut_has_the_length_that_was_asked_for(start: float, length: float) -> None:
    items = [Timed.of(i / 30, 1 / 30, i) for i in range(300)]
    chosen = list(at_constant_rate(items, 25, start, start + length))
    assert abs(len(chosen) - length * 25) <= 0.5 + 1e-6
    assert abs(chosen[0] / 30 - start) <= 1 / 60 + 1e-9


def test_frames_that_go_back_in_time_are_left_out() -> None:
    items = [Timed.of(t, 0.04, i) for i, t in enumerate([0.0, 0.04, 0.02, 0.08])]
    assert list(at_constant_rate(items, 25)) == [0, 1, 3]


@pytest.mark.parametrize("rate", ["25", "30", "30000/1001", "24000/1001", "50", "12.5"])
def test_any_rate_becomes_25_fps(tmp_path: Path, rate: str) -> None:
    path = make_clip(tmp_path / "a.mp4", 2.0, rate)
    frames = list(read_frames(path))
    assert abs(len(frames) - 50) <= 1
    assert frames[0].shape == (120, 160, 3) and frames[0].dtype == np.uint8


def test_variable_rate_frames_lie_at_their_times(tmp_path: Path) -> None:
    times, levels = [0.0, 0.5, 0.54, 1.3, 1.4, 1.9], [20, 60, 100, 140, 180, 220]
    found = [int(frame.mean()) for frame in read_frames(make_levels(tmp_path / "v.mp4", times, levels))]
    expected = [levels[int(np.argmin(np.abs(np.array(times) - k / 25)))] for k in range(len(found))]
    assert 48 <= len(found) <= 49
    assert np.abs(np.array(found) - expected).max() <= 3


CLICK = "aevalsrc=if(gt(t\\,0.6)\\,0.5*sin(3000*t)\\,0):s=48000"


@pytest.mark.parametrize(("suffix", "offset", "lost"), [("mkv", -0.2, 5), ("mp4", -0.2, 5), ("ts", 7.3, 0)])
def test_time_zero_is_the_first_picture_whatever_the_file_says(
    tmp_path: Path, suffix: str, offset: float, lost: int
) -> None:
    """What lies before time zero of the file is not shown, by any player; the rest stays together."""
    clip = make_clip(tmp_path / "a.mkv", 1.0, sound=CLICK)
    moved = tmp_path / f"b.{suffix}"
    ffmpeg("-i", clip, "-c:v", "copy", "-avoid_negative_ts", "disabled", "-output_ts_offset", offset, moved)
    ours, plain = list(read_frames(moved)), list(read_frames(clip))
    assert len(plain) == 25 and len(ours) == 25 - lost
    np.testing.assert_array_equal(ours[10], plain[10 + lost])
    onset = int(np.argmax(np.abs(read_audio(moved)) > 0.1)) / 16000
    assert onset == pytest.approx(0.6 - lost / 25, abs=0.01)


def test_files_without_presentation_times_play_at_their_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=2", "-c:v", "mpeg4", "-bf", "2", path)
    assert abs(len(list(read_frames(path))) - 50) <= 1


def test_a_cut_from_a_long_file_equals_the_same_frames_of_the_whole(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 12.0, "30", extra=["-g", "60"])
    whole = list(read_frames(path))
    part = list(read_frames(path, start_s=8.0, end_s=9.0))
    assert len(part) == 25
    for k in (0, 13, 24):
        np.testing.assert_array_equal(part[k], whole[200 + k])
    sound, cut = read_audio(path), read_audio(path, start_s=8.0, end_s=9.0)
    assert len(cut) == 16000
    np.testing.assert_allclose(cut[2000:14000], sound[130000:142000], atol=0.02)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, angle: int) -> None:
    import av

    path = tmp_path / "r.mp4"
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:24, :32] = (255, 0, 0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_rotation(angle)
        for _ in range(25):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    expected = np.rot90(picture, angle // 90)
    frame = next(read_frames(path))
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(int) - expected).mean() < 12
    assert (probe(path).height, probe(path).width) == expected.shape[:2]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.wav", ["-c:a", "pcm_s24le", "-ar", "48000", "-ac", "2"]),
        ("b.wav", ["-c:a", "pcm_f32le", "-ar", "44100"]),
        ("c.wav", ["-c:a", "pcm_u8", "-ar", "8000"]),
        ("d.m4a", ["-c:a", "aac", "-ar", "48000", "-ac", "2"]),
        ("e.m4a", ["-c:a", "aac", "-ar", "48000", "-ac", "6"]),
        ("f.wav", ["-c:a", "pcm_s16le", "-ar", "16000"]),
    ],
)
def test_any_sound_becomes_mono_at_16_khz(tmp_path: Path, name: str, arguments: list[str]) -> None:
    path = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:duration=2:sample_rate=48000", *arguments, path)
    samples = read_audio(path)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert abs(len(samples) - 32000) < 1100
    assert 0.02 < np.abs(samples).max() <= 1
    spectrum = np.abs(np.fft.rfft(samples[4000:28000]))
    assert abs(int(spectrum.argmax()) * 16000 / 24000 - 440) < 2


def test_full_scale_stereo_does_not_clip(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    tone = "aevalsrc=0.99*sin(880*PI*t)|0.99*sin(880*PI*t):s=16000:d=1"
    ffmpeg("-f", "lavfi", "-i", tone, "-c:a", "pcm_f32le", path)
    samples = read_audio(path)
    assert 0.97 < np.abs(samples).max() < 1.0
    assert np.mean(np.abs(samples) > 0.985) < 0.15


@pytest.mark.parametrize("delay", [0.5, -0.5])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_keeps_its_offset_to_the_picture(tmp_path: Path, delay: float, suffix: str) -> None:
    clip, path = make_clip(tmp_path / "a.mp4", 2.0, sound=CLICK), tmp_path / f"b.{suffix}"
    late = ["-itsoffset", str(abs(delay)), "-i", clip]
    inputs = [*late, "-i", clip] if delay < 0 else ["-i", clip, *late]
    ffmpeg(*inputs, "-map", "0:v", "-map", "1:a", "-c", "copy", path)
    assert len(list(read_frames(path))) == 50
    onset = int(np.argmax(np.abs(read_audio(path)) > 0.1))
    assert onset / 16000 == pytest.approx(0.6 + delay, abs=0.01)


def test_missing_streams_have_their_reason(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as no_audio:
        read_audio(make_clip(tmp_path / "a.mp4", 1.0, sound=None))
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "b.m4a")
    with pytest.raises(MediaError) as no_video:
        next(read_frames(tmp_path / "b.m4a"))
    assert no_audio.value.reason == Reason.NO_AUDIO and no_video.value.reason == Reason.NO_VIDEO


def test_probe_reads_the_headers(tmp_path: Path) -> None:
    found = probe(make_clip(tmp_path / "a.mkv", 2.0, "30", "161x121", extra=["-pix_fmt", "yuv444p"]))
    assert (found.width, found.height, found.codec) == (161, 121, "h264")
    assert found.fps == pytest.approx(30) and found.duration_s == pytest.approx(2, abs=0.05)
    assert (found.has_video, found.has_audio, found.sample_rate) == (True, True, 48000)


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", "1", tmp_path / "cover.png")
    ffmpeg(
        *("-f", "lavfi", "-i", "sine=duration=1", "-i", tmp_path / "cover.png", "-map", "0", "-map", "1"),
        *("-c:v", "mjpeg", "-disposition:v:0", "attached_pic", tmp_path / "song.m4a"),
    )
    assert not probe(tmp_path / "song.m4a").has_video
