"""Face-vid2vid's networks: the sizes of the public ones, and a plain implementation beside them."""

from __future__ import annotations

import copy
from typing import Literal

import pytest
import torch
from facevid2vid_fixtures import random_network, small
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.evaluation.paper_tables.complexity import renderer_rows
from magictalk_core.metrics.complexity import count
from magictalk_core.models.facevid2vid.blocks import SpectralConv2d
from magictalk_core.models.facevid2vid.checkpoint import public_groups
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig
from magictalk_core.models.facevid2vid.network import FaceVid2Vid

Weights = dict[str, Tensor]


# --- sizes ---------------------------------------------------------------------------------------------------------


def _public(**changed: object) -> FaceVid2Vid:
    """On no device: no memory and no arithmetic."""
    with torch.device("meta"):
        return FaceVid2Vid(FaceVid2VidNetworkConfig.model_validate(changed))


@pytest.mark.parametrize(
    ("decoder", "millions", "gmacs", "tensors"), [("spade", 100.99, 601.6, 386), ("plain", 53.10, 196.0, 304)]
)
def test_the_generator_is_as_large_as_the_public_one(decoder: str, millions: float, gmacs: float, tensors: int) -> None:
    network = _public(decoder=decoder)
    keypoints = torch.zeros(1, 15, 3, device="meta")
    found = count(network.generator, torch.zeros(1, 3, 256, 256, device="meta"), keypoints, keypoints)
    assert found.parameters / 1e6 == pytest.approx(millions, abs=0.05)
    assert found.gmacs == pytest.approx(gmacs, rel=0.02) and not found.uncounted
    assert len(public_groups(network)["generator"]) == tensors


@pytest.mark.parametrize(
    ("name", "millions", "gmacs", "tensors"), [("kp_detector", 41.94, 19.4, 75), ("he_estimator", 30.25, 7.8, 402)]
)
def test_detector_and_estimator_are_as_large_as_the_public_ones(
    name: str, millions: float, gmacs: float, tensors: int
) -> None:
    network = _public().get_submodule(name)
    found = count(network, torch.zeros(1, 3, 256, 256, device="meta"))
    assert found.parameters / 1e6 == pytest.approx(millions, abs=0.05)
    assert found.gmacs == pytest.approx(gmacs, rel=0.02) and not found.uncounted
    assert len(network.state_dict()) == tensors


def test_twenty_keypoints_cost_what_the_article_s_number_costs() -> None:
    network = _public(keypoints=20)
    assert sum(p.numel() for p in network.he_estimator.parameters()) / 1e6 == pytest.approx(30.29, abs=0.01)
    assert sum(p.numel() for p in network.generator.motion.parameters()) / 1e6 == pytest.approx(44.15, abs=0.01)


def test_table_3_has_the_renderer_by_networks() -> None:
    """25 generated frames a second, each with a look at the driving frame; the portrait once in ten seconds."""
    rows = {row.title: row.numbers for row in renderer_rows()}
    assert list(rows) == [
        f"Renderer: {name}"
        for name in ("generator", "pose and expression estimator", "keypoint detector", "all networks")
    ]
    whole = rows["Renderer: all networks"]
    assert whole["gmacs_per_second"].value == pytest.approx(25 * (601.6 + 7.8) + 19.4 / 10, rel=0.002)
    assert whole["parameters_m"].value == pytest.approx(173.2, abs=0.1)


def test_a_size_that_cannot_be_halved_so_often_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"size 68: expected a multiple of 2\^\(halvings \+ motion_levels\) = 16"):
        small(size=68)
    with pytest.raises(ValidationError, match=r"size 80.*detector_shrink \* 2\^detector_levels = 32"):
        small(size=80, detector_shrink=8)


# --- a plain implementation, by the public names -------------------------------------------------------------------


def _norm(w: Weights, name: str, x: Tensor) -> Tensor:
    running = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    return functional.batch_norm(x, *running, w[f"{name}.weight"], w[f"{name}.bias"])


def _conv(w: Weights, name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight, bias = w[f"{name}.weight"], w.get(f"{name}.bias")
    pad = weight.shape[-1] // 2
    if weight.ndim == 5:
        return functional.conv3d(x, weight, bias, padding=pad)
    return functional.conv2d(x, weight, bias, stride=stride, padding=pad)


def _spectral(w: Weights, name: str, x: Tensor) -> Tensor:
    """`weight_orig` over u W v, as torch's spectral norm divides in eval mode."""
    orig = w[f"{name}.weight_orig"]
    sigma = w[f"{name}.weight_u"] @ orig.flatten(1) @ w[f"{name}.weight_v"]
    return functional.conv2d(x, orig / sigma, w.get(f"{name}.bias"), padding=orig.shape[-1] // 2)


def _same(w: Weights, name: str, x: Tensor) -> Tensor:
    return _norm(w, f"{name}.norm", _conv(w, f"{name}.conv", x)).relu()


def _residual(w: Weights, name: str, x: Tensor) -> Tensor:
    out = _conv(w, f"{name}.conv1", _norm(w, f"{name}.norm1", x).relu())
    return x + _conv(w, f"{name}.conv2", _norm(w, f"{name}.norm2", out).relu())


def _grid(depth: int, height: int, width: int) -> Tensor:
    """(D, H, W, 3) x, y, z."""
    grid = torch.zeros(depth, height, width, 3, dtype=torch.float64)
    for axis, length in ((0, width), (1, height), (2, depth)):
        shape = [1, 1, 1]
        shape[2 - axis] = length
        grid[..., axis] = (2 * torch.arange(length, dtype=torch.float64) / (length - 1) - 1).view(shape)
    return grid


def _keypoints(w: Weights, config: FaceVid2VidNetworkConfig, x: Tensor) -> Tensor:
    reach = w["down.weight"].shape[-1] // 2
    x = functional.conv2d(functional.pad(x, (reach,) * 4), w["down.weight"], groups=3)
    x = x[:, :, :: config.detector_shrink, :: config.detector_shrink]
    for level in range(config.detector_levels):
        x = functional.avg_pool2d(_same(w, f"predictor.down_blocks.down{level}", x), 2)
    x = _conv(w, "predictor.conv", x)
    batch, channels, height, width = x.shape
    x = x.view(batch, channels // config.volume_depth, config.volume_depth, height, width)
    for level in range(config.detector_levels):
        x = x.repeat_interleave(2, 3).repeat_interleave(2, 4)
        x = _same(w, f"predictor.up_blocks.up{level}", x)
    maps = _conv(w, "kp", x)
    shares = torch.softmax(maps.flatten(2) / 0.1, dim=2).view(maps.shape)
    return (shares.unsqueeze(-1) * _grid(*maps.shape[2:])).sum(dim=(2, 3, 4))


def _heads(w: Weights, config: FaceVid2VidNetworkConfig, x: Tensor) -> Weights:
    def bottleneck(name: str, x: Tensor, stride: int) -> Tensor:
        out = _norm(w, f"{name}.norm1", _conv(w, f"{name}.conv1", x)).relu()
        out = _norm(w, f"{name}.norm2", _conv(w, f"{name}.conv2", out, stride)).relu()
        out = _norm(w, f"{name}.norm3", _conv(w, f"{name}.conv3", out))
        return ((_norm(w, f"{name}.norm4", _conv(w, f"{name}.skip", x, stride)) if stride > 1 else x) + out).relu()

    x = functional.max_pool2d(_norm(w, "norm1", _conv(w, "conv1", x, 2)).relu(), 3, 2, 1)
    for stage, count_ in enumerate(config.estimator_blocks):
        x = _norm(w, f"norm{stage + 2}", _conv(w, f"conv{stage + 2}", x)).relu()
        if stage:
            x = bottleneck(f"block{2 * stage}", x, 2)
        for number in range(count_):
            x = bottleneck(f"block{2 * stage + 1}.b{2 * stage + 1}_{number}", x, 1)
    x = x.mean(dim=(2, 3))
    return {
        name: functional.linear(x, w[f"fc_{name}.weight"], w[f"fc_{name}.bias"])
        for name in ("roll", "pitch", "yaw", "t", "exp")
    }


def _motion(w: Weights, config: FaceVid2VidNetworkConfig, volume: Tensor, source: Tensor, driving: Tensor) -> Weights:
    w = {name.removeprefix("dense_motion_network."): value for name, value in w.items()}
    grid = _grid(*volume.shape[2:])
    x = _norm(w, "norm", _conv(w, "compress", volume)).relu()
    seen, fields = [], []
    for k in range(config.keypoints + 1):
        if k == 0:
            field, heat = (
                grid.expand(len(volume), -1, -1, -1, -1),
                torch.zeros(len(volume), *grid.shape[:3], dtype=volume.dtype),
            )
        else:
            d, s = driving[:, k - 1, None, None, None], source[:, k - 1, None, None, None]
            field = grid - d + s
            heat = torch.exp(-((grid - d) ** 2).sum(-1) / 0.02) - torch.exp(-((grid - s) ** 2).sum(-1) / 0.02)
        fields.append(field)
        seen += [heat.unsqueeze(1), functional.grid_sample(x, field, align_corners=False)]
    found = [torch.cat(seen, dim=1)]
    for level in range(config.motion_levels):
        out = _same(w, f"hourglass.encoder.down_blocks.{level}", found[-1])
        found.append(functional.avg_pool3d(out, (1, 2, 2)))
    out = found.pop()
    for level in range(config.motion_levels):
        out = out.repeat_interleave(2, 3).repeat_interleave(2, 4)
        out = torch.cat([_same(w, f"hourglass.decoder.up_blocks.{level}", out), found.pop()], dim=1)
    out = _norm(w, "hourglass.decoder.norm", _conv(w, "hourglass.decoder.conv", out)).relu()
    masks = torch.softmax(_conv(w, "mask", out), dim=1)
    field = torch.stack([masks[:, k].unsqueeze(-1) * fields[k] for k in range(config.keypoints + 1)]).sum(dim=0)
    flat = out.reshape(len(out), -1, *out.shape[3:])
    return {"field": field, "occlusion": torch.sigmoid(_conv(w, "occlusion", flat))}


def _spade_picture(w: Weights, config: FaceVid2VidNetworkConfig, seg: Tensor) -> Tensor:
    def spade(name: str, x: Tensor) -> Tensor:
        normal = (x - x.mean(dim=(2, 3), keepdim=True)) / (x.var(dim=(2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
        times = x.shape[2] // seg.shape[2]
        shared = _conv(w, f"{name}.mlp_shared.0", seg.repeat_interleave(times, 2).repeat_interleave(times, 3)).relu()
        return normal * (1 + _conv(w, f"{name}.mlp_gamma", shared)) + _conv(w, f"{name}.mlp_beta", shared)

    def block(name: str, x: Tensor) -> Tensor:
        name = f"decoder.{name}"
        out = _spectral(w, f"{name}.conv_0", functional.leaky_relu(spade(f"{name}.norm_0", x), 0.2))
        out = _spectral(w, f"{name}.conv_1", functional.leaky_relu(spade(f"{name}.norm_1", out), 0.2))
        around = _spectral(w, f"{name}.conv_s", spade(f"{name}.norm_s", x)) if "up" in name else x
        return around + out

    x = _conv(w, "decoder.fc", seg)
    for number in range(6):
        x = block(f"G_middle_{number}", x)
    for number in range(config.halvings):
        x = block(f"up_{number}", x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    return torch.sigmoid(_conv(w, "decoder.conv_img", functional.leaky_relu(x, 0.2)))


def _plain_picture(w: Weights, config: FaceVid2VidNetworkConfig, x: Tensor) -> Tensor:
    for number in range(config.residual_blocks):
        x = _residual(w, f"resblocks_2d.2dr{number}", x)
    for number in range(config.halvings):
        x = _same(w, f"up_blocks.{number}", x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    return torch.sigmoid(_conv(w, "final", x))


def _picture(w: Weights, config: FaceVid2VidNetworkConfig, x: Tensor, source: Tensor, driving: Tensor) -> Tensor:
    x = _same(w, "first", x)
    for number in range(config.halvings):
        x = functional.avg_pool2d(_same(w, f"down_blocks.{number}", x), 2)
    x = _conv(w, "second", x)
    x = x.view(len(x), config.volume_channels, config.volume_depth, *x.shape[2:])
    for number in range(config.residual_blocks):
        x = _residual(w, f"resblocks_3d.3dr{number}", x)
    motion = _motion(w, config, x, source, driving)
    x = functional.grid_sample(x, motion["field"], align_corners=False)
    x = x.reshape(len(x), -1, *x.shape[3:])
    x = functional.leaky_relu(_norm(w, "third.norm", _conv(w, "third.conv", x)), 0.01)
    x = _conv(w, "fourth", x) * motion["occlusion"]
    return _spade_picture(w, config, x) if config.decoder == "spade" else _plain_picture(w, config, x)


@pytest.fixture(params=["spade", "plain"])
def network(request: pytest.FixtureRequest) -> FaceVid2Vid:
    """In double precision: weights of chance make SPADE divide by next to nothing, and single would hide a mistake."""
    return random_network(small(request.param)).double()


PICTURES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
SOURCE, DRIVING = torch.rand(2, 2, 5, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 1.6 - 0.8


@torch.no_grad()
def test_the_generator_is_the_plain_one(network: FaceVid2Vid) -> None:
    made = network.generator(PICTURES, SOURCE, DRIVING)
    plain = _picture(public_groups(network)["generator"], network.config, PICTURES, SOURCE, DRIVING)
    torch.testing.assert_close(made.pictures, plain, atol=1e-8, rtol=1e-8)
    assert made.pictures.shape == PICTURES.shape and float(made.pictures.std()) > 0.01
    assert made.motion.masks.shape == (2, 6, 4, 16, 16) and made.motion.occlusion.shape == (2, 1, 16, 16)


@torch.no_grad()
def test_detector_and_estimator_are_the_plain_ones(network: FaceVid2Vid) -> None:
    groups = public_groups(network)
    found = network.kp_detector(PICTURES)
    torch.testing.assert_close(found, _keypoints(groups["kp_detector"], network.config, PICTURES), atol=1e-8, rtol=1e-8)
    assert float(found.abs().max()) <= 1
    told, plain = network.he_estimator(PICTURES), _heads(groups["he_estimator"], network.config, PICTURES)
    # The heads are swapped on purpose: the public weights were trained so.
    for one, name in ((told.yaw, "roll"), (told.pitch, "pitch"), (told.roll, "yaw"), (told.translation, "t")):
        torch.testing.assert_close(one, plain[name], atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(told.expression, plain["exp"].view(2, 5, 3), atol=1e-8, rtol=1e-8)


@torch.no_grad()
def test_one_source_is_looked_at_once_for_many_driving_frames(network: FaceVid2Vid) -> None:
    volume = network.generator.appearance(PICTURES[:1])
    together = network.generator.move(volume, SOURCE[:1], DRIVING).pictures
    for number in range(2):
        alone = network.generator(PICTURES[:1], SOURCE[:1], DRIVING[number : number + 1]).pictures[0]
        torch.testing.assert_close(together[number], alone, atol=1e-8, rtol=1e-8)


@torch.no_grad()
def test_keypoints_that_stay_leave_every_cell_where_it_is(network: FaceVid2Vid) -> None:
    field = network.generator(PICTURES, SOURCE, SOURCE).motion.field
    torch.testing.assert_close(field, _grid(4, 16, 16).expand(2, -1, -1, -1, -1), atol=1e-12, rtol=0)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.spectral_norm` is now deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*spectral_norm.* is deprecated:FutureWarning")
def test_spectral_norm_is_torch_s() -> None:
    """The same steps from the same state: weights, u, v and gradients."""
    torch.manual_seed(0)
    theirs = nn.utils.spectral_norm(nn.Conv2d(3, 5, 3, padding=1))
    ours = SpectralConv2d(3, 5, 3, padding=1)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 8, 8)
    for _ in range(3):
        a, b = ours(x), theirs(x)
        torch.testing.assert_close(a, b)
        ours.zero_grad()
        theirs.zero_grad()
        a.square().sum().backward()
        b.square().sum().backward()
        torch.testing.assert_close(ours.weight_orig.grad, theirs.weight_orig.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.weight_u, theirs.weight_u)
    torch.testing.assert_close(ours.weight_v, theirs.weight_v)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("decoder", ["spade", "plain"])
def test_a_network_learns_and_can_be_copied_after_it_did(decoder: Literal["spade", "plain"]) -> None:
    network, pictures = random_network(small(decoder)).train(), PICTURES.float()
    keypoints = network.kp_detector(pictures)
    network.generator(pictures, keypoints, keypoints.flip(0)).pictures.mean().backward()
    without = [name for name, p in network.generator.named_parameters() if p.grad is None]
    assert not without and network.kp_detector.kp.weight.grad is not None
    copied = copy.deepcopy(network)
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), copied.state_dict().values(), strict=True)
    )


def test_half_precision_stays_half_but_for_places_and_norms() -> None:
    """As on a GPU: on no device, which still refuses types that do not go together."""
    with torch.device("meta"):
        generator = FaceVid2Vid(small()).eval().generator.half()
        volume = generator.appearance(torch.zeros(1, 3, 64, 64, dtype=torch.float16))
        made = generator.move(volume, torch.zeros(1, 5, 3), torch.zeros(8, 5, 3))
    assert made.pictures.shape == (8, 3, 64, 64) and made.pictures.dtype == torch.float16
    assert made.motion.field.dtype == torch.float32
