"""Public checkpoints of face-vid2vid: strictly loaded, written back bit for bit, one clear error for all else."""

from __future__ import annotations

import pickle
import re
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from facevid2vid_fixtures import random_network, small
from safetensors.torch import load_file, save_file
from torch import Tensor

from magictalk_core.errors import UserError
from magictalk_core.models.facevid2vid.checkpoint import (
    PublicLayout,
    network_from,
    public_groups,
    read_public,
    write_public,
)
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig
from magictalk_core.models.facevid2vid.network import FaceVid2Vid

NEXT = "docs/neural_renderer.md says which files fit and where they come from"


def _equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(
        value.dtype == theirs[name].dtype and value.numpy().tobytes() == theirs[name].numpy().tobytes()
        for name, value in ours.items()
    )


@pytest.mark.parametrize("decoder", ["spade", "plain"])
def test_random_weights_come_back_bit_for_bit(decoder: Literal["spade", "plain"], tmp_path: Path) -> None:
    config = small(decoder)
    network = random_network(config)
    write_public(network, tmp_path / "a.pth.tar")
    again = network_from(read_public(tmp_path / "a.pth.tar", config))
    assert _equal(again.state_dict(), network.state_dict())
    write_public(again, tmp_path / "b.pth.tar")
    one, two = (torch.load(tmp_path / f"{name}.pth.tar", weights_only=True) for name in "ab")
    assert one.keys() == two.keys() == {"generator", "kp_detector", "he_estimator", "epoch"}
    assert all(_equal(one[group], two[group]) for group in ("generator", "kp_detector", "he_estimator"))


def test_the_names_are_the_public_ones() -> None:
    """A few of each module, as the public code names them; test_facevid2vid_networks counts how many there are."""
    with torch.device("meta"):
        groups = public_groups(FaceVid2Vid(FaceVid2VidNetworkConfig()))
        plain = public_groups(FaceVid2Vid(FaceVid2VidNetworkConfig(decoder="plain")))["generator"]
    expected = {
        "generator": {
            "dense_motion_network.hourglass.encoder.down_blocks.4.conv.weight": (1024, 512, 3, 3, 3),
            "dense_motion_network.hourglass.decoder.up_blocks.0.norm.running_var": (512,),
            "dense_motion_network.hourglass.decoder.conv.weight": (112, 112, 3, 3, 3),
            "dense_motion_network.mask.weight": (16, 112, 7, 7, 7),
            "dense_motion_network.compress.bias": (4,),
            "dense_motion_network.norm.num_batches_tracked": (),
            "dense_motion_network.occlusion.weight": (1, 1792, 7, 7),
            "first.conv.weight": (64, 3, 3, 3),
            "down_blocks.1.conv.weight": (256, 128, 3, 3),
            "second.weight": (512, 256, 1, 1),
            "resblocks_3d.3dr5.conv2.weight": (32, 32, 3, 3, 3),
            "third.norm.weight": (256,),
            "fourth.weight": (256, 256, 1, 1),
            "decoder.fc.weight": (512, 256, 3, 3),
            "decoder.G_middle_5.conv_0.weight_orig": (512, 512, 3, 3),
            "decoder.G_middle_0.conv_1.weight_u": (512,),
            "decoder.G_middle_0.norm_1.mlp_shared.0.weight": (128, 256, 3, 3),
            "decoder.up_0.conv_s.weight_v": (512,),
            "decoder.up_1.norm_s.mlp_gamma.weight": (256, 128, 3, 3),
            "decoder.conv_img.weight": (3, 64, 3, 3),
        },
        "kp_detector": {
            "down.weight": (3, 1, 13, 13),
            "predictor.down_blocks.down4.conv.weight": (1024, 512, 3, 3),
            "predictor.conv.weight": (16384, 1024, 1, 1),
            "predictor.up_blocks.up0.conv.weight": (512, 1024, 3, 3, 3),
            "kp.weight": (15, 32, 3, 3, 3),
        },
        "he_estimator": {
            "conv1.weight": (64, 3, 7, 7),
            "block1.b1_2.conv2.weight": (64, 64, 3, 3),
            "block4.skip.weight": (1024, 1024, 1, 1),
            "block5.b5_4.norm3.running_mean": (1024,),
            "block7.b7_1.conv3.bias": (2048,),
            "fc_roll.weight": (66, 2048),
            "fc_exp.weight": (45, 2048),
        },
    }
    for group, names in expected.items():
        assert {name: tuple(groups[group][name].shape) for name in names} == names
    wanted = {"first.conv.weight": (64, 3, 7, 7), "resblocks_2d.2dr5.conv2.weight": (256, 256, 3, 3)}
    wanted |= {"up_blocks.1.conv.weight": (64, 128, 3, 3), "final.weight": (3, 64, 7, 7)}
    assert {name: tuple(plain[name].shape) for name in wanted} == wanted


def test_sadtalker_s_file_takes_its_estimator_from_another(tmp_path: Path) -> None:
    config = small()
    network, other = random_network(config), random_network(config, seed=1)
    write_public(network, tmp_path / "sad.safetensors", "sadtalker")
    flat = load_file(tmp_path / "sad.safetensors")
    assert {name.partition(".")[0] for name in flat} == {"generator", "kp_extractor"}
    # The file of SadTalker holds networks of its own beside them.
    save_file(flat | {"mapping.first.0.weight": torch.zeros(1)}, tmp_path / "sad.safetensors")
    read = read_public(tmp_path / "sad.safetensors", config)
    assert read.layout == "sadtalker" and not read.has_estimator
    with pytest.raises(UserError, match=r"sad.safetensors: has no he_estimator.*--renderer-estimator FILE"):
        network_from(read)
    write_public(other, tmp_path / "other.pth.tar")
    whole = network_from(read, read_public(tmp_path / "other.pth.tar", config))
    assert _equal(whole.generator.state_dict(), network.generator.state_dict())
    assert _equal(whole.he_estimator.state_dict(), other.he_estimator.state_dict())


def test_an_estimator_of_other_keypoints_is_refused(tmp_path: Path) -> None:
    write_public(random_network(small()), tmp_path / "five.pth.tar")
    write_public(random_network(small(keypoints=7)), tmp_path / "seven.pth.tar")
    five, seven = (
        read_public(tmp_path / "five.pth.tar", small()),
        read_public(tmp_path / "seven.pth.tar", small(keypoints=7)),
    )
    with pytest.raises(UserError, match="an estimator of 7 keypoints does not fit the 5 of"):
        network_from(five, seven)


def test_optimizers_are_not_looked_at_and_the_discriminator_is_handed_on(tmp_path: Path) -> None:
    config = small()
    groups: dict[str, Any] = public_groups(random_network(config))
    groups |= {
        "discriminator": {"discs.0.conv.bias": torch.ones(2)},
        "optimizer_generator": {"state": {0: {"step": 3, "exp_avg": torch.ones(4)}}, "param_groups": [{"lr": 2e-4}]},
        "epoch": 189,
    }
    torch.save(groups, tmp_path / "whole.pth.tar")
    read = read_public(tmp_path / "whole.pth.tar", config)
    assert list(read.discriminator) == ["discs.0.conv.bias"] and read.has_estimator
    network_from(read)


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    config = small()
    network = random_network(config).half()
    write_public(network, tmp_path / "half.pth.tar")
    read = network_from(read_public(tmp_path / "half.pth.tar", config))
    assert {value.dtype for value in read.state_dict().values()} == {torch.float32, torch.int64}


# --- what is no checkpoint ------------------------------------------------------------------------------------------


def _refused(path: Path, *says: str, layout: PublicLayout = "vox-256") -> None:
    with pytest.raises(UserError) as raised:
        read_public(path, small())
    said = str(raised.value)
    assert said.startswith(f"{path}: ") and NEXT in said and "\n" not in said
    assert all(re.search(one, said) for one in says), said


class _Evil:
    """Leaves a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    write_public(random_network(small()), tmp_path / "good.pth.tar")
    return tmp_path / "good.pth.tar"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    _refused(tmp_path / "none.pth.tar", "no such file")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99, 0.99999])
def test_a_file_that_was_cut_off(share: float, good: Path) -> None:
    content = good.read_bytes()
    good.write_bytes(content[: int(share * len(content))])
    _refused(good, "whole torch archive|cannot be read", "fetch it again")


def test_damaged_bytes_are_read_or_refused_and_nothing_else(good: Path) -> None:
    """Bytes changed by chance where the names and shapes are: 2 in 700 once ended in another error."""
    content, chance = good.read_bytes(), np.random.default_rng(0)
    with zipfile.ZipFile(good) as archive:
        (names,) = [one for one in archive.infolist() if one.filename.endswith("data.pkl")]
    for _ in range(60):
        damaged = bytearray(content)
        for place in chance.integers(names.header_offset, names.header_offset + names.file_size, 3):
            damaged[place] = int(chance.integers(256))
        good.write_bytes(damaged)
        with suppress(UserError):
            read_public(good, small())


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_safetensors_file_that_was_cut_off(share: float, tmp_path: Path) -> None:
    path = tmp_path / "sad.safetensors"
    write_public(random_network(small()), path, "sadtalker")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    _refused(path, "cannot be read", "fetch it again")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    torch.save({"generator": _Evil(mark)}, tmp_path / "evil.pth.tar")
    _refused(tmp_path / "evil.pth.tar", "cannot be read as tensors alone")
    (tmp_path / "plain.pth.tar").write_bytes(pickle.dumps({"generator": _Evil(mark)}))
    _refused(tmp_path / "plain.pth.tar", "whole torch archive")
    assert not mark.exists()


def test_a_compressed_archive_could_hold_anything(good: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(good) as read, zipfile.ZipFile(tmp_path / "z.pth.tar", "w", zipfile.ZIP_DEFLATED) as written:
        for one in read.infolist():
            written.writestr(one.filename, read.read(one))
    _refused(tmp_path / "z.pth.tar", "compressed")


def test_a_file_larger_than_any_of_them_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "huge.pth.tar"
    with path.open("wb") as file:
        file.truncate((4 << 30) + 1)
    _refused(path, "expected at most 4294967296")


@pytest.mark.parametrize(
    "content",
    [[1, 2], {}, {"state_dict": {"conv.weight": torch.ones(2)}}, {"generator": {"a": 1}}, {"generator": torch.ones(2)}],
)
def test_a_torch_file_of_something_else(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth.tar")
    _refused(tmp_path / "other.pth.tar", "expected (groups of )?tensors")


def test_a_checkpoint_without_an_estimator_in_the_first_layout(good: Path) -> None:
    groups = torch.load(good, weights_only=True)
    del groups["he_estimator"]
    torch.save(groups, good)
    _refused(good, "expected tensors of generator and kp_detector and he_estimator, found generator, kp_detector")


@pytest.mark.parametrize(
    ("group", "name", "value", "says"),
    [
        ("generator", "first.conv.weight", None, "generator.appearance.first.conv.weight is missing"),
        ("generator", "decoder.extra", torch.ones(1), "generator.decoder.extra is not one of theirs"),
        ("kp_detector", "kp.bias", torch.ones(4), r"kp_detector.kp.bias is \(4,\), expected \(5,\)"),
        ("he_estimator", "fc_t.bias", torch.tensor([0.0, float("nan"), 0.0]), "he_estimator.fc_t.bias holds values"),
        ("he_estimator", "fc_t.bias", torch.ones(3).to_sparse(), "no plain tensor"),
        ("he_estimator", "fc_t.bias", torch.ones(3, dtype=torch.complex64), "no plain tensor"),
    ],
)
def test_a_tensor_that_does_not_fit(group: str, name: str, value: Tensor | None, says: str, good: Path) -> None:
    groups = torch.load(good, weights_only=True)
    if value is None:
        del groups[group][name]
    else:
        groups[group][name] = value
    torch.save(groups, good)
    _refused(good, says)


def test_networks_of_another_size_are_told_from_the_public_ones(good: Path) -> None:
    with pytest.raises(UserError, match=r"not the networks of vox-256 with spade decoder: .* and \d+ more"):
        read_public(good)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["spade", "plain"])
def test_the_public_networks_at_their_size(decoder: Literal["spade", "plain"], tmp_path: Path) -> None:
    """700 MB: random weights in the public layout load strictly, shape and decoder read off the file."""
    network = FaceVid2Vid(FaceVid2VidNetworkConfig(decoder=decoder))
    write_public(network, tmp_path / "a.pth.tar")
    read = read_public(tmp_path / "a.pth.tar")
    assert read.config == network.config
    assert _equal(network_from(read).state_dict(), network.state_dict())
