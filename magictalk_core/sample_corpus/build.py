"""Building the sample corpus on disk in MEAD's layout, with the true curves beside it.

::

    <root>/<ACTOR>/video/front/<emotion>/level_<k>/<NNN>.mp4    30 fps, with sound (one actor has `1` for `video`)
    <root>/<ACTOR>/audio/<emotion>/level_<k>/<NNN>.m4a
    <root>/truth/curves.parquet                                  25 fps, keyed by the path of the video
    <root>/truth/phonemes.parquet                                what is said when, keyed likewise

A clip that is there is not made again; an interrupted build goes on. Clips of another release are replaced.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection
from importlib import resources
from pathlib import Path

import ffmpeg
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from magictalk_core.corpora.sample.phonemes import phonemes_file
from magictalk_core.corpora.sample.true_curves import true_curves_file
from magictalk_core.errors import PermanentError
from magictalk_core.preparation.preload import PRELOAD
from magictalk_core.sample_corpus.curves import Utterance, motion_curves
from magictalk_core.storage.atomic import atomic_path, write_text
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.work.isolation import Crash, map_isolated

__all__ = ["SAMPLE_VERSION", "build_sample_corpus", "utterances"]

SAMPLE_VERSION = "5"
_PRELOAD = (*PRELOAD, "magictalk_core.sample_corpus.build", "magictalk_core.portrait.animator", "moderngl")
VIDEO_FPS = 30
_IRREGULAR_ACTOR = "W902"


def utterances() -> list[Utterance]:
    """The shipped utterances, sorted by key."""
    folder = resources.files("magictalk_core.sample_corpus").joinpath("speech")
    values = json.loads(folder.joinpath("utterances.json").read_text(encoding="utf-8"))
    return [Utterance.read(key, values[key]) for key in sorted(values)]


def video_path(utterance: Utterance) -> str:
    """Where the clip lies below the root."""
    folder = "1" if utterance.speaker == _IRREGULAR_ACTOR else "video"
    return f"{utterance.speaker}/{folder}/front/{utterance.emotion}/level_{utterance.level}/{utterance.take:03d}.mp4"


def _audio_path(utterance: Utterance) -> str:
    return f"{utterance.speaker}/audio/{utterance.emotion}/level_{utterance.level}/{utterance.take:03d}.m4a"


def build_sample_corpus(
    root: Path,
    *,
    workers: int = 2,
    progress: Callable[[int, int, str], None] | None = None,
    only: Collection[str] | None = None,
) -> None:
    """Make the 60 clips and their truth below `root`; `progress(done, total, path)` after every clip.

    `only`: the keys of a few utterances. Such a corpus counts as unfinished: a later call without it goes on.
    """
    version = root / "VERSION"
    found = version.read_text(encoding="utf-8").split() if version.is_file() else []
    # A corpus of a release that left no phonemes is finished but for them.
    if found == [SAMPLE_VERSION] and phonemes_file(root).is_file():
        return
    everything = [u for u in utterances() if only is None or u.key in only]
    if found[:1] != [SAMPLE_VERSION]:
        # Clips of another release would not fit the truth of this one.
        for speaker in {u.speaker for u in utterances()}:
            shutil.rmtree(root / speaker, ignore_errors=True)
        write_text(version, f"{SAMPLE_VERSION} unfinished")
    todo = [u for u in everything if not (root / video_path(u)).is_file() or not (root / _audio_path(u)).is_file()]
    done = len(everything) - len(todo)
    tasks = [(str(root), u.key) for u in todo]
    for index, outcome in map_isolated(render_clip, tasks, workers=workers, timeout_s=300.0, preload=_PRELOAD):
        if isinstance(outcome, Crash):
            raise PermanentError(f"sample clip {todo[index].key}: {outcome.kind}: {outcome.detail}")
        done += 1
        if progress:
            progress(done, len(everything), video_path(todo[index]))
    _write_truth(root, everything)
    readme = resources.files("magictalk_core.sample_corpus").joinpath("README.md").read_text(encoding="utf-8")
    write_text(root / "README.md", readme)
    if only is None:
        write_text(version, SAMPLE_VERSION)


def render_clip(root: str, key: str) -> None:
    """Render one clip; runs in a child process, which owns its GL context."""
    from magictalk_core.media.decode import read_audio
    from magictalk_core.media.encode import write_video
    from magictalk_core.portrait.animator import PortraitAnimator
    from magictalk_core.rig.builtin import builtin_rig
    from magictalk_core.sample_corpus.portraits import PORTRAIT_SIZE, speaker_portrait

    utterance = next(u for u in utterances() if u.key == key)
    speech = resources.files("magictalk_core.sample_corpus").joinpath(f"speech/{key}.ogg")
    with resources.as_file(speech) as file:
        samples = read_audio(file)
    video, audio = Path(root) / video_path(utterance), Path(root) / _audio_path(utterance)
    times = np.arange(round(utterance.duration_s * VIDEO_FPS)) / VIDEO_FPS
    portrait, landmarks = speaker_portrait(utterance.speaker)
    animator = PortraitAnimator(portrait, landmarks, builtin_rig(), PORTRAIT_SIZE, crop=False)
    try:
        frames = animator.render(motion_curves(utterance, times))
        write_video(video, frames, VIDEO_FPS, samples, crf=16)
    finally:
        animator.close()
    # The separate recording is the same sound in a file of its own, as in MEAD.
    with atomic_path(audio) as temporary:
        stream = ffmpeg.input(str(video)).audio.output(str(temporary), acodec="copy", fflags="+bitexact")
        stream.run(quiet=True, overwrite_output=True)


def _write_truth(root: Path, everything: list[Utterance]) -> None:
    tables = []
    for utterance in everything:
        times = np.arange(round(utterance.duration_s * FRAME_RATE)) / FRAME_RATE
        table = pd.DataFrame(motion_curves(utterance, times), columns=list(MOTION_NAMES))
        table.insert(0, "path", video_path(utterance))
        table.insert(1, "frame_index", np.arange(len(times), dtype=np.int32))
        tables.append(table)
    _write_table(pd.concat(tables), true_curves_file(root))
    rows = [
        (video_path(utterance), symbol, start_ms / 1000, end_ms / 1000)
        for utterance in everything
        for symbol, start_ms, end_ms in utterance.phonemes
    ]
    _write_table(pd.DataFrame(rows, columns=["path", "symbol", "start_s", "end_s"]), phonemes_file(root))


def _write_table(rows: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), temporary)
