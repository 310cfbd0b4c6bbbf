"""Sounds as people have them: any format, length and level gives the right rows, finite, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from media_fixtures import ffmpeg
from speech_fixtures import noise, random_model

from magictalk_core.errors import MagicTalkError
from magictalk_core.media.audio import write_wav
from magictalk_core.speech import extractor
from magictalk_core.speech.checks import feature_problems, silence_problems
from magictalk_core.speech.extractor import raw_logits
from magictalk_core.speech.features import FEATURES, speech_clip, speech_clips, speech_features
from magictalk_core.storage.schema import SPEECH
from magictalk_core.storage.validation import validate

SMALL = "deepspeech-small-1"

FORMATS = {
    "24-bit 48 kHz stereo.wav": ["-ac", "2", "-ar", "48000", "-c:a", "pcm_s24le"],
    "float.wav": ["-ar", "44100", "-c:a", "pcm_f32le"],
    "aac.m4a": ["-ar", "44100", "-ac", "2", "-c:a", "aac", "-b:a", "128k"],
    "8-bit 8 kHz.wav": ["-ar", "8000", "-c:a", "pcm_u8"],
}


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_gives_the_rows_of_the_frames(name: str, tmp_path: Path) -> None:
    source = tmp_path / "source.wav"
    write_wav(source, noise(1.2, level=0.2), 16_000)
    path = tmp_path / name
    ffmpeg("-i", source, *FORMATS[name], path)
    table = speech_clip(path, "c/s/1", 30, SMALL)
    validate(SPEECH, table, where="test")
    values = np.stack(table["features"].to_numpy())
    assert values.shape == (30, 58) and not feature_problems(values, SMALL)


@pytest.mark.parametrize("feature_id", ["logmel-29-1", SMALL])
def test_odd_sounds_give_right_lengths_and_sound_values(feature_id: str) -> None:
    broken = noise(1)
    broken[5:90] = np.nan
    broken[100] = np.inf
    sounds = {
        "silence": np.zeros(16_000, np.float32),
        "0.1 s": noise(0.1),
        "one sample": noise(1)[:1],
        "nothing": noise(0),
        "clipping": np.clip(noise(1, level=5.0), -1, 1),
        "beyond full scale": 40 * noise(1),
        "broken": broken,
        "constant": np.ones(16_000, np.float32),
    }
    for name, samples in sounds.items():
        for frames in (0, 1, round(len(samples) / 640), 40):
            values = speech_features(samples, frames, feature_id)
            assert values.shape == (frames, FEATURES[feature_id].size) and values.dtype == np.float32
            assert not feature_problems(values, feature_id), name


def test_silence_is_heard_as_silence() -> None:
    assert not silence_problems(SMALL) and not silence_problems("logmel-29-1")


def test_a_file_without_readable_sound_is_one_error(tmp_path: Path) -> None:
    damaged, text, silent_film = tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "c.mp4"
    write_wav(damaged, noise(1), 16_000)
    damaged.write_bytes(damaged.read_bytes()[:20])
    text.write_text("no sound", encoding="utf-8")
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=0.2", silent_film)
    for path in (damaged, text, silent_film, tmp_path / "missing.wav"):
        with pytest.raises(MagicTalkError) as failure:
            speech_clip(path, "c/s/1", 25, SMALL)
        assert path.name in str(failure.value) and "\n" not in str(failure.value)


def test_clips_together_are_the_clips_alone(tmp_path: Path) -> None:
    calls = []
    for number, seconds in enumerate((0.4, 1.0, 0.2)):
        path = tmp_path / f"{number}.wav"
        write_wav(path, noise(seconds, number), 16_000)
        calls.append((path, f"c/s/{number}", round(25 * seconds)))
    together = speech_clips(calls, SMALL)
    for call, table in zip(calls, together, strict=True):
        # The small network takes one clip after the other: not a bit depends on the neighbours.
        assert table.equals(speech_clip(*call, SMALL))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_network_never_sees_more_than_a_stretch(bidirectional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractor, "ROWS", 500)
    model, seen = random_model(bidirectional), list[int]()
    layer = model.network.layer_1
    layer.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].shape[0] * inputs[0].shape[1]))
    found = raw_logits(model, [noise(100), noise(3), noise(61)])
    assert [len(values) for values in found] == [5000, 150, 3050] and max(seen) <= 500
    assert all(np.isfinite(values).all() for values in found)


HOUR = """
import resource, sys
import numpy as np
import torch
from magictalk_core.speech.features import speech_features
torch.set_num_threads(2)
speech_features(np.zeros(16_000, np.float32), 25, "deepspeech-small-1")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
samples = np.random.default_rng(0).normal(0, 0.1, 3600 * 16_000 // 100).astype(np.float32)
samples = np.tile(samples, 100)
values = speech_features(samples, 90_000, "deepspeech-small-1")
assert values.shape == (90_000, 58) and np.isfinite(values).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6)
"""


@pytest.mark.slow
def test_an_hour_of_noise_takes_bounded_memory() -> None:
    done = subprocess.run([sys.executable, "-c", HOUR], capture_output=True, text=True, check=True)
    # Its samples alone are 0.23 GB, and are copied once to clean them.
    assert float(done.stdout) < 1.2, f"{done.stdout} GB"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_features() -> None:
    from magictalk_core.speech.published import load_model

    clips = [noise(3), noise(1.3, 1)]
    slow, fast = (raw_logits(load_model(SMALL, device), clips) for device in ("cpu", "cuda"))
    for a, b in zip(slow, fast, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)
