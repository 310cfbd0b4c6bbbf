"""Build the speech of the sample corpus with espeak-ng: `magictalk_core/sample_corpus/speech/`.

60 utterances: 5 voices x 4 emotions x 3 sentences, Ogg Opus at 16 kHz mono, and `utterances.json` with the text and the
start and end of every phoneme as the synthesizer reports them. Needs `apt-get install espeak-ng`.

    python scripts/dev/build_sample_speech.py
"""

from __future__ import annotations

import ctypes
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from scipy.signal import resample_poly

OUT = Path(__file__).parents[2] / "magictalk_core" / "sample_corpus" / "speech"

SPEAKERS = {
    # name: (espeak voice, base pitch 0-99, words per minute)
    "M901": ("en-us+m3", 38, 160),
    "M902": ("en-us+m4", 30, 150),
    "W901": ("en-us+f2", 62, 165),
    "W902": ("en-us+f4", 55, 158),
    "W903": ("en-us+f1", 70, 152),
}
EMOTIONS = {
    # name: (level, pitch change, pitch range, rate factor, volume)
    "neutral": (1, 0, 45, 1.0, 90),
    "angry": (3, 4, 75, 1.12, 140),
    "happy": (3, 12, 90, 1.06, 110),
    "sad": (3, -10, 20, 0.86, 70),
}
SENTENCES = [
    "Bob may bring five more apples home", "We have seen the moon above the park", "My father opened the old brown door",
    "Please put both blue cups on the table", "She saw a big fish jump over the boat", "The farm behind my house has no fence",
    "Open your mouth and say it aloud", "Five people walked past the empty shop", "You should move that lamp away from me",
    "Mother bought a warm coat for winter", "I hope they found a very good room", "Both of us wanted to go to the beach",
    "Papa made fresh bread this morning", "Who wrote the poem above the fireplace", "A small bird sat upon my open palm",
    "Leave the bags beside the front wall", "He thought the music was far too loud", "Keep the soup warm until Paul comes home",
    "The boy was happy about the blue balloon", "Few men ever climb up that high wall", "They vote for a new mayor in May",
    "Show me the path through the pine wood", "Always brush your teeth before bed", "Our room above the bar was very warm",
    "Pour some water over the white flowers", "Thirty brave women rowed across the bay", "I never saw a purple cow before",
    "What a good day for a picnic by the water", "The baby moved both arms and began to laugh", "You may borrow my book for a month",
    "Many farmers grow beans near the river", "Paul and Emma share a small apartment", "The bus leaves from the old market",
    "Warm rain fell on the empty road", "Our boat moved slowly along the shore", "She wore a soft yellow scarf outside",
    "Bring me a spoon and a bowl of rice", "The painter mixed purple with brown", "A fox ran over the frozen pond",
    "Why would anyone throw that away", "The phone rang five times before noon", "Most of the puppies were fast asleep",
    "Fresh fruit is better than chocolate", "The museum opens at half past four", "They built a bridge from wood and rope",
    "My uncle plays the piano very badly", "Put the vase of roses by the mirror", "We laughed about it for the whole week",
    "The moon looked huge over the valley", "Please lower your voice in the library", "Somebody left the window wide open",
    "He wants to become a famous pilot", "Four brown horses jumped the fence", "I would rather walk than wait for them",
    "The teacher wrote a poem on the board", "Remember to feed the fish tomorrow", "A loud noise woke up the neighbours",
    "Both brothers love to swim in the lake", "This old coat has a very deep pocket", "The village shop sells bread and honey",
]  # fmt: skip


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _EventId),
    ]  # fmt: skip


_PHONEME, _END = 7, 0
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
PITCH, RANGE, RATE, VOLUME = 3, 4, 1, 2


class Synthesizer:
    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libespeak-ng.so.1")
        # AUDIO_OUTPUT_SYNCHRONOUS, phoneme events with IPA names
        self.rate = self._lib.espeak_Initialize(2, 300, None, 1 | 2)
        self._callback = _CALLBACK(self._collect)
        self._lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, wav, count, events) -> int:
        if wav and count:
            self._samples.append(np.ctypeslib.as_array(wav, (count,)).copy())
        i = 0
        while events[i].type != _END:
            if events[i].type == _PHONEME:
                self._phonemes.append((events[i].audio_position, events[i].id.string.decode("utf-8", "ignore")))
            i += 1
        return 0

    def say(self, text: str, voice: str, pitch: int, pitch_range: int, rate: int, volume: int):
        self._samples, self._phonemes = [], []
        assert self._lib.espeak_SetVoiceByName(voice.encode()) == 0, voice
        for parameter, value in ((PITCH, pitch), (RANGE, pitch_range), (RATE, rate), (VOLUME, volume)):
            self._lib.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        self._lib.espeak_Synth(data, len(data), 0, 0, 0, 1, None, None)
        self._lib.espeak_Synchronize()
        return np.concatenate(self._samples).astype(np.float32) / 32768, self._phonemes


def write_opus(path: Path, samples: np.ndarray) -> None:
    with av.open(str(path), "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=16_000, layout="mono")
        stream.bit_rate = 32_000
        whole = np.clip(samples * 32767, -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.ogg"):
        old.unlink()
    synthesizer, utterances, number = Synthesizer(), {}, 0
    for speaker, (voice, pitch, rate) in SPEAKERS.items():
        for emotion, (level, up, pitch_range, faster, volume) in EMOTIONS.items():
            for take in range(3):
                text = SENTENCES[(number * 7) % len(SENTENCES)]
                number += 1
                sound, phonemes = synthesizer.say(
                    text + ".", voice, pitch + up, pitch_range, round(rate * faster), volume
                )
                lead = 0.16 + 0.05 * take
                sound = resample_poly(sound, 16_000, synthesizer.rate)
                # 0.2 s of silence before, and after the last phoneme about as much.
                loud = np.flatnonzero(np.abs(sound) > 0.004)
                sound = sound[: loud[-1] + 1600]
                sound = np.concatenate([np.zeros(round(lead * 16_000)), sound, np.zeros(2400)])
                times = [round(lead * 1000) + t for t, _ in phonemes] + [round(1000 * (len(sound) - 2400) / 16_000)]
                spans = [
                    [symbol, start, max(start, end)]
                    for (_, symbol), start, end in zip(phonemes, times[:-1], times[1:], strict=True)
                    if symbol
                ]
                key = f"{speaker}-{emotion}-{take + 1:03d}"
                write_opus(OUT / f"{key}.ogg", sound)
                utterances[key] = {
                    "speaker": speaker, "emotion": emotion, "level": level, "take": take + 1, "text": text,
                    "duration_s": round(len(sound) / 16_000, 4), "phonemes": spans,
                }  # fmt: skip
    (OUT / "utterances.json").write_text(json.dumps(utterances, indent=0, ensure_ascii=False), encoding="utf-8")
    lengths = [u["duration_s"] for u in utterances.values()]
    print(len(utterances), "utterances", min(lengths), max(lengths), sum(lengths))
    print(sorted({p[0] for u in utterances.values() for p in u["phonemes"]}))


if __name__ == "__main__":
    main()
