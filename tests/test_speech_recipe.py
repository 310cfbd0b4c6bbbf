"""The recipe of `deepspeech-small` at toy size: sentences, spoiling, decoding, figures, training, export."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from magictalk_core.errors import UserError
from magictalk_core.recipes.deepspeech_small import augment, ctc, data, evaluate, run, synthesis, texts, weights
from magictalk_core.speech.deepspeech import ALPHABET, BLANK

LETTERS = st.text(alphabet="abc '", max_size=12)
NO_WORDS = texts.Lexicon(())


def tone_utterances(count: int, seed: int = 0) -> list[data.Utterance]:
    """Words over `abc` whose letters are three fixed MFCC patterns of 6 frames: what CTC learns in seconds."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(7).normal(size=(3, 26)) * 3
    made = []
    for _ in range(count):
        letters = rng.integers(0, 3, int(rng.integers(2, 5)))
        quiet = np.zeros((4, 26))
        frames = np.concatenate([quiet, *(p for n in letters for p in (np.tile(patterns[n], (6, 1)), quiet))])
        mfcc = (frames + rng.normal(size=frames.shape) * 0.1).astype(np.float32)
        made.append(data.Utterance(mfcc, "".join("abc"[n] for n in letters), "tones"))
    return made


def write_shard(folder: Path, name: str, utterances: list[data.Utterance]) -> None:
    folder.mkdir(exist_ok=True)
    np.savez(
        folder / name,
        mfcc=np.concatenate([u.mfcc for u in utterances]).astype(np.float16),
        lengths=np.array([len(u.mfcc) for u in utterances]),
        texts=json.dumps([u.text for u in utterances]),
        voices=json.dumps([u.voice for u in utterances]),
    )


def test_sentences_are_a_function_of_the_seed() -> None:
    first, again = (list(itertools.islice(texts.sentences(3, NO_WORDS, held_out=False), 50)) for _ in range(2))
    assert first == again
    assert first != list(itertools.islice(texts.sentences(4, NO_WORDS, held_out=False), 50))
    assert all(set(text) <= set(ALPHABET) and text == text.strip() and "  " not in text for text in first)
    assert sum(len(set(text.split())) > 2 for text in first) > 35


def test_no_sentence_is_on_both_sides_whatever_the_seeds() -> None:
    train = set(itertools.islice(texts.sentences(1, NO_WORDS, held_out=False), 400))
    test = set(itertools.islice(texts.sentences(2, NO_WORDS, held_out=True), 40))
    assert not train & test
    assert all(map(texts.is_held_out, test))


def test_spelling_keeps_the_28_characters() -> None:
    assert texts.spelled("  Don’t — stop, 3 CATS!") == "don't stop cats"


def test_dictionary_words_are_plain(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("apple\nApple's\ncat's\nA\nété\nox\n", encoding="utf-8")
    assert texts.lexicon(tmp_path / "words").words == ("apple", "ox")
    assert texts.lexicon(tmp_path / "missing").words == ()


def test_held_out_voices_never_train() -> None:
    rng = random.Random(0)
    for engine in synthesis.TRAINING_VOICES:
        assert not set(synthesis.TRAINING_VOICES[engine]) & set(synthesis.HELD_OUT_VOICES[engine])
        heard = {synthesis.draw_delivery(rng, engine, held_out=False).voice.name.split("+")[-1] for _ in range(400)}
        assert not heard & {voice.name for voice in synthesis.HELD_OUT_VOICES[engine]}


def test_a_missing_synthesizer_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt-get install espeak-ng flite"):
        synthesis.check_engines(("espeak-ng", "flite"))
    with pytest.raises(UserError, match="apt-get install espeak-ng"):
        run.run_recipe(tmp_path, run.SAMPLE, threads=1)


@pytest.mark.parametrize("seed", range(8))
def test_spoiling_keeps_length_and_is_finite(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = (np.sin(np.arange(9001) * 0.05) * 0.3).astype(np.float32)
    for step in (
        lambda: augment.equalized(sound, rng),
        lambda: augment.reverberated(sound, 0.4, 3.0, rng),
        lambda: augment.add_noise(sound, 10.0, rng, [sound[:4000]]),
        lambda: augment.scaled(sound, rng),
        lambda: augment.augmented(sound, rng, [sound]),
        lambda: augment.augmented(np.zeros(9001, np.float32), rng),
    ):
        result = step()
        assert result.shape == sound.shape and result.dtype == np.float32 and np.isfinite(result).all()
    spoilt = [augment.augmented(sound, np.random.default_rng(seed)) for _ in range(2)]
    assert np.array_equal(spoilt[0], spoilt[1])
    assert np.abs(spoilt[0]).max() <= 1.0


def test_noise_has_the_asked_level_and_colour() -> None:
    rng = np.random.default_rng(0)
    sound = augment.coloured_noise(32_000, 0.0, rng)
    noise = augment.add_noise(sound, 12.0, rng) - sound
    assert 10 * np.log10(np.mean(sound**2) / np.mean(noise**2)) == pytest.approx(12.0, abs=0.05)
    power = np.abs(np.fft.rfft(augment.coloured_noise(160_000, 2.0, rng))) ** 2
    octave = [power[f * 10 : 2 * f * 10].mean() for f in (200, 400, 800, 1600)]
    assert np.allclose(np.diff(10 * np.log10(octave)), -6.0, atol=0.8)


def test_warp_shortens_by_its_factor() -> None:
    sound = np.zeros(22_050, np.float32)
    assert len(synthesis.resampled(sound, 22_050)) == pytest.approx(16_000, rel=0.01)
    assert len(synthesis.resampled(sound, 22_050, 1.1)) == pytest.approx(16_000 / 1.1, rel=0.01)


def test_greedy_decoding_merges_repeats_and_drops_blanks() -> None:
    blank = BLANK
    a, b, space = (ALPHABET.index(c) for c in "ab ")
    path = [blank, a, a, blank, a, b, b, space, space, blank, blank, b, space, blank]
    scores = np.full((len(path), 29), -5.0, np.float32)
    scores[np.arange(len(path)), path] = 1.0
    assert evaluate.greedy_text(scores) == "aab b"
    assert evaluate.greedy_text(scores - 100) == "aab b"
    assert evaluate.greedy_text(np.zeros((0, 29), np.float32)) == ""


@given(LETTERS, LETTERS, LETTERS)
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    distance = evaluate.edit_distance
    assert distance(a, a) == 0 and (distance(a, b) > 0) == (a != b)
    assert distance(a, b) == distance(b, a)
    assert distance(a, c) <= distance(a, b) + distance(b, c)
    assert abs(len(a) - len(b)) <= distance(a, b) <= max(len(a), len(b))


def test_error_rates_of_known_pairs() -> None:
    assert evaluate.edit_distance("kitten", "sitting") == 3
    assert evaluate.error_rate(["kitten", "abc"], ["sitting", "abc"]) == pytest.approx(3 / 9)
    assert evaluate.error_rate(["ab"], ["abcdef"]) == 2.0


def test_warped_distance_forgives_tempo_and_retrieval_finds_it() -> None:
    rng = np.random.default_rng(0)
    sentences = [rng.normal(size=(12, 5)).astype(np.float32) for _ in range(6)]
    slow = [np.repeat(s, 2, axis=0) for s in sentences]
    distances = evaluate.warped_distances(sentences, slow)
    assert np.allclose(np.diag(distances), 0.0, atol=1e-3) and (distances[~np.eye(6, dtype=bool)] > 0.5).all()
    assert evaluate.retrieval(sentences, slow) == 1.0
    # By hand: |0-0| + |2-1| + |2-3| along the best path, over 2 + 3 frames.
    one, two = np.array([[0.0], [2.0]], np.float32), np.array([[0.0], [1.0], [3.0]], np.float32)
    assert evaluate.warped_distances([one], [two])[0, 0] == pytest.approx(2 / 5)


SETTINGS = ctc.TrainingSettings(
    hidden=32, batch_frames=400, peak_rate=0.01, warmup_steps=5, evaluate_every=30, steps=330, threads=1
)


def test_ctc_training_learns_and_a_finished_one_rests(tmp_path: Path) -> None:
    write_shard(tmp_path / "shards", "train-1-00000.npz", tone_utterances(120))
    test = tone_utterances(20, seed=5)
    settings = dataclasses.replace(SETTINGS, bfloat16=False)
    network = ctc.train(tmp_path / "shards", tmp_path / "whole", settings, test)
    lines = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    first, last = (json.loads(line) for line in (lines[0], lines[-1]))
    assert last["loss"] < 0.5 * first["loss"] and last["test_cer"] < 0.3
    assert run.heard_error_rate(network, test) == pytest.approx(last["test_cer"], abs=1e-4)
    # A finished training is not repeated.
    again = ctc.train(tmp_path / "shards", tmp_path / "whole", settings, test)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_a_training_that_was_killed_goes_on_with_its_whole_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards, out = tmp_path / "shards", tmp_path / "out"
    write_shard(shards, "train-1-00000.npz", tone_utterances(60))
    monkeypatch.setattr(ctc, "_SAVE_SECONDS", -1.0)  # after every step
    settings = dataclasses.replace(SETTINGS, steps=12, evaluate_every=5)

    class Killed(Exception):
        pass

    def killed(self: object) -> float:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ctc._Trainer, "evaluate", killed)
        ctc.train(shards, out, settings, tone_utterances(2))
    written = {path.name for path in out.iterdir()}
    assert written == {ctc.CHECKPOINT, "log.jsonl"}
    with safe_open(out / ctc.CHECKPOINT, "pt") as file:
        facts = json.loads(file.metadata()["facts"])
        assert facts["step"] == 4 and any(key.endswith("/exp_avg_sq") for key in file.keys())
    # What was read is what was written, moments included.
    before = (out / ctc.CHECKPOINT).read_bytes()
    ctc._Trainer(shards, out, settings, []).save()
    assert (out / ctc.CHECKPOINT).read_bytes() == before
    ctc.train(shards, out, settings, [])
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 12]


def test_training_wants_one_length_and_shards(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="steps or a number of minutes"):
        ctc.train(tmp_path, tmp_path / "out", ctc.TrainingSettings(), [])
    with pytest.raises(UserError, match="no training shards"):
        ctc.train(tmp_path, tmp_path / "out", SETTINGS, [])


def test_export_is_half_precision_and_says_where_it_came_from(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ctc.TrainingNetwork(16)
    path = tmp_path / "w.safetensors"
    size = weights.write_weights(path, network, {"seed": "1"})
    assert size == path.stat().st_size
    with safe_open(path, "pt") as file:
        assert file.metadata()["license"] == "Apache-2.0" and file.metadata()["seed"] == "1"
        assert all(file.get_tensor(key).dtype == torch.float16 for key in file.keys())


def test_whole_recipe_at_sample_size(tmp_path: Path) -> None:
    if "espeak-ng" not in synthesis.engines_present():
        pytest.skip("espeak-ng is not installed: apt-get install espeak-ng")
    figures = run.run_recipe(tmp_path, run.SAMPLE, threads=1)
    assert set(figures) >= {"test_cer", "retrieval_small", "retrieval_logmel", "bytes"}
    assert (tmp_path / run.WEIGHTS_NAME).is_file()
    shard = next((tmp_path / "shards").glob("train-*.npz"))
    before, stamp = load_file(tmp_path / run.WEIGHTS_NAME), shard.stat().st_mtime_ns
    run.run_recipe(tmp_path, run.SAMPLE, threads=1)
    after = load_file(tmp_path / run.WEIGHTS_NAME)
    assert shard.stat().st_mtime_ns == stamp and all(torch.equal(before[key], after[key]) for key in before)
