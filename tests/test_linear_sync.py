"""The sync expert of the package: late sound is found in voices it never heard, and doubt is told as doubt."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from magictalk_core.config import SyncGateConfig
from magictalk_core.errors import PermanentError
from magictalk_core.media.decode import read_audio
from magictalk_core.models.shipped.base import SYNC_EXPERT, base_folder
from magictalk_core.models.sync_expert.belief import believed
from magictalk_core.models.sync_expert.judge import open_judge
from magictalk_core.models.sync_expert.linear import (
    FURTHEST,
    LINEAR_SYNC,
    MOUTH_STEMS,
    Evidence,
    LinearSync,
    mouth_channels,
    stem_columns,
)
from magictalk_core.recipes.base_models.seen_mouths import as_seen
from magictalk_core.recipes.base_models.sync import SyncSettings, fit_sync, measure_sync
from magictalk_core.recipes.base_voice.recordings import Recording
from magictalk_core.recipes.base_voice.speaking import Speaker
from magictalk_core.sample_corpus.build import utterances
from magictalk_core.sample_corpus.curves import motion_curves
from magictalk_core.speech.features import WHISPER, speech_features
from magictalk_core.training_set.sync_gate import SyncGate
from magictalk_core.vocabulary.arkit import BLIND_CHANNELS, JAW_MOUTH_NAMES, MOTION_NAMES
from magictalk_core.vocabulary.shipped import BASE

Values = NDArray[np.float32]

SHIFTS = np.arange(-FURTHEST, FURTHEST + 1)


@pytest.fixture(scope="module")
def expert() -> LinearSync:
    return LinearSync.load(base_folder(SYNC_EXPERT) / LINEAR_SYNC)


@pytest.fixture(scope="module")
def clips() -> list[tuple[Values, Values]]:
    """Motion (n, 58) and features of sentences of the sample corpus, whose voices the recipe does not have."""
    found = []
    for utterance in utterances()[::6]:
        path = resources.files("magictalk_core.sample_corpus").joinpath(f"speech/{utterance.key}.ogg")
        with resources.as_file(path) as file:
            samples = read_audio(file, 16_000)
        frames = round(utterance.duration_s * 25)
        motion = motion_curves(utterance, np.arange(frames) / 25)
        found.append((motion, speech_features(samples, frames, WHISPER)))
    return found


def moved(motion: Values, speech: Values, late: int) -> tuple[Values, Values]:
    """With the mouth later by `late` frames."""
    n = len(motion) - abs(late)
    return motion[max(0, -late) :][:n], speech[max(0, late) :][:n]


def gate(**settings: object) -> SyncGate:
    config = SyncGateConfig.model_validate({"expert": BASE, "action": "correct", **settings})
    return SyncGate.open(config, open_judge)


@pytest.mark.parametrize("late", [0, 10, -10])
def test_a_late_mouth_is_found_in_voices_it_never_heard(clips: list[tuple[Values, Values]], late: int) -> None:
    judge = gate()
    verdicts = [judge(*moved(motion, speech, late), WHISPER) for motion, speech in clips]
    assert len(verdicts) == 10
    for verdict in verdicts:
        assert verdict.offset is not None and abs(verdict.offset - late) <= 1 and verdict.method == "linear_sync"
        assert verdict.verdict == ("shifted" if late else "matched") and verdict.kept
        assert verdict.shift == (verdict.offset if late else 0)


def test_noise_in_place_of_a_mouth_is_seldom_believed_and_never_left_out(clips: list[tuple[Values, Values]]) -> None:
    random, judge = np.random.default_rng(0), gate()
    noise = [(random.uniform(0, 1, motion.shape).astype(np.float32), speech) for motion, speech in clips * 3]
    verdicts = [judge(*clip, WHISPER) for clip in noise]
    assert all(verdict.kept for verdict in verdicts)
    assert sum(verdict.verdict == "shifted" for verdict in verdicts) <= 5
    assert sum(verdict.verdict == "unsure" for verdict in verdicts) >= 10


def test_reject_leaves_out_what_it_is_sure_of_alone(clips: list[tuple[Values, Values]]) -> None:
    judge, (motion, speech) = gate(action="reject"), clips[0]
    assert not judge(*moved(motion, speech, 10), WHISPER).kept
    assert judge(motion, speech, WHISPER).kept
    sure = gate(action="reject", threshold=1.01)(*moved(motion, speech, 10), WHISPER)
    assert sure.verdict == "unsure" and sure.kept


def test_what_it_cannot_hear_or_see_is_told(clips: list[tuple[Values, Values]], expert: LinearSync) -> None:
    motion, speech = clips[0]
    with pytest.raises(PermanentError, match=rf"hears `{WHISPER}`, the clips have `logmel-29-1`: set speech.feature"):
        gate()(motion, speech[:, :29], "logmel-29-1")
    with pytest.raises(PermanentError, match="missing jawOpen"):
        expert.offset(motion[:, 1:], tuple(n for n in MOTION_NAMES if n != "jawOpen")[: motion.shape[1] - 1], speech)
    with pytest.raises(PermanentError, match="at least 26 frames, found 20"):
        expert.offset(motion[:20], MOTION_NAMES, speech[:20])
    lost = motion.copy()
    lost[:, MOTION_NAMES.index("jawOpen")] = np.nan
    assert gate()(lost, speech, WHISPER).verdict == "unjudged"


def test_every_tracker_sees_what_it_looks_at(expert: LinearSync) -> None:
    for blind in BLIND_CHANNELS.values():
        assert not set(expert.channels) & set(blind)
    assert set(expert.channels) <= set(JAW_MOUTH_NAMES) and expert.stems == MOUTH_STEMS


def test_a_belief_weighs_evidence_against_what_is_likely() -> None:
    flat = np.zeros(len(SHIFTS))
    nothing = believed(flat, np.full(len(SHIFTS), 100.0), 0.5)
    assert nothing.offset == 0 and 0.5 < nothing.confidence < 0.7
    weak = believed(0.05 * (SHIFTS == -7), np.full(len(SHIFTS), 100.0), 0.5)
    strong = believed(0.5 * (SHIFTS == -7), np.full(len(SHIFTS), 100.0), 0.5)
    assert weak.offset == 0 and (strong.offset, strong.correlation) == (-7, 0.5) and strong.confidence > 0.99
    # The same correlation in fewer frames says less; where nothing is known nothing is found.
    assert believed(0.5 * (SHIFTS == -7), np.full(len(SHIFTS), 20.0), 0.5).confidence < strong.confidence
    unknown = np.where(SHIFTS == -7, np.nan, 0.0)
    assert believed(unknown, np.full(len(SHIFTS), 100.0), 0.5).offset == 0


@pytest.mark.parametrize("late", [-13, 0, 4])
def test_evidence_peaks_where_two_curves_meet(late: int) -> None:
    curves = np.random.default_rng(1).normal(size=(200, 2))
    seen, heard = moved(curves, curves, late)
    found = Evidence.of(heard, seen, np.array([0.5, 0.5]))
    assert SHIFTS[int(np.nanargmax(found.correlation))] == late
    assert found.frames[FURTHEST] == 200 - abs(late) and found.frames[0] == found.frames[-1]
    short = Evidence.of(curves[:30], curves[:30], np.array([0.5, 0.5]))
    assert np.isfinite(short.correlation).sum() == 11


def toy_recordings(speakers: int = 4, each: int = 6) -> list[Recording]:
    """Features that tell the mouth, and nothing else that does."""
    random = np.random.default_rng(0)
    told, found = random.normal(size=(len(JAW_MOUTH_NAMES), 29)), []
    for place in range(speakers):
        for number in range(each):
            smooth = np.apply_along_axis(
                np.convolve, 0, random.normal(size=(120, len(JAW_MOUTH_NAMES))), np.ones(3), "same"
            )
            mouth = (0.3 + 0.1 * smooth).astype(np.float32)
            features = smooth @ told + random.normal(size=(120, 29))
            found.append(Recording(Speaker("toy", f"v{place}"), f"words {number}", features.astype(np.float32), mouth))
    return found


def test_the_recipe_fits_an_expert_that_finds_moved_mouths_of_others(tmp_path: Path) -> None:
    spoken = toy_recordings()
    taught, held_out = spoken[:18], spoken[18:]
    expert = fit_sync(taught, "logmel-29-1", SyncSettings(components=29, width=3, seen=2))
    assert np.isclose(expert.weights.sum(), 1) and expert.sharpness > 0
    figures = measure_sync(expert, held_out, taught, seed=1, seen=2)
    assert figures.clips == 6 and figures.false_alarms <= 0.1 and figures.found > 0.6
    expert.save(tmp_path / LINEAR_SYNC, {"recipe": "toy"})
    again = LinearSync.load(tmp_path / LINEAR_SYNC)
    mouth = stem_columns(held_out[0].mouth, JAW_MOUTH_NAMES, MOUTH_STEMS)
    one, other = (e.evidence(mouth, held_out[0].features) for e in (expert, again))
    np.testing.assert_allclose(one.correlation, other.correlation, atol=5e-3)
    assert (again.feature, again.threshold, again.sharpness) == ("logmel-29-1", expert.threshold, expert.sharpness)
    # A deaf expert finds nothing, and says nothing.
    deaf = replace(expert, heard=np.random.default_rng(2).normal(size=expert.heard.shape))
    assert measure_sync(deaf, held_out, taught, seed=1, seen=2).false_alarms <= 0.1
    save_file({"mean": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(PermanentError, match="no linear sync expert"):
        LinearSync.load(tmp_path / "other.safetensors")


def test_a_seen_mouth_follows_its_rule_loosely_and_the_same_draw_is_the_same() -> None:
    mouths = [stem_columns(one.mouth, JAW_MOUTH_NAMES, MOUTH_STEMS) for one in toy_recordings()]
    drawn = [as_seen(mouth, mouths, np.random.default_rng(n)) for n, mouth in enumerate(mouths)]
    r = [np.corrcoef(mouth[:, 0], seen[:, 0])[0, 1] for mouth, seen in zip(mouths, drawn, strict=True)]
    assert 0.3 < float(np.mean(r)) < 0.8 and all(seen.shape == (120, len(MOUTH_STEMS)) for seen in drawn)
    np.testing.assert_array_equal(drawn[0], as_seen(mouths[0], mouths, np.random.default_rng(0)))


def test_both_sides_of_a_channel_are_one() -> None:
    assert mouth_channels("jawOpen") == ("jawOpen",)
    assert mouth_channels("mouthSmile") == ("mouthSmileLeft", "mouthSmileRight")
    values = stem_columns(
        np.array([[0.2, 0.4, 0.9]]), ("mouthSmileLeft", "mouthSmileRight", "jawOpen"), ("jawOpen", "mouthSmile")
    )
    np.testing.assert_allclose(values, [[0.9, 0.3]])
