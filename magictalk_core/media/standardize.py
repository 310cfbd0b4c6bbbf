"""One raw clip in, one standardized clip out: constant rate, fixed square crop, mono audio, and a row of scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.config import MediaConfig
from magictalk_core.media.audio import fit_length, loudest_dbfs, write_wav
from magictalk_core.media.clip_file import write_clip
from magictalk_core.media.container import MediaError, to_rgb
from magictalk_core.media.crop import CropBox, Window, face_crop, window_crop
from magictalk_core.media.following import PROBE_EVERY, Detector, main_person
from magictalk_core.media.picture import ScaledBox
from magictalk_core.media.probe import MediaProbe, probe
from magictalk_core.media.scan import Cut, Scan, cropped_frames, scan_clip
from magictalk_core.media.scores import face_scores, frozen_share
from magictalk_core.media.signature import signature
from magictalk_core.media.sound import read_sound
from magictalk_core.media.visibility import FaceViewer, visibility_scores
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.schema import MEDIA
from magictalk_core.vocabulary.clips import Reason, Status
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = ["STANDARDIZE_VERSION", "standardize_clip"]

STANDARDIZE_VERSION = "5"

_SIGNED_FRAMES = 17
_VIEWED_FRAMES = 15


def standardize_clip(
    video: Path,
    audio: Path | None,
    start_s: float | None,
    end_s: float | None,
    out_dir: Path,
    name: str,
    config: MediaConfig,
    open_detector: Callable[[], Detector],
    window: Window | None = None,
    open_viewer: Callable[[], FaceViewer] | None = None,
) -> dict[str, Any]:
    """Write `<name>.mp4` (25 fps, config.size square, sound inside) and `<name>.wav` to `out_dir`.

    The crop is the square around `window`, the corpus's own, or around the speaker's face, found by the detector that
    `open_detector` gives. The sound inside `video` is preferred over the file `audio`. `open_viewer` gives what says
    how much of the face can be seen; without it those scores are None.

    Returns the MEDIA row without `clip_id`; its paths are file names. A file that cannot be used gives status
    `rejected` with reason and detail, never an exception; without sound the video is still written. The detail of a
    clip that is `ok` says what is unusual about how its file was read. All else is a score, and `preparation.gates`
    decides. Same input, same bytes. What is not the clip's fault (a full disk, no memory, no weights) is raised.
    """
    row: dict[str, Any] = {column: None for column in MEDIA.names if column != "clip_id"}
    row["status"] = str(Status.OK)
    cut = Cut(video, start_s, end_s, FRAME_RATE, config.max_side_px, window)
    remarks: list[str] = []
    try:
        facts = _accepted_probe(cut, row)
        remarks += facts.remarks
        sound, problem = _sound(video if facts.has_audio else audio, cut, row, remarks)
        own_samples = 0.0 if sound is None or not facts.has_audio else len(sound)
        scan, crop = _scan(cut, open_detector(), own_samples, config, row)
        shown = _write(cut, scan, crop, sound, out_dir / name, config, row)
        if open_viewer is not None:
            views = list(map(open_viewer(), shown))
            speaker = main_person(scan.sightings)
            is_there = [speaker[at // PROBE_EVERY] is not None for at in sorted(_spread(scan.n_frames, _VIEWED_FRAMES))]
            row.update(visibility_scores(views, is_there, crop, config.size, scan.width, scan.height))
    except MediaError as error:
        problem = error
    row["detail"] = "; ".join(dict.fromkeys(remarks)) or None
    if problem is not None:
        row.update(status=str(Status.REJECTED), reason=str(problem.reason), detail=str(problem))
    return row


def _accepted_probe(cut: Cut, row: dict[str, Any]) -> MediaProbe:
    """The header facts, put into `row`; raises `MediaError` where they already decide."""
    facts = probe(cut.path, cut.max_side)
    row["native_rate"] = facts.sample_rate
    if not facts.has_video:
        raise MediaError(Reason.NO_VIDEO, "the file has sound but no video stream")
    row.update(native_fps=facts.fps, native_width=facts.width, native_height=facts.height)
    if facts.has_audio:
        row["audio_offset_s"] = facts.audio_offset_s
    return facts


def _sound(
    path: Path | None, cut: Cut, row: dict[str, Any], remarks: list[str]
) -> tuple[NDArray[np.float32] | None, MediaError | None]:
    """The samples of the clip, and what is wrong with them; adds to `remarks`."""
    if path is None:
        return None, MediaError(Reason.NO_AUDIO, "no audio stream in the video and no separate audio file")
    try:
        sound = read_sound(path, SAMPLE_RATE, cut.start_s, cut.end_s)
    except MediaError as error:
        return None, MediaError(Reason.NO_AUDIO, str(error))
    remarks += sound.remarks
    row["loudest_dbfs"] = loudest_dbfs(sound.samples, SAMPLE_RATE)
    return sound.samples, None


def _scan(
    cut: Cut, detector: Detector, own_samples: float, config: MediaConfig, row: dict[str, Any]
) -> tuple[Scan, CropBox]:
    """Frames and crop of the clip; fills in what they say about it."""
    scan = scan_clip(cut, detector, own_samples / SAMPLE_RATE, round(config.max_decoded_s * FRAME_RATE))
    row.update(n_frames=scan.n_frames, duration_s=scan.n_frames / FRAME_RATE)
    row["turned_deg"] = scan.turned_deg
    if scan.turned_deg % 180:
        row.update(native_width=row["native_height"], native_height=row["native_width"])
    speaker = main_person(scan.sightings)
    faces = [box for box in speaker if box is not None]
    if not faces:
        where = "" if cut.window is None else " in the listed window"
        raise MediaError(Reason.NO_FACE, f"no face{where} in any of {len(scan.sightings)} probed frames")
    if cut.window is None:
        crop = face_crop(faces, scan.width, scan.height, config.crop_scale)
    else:
        crop = window_crop(cut.window, scan.width, scan.height)
    row.update(crop_x=crop.x, crop_y=crop.y, crop_size=crop.size)
    row.update(scan.shots.scores(crop, scan.width, scan.height, scan.turned_deg))
    row.update(face_scores(speaker, scan.sightings, crop))
    row["frozen_share"] = frozen_share(scan.grays, _region(faces, scan))
    return scan, crop


def _region(faces: Sequence[ScaledBox], scan: Scan) -> tuple[int, int, int, int]:
    """The union of the faces in pixels of the small luma pictures."""
    left, top = min(b.x for b in faces), min(b.y for b in faces)
    right, bottom = max(b.x + b.width for b in faces), max(b.y + b.height for b in faces)
    x0, y0, x1, y1 = (round(v / scan.gray_scale) for v in (left, top, right, bottom))
    height, width = scan.grays[0].shape
    x0, y0 = min(max(0, x0), width - 1), min(max(0, y0), height - 1)
    return x0, y0, max(x0 + 1, min(x1, width)), max(y0 + 1, min(y1, height))


class _Shown:
    """Passes frames through and keeps those that the signature and the viewer look at."""

    def __init__(self, frames: Iterator[Any], count: int) -> None:
        self._frames = frames
        self._signed, self._viewed = (_spread(count, n) for n in (_SIGNED_FRAMES, _VIEWED_FRAMES))
        self.lumas: list[NDArray[np.uint8]] = []
        self.pictures: list[NDArray[np.uint8]] = []

    def __iter__(self) -> Iterator[Any]:
        for index, frame in enumerate(self._frames):
            if index in self._signed:
                self.lumas.append(frame.to_ndarray()[: frame.height])
            if index in self._viewed:
                self.pictures.append(to_rgb(frame))
            yield frame


def _spread(count: int, chosen: int) -> set[int]:
    """So many indexes of `count`, evenly from the first to the last."""
    return set(np.linspace(0, count - 1, chosen).round().astype(int).tolist())


def _write(
    cut: Cut,
    scan: Scan,
    crop: CropBox,
    sound: NDArray[np.float32] | None,
    stem: Path,
    config: MediaConfig,
    row: dict[str, Any],
) -> Sequence[NDArray[np.uint8]]:
    """Encode video and sound, both exactly as long as the frames; gives some of the frames, RGB."""
    samples = None
    # The name may hold dots of its own, so no `with_suffix`.
    wave, target = stem.with_name(f"{stem.name}.wav"), stem.with_name(f"{stem.name}.mp4")
    frames = _Shown(cropped_frames(cut, scan, crop, config.size), scan.n_frames)
    if sound is not None:
        length = round(scan.n_frames * SAMPLE_RATE / FRAME_RATE)
        excess = (len(sound) - length) / SAMPLE_RATE
        if cut.start_s is None and cut.end_s is None:
            # Lengths are compared, not ends: a sound that starts late and is as long as its picture ends late.
            excess -= row["audio_offset_s"] or 0.0
        else:
            # Sound beyond a cut is just the rest of the recording.
            excess = min(0.0, excess)
        row["audio_excess_s"] = round(excess, 6)
        samples = fit_length(sound, length)
    write_clip(target, frames, FRAME_RATE, config.size, config.crf, samples, SAMPLE_RATE)
    row["signature"] = signature(samples, SAMPLE_RATE, frames.lumas)
    if samples is not None:
        write_wav(wave, samples, SAMPLE_RATE)
        row.update(audio_path=wave.name, audio_md5=file_md5(wave))
    row.update(video_path=target.name, video_md5=file_md5(target))
    return frames.pictures
