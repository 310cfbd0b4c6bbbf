"""`magictalk live` over a minute of speech: how fast, how late, whether it drifts, and how near the offline values.

    python benchmarks/live.py [--audio speech.wav ...] [--seconds 60] [--fps 60] [--style happy] [--home data]

Without `--audio` it hears the voices that the sample corpus ships, one after the other. First the values, without a
pace: the mouth as it comes against that of the whole sound by the same models (r of the jaw, mean and largest
difference over all mouth channels), and what each of the two differences costs alone: the level of what was said so
far (`level`), and the bounded stretch that Whisper hears (`stretch`). Then the time, at the pace of the sound, to a
socket of this machine: real-time factor of one core, latency of the packets behind their moment of the sound, and the
drift of the last packets against the first. On a machine with other work latency says nothing: the run falls behind.
"""

from __future__ import annotations

import argparse
import json
import socket
import tempfile
import threading
import time
import wave
from dataclasses import asdict
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from magictalk_core.commands.live import LiveWish, live
from magictalk_core.commands.live_face import LiveFace
from magictalk_core.media.decode import read_audio
from magictalk_core.models.lip_residue.stream import MouthStream
from magictalk_core.speech.feature_stream import FeatureStream
from magictalk_core.speech.features import speech_features
from magictalk_core.speech.level import at_speech_level
from magictalk_core.speech.whisper import load_whisper
from magictalk_core.speech.whisper_stream import WhisperStream
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.rates import SAMPLE_RATE
from magictalk_core.workspace import Workspace


def speech(paths: list[Path], seconds: float) -> np.ndarray:
    """`seconds` of speech, voices one after the other, again from the first where they end."""
    voices = paths or sorted(Path(str(resources.files("magictalk_core.sample_corpus"))).glob("speech/*.ogg"))
    parts = [read_audio(path, SAMPLE_RATE) for path in voices[:40]]
    return np.resize(np.concatenate(parts), round(seconds * SAMPLE_RATE) // 640 * 640)


def nearness(name: str, found: np.ndarray, wanted: np.ndarray, jaw: int) -> None:
    r = np.corrcoef(found[:, jaw], wanted[:, jaw])[0, 1]
    off = np.abs(found - wanted)
    print(f"{name:<28} jaw r {r:.4f}  mean difference: jaw {off[:, jaw].mean():.4f}, all {off.mean():.4f}", end="")
    print(f"; 99 % within {np.quantile(off, 0.99):.3f}, largest {off.max():.3f}")


def values(face: LiveFace, samples: np.ndarray) -> None:
    """The mouth against that of the whole sound."""
    models = face.models
    style, channels = models.styles.frames(face.style), models.motion.channels
    parts, spent = [], []
    for block in np.array_split(samples, len(samples) * 60 // SAMPLE_RATE):
        began = time.process_time()
        parts.append(face.push(block))
        spent.append(1000 * (time.process_time() - began))
    made = np.concatenate([*parts, face.finish()])
    print(f"processor time per second of sound: {sum(spent) / len(samples) * SAMPLE_RATE / 1000:.3f} s;", end=" ")
    print(f"of a block: median {np.median(spent):.1f} ms, 99 % below {np.quantile(spent, 0.99):.0f} ms")
    whole = models.refiner.mouth_of(
        speech_features(samples, len(made), models.motion.feature_id), style, channels
    ).mouth
    jaw, places = models.refiner.mouth.index("jawOpen"), [MOTION_NAMES.index(n) for n in models.refiner.mouth]
    nearness("live, all", made[:, places], whole, jaw)

    def mouth(features: np.ndarray) -> np.ndarray:
        stream = MouthStream(models.refiner, style, channels, None)
        return np.concatenate([stream.push(features), stream.finish()])

    nearness(
        "mouth of offline features", mouth(speech_features(samples, len(made), models.motion.feature_id)), whole, jaw
    )
    stream = FeatureStream.open(models.motion.feature_id)
    stream._level = _Given(at_speech_level(samples))  # type: ignore[assignment]
    nearness("stretch alone", mouth(np.concatenate([stream.push(samples), stream.finish()])), whole, jaw)
    everything = FeatureStream(WhisperStream(load_whisper("cpu"), context=1500, ahead=1000))
    short = samples[: 18 * SAMPLE_RATE]
    found = mouth(np.concatenate([everything.push(short), everything.finish()]))
    wanted = mouth(speech_features(short, len(found), models.motion.feature_id))
    nearness("level alone (18 s)", found, wanted, jaw)


class _Given:
    """In place of a level that is followed: the sound at the level that is known of all of it."""

    def __init__(self, samples: np.ndarray) -> None:
        self._left = samples

    def push(self, samples: np.ndarray) -> np.ndarray:
        given, self._left = np.split(self._left, [len(samples)])
        return given


def timing(home: Path, samples: np.ndarray, style: str, fps: int) -> None:
    """One run at the pace of the sound."""
    arrivals: list[float] = []
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(60.0)
        path = Path(folder) / "speech.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
        wanted = round(len(samples) / SAMPLE_RATE * fps)

        def listen() -> None:
            for _ in range(wanted):
                receiver.recv(2048)
                arrivals.append(time.monotonic())

        listener = threading.Thread(target=listen)
        listener.start()
        target = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        facts = live(Workspace(home), str(path), target, LiveWish(style, fps=fps))
        listener.join()
    print(json.dumps(asdict(facts), indent=1))
    times = np.array(arrivals)
    late = 1000 * (times - times[0] - np.arange(len(times)) / fps)
    gaps = 1000 * np.diff(times)
    print(f"drift of the last second against the first: {np.median(late[-fps:]) - np.median(late[:fps]):.1f} ms")
    print(f"gaps between packets: median {np.median(gaps):.1f} ms, 99 % below {np.quantile(gaps, 0.99):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fps", type=int, default=60)
    parser.add_argument("--style", default="happy")
    parser.add_argument("--home", type=Path, default=Path("data"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples = speech(options.audio, options.seconds)
    values(LiveFace.open(Workspace(options.home), options.style), samples)
    timing(options.home, samples, options.style, options.fps)


if __name__ == "__main__":
    main()
