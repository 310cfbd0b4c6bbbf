"""Pictures of test clips: tracks, crops, what draws them, and what the metrics say of better and worse ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_fixtures import need_embedded_weights
from judge_fixtures import need
from numpy.typing import NDArray

from magictalk_core.evaluation.pictures.clip import PictureClip
from magictalk_core.evaluation.pictures.clip_task import ScoredVideos, drawn
from magictalk_core.evaluation.pictures.crops import MARGIN, FaceTrack, NoFace, crops_of, track_face, whole_frames
from magictalk_core.evaluation.pictures.fid import ClipFeatures, fid_rows
from magictalk_core.evaluation.pictures.networks import Judge
from magictalk_core.evaluation.pictures.render import Pose, Renderer, Renderers, renderers_of, with_pose_of
from magictalk_core.evaluation.pictures.score import nothing_scored, score_video
from magictalk_core.evaluation.pictures.values import UNITS
from magictalk_core.faces.detection import load_face_detector
from magictalk_core.faces.face_box import FaceBox
from magictalk_core.media.crop import CropBox
from magictalk_core.media.encode import write_video
from magictalk_core.metrics.fid import fid
from magictalk_core.metrics.picture_blinks import blinks_per_minute, count_blinks
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.sample_corpus.portraits import speaker_portrait
from magictalk_core.vocabulary.arkit import MOTION_NAMES

FRAMES = 6
Frames = NDArray[np.uint8]


class Detector:
    """Sees a face of 40 px whose centre jitters by up to 3 px around a slow path, and none in every fourth frame."""

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, frame: Frames) -> list[FaceBox]:
        self.calls += 1
        if self.calls % 4 == 0:
            return []
        shift = 3.0 * (-1) ** self.calls
        return [FaceBox(40 + shift, 50 + shift, 40, 36, 0.9, np.zeros((6, 2), np.float32))]


def test_a_track_is_smooth_where_the_detector_is_not_and_filled_where_it_sees_nothing() -> None:
    track = track_face(np.zeros((40, 128, 128, 3), np.uint8), Detector())  # type: ignore[arg-type]
    assert track.found == 0.75 and np.ptp(track.centres[:, 0]) <= 6.0
    assert np.abs(np.diff(track.centres[8:-8], axis=0)).max() <= 1.0, "jitter of 6 px from frame to frame is gone"
    boxes = track.boxes()
    assert {box.size for box in boxes} == {round(40 * MARGIN)}


def test_frames_without_any_face_are_refused() -> None:
    class Blind:
        def detect(self, frame: Frames) -> list[FaceBox]:
            return []

    with pytest.raises(NoFace, match="no face in any of 3 frames"):
        track_face(np.zeros((3, 64, 64, 3), np.uint8), Blind())  # type: ignore[arg-type]


def test_the_same_box_cuts_videos_of_any_size() -> None:
    track = FaceTrack(np.full((2, 2), 50.0), np.full(2, 40.0), 100, 100, 1.0)
    doubled = track.scaled_to(200, 200)
    assert doubled.boxes()[0] == CropBox(32, 32, 136) and track.boxes()[0] == CropBox(16, 16, 68)
    small = np.random.default_rng(0).integers(0, 255, (2, 100, 100, 3), dtype=np.uint8)
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    assert np.array_equal(crops_of(small, track.boxes(), 68), crops_of(large, doubled.boxes(), 68))
    native = crops_of(small, track.boxes(), None)
    assert native.shape == (2, 68, 68, 3) and np.array_equal(native[0], small[0, 16:84, 16:84])


def test_whole_frames_are_their_own_crops() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 256, 256, 3), dtype=np.uint8)
    assert np.array_equal(crops_of(frames, whole_frames(frames).boxes()), frames)


def test_the_true_head_pose_leaves_the_face_and_stays_where_it_was_not_measured() -> None:
    made, truth = np.full((3, 58), 0.2, np.float32), np.full((4, 58), 0.9, np.float32)
    yaw = MOTION_NAMES.index("head_yaw_deg")
    truth[1, yaw] = np.nan
    moved = with_pose_of(made, truth)
    assert (moved[:, :52] == np.float32(0.2)).all()
    assert moved[:, yaw].tolist() == pytest.approx([0.9, 0.2, 0.9]) and (made == np.float32(0.2)).all()


def test_blinks_are_short_and_deep() -> None:
    eyes = np.full(100, 0.3)
    eyes[[10, 11, 12]] = 0.1  # a blink
    eyes[40] = 0.1  # too short
    eyes[60:75] = 0.1  # shut eyes
    eyes[90:] = np.nan
    assert count_blinks(eyes) == 1 and blinks_per_minute(eyes, 25) == pytest.approx(60 * 25 / 90)
    assert blinks_per_minute(eyes[:20], 25) is None and count_blinks(np.full(5, np.nan)) == 0
    assert count_blinks(eyes * 7) == 1, "whatever the unit"


# --- one clip of a real portrait --------------------------------------------------------------------------------------


def _motion() -> NDArray[np.float32]:
    motion = np.zeros((FRAMES, len(MOTION_NAMES)), np.float32)
    motion[:, MOTION_NAMES.index("jawOpen")] = np.linspace(0, 0.6, FRAMES)
    motion[:, MOTION_NAMES.index("head_yaw_deg")] = np.linspace(0, 6, FRAMES)
    return motion


@pytest.fixture(scope="module")
def clip() -> PictureClip:
    """A recording that is the portrait moved by known curves."""
    need_embedded_weights()
    need(
        "face_landmark_68_model.bin",
        "face_expression_model.bin",
        "face_recognition_model.bin",
        "fer_emotion_model_quantized.tflite",
    )
    portrait = cv2.resize(speaker_portrait("W901")[0], (256, 256), interpolation=cv2.INTER_AREA)
    still = np.asarray(portrait, np.uint8)[None].repeat(FRAMES, axis=0)
    track, rest = track_face(still, load_face_detector()), np.zeros(58, np.float32)
    base = PictureClip("c/s/1", "happy", still, track, crops_of(still, track.boxes()), _motion(), None, still[0], rest)
    with renderers_of(base, builtin_rig()) as renderers:
        frames = renderers.frames(Renderer.PORTRAIT, _motion())
    return replace(base, frames=frames, crops=crops_of(frames, track.boxes()))


@pytest.fixture(scope="module")
def renderers(clip: PictureClip) -> Iterator[Renderers]:
    with renderers_of(clip, builtin_rig()) as found:
        yield found


def values(frames: Frames, clip: PictureClip) -> dict[str, float | None]:
    return {one.metric: one.value for one in score_video(frames, clip)}


def test_a_recording_is_like_itself_and_every_metric_has_its_row(clip: PictureClip) -> None:
    rows = score_video(clip.frames, clip, every=2)
    assert {row.metric for row in rows} == set(UNITS) and len(rows) == len(UNITS)
    found = {row.metric: row for row in rows}
    assert found["psnr"].value is None and found["psnr"].reason == "equal to the recording, pixel by pixel"
    assert found["ssim"].value == pytest.approx(1) and found["lmd_px"].value == pytest.approx(0)
    assert found["same_person"].value == 1.0 and found["csim"].value is not None and found["csim"].value > 0.95
    assert found["lse_d"].value is None and "syncnet_v2.model" in str(found["lse_d"].reason)
    assert found["emotion_fan_accuracy"].value is None
    assert "magictalk run --select models" in str(found["emotion_fan_accuracy"].reason)
    for row in rows:
        assert (row.value is None) == (row.reason is not None), row
        assert row.reason is None or " /" not in row.reason, "no folder of this machine"


def test_worse_pictures_score_worse(clip: PictureClip) -> None:
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 3) for frame in clip.frames]).astype(np.uint8)
    noisy = np.clip(clip.frames + np.random.default_rng(0).normal(0, 12, clip.frames.shape), 0, 255).astype(np.uint8)
    same, soft, grained = (values(frames, clip) for frames in (clip.frames, blurred, noisy))
    assert (
        _less(soft["cpbd"], same["cpbd"]) and _less(soft["ssim"], same["ssim"]) and _less(grained["ssim"], same["ssim"])
    )
    assert _less(grained["psnr"], 30.0)


def _less(one: float | None, other: float | None) -> bool:
    assert one is not None and other is not None
    return one < other


def test_another_mouth_moves_the_landmarks_and_another_person_is_another_person(
    clip: PictureClip, renderers: Renderers
) -> None:
    shut = renderers.frames(Renderer.PORTRAIT, np.zeros_like(clip.motion))
    assert _less(0.3, values(shut, clip)["lmd_px"])
    stranger = cv2.resize(speaker_portrait("M901")[0], (256, 256), interpolation=cv2.INTER_AREA)
    other = values(np.asarray(stranger, np.uint8)[None].repeat(FRAMES, axis=0), clip)
    assert _less(other["csim"], values(clip.frames, clip)["csim"])


def test_a_clip_that_others_drive_has_no_truth_to_be_held_against(clip: PictureClip) -> None:
    driven = replace(clip, has_truth=False)
    found = {row.metric: row for row in score_video(clip.frames, driven)}
    without = {name for name, row in found.items() if row.reason is not None and row.reason.startswith("driven by")}
    assert without >= {"psnr", "ssim", "lmd_px"} and found["cpbd"].value is not None
    assert {(method, pose) for method, pose, _ in drawn(driven, {"m": clip.motion})} == {("m", Pose.GENERATED)}


def test_of_a_rig_nobody_is_recognised(clip: PictureClip, renderers: Renderers) -> None:
    frames = renderers.frames(Renderer.RIG, clip.motion)
    on_rig = replace(clip, frames=frames, crops=frames, track=whole_frames(frames), is_person=False)
    names = {row.metric for row in score_video(frames, on_rig)}
    assert names == set(UNITS) - {
        "picture_blinks_per_minute",
        "csim",
        "same_person",
        "emotion_fan_accuracy",
        "face_api_emotion_accuracy",
        "fer_emotion_accuracy",
    }


def test_a_finished_video_is_scored_as_ours_are_and_a_broken_one_has_rows_that_say_so(
    clip: PictureClip, tmp_path: Path
) -> None:
    good, broken = tmp_path / "good.mp4", tmp_path / "broken.mp4"
    large = [cv2.resize(frame, (512, 512), interpolation=cv2.INTER_CUBIC) for frame in clip.frames]
    write_video(good, [np.asarray(frame, np.uint8) for frame in large], 25, None, crf=1)
    broken.write_bytes(b"no video")
    rows = list(ScoredVideos(clip, 1).of_others({"one": str(good), "two": str(broken)}))
    found = {(row["method"], row["metric"]): row for row in rows}
    assert {(row["renderer"], row["pose"]) for row in rows} == {("external", "none")}
    assert found["one", "lmd_px"]["value"] < 0.5 and found["one", "psnr"]["value"] > 30
    assert found["one", "cpbd_512"]["value"] is not None and found["one", "cpbd"]["size"] == 256
    assert {row["value"] for row in rows if row["method"] == "two"} == {None}
    assert "broken.mp4" in found["two", "psnr"]["reason"]


def test_a_clip_that_cannot_be_judged_has_all_its_rows() -> None:
    rows = nothing_scored("no face")
    assert {row.metric for row in rows} == set(UNITS) and {row.reason for row in rows} == {"no face"}


# --- FID, a distance of sets ------------------------------------------------------------------------------------------


class Means:
    """In place of Inception: the mean colours of eight bands of a picture, repeated to 2048 numbers."""

    def features(self, frames: Frames) -> NDArray[np.float64]:
        bands = frames.reshape(len(frames), 8, -1, 3).mean(axis=2).reshape(len(frames), -1)
        return np.tile(bands, (1, 86))[:, :2048]


def test_fid_is_over_all_frames_of_a_corpus_against_the_recordings(
    clip: PictureClip, renderers: Renderers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge("means", Means())
    monkeypatch.setattr("magictalk_core.evaluation.pictures.fid.inception", lambda: judge)
    truth, made = ("ground_truth", Renderer.RECORDED, Pose.TRUTH), ("m", Renderer.PORTRAIT, Pose.GENERATED)
    darker = (clip.frames * 0.7).astype(np.uint8)
    files = {}
    for name, frames in (("c/s/1", clip.frames), ("c/s/2", darker)):
        seen = ClipFeatures()
        seen.add(truth, clip.frames, clip, 1)
        seen.add(made, np.concatenate([frames, frames]), clip, 1)
        files[name] = tmp_path / f"{name[-1]}.npz"
        seen.save(files[name])
    rows = {row["method"]: row for row in fid_rows(files)}
    assert {row["clip_id"] for row in rows.values()} == {"c/*"} and rows["m"]["weights"] == "means"
    assert rows["ground_truth"]["value"] == pytest.approx(0, abs=1e-6)
    real = np.concatenate([Means().features(clip.crops)] * 2)
    dark = Means().features(crops_of(darker, clip.track.boxes()))
    assert rows["m"]["value"] == pytest.approx(fid(real, np.concatenate([real[:FRAMES], dark])), rel=1e-3)
    assert rows["m"]["crop"] == f"face track of the recording; {2 * FRAMES} frames of 2 clips"


def test_fid_without_its_weights_says_what_to_fetch(clip: PictureClip, tmp_path: Path) -> None:
    seen = ClipFeatures()
    seen.add(("m", Renderer.RIG, Pose.TRUTH), clip.frames, clip, 1)
    seen.save(tmp_path / "1.npz")
    (row,) = fid_rows({"c/s/1": tmp_path / "1.npz"})
    assert row["value"] is None and "magictalk weights fetch pt_inception-2015-12-05-6726825d.pth" in row["reason"]
    assert row["crop"].startswith("whole frame, against the rig")
