"""The network against TensorFlow's cell; batches, stretches and streams against one pass over one clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from speech_fixtures import golden, noise, random_model

from magictalk_core.errors import PermanentError
from magictalk_core.speech import extractor
from magictalk_core.speech.deepspeech import (
    ALPHABET,
    BLANK,
    DEEPSPEECH_010,
    DEEPSPEECH_093,
    DEEPSPEECH_SMALL,
    DeepSpeech,
    DeepSpeechConfig,
    log_probabilities,
    network_from_weights,
    weight_shapes,
    weights_of,
)
from magictalk_core.speech.extractor import SpeechModel, floored_log_probabilities, raw_logits
from magictalk_core.speech.mfcc import context_windows

BOTH = pytest.mark.parametrize("bidirectional", [False, True])


def one_pass(model: SpeechModel, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The whole clip at once, as the graphs read it."""
    contexts = context_windows(model.mfcc(samples))
    if model.is_010:
        exact = contexts.astype(np.float64)
        contexts = ((exact - exact.mean()) / exact.std()).astype(np.float32)
    with torch.inference_mode():
        logits, _ = model.network(torch.from_numpy(contexts)[None])
    return np.asarray(logits[0].numpy())


def test_sizes_are_those_of_the_published_networks() -> None:
    with torch.device("meta"):
        counts = [
            sum(v.numel() for v in weights_of(DeepSpeech(c)).values())
            for c in (DEEPSPEECH_093, DEEPSPEECH_010, DEEPSPEECH_SMALL)
        ]
    assert [round(count / 1e6, 1) for count in counts] == [47.2, 122.7, 2.4]
    assert 2 * counts[2] < 4.95e6
    assert len(ALPHABET) == BLANK == 28 and ALPHABET[0] == " " and ALPHABET[27] == "'"


def test_the_lstm_is_tensorflows() -> None:
    config = DeepSpeechConfig(4, 16)
    weights = {name: torch.zeros(shape) for name, shape in weight_shapes(config).items()}
    weights["lstm.kernel"] = torch.from_numpy(golden("lstm/kernel"))
    weights["lstm.bias"] = torch.from_numpy(golden("lstm/bias"))
    network = network_from_weights(config, weights)
    hidden, cell = (torch.from_numpy(golden(f"lstm/{part}"))[None] for part in ("hidden", "cell"))
    x = torch.from_numpy(golden("lstm/x")).transpose(0, 1).contiguous()
    out, (_, last) = network.lstm(x, (hidden, cell))
    np.testing.assert_allclose(out.transpose(0, 1).numpy(), golden("lstm/output"), atol=1e-5)
    np.testing.assert_allclose(last[0].numpy(), golden("lstm/last_cell"), atol=1e-5)


@BOTH
def test_stored_weights_make_the_same_network(bidirectional: bool) -> None:
    model = random_model(bidirectional)
    stored = weights_of(model.network)
    assert {name: tuple(value.shape) for name, value in stored.items()} == weight_shapes(model.network.config)
    again = SpeechModel(network_from_weights(model.network.config, stored), bidirectional, "again")
    np.testing.assert_allclose(one_pass(again, noise(1)), one_pass(model, noise(1)), atol=1e-6)


def test_wrong_weights_are_named() -> None:
    config = DeepSpeechConfig(8, 12)
    stored = weights_of(DeepSpeech(config))
    with pytest.raises(PermanentError, match=r"here: missing tensors \['lstm.bias'\], unknown tensors \['lstm.b'\]"):
        network_from_weights(config, {("lstm.b" if k == "lstm.bias" else k): v for k, v in stored.items()}, "here")
    with pytest.raises(PermanentError, match=r"expected `layer_2.bias` of shape \(8,\), found \(9,\)"):
        network_from_weights(config, stored | {"layer_2.bias": torch.zeros(9)})
    with pytest.raises(PermanentError, match=r"`layer_2.bias` has values that are not finite"):
        network_from_weights(config, stored | {"layer_2.bias": torch.full((8,), torch.nan)})


@BOTH
@pytest.mark.parametrize("rows", [4096, 200, 37])
def test_a_batch_in_stretches_is_each_clip_in_one_pass(
    bidirectional: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "ROWS", rows)
    model = random_model(bidirectional)
    clips = [noise(seconds, seed) for seed, seconds in enumerate((1.0, 3.1, 0.0, 0.01, 3.1, 2.0))]
    together = raw_logits(model, clips)
    for samples, found in zip(clips, together, strict=True):
        expected = one_pass(model, samples)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(raw_logits(model, [samples])[0], expected, atol=1e-5)
    assert np.abs(together[1] - together[4]).max() > 0.1


@BOTH
def test_lengths_hide_what_lies_behind_a_clips_end(bidirectional: bool) -> None:
    network = random_model(bidirectional).network
    contexts = torch.randn(3, 20, 494, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([20, 7, 13])
    logits, (hidden, cell) = network(contexts, lengths)
    for clip, length in enumerate(lengths.tolist()):
        alone, state = network(contexts[clip : clip + 1, :length])
        np.testing.assert_allclose(logits[clip, :length].numpy(), alone[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(hidden[:, clip].numpy(), state[0][:, 0].numpy(), atol=1e-5)
        np.testing.assert_allclose(cell[:, clip].numpy(), state[1][:, 0].numpy(), atol=1e-5)


def test_log_probabilities_are_normalised_and_have_a_floor() -> None:
    logits = np.random.default_rng(0).normal(0, 30, (50, 29)).astype(np.float32)
    exact = logits.astype(np.float64)
    expected = exact - np.log(np.exp(exact - exact.max(1, keepdims=True)).sum(1, keepdims=True)) - exact.max(1)[:, None]
    np.testing.assert_allclose(log_probabilities(torch.from_numpy(logits)).numpy(), expected, atol=1e-4)
    found = floored_log_probabilities(logits)
    np.testing.assert_allclose(found, np.log(np.exp(expected) + 1e-8), atol=1e-4)
    assert found.dtype == np.float32 and found.min() >= np.log(1e-8) - 1e-5 and found.max() <= 0


def test_golden_values_are_small(tmp_path: Path) -> None:
    from speech_fixtures import GOLDENS

    assert GOLDENS.stat().st_size < 300_000
