"""The shipped `deepspeech-small`: what it hears of voices it never trained on, synthetic and real."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file

import magictalk_core.sample_corpus
from magictalk_core.media.decode import read_audio
from magictalk_core.recipes.deepspeech_small import data, run, synthesis, weights
from magictalk_core.recipes.deepspeech_small.ctc import TrainingNetwork
from magictalk_core.recipes.deepspeech_small.evaluate import error_rate, greedy_text
from magictalk_core.recipes.deepspeech_small.texts import spelled
from magictalk_core.speech import published
from magictalk_core.speech.deepspeech import (
    BLANK,
    DEEPSPEECH_SMALL,
    DeepSpeech,
    log_probabilities,
    network_from_weights,
)
from magictalk_core.speech.mfcc import context_windows, mfcc_093
from magictalk_core.vocabulary.rates import SAMPLE_RATE

FILE = Path(published.__file__).parent / run.WEIGHTS_NAME
SPEECH = Path(magictalk_core.sample_corpus.__file__).parent / "speech"

# What the two read clips say: mozilla/DeepSpeech's own tests name both sentences.
READ = {
    "librivox_new_home_in_the_stars.wav": "we must find a new home in the stars",
    "cmu_arctic_a0024.wav": "it was my reports from the north which chiefly induced people to buy",
}


@cache
def shipped() -> DeepSpeech:
    return network_from_weights(DEEPSPEECH_SMALL, load_file(FILE))


def scores(network: DeepSpeech, mfcc: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, 29) log-probabilities of one clip."""
    contexts = torch.from_numpy(context_windows(mfcc))[None]
    with torch.inference_mode():
        logits, _ = network(contexts, torch.tensor([len(mfcc)]), None)
    return np.asarray(log_probabilities(logits[0]).numpy(), np.float32)


def heard(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    return scores(shipped(), mfcc_093(sound))


@cache
def sample_corpus() -> tuple[list[str], list[str]]:
    """What the 60 utterances of the sample corpus say, and what the network hears; none of their voices trained it."""
    said = json.loads((SPEECH / "utterances.json").read_text(encoding="utf-8"))
    transcripts = [greedy_text(heard(read_audio(SPEECH / f"{key}.ogg", SAMPLE_RATE))) for key in said]
    return [spelled(one["text"]) for one in said.values()], transcripts


def test_the_file_is_small_half_precision_and_says_where_it_came_from() -> None:
    assert FILE.stat().st_size <= 5_000_000
    with safe_open(FILE, "pt") as file:
        about = file.metadata()
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}
    assert about["license"] == "Apache-2.0" and len(about["settings_sha256"]) == 64
    assert (
        about["recipe"] == "magictalk_core.speech.recipe 1"  # the recipe's name when it made the file
        and int(about["seed"])
        and int(about["steps"])
    )


def test_export_computes_what_the_training_network_computes() -> None:
    torch.manual_seed(1)
    training = TrainingNetwork(DEEPSPEECH_SMALL.hidden).eval()
    training.mean.normal_()
    training.std.uniform_(0.5, 3.0)
    exported = network_from_weights(DEEPSPEECH_SMALL, weights.deepspeech_state(training))
    mfcc = np.random.default_rng(0).normal(size=(40, 26)).astype(np.float32) * 3
    np.testing.assert_allclose(scores(exported, mfcc), weights.log_probabilities(training, mfcc), atol=2e-5)


def test_sample_corpus_is_heard() -> None:
    said, transcripts = sample_corpus()
    rate = error_rate(said, transcripts)
    for pair in list(zip(said, transcripts, strict=True))[:5]:
        print(*pair, sep=" | ")
    print(f"character error rate {rate:.3f}, chance {error_rate(said, transcripts[1:] + transcripts[:1]):.3f}")
    assert rate <= 0.25


def test_each_transcript_is_nearest_to_its_own_sentence() -> None:
    said, transcripts = sample_corpus()
    rates = np.array([[error_rate([text], [transcript]) for text in said] for transcript in transcripts])
    assert np.mean(rates.argmin(1) == np.arange(len(said))) >= 0.95


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_is_blank(level: float) -> None:
    quiet = np.random.default_rng(0).normal(0.0, 1.0, 32_000).astype(np.float32) * np.float32(level)
    result = heard(quiet)
    assert np.isfinite(result).all()
    # A space is as good as nothing.
    assert np.isin(result.argmax(1), [BLANK, 0]).mean() >= 0.95


def needs_espeak() -> None:
    if "espeak-ng" not in synthesis.engines_present():
        pytest.skip("speaks new sentences with espeak-ng, which is not installed: apt-get install espeak-ng")


@pytest.mark.slow
def test_new_sentences_by_held_out_voices_are_heard(tmp_path: Path) -> None:
    needs_espeak()
    settings = data.DataSettings(seed=77, utterances=60, engines=("espeak-ng",), held_out=True)
    utterances = data.read_shard(data.build_shard(0, tmp_path, settings))
    rate = error_rate([u.text for u in utterances], [greedy_text(scores(shipped(), u.mfcc)) for u in utterances])
    print(f"character error rate {rate:.3f} on {len(utterances)} sentences")
    assert len(utterances) >= 50 and rate <= 0.25


@pytest.mark.slow
def test_a_sentence_is_found_by_another_voice_better_than_with_log_mel() -> None:
    needs_espeak()
    figures = run.retrieval_figures(run.pairs_by_two_voices(5, 25, ("espeak-ng",)), heard)
    print(figures)
    assert figures["retrieval_small"] >= 0.9
    assert figures["retrieval_small"] > figures["retrieval_logmel"]


@pytest.mark.shared
def test_real_read_speech_is_heard_far_better_than_by_chance(shared: Path) -> None:
    said, _ = sample_corpus()
    for name, text in READ.items():
        transcript = greedy_text(heard(read_audio(shared / "samples" / "audio" / name, SAMPLE_RATE)))
        rate = error_rate([text], [transcript])
        others = [other for key, other in READ.items() if key != name] + said
        chance = float(np.mean([error_rate([text], [other]) for other in others]))  # what deafness scores
        print(f"{name}: `{transcript}`, error rate {rate:.3f}, another sentence in its place {chance:.3f}")
        assert rate <= 0.85 * chance
        # And of 61 sentences its own is the nearest.
        assert rate < min(error_rate([other], [transcript]) for other in said)
