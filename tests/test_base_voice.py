"""Synthetic voices with their mouths: phones of three engines, what lips do for them, the choice, the file, the
recipe."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.models.audio2bs.linear import Readout
from magictalk_core.recipes.base_voice import speaking
from magictalk_core.recipes.base_voice.articulation import Span, mouth_curves
from magictalk_core.recipes.base_voice.readout import VoiceReadout, read_mouth
from magictalk_core.recipes.base_voice.recordings import SPEAKERS, RecordingSettings
from magictalk_core.recipes.base_voice.run import READOUT_NAME, Choice, VoiceSettings, chosen, run_recipe
from magictalk_core.recipes.base_voice.speaking import Speaker, arpabet, say
from magictalk_core.sample_corpus.build import utterances
from magictalk_core.speech.features import WHISPER
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES

ENGINES = ("espeak-ng", "flite", "festival")


def channel(curves: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    return curves[:, JAW_MOUTH_NAMES.index(name)]


def mouth(*phones: str, each_s: float = 0.16) -> NDArray[np.float32]:
    """Half a second of rest, the phones, half a second of rest."""
    spans = [(phone, 0.5 + each_s * i, 0.5 + each_s * (i + 1)) for i, phone in enumerate(phones)]
    return mouth_curves(spans, round((1.0 + each_s * len(phones)) * 25), JAW_MOUTH_NAMES, 1.0)


def at(curves: NDArray[np.float32], name: str, phone: int, each_s: float = 0.16) -> float:
    """A channel in the middle of the phone of that number."""
    return float(channel(curves, name)[int((0.5 + each_s * (phone + 0.5)) * 25)])


@pytest.mark.parametrize("consonant", ["B", "M", "P"])
def test_bilabials_close_the_lips_between_open_vowels(consonant: str) -> None:
    said = mouth("AA", consonant, "AA")
    assert at(said, "jawOpen", 0) > 0.4 and at(said, "jawOpen", 1) < 0.05
    assert at(said, "mouthPressLeft", 1) == at(said, "mouthPressRight", 1) > 0.3 > 0.1 > at(said, "mouthPressLeft", 0)


@pytest.mark.parametrize("consonant", ["F", "V"])
def test_labiodentals_lay_the_lower_lip_against_the_teeth(consonant: str) -> None:
    said = mouth("AA", consonant, "AA")
    assert at(said, "jawOpen", 1) < 0.15 and at(said, "mouthRollLower", 1) > 0.4
    assert at(said, "mouthPressLeft", 1) == 0 and at(said, "mouthUpperUpLeft", 1) > 0.2


def test_jaws_are_ordered_as_phonetics_orders_vowels() -> None:
    jaw = {vowel: at(mouth(vowel), "jawOpen", 0) for vowel in ("AA", "AE", "EH", "AH", "IH", "IY", "ER", "UW")}
    assert min(jaw["AA"], jaw["AE"]) > jaw["EH"] > jaw["AH"] > jaw["IH"] > max(jaw["IY"], jaw["ER"]) > jaw["UW"]


def test_diphthongs_move_and_h_has_the_vowel_that_follows() -> None:
    said = channel(mouth("AY", each_s=0.4), "jawOpen")
    assert said[14] > 1.5 * said[21]
    low, high = mouth("HH", "AA"), mouth("HH", "UW")
    assert at(low, "jawOpen", 0) > 2 * at(high, "jawOpen", 0)
    assert at(mouth("HH"), "jawOpen", 0) > 0
    assert at(mouth("UW"), "mouthPucker", 0) > 0.3 > at(mouth("IY"), "mouthPucker", 0)


def test_effort_opens_and_spreads_the_mouth_and_closes_it_no_more() -> None:
    spans: list[Span] = [("AA", 0.2, 0.4), ("M", 0.4, 0.5), ("UW", 0.5, 0.7)]
    calm, clear = (mouth_curves(spans, 25, JAW_MOUTH_NAMES, effort) for effort in (0.5, 1.0))
    for name in ("jawOpen", "mouthLowerDownLeft", "mouthUpperUpRight"):
        np.testing.assert_allclose(channel(calm, name), channel(clear, name) / 2, atol=1e-6)
    for name in ("mouthPressLeft", "mouthPucker", "mouthFunnel"):
        np.testing.assert_array_equal(channel(calm, name), channel(clear, name))


def test_lips_rest_in_pauses() -> None:
    said = mouth("AA", "M", "IY")
    assert np.abs(said[:8]).max() < 0.03 and np.abs(said[-8:]).max() < 0.03
    assert np.abs(mouth_curves([], 20, JAW_MOUTH_NAMES, 1.0)).max() == 0


def test_every_symbol_of_the_sample_corpus_is_known() -> None:
    symbols = {symbol for utterance in utterances() for symbol, _, _ in utterance.phonemes}
    assert len(symbols) > 40
    for symbol in symbols:
        assert arpabet(symbol, 0.0, 1.0) or symbol in speaking._PAUSES


@pytest.mark.parametrize(
    ("symbol", "wanted"),
    [
        ("ˈɑːɹ", [("AA", 0.0, 0.5), ("R", 0.5, 1.0)]),
        ("əɹ", [("AX", 0.0, 0.5), ("R", 0.5, 1.0)]),
        ("axr", [("ER", 0.0, 1.0)]),
        ("zh", [("ZH", 0.0, 1.0)]),
        ("pau", []),
    ],
)
def test_symbols_become_phones_that_share_their_time(symbol: str, wanted: list[Span]) -> None:
    assert arpabet(symbol, 0.0, 1.0) == wanted
    with pytest.raises(UserError, match="no phone `ǃ`"):
        arpabet("ǃ", 0.0, 1.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_says_when_its_phones_are(engine: str) -> None:
    if not shutil.which(engine):
        pytest.skip(f"speaks with {engine}, which is not installed: apt-get install {engine}")
    speaker = next(speaker for speaker in SPEAKERS if speaker.engine == engine)
    (said,) = say(["the man was here"], speaker)
    assert [phone for phone, _, _ in said.spans][:5] in (["DH", "AX", "M", "AE", "N"], ["DH", "AH", "M", "AE", "N"])
    starts = [start for _, start, _ in said.spans]
    assert starts == sorted(starts) and said.spans[-1][2] <= len(said.samples) / 16_000 + 0.02
    # The loudest vowel is louder than the pause around the sentence.
    _, begin, end = next(span for span in said.spans if span[0] == "AE")
    vowel = said.samples[round(begin * 16_000) : round(end * 16_000)]
    assert np.abs(vowel).mean() > 2 * np.abs(said.samples[-800:]).mean()


def test_of_what_is_close_to_the_best_the_strongest_penalty_is_chosen() -> None:
    tried = [Choice(96, 0.1, 0.909), Choice(192, 0.3, 0.916), Choice(192, 1.0, 0.912), Choice(192, 3.0, 0.900)]
    assert chosen(tried) == Choice(192, 1.0, 0.912)
    assert chosen([*tried, Choice(96, 1.0, 0.9115)]) == Choice(96, 1.0, 0.9115)


def a_readout() -> VoiceReadout:
    random = np.random.default_rng(0)
    weight = 0.02 * random.normal(size=(5, 384, 2)).transpose(2, 0, 1)  # as the fit leaves it: not in C's order
    names = ("jawOpen", "mouthPucker")
    mean, std = random.normal(size=384).astype(np.float32), random.uniform(0.5, 2, 384).astype(np.float32)
    return VoiceReadout(WHISPER, names, mean, std, Readout(weight, np.array([0.4, 0.1])))


def test_a_file_gives_the_readout_back(tmp_path: Path) -> None:
    made, path = a_readout(), tmp_path / "a.safetensors"
    made.save(path, {"made": "here"})
    features = np.random.default_rng(1).normal(size=(30, 384)).astype(np.float32)
    np.testing.assert_allclose(VoiceReadout.load(path).mouth(features), made.mouth(features), atol=2e-3)
    samples = 0.1 * np.random.default_rng(2).standard_normal(16_000).astype(np.float32)
    names, found = read_mouth(path, samples, 25)
    assert names == made.names and found.shape == (25, 2) and found.min() >= 0 and found.max() <= 1


def test_a_file_that_is_no_readout_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no")
    with pytest.raises(PermanentError, match=r"a\.safetensors: no readout"):
        VoiceReadout.load(tmp_path / "a.safetensors")
    cut = a_readout()
    VoiceReadout(WHISPER, cut.names, cut.mean[:-1], cut.std[:-1], cut.readout).save(tmp_path / "b.safetensors", {})
    with pytest.raises(PermanentError, match="expected a matrix for 2 channels of 384 values"):
        VoiceReadout.load(tmp_path / "b.safetensors")


def test_the_recipe_learns_what_another_engine_says(tmp_path: Path) -> None:
    missing = [engine for engine in ENGINES[:2] if not shutil.which(engine)]
    if missing:
        pytest.skip(f"speaks with {' and '.join(missing)}, which is not installed: apt-get install {' '.join(missing)}")
    speakers = (Speaker("espeak-ng", "en-us+m3"), Speaker("espeak-ng", "en-us+f2"), Speaker("flite", "kal16"))
    settings = VoiceSettings(RecordingSettings(sentences=3, spoilt=0.0), components=(48,), ridges=(0.3, 3.0))
    choice = run_recipe(tmp_path, settings, speakers)
    assert choice.r > 0.5
    readout = VoiceReadout.load(tmp_path / READOUT_NAME)
    assert readout.names == JAW_MOUTH_NAMES
    # The file speaks as well as what was written into it: the lips of a sentence move, those of silence do not.
    (said,) = say(["bob may bring five apples home"], speakers[0])
    frames = len(said.samples) // 640
    _, moved = read_mouth(tmp_path / READOUT_NAME, said.samples, frames)
    true = channel(mouth_curves(said.spans, frames, JAW_MOUTH_NAMES, 1.0), "jawOpen")
    assert np.corrcoef(channel(moved, "jawOpen"), true)[0, 1] > 0.6
    _, rested = read_mouth(tmp_path / READOUT_NAME, np.zeros(32_000, np.float32), 50)
    assert channel(rested, "jawOpen").mean() < 0.5 * channel(moved, "jawOpen").mean()
    assert (tmp_path / "figures.json").is_file() and (tmp_path / READOUT_NAME).stat().st_size < 200_000
