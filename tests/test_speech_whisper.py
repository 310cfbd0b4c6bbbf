"""`whisper-tiny-en-l2`: golden values by Hugging Face's Whisper, any length, batches and pieces, silence, the
command."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from speech_fixtures import noise

from magictalk_core.commands.speech import featurize_file
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.media.audio import write_wav
from magictalk_core.speech import weight_files, whisper
from magictalk_core.speech.checks import feature_problems, silence_problems
from magictalk_core.speech.features import WHISPER, feature_spec, feature_weights, speech_features
from magictalk_core.speech.weight_files import weights_source
from magictalk_core.speech.whisper import MOST_STEPS, STEP, WIDTH, WhisperLayers, load_whisper, whisper_steps
from magictalk_core.speech.whisper_mel import scaled_log_mel, whisper_mel
from magictalk_core.vocabulary.rates import SAMPLE_RATE

GOLDENS = Path(__file__).parent / "data" / "whisper_goldens.npz"


@cache
def golden(name: str) -> NDArray[np.float32]:
    """By transformers 4.57.1: scripts/dev/make_whisper_goldens.py."""
    with np.load(GOLDENS) as file:
        return np.asarray(file[name])


def test_the_front_end_is_that_of_hugging_face() -> None:
    found = whisper_mel(golden("samples"))
    assert found.shape == golden("log_mel").shape == (80, 80)
    np.testing.assert_allclose(found, golden("log_mel"), atol=1e-4)


def test_layer_two_is_that_of_hugging_face() -> None:
    (found,) = whisper_steps(load_whisper("cpu"), [golden("samples")])
    assert found.shape == (40, WIDTH) and golden("steps").std() > 0.2
    np.testing.assert_allclose(found, golden("steps"), atol=1e-4)


def test_floor_and_scale_are_whispers_with_a_fixed_maximum() -> None:
    found = scaled_log_mel(np.array([-10.0, -7.0, -6.9, 1.0, 2.5], np.float32))
    np.testing.assert_allclose(found, [-0.75, -0.75, -0.725, 1.25, 1.625], atol=1e-6)


def test_the_shipped_file_is_small_and_says_where_it_comes_from() -> None:
    path = weights_source(WHISPER)
    assert path.stat().st_size <= 4_500_000
    with safe_open(path, "pt") as file:
        about, kinds = file.metadata(), {name: file.get_tensor(name).dtype for name in file.keys()}
    assert about["license"] == "MIT" and len(about["source_sha256"]) == 64
    assert {kind for name, kind in kinds.items() if name.endswith("weight") and f"{name}.scale" in kinds} == {
        torch.int8
    }
    card = path.with_name("whisper_tiny_en_l2.md").read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in card and about["source_sha256"] in card


def test_clips_side_by_side_have_the_values_that_they_have_alone() -> None:
    clips = [noise(seconds, seed) for seed, seconds in enumerate((1.0, 0.3, 2.04, 0.04))]
    together = whisper_steps(load_whisper("cpu"), clips)
    for clip, values in zip(clips, together, strict=True):
        (alone,) = whisper_steps(load_whisper("cpu"), [clip])
        assert len(values) == len(clip) // STEP
        np.testing.assert_allclose(values, alone, atol=1e-4)


def test_a_long_sound_is_heard_in_pieces_that_know_their_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = noise(4.0)
    (whole,) = whisper_steps(load_whisper("cpu"), [sound])
    for name, value in (("MOST_STEPS", 120), ("PIECE", 60), ("CONTEXT", 30)):
        monkeypatch.setattr(whisper, name, value)
    (pieces,) = whisper_steps(load_whisper("cpu"), [sound])
    assert pieces.shape == whole.shape
    # The rule: steps 60 to 120 are those of the sound from step 30 to 150 heard alone.
    (stretch,) = whisper_steps(load_whisper("cpu"), [sound[30 * STEP : 150 * STEP]])
    assert np.corrcoef(pieces[60:120].ravel(), stretch[30:90].ravel())[0, 1] > 0.999
    # Positions and what lies further away than the context matter little beside the sound.
    alike = [np.corrcoef(whole[10:-10, i], pieces[10:-10, i])[0, 1] for i in range(WIDTH)]
    assert np.mean(alike) > 0.8


def test_a_sound_of_whispers_own_length_is_one_piece() -> None:
    assert len(list(whisper._pieces(0, MOST_STEPS))) == 1
    spans = [(p.first, p.kept_from, p.kept_to, p.last) for p in whisper._pieces(0, 2300)]
    assert spans == [(0, 0, 1000, 1250), (750, 1000, 2000, 2250), (1750, 2000, 2300, 2300)]


@pytest.mark.parametrize("frames", [0, 1, 2, 25, 40])
def test_there_is_one_row_per_frame_whatever_the_length_of_the_sound(frames: int) -> None:
    for samples in (noise(1.0), np.zeros(0, np.float32)):
        found = speech_features(samples, frames, WHISPER)
        assert found.shape == (frames, feature_spec(WHISPER).size) and found.dtype == np.float32
        assert not feature_problems(found, WHISPER)


def test_a_frame_is_the_mean_of_its_two_steps_and_hears_at_its_time() -> None:
    sound = np.zeros(2 * SAMPLE_RATE, np.float32)
    times = np.arange(640) / SAMPLE_RATE
    sound[20 * 640 : 21 * 640] = 0.3 * np.sin(2 * np.pi * 700 * times)  # frame 20
    found = speech_features(sound, 50, WHISPER)
    levelled = feature_spec(WHISPER).levelled(sound)
    (steps,) = whisper_steps(load_whisper(), [levelled])
    np.testing.assert_allclose(found, steps.reshape(50, 2, WIDTH).mean(axis=1), atol=1e-5)
    silent = speech_features(np.zeros_like(sound), 50, WHISPER)
    assert np.abs(found - silent).mean(axis=1).argmax() == 20


def test_the_level_of_a_voice_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    syllables = np.repeat(rng.uniform(0.02, 1.0, 16), 2000)
    voice = (0.2 * syllables * rng.standard_normal(32_000)).astype(np.float32).clip(-1, 1)
    loud, quiet = (speech_features(voice * np.float32(gain), 50, WHISPER) for gain in (1.0, 0.05))
    np.testing.assert_allclose(loud, quiet, atol=0.02)


def test_silence_is_even_and_a_wrong_network_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not silence_problems(WHISPER)
    torch.manual_seed(0)
    random = WhisperLayers().eval().requires_grad_(False)
    with torch.no_grad():
        for weights in random.layers.parameters():
            weights.mul_(20.0)
    monkeypatch.setattr(whisper, "load_whisper", lambda: random)
    assert silence_problems(WHISPER)


def test_weights_that_are_missing_or_others_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weight_files.SHIPPED, WHISPER, ("deepspeech_small.safetensors", "make"))
    with pytest.raises(PermanentError, match="not the weights of whisper-tiny-en-l2"):
        load_whisper("cpu")
    monkeypatch.setitem(weight_files.SHIPPED, WHISPER, ("gone.safetensors", "python scripts/dev/build_it.py"))
    with pytest.raises(PermanentError, match=r"gone.safetensors is missing .*`python scripts/dev/build_it.py`"):
        feature_weights(WHISPER)


def test_the_command_writes_the_contract(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(1.0), SAMPLE_RATE)
    made = featurize_file(tmp_path / "a.wav", tmp_path / "a.parquet", WHISPER)
    assert made.shape == "25 x 384"
    assert pq.read_table(tmp_path / "a.parquet")["feature_id"].unique().to_pylist() == [WHISPER]
    with pytest.raises(UserError, match="expected a DeepSpeech feature"):
        featurize_file(tmp_path / "a.wav", tmp_path / "a.npy", WHISPER, layout="steps")
