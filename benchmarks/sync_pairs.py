"""The lip-sync expert on strangers: every pair of clips is judged by an expert that was trained on all the others.

    magictalk corpus add real --kind folder --root ../shared/samples/clips
    MAGICTALK_WEIGHTS=../shared/weights magictalk run --select "+real/manifest"
    python benchmarks/sync_pairs.py --corpus real [--also sample] [--threshold 0.2] [--home data] [--preset sample]
                                    [--workers 2] [--folds 0]

Of each pair both faces are scored with their own speech and with that of the other clip, cut to the same length. Own
speech should win: a lower distance, a higher confidence. Then the sync gate judges both clips as they are and with the
mouth moved by +-10 frames, below `--threshold` as strangers: an expert that learned from all other clips has no
validation clips to choose it from. Clips are taken as they come, their splits do not count, and nothing of a pair is
seen in its training, the normalisation included. The corpora of `--also` join every training as they are. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from magictalk_core.config import SyncGateConfig
from magictalk_core.evaluation.sync_scores import HeldOutClip, expert_quality
from magictalk_core.models.sync_expert.family import SYNC_EXPERT
from magictalk_core.models.sync_expert.judge import open_judge
from magictalk_core.models.sync_expert.model import SyncExpertModel
from magictalk_core.models.sync_expert.offsets import MAX_OFFSET, distances_by_offset, scores_of
from magictalk_core.preparation.reader import ClipData, CorpusReader, usable_clips
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.assemble import corpus_tables
from magictalk_core.training_set.build import Excluded, build_training_set
from magictalk_core.training_set.gaps import longest_measured
from magictalk_core.training_set.shard_clips import CorpusTables
from magictalk_core.training_set.sync_gate import ClipSync, SyncGate
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.workspace import Workspace

MOVED = 10
"""Frames."""
SCORES = ("distance at the best shift", "confidence", "distance unshifted")


@dataclass(frozen=True)
class Judged:
    """One clip of a pair. own, strange: SCORES, signed so that more is better; verdicts by frames moved."""

    clip_id: str
    own: tuple[float, ...]
    strange: tuple[float, ...]
    verdicts: dict[int, ClipSync]
    accuracy: float


def measured(clip: ClipData) -> ClipData:
    """Without lost frames, as the sync scores take a clip."""
    seen = np.isfinite(clip.motion).any(axis=0)  # not a channel that the tracker is blind to
    part = longest_measured(clip.motion[:, seen])
    return ClipData(clip.clip_id, clip.motion[part], clip.speech[part], clip.feature_id, clip.tracker)


def scores(expert: SyncExpertModel, face: ClipData, voice: ClipData, length: int) -> tuple[float, ...]:
    normal = expert.normal_motion(face.motion[:length], MOTION_NAMES)
    moved, heard = expert.embed(normal, expert.folder.normal_speech(voice.speech[:length]))
    distances = distances_by_offset(moved, heard)
    found = scores_of(distances)
    return -found.sync_expert_distance, found.sync_expert_confidence, -distances[0]


def verdicts(gate: SyncGate, clip: ClipData) -> dict[int, ClipSync]:
    """With the mouth late by 0, 10 and -10 frames."""
    late, early = slice(MOVED, None), slice(None, -MOVED)
    cases = {0: (slice(None), slice(None)), MOVED: (early, late), -MOVED: (late, early)}
    return {n: gate(clip.motion[a], clip.speech[b], clip.feature_id) for n, (a, b) in cases.items()}


def judged(gate: SyncGate, expert: SyncExpertModel, clip: ClipData, other: ClipData) -> Judged:
    length = min(len(clip.motion), len(other.motion))
    own, strange = (scores(expert, clip, voice, length) for voice in (clip, other))
    accuracy = expert_quality(expert, [HeldOutClip(clip.motion, clip.speech)]).accuracy
    return Judged(clip.clip_id, own, strange, verdicts(gate, clip), accuracy)


def judge_pair(
    pair: tuple[str, str],
    home: Path,
    corpus: str,
    preset: Preset,
    also: Sequence[str] = (),
    threshold: float = 0.0,
) -> tuple[Judged, Judged]:
    """Train on all clips but two and judge these."""
    workspace = Workspace(home)
    reader = CorpusReader(workspace, corpus)
    first, second = (measured(reader.clip(clip_id)) for clip_id in pair)
    with tempfile.TemporaryDirectory() as folder:
        out, tables = Path(folder), corpus_tables(workspace, corpus)
        clips = read_frame(CLIPS, tables.clips)
        write_table(CLIPS, clips.assign(split="train"), out / "clips.parquet")
        everyone = {name: corpus_tables(workspace, name) for name in also}
        everyone[corpus] = CorpusTables(out / "clips.parquet", tables.frames, tables.speech, tables.digest)
        excluded = {clip: Excluded(clip, "copy", "judged, not learned from") for clip in pair}
        build_training_set(everyone, preset.training_set, preset.speech.feature, out / "set", excluded)
        trained = train(SYNC_EXPERT, preset, out / "set", out / "sync_expert", MemoryTracker())
        gate = SyncGate.open(
            SyncGateConfig(expert=str(trained.path), action="correct", threshold=threshold), open_judge
        )
        expert = SyncExpertModel.load(trained.path)
        return judged(gate, expert, first, second), judged(gate, expert, second, first)


def summary(pairs: Sequence[tuple[Judged, Judged]]) -> str:
    each = [clip for pair in pairs for clip in pair]
    lines = [f"{len(pairs)} pairs, {len({c.clip_id for c in each})} clips, {len(each)} comparisons", ""]
    lines += ["| own speech above the other's, by | faces | pairs, both faces added |", "| --- | --- | --- |"]
    for i, name in enumerate(SCORES):
        faces = np.mean([c.own[i] > c.strange[i] for c in each])
        both = np.mean([a.own[i] + b.own[i] > a.strange[i] + b.strange[i] for a, b in pairs])
        lines.append(f"| {name} | {faces:.1%} | {both:.1%} |")
    lines += ["", f"windows of a clip told right, 2-way: {np.mean([c.accuracy for c in each]):.1%}", ""]
    lines += ["| mouth moved by | matched | shifted | mismatch | moved back within 1 frame of the clip's own offset |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for n in (0, MOVED, -MOVED):
        count = Counter(c.verdicts[n].verdict for c in each)
        back = np.mean([abs(offset(c, n) - offset(c, 0) - n) <= 1 for c in each])
        shares = " | ".join(f"{count[verdict] / len(each):.1%}" for verdict in ("matched", "shifted", "mismatch"))
        lines.append(f"| {n:+d} | {shares} | {back:.1%} |" if n else f"| 0 | {shares} | |")
    return "\n".join(lines)


def offset(clip: Judged, moved: int) -> int:
    found = clip.verdicts[moved].offset
    return found if found is not None else 10_000


def per_clip(pairs: Sequence[tuple[Judged, Judged]]) -> str:
    lines = [
        "| clip | median offset, frames | distance | confidence | own above other's, by distance | windows right |"
    ]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    each = sorted((c for pair in pairs for c in pair), key=lambda c: c.clip_id)
    for clip_id, group in itertools.groupby(each, key=lambda c: c.clip_id):
        clips = list(group)
        middle = np.median([[offset(c, 0), -c.own[0], c.own[1]] for c in clips], axis=0)
        won, right = sum(c.own[0] > c.strange[0] for c in clips), np.mean([c.accuracy for c in clips])
        numbers = f"{middle[0]:+.0f} | {middle[1]:.3f} | {middle[2]:.3f}"
        lines.append(f"| {clip_id} | {numbers} | {won} of {len(clips)} | {right:.1%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("data"))
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--also", nargs="*", default=[], help="further corpora to train on")
    parser.add_argument("--threshold", type=float, default=0.0, help="of the gate")
    parser.add_argument("--preset", default="sample")
    parser.add_argument("--workers", type=int, default=2, help="trainings side by side, of one thread each")
    parser.add_argument("--folds", type=int, default=0, help="pairs to take, spread evenly over all; 0: all")
    arguments = parser.parse_args()
    preset = load_preset(arguments.preset)
    training = preset.sync_expert.training.model_copy(update={"threads": 1, "device": "cpu"})
    preset = preset.model_copy(update={"sync_expert": preset.sync_expert.model_copy(update={"training": training})})
    clips = usable_clips(CorpusReader(Workspace(arguments.home), arguments.corpus))
    least = preset.sync_expert.network.frames + 2 * MAX_OFFSET + MOVED
    long = clips[clips["duration_s"] * FRAME_RATE >= least]
    if len(long) < 3:
        parser.error(
            f"corpus {arguments.corpus}: expected 3 accepted clips of at least {least} frames, found {len(long)}"
        )
    print(f"{len(clips) - len(long)} clips of less than {least} frames are not judged, only learned from\n")
    pairs = list(itertools.combinations(long["clip_id"], 2))
    if arguments.folds:
        pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, arguments.folds).astype(int)]
    also, limit = tuple(arguments.also), arguments.threshold
    work = partial(judge_pair, home=arguments.home, corpus=arguments.corpus, preset=preset, also=also, threshold=limit)
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(work, pairs))
    print(f"{summary(found)}\n\n{per_clip(found)}")


if __name__ == "__main__":
    main()
