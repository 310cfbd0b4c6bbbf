"""The sample corpus once more, in the shapes of HDTF and of TalkingHead-1KH: lists, long videos, windows to cut.

::

    <root>/hdtf/HDTF_dataset/<S>_video_url.txt ...          the five lists per subset, with the real ones' traps
    <root>/hdtf/_videos_raw/<S>_<name>.mp4                  30 fps, 960x540, the lists speak of 720 lines
    <root>/talkinghead1kh/data_list/train_video_{ids,tubes}.txt
    <root>/talkinghead1kh/train/1min_clips/<id>_0000.mp4    25 fps; one with two people side by side

Only people of the training split take part, so nothing of the held-out speaker leaks into training by this way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.corpora.splits import rank_splits
from magictalk_core.media.decode import read_audio, read_frames
from magictalk_core.media.encode import write_video
from magictalk_core.sample_corpus.build import SAMPLE_VERSION, utterances, video_path
from magictalk_core.storage.atomic import write_text
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = ["build_listed_samples"]

_WIDTH, _HEIGHT = 960, 540
_SIDE, _TOP = 384, 78
_VERSION = f"1/{SAMPLE_VERSION}"

_HDTF_LISTS = {
    "RD_video_url": "Radio901 https://www.youtube.com/watch?v=magictalk_1&t=6s\n"
    "Radio902 https://www.youtube.com/watch?v=magictalk_2\n",
    "RD_annotion_time": "Radio901.mp4 00:00-00:04 00:04-00:08\n",
    "RD_resolution": "Radio901.mp4 720\nRadio902.mp4 720\n",
    "RD_crop_wh": "Radio901_0.mp4 80 512 104 512\nRadio901_1.mp4 80 512 104 512\n",
    "RD_crop_ratio": "Radio901_0.mp4 1.2\nRadio901_1.mp4 1.0\n",
    "WDA_video_url": "\ufeffSample-Speaker0 https://www.youtube.com/watch?v=-magictalk3",
    "WDA_annotion_time": "Sample-Speaker0.mp4 00:01-00:05 00:05-00:07 ",
    "WDA_resolution": "Sample-Speaker0.mp4 540\n",
    "WDA_crop_wh": "Sample-Speaker0_0.mp4 500 384 78 384\n",
    "WDA_crop_ratio": "Sample-Speaker0_0.mp4 1.2\n",
    "WRA_video_url": "AbsentSpeaker https://www.youtube.com/watch?v=magictalk_4\n",
    "WRA_annotion_time": "AbsentSpeaker.mp4 00:10-00:20\n",
    "WRA_resolution": "AbsentSpeaker.mp4 720\n",
    "WRA_crop_wh": "AbsentSpeaker_0.mp4 300 400 0 400\n",
    "WRA_crop_ratio": "AbsentSpeaker_0.mp4 1.2\n",
}

_TUBES = """\
-magictalk0_0000, 540, 960, 0, 99, 288, 78, 672, 462
-magictalk0_0000, 540, 960, 99, 180, 312, 78, 672, 462
-magictalk0_0000, 540, 960, 1497, 1525, 288, 78, 672, 462
magic_talk1_0000, 1080, 1920, 0, 60, 96, 156, 864, 924
magic_talk1_0000, 1080, 1920, 75, 140, 1056, 156, 1824, 924
"""
"""A tube with a non-square window, one outside its chunk, and two people of whom each talks in turn."""


@dataclass(frozen=True)
class _Take:
    """Frames (n, 384, 384, 3) at some rate, and 16 kHz samples of the same length."""

    frames: NDArray[np.uint8]
    samples: NDArray[np.float32]


def _take(sample: Path, speaker: str, numbers: Sequence[int], fps: int) -> _Take:
    """Clips of one speaker of the MEAD-shaped corpus, one after the other."""
    mine = [u for u in utterances() if u.speaker == speaker]
    frames, sounds = [], []
    for number in numbers:
        path = sample / video_path(mine[number])
        clip = np.stack(list(read_frames(path, fps)))
        sound = np.zeros(round(len(clip) * SAMPLE_RATE / fps), np.float32)
        found = read_audio(path, SAMPLE_RATE)[: len(sound)]
        sound[: len(found)] = found
        frames.append(clip)
        sounds.append(sound)
    return _Take(np.concatenate(frames), np.concatenate(sounds))


def _on_canvas(placed: Sequence[tuple[NDArray[np.uint8], int]]) -> Iterator[NDArray[np.uint8]]:
    """Wide pictures with every (frames, left) in its place; who is finished stays as in the last frame."""
    shade = np.linspace(70, 110, _WIDTH).astype(np.uint8)
    background = np.broadcast_to(shade[None, :, None], (_HEIGHT, _WIDTH, 3))
    for index in range(max(len(frames) for frames, _ in placed)):
        picture = background.copy()
        for frames, left in placed:
            picture[_TOP : _TOP + _SIDE, left : left + _SIDE] = frames[min(index, len(frames) - 1)]
        yield picture


def _build_hdtf(sample: Path, root: Path, speakers: Sequence[str]) -> None:
    for name, text in _HDTF_LISTS.items():
        write_text(root / "HDTF_dataset" / f"{name}.txt", text)
    for file, speaker, numbers, left in (
        ("RD_Radio901", speakers[0], (0, 3, 6, 9), 60),
        ("WDA_Sample-Speaker0", speakers[1], (1, 4, 7), 500),
    ):
        take = _take(sample, speaker, numbers, 30)
        write_video(root / "_videos_raw" / f"{file}.mp4", _on_canvas([(take.frames, left)]), 30, take.samples)


def _build_talkinghead(sample: Path, root: Path, speakers: Sequence[str]) -> None:
    write_text(root / "data_list" / "train_video_ids.txt", "-magictalk0\nmagic_talk1")
    write_text(root / "data_list" / "train_video_tubes.txt", _TUBES)
    chunks = root / "train" / "1min_clips"
    alone = _take(sample, speakers[2], (2, 5, 8), 25)
    write_video(chunks / "-magictalk0_0000.mp4", _on_canvas([(alone.frames, 288)]), 25, alone.samples)
    left, right = _take(sample, speakers[0], (1,), 25), _take(sample, speakers[1], (10,), 25)
    # The second person waits, still, until the first has spoken: the tubes cut what each one says.
    wait = 75
    waiting = np.concatenate([np.repeat(right.frames[:1], wait, axis=0), right.frames])
    sound = np.zeros(round(wait * SAMPLE_RATE / 25), np.float32)
    sound[: len(left.samples)] = left.samples[: len(sound)]
    pictures = _on_canvas([(left.frames, 48), (waiting, 528)])
    write_video(chunks / "magic_talk1_0000.mp4", pictures, 25, np.concatenate([sound, right.samples]))


def build_listed_samples(sample: Path, root: Path) -> dict[str, Path]:
    """Make both corpora below `root` from the MEAD-shaped one at `sample`; kind -> folder. What is there is kept."""
    folders = {"hdtf": root / "hdtf", "talkinghead1kh": root / "talkinghead1kh"}
    version = root / "LISTED_VERSION"
    if version.is_file() and version.read_text(encoding="utf-8") == _VERSION:
        return folders
    splits = rank_splits({u.speaker for u in utterances()})
    speakers = sorted(name for name, split in splits.items() if split == Split.TRAIN)
    _build_hdtf(sample, folders["hdtf"], speakers)
    _build_talkinghead(sample, folders["talkinghead1kh"], speakers)
    write_text(version, _VERSION)
    return folders
