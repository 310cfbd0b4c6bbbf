"""Trackers on pictures and clips, and the rows that a video becomes."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from face_fixtures import astronaut, mirrored, need_embedded_weights, noise

from magictalk_core.arkit_dataset.checks import signature_gains
from magictalk_core.errors import PermanentError
from magictalk_core.faces.extract import extract_clip, extract_video, observe_video
from magictalk_core.faces.observation import FaceObservation
from magictalk_core.faces.tracker import Tracker, geometric_tracker, open_tracker
from magictalk_core.faces.tracker_ids import TrackerChoice, tracker_id
from magictalk_core.media.encode import write_video
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import FRAMES
from magictalk_core.storage.validation import validate
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, BLIND_CHANNELS, POSE_NAMES


@pytest.fixture
def no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a package index carries."""
    need_embedded_weights()
    monkeypatch.delenv("MAGICTALK_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def geometric() -> Tracker:
    need_embedded_weights()
    return geometric_tracker()


@pytest.fixture
def bundle(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    need_embedded_weights()
    monkeypatch.setenv("MAGICTALK_WEIGHTS", str(shared / "weights"))
    return shared


def _same(a: FaceObservation, b: FaceObservation) -> bool:
    same = np.array_equal(a.coefficients, b.coefficients, equal_nan=True) and a.face_found == b.face_found
    return same and np.array_equal(a.pose, b.pose, equal_nan=True)


def test_a_frame_depends_on_nothing_before_it(geometric: Tracker) -> None:
    frames = [astronaut(), noise(), mirrored(astronaut())]
    forward, backward = list(geometric.track(frames)), list(geometric.track(frames[::-1]))
    assert [o.face_found for o in forward] == [True, False, True]
    assert all(_same(a, b) for a, b in zip(forward, backward[::-1], strict=True))


def test_a_frame_without_a_face_has_no_values(geometric: Tracker) -> None:
    (seen,) = geometric.track([noise()])
    assert seen.landmarks is None and np.isnan(seen.confidence)
    assert np.isnan(seen.coefficients).all() and np.isnan(seen.pose).all()
    assert seen.coefficients.shape == (len(ARKIT_NAMES),) and seen.pose.shape == (len(POSE_NAMES),)


def test_a_large_video_gives_what_its_face_crop_gives(geometric: Tracker, tmp_path: Path) -> None:
    large = np.full((720, 1280, 3), 90, np.uint8)
    large[300:556, 800:1056] = astronaut()
    write_video(tmp_path / "crop.mp4", [astronaut()] * 2, 25, None)
    write_video(tmp_path / "large.mp4", [large] * 2, 25, None)
    crop, whole = (next(observe_video(tmp_path / f"{name}.mp4", geometric)) for name in ("crop", "large"))
    assert crop.landmarks is not None and whole.landmarks is not None
    eyes = np.linalg.norm(crop.landmarks[33, :2] - crop.landmarks[263, :2])
    offset = whole.landmarks[:, :2] - [800, 300] - crop.landmarks[:, :2]
    assert np.linalg.norm(offset, axis=1).mean() < 0.03 * eyes
    assert whole.pose[:3] == pytest.approx(crop.pose[:3], abs=3)
    assert np.nanmean(np.abs(whole.coefficients - crop.coefficients)) < 0.06


def test_threads_give_the_same_values_in_order() -> None:
    need_embedded_weights()
    pictures = [astronaut(), None, noise(), mirrored(astronaut())] * 12
    one, three = list(geometric_tracker().track(pictures)), list(geometric_tracker(3).track(pictures))
    assert [o.face_found for o in one] == [True, False, False, True] * 12
    assert all(_same(a, b) for a, b in zip(one, three, strict=True))


def test_a_bystander_at_the_edge_is_not_taken_for_the_speaker(geometric: Tracker) -> None:
    speaker, bystander = astronaut(), np.repeat(np.repeat(mirrored(astronaut()), 2, axis=0), 2, axis=1)
    scene = np.full((512, 512, 3), 90, np.uint8)
    scene[160:416, 140:396] = speaker
    alone = next(iter(geometric.track([scene])))
    scene[:, 400:] = bystander[:, 180:292]
    both = next(iter(geometric.track([scene])))
    assert alone.landmarks is not None and both.landmarks is not None
    assert np.abs(alone.landmarks[:, 0].mean() - both.landmarks[:, 0].mean()) < 10


def test_the_tracker_id_says_which_one_runs(no_bundle: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An empty cache beside the embedded one: the bundle is in neither.
    monkeypatch.setenv("MAGICTALK_CACHE", str(tmp_path))
    assert tracker_id("auto") == tracker_id("litert")
    assert tracker_id("auto").split("/")[0] == "litert-geometric"
    with pytest.raises(PermanentError, match=r"magictalk weights fetch face_landmarker\.task"):
        open_tracker("mediapipe")


def test_every_tracker_kind_states_its_blind_channels() -> None:
    for choice in ("auto", "mediapipe", "litert"):
        assert tracker_id(choice).split("/")[0] in BLIND_CHANNELS


def test_a_video_becomes_valid_rows_and_the_same_bytes_again(geometric: Tracker, tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    write_video(video, [astronaut()] * 3 + [noise()] * 2, 25, None)
    table = extract_video(video, "c/s/1", geometric)
    validate(FRAMES, table)
    rows = table.to_pydict()
    assert rows["frame_index"] == list(range(5)) and rows["time_s"] == pytest.approx(np.arange(5) / 25)
    assert rows["face_found"] == [True] * 3 + [False] * 2
    for name in (*ARKIT_NAMES, *POSE_NAMES, "confidence"):
        assert rows[name][3:] == [None, None]
    for name in BLIND_CHANNELS["litert-geometric"]:
        assert rows[name] == [None] * 5
    assert set(rows["tracker"]) == {geometric.id}
    first, second = (write_table(FRAMES, extract_video(video, "c/s/1", geometric), tmp_path / n) for n in "ab")
    assert first == second


def _correlation(a: list[FaceObservation], b: list[FaceObservation], channel: str) -> float:
    i = ARKIT_NAMES.index(channel)
    return float(np.corrcoef([o.coefficients[i] for o in a], [o.coefficients[i] for o in b])[0, 1])


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "grid_brbk7n.mpg",
        *(
            pytest.param(f"{n}.mp4", marks=pytest.mark.slow)
            for n in ("mead_W009_happy_level3_silent", "videoretalking_5")
        ),
    ],
)
def test_the_bundle_on_litert_is_mediapipe_but_for_rounding(bundle: Path, name: str) -> None:
    assert tracker_id("litert").split("/")[0] == "litert-blendshapes" and tracker_id("auto").startswith("mediapipe/")
    video = bundle / "samples" / "clips" / name
    pairs = list(zip(*(observe_video(video, open_tracker(t)) for t in ("mediapipe", "litert")), strict=True))
    assert all(a.face_found and b.face_found for a, b in pairs)
    coefficients = np.array([[o.coefficients for o in pair] for pair in pairs])
    assert np.nanmean(np.abs(coefficients[:, 0] - coefficients[:, 1])) < 0.002
    for channel in np.flatnonzero(coefficients[:, 0].std(axis=0) > 0.01):
        assert np.corrcoef(coefficients[:, 0, channel], coefficients[:, 1, channel])[0, 1] > 0.99, ARKIT_NAMES[channel]
    for a, b in pairs:
        assert a.landmarks is not None and b.landmarks is not None and b.landmarks.shape == (478, 3)
        eyes = np.linalg.norm(a.landmarks[33, :2] - a.landmarks[263, :2])
        assert np.linalg.norm(a.landmarks[:, :2] - b.landmarks[:, :2], axis=1).mean() < 0.01 * eyes
        assert a.pose[:3] == pytest.approx(b.pose[:3], abs=1.0)


@pytest.mark.shared
@pytest.mark.parametrize("choice", ["mediapipe", "litert"])
def test_what_a_tracker_is_blind_to_is_null_and_all_else_is_not(bundle: Path, choice: TrackerChoice) -> None:
    video = bundle / "samples" / "clips" / "mead_M030_angry_level3_silent.mp4"
    tracker = open_tracker(choice)
    seen = np.array([one.coefficients for one in islice(observe_video(video, tracker), 12)])
    blind = set(BLIND_CHANNELS[tracker.id.split("/")[0]])
    assert {"noseSneerLeft", "noseSneerRight", "cheekSquintLeft", "cheekSquintRight"} < blind
    for name, values in zip(ARKIT_NAMES, seen.T, strict=True):
        assert np.isnan(values).all() if name in blind else np.isfinite(values).all(), name


@pytest.mark.shared
def test_emotions_of_mead_raise_their_channels(bundle: Path) -> None:
    tracker, rows = open_tracker("litert", 2), []
    for video in sorted((bundle / "samples" / "clips").glob("mead_*_silent.mp4")):
        _, speaker, emotion, *_ = video.stem.split("_")
        values = np.mean([o.coefficients for o in observe_video(video, tracker) if o.face_found], axis=0)
        rows.append(
            {"corpus": "mead", "speaker": speaker, "emotion": emotion, **dict(zip(ARKIT_NAMES, values, strict=True))}
        )
    gains = signature_gains(pd.DataFrame(rows))
    assert len(rows) == 8 and len(gains) == 4
    assert min(gains.values()) > 0.05, gains


@pytest.mark.shared
@pytest.mark.parametrize("name", ["mead_W009_happy_level3_silent.mp4", "videoretalking_5.mp4"])
def test_the_geometric_solver_follows_mediapipe(bundle: Path, geometric: Tracker, name: str) -> None:
    video = bundle / "samples" / "clips" / name
    reference, ours = (list(islice(observe_video(video, t), 75)) for t in (open_tracker("mediapipe"), geometric))
    assert _correlation(reference, ours, "jawOpen") > 0.8
    assert _correlation(reference, ours, "eyeBlinkLeft") > 0.8


@pytest.mark.shared
def test_a_clip_whose_face_turns_away_is_tracked_to_the_end(shared: Path, geometric: Tracker) -> None:
    seen = list(islice(observe_video(shared / "samples" / "clips" / "latentsync_demo1.mp4", geometric), 12))
    assert len(seen) == 12 and sum(o.face_found for o in seen) >= 10


def test_a_clip_is_extracted_by_choice(no_bundle: None, tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    write_video(video, [astronaut()] * 2, 25, None)
    table = extract_clip(video, "c/s/2", "litert")
    assert table.column("face_found").to_pylist() == [True, True]
