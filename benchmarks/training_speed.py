"""How fast the model families train, by device and precision, on the training set of a workspace.

    magictalk run --select "training_set"
    python benchmarks/training_speed.py [--home data] [--preset paper] [--epochs 1]
                  [--runs cpu:fp32 cuda:fp32 cuda:bf16] [--families audio2bs sync_expert lip_residue]

Every training is new, in a folder of its own, from the first step to the saved model; the families that another one
needs come from the same run and must be named before it. With `--epochs 0` as many as the preset says. Prints Markdown;
of a lip-sync expert also how it does on the test clips of `--corpora`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from magictalk_core.config import FamilySettings
from magictalk_core.evaluation.sync_scores import HeldOutClip, expert_quality
from magictalk_core.models.families import family_named
from magictalk_core.models.sync_expert.model import SyncExpertModel
from magictalk_core.preparation.reader import CorpusReader, usable_clips
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.vocabulary.clips import Split
from magictalk_core.workspace import Workspace


def changed(preset: Preset, device: str, precision: str, epochs: int) -> Preset:
    """The preset with every training on that device; nothing else that a model depends on."""
    found = {}
    for name, section in preset:
        if isinstance(section, FamilySettings):
            update = {"device": device, "precision": precision, "epochs": epochs or section.training.epochs}
            found[name] = section.model_copy(update={"training": section.training.model_copy(update=update)})
    return preset.model_copy(update=found)


def quality(model: Path, workspace: Workspace, corpora: Sequence[str]) -> str:
    readers = [CorpusReader(workspace, corpus) for corpus in corpora]
    clips = [r.clip(clip_id) for r in readers for clip_id in usable_clips(r, Split.TEST)["clip_id"]]
    found = expert_quality(SyncExpertModel.load(model), [HeldOutClip(c.motion, c.speech) for c in clips])
    return f"{found.accuracy:.1%}, AUC {found.auc:.3f}, shifts {found.shifts_found:.1%}, {found.clips} clips"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("data"))
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--epochs", type=int, default=1, help="of every training; 0: the preset's")
    parser.add_argument("--runs", nargs="+", default=["cpu:fp32"], metavar="DEVICE:PRECISION")
    parser.add_argument("--families", nargs="+", default=["audio2bs", "sync_expert", "lip_residue"])
    parser.add_argument("--corpora", nargs="+", default=["sample"])
    arguments = parser.parse_args()
    workspace, preset = Workspace(arguments.home), load_preset(arguments.preset)
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"preset {arguments.preset}, torch {torch.__version__}, {card}\n")
    print("| family | on | steps | steps/s | rows/s | seconds | GPU MiB | held-out loss | test clips |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for run in arguments.runs:
        device, precision = run.split(":")
        settings = changed(preset, device, precision, arguments.epochs)
        with tempfile.TemporaryDirectory() as folder:
            for family in arguments.families:
                began = time.perf_counter()
                made = train(
                    family_named(family), settings, workspace.training_set, Path(folder) / family, MemoryTracker()
                )
                seconds = time.perf_counter() - began
                speed, memory = made.measured, made.measured.get("peak_gpu_memory_mib")
                judged = quality(made.path, workspace, arguments.corpora) if family == "sync_expert" else ""
                print(
                    f"| {family} | {run} | {made.metrics['steps']:.0f} | {speed['steps_per_s']:.1f} | "
                    f"{speed['samples_per_s']:.0f} | {seconds:.1f} | {'' if memory is None else f'{memory:.0f}'} | "
                    f"{made.metrics.get('val/loss', float('nan')):.4f} | {judged} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
