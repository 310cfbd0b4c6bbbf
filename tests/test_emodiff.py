"""EmoDiff: the paper's equations in closed form, the conditions, and motion of any length."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from training_fixtures import FEATURES, build, preset

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.models.emodiff.conditions import STYLE_FRAMES, condition_matrix, style_positions
from magictalk_core.models.emodiff.config import EmoDiffNetworkConfig, EmoDiffSettings, SamplingConfig
from magictalk_core.models.emodiff.diffusion import NoiseSchedule, draw_noise, guided, sample, stabilized
from magictalk_core.models.emodiff.dpm_solver import DpmSolver
from magictalk_core.models.emodiff.family import EMODIFF
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.emodiff.network import Denoiser
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.emodiff.task import EmoDiffTask
from magictalk_core.presets.preset import load_preset
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.speech_context import speech_around
from magictalk_core.training_set.style_pool import StylePools
from magictalk_core.vocabulary.arkit import STATE_SETS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set and a model trained on it for a moment."""
    path = tmp_path_factory.mktemp("emodiff")
    build(path)
    settings = preset(network={"noise_skip": True, "speech_context": 1})
    train(EMODIFF, settings, path / "set", path / "models", MemoryTracker())
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> TrainingSet:
    return TrainingSet.open(folder / "set")


@pytest.fixture(scope="module")
def model(folder: Path) -> EmoDiffModel:
    (path,) = (folder / "models").glob("*/model")
    return EmoDiffModel.load(path)


def test_the_network_of_the_paper_has_its_size() -> None:
    """Reference/models.md 1.3: 25.3-25.7 million with 57 state channels and 58 features."""
    network = Denoiser(load_preset("paper").emodiff.network, 32, 57, 58)
    assert 25.3e6 <= sum(p.numel() for p in network.parameters()) <= 25.7e6


@pytest.mark.parametrize("settings", [{}, {"noise_skip": True}, {"time_code": "beta"}, {"speech_context": 2}])
def test_the_network_maps_a_window_to_noise_of_its_shape(settings: dict[str, object]) -> None:
    config = EmoDiffNetworkConfig.model_validate({"hidden": 32, "blocks": 1, "heads": 2, **settings})
    network = Denoiser(config, 16, 5, 3)
    x, c, t = torch.randn(4, 16, 5), torch.randn(4, 16, 6), torch.tensor([0, 1, 250, 499])
    speech = torch.randn(4, 16, 3 * (2 * config.speech_context + 1))
    assert network(x, t, c, speech).shape == x.shape
    dropped = torch.tensor([True] * 4)
    assert torch.equal(network(x, t, c, speech, dropped), network(x, t, c * 2, speech * 3, dropped))
    assert not torch.equal(network(x, t, c, speech), network(x, t, c, speech * 3))


def test_noise_is_added_by_equation_1() -> None:
    config = EmoDiffNetworkConfig()
    schedule = NoiseSchedule(config)
    betas = np.linspace(config.beta_start, config.beta_end, config.steps)
    assert schedule.alphas_cumprod[-1].item() == pytest.approx(np.prod(1 - betas), rel=1e-9)
    x0, noise = torch.ones(2, 3, 4), torch.full((2, 3, 4), 2.0)
    noisy = schedule.add_noise(x0, noise, torch.tensor([0, 499]))
    assert noisy[0, 0, 0].item() == pytest.approx(math.sqrt(1 - 1e-4) + 2 * math.sqrt(1e-4), rel=1e-5)
    abar = float(np.prod(1 - betas))
    assert noisy[1, 0, 0].item() == pytest.approx(math.sqrt(abar) + 2 * math.sqrt(1 - abar), rel=1e-5)


def test_velocity_weights_undo_the_factor_of_the_skip() -> None:
    schedule = NoiseSchedule(EmoDiffNetworkConfig())
    assert torch.equal(schedule.loss_weights("noise"), torch.ones(500))
    x0, noise, t = torch.randn(1, 2, 3), torch.randn(1, 2, 3), torch.tensor([300])
    abar = schedule.alphas_cumprod[300].float()
    velocity = abar.sqrt() * noise - (1 - abar).sqrt() * x0
    wrong = torch.randn(1, 2, 3)
    skip = (1 - abar).sqrt() * schedule.add_noise(x0, noise, t) + abar.sqrt() * wrong
    weighted = (skip - noise).square().mean() * schedule.loss_weights("velocity")[300]
    assert weighted.item() == pytest.approx((wrong - velocity).square().mean().item(), rel=1e-4)


@pytest.mark.thinned(4)
@pytest.mark.parametrize(
    ("sampler", "steps", "tolerance"),
    [("dpmpp", 20, 0.09), ("ddpm", 500, 0.06), ("code65", 500, 0.06), ("ddim", 50, 0.09)],
)
def test_samplers_reach_a_gaussian_whose_noise_is_known(sampler: str, steps: int, tolerance: float) -> None:
    """For data N(mu, s^2) the best prediction of the noise has a closed form; sampling with it must give N(mu, s^2)."""
    config = EmoDiffNetworkConfig()
    sampling = SamplingConfig.model_validate({"sampler": sampler, "evaluations": steps})
    abars = NoiseSchedule(config).alphas_cumprod
    mu, s = torch.tensor([1.5, -0.5]), torch.tensor([0.3, 1.2])

    def predict(x: Tensor, t: Tensor) -> Tensor:
        abar = abars[t].float()[:, None, None]
        return (1 - abar).sqrt() * (x - abar.sqrt() * mu) / (abar * s**2 + 1 - abar)

    rows = 64
    generators = [torch.Generator().manual_seed(i) for i in range(rows)]
    x = sample(predict, draw_noise((64, 2), generators), config, sampling, generators)
    np.testing.assert_allclose(x.mean(dim=(0, 1)), mu, atol=tolerance)
    if sampler == "code65":
        # Frames share their last noise: only the spread over the rows is free, and it is smaller.
        assert (x.std(dim=(0, 1)) < s * 1.1).all() and (x.std(dim=(0, 1)) > s * 0.7).all()
    else:
        np.testing.assert_allclose(x.std(dim=(0, 1)), s, atol=tolerance)


@pytest.mark.parametrize("evaluations", [1, 2, 4, 20, 25])
def test_the_solver_lands_where_that_of_diffusers_does(evaluations: int) -> None:
    from diffusers import DPMSolverMultistepScheduler

    schedule, mixing = (
        NoiseSchedule(EmoDiffNetworkConfig()),
        torch.randn(5, 5, generator=torch.Generator().manual_seed(1)),
    )
    theirs = DPMSolverMultistepScheduler(
        num_train_timesteps=500, timestep_spacing="trailing", algorithm_type="dpmsolver++", solver_order=2
    )
    theirs.alphas_cumprod, ours = schedule.alphas_cumprod, DpmSolver(schedule.alphas_cumprod)
    for solver in (theirs, ours):
        solver.set_timesteps(evaluations)
    assert ours.timesteps == [int(t) for t in theirs.timesteps] and len(ours.timesteps) == evaluations
    x = y = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    for t in ours.timesteps:
        x, y = (
            solver.step(torch.tanh(0.3 * state @ mixing) + 1e-3 * t, t, state).prev_sample
            for solver, state in ((theirs, x), (ours, y))
        )
    torch.testing.assert_close(y, x, rtol=1e-5, atol=5e-5)
    ours.set_timesteps(evaluations)
    with pytest.raises(ValueError, match="the next one is 499"):
        ours.step(x, 3, x)


def test_the_stabilizer_ends_in_noise_that_frames_share() -> None:
    torch.manual_seed(0)
    noise, shared = torch.randn(1, 200, 2), torch.randn(1, 1, 2)
    assert torch.equal(stabilized(noise, shared, 25), noise) and torch.equal(stabilized(noise, shared, 1), noise)
    late = stabilized(noise, shared, 2)
    assert late.std(dim=1).max() < 0.7 * noise.std(dim=1).min(), "the rest of the spread is shared"
    many = torch.randn(20_000, 1, 1)
    assert stabilized(many, torch.randn(20_000, 1, 1), 12).std().item() == pytest.approx(1.0, abs=0.03)


def test_guidance_is_equation_5() -> None:
    c, u = torch.tensor([2.0]), torch.tensor([1.0])
    assert guided(c, u, 0.0).item() == 2.0 and guided(c, u, 0.15).item() == pytest.approx(2.15)


def test_the_condition_matrix_holds_the_initial_state_and_three_styles() -> None:
    initial, style = torch.full((2, 4), 7.0), torch.arange(24.0).reshape(2, 3, 4)
    matrix = condition_matrix(initial, style, 32)
    assert matrix.shape == (2, 32, 5) and tuple(style_positions(32)) == (15, 16, 17)
    assert torch.equal(matrix[:, 0, :4], initial) and torch.equal(matrix[:, 15:18, :4], style)
    given = matrix[0, :, 4].bool()
    assert given.nonzero().flatten().tolist() == [0, 15, 16, 17]
    assert matrix[:, ~given].abs().max() == 0


def test_speech_of_neighbours_stays_inside_the_segment() -> None:
    features = torch.arange(20.0)[:, None]
    joined = speech_around(features, torch.arange(5, 9)[None], torch.tensor([5]), torch.tensor([9]), 5).flatten(2)
    assert joined[0].tolist() == [[5, 5, 5, 6, 7], [5, 5, 6, 7, 8], [5, 6, 7, 8, 8], [6, 7, 8, 8, 8]]


def test_styles_come_from_other_clips_of_the_same_speaker_and_emotion(data: TrainingSet) -> None:
    pools = StylePools(data.index, 16)
    starts = np.repeat(data.index["start"].to_numpy(), 20)
    drawn = pools.draw(starts, STYLE_FRAMES, torch.Generator().manual_seed(0))
    rows = data.index.loc[np.searchsorted(data.index["start"], starts, side="right") - 1].reset_index(drop=True)
    for column in range(3):
        of = data.index.loc[np.searchsorted(data.index["start"], drawn[:, column], side="right") - 1]
        of = of.reset_index(drop=True)
        assert (of["clip_id"] != rows["clip_id"]).all()
        for label in ("speaker", "emotion", "split"):
            assert (of[label] == rows[label]).all(), label


def test_a_lone_clip_gives_its_own_frames_outside_the_window(data: TrainingSet) -> None:
    lone = data.index.iloc[:1]
    drawn = StylePools(lone, 16).draw(np.full(200, 10), STYLE_FRAMES, torch.Generator().manual_seed(0))
    assert not ((drawn >= 10) & (drawn < 26)).any() and drawn.min() >= 0 and drawn.max() < 40


def test_a_step_is_a_pure_function_of_its_number(data: TrainingSet) -> None:
    settings = preset(training={"condition_noise": 0.3}).emodiff
    task, again = EmoDiffTask(settings, data), EmoDiffTask(settings, data)
    network = task.build_network()
    assert torch.equal(task.training_loss(network, 5), again.training_loss(network, 5))
    assert not torch.equal(task.training_loss(network, 5), task.training_loss(network, 6))
    epoch = np.concatenate([task.windows.order.batch(s) for s in range(task.steps_per_epoch())])
    assert len(set(epoch.tolist())) == len(epoch)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 31, 46, 100])
def test_motion_is_as_long_as_its_speech(model: EmoDiffModel, length: int) -> None:
    speech = np.random.default_rng(0).normal(size=(length, FEATURES)).astype(np.float32)
    style = np.repeat(model.mean_state[None], 3, axis=0)
    said: list[tuple[int, int]] = []
    motion = model.generate(speech, style, on_window=lambda done, total: said.append((done, total)))
    assert motion.shape == (length, len(model.channels)) and motion.dtype == np.float32
    jaw = motion[:, model.channels.index("jawOpen")]
    assert np.isfinite(motion).all() and jaw.min() >= 0 and jaw.max() <= 1
    assert said[-1][0] == said[-1][1] == max(1, math.ceil((length - 1) / 15))


def test_a_seed_repeats_and_clips_do_not_touch_each_other(model: EmoDiffModel, data: TrainingSet) -> None:
    style = np.asarray(data.states[:10])
    speeches = [np.asarray(data.features[a : a + n]) for a, n in ((0, 40), (100, 20), (200, 55))]
    requests = [MotionRequest(speech, style, None, seed) for seed, speech in enumerate(speeches)]
    together = model.generate_many(requests)
    for request, motion in zip(requests, together, strict=True):
        alone = model.generate(request.speech, style, None, request.seed)
        np.testing.assert_allclose(alone, motion, atol=2e-4)
    assert np.array_equal(together[0], model.generate_many(requests)[0])
    assert not np.array_equal(together[0], model.generate(speeches[0], style, None, 99))


def test_a_wrong_shape_is_refused(model: EmoDiffModel) -> None:
    style = np.repeat(model.mean_state[None], 3, axis=0)
    with pytest.raises(PermanentError, match="expected speech features"):
        model.generate(np.zeros((10, FEATURES + 1), np.float32), style)
    with pytest.raises(PermanentError, match="expected style frames"):
        model.generate(np.zeros((10, FEATURES), np.float32), style[:, :-1])


def test_styles_are_found_by_emotion_and_by_clip(folder: Path) -> None:
    (path,) = (folder / "models").glob("*/model")
    bank = StyleBank.load(path)
    smile = TrainingSet.open(folder / "set").channels.index("mouthSmileLeft")
    assert bank.frames("happy")[:, smile].mean() > 0.7 > 0.2 > bank.frames("sad")[:, smile].mean()
    assert len(bank.frames("toy/m1-happy/1")) == 16
    assert "toy/w3-happy/1" not in bank.clips, "test clips are nobody's style"
    with pytest.raises(
        UserError, match=r"unknown style `bored`: expected an emotion \(happy, sad\) or a training clip"
    ):
        bank.frames("bored")


def _plain_ddpm(
    predict: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, int, int], config: EmoDiffNetworkConfig
) -> Tensor:
    """Eq. 2 written out in double precision, one step after the other."""
    betas = np.linspace(config.beta_start, config.beta_end, config.steps)
    abars = np.cumprod(1 - betas)
    generators = [torch.Generator().manual_seed(i) for i in range(shape[0])]

    def draw() -> Tensor:
        return torch.stack([torch.randn(shape[1:], generator=g) for g in generators])

    x = draw()
    for t in range(config.steps - 1, -1, -1):
        noise = predict(x, torch.full((shape[0],), t)).double()
        mean = (x.double() - betas[t] / math.sqrt(1 - abars[t]) * noise) / math.sqrt(1 - betas[t])
        x = (mean + (math.sqrt(betas[t]) * draw().double() if t else 0.0)).float()
    return x


def test_sampling_is_equation_2_written_out() -> None:
    config, sampling = EmoDiffNetworkConfig(steps=50), SamplingConfig(evaluations=50)
    torch.manual_seed(0)
    mixing = torch.randn(4, 4) / 4

    abars = NoiseSchedule(config).alphas_cumprod.float()

    def predict(x: Tensor, t: Tensor) -> Tensor:
        # Near the noise of unit Gaussian data, so that values stay of size 1 and rounding stays small.
        return (1 - abars[t])[:, None, None].sqrt() * x + 0.1 * torch.tanh(x @ mixing)

    generators = [torch.Generator().manual_seed(i) for i in range(3)]
    ours = sample(predict, draw_noise((8, 4), generators), config, sampling, generators)
    torch.testing.assert_close(ours, _plain_ddpm(predict, (3, 8, 4), config), atol=1e-5, rtol=1e-5)


def _plain_attention(x: Tensor, weights: dict[str, Tensor], name: str, heads: int) -> Tensor:
    qkv = x @ weights[f"{name}.in_proj_weight"].T + weights[f"{name}.in_proj_bias"]
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in qkv.chunk(3, dim=-1))
    mixed = ((q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v).transpose(1, 2).flatten(2)
    return mixed @ weights[f"{name}.out_proj.weight"].T + weights[f"{name}.out_proj.bias"]


def _plain_norm(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def test_the_network_is_its_description_written_out() -> None:
    """Reference/models.md 1.3 in matrix products, on the faithful time code."""
    config = EmoDiffNetworkConfig(hidden=32, blocks=2, heads=4, time_code="beta")
    torch.manual_seed(1)
    network = Denoiser(config, 16, 5, 3).eval()
    w = {name: value.double() for name, value in network.state_dict().items()}
    x, c, a, t = torch.randn(3, 16, 5), torch.randn(3, 16, 6), torch.randn(3, 16, 3), torch.tensor([0, 77, 499])
    beta = torch.linspace(config.beta_start, config.beta_end, config.steps, dtype=torch.float64)[t]
    code = torch.stack([beta, beta.sin(), beta.cos()], -1)[:, None].expand(-1, 16, -1)
    h = torch.cat([x, code, c, a], -1).double() @ w["enter.weight"].T + w["enter.bias"] + w["positions"]
    for i in range(2):
        h = h + _plain_attention(_plain_norm(h, w, f"blocks.{i}.norm_attention"), w, f"blocks.{i}.attention", 4)
        inner = (
            _plain_norm(h, w, f"blocks.{i}.norm_mlp") @ w[f"blocks.{i}.mlp.0.weight"].T + w[f"blocks.{i}.mlp.0.bias"]
        )
        inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        h = h + inner @ w[f"blocks.{i}.mlp.2.weight"].T + w[f"blocks.{i}.mlp.2.bias"]
    h = _plain_norm(h, w, "norm") @ w["head.0.weight"].T + w["head.0.bias"]
    expected = h @ w["head.1.weight"].T + w["head.1.bias"]
    torch.testing.assert_close(network(x, t, c, a).double(), expected, atol=1e-5, rtol=1e-5)


def test_the_loss_is_equation_4_written_out(data: TrainingSet) -> None:
    task = EmoDiffTask(EmoDiffSettings(), data)
    starts = task.windows.order.starts[:4]
    given: list[Tensor] = []

    class Recorder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parameter = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor, *_: Tensor) -> Tensor:
            given.append(x)
            return torch.zeros_like(x)

    found = task.loss(Recorder(), starts, seed=5, drop=0.0, blur=0.0)
    # A network that says 0 has the mean square of the noise as its loss: near 1, and exactly that of the noise added.
    assert found.item() == pytest.approx(1.0, abs=0.1)
    assert given[0].shape == task.windows.states(starts).shape


def test_without_autoregression_windows_do_not_join(model: EmoDiffModel, data: TrainingSet) -> None:
    speech = np.asarray(data.features[: 3 * model.window])
    style = np.asarray(data.states[:20])
    joined = model.generate(speech, style, seed=3)
    apart = model.generate(speech, style, seed=3, autoregressive=False)
    first = model.window - 1
    assert np.array_equal(joined[:first], apart[:first]) and not np.array_equal(joined[first + 1 :], apart[first + 1 :])


def test_without_style_the_condition_holds_the_initial_state_alone() -> None:
    matrix = condition_matrix(torch.ones(2, 4), None, 32)
    assert matrix[:, 0].eq(1).all() and matrix[:, 1:].eq(0).all()


def test_cross_attention_sees_the_condition_and_costs_parameters() -> None:
    plain, crossed = (
        Denoiser(EmoDiffNetworkConfig(hidden=32, blocks=1, heads=2, cross_attention=c), 16, 5, 3) for c in (False, True)
    )
    assert sum(p.numel() for p in crossed.parameters()) > sum(p.numel() for p in plain.parameters())
    x, c, t, a = torch.randn(2, 16, 5), torch.randn(2, 16, 6), torch.tensor([3, 400]), torch.randn(2, 16, 3)
    assert crossed(x, t, c, a).shape == x.shape


def test_intensity_moves_from_neutral_to_the_style(folder: Path) -> None:
    (path,) = (folder / "models").glob("*/model")
    bank = StyleBank.load(path)
    bank = StyleBank(bank.clips, {**bank.emotions, "neutral": list(bank.clips)[:1]})
    style = next(emotion for emotion in bank.emotions if emotion != "neutral")
    full, half, calm = (bank.at_intensity(style, i) for i in (1.0, 0.5, 0.0))
    assert np.array_equal(full, bank.frames(style))
    np.testing.assert_allclose(half, (full + calm) / 2, atol=1e-6)
    assert all(any(np.array_equal(row, n) for n in bank.frames("neutral")) for row in calm)
    with pytest.raises(UserError, match="from 0"):
        bank.at_intensity(style, 1.5)
    with pytest.raises(UserError, match="no `neutral`"):
        StyleBank(bank.clips, {style: bank.emotions[style]}).at_intensity(style, 0.5)


def test_the_state_of_the_paper_has_49_channels() -> None:
    assert len(STATE_SETS["full57"]) == 57 and len(STATE_SETS["paper49"]) == 49


@pytest.mark.parametrize("relative", [False, True])
def test_a_held_state_is_the_first_frame_and_windows_meet_in_it(
    data: TrainingSet, model: EmoDiffModel, relative: bool
) -> None:
    config = model.config.model_copy(update={"fixed_initial_frame": True, "relative_to_style": relative})
    held = EmoDiffModel(**{**model.__dict__, "config": config})
    # The same sound all the time: what follows a window is nothing that the window hears.
    speech, style = np.repeat(data.features[5:6], 46, axis=0), np.asarray(data.states[:10])
    initial = np.asarray(data.states[200])
    motion = held.generate(speech, style, initial, seed=3)
    coefficients = [i for i, name in enumerate(held.channels) if not name.startswith("head_")]
    np.testing.assert_allclose(motion[0, coefficients], initial[coefficients].clip(0, 1), atol=1e-5)
    # A window of 16 ends in frame 15 whether or not another follows: the next one begins with it.
    first = held.generate(speech[:16], style, initial, seed=3)
    np.testing.assert_allclose(motion[15], first[15], atol=1e-4)
    free = model.generate(speech, style, initial, seed=3)
    assert np.abs(free[0, coefficients] - initial[coefficients].clip(0, 1)).max() > 1e-3


def test_around_its_style_a_motion_has_the_level_of_the_style(data: TrainingSet, model: EmoDiffModel) -> None:
    """An untrained network, which knows nothing of levels, copies them all the same."""
    config = model.config.model_copy(update={"relative_to_style": True})
    around = EmoDiffModel(**{**model.__dict__, "config": config})
    channel = model.channels.index("browInnerUp")
    styles = np.repeat(data.states[:1], 6, axis=0), np.repeat(data.states[:1], 6, axis=0)
    styles[0][:, channel], styles[1][:, channel] = 0.2, 0.7
    low, high = (around.generate(np.asarray(data.features[:16]), style, style[0])[:, channel] for style in styles)
    flat = [model.generate(np.asarray(data.features[:16]), style, style[0])[:, channel].mean() for style in styles]
    assert high.mean() - low.mean() > 0.2 > abs(flat[1] - flat[0])


def test_levels_are_moved_on_motion_and_conditions_alike(data: TrainingSet) -> None:
    """With the whole condition dropped an offset still moves what is to be denoised; without noise nothing moves."""
    plain, moved = (EmoDiffTask(preset(training={"level_noise": level}).emodiff, data) for level in (0.0, 0.7))
    network = plain.build_network()
    assert not torch.equal(plain.training_loss(network, 3), moved.training_loss(network, 3))
    assert torch.equal(plain.training_loss(network, 3), EmoDiffTask(preset().emodiff, data).training_loss(network, 3))
