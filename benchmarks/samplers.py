"""EmoDiff's samplers and its few-step student on the test clips: how near the real motion, and how fast.

    magictalk run --select "generated models/emodiff_student"
    python benchmarks/samplers.py [--home data] [--seeds 3] [--device cpu]

Every sampler makes every test clip with every seed, all clips side by side, from the same noise. The Frechet distance
is between windows of 16 frames of generated and of real motion, mean over the seeds, with the range; real time factor:
seconds of work per second of motion, on the processor count that torch uses. Ratios are to DDPM with 500 steps.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from magictalk_core.evaluation.generate import test_clips, to_motion
from magictalk_core.evaluation.motion_judge import Judge
from magictalk_core.evaluation.trials import Trials, collect_trials
from magictalk_core.metrics.coefficients import channel_correlation
from magictalk_core.metrics.diversity import diversity
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.training.run import current_model
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.workspace import Workspace

SAMPLERS = {
    "DDPM 500": ("ddpm", 500),
    "code65 500": ("code65", 500),
    "DDIM 50": ("ddim", 50),
    "DPM-Solver++ 25": ("dpmpp", 25),
    "DPM-Solver++ 20": ("dpmpp", 20),
    "DPM-Solver++ 10": ("dpmpp", 10),
}


@dataclass(frozen=True)
class Found:
    frechet: list[float]
    diversity: float
    jaw: float
    rtf: float


def measure(model: EmoDiffModel, trials: Trials, judge: Judge, seeds: int) -> Found:
    made, seconds = [], []
    for seed in range(seeds):
        began = time.perf_counter()
        requests = [MotionRequest(r.speech, r.style, r.initial, seed) for r in trials.own]
        made.append(model.generate_many(requests))
        seconds.append(time.perf_counter() - began)
    length = sum(len(motion) for motion in made[0]) / FRAME_RATE
    spread = [diversity([clips[i] for clips in made]) for i in range(len(trials.own))]
    jaws = [
        channel_correlation(to_motion(truth, model.channels), to_motion(motion, model.channels), "jawOpen")
        for clips in made
        for truth, motion in zip(trials.real, clips, strict=True)
    ]
    correlations = [value for value in jaws if value is not None]
    distances = [judge.frechet_of("frechet_distance", clips) for clips in made]
    return Found(distances, float(np.mean(spread)), float(np.mean(correlations)), min(seconds) / length)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("data"))
    parser.add_argument("--corpora", nargs="+", default=["sample"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    workspace = Workspace(arguments.home)
    teacher, student = (
        EmoDiffModel.load(current_model(workspace.models(name)), arguments.device)
        for name in ("emodiff", "emodiff_student")
    )
    trials = collect_trials(workspace, test_clips(workspace, arguments.corpora, 0), teacher)
    judge = Judge.fit(trials, TrainingSet.open(workspace.training_set))
    models = {
        name: dataclasses.replace(
            teacher, sampling=teacher.sampling.model_copy(update={"sampler": sampler, "evaluations": steps})
        )
        for name, (sampler, steps) in SAMPLERS.items()
    }
    models[f"student {student.sampling.evaluations}"] = student
    print(f"{len(trials.own)} clips, {arguments.seeds} seeds, {torch.get_num_threads()} threads, {arguments.device}\n")
    print(
        "| sampler | Frechet distance (range) | to DDPM 500 | diversity | jaw r | real time factor | time to DDPM 500 |"
    )
    print("|---|---|---|---|---|---|---|")
    reference: Found | None = None
    for name, model in models.items():
        found = measure(model, trials, judge, arguments.seeds)
        reference = reference or found
        mean, base = float(np.mean(found.frechet)), float(np.mean(reference.frechet))
        print(
            f"| {name} | {mean:.2f} ({min(found.frechet):.2f}-{max(found.frechet):.2f}) | {mean / base - 1:+.1%} "
            f"| {found.diversity:.3f} | {found.jaw:.3f} | {found.rtf:.4f} | 1/{reference.rtf / found.rtf:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
