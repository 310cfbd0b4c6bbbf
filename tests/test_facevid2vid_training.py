"""Face-vid2vid, trained: warps, losses, pairs of frames, and the public trainer at a tiny size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from facevid2vid_fixtures import small
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.interpolate import RBFInterpolator
from scipy.spatial.transform import Rotation
from training_fixtures import build

from magictalk_core.errors import MissingWeights, PermanentError, UserError
from magictalk_core.faces.head_pose import head_turns
from magictalk_core.judges.trunks import TRUNKS, Trunk
from magictalk_core.media.encode import write_video
from magictalk_core.models.facevid2vid import losses, perceptual
from magictalk_core.models.facevid2vid.checkpoint import public_groups
from magictalk_core.models.facevid2vid.clip_frames import ClipFrames, expression_range
from magictalk_core.models.facevid2vid.discriminator import Discriminator, Judged
from magictalk_core.models.facevid2vid.head_angles import angles_of_turns, hopenet_angles
from magictalk_core.models.facevid2vid.network import FaceVid2Vid
from magictalk_core.models.facevid2vid.pairs import draw_pairs, held_out_pairs, mirrored_angles
from magictalk_core.models.facevid2vid.task import FaceVid2VidTask
from magictalk_core.models.facevid2vid.thin_plate import Warp, draw_warps
from magictalk_core.models.facevid2vid.training_config import ClipChoice, FaceVid2VidSettings
from magictalk_core.models.facevid2vid.transform import rotation
from magictalk_core.models.families import FAMILIES
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.training.run import current_model, run_digest, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.clips import Split

TINY = small("plain", size=32)
SIDE, FRAMES = TINY.size, 12
FACEVID2VID = FAMILIES["facevid2vid"]


# --- warps ---------------------------------------------------------------------------------------------------------


def test_a_warp_bends_as_scipys_thin_plate_splines_do() -> None:
    warp = draw_warps(np.random.default_rng(5), 2, 0.05, 0.02, 5)
    at = torch.rand(2, 40, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = warp.places(at)
    for row in range(2):
        straight = at[row].double() @ warp.affine[row, :, :2].T.double() + warp.affine[row, :, 2]
        centres = warp.centres.double().numpy()
        # What ours adds at the centres has one interpolant of such splines alone, and that is ours.
        alone = Warp(torch.eye(2, 3)[None], warp.centres, warp.bends[[row]])
        at_centres = (alone.places(warp.centres[None])[0] - warp.centres).double().numpy()
        spline = RBFInterpolator(centres, at_centres, kernel="thin_plate_spline", degree=-1)
        np.testing.assert_allclose(found[row].numpy(), straight.numpy() + spline(at[row].double().numpy()), atol=2e-5)


def test_a_warped_picture_shows_at_a_place_what_was_where_the_warp_says() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 65), torch.linspace(-1, 1, 65), indexing="ij")
    coordinates = torch.stack((x, y))[None]
    still = Warp(torch.eye(2, 3)[None], torch.zeros(1, 2), torch.zeros(1, 1, 2))
    torch.testing.assert_close(still.pictures(coordinates), coordinates, atol=1e-6, rtol=0)
    warp = draw_warps(np.random.default_rng(2), 1, 0.05, 0.01, 5)
    shown = warp.pictures(coordinates)[0, :, 32, 40]
    torch.testing.assert_close(shown, warp.places(torch.tensor([[[x[0, 40], y[32, 0]]]]))[0, 0], atol=1e-4, rtol=0)
    assert (shown - torch.tensor([x[0, 40], y[32, 0]])).abs().max() > 0.01, "it moved"
    parts = draw_warps(np.random.default_rng(2), 4, 0.05, 0.01, 5).rows(1, 2)
    assert parts.affine.shape == (2, 2, 3) and parts.bends.shape == (2, 25, 2)


# --- losses --------------------------------------------------------------------------------------------------------


def test_laws_of_the_hinge() -> None:
    assert losses.hinge_of_discriminator(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -7.0])) == 0
    assert losses.hinge_of_discriminator(torch.zeros(3), torch.zeros(3)) == 2, "one that sees no difference"
    sure = torch.tensor([2.0], requires_grad=True)
    losses.hinge_of_discriminator(sure, torch.tensor([-2.0])).backward()  # type: ignore[no-untyped-call]
    assert sure.grad == 0, "who is right by enough learns nothing more"
    assert losses.hinge_of_generator(torch.tensor([0.5, 1.5])) == -1


def test_laws_of_the_keypoint_prior() -> None:
    apart = torch.tensor([[[-0.9, 0.0, 0.33], [0.0, 0.0, 0.33], [0.9, 0.0, 0.33]]])
    assert losses.keypoint_prior(apart) == pytest.approx(0.3), "of each keypoint with itself"
    together = apart * torch.tensor([0.0, 1.0, 1.0])
    assert losses.keypoint_prior(together) == pytest.approx(0.9)
    deeper = apart + torch.tensor([0.0, 0.0, 0.2])
    assert losses.keypoint_prior(deeper) == pytest.approx(0.5)


def test_other_losses_are_what_they_say() -> None:
    a = Judged(torch.zeros(1), (torch.zeros(2, 3), torch.ones(4)))
    b = Judged(torch.ones(1), (torch.ones(2, 3), torch.ones(4)))
    assert losses.feature_matching(a, b) == 1
    said, known = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), torch.tensor([[0.0, 4.0, 3.0], [2.0, 4.0, 3.0]])
    assert losses.pose_distance(said, known) == 3
    assert losses.expression_size(torch.full((2, 5, 3), -0.1)) == pytest.approx(0.3)
    assert losses.keypoint_distance(torch.zeros(2, 3), torch.ones(2, 3)) == 1


def test_the_discriminator_is_the_fields() -> None:
    judge = Discriminator()
    assert sum(p.numel() for p in judge.parameters()) == 2_758_849
    names = set(judge.state_dict())
    assert {"discs.1.down_blocks.3.conv.weight_orig", "discs.1.down_blocks.3.norm.weight", "discs.1.conv.bias"} <= names
    assert not any("down_blocks.0.norm" in name for name in names)
    judged = judge(torch.rand(2, 3, 64, 64))
    assert [f.shape[1] for f in judged.features] == [64, 128, 256, 512] and judged.scores.shape[:2] == (2, 1)
    made = torch.rand(1, 3, 64, 64, requires_grad=True)
    with judge.fixed():
        verdict = judge(made)
    verdict.scores.sum().backward()
    assert made.grad is not None and all(p.grad is None and p.requires_grad for p in judge.parameters())


@pytest.mark.parametrize("trunk", ["vgg19", "squeeze"])
def test_a_trunk_is_looked_at_or_missed_by_name_and_never_replaced(
    trunk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGICTALK_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingWeights, match=rf"{TRUNKS[trunk].file}.*magictalk weights fetch"):
        perceptual.perceptual_distance(trunk, 1)
    network, path = Trunk(TRUNKS[trunk]), tmp_path / "random.pth"
    more = {"features.34.weight": torch.zeros(1), "classifier.0.weight": torch.zeros(1)}
    torch.save({**network.state_dict(), **more}, path)
    monkeypatch.setattr(perceptual, "resolve", lambda name: path)
    distance = perceptual.perceptual_distance(trunk, 2)
    a, b = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    assert distance(a, a) == 0 and distance(a, b) > 0
    assert [f.shape[1] for f in network(a)] == list(TRUNKS[trunk].channels)
    assert not any(p.requires_grad for p in distance.parameters())


def test_pixels_and_edges_count_every_size_once() -> None:
    distance = perceptual.perceptual_distance("edges", 3)
    black, grey = torch.zeros(2, 3, 32, 32), torch.full((2, 3, 32, 32), 0.5)
    assert distance(grey, grey) == 0
    # Flat pictures have no edges but where the blur meets the border.
    assert perceptual.perceptual_distance("edges", 1)(grey, black) == pytest.approx(0.5)
    assert float(distance(grey, black)) > 1.2


# --- head angles ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["pitch_yaw_roll", "roll_pitch_yaw"])
def test_angles_that_are_told_turn_keypoints_as_the_head_turns_in_the_picture(order: Any) -> None:
    tracked = np.random.default_rng(4).uniform(-40, 40, (6, 3))
    pitch, yaw, roll = torch.from_numpy(angles_of_turns(tracked, order)).double().T
    turned = rotation(yaw, pitch, roll, order).numpy()
    # A point of the head in the project's axes (y up, z to the viewer), turned there and written in the picture's.
    point = np.array([0.2, -0.5, 0.7])
    to_picture = np.array([1, -1, -1])
    expected = head_turns(tracked).apply(point) * to_picture
    np.testing.assert_allclose(turned @ (point * to_picture), expected, atol=1e-5)


def test_hopenets_angles_point_up_left_and_clockwise() -> None:
    np.testing.assert_allclose(hopenet_angles(np.array([[10.0, 0, 0]])), [[-10, 0, 0]], atol=1e-4)  # looks down
    np.testing.assert_allclose(
        hopenet_angles(np.array([[0, 10.0, 0]])), [[0, -10, 0]], atol=1e-4
    )  # right in the picture
    np.testing.assert_allclose(hopenet_angles(np.array([[0, 0, 10.0]])), [[0, 0, -10]], atol=1e-4)  # counter-clockwise


def test_a_mirrored_picture_has_the_mirrored_angles() -> None:
    tracked = np.array([[7.0, -20.0, 12.0]])
    across = np.diag([-1.0, 1.0, 1.0])
    mirrored = Rotation.from_matrix(across @ head_turns(tracked).as_matrix() @ across)
    found = head_turns(mirrored_angles(torch.from_numpy(tracked)).numpy())
    np.testing.assert_allclose(found.as_matrix(), mirrored.as_matrix(), atol=1e-6)


# --- a toy corpus: squares that move over a colour of their clip ------------------------------------------------------


def _video(reader: CorpusReader, clip: str) -> Path:
    return reader.workspace.home / "videos" / f"{clip.replace('/', '_')}.mp4"


def _motion(reader: CorpusReader, clip: str) -> tuple[NDArray[np.float32], str]:
    """Frame 1 was lost; the head turns while the square moves; the happy move more."""
    motion = np.full((FRAMES, len(MOTION_NAMES)), np.nan, np.float32)
    strength = 0.8 if "happy" in clip else 0.1
    for number, name in enumerate(MOTION_NAMES[:20]):
        motion[:, MOTION_NAMES.index(name)] = strength * np.linspace(0, 1, FRAMES) * (number % 2)
    motion[:, -6:] = np.linspace(-10, 10, FRAMES)[:, None]
    motion[1] = np.nan
    return motion, "toy/1"


def _row(reader: CorpusReader, clip: str) -> dict[str, Any]:
    return {"crop_size": 600 if "/m1" in clip or "/w2" in clip else None if "/m2" in clip else 200}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fv")
    build(path)
    (path / "videos").mkdir()
    for number, clip in enumerate(sorted(set(TrainingSet.open(path / "set").index["clip_id"]))):
        frames = []
        for frame in range(FRAMES):
            picture = np.full((64, 64, 3), (40 + 10 * number, 90, 160 - 5 * number), np.uint8)
            picture[20:44, 8 + 2 * frame : 28 + 2 * frame] = (230, 200, 60)
            frames.append(picture)
        write_video(path / "videos" / f"{clip.replace('/', '_')}.mp4", frames, 25, None)
    return path


@pytest.fixture
def data(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingSet:
    monkeypatch.setattr(CorpusReader, "media", lambda reader, clip: (_video(reader, clip), None))
    monkeypatch.setattr(CorpusReader, "motion", _motion)
    monkeypatch.setattr(CorpusReader, "row", _row)
    return TrainingSet.open(corpus / "set").learned()


def _preset(network: dict[str, Any] | None = None, **training: Any) -> Preset:
    learning: dict[str, Any] = {
        "threads": 1, "batch": 4, "epochs": 3, "repeats": 1, "checkpoint_every": 2, "validate_every": 4, "ema": 0.9,
        "learning_rate": 1e-3, "perceptual": "edges", "sizes": 2, "clip_frames": 4, "discriminator_width": 4,
        "discriminator_blocks": 2,
    }  # fmt: skip
    section = {"network": {**TINY.model_dump(), **(network or {})}, "training": {**learning, **training}}
    return Preset.model_validate({"name": "tiny", "facevid2vid": section})


def _task(data: TrainingSet, **training: Any) -> FaceVid2VidTask:
    return FaceVid2VidTask(_preset(**training).facevid2vid, data)


def test_frames_are_those_in_which_the_head_was_seen_with_its_pose(data: TrainingSet) -> None:
    frames = ClipFrames.cut(data, SIDE, 4, ClipChoice())
    assert frames.pictures.shape == (16, 4, SIDE, SIDE, 3) and isinstance(frames.pictures, np.memmap)
    assert len(frames.rows(Split.TRAIN)) == 12 and len(frames.rows(Split.VAL)) == 4 and not len(frames.rows(Split.TEST))
    # Of 0, 2, 3 ... 11 the frames 0, 4, 8 and 11: the square is where it was then.
    np.testing.assert_allclose(frames.angles[0, :, 0], np.linspace(-10, 10, FRAMES)[[0, 4, 8, 11]], atol=1e-5)
    left = [np.argmax(picture[SIDE // 2, :, 0] > 180) * 64 / SIDE for picture in frames.pictures[0]]
    np.testing.assert_allclose(left, [8, 16, 24, 30], atol=64 / SIDE)


def test_clips_are_chosen_by_stored_size_and_expression(data: TrainingSet) -> None:
    def clips(**choice: Any) -> set[str]:
        return {clip.split("/")[1] for clip in ClipFrames.cut(data, SIDE, 2, ClipChoice(**choice)).clips}

    assert clips(corpora=("toy",)) == {f"{who}-{mood}" for who in ("m1", "m2", "w1", "w2") for mood in ("happy", "sad")}
    assert clips(min_native_px=512) == {"m1-happy", "m1-sad", "w2-happy", "w2-sad"}, "one of unknown size is none"
    assert clips(min_native_px=512, min_expression=0.1) == {"m1-happy", "w2-happy"}
    with pytest.raises(PermanentError, match=r"none of 16 clips is left .*8 of a smaller face, 8 of less expression"):
        clips(min_native_px=512, min_expression=0.9)
    with pytest.raises(PermanentError, match=r"16 of another corpus.*lower facevid2vid\.training\.clips"):
        clips(corpora=("talkinghead1kh",))


def test_the_range_of_expression_is_over_seen_frames_and_channels() -> None:
    motion, _ = _motion(None, "happy")  # type: ignore[arg-type]
    seen = np.delete(np.linspace(0, 1, FRAMES), 1)
    assert expression_range(motion) == pytest.approx(0.4 * np.subtract(*np.percentile(seen, [95, 5])), rel=1e-5)
    assert expression_range(np.full((3, len(MOTION_NAMES)), np.nan, np.float32)) == 0


def test_pairs_are_two_frames_of_one_clip_varied_alike(data: TrainingSet) -> None:
    frames = ClipFrames.cut(data, SIDE, 4, ClipChoice())
    rows = frames.rows(Split.TRAIN)
    first, second = (draw_pairs(frames, rows, np.random.default_rng(3), True, 0.3) for _ in range(2))
    assert torch.equal(first.source, second.source) and torch.equal(first.driving_angles, second.driving_angles)
    assert not torch.equal(first.source, draw_pairs(frames, rows, np.random.default_rng(4), True, 0.3).source)
    assert ((first.source - first.driving).abs().amax(dim=(1, 2, 3)) > 0.2).all(), "two different frames"
    # The clip's own colour, in a corner, became the same in both.
    torch.testing.assert_close(first.source[:, :, 0, 0], first.driving[:, :, 0, 0], atol=0.03, rtol=0)
    plain = draw_pairs(frames, rows, np.random.default_rng(3), False, 0.0)
    turned = (first.source_angles[:, 1] == -plain.source_angles[:, 1]) & (plain.source_angles[:, 1] != 0)
    assert 0 < turned.sum() < len(rows) and torch.equal(first.source_angles[:, 0], plain.source_angles[:, 0])
    fixed, of_clip = held_out_pairs(frames, frames.rows(Split.VAL), 2)
    assert of_clip.tolist() == [0, 0, 1, 1, 2, 2, 3, 3] and len(fixed.source) == 8
    assert torch.equal(fixed.source, held_out_pairs(frames, frames.rows(Split.VAL), 2)[0].source)


# --- the contest ---------------------------------------------------------------------------------------------------


def test_one_backward_pass_gives_each_side_the_gradient_of_its_own_losses(data: TrainingSet) -> None:
    task = _task(data)
    torch.manual_seed(0)
    network = task.build_network()
    whole = task.training_loss(network, 0)
    named = task.loss_parts()
    assert set(named) == {
        "perceptual", "adversarial", "matching", "discriminator", "equivariance", "prior", "pose", "expression",
    }  # fmt: skip
    assert sum(named.values()) == pytest.approx(float(whole.detach()), rel=1e-5)
    whole.backward()  # type: ignore[no-untyped-call]
    together = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}

    def gradients(wanted: set[str]) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        fresh = task.build_network()
        kept: dict[str, torch.Tensor] = {}
        inner = task._losses

        def some(*given: Any) -> dict[str, torch.Tensor]:
            return {name: value for name, value in inner(*given).items() if name in wanted}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(task, "_losses", some)
            task.training_loss(fresh, 0).backward()  # type: ignore[no-untyped-call]
        kept.update({name: p.grad for name, p in fresh.named_parameters() if p.grad is not None})
        return kept

    of_judge, of_maker = gradients({"discriminator"}), gradients(set(named) - {"discriminator"})
    assert all(name.startswith("discriminator.") for name in of_judge)
    assert not any(name.startswith("discriminator.") for name in of_maker)
    for name, value in {**of_judge, **of_maker}.items():
        torch.testing.assert_close(together[name], value, atol=1e-5, rtol=1e-4, msg=name)


def test_a_loss_without_a_weight_is_left_out(data: TrainingSet) -> None:
    task = _task(data, weights={"adversarial": 0, "matching": 0, "equivariance": 0, "pose": 0, "expression": 0})
    task.training_loss(task.build_network(), 0)
    assert set(task.loss_parts()) == {"perceptual", "prior"}


def test_parts_of_a_batch_are_the_batch_where_statistics_are_stored(data: TrainingSet) -> None:
    task = _task(data, norm="stored")
    torch.manual_seed(0)
    network = task.build_network()
    start = {name: value.clone() for name, value in network.state_dict().items()}
    halves = []
    for rank in (0, 1):
        network.load_state_dict(start)
        halves.append(task.training_loss(network, 1, (rank, 2)).detach())
    network.load_state_dict(start)
    torch.testing.assert_close(sum(halves) / 2, task.training_loss(network, 1).detach(), atol=1e-4, rtol=1e-4)
    now = network.state_dict()
    assert all(torch.equal(now[name], start[name]) for name in start if "running" in name)
    with pytest.raises(UserError, match=r"set facevid2vid\.training\.norm to stored"):
        _task(data).training_loss(network, 1, (0, 2))


# --- the trainer ---------------------------------------------------------------------------------------------------


class _Unplugged(MemoryTracker):
    """Dies at the first report after `step`."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        super().metrics(values, step)
        if step > self._step:
            raise ConnectionError


def test_a_training_resumes_bit_for_bit_and_says_what_it_made(data: TrainingSet, tmp_path: Path) -> None:
    # Nine steps, a checkpoint every second, a look at the held-out clips at 4 and 8: it dies there.
    tracker = MemoryTracker()
    whole = train(FACEVID2VID, _preset(), data.path, tmp_path / "whole" / "facevid2vid", tracker)
    with pytest.raises(ConnectionError):
        train(FACEVID2VID, _preset(), data.path, tmp_path / "broken" / "facevid2vid", _Unplugged(7))
    again = train(FACEVID2VID, _preset(), data.path, tmp_path / "broken" / "facevid2vid", MemoryTracker())
    assert again.weights_md5 == whole.weights_md5
    curves = {name for _, values in tracker.logged["metrics"] for name in values}
    assert {"train/perceptual", "train/discriminator", "train/equivariance", "train/pose", "val/loss"} <= curves
    config = json.loads((current_model(tmp_path / "whole" / "facevid2vid") / "config.json").read_text())
    assert config["perceptual"] == "edges" and config["head_pose"] == "tracker" and config["training_clips"] == 12
    held_out = config["held_out"]
    assert held_out["pairs"] == 16 and held_out["l1"]["made"] == pytest.approx(whole.metrics["val/loss"], abs=2e-3)
    low, high = held_out["ssim"]["interval"]
    assert low <= held_out["ssim"]["gain"] <= high
    assert FaceVid2VidSettings().network.model_validate(config["network"]) == TINY


def test_a_training_begins_at_public_weights_with_detector_and_statistics_as_they_are(
    data: TrainingSet, tmp_path: Path
) -> None:
    torch.manual_seed(9)
    public = FaceVid2Vid(TINY)
    for name, value in public.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
    file = tmp_path / "public.pth.tar"
    torch.save({**public_groups(public), "discriminator": Discriminator(4, 2).state_dict()}, file)
    tuned: dict[str, Any] = {
        "weights_from": str(file),
        "frozen": ("kp_detector",),
        "norm": "stored",
        "learning_rate": 2e-5,
    }
    preset = _preset(**tuned, epochs=1)
    made = train(FACEVID2VID, preset, data.path, tmp_path / "models" / "facevid2vid", MemoryTracker())
    task = FaceVid2VidTask(preset.facevid2vid, data)
    began, state = task.build_network().state_dict(), public.state_dict()
    assert all(torch.equal(began[name], value) for name, value in state.items())
    ended = load_file(made.path / "model.safetensors")
    still = [name for name in state if name.startswith("kp_detector") or "running" in name]
    assert all(torch.equal(ended[name], state[name]) for name in still)
    moved = [name for name in state if not torch.equal(ended[name], state[name])]
    assert any(name.startswith("generator") for name in moved) and any(name.startswith("he_est") for name in moved)
    # What is in the file is part of what the training is, and stands in the record.
    settings = preset.facevid2vid
    before = run_digest(FACEVID2VID, settings, data)
    record = json.loads((made.path.parent / ".model.provenance.json").read_text())
    assert [one["name"] for one in record["weights"]] == ["public.pth.tar"]
    torch.save({**public_groups(FaceVid2Vid(TINY))}, file)
    assert run_digest(FACEVID2VID, settings, data) != before
    with pytest.raises(PermanentError, match="the discriminator does not fit"):
        torch.save({**public_groups(public), "discriminator": Discriminator(8, 2).state_dict()}, file)
        FaceVid2VidTask(settings, data).build_network()
    file.unlink()
    with pytest.raises(UserError, match=r"weights_from: no file .*leave it empty"):
        run_digest(FACEVID2VID, settings, data)


@pytest.mark.parametrize(
    ("network", "training", "said"),
    [
        ({}, {"discriminator_blocks": 4}, "look at 61 pixels or more"),
        ({}, {"perceptual": "vgg19", "sizes": 3}, "`vgg19` cannot look at"),
        ({}, {"weights_from": "vox.pth.tar"}, "expected an absolute path"),
    ],
)
def test_settings_that_cannot_be_trained_are_refused(
    network: dict[str, Any], training: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        _preset(network, **training)


def test_the_told_angles_are_hopenets_from_public_weights_on(data: TrainingSet) -> None:
    task = _task(data)
    tracked = torch.tensor([[5.0, 0.0, 0.0]])
    assert task._told(tracked)[0, 0] == pytest.approx(5, abs=1e-4), "down is positive, as the matrices turn"
    task.training = task.training.model_copy(update={"weights_from": "/public.pth.tar"})
    assert task._told(tracked)[0, 0] == pytest.approx(-5, abs=1e-4)
