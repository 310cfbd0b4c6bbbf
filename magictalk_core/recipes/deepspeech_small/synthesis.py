"""Speak a sentence: espeak-ng's formant voices, and flite's voices made from recordings of three speakers.

espeak-ng gives variety (accents, about eighty voice variants, any rate and pitch), flite gives the sound of people: its
`slt`, `rms` and `awb` are statistical models of recorded speakers (CMU ARCTIC, free to use). Both run as commands, so
that a crash in one sentence stays there. Whole voices are kept for testing and never train: among them the five that
speak in the sample corpus.
"""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import wave
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from magictalk_core.errors import UserError
from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = [
    "HELD_OUT_VOICES", "TRAINING_VOICES", "Delivery", "Voice", "check_engines", "deliver", "draw_delivery",
    "engines_present", "resampled", "speak",
]  # fmt: skip


_PATIENCE_S = 8
"""A sentence takes under 0.2 s; some variants of espeak-ng never end on some sentences."""

_PACKAGES = {"espeak-ng": "espeak-ng", "flite": "flite"}

_ACCENTS = (
    ["en-us"] * 6 + ["en-gb"] * 2 + ["en-gb-x-rp"] * 2 + ["en-gb-scotland", "en-029", "en-gb-x-gbclan", "en-us-nyc"]
)
"""espeak-ng's accents of English and how often each speaks; `en-gb-x-gbcwmd` is kept for testing."""

_VARIANTS = """Alex Alicia Andy Annie AnxiousAndy Denis Diogo Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Nguyen
RicishayMax RicishayMax2 Storm adam anika antonio aunty benjamin boris caleb croak david ed edward edward2 f3 f5 grandma
grandpa gustave iven iven2 iven3 john klatt klatt2 klatt4 klatt5 linda m1 m2 m5 m6 m7 marcelo max michel miguel norbert
pablo paul pedro quincy rob robert sandro shelby steph steph2 travis victor zac""".split()
_HELD_OUT_VARIANTS = "f1 f2 f4 m3 m4 Andrea Gene Mike belinda klatt3 m8 steph3 iven4".split()
"""Never trained on. f1, f2, f4, m3, m4 speak in the sample corpus. Robots and whispers are in neither list."""


@dataclass(frozen=True)
class Voice:
    """One speaker: the command that speaks and its own name for the voice."""

    engine: str
    name: str


@dataclass(frozen=True)
class Delivery:
    """How one sentence is said. `rate` in words per minute; `pitch` in espeak's 0-99; `gap` in its 10 ms units;
    `warp` > 1 makes the speaker smaller (formants and pitch up by that factor; the rate is made up for)."""

    voice: Voice
    rate: int
    pitch: int
    gap: int
    warp: float


TRAINING_VOICES = {
    "espeak-ng": tuple(Voice("espeak-ng", variant) for variant in _VARIANTS),
    "flite": tuple(Voice("flite", name) for name in ("slt", "rms", "awb")),
}
HELD_OUT_VOICES = {
    "espeak-ng": tuple(Voice("espeak-ng", variant) for variant in _HELD_OUT_VARIANTS),
    "flite": (Voice("flite", "kal16"),),
}


def engines_present() -> tuple[str, ...]:
    return tuple(engine for engine in _PACKAGES if shutil.which(engine))


def check_engines(engines: tuple[str, ...]) -> None:
    """Raise one clear error that names the missing programs and how to get them."""
    missing = [engine for engine in engines if not shutil.which(engine)]
    if missing:
        packages = " ".join(_PACKAGES.get(engine, engine) for engine in missing)
        raise UserError(f"the speech recipe needs {', '.join(missing)}; install with: apt-get install {packages}")


def draw_delivery(rng: random.Random, engine: str, *, held_out: bool) -> Delivery:
    """A voice of `engine` and a manner; held-out voices speak without warp, in accents the training has or has not."""
    voice = rng.choice((HELD_OUT_VOICES if held_out else TRAINING_VOICES)[engine])
    if engine == "espeak-ng":
        accent = rng.choice([*_ACCENTS, "en-gb-x-gbcwmd"] if held_out else _ACCENTS)
        voice = Voice(engine, f"{accent}+{voice.name}")
    # The few flite speakers are stretched into more speakers than the many of espeak-ng need.
    spread = 0.20 if engine == "flite" else 0.12
    warp = 1.0 if held_out else float(2.0 ** rng.uniform(-spread * 1.6, spread * 1.6))
    return Delivery(voice, rng.randint(110, 220), rng.randint(15, 85), rng.choice((0, 0, 0, 0, 1, 2, 4)), warp)


def _run(command: list[str]) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"`{' '.join(command)}` did not end in {_PATIENCE_S} s") from error
    if done.returncode != 0 or not done.stdout:
        raise UserError(f"`{command[0]}` could not speak: {done.stderr.decode(errors='replace').strip()[:200]}")
    return done.stdout


def _command(text: str, delivery: Delivery) -> list[str]:
    rate = delivery.rate / delivery.warp
    if delivery.voice.engine == "espeak-ng":
        return ["espeak-ng", "-v", delivery.voice.name, "-s", f"{max(80, round(rate))}", "-p", f"{delivery.pitch}",
                "-g", f"{delivery.gap}", "--stdout", text]  # fmt: skip
    mean = {"slt": 170.0, "awb": 130.0}.get(delivery.voice.name, 105.0)
    f0 = mean * 2.0 ** ((delivery.pitch - 50) / 100)
    return ["flite", "-voice", delivery.voice.name, "--setf", f"duration_stretch={170 / rate:.3f}",
            "--setf", f"int_f0_target_mean={f0:.1f}", "-t", text, "-o", "/dev/stdout"]  # fmt: skip


def _decoded(data: bytes) -> tuple[NDArray[np.float32], int]:
    """Samples in [-1, 1] and their rate. The length in a piped header is a dummy, so the rest of the file counts."""
    with wave.open(io.BytesIO(data)) as reader:
        rate, offset = reader.getframerate(), data.index(b"data") + 8
    whole = data[offset : offset + (len(data) - offset) // 2 * 2]
    return np.frombuffer(whole, "<i2").astype(np.float32) / 32768.0, rate


def speak(text: str, delivery: Delivery) -> tuple[NDArray[np.float32], int]:
    """`text` said so, at the engine's own rate: mono samples in [-1, 1] and samples per second."""
    return _decoded(_run(_command(text, delivery)))


def resampled(samples: NDArray[np.float32], rate: int, warp: float = 1.0) -> NDArray[np.float32]:
    """To 16 kHz; `warp` > 1 shortens, which raises every formant and the pitch by that factor."""
    ratio = Fraction(SAMPLE_RATE / (rate * warp)).limit_denominator(200)
    if ratio == 1:
        return samples
    return np.asarray(resample_poly(samples, ratio.numerator, ratio.denominator), np.float32)


def deliver(text: str, delivery: Delivery) -> NDArray[np.float32]:
    """`text` said so at 16 kHz, silence at both ends cut to at most 50 ms; raises when nothing is heard."""
    sound = resampled(*speak(text, delivery), delivery.warp)
    loud = np.flatnonzero(np.abs(sound) > 0.01 * max(float(np.abs(sound).max(initial=0.0)), 1e-3))
    if len(loud) < SAMPLE_RATE // 20:
        raise UserError(f"`{delivery.voice.name}` gave silence for `{text}`")
    margin = SAMPLE_RATE // 20
    return sound[max(0, int(loud[0]) - margin) : int(loud[-1]) + margin]
