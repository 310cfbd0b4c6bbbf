"""Sentences spoken by espeak-ng, flite and festival, with every phone's time as the synthesizer reports it.

All from Debian: `espeak-ng`, `flite`, `festival` with the voices `festvox-kallpc16k`, `festvox-kdlpc16k` and
`festvox-us-slt-hts`. espeak-ng speaks from its library, which alone tells the phones' times.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.recipes.base_voice.articulation import Span
from magictalk_core.recipes.deepspeech_small.synthesis import resampled

__all__ = ["Speaker", "Spoken", "arpabet", "say"]

Samples = NDArray[np.float32]

_PATIENCE_S = 60


@dataclass(frozen=True)
class Speaker:
    """A voice of an engine and its manner. `pace`: 1 as the engine has it, 1.2 a fifth faster; `pitch` in espeak-ng's 0
    to 99, for espeak-ng alone."""

    engine: str
    voice: str
    pace: float = 1.0
    pitch: int = 50


@dataclass(frozen=True, eq=False)
class Spoken:
    """16 kHz mono samples in [-1, 1] and the phones said in them."""

    speaker: Speaker
    text: str
    samples: Samples
    spans: tuple[Span, ...]


_IPA = {
    "ɑː": "AA", "ɑːɹ": "AA R", "ɑ": "AA", "ɒ": "AA", "æ": "AE", "a": "AE", "aɪ": "AY", "aɪɚ": "AY ER", "aɪə": "AY AX",
    "aʊ": "AW", "ʌ": "AH", "ɐ": "AX", "ɔː": "AO", "ɔːɹ": "AO R", "ɔ": "AO", "ɔɪ": "OY", "oː": "AO", "oːɹ": "AO R",
    "oʊ": "OW", "əʊ": "OW", "ɛ": "EH", "ɛɹ": "EH R", "eə": "EH", "e": "EH", "eɪ": "EY", "ɪ": "IH", "i": "IY", "iː":
    "IY", "iə": "IY AX", "ɪə": "IH AX", "ɪɹ": "IH R", "ᵻ": "IH", "ʊ": "UH", "ʊɹ": "UH R", "ʊə": "UH AX", "uː": "UW",
    "u": "UW", "ə": "AX", "ɚ": "ER", "ɜː": "ER", "ɜ": "ER", "əl": "AX L", "b": "B", "m": "M", "p": "P", "f": "F", "v":
    "V", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "tʃ": "CH", "dʒ": "JH", "t": "T", "d": "D", "n": "N", "n̩": "N",
    "l": "L", "ɾ": "DX", "ʔ": "T", "θ": "TH", "ð": "DH", "k": "K", "ɡ": "G", "ŋ": "NG", "h": "HH", "ɹ": "R", "r": "R",
    "w": "W", "j": "Y", "x": "K", "eː": "EY", "ʍ": "W", "ʉ": "UW", "ʉː": "UW", "ʌʉ": "AW", "a:": "AA", "aː": "AA",
    "aa": "AA", "o": "OW", "ɑə": "AA", "oə": "AO", "ɔə": "AO", "t̪": "T",
}  # fmt: skip
"""espeak-ng's symbols of English, Scotland and the Caribbean included."""
_OTHERS = {"nx": "N", "el": "L", "em": "M", "en": "N", "axr": "ER", "hv": "HH"}
_PAUSES = frozenset(("pau", "ssil", "sil", "brth", "h#", "#", "ʲ", ""))


def _phones(symbol: str) -> list[str]:
    """ARPABET of an engine's symbol; one that no table knows is the longest known ones that it is made of."""
    known = _IPA.get(symbol) or _OTHERS.get(symbol) or (symbol.upper() if symbol.isascii() else None)
    if known is not None:
        return known.split()
    for length in range(len(symbol) - 1, 0, -1):
        if symbol[:length] in _IPA:
            return _IPA[symbol[:length]].split() + _phones(symbol[length:])
    raise UserError(f"no phone `{symbol}`: add it to the table of {__name__}")


def arpabet(symbol: str, start: float, end: float) -> list[Span]:
    """The ARPABET phones of a symbol of any engine, sharing its time; none for a pause.

    Raises `UserError` for a symbol that no table knows.
    """
    symbol = symbol.strip("ˈˌ")
    if symbol in _PAUSES:
        return []
    phones = _phones(symbol)
    edges = np.linspace(start, end, len(phones) + 1)
    return [(phone, float(a), float(b)) for phone, a, b in zip(phones, edges[:-1], edges[1:], strict=True)]


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _EventId),
    ]  # fmt: skip


_PHONEME_EVENT, _LAST_EVENT = 7, 0
_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA = 2, 1 | 2
_RATE, _PITCH = 1, 3
_WORDS_PER_MINUTE = 160
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Espeak:
    """The library, opened once in a process."""

    def __init__(self) -> None:
        found = ctypes.util.find_library("espeak-ng")
        if found is None:
            raise UserError("the recipe needs espeak-ng's library; install with: apt-get install espeak-ng")
        self._library: Any = ctypes.CDLL(found)
        self._rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 300, None, _PHONEME_EVENTS_IN_IPA))
        self._callback = _CALLBACK(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, wav: Any, count: int, events: Any) -> int:
        if wav and count:
            self._parts.append(np.ctypeslib.as_array(wav, (count,)).copy())
        index = 0
        while events[index].type != _LAST_EVENT:
            if events[index].type == _PHONEME_EVENT:
                name = events[index].id.string.decode("utf-8", "ignore")
                self._phones.append((events[index].audio_position / 1000, name))
            index += 1
        return 0

    def say(self, text: str, speaker: Speaker) -> Spoken:
        self._parts: list[NDArray[np.int16]] = []
        self._phones: list[tuple[float, str]] = []
        if self._library.espeak_SetVoiceByName(speaker.voice.encode()) != 0:
            raise UserError(f"espeak-ng has no voice `{speaker.voice}`")
        self._library.espeak_SetParameter(_RATE, round(_WORDS_PER_MINUTE * speaker.pace), 0)
        self._library.espeak_SetParameter(_PITCH, speaker.pitch, 0)
        data = text.encode() + b".\0"
        self._library.espeak_Synth(data, len(data), 0, 0, 0, 1, None, None)
        self._library.espeak_Synchronize()
        samples = resampled(np.concatenate(self._parts).astype(np.float32) / np.float32(32768), self._rate)
        ends = [start for start, _ in self._phones[1:]] + [len(samples) / 16_000]
        spans = [
            span for (start, name), end in zip(self._phones, ends, strict=True) for span in arpabet(name, start, end)
        ]
        return Spoken(speaker, text, samples, tuple(spans))


@cache
def _espeak() -> _Espeak:
    return _Espeak()


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except FileNotFoundError as error:
        raise UserError(f"the recipe needs {command[0]}; install with: apt-get install {command[0]}") from error
    if done.returncode:
        raise UserError(f"`{' '.join(command)}` failed: {done.stderr.strip()[:200]}")
    return done.stdout


def _read(path: Path) -> Samples:
    with wave.open(str(path)) as reader:
        rate, data = reader.getframerate(), reader.readframes(reader.getnframes())
    return resampled(np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768), rate)


def _spans(ends: list[tuple[str, float]]) -> tuple[Span, ...]:
    """Of phones and their ends, the first of which begins at 0."""
    starts = [0.0] + [end for _, end in ends[:-1]]
    return tuple(span for start, (name, end) in zip(starts, ends, strict=True) for span in arpabet(name, start, end))


def _flite(texts: list[str], speaker: Speaker, folder: Path) -> list[Spoken]:
    spoken = []
    for text in texts:
        sound = folder / "said.wav"
        stretch = f"duration_stretch={1 / speaker.pace:.3f}"
        printed = _run(["flite", "-voice", speaker.voice, "-psdur", "--setf", stretch, "-t", text, "-o", str(sound)])
        pairs = [word.rpartition(":") for word in printed.split()]
        ends = [(name, float(end)) for name, _, end in pairs]
        spoken.append(Spoken(speaker, text, _read(sound), _spans(ends)))
    return spoken


def _festival(texts: list[str], speaker: Speaker, folder: Path) -> list[Spoken]:
    lines = [f"(voice_{speaker.voice})", f"(Parameter.set 'Duration_Stretch {1 / speaker.pace:.3f})"]
    for index, text in enumerate(texts):
        lines += [
            f'(set! said (utt.synth (Utterance Text "{text}")))',
            f'(utt.save.wave said "{folder / f"{index}.wav"}" \'riff)',
            f'(utt.save.segs said "{folder / f"{index}.lab"}")',
        ]
    script = folder / "say.scm"
    script.write_text("\n".join(lines), encoding="utf-8")
    _run(["festival", "--batch", str(script)])
    spoken = []
    for index, text in enumerate(texts):
        rows = (folder / f"{index}.lab").read_text(encoding="utf-8").partition("#\n")[2].split("\n")
        ends = [(fields[2], float(fields[0])) for fields in map(str.split, rows) if len(fields) == 3]
        spoken.append(Spoken(speaker, text, _read(folder / f"{index}.wav"), _spans(ends)))
    return spoken


def say(texts: list[str], speaker: Speaker) -> list[Spoken]:
    """Every sentence (letters, spaces and apostrophes) said by `speaker`, one recording each.

    Raises `UserError` that names the Debian package where an engine is missing.
    """
    if speaker.engine == "espeak-ng":
        return [_espeak().say(text, speaker) for text in texts]
    with tempfile.TemporaryDirectory() as scratch:
        return {"flite": _flite, "festival": _festival}[speaker.engine](texts, speaker, Path(scratch))
