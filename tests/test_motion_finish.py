"""What follows the network: blinks, a head without trembling, joints, a mouth that rests; in pieces as at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from training_fixtures import build, preset

from magictalk_core.errors import PermanentError
from magictalk_core.metrics.blinks import find_blinks
from magictalk_core.metrics.head import head_statistics
from magictalk_core.models.emodiff.blinks import BLINKS_FILE, BlinkProcess, BlinkStatistics
from magictalk_core.models.emodiff.config import SamplingConfig
from magictalk_core.models.emodiff.family import EMODIFF
from magictalk_core.models.emodiff.finish import LowPass, MotionFinish
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest, asked_of
from magictalk_core.models.emodiff.rest import rest_state
from magictalk_core.training.run import current_model, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, JAW_MOUTH_NAMES, MOTION_NAMES, POSE_NAMES, STATE_NAMES

LIVELY = SamplingConfig(
    sampler="dpmpp", evaluations=4, join_frames=4, relative_pose=True, head_hz=2.0, rest=True, blinks="drawn"
)
BLINK_FRAMES = 3.0
Motion = NDArray[np.float32]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finish")
    build(path)
    plain = preset(network={"noise_skip": True, "relative_to_style": True, "fixed_initial_frame": True})
    train(EMODIFF, plain, path / "set", path / "models", MemoryTracker())
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> TrainingSet:
    return TrainingSet.open(folder / "set")


@pytest.fixture(scope="module")
def blinking(data: TrainingSet) -> TrainingSet:
    """A blink of both lids in the middle of every segment of 40 frames, three frames wide at half its height."""
    states = np.full(data.states.shape, 0.1, np.float32)
    bump = np.exp(-4 * np.log(2) * ((np.arange(40) - 20) / BLINK_FRAMES) ** 2)
    for start, length in zip(data.index["start"], data.index["length"], strict=True):
        for name, rise in (("eyeBlinkLeft", 0.4), ("eyeBlinkRight", 0.2), ("eyeSquintLeft", 0.15)):
            states[start : start + length, data.channels.index(name)] += rise * bump[:length]
    return replace(data, states=states)


@pytest.fixture(scope="module")
def model(folder: Path, blinking: TrainingSet) -> EmoDiffModel:
    """The trained model, asked for all that follows it."""
    path = current_model(folder / "models")
    BlinkStatistics.fit(blinking).save(path)
    return EmoDiffModel.load(path, sampling=LIVELY)


def known(per_minute: float = 20.0) -> BlinkStatistics:
    grid = np.linspace(-2.5, 2.5, 51)
    shape = np.repeat(np.exp(-4 * np.log(2) * grid**2)[:, None], 2, axis=1).astype(np.float32)
    values = np.array([0.3, 0.4], np.float32), np.array([3.0, 4.0], np.float32)
    return BlinkStatistics(("eyeBlinkLeft", "eyeBlinkRight"), per_minute, shape, *values)


def with_lids(added: NDArray[np.float64]) -> NDArray[np.float64]:
    motion = np.zeros((len(added), len(MOTION_NAMES)))
    motion[:, [MOTION_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]] = added
    return motion


def in_pieces(push: Callable[[NDArray[np.floating]], NDArray[np.floating]], values: Motion, cuts: list[int]) -> Motion:
    edges = sorted({0, len(values), *(cut % len(values) for cut in cuts)})
    return np.concatenate([push(values[a:b]) for a, b in pairwise(edges)])


def test_blinks_are_read_from_the_training_split(blinking: TrainingSet) -> None:
    found = BlinkStatistics.fit(blinking)
    train_rows = blinking.index[blinking.index["split"] == "train"]
    assert found.per_minute == pytest.approx(60 * 25 * len(train_rows) / train_rows["length"].sum())
    assert len(found.rises) == len(found.widths) == len(train_rows)
    np.testing.assert_allclose(found.rises, 0.3, atol=0.01)
    np.testing.assert_allclose(found.widths, BLINK_FRAMES, atol=0.3)
    left, right, squint = (found.channels.index(n) for n in ("eyeBlinkLeft", "eyeBlinkRight", "eyeSquintLeft"))
    np.testing.assert_allclose(found.shape[25, [left, right, squint]], [4 / 3, 2 / 3, 0.5], atol=0.02)
    np.testing.assert_allclose(found.shape, found.shape[::-1], atol=0.02)
    assert found.shape[[0, -1]].tolist() == np.zeros((2, len(found.channels))).tolist()


def test_who_never_blinks_teaches_no_blinks(data: TrainingSet, tmp_path: Path) -> None:
    still = replace(data, states=np.full(data.states.shape, 0.1, np.float32))
    found = BlinkStatistics.fit(still)
    found.save(tmp_path)
    again = BlinkStatistics.load(tmp_path)
    assert again.per_minute == 0 and not BlinkProcess(again, 1).push(1000).any()
    (tmp_path / BLINKS_FILE).unlink()
    with pytest.raises(PermanentError, match=r"knows no blinks: train it again with `magictalk run --select"):
        BlinkStatistics.load(tmp_path)


@pytest.mark.parametrize("seconds", [3, 600])
def test_short_clips_have_the_rate_of_long_ones(seconds: int) -> None:
    """A process that began when the clip does would give clips of three seconds too few."""
    frames, clips = seconds * 25, 3600 // seconds
    centres = 0
    for seed in range(clips):
        # Deepest moments: the lids of a clip are cut where it ends, so that each is counted in one clip alone.
        lids = BlinkProcess(known(), seed).push(frames + 2)[:, 0]
        centres += int(((lids[1:-1] > lids[:-2]) & (lids[1:-1] >= lids[2:])).sum())
    assert centres == pytest.approx(20 * 60, rel=0.1)


def test_drawn_blinks_are_blinks_and_leave_each_other_time() -> None:
    found = find_blinks(with_lids(BlinkProcess(known(), 5).push(25 * 600)))
    assert found.per_minute == pytest.approx(20, rel=0.2)
    peaks = np.array([frame for frame, _ in found.peaks])
    gaps = np.diff(peaks)
    assert gaps.min() >= 9 and 0.4 < gaps.std() / gaps.mean() < 0.8
    assert {round(width) for _, width in found.peaks} <= {3, 4}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5000), max_size=6), st.integers(0, 9))
def test_blinks_in_pieces_are_the_same_blinks(cuts: list[int], seed: int) -> None:
    whole = BlinkProcess(known(40), seed, 3).push(700)
    process = BlinkProcess(known(40), seed, 3)
    np.testing.assert_array_equal(in_pieces(lambda piece: process.push(len(piece)), whole, cuts), whole)
    assert not np.array_equal(whole, BlinkProcess(known(40), seed + 1, 3).push(700))


def test_the_low_pass_keeps_slow_turns_and_halves_those_at_its_frequency() -> None:
    time = np.arange(1000) / 25
    for hz, share in ((0.05, 1.0), (2.0, 0.5)):
        wave = np.sin(2 * np.pi * hz * time)[:, None]
        assert np.abs(LowPass(2.0, np.zeros(1)).push(wave)[500:]).max() == pytest.approx(share, abs=0.02)
    step = LowPass(2.0, np.zeros(1)).push(np.ones((50, 1)))[:, 0]
    assert (np.diff(step) >= 0).all() and step[0] < 0.2 and step[-1] == pytest.approx(1, abs=1e-3)


def test_a_trembling_head_is_smooth_afterwards() -> None:
    channels = [*ARKIT_NAMES, *POSE_NAMES]
    motion = np.random.default_rng(0).normal(size=(500, len(channels))).astype(np.float32)
    style = np.zeros((4, len(channels)), np.float32)
    before = head_statistics(motion)
    after = head_statistics(MotionFinish(LIVELY, channels, style, style[0], None, 0).push(motion))
    assert before["fast_share"] > 0.6 and before["step_autocorrelation"] < -0.3
    assert after["fast_share"] < 0.09 and after["step_autocorrelation"] > 0.2


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 300), max_size=5))
def test_a_performance_in_pieces_is_the_same_performance(cuts: list[int]) -> None:
    random = np.random.default_rng(1)
    motion = random.uniform(-0.2, 1.2, (120, len(STATE_NAMES))).astype(np.float32)
    style, voice = motion[:9].clip(0, 1), random.uniform(0, 1, 120).astype(np.float32)
    finishes = [MotionFinish(LIVELY, STATE_NAMES, style, style[0], known(60), 4) for _ in range(2)]
    whole = finishes[0].push(motion, voice)
    both = np.concatenate([motion, voice[:, None]], axis=1)
    pieces = in_pieces(lambda piece: finishes[1].push(piece[:, :-1], piece[:, -1]), both, cuts)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)
    face = [i for i, name in enumerate(STATE_NAMES) if name not in POSE_NAMES]
    assert whole[:, face].min() >= 0 and whole[:, face].max() <= 1


def test_rest_is_the_styles_closed_mouth_and_open_eyes() -> None:
    jaw, lid, smile = (STATE_NAMES.index(n) for n in ("jawOpen", "eyeBlinkLeft", "mouthSmileLeft"))
    style = np.zeros((50, len(STATE_NAMES)), np.float32)
    style[:, jaw] = np.linspace(0.02, 0.6, 50)
    style[:, smile] = np.where(style[:, jaw] < 0.12, 0.7, 0.4)
    style[::9, lid] = 0.9
    style[:, STATE_NAMES.index("head_yaw_deg")] = np.linspace(4, 8, 50)
    rest = rest_state(style, STATE_NAMES)
    np.testing.assert_allclose(rest[[jaw, smile, lid]], [0.02, 0.7, 0.0], atol=1e-6)
    assert rest[STATE_NAMES.index("head_yaw_deg")] == pytest.approx(6)


def test_a_performance_begins_at_rest_and_ends_there(model: EmoDiffModel, data: TrainingSet) -> None:
    style, voice = np.array(data.states[:30]), np.zeros(46, np.float32)
    voice[5:30] = 1
    request = MotionRequest(np.array(data.features[:46]), style, None, 3, voice)
    made = model.generate_many([request])[0]
    rest = rest_state(style, model.channels)
    mouth = [i for i, name in enumerate(model.channels) if name in JAW_MOUTH_NAMES]
    np.testing.assert_allclose(made[voice == 0][:, mouth], np.repeat(rest[None, mouth], 21, axis=0), atol=1e-6)
    assert np.abs(made[voice == 1][:, mouth] - rest[mouth]).max() > 0.05
    pose = [i for i, name in enumerate(model.channels) if name in POSE_NAMES]
    np.testing.assert_allclose(made[0, pose], 0, atol=1e-4)
    assert np.array_equal(made, model.generate_many([request])[0])
    with pytest.raises(PermanentError, match="46 frames of speech, but the activity of a voice of 45"):
        model.generate_many([replace(request, voice=voice[:-1])])


def test_a_window_goes_on_as_the_last_one_moved(model: EmoDiffModel, data: TrainingSet) -> None:
    speech, style = np.array(data.features[:46]), np.array(data.states[:30])
    pose = [i for i, name in enumerate(model.channels) if name in POSE_NAMES]
    plain = SamplingConfig(sampler="dpmpp", evaluations=4)
    for frames, continues in ((0, False), (4, True)):
        asked = replace(model, sampling=plain.model_copy(update={"join_frames": frames}))
        steps = np.diff(asked.generate(speech, style, seed=2)[:, pose], axis=0)
        # Frame 15 is the one that two windows of 16 share.
        assert np.allclose(steps[15], steps[14], atol=1e-4) == continues


def test_nothing_of_it_is_asked_by_the_paper(model: EmoDiffModel, data: TrainingSet) -> None:
    """With every setting off the activity of the voice changes nothing, and no blinks are looked for."""
    off = replace(model, sampling=SamplingConfig(sampler="dpmpp", evaluations=4), blinks=None)
    speech, style = np.array(data.features[:20]), np.array(data.states[:30])
    assert np.array_equal(off.generate(speech, style), off.generate(speech, style, voice=np.zeros(20, np.float32)))
    assert off.voice_of(np.zeros(3, np.float32)) is None and model.voice_of(np.zeros(3, np.float32)) is not None
    blind = replace(model, config=model.config.model_copy(update={"style": "none"}))
    assert blind.voice_of(np.zeros(3, np.float32)) is None, "whoever sees no style knows no rest"


def test_a_student_keeps_its_sampler_and_takes_what_follows_it() -> None:
    own = SamplingConfig(sampler="student", evaluations=4, guidance=1.0)
    asked = asked_of(own, LIVELY)
    assert (asked.sampler, asked.evaluations, asked.guidance) == ("student", 4, 1.0)
    assert asked.model_dump(include={"head_hz", "rest", "blinks"}) == {"head_hz": 2.0, "rest": True, "blinks": "drawn"}
    assert asked_of(SamplingConfig(), LIVELY) == LIVELY
