"""DeepSpeech 0.9.3 at full size, random weights: a step-by-step loop, the bare layers, and ours, side by side.

    python benchmarks/deepspeech.py [--clips 16] [--seconds 6] [--rounds 3]

The loop is what running the published graph step by step amounts to: one clip and one 20 ms step at a time, dense
layers and an LSTM cell with the state carried on; it is timed on `--loop-seconds` of sound and has its cepstra given.
The bare layers do the arithmetic and nothing else: `torch.nn.Linear` and `torch.nn.LSTM` over all clips side by side,
contexts prepared beforehand, nothing cut into stretches, no log-softmax. Ours is `raw_logits` from samples: cepstra,
context windows and lengths included. Clips are of equal length, as the bare layers need it; `--mixed` gives ours clips
of one to two times the length too, which the bare layers cannot do. Ratios are of seconds per second of sound.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from magictalk_core.speech.deepspeech import DEEPSPEECH_093, DeepSpeech
from magictalk_core.speech.extractor import SpeechModel, raw_logits
from magictalk_core.speech.mfcc import context_windows, mfcc_093
from magictalk_core.vocabulary.rates import SAMPLE_RATE

CEILING = 20.0


def sounds(count: int, seconds: float) -> list[NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return [random.normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32) for _ in range(count)]


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def loop(network: DeepSpeech, contexts: NDArray[np.float32]) -> None:
    """One step after the other, one clip."""
    cell = nn.LSTMCell(network.lstm.input_size, network.lstm.hidden_size)
    cell.weight_ih, cell.weight_hh = network.lstm.weight_ih_l0, network.lstm.weight_hh_l0
    cell.bias_ih, cell.bias_hh = network.lstm.bias_ih_l0, network.lstm.bias_hh_l0
    state = (torch.zeros(1, cell.hidden_size), torch.zeros(1, cell.hidden_size))
    for step in contexts:
        x = torch.from_numpy(step)[None]
        for layer in (network.layer_1, network.layer_2, network.layer_3):
            x = layer(x).clamp(0.0, CEILING)
        state = cell(x, state)
        network.layer_6(network.layer_5(state[0]).clamp(0.0, CEILING))


def bare(network: DeepSpeech, contexts: torch.Tensor) -> None:
    """The layers over (clips, steps, 494)."""
    x = contexts
    for layer in (network.layer_1, network.layer_2, network.layer_3):
        x = layer(x).clamp(0.0, CEILING)
    x, _ = network.lstm(x)
    network.layer_6(network.layer_5(x).clamp(0.0, CEILING))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--loop-seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    network = DeepSpeech(DEEPSPEECH_093).eval().requires_grad_(False)
    model = SpeechModel(network, False, "random")
    clips = sounds(given.clips, given.seconds)
    long = sounds(given.clips, 1.0)
    mixed = [np.tile(c, 1 + i % round(2 * given.seconds)) for i, c in enumerate(long)]
    windows = [context_windows(mfcc_093(clip)) for clip in clips]
    contexts = torch.from_numpy(np.stack(windows))
    steps = round(given.loop_seconds * 50)
    length = given.clips * given.seconds
    mixed_length = sum(len(clip) for clip in mixed) / SAMPLE_RATE
    print(f"{given.clips} clips of {given.seconds} s, {given.threads} threads; ms of work per second of sound")
    found: dict[str, list[float]] = {
        "loop": [],
        "bare": [],
        "ours": [],
        "ours, mixed lengths": [],
        "ours, one clip": [],
    }
    with torch.inference_mode():
        bare(network, contexts)
        for _ in range(given.rounds):
            found["loop"].append(timed(lambda: loop(network, windows[0][:steps])) / given.loop_seconds)
            found["bare"].append(timed(lambda: bare(network, contexts)) / length)
            found["ours"].append(timed(lambda: raw_logits(model, clips)) / length)
            found["ours, mixed lengths"].append(timed(lambda: raw_logits(model, mixed)) / mixed_length)
            found["ours, one clip"].append(timed(lambda: raw_logits(model, clips[:1])) / given.seconds)
    for name, values in found.items():
        print(f"  {name:<20} {1000 * statistics.median(values):7.1f}  ({', '.join(f'{1000 * v:.1f}' for v in values)})")
    ratio = {name: [a / b for a, b in zip(found[name], found["ours"], strict=True)] for name in ("loop", "bare")}
    print(f"ours is {statistics.median(ratio['loop']):.2f} times as fast as the loop (bar 3)")
    print(f"ours takes {1 / statistics.median(ratio['bare']):.2f} times the bare layers (bar 1.3)")


if __name__ == "__main__":
    main()
