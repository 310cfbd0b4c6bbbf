"""Lip refinement and the sync expert: laws of the shift search, untouched channels, and training of every family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from sklearn.metrics import roc_auc_score
from training_fixtures import FEATURE_ID, build, lip_preset, preset, write_tables

from magictalk_core.config import TrainingSetConfig
from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.all_channels import refine_all_channels
from magictalk_core.evaluation.sync_scores import (
    JUDGE_METRICS,
    HeldOutClip,
    expert_quality,
    judged_sync,
    sync_values,
)
from magictalk_core.metrics import sync_pairs
from magictalk_core.metrics.sync_pairs import pair_accuracies, pair_auc
from magictalk_core.models.audio2bs.task import Audio2BSTask
from magictalk_core.models.emodiff.rest import rest_state
from magictalk_core.models.families import FAMILIES
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.lip_residue.network import ResidueGenerator
from magictalk_core.models.sync_expert.calibration import best_threshold
from magictalk_core.models.sync_expert.config import SyncExpertNetworkConfig
from magictalk_core.models.sync_expert.model import SyncExpertModel, sync_scores
from magictalk_core.models.sync_expert.network import SyncExpert, pair_errors, sync_probability
from magictalk_core.models.sync_expert.offsets import distances_by_offset, scores_of
from magictalk_core.models.sync_expert.task import SyncExpertTask
from magictalk_core.training.run import current_model, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.build import Excluded, build_training_set
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.gaps import longest_measured
from magictalk_core.training_set.sync_gate import verdict_of
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES, MOTION_NAMES
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import NEUTRAL

LIPS = ("sync_expert", "sync_expert_all_channels", "audio2bs", "lip_residue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lips")
    build(path, frames_per_clip=80)
    for family in LIPS:
        train(FAMILIES[family], lip_preset(), path / "set", path / family, MemoryTracker())
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> TrainingSet:
    return TrainingSet.open(folder / "set")


@pytest.fixture(scope="module")
def refiner(folder: Path) -> LipRefiner:
    return LipRefiner.load(current_model(folder / "audio2bs"), current_model(folder / "lip_residue"))


@pytest.fixture(scope="module")
def expert(folder: Path) -> SyncExpertModel:
    return SyncExpertModel.load(current_model(folder / "sync_expert"))


def first_clip(data: TrainingSet, split: Split = Split.TEST) -> tuple[np.ndarray, np.ndarray]:
    row = data.index[data.index["split"] == split].iloc[0]
    part = slice(int(row["start"]), int(row["start"] + row["length"]))
    return np.array(data.states[part]), np.array(data.features[part])


@settings(max_examples=30, deadline=None)
@given(st.integers(-15, 15), st.integers(0, 1000))
def test_a_known_shift_is_found_and_its_sign_says_who_is_late(shift: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    sound = torch.nn.functional.normalize(torch.rand(120, 32, generator=random), dim=-1)
    frames = torch.arange(20, 100)
    # The mouth of frame n shows what was heard at n - shift.
    found = scores_of(distances_by_offset(sound[frames - shift], sound[frames]))
    assert found.sync_expert_offset == shift
    assert found.sync_expert_distance == pytest.approx(0, abs=1e-5) and found.sync_expert_confidence > 0


def _unit(windows: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(windows, 16, generator=random), dim=-1)


@pytest.mark.parametrize(("motion", "speech"), [(60, 60), (60, 45), (7, 60)])
def test_the_offset_search_gives_the_diagonals_of_all_pairs(motion: int, speech: int) -> None:
    moved, heard = _unit(motion, 0), _unit(speech, 1)
    windows = min(motion, speech)
    cosines = moved[:windows] @ heard[:windows].T
    found = distances_by_offset(moved, heard)
    assert len(found) == 2 * min(15, windows - 5) + 1
    for shift, distance in found.items():
        assert distance == pytest.approx(1 - float(torch.diagonal(cosines, -shift).mean()), abs=1e-6)


def test_the_offset_search_of_a_long_clip_keeps_no_matrix() -> None:
    windows = 15_000
    moved, heard = _unit(windows, 0), _unit(windows, 1)
    with torch.profiler.profile(profile_memory=True) as profile:
        distances_by_offset(moved, heard)
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert 0 < largest < 4 * windows * 64  # the matrix would be 4 * windows ** 2


def test_pairs_are_judged_block_by_block_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [(_unit(n, n).numpy(), _unit(n, n + 1).numpy()) for n in (40, 25)]
    clips.append((np.ones((12, 16), np.float32), np.ones((12, 16), np.float32)))  # nothing but ties
    same, strange, shares = [], [], []
    for moved, heard in clips:
        fit = moved @ heard.T
        away = np.abs(np.subtract.outer(np.arange(len(fit)), np.arange(len(fit)))) >= 4
        own = np.diag(fit)[:, None]
        shares.append(float(((own > fit) + 0.5 * (own == fit))[away].mean()))
        same.append(np.diag(fit))
        strange.append(fit[away])
    truth = np.repeat([1, 0], [sum(map(len, same)), sum(map(len, strange))])
    expected = roc_auc_score(truth, np.concatenate([*same, *strange]))
    for together in (1 << 22, 90, 1):
        monkeypatch.setattr(sync_pairs, "_PAIRS", together)
        assert pair_accuracies(clips, 4) == pytest.approx(shares, abs=1e-9)
        assert pair_auc(clips, 4) == pytest.approx(expected, abs=1e-6)


def test_a_clip_too_short_to_slide_is_an_error_and_a_gap_is_cut_out() -> None:
    with pytest.raises(PermanentError, match="at least 6 windows"):
        distances_by_offset(torch.rand(5, 4), torch.rand(5, 4))
    values = np.zeros((10, 2))
    values[[2, 3], 1] = np.nan
    assert longest_measured(values) == slice(4, 10)
    assert longest_measured(np.full((3, 2), np.nan)) == slice(0, 0)


def test_the_threshold_separates_own_from_strange_speech() -> None:
    assert 0.3 < best_threshold([0.5, 0.6, 0.7], [0.1, 0.2, 0.3]) < 0.5
    assert best_threshold([], [0.1]) is None


@pytest.mark.slow
def test_the_expert_learns_what_belongs_together(data: TrainingSet, expert: SyncExpertModel) -> None:
    states, features = first_clip(data)
    motion = np.full((len(states), len(MOTION_NAMES)), np.nan, np.float32)
    motion[:, [MOTION_NAMES.index(name) for name in data.channels]] = states
    found = expert_quality(expert, [HeldOutClip(motion, features)])
    assert found.accuracy > 0.75 and found.auc > 0.7 and found.clips == 1
    shuffled = expert_quality(
        expert, [HeldOutClip(motion[np.random.default_rng(0).permutation(len(motion))], features)]
    )
    assert shuffled.accuracy < 0.65
    values = sync_values(expert, motion, features, data.info["feature_id"])
    direct = sync_scores(expert, states, data.channels, features, data.info["feature_id"])
    assert values["sync_expert_distance"] == pytest.approx(direct.sync_expert_distance)
    assert sync_values(expert, motion[:9], features, data.info["feature_id"])["sync_expert_distance"] is None
    frozen = sync_values(expert, motion[:1].repeat(len(motion), axis=0), features, data.info["feature_id"])
    assert frozen["sync_expert_offset_error"] is None, "it fits at no shift, and does not score a perfect zero"
    twice = judged_sync([expert, expert], motion, features, data.info["feature_id"])
    assert list(twice) == list(JUDGE_METRICS) and list(twice.values()) == pytest.approx(list(values.values()))
    with pytest.raises(PermanentError, match="has `other`"):
        sync_scores(expert, states, data.channels, features, "other")


def test_around_its_window_the_level_of_a_face_tells_the_expert_nothing() -> None:
    torch.manual_seed(0)
    motion, speech, level = torch.randn(4, 7, 27), torch.randn(4, 7, 58), torch.randn(4, 1, 27)
    shown = {}
    for around in (True, False):
        expert = SyncExpert(
            SyncExpertNetworkConfig(frames=7, widths=(8,), embedding=16, relative_to_window=around), 27, 58
        )
        before, after = (expert(m, speech)[0].detach() for m in (motion, motion + level))
        shown[around] = float((before - after).abs().max())
    assert shown[True] < 1e-5 and shown[False] > 0.01
    with pytest.raises(ValueError, match="at least 2 frames"):
        SyncExpertNetworkConfig(frames=1, relative_to_window=True)


def test_the_loss_of_pairs_is_binary_cross_entropy_and_finite_in_bf16() -> None:
    random = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.rand(2, 50, 8, generator=random), dim=-1)
    in_sync = torch.rand(50, generator=random) > 0.5
    probability = sync_probability(*vectors)
    wanted = torch.nn.functional.binary_cross_entropy(probability, in_sync.float(), reduction="none")
    torch.testing.assert_close(pair_errors(probability, in_sync), wanted)
    same = vectors[0].bfloat16()
    assert torch.isfinite(pair_errors(sync_probability(same, same), torch.zeros(50, dtype=torch.bool))).all()


@pytest.mark.slow
@pytest.mark.thinned(3)
@pytest.mark.parametrize("family", LIPS)
def test_lips_train_in_bf16_and_keep_float32_weights(family: str, folder: Path, tmp_path: Path) -> None:
    for needed in ("audio2bs", "sync_expert"):
        (tmp_path / needed).symlink_to(folder / needed) if needed != family else None
    half = lip_preset(epochs=1, training={"precision": "bf16"})
    made = train(FAMILIES[family], half, folder / "set", tmp_path / family, MemoryTracker())
    weights = load_file(made.path / "model.safetensors")
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in weights.values())


@pytest.mark.slow
def test_without_held_out_clips_the_expert_knows_no_threshold(tmp_path: Path) -> None:
    """The threshold comes from clips it did not learn; what is left of one may be shorter than a window."""
    lost = {"toy/w2-happy/1": (20,)}
    tables = write_tables(tmp_path / "tables", frames_per_clip=80, lost=lost)
    thresholds = {}
    for name, left_out in (
        ("all", []),
        ("none", [f"toy/w2-{e}/{n}" for e in ("happy", "sad") for n in (1, 2)]),
    ):
        config = TrainingSetConfig(window=16, stride=4)
        excluded = {clip: Excluded(clip, "copy", "of another") for clip in left_out}
        build_training_set({"toy": tables}, config, FEATURE_ID, tmp_path / name, excluded)
        wide = lip_preset(epochs=2, expert={"frames": 21})
        made = train(FAMILIES["sync_expert"], wide, tmp_path / name, tmp_path / f"{name}-expert", MemoryTracker())
        thresholds[name] = SyncExpertModel.load(made.path).threshold
    assert thresholds["none"] is None and thresholds["all"]


@pytest.mark.slow
def test_a_late_mouth_is_shifted_and_a_stranger_is_a_mismatch(data: TrainingSet, expert: SyncExpertModel) -> None:
    states, features = first_clip(data)

    def judged(motion: np.ndarray, speech: np.ndarray, threshold: float = 0.0) -> str:
        found = sync_scores(expert, motion, data.channels, speech, data.info["feature_id"])
        confidence, offset = found.sync_expert_confidence, found.sync_expert_offset
        return verdict_of(confidence, offset, threshold, tolerance=2, knows_strangers=True)

    assert judged(states, features) == "matched"
    late = sync_scores(expert, states[:-8], data.channels, features[8:], data.info["feature_id"])
    assert judged(states[:-8], features[8:]) == "shifted" and abs(late.sync_expert_offset - 8) <= 1
    assert judged(np.repeat(states[:1], len(states), axis=0), features, threshold=0.3) == "mismatch"


def test_refinement_replaces_the_mouth_and_not_one_bit_more(data: TrainingSet, refiner: LipRefiner) -> None:
    states, features = first_clip(data)
    style = states[:20]
    made = refiner.refine(states, data.channels, features, refiner.feature_id, style)
    mouth = [name in JAW_MOUTH_NAMES for name in data.channels]
    assert set(refiner.mouth) == {name for name, own in zip(data.channels, mouth, strict=True) if own}
    others = ~np.array(mouth)
    assert made[:, others].tobytes() == states[:, others].tobytes()
    assert (made[:, mouth] != states[:, mouth]).mean() > 0.9
    assert made[:, mouth].min() >= 0 and made[:, mouth].max() <= 1
    # Columns go by name: a shuffled table gives the shuffled result.
    order = np.random.default_rng(0).permutation(len(data.channels))
    names = [data.channels[i] for i in order]
    again = refiner.refine(states[:, order], names, features, refiner.feature_id, style[:, order])
    np.testing.assert_allclose(again, made[:, order], atol=1e-6)


def test_a_refined_mouth_rests_where_nobody_speaks(data: TrainingSet, refiner: LipRefiner) -> None:
    states, features = first_clip(data)
    style, voice = states[:20], np.ones(len(states), np.float32)
    voice[10:30] = 0
    given = states, data.channels, features, refiner.feature_id, style
    spoken, rested = refiner.refine(*given), refiner.refine(*given, voice)
    assert rested[voice == 1].tobytes() == spoken[voice == 1].tobytes()
    mouth = [data.channels.index(name) for name in refiner.mouth]
    rest = np.repeat(rest_state(style, data.channels)[None, mouth], 20, axis=0)
    np.testing.assert_allclose(rested[voice == 0][:, mouth], rest, atol=1e-6)
    assert rested[0, data.channels.index("jawOpen")] > rest[0, list(refiner.mouth).index("jawOpen")]


def test_around_its_style_a_mouth_has_the_level_of_the_style(data: TrainingSet, refiner: LipRefiner) -> None:
    states, features = first_clip(data)
    style = np.clip(states[:20], 0.3, 0.6)
    config = refiner.config.model_copy(update={"relative_to_style": True})
    around = replace(refiner, config=config).mouth_of(features, style, data.channels)
    plain = refiner.mouth_of(features, style, data.channels)
    columns = [data.channels.index(name) for name in refiner.mouth]
    np.testing.assert_allclose(around.mouth.mean(axis=0), style[:, columns].mean(axis=0), atol=0.02)
    moved = [m - m.mean(axis=0) for m in (around.mouth, plain.neutral + plain.residue)]
    np.testing.assert_allclose(moved[0], moved[1], atol=0.05)


def test_what_refinement_refuses(data: TrainingSet, refiner: LipRefiner) -> None:
    states, features = first_clip(data)
    style, own = states[:5], refiner.feature_id
    with pytest.raises(PermanentError, match="found `mel`"):
        refiner.refine(states, data.channels, features, "mel", style)
    with pytest.raises(PermanentError, match="frames of motion, but"):
        refiner.refine(states[:-1], data.channels, features, own, style)
    with pytest.raises(PermanentError, match="missing jawOpen"):
        renamed = ["other" if name == "jawOpen" else name for name in data.channels]
        refiner.refine(states, renamed, features, own, style)
    with pytest.raises(PermanentError, match="no frame with a face"):
        refiner.refine(states, data.channels, features, own, np.full_like(style, np.nan))


def test_an_unlabelled_clip_is_not_taken_for_neutral(data: TrainingSet) -> None:
    """Most unlabelled clips of a labelled corpus are copies or parts of emotional ones; HDTF has no labels at all."""
    named = {("m1", "happy"): NEUTRAL, ("m2", "happy"): None}
    emotions = [named.get((row.speaker, row.emotion), row.emotion) for row in data.index.itertuples()]
    mixed = replace(data, index=data.index.assign(emotion=emotions))
    neutral = Audio2BSTask(lip_preset().audio2bs, mixed)
    speakers = mixed.index.iloc[neutral.frames.segment_of(neutral.order.starts)]
    assert set(speakers["emotion"]) == {NEUTRAL} and set(speakers["speaker"]) == {"m1"}
    everything = Audio2BSTask(lip_preset(clips="all").audio2bs, mixed)
    assert len(everything.order.starts) > len(neutral.order.starts)
    calm = mixed.index["emotion"][everything.calm]
    assert set(calm) == {NEUTRAL}, "the level of an unlabelled mouth counts no more than that of a happy one"
    unlabelled = replace(data, index=data.index.assign(emotion=None))
    assert Audio2BSTask(lip_preset().audio2bs, unlabelled).calm.all()


def test_a_residue_is_nothing_before_training() -> None:
    config = lip_preset().lip_residue.network
    residue = ResidueGenerator(config, 24, 27, 51)(torch.rand(2, 5, 27), torch.randn(2, 5, 24), torch.randn(2, 16, 51))
    assert torch.equal(residue, torch.zeros(2, 5, 27))


def test_without_separated_mouth_every_channel_moves(data: TrainingSet, folder: Path) -> None:
    name = "sync_expert_all_channels"
    expert = SyncExpertModel.load(current_model(folder / name), name)
    states, features = first_clip(data)
    moved = refine_all_channels(
        expert, states, data.channels, features, expert.folder.feature_id, preset().all_channels
    )
    changed = (moved != states).any(axis=0)
    assert changed[[data.channels.index(n) for n in ("browInnerUp", "jawOpen")]].all()
    assert not changed[[i for i, n in enumerate(data.channels) if n.startswith("head_")]].any()
    before, after = (
        sync_scores(expert, m, data.channels, features, expert.folder.feature_id).sync_expert_distance
        for m in (states, moved)
    )
    assert after < before
    with pytest.raises(PermanentError, match="expected a model of sync_expert, found"):
        SyncExpertModel.load(current_model(folder / name))


def test_negatives_are_of_the_same_clip_and_far_enough(data: TrainingSet) -> None:
    config = lip_preset().sync_expert
    task = SyncExpertTask(config, data)
    starts = np.repeat(task.order.starts, 5)
    others = task._shifted(starts, torch.Generator().manual_seed(0))
    assert (np.abs(others - starts[:, None]) >= config.training.min_shift).all()
    frames = task.frames
    rows = frames.segment_of(starts)
    assert (others >= frames.starts[rows][:, None]).all()
    assert (others + config.network.frames <= frames.ends[rows][:, None]).all()


class _Unplugged(MemoryTracker):
    """Dies at the first report after `step`."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        super().metrics(values, step)
        if step > self._step:
            raise ConnectionError


@pytest.mark.thinned(3)
@pytest.mark.parametrize("family", LIPS)
def test_an_interrupted_training_ends_with_the_same_bits(family: str, folder: Path, tmp_path: Path) -> None:
    whole = current_model(folder / family)
    for needed in ("audio2bs", "sync_expert"):
        (tmp_path / needed).symlink_to(folder / needed) if needed != family else None
    out = tmp_path / family
    with pytest.raises(ConnectionError):
        train(FAMILIES[family], lip_preset(), folder / "set", out, _Unplugged(11))
    resumed = train(FAMILIES[family], lip_preset(), folder / "set", out, MemoryTracker())
    first, second = (load_file(p / "model.safetensors") for p in (whole, resumed.path))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_residue_of_another_audio2bs_is_refused(folder: Path, tmp_path: Path) -> None:
    other = train(FAMILIES["audio2bs"], lip_preset(epochs=1), folder / "set", tmp_path / "audio2bs", MemoryTracker())
    with pytest.raises(PermanentError, match="trained on another Audio2BS"):
        LipRefiner.load(other.path, current_model(folder / "lip_residue"))
