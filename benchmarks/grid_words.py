"""Where the lips must touch in the GRID clips of ../shared/samples: their sentences are known, so that pocketsphinx
(pip install pocketsphinx) can say when each phone begins. Of the other clips nobody wrote down what is said."""

from __future__ import annotations

import numpy as np
from real_clips import RealClip

from magictalk_core.metrics.closures import BILABIAL, LABIODENTAL, Phoneme, Places, phoneme_places
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = ["SENTENCES", "bilabials"]

SENTENCES = {
    "grid_bbaf2n.mpg": "bin blue at f two now",
    "grid_brbk7n.mpg": "bin red by k seven now",
    "grid_lwbsza.mpg": "lay white by s zero again",
    "grid_pwij3p.mpg": "place white in j three please",
    "grid_id2_swwp2s.mpg": "set white with p two soon",
    "grid_swiz3n.mpg": "set white in z three now",
}

_STEPS_PER_SECOND = 100


def _phonemes(clip: RealClip) -> list[Phoneme]:
    """Words first, then the phones of these words: the two passes of pocketsphinx's forced alignment."""
    import pocketsphinx

    # A decoder of its own: one that has aligned refuses the next clip.
    decoder, sound = (
        pocketsphinx.Decoder(lm=None, loglevel="FATAL"),
        (np.clip(clip.samples, -1, 1) * 32767).astype(np.int16).tobytes(),
    )
    decoder.set_align_text(SENTENCES[clip.name])
    for second in (False, True):
        if second:
            decoder.set_alignment()
        decoder.start_utt()
        decoder.process_raw(sound, full_utt=True)
        decoder.end_utt()
    return [
        Phoneme(phone.name, phone.start / _STEPS_PER_SECOND, (phone.start + phone.duration) / _STEPS_PER_SECOND)
        for word in decoder.get_alignment()
        for phone in word
        if phone.name != "SIL" and not phone.name.startswith("+")
    ]


_found: dict[str, Places | None] = {}


def bilabials(clip: RealClip) -> Places | None:
    """Frames of every p, b and m of a clip, on the clock of its sound, and those of other speech; None for a clip whose
    words nobody wrote down, and without pocketsphinx."""
    if clip.name not in _found:
        _found[clip.name] = _places(clip)
    return _found[clip.name]


def _places(clip: RealClip) -> Places | None:
    if clip.name not in SENTENCES:
        return None
    try:
        phonemes = _phonemes(clip)
    except ImportError:
        return None
    return phoneme_places(phonemes, BILABIAL, round(len(clip.samples) / SAMPLE_RATE * FRAME_RATE), LABIODENTAL)
