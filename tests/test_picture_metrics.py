"""Picture metrics that need no network: golden values, independent implementations, and the way they move."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from scipy.linalg import sqrtm
from scipy.ndimage import convolve
from skimage.feature import canny
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from magictalk_core.errors import PermanentError
from magictalk_core.metrics.cpbd import cpbd
from magictalk_core.metrics.fid import fid
from magictalk_core.metrics.identity import csim
from magictalk_core.metrics.picture_landmarks import LANDMARK_DISTANCES, landmark_distance
from magictalk_core.metrics.pictures import luminance, picture_batch
from magictalk_core.metrics.psnr_ssim import psnr, ssim

ASTRONAUT: NDArray[np.uint8] = skimage.data.astronaut()
FACE = np.ascontiguousarray(ASTRONAUT[30:222, 130:322])


def _noisy(picture: NDArray[np.uint8], sigma: float, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


# --- PSNR and SSIM -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [1.0, 12.0, 90.0])
def test_psnr_and_ssim_are_those_of_scikit_image(sigma: float) -> None:
    other = _noisy(FACE, sigma)[::-1] if sigma > 50 else _noisy(FACE, sigma)
    assert psnr(FACE, other) == pytest.approx(peak_signal_noise_ratio(FACE, other, data_range=255), abs=1e-9)
    expected = structural_similarity(FACE, other, channel_axis=2, data_range=255)
    assert ssim(FACE, other) == pytest.approx(expected, abs=1e-9)


def test_equal_pictures_and_more_noise() -> None:
    assert math.isinf(psnr(FACE, FACE)) and ssim(FACE, FACE) == pytest.approx(1.0)
    values = [(psnr(FACE, _noisy(FACE, s)), ssim(FACE, _noisy(FACE, s))) for s in (2.0, 8.0, 32.0)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (FACE, FACE[:-1], r"one size, found \(192, 192\) and \(191, 192\)"),
        (FACE, FACE.astype(np.float32), "float32"),
        (FACE[..., 0], FACE[..., 0], r"\(192, 192\)"),
        (FACE[:6], FACE[:6], "at least 7 pixels"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(first: NDArray[np.uint8], second: NDArray[np.uint8], said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        ssim(first, second)


def test_frames_that_do_not_fit_are_refused() -> None:
    assert picture_batch(FACE[None]).shape == (1, 192, 192, 3)
    with pytest.raises(PermanentError, match="uint8"):
        picture_batch(FACE[None] / 255.0)
    with pytest.raises(PermanentError, match="at least 300"):
        picture_batch(FACE[None], 300)


# --- CPBD ----------------------------------------------------------------------------------------------------------


def _slow_cpbd(image: NDArray[np.float64]) -> float:
    """The definition of section 4 of reference/metrics.md in loops, the histogram of probabilities included."""
    widths = _slow_widths(image)
    edges = canny(image)
    histogram, total = np.zeros(101), 0
    for top in range(0, image.shape[0] - 63, 64):
        for left in range(0, image.shape[1] - 63, 64):
            block = np.s_[top : top + 64, left : left + 64]
            if np.count_nonzero(edges[block]) <= 0.002 * 64 * 64:
                continue
            jnb = 5.0 if int(image[block].max() - image[block].min()) <= 50 else 3.0
            for width in widths[block].ravel():
                if width:
                    histogram[round(100 * (1 - math.exp(-((width / jnb) ** 3.6))))] += 1
                    total += 1
    return float(histogram[:64].sum() / total) if total else 0.0


def _slow_widths(image: NDArray[np.float64]) -> NDArray[np.int64]:
    height, width = image.shape
    strength = convolve(image, np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8) ** 2
    strength[strength <= 2 * math.sqrt(strength.mean())] = 0
    gy, gx = np.gradient(image)
    found = np.zeros(image.shape, np.int64)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            here = strength[y, x]
            if not (
                (here > strength[y, x - 1] and here > strength[y, x + 1])
                or (here > strength[y - 1, x] and here > strength[y + 1, x])
            ):
                continue
            angle = math.degrees(math.atan2(gy[y, x], gx[y, x])) if gx[y, x] else 0.0
            quarter = 45 * round(angle / 45)
            if quarter in (0, 180, -180):
                sign = 1 if quarter == 0 else -1
                found[y, x] = _walk(image[y], x, -1, -sign) + _walk(image[y], x, 1, sign)
    return found


def _walk(row: NDArray[np.float64], x: int, way: int, sign: int) -> int:
    """Steps from x until the level stops going the way of `sign`, at most 101; the first step is always taken."""
    for steps in range(1, 102):
        inner, outer = x + way * steps, x + way * (steps + 1)
        if not 0 <= outer < len(row) or sign * (row[outer] - row[inner]) <= 0:
            return steps
    return 101


def _fifty_pictures() -> Iterator[NDArray[np.uint8]]:
    """Crops of public-domain pictures, sharp, blurred, noisy and turned, with sides that are no multiples of 64; and
    ramps on which an edge runs further than the 101 steps that are taken."""
    rng = np.random.default_rng(7)
    sources = [luminance(ASTRONAUT), skimage.data.camera(), skimage.data.coins(), skimage.data.moon()]
    for i in range(48):
        source = sources[i % len(sources)]
        h, w = rng.integers(64, 180, 2)
        y, x = rng.integers(0, source.shape[0] - h), rng.integers(0, source.shape[1] - w)
        crop = source[y : y + h, x : x + w]
        if i % 3 == 1:
            crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), 0.4 + i / 16), np.uint8)
        if i % 5 == 2:
            crop = _noisy(crop, 4.0, i)
        yield np.ascontiguousarray(crop[:, ::-1] if i % 2 else crop)
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 70, axis=0)
    ramp[:, 130:] = np.minimum(ramp[:, 130:].astype(int) + 60, 255)
    yield ramp
    yield ramp[:, ::-1].copy()


def test_cpbd_is_its_definition_on_fifty_pictures() -> None:
    pictures = list(_fifty_pictures())
    assert len(pictures) == 50
    found = [cpbd(p) for p in pictures]
    expected = [_slow_cpbd(p.astype(np.float64)) for p in pictures]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(set(found)) > 30  # pictures that tell something


def test_cpbd_is_that_of_the_package() -> None:
    """`cpbd.compute` of cpbd-py312 1.0.3 on grey pictures by Pillow; benchmarks/cpbd_speed.py computes them again."""
    golden = {1.0: 0.38368206916594016, 0.5: 0.4378482640377197}
    half = cv2.resize(luminance(ASTRONAUT), (256, 256), interpolation=cv2.INTER_AREA)
    assert cpbd(ASTRONAUT) == pytest.approx(golden[1.0], abs=1e-9)
    assert cpbd(half) == pytest.approx(golden[0.5], abs=1e-9)


def test_blur_lowers_cpbd_and_colour_is_weighed_as_pillow_does() -> None:
    blurred = [cpbd(cv2.GaussianBlur(ASTRONAUT, (0, 0), s)) for s in (0.5, 1.0, 1.5, 2.5)]
    assert [cpbd(ASTRONAUT), *blurred] == sorted([cpbd(ASTRONAUT), *blurred], reverse=True)
    assert cpbd(np.full((64, 64), 9, np.uint8)) == 0.0
    np.testing.assert_array_equal(luminance(ASTRONAUT), np.asarray(Image.fromarray(ASTRONAUT).convert("L")))
    with pytest.raises(PermanentError, match="at least 64 x 64"):
        cpbd(ASTRONAUT[:63])


# --- landmarks -----------------------------------------------------------------------------------------------------


def _points(frames: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(60, 190, (frames, 68, 2))


def test_landmark_distance_by_hand() -> None:
    """Two frames: all points 3 px right and 4 px down, the mouth 6 px further right; a third has no face."""
    truth = _points(3)
    made = truth + np.array([3.0, 4.0])
    made[:, 48:, 0] += 6.0
    made[2] = np.nan
    found = landmark_distance(truth, made)
    share = 20 / 68
    assert found["lmd_raw_px"] == pytest.approx((1 - share) * 5 + share * math.hypot(9, 4))
    assert found["lmd_px"] == pytest.approx((1 - share) * 6 * share + share * 6 * (1 - share))
    assert found["lmd_mouth_px"] == pytest.approx(0, abs=1e-12)
    assert tuple(found) == LANDMARK_DISTANCES


def test_what_each_landmark_distance_does_not_see() -> None:
    truth = _points(4)
    angle = 0.3
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    moved = 1.2 * truth @ turn.T + np.array([20.0, -5.0])
    found = landmark_distance(truth, moved)
    assert found["lmd_iod_percent"] == pytest.approx(0, abs=1e-9)
    assert min(v for k, v in found.items() if k != "lmd_iod_percent" and v is not None) > 1
    assert landmark_distance(truth, truth + 9.0)["lmd_px"] == pytest.approx(0, abs=1e-9)
    # The one in percent does not grow with the picture.
    small, large = landmark_distance(truth, _points(4, 1)), landmark_distance(2 * truth, 2 * _points(4, 1))
    assert large["lmd_px"] == pytest.approx(2 * float(small["lmd_px"] or 0))
    assert large["lmd_iod_percent"] == pytest.approx(small["lmd_iod_percent"])


def test_landmark_distance_without_a_common_frame_is_no_value() -> None:
    truth, made = _points(2), _points(2, 1)
    truth[0], made[1, 3] = np.nan, np.nan
    assert landmark_distance(truth, made) == dict.fromkeys(LANDMARK_DISTANCES)
    with pytest.raises(PermanentError, match=r"\(n, 68, 2\)"):
        landmark_distance(truth, made[:1])
    flat = np.zeros((1, 68, 2))
    assert landmark_distance(flat, flat)["lmd_iod_percent"] is None


# --- embeddings ----------------------------------------------------------------------------------------------------


def test_csim_by_hand() -> None:
    a = np.array([[1.0, 0.0], [3.0, 0.0], [np.nan, 1.0]])
    b = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 1.0]])
    assert csim(a, b) == pytest.approx((math.sqrt(0.5) + 1) / 2)
    assert csim(a, np.array([0.0, 5.0])) == pytest.approx(0)
    assert csim(a[2:], b[2:]) is None
    with pytest.raises(PermanentError, match="expected embeddings"):
        csim(a, b[:2])


@pytest.mark.parametrize(("n", "m"), [(300, 200), (30, 300), (12, 9)])
def test_fid_is_the_frechet_distance_by_scipy(n: int, m: int) -> None:
    """Against the matrix root of scipy, of covariances that a little of the identity keeps regular: d = 24."""
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=(n, 24)) @ rng.normal(size=(24, 24)), rng.normal(1, 2, (m, 24))
    mean = a.mean(axis=0) - b.mean(axis=0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    tiny = 1e-9 * np.eye(24)
    root = np.real(sqrtm((first + tiny) @ (second + tiny)))
    assert fid(a, b) == pytest.approx(mean @ mean + np.trace(first + second - 2 * root), rel=2e-3)
    assert fid(a, a) == pytest.approx(0, abs=1e-8)


def test_fid_grows_with_the_shift_and_refuses_what_it_cannot_take() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 8)), rng.normal(size=(60, 8))
    values = [fid(a, b + s) for s in (0.0, 1.0, 2.0)]
    assert values == sorted(values)
    assert fid(a, a + 3.0) == pytest.approx(8 * 9)
    with pytest.raises(PermanentError, match="found"):
        fid(a, b[:, :7])
