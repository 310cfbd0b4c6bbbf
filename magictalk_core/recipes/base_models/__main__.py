"""`python -m magictalk_core.recipes.base_models --out DIR`: speak, perform, train, measure, pack."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from magictalk_core.models.shipped.base import BASE
from magictalk_core.recipes.base_models.run import run_recipe
from magictalk_core.recipes.base_models.settings import BaseSettings
from magictalk_core.recipes.base_voice.recordings import RecordingSettings

__all__ = ["main"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m magictalk_core.recipes.base_models", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {BASE} and what it came from; resumed")
    parser.add_argument("--sentences", type=int, default=RecordingSettings().sentences, help="of every speaker")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = BaseSettings(RecordingSettings(sentences=given.sentences))
    print(json.dumps(run_recipe(given.out, settings), indent=1))


if __name__ == "__main__":
    main()
