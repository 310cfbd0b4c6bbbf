"""Sounds as recorders, phones and editors make them: the samples that everyone reads are those of the plain file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from magictalk_core.commands.speech import featurize_file
from magictalk_core.commands.untrusted import sound_of
from magictalk_core.config import MediaConfig
from magictalk_core.errors import UserError
from magictalk_core.media import sound
from magictalk_core.media.audio import write_wav
from magictalk_core.media.container import MediaError
from magictalk_core.media.decode import read_audio
from magictalk_core.media.probe import probe
from magictalk_core.media.sound import read_sound
from magictalk_core.media.standardize import standardize_clip
from magictalk_core.vocabulary.clips import Reason
from tests.media_fixtures import FakeDetector, ffmpeg, make_clip

RATE = 16_000


def voice(seconds: float = 1.5) -> NDArray[np.float32]:
    """Syllables: a buzz with formants that opens and closes four times a second."""
    t = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 4 * t) + 0.3, 0, 1)
    return np.asarray(0.2 * buzz * syllables, np.float32)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    write_wav(tmp_path / "plain.wav", voice(), RATE)
    return tmp_path / "plain.wav"


def likeness(path: Path, reference: Path) -> float:
    """Correlation with the samples of the reference, and their level: 1 where both are the same."""
    ours, theirs = read_audio(path), read_audio(reference)
    n = min(len(ours), len(theirs))
    assert n > 0.95 * len(theirs)
    return float(np.dot(ours[:n], theirs[:n]) / np.dot(theirs[:n], theirs[:n]))


FORMS = {
    "caf": ("a.caf", ["-c:a", "pcm_s16be"]),
    "aifc": ("a.aiff", ["-c:a", "pcm_s16le"]),
    "au": ("a.au", ["-c:a", "pcm_s16be"]),
    "wma": ("a.wma", ["-c:a", "wmav2", "-b:a", "128k"]),
    "ac3": ("a.ac3", ["-ar", "48000", "-c:a", "ac3", "-b:a", "192k"]),
    "eac3": ("a.eac3", ["-ar", "48000", "-c:a", "eac3", "-b:a", "192k"]),
    "wavpack": ("a.wv", ["-c:a", "wavpack"]),
    "w64": ("a.w64", ["-c:a", "pcm_s16le"]),
    "left only": ("a.wav", ["-af", "pan=stereo|c0=c0|c1=0*c0"]),
    "centre of six": (
        "b.wav",
        ["-af", "pan=5.1|FC=c0|FL=0*c0|FR=0*c0|BL=0*c0|BR=0*c0|LFE=0*c0", "-c:a", "pcm_s16le"],
    ),
    "both channels": ("c.wav", ["-af", "pan=stereo|c0=c0|c1=c0"]),
    "beyond full scale": ("d.wav", ["-af", "volume=20,aformat=sample_fmts=flt", "-c:a", "pcm_f32le"]),
}
LATE = {"wma": 512, "ac3": 256 // 3, "eac3": 256 // 3}
"""Samples that an encoder puts before the sound without saying so in the file; no reader can know."""


@pytest.mark.parametrize("name", FORMS)
def test_the_sound_is_that_of_the_plain_file(name: str, tmp_path: Path, plain: Path) -> None:
    file, options = FORMS[name]
    ffmpeg("-i", plain, *options, tmp_path / file)
    late = LATE.get(name, 0)
    ours, theirs = read_audio(tmp_path / file)[late:], read_audio(plain)
    n = min(len(ours), len(theirs))
    assert n >= len(theirs) - late - RATE // 50
    assert np.corrcoef(ours[:n], theirs[:n])[0, 1] > 0.97
    if name != "beyond full scale":
        assert np.std(ours[:n]) == pytest.approx(np.std(theirs[:n]), rel=0.03)


def test_an_amr_recording_is_read(tmp_path: Path) -> None:
    """As phones record it: a header and frames of 20 ms at 12.2 kbit/s, of zeros, which need no encoder."""
    (tmp_path / "a.amr").write_bytes(b"#!AMR\n" + (b"\x3c" + bytes(31)) * 50)
    assert probe(tmp_path / "a.amr").codec.startswith("amr")
    assert len(read_audio(tmp_path / "a.amr")) == pytest.approx(RATE, abs=RATE // 20)


@pytest.mark.parametrize("second", ["-1*c0", "-0.9*c0"])
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_u8", "alac", "aac"])
def test_of_channels_that_cancel_each_other_one_is_taken(codec: str, second: str, tmp_path: Path, plain: Path) -> None:
    path = tmp_path / "a.mov"
    ffmpeg("-i", plain, "-af", f"pan=stereo|c0=c0|c1={second}", "-c:a", codec, path)
    found = read_sound(path)
    assert found.remarks == ("the channels of the sound cancel each other: channel 1 of 2 taken",)
    assert likeness(path, plain) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("second", ["-1*c0", "-0.9*c0"])
@pytest.mark.parametrize("part", [(1.5, 2.0), (0.0, 0.7), (0.4, 0.63)])
def test_of_channels_that_cancel_each_other_in_a_part_one_is_taken_there(
    part: tuple[float, float], second: str, tmp_path: Path
) -> None:
    """Of each other, as when a plug is turned while the sound is recorded; two people speak before and after."""
    n, (begin, end) = 2 * RATE, part
    times, own = np.arange(n) / RATE, voice(2.0)
    inside = (times >= begin) & (times < end)
    other = np.where(inside, float(second.removesuffix("*c0")) * own, 0.3 * np.sin(2 * np.pi * 1900 * times))
    mixed = np.where(inside, own, (own + other) / 2)
    np.column_stack([own, other]).astype("<f4").tofile(tmp_path / "a.f32")
    ffmpeg("-f", "f32le", "-ar", RATE, "-ac", "2", "-i", tmp_path / "a.f32", "-c:a", "pcm_s16le", tmp_path / "a.wav")
    found = read_sound(tmp_path / "a.wav")
    (told,) = found.remarks
    seconds = float(told.removeprefix("the channels of the sound cancel each other in ").split(" s of it: ")[0])
    assert told.endswith("channel 1 of 2 taken there") and end - begin - 0.3 < seconds <= end - begin + 0.05
    # Two windows and their neighbours hold both what cancels and what does not.
    sure = np.abs(times - begin) > 0.08
    sure &= np.abs(times - end) > 0.08
    assert np.abs(found.samples - mixed)[sure].max() < 0.01
    level = np.sqrt(np.square(found.samples[inside]).mean() / np.square(own[inside]).mean())
    assert level == pytest.approx(1.0, abs=0.05)


def test_channels_of_two_people_are_mixed(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "aevalsrc=0.3*sin(700*t)|0.3*sin(1900*t):s=16000:d=1", tmp_path / "a.wav")
    found = read_sound(tmp_path / "a.wav")
    assert found.remarks == ()
    assert np.std(found.samples) == pytest.approx(0.15, abs=0.01)


def test_what_is_no_number_is_silence(tmp_path: Path) -> None:
    samples = voice()
    samples[5000:5040] = np.nan
    samples[9000] = np.inf
    samples.astype("<f4").tofile(tmp_path / "a.f32")
    ffmpeg("-f", "f32le", "-ar", RATE, "-ac", "1", "-i", tmp_path / "a.f32", "-c:a", "pcm_f32le", tmp_path / "a.wav")
    found = read_sound(tmp_path / "a.wav")
    assert found.remarks == ("41 samples of the sound are not numbers: taken as silence",)
    assert np.abs(found.samples - np.nan_to_num(samples, posinf=0.0)).max() < 0.001


TRACKS = {
    "first silent": ([], "sound track 2 of 2 taken"),
    "second default": (
        ["-disposition:a:0", "0", "-disposition:a:1", "default"],
        "sound track 2 of 2 taken, marked as default",
    ),
    "silent default": (["-disposition:a:0", "default", "-disposition:a:1", "0"], "sound track 2 of 2 taken"),
}


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
@pytest.mark.parametrize("name", TRACKS)
def test_the_track_that_sounds_is_taken_and_told(name: str, suffix: str, tmp_path: Path, plain: Path) -> None:
    options, told = TRACKS[name]
    clip, path = make_clip(tmp_path / "v.mp4", 1.5, sound=None), tmp_path / f"a.{suffix}"
    silence = ("-f", "lavfi", "-t", "1.5", "-i", "anullsrc=r=48000:cl=stereo")
    maps = ("-map", "0:v", "-map", "1:a", "-map", "2:a", "-c:v", "copy", "-c:a", "aac")
    ffmpeg("-i", clip, *silence, "-i", plain, *maps, *options, path)
    assert likeness(path, plain) == pytest.approx(1.0, abs=0.05)
    assert any(remark.startswith(told) for remark in read_sound(path).remarks)
    row = standardize_clip(path, None, None, None, tmp_path, "out", MediaConfig(size=64), FakeDetector)
    assert row["status"] == "ok" and row["loudest_dbfs"] > -20 and row["detail"].startswith(told)


def test_the_default_track_wins_over_another_that_sounds(tmp_path: Path, plain: Path) -> None:
    noise = ("-f", "lavfi", "-t", "1.5", "-i", "anoisesrc=a=0.02:r=16000")
    flags = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    ffmpeg(*noise, "-i", plain, "-map", "0:a", "-map", "1:a", "-c:a", "flac", *flags, tmp_path / "a.mkv")
    assert likeness(tmp_path / "a.mkv", plain) == pytest.approx(1.0, abs=0.02)
    flags = ("-disposition:a:0", "default", "-disposition:a:1", "0")
    ffmpeg(*noise, "-i", plain, "-map", "0:a", "-map", "1:a", "-c:a", "flac", *flags, tmp_path / "b.mkv")
    assert abs(likeness(tmp_path / "b.mkv", plain)) < 0.1


@pytest.mark.parametrize("samples", [1, 100, 320, 639])
def test_less_than_a_frame_of_sound_is_refused(samples: int, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", voice(1.0)[1000 : 1000 + samples], RATE)
    with pytest.raises(UserError, match=rf"a\.wav: holds {samples / 16:.0f} ms of sound, expected at least the 40 ms"):
        featurize_file(tmp_path / "a.wav", tmp_path / "a.npy", "logmel-29-1")
    assert not (tmp_path / "a.npy").exists()


def test_one_frame_of_sound_is_one_row_of_features(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", voice(1.0)[1000:1640], RATE)
    assert featurize_file(tmp_path / "a.wav", tmp_path / "a.npy", "logmel-29-1").shape == "1 x 29"


def test_a_picture_that_starts_late_costs_animate_nothing(tmp_path: Path, plain: Path) -> None:
    clip, path = make_clip(tmp_path / "v.mp4", 1.0, sound=None), tmp_path / "a.mkv"
    ffmpeg("-itsoffset", "0.5", "-i", clip, "-i", plain, "-map", "0:v", "-map", "1:a", "-c", "copy", path)
    own = sound_of(path, RATE, own_clock=True)
    theirs = read_audio(plain)
    assert len(own.samples) == len(theirs) and np.abs(own.samples - theirs).max() < 0.001
    beside = sound_of(path, RATE)
    assert beside.remarks == ("the first 0.50 s of sound, before the picture, left out",)
    assert np.abs(beside.samples - theirs[RATE // 2 :]).max() < 0.001


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_streamed_wav_of_unknown_length_is_whole(size: int, plain: Path, tmp_path: Path) -> None:
    data = bytearray(plain.read_bytes())
    at = data.find(b"data")
    data[4:8] = data[at + 4 : at + 8] = size.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    found = read_sound(tmp_path / "a.wav")
    assert found.remarks == () and len(found.samples) == len(read_audio(plain))


def test_a_wav_that_breaks_off_is_told(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.wav").write_bytes(plain.read_bytes()[: 44 + RATE])
    assert read_sound(tmp_path / "cut.wav").remarks == ("the sound stops at 0.50 s of 1.50 s: the rest is missing",)


def test_a_sound_that_breaks_off_is_told(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", voice(3.0), RATE)
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", "flac", tmp_path / "a.flac")
    whole = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    assert read_sound(tmp_path / "a.flac").remarks == ()
    (told,) = read_sound(tmp_path / "cut.flac").remarks
    assert told.startswith("the sound stops at ") and told.endswith(" s of 3.00 s: the rest is missing")
    made = featurize_file(tmp_path / "cut.flac", tmp_path / "a.npy", "logmel-29-1")
    assert made.remarks == told


def test_a_wma_that_breaks_off_is_told(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", voice(3.0), RATE)
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", "wmav2", "-b:a", "128k", tmp_path / "a.wma")
    whole = (tmp_path / "a.wma").read_bytes()
    (tmp_path / "cut.wma").write_bytes(whole[: len(whole) // 2])
    assert read_sound(tmp_path / "a.wma").remarks == ()
    (told,) = read_sound(tmp_path / "cut.wma").remarks
    assert told.startswith("the sound stops at 1.") and told.endswith(" s: the rest is missing")


def test_speech_of_silence_is_said(tmp_path: Path) -> None:
    for level, told in ((0.0, "nothing but silence: the features say nothing"), (0.2, None)):
        write_wav(tmp_path / "a.wav", np.full(RATE, level, np.float32), RATE)
        assert featurize_file(tmp_path / "a.wav", tmp_path / "a.npy", "logmel-29-1").remarks == told


def test_hours_of_sound_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the header where it is to be trusted, else as soon as there is too much."""
    monkeypatch.setattr(sound, "_MAX_AUDIO_S", 2.0)
    made = {name: tmp_path / name for name in ("a.flac", "a.mp3")}
    for path in made.values():
        ffmpeg("-f", "lavfi", "-t", "5", "-i", "sine=frequency=300:sample_rate=16000", path)
    for path in made.values():
        with pytest.raises(MediaError, match="more than 2 s of sound") as refused:
            read_sound(path)
        assert refused.value.reason == Reason.TOO_LONG
    assert len(read_sound(made["a.mp3"], end_s=1.0).samples) == 16_000
