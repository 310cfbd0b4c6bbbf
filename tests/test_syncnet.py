"""SyncNet's protocol with random weights in the public layout: against a plain implementation, and as it moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from judge_fixtures import random_weights
from numpy.typing import NDArray
from torch.nn import functional

from magictalk_core.errors import MissingWeights, PermanentError
from magictalk_core.judges.syncnet import SyncNet, SyncNetNetwork, syncnet_crops
from magictalk_core.metrics.syncnet import SyncScore, sync_score
from magictalk_core.speech.mfcc import mfcc_syncnet


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("syncnet") / "syncnet_v2.model"
    torch.save(random_weights(SyncNetNetwork(), seed=4), path)
    return path


def _clip(frames: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (frames, 224, 224, 3), dtype=np.uint8)
    return pictures, rng.integers(-9000, 9000, frames * 640 + 200, dtype=np.int16)


def _plainly(video: NDArray[np.float32], audio: NDArray[np.float32]) -> SyncScore:
    """The protocol of section 2.2 of reference/metrics.md, window by window in torch."""
    heard = functional.pad(torch.from_numpy(audio), (0, 0, 15, 15))
    rows = []
    for i, seen in enumerate(torch.from_numpy(video)):
        rows.append(functional.pairwise_distance(seen.repeat(31, 1), heard[i : i + 31]))
    means = torch.stack(rows, dim=1).mean(dim=1)
    least, place = means.min(dim=0)
    return SyncScore(float(least), float(means.median() - least), 15 - int(place))


def _network_by_hand(weights: Path, frames: NDArray[np.uint8], sound: NDArray[np.int16]) -> SyncScore:
    """Window by window, the networks as lists of functional calls on the names of the public file."""
    w = torch.load(weights, weights_only=True)

    def run(x: torch.Tensor, tower: str, plan: list[tuple[str, dict[str, object]]]) -> torch.Tensor:
        place = 0
        for kind, options in plan:
            name = f"{tower}.{place}"
            if kind == "pool":
                x = (functional.max_pool3d if x.dim() == 5 else functional.max_pool2d)(x, **options)
                place += 1
                continue
            call = {"conv": functional.conv3d if x.dim() == 5 else functional.conv2d, "fc": functional.linear}[kind]
            x = call(x, w[f"{name}.weight"], w[f"{name}.bias"], **options)
            place += 1
            if f"{tower}.{place}.running_mean" in w:
                n = f"{tower}.{place}"
                x = functional.batch_norm(
                    x, w[f"{n}.running_mean"], w[f"{n}.running_var"], w[f"{n}.weight"], w[f"{n}.bias"]
                )
                x = torch.relu(x)
                place += 2
        return x

    three: list[tuple[str, dict[str, object]]] = [("conv", {"padding": 1})]
    sound_plan = [
        *three, ("pool", {"kernel_size": 1, "stride": 1}), *three, ("pool", {"kernel_size": 3, "stride": (1, 2)}),
        *three, *three, *three, ("pool", {"kernel_size": 3, "stride": 2}), ("conv", {}),
    ]  # fmt: skip
    flat: list[tuple[str, dict[str, object]]] = [("conv", {"padding": (0, 1, 1)})]
    face_plan = [
        ("conv", {"stride": (1, 2, 2)}), ("pool", {"kernel_size": (1, 3, 3), "stride": (1, 2, 2)}),
        ("conv", {"stride": (1, 2, 2), "padding": (0, 1, 1)}),
        ("pool", {"kernel_size": (1, 3, 3), "stride": (1, 2, 2), "padding": (0, 1, 1)}),
        *flat, *flat, *flat, ("pool", {"kernel_size": (1, 3, 3), "stride": (1, 2, 2)}), ("conv", {}),
    ]  # fmt: skip
    ends: list[tuple[str, dict[str, object]]] = [("fc", {}), ("fc", {})]
    mfcc = torch.from_numpy(mfcc_syncnet(sound).T.copy())
    seen, heard = [], []
    for i in range(min(len(frames), len(sound) // 640) - 5):
        window = torch.from_numpy(frames[i : i + 5, :, :, ::-1].copy()).permute(3, 0, 1, 2)[None].float()
        seen.append(run(run(window, "netcnnlip", face_plan).flatten(1), "netfclip", ends))
        steps = mfcc[None, None, :, 4 * i : 4 * i + 20]
        heard.append(run(run(steps, "netcnnaud", sound_plan).flatten(1), "netfcaud", ends))
    return _plainly(torch.cat(seen).numpy(), torch.cat(heard).numpy())


def test_scores_are_those_of_a_plain_implementation_with_the_public_layout(weights: Path) -> None:
    frames, sound = _clip(8)
    found, plain = SyncNet.from_file(weights).score(frames, sound), _network_by_hand(weights, frames, sound)
    assert found.offset == plain.offset
    assert found.distance == pytest.approx(plain.distance, rel=1e-5)
    assert found.confidence == pytest.approx(plain.confidence, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("windows", [1, 7, 60])
def test_sliding_is_the_protocol_on_embeddings(windows: int) -> None:
    rng = np.random.default_rng(windows)
    video, audio = rng.normal(size=(2, windows, 64)).astype(np.float32)
    found, plain = sync_score(video, audio), _plainly(video, audio)
    assert found.offset == plain.offset
    assert (found.distance, found.confidence) == pytest.approx((plain.distance, plain.confidence), abs=1e-5)


def test_a_shift_raises_the_distance_where_it_is_not_searched_and_a_swap_lowers_the_confidence() -> None:
    """Embeddings of a mouth that follows the sound: late mouths have positive offsets, beyond 15 frames nothing fits,
    and the sound of another clip is confidently nobody's."""
    rng = np.random.default_rng(2)
    audio = 5 * rng.normal(size=(150, 32))
    video = audio + rng.normal(size=audio.shape)
    true = sync_score(video, audio)
    assert true.offset == 0
    for shift in (-9, 6, 15):
        moved = sync_score(np.roll(video, shift, axis=0)[20:-20], audio[20:-20])
        assert moved.offset == shift
    far = sync_score(np.roll(video, 25, axis=0), audio)
    swapped = sync_score(video, 5 * rng.normal(size=audio.shape))
    assert far.distance > 2 * true.distance and swapped.distance > 2 * true.distance
    assert far.confidence < 0.3 * true.confidence and swapped.confidence < 0.3 * true.confidence
    noisier = [sync_score(audio + s * rng.normal(size=audio.shape), audio) for s in (0.5, 2, 6)]
    assert [n.distance for n in noisier] == sorted(n.distance for n in noisier)
    assert [n.confidence for n in noisier] == sorted((n.confidence for n in noisier), reverse=True)


def test_mfcc_is_that_of_python_speech_features() -> None:
    """python_speech_features 0.6, `mfcc(samples, 16000)`, of 12,345 samples of this noise: first and last step."""
    samples = np.random.default_rng(4).integers(-3000, 3000, 12345).astype(np.int16)
    first = "20.9958 -40.5467 -11.5369 -12.5174 -8.0677 1.286 7.6093 -0.4066 8.3053 3.5997 -0.1145 3.2105 -5.6369"
    last = "20.5838 -35.7512 -12.9703 -9.0108 -4.6932 0.7988 7.1356 2.1712 -1.2375 -4.7928 -12.6234 -9.6469 -5.3795"
    found = mfcc_syncnet(samples)
    assert found.shape == (76, 13)
    np.testing.assert_allclose(found[0], np.fromstring(first, sep=" "), atol=1e-4)
    np.testing.assert_allclose(found[-1], np.fromstring(last, sep=" "), atol=1e-4)
    assert found.mean() == pytest.approx(-3.7769468, abs=1e-5) and found.std() == pytest.approx(11.9195398, abs=1e-5)
    assert [len(mfcc_syncnet(samples[:n])) for n in (100, 400, 401, 16000)] == [1, 1, 2, 76]


def test_crops_of_the_protocol() -> None:
    """A bright square moves 2 px a frame; one box is missing and one is a miss: both lie on the way of the others."""
    frames = np.zeros((30, 200, 300, 3), np.uint8)
    boxes = np.zeros((30, 4))
    for i, frame in enumerate(frames):
        frame[80:120, 100 + 2 * i : 140 + 2 * i] = 250
        boxes[i] = (100 + 2 * i, 80, 40, 40)
    boxes[11], boxes[17] = np.nan, (0, 0, 40, 40)
    crops = syncnet_crops(frames, boxes)
    assert crops.shape == (30, 224, 224, 3)
    # s = 20: the crop is 56 wide and 56 high, from 20 above the centre, so the face's 40 px are 160 of 224.
    bright = crops[8:22, :, :, 0] > 125
    for shown in bright:
        assert abs(int(shown[:, 112].sum()) - 160) <= 4 and abs(int(shown[60].sum()) - 160) <= 4
        assert shown[2:150, 112].all() and not shown[165:, 112].any()
    corner = syncnet_crops(frames[:13], np.tile([0.0, 0.0, 60.0, 60.0], (13, 1)))
    assert (corner[0, 100, 5] == 110).all()
    with pytest.raises(PermanentError, match=r"\(30, 4\), one at least"):
        syncnet_crops(frames, np.full((30, 4), np.nan))


def test_what_does_not_fit_is_refused(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = SyncNet.from_file(weights)
    frames, sound = _clip(6)
    with pytest.raises(PermanentError, match="at least 6 frames"):
        judge.score(frames[:5], sound)
    with pytest.raises(PermanentError, match="int16"):
        judge.score(frames, sound.astype(np.float32))
    with pytest.raises(PermanentError, match="two arrays"):
        sync_score(np.zeros((3, 4)), np.zeros((2, 4)))
    torch.save({"netcnnaud.0.weight": torch.zeros(1)}, tmp_path / "other.model")
    with pytest.raises(PermanentError, match=r"other\.model does not fit SyncNetNetwork"):
        SyncNet.from_file(tmp_path / "other.model")
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path))
    monkeypatch.delenv("MAGICTALK_WEIGHTS", raising=False)
    with pytest.raises(MissingWeights, match=r"syncnet_v2\.model.*magictalk weights fetch syncnet_v2\.model"):
        SyncNet.load()
