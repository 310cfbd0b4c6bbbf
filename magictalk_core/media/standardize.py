"""One raw clip in, one standardized clip out: constant rate, fixed square face crop, mono audio, and a row of facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.config import MediaConfig
from magictalk_core.corpora.records import Reason, Status
from magictalk_core.lineage.hashes import file_md5
from magictalk_core.media.audio import fit_length, loudest_dbfs, write_wav
from magictalk_core.media.clip_file import write_clip
from magictalk_core.media.container import MediaError
from magictalk_core.media.crop import CropBox, face_crop, follow_speaker
from magictalk_core.media.decode import read_audio
from magictalk_core.media.probe import MediaProbe, check_length, probe
from magictalk_core.media.scan import Cut, Scan, cropped_frames, scan_clip
from magictalk_core.tables.schema import MEDIA

__all__ = ["STANDARDIZE_VERSION", "standardize_clip"]

STANDARDIZE_VERSION = "1"


def standardize_clip(
    video: Path,
    audio: Path | None,
    start_s: float | None,
    end_s: float | None,
    out_dir: Path,
    name: str,
    config: MediaConfig,
) -> dict[str, Any]:
    """Write `<name>.mp4` (config.fps, config.size square, sound inside) and `<name>.wav` to `out_dir`.

    Returns the MEDIA row without `clip_id`; its paths are file names. The sound inside `video` is preferred over the
    file `audio`. Bad input gives status `rejected` with reason and detail, never an exception: without sound the video
    is still written, silent clips are written whole, anything else leaves no file. Same input, same bytes. What is not
    the clip's fault (a full disk, no memory, no weights) is raised.
    """
    row: dict[str, Any] = {column: None for column in MEDIA.names if column != "clip_id"}
    row["status"] = str(Status.OK)
    cut = Cut(video, start_s, end_s, config.fps, config.max_side_px)
    try:
        facts = _accepted_probe(cut, config, row)
        sound, problem = _sound(video if facts.has_audio else audio, cut, config)
        scan, crop = _scan(cut, 0.0 if sound is None or not facts.has_audio else len(sound), config, row)
        _write(cut, scan, crop, sound, out_dir / name, config, row)
    except MediaError as error:
        problem = error
    if problem is not None:
        row.update(status=str(Status.REJECTED), reason=str(problem.reason), detail=str(problem))
    return row


def _accepted_probe(cut: Cut, config: MediaConfig, row: dict[str, Any]) -> MediaProbe:
    """The header facts, put into `row`; raises `MediaError` where they already decide."""
    facts = probe(cut.path, config.max_side_px)
    row["native_rate"] = facts.sample_rate
    if not facts.has_video:
        raise MediaError(Reason.NO_VIDEO, "the file has sound but no video stream")
    row.update(native_fps=facts.fps, native_width=facts.width, native_height=facts.height)
    check_length(facts.duration_s, cut.start_s, cut.end_s, config)
    return facts


def _sound(path: Path | None, cut: Cut, config: MediaConfig) -> tuple[NDArray[np.float32] | None, MediaError | None]:
    """The samples of the clip, and what is wrong with them."""
    if path is None:
        return None, MediaError(Reason.NO_AUDIO, "no audio stream in the video and no separate audio file")
    try:
        samples = read_audio(path, config.sample_rate, cut.start_s, cut.end_s)
    except MediaError as error:
        return None, MediaError(Reason.NO_AUDIO, str(error))
    level = loudest_dbfs(samples, config.sample_rate)
    if level < config.silent_dbfs:
        detail = f"loudest 100 ms at {level:.1f} dBFS, expected at least {config.silent_dbfs}"
        return samples, MediaError(Reason.SILENT, detail)
    return samples, None


def _scan(cut: Cut, own_samples: float, config: MediaConfig, row: dict[str, Any]) -> tuple[Scan, CropBox]:
    """Frames and crop of the clip; fills in what they say about it."""
    from magictalk_core.faces.detection import load_face_detector

    max_frames = round(config.max_duration_s * config.fps)
    scan = scan_clip(cut, load_face_detector(), own_samples / config.sample_rate, max_frames)
    duration = scan.n_frames / config.fps
    row.update(n_frames=scan.n_frames, duration_s=duration)
    check_length(duration, None, None, config)
    faces = [box for box in follow_speaker(scan.detections) if box is not None]
    if len(faces) < config.min_face_ratio * len(scan.detections) or not faces:
        detail = f"a face in {len(faces)} of {len(scan.detections)} probed frames, expected {config.min_face_ratio:.0%}"
        raise MediaError(Reason.NO_FACE, detail)
    crop = face_crop(faces, scan.width, scan.height, config.crop_scale)
    row.update(crop_x=crop.x, crop_y=crop.y, crop_size=crop.size)
    return scan, crop


def _write(
    cut: Cut,
    scan: Scan,
    crop: CropBox,
    sound: NDArray[np.float32] | None,
    stem: Path,
    config: MediaConfig,
    row: dict[str, Any],
) -> None:
    """Encode video and sound, both exactly as long as the frames."""
    samples = None
    # The name may hold dots of its own, so no `with_suffix`.
    wave, target = stem.with_name(f"{stem.name}.wav"), stem.with_name(f"{stem.name}.mp4")
    pictures = cropped_frames(cut, scan, crop, config.size)
    if sound is not None:
        samples = fit_length(sound, round(scan.n_frames * config.sample_rate / config.fps))
    write_clip(target, pictures, config.fps, config.size, config.crf, samples, config.sample_rate)
    if samples is not None:
        write_wav(wave, samples, config.sample_rate)
        row.update(audio_path=wave.name, audio_md5=file_md5(wave))
    row.update(video_path=target.name, video_md5=file_md5(target))
