"""`python -m magictalk_core.recipes.base_voice --out DIR`: speak, choose, fit."""

from __future__ import annotations

import argparse
from pathlib import Path

from magictalk_core.recipes.base_voice.recordings import RecordingSettings
from magictalk_core.recipes.base_voice.run import READOUT_NAME, VoiceSettings, run_recipe

__all__ = ["main"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m magictalk_core.recipes.base_voice", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {READOUT_NAME} and figures.json")
    parser.add_argument("--sentences", type=int, default=RecordingSettings().sentences, help="of every speaker")
    parser.add_argument("--seed", type=int, default=RecordingSettings().seed, help="of sentences, voices and noise")
    given = parser.parse_args()
    recordings = RecordingSettings(seed=given.seed, sentences=given.sentences)
    choice = run_recipe(given.out, VoiceSettings(recordings=recordings))
    print(f"{given.out / READOUT_NAME}: {choice}")


if __name__ == "__main__":
    main()
