"""`python -m magictalk_core.recipes.deepspeech_small --out DIR`: speak, train, judge, write weights."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from magictalk_core.recipes.deepspeech_small.run import RecipeSettings, run_recipe

__all__ = ["main"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m magictalk_core.recipes.deepspeech_small", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of shards, checkpoint, log and weights; resumed"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=0.0, help="train for so long")
    length.add_argument("--steps", type=int, default=0, help=f"train so many steps (default {RecipeSettings().steps})")
    parser.add_argument("--shards", type=int, default=RecipeSettings().shards, help="training shards to synthesize")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2, help="synthesis processes")
    parser.add_argument("--threads", type=int, default=2, help="training threads")
    given = parser.parse_args()
    steps = given.steps or (0 if given.minutes else RecipeSettings().steps)
    settings = RecipeSettings(seed=given.seed, shards=given.shards, steps=steps, minutes=given.minutes)
    figures = run_recipe(given.out, settings, processes=given.processes, threads=given.threads)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
