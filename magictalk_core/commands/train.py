"""`python -m magictalk_core.commands.train`: trains one model family; started by Dagster, it also reports there."""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import MagicTalkError, UserError
from magictalk_core.models.families import FAMILIES, family_named
from magictalk_core.presets.preset import load_preset
from magictalk_core.work.circumstances import in_dagster_run

__all__ = ["FAILED", "end_with_parent", "main"]

logger = logging.getLogger("magictalk.training")

FAILED = "training failed"
"""With the name of the class and the text behind it, how a training says why it failed; others read it in its log."""

EPILOG = """examples:
  python -m magictalk_core.commands.train --family emodiff --config sample --data data/training_set \\
      --out data/models/emodiff
  torchrun --nproc-per-node 4 -m magictalk_core.commands.train --family emodiff --config paper ...
"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m magictalk_core.commands.train",
        description="Train a model family. The same command again goes on from the last checkpoint.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--family", required=True, help=", ".join(FAMILIES))
    parser.add_argument("--config", required=True, help="preset name or YAML file")
    parser.add_argument("--data", required=True, type=Path, help="training set directory")
    parser.add_argument("--out", required=True, type=Path, help="directory of this family's runs")
    parser.add_argument("--tracking-uri", help="MLflow store, e.g. sqlite:///data/mlflow/mlflow.db; default: none")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="tag of the MLflow run")
    parser.add_argument("--log", type=Path, help="file that gets what is logged, too; default: none")
    return parser.parse_args()


@contextmanager
def _pipes() -> Iterator[Any]:
    """The Dagster Pipes session when this process was started by one and is rank 0, else None.

    With every rank reporting, the step fails with several materialization results.
    """
    if "DAGSTER_PIPES_CONTEXT" not in os.environ or os.environ.get("RANK", "0") != "0":
        yield None
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as session:
        yield session


class _Progress:
    """One line every few seconds."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, step: int, steps: int, loss: float, left: float) -> None:
        if time.monotonic() >= self._next or step == steps:
            self._next = time.monotonic() + 5.0
            logger.info("training: step %d of %d, loss %.4f, %.0f s left", step, steps, loss, left)


def end_with_parent() -> None:
    """Ask Linux to stop this process when the one that started it dies: an orphan would train on, unseen and locked."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG


def _render_sample(motion: NDArray[np.float32], path: Path, family: str, caption: str) -> None:
    # Imported here: OpenGL and FFmpeg, for trainings that ask for samples.
    from magictalk_core.evaluation.sample_video import render_sample

    render_sample(motion, path, family, caption)


def _plot_curves(curves: Path, picture: Path) -> None:
    # Imported here: Matplotlib, at the end of a training.
    from magictalk_core.report.plots import write_curve_plot

    write_curve_plot(curves, picture)


def _run(options: argparse.Namespace) -> None:
    from magictalk_core.training.run import train
    from magictalk_core.training.tracking import MemoryTracker, MlflowTracker

    tags = dict(tag.split("=", 1) for tag in options.tag)
    tracker = MlflowTracker(options.tracking_uri) if options.tracking_uri else MemoryTracker()
    began = time.monotonic()
    with _pipes() as pipes:
        if pipes is not None:
            end_with_parent()
        preset = load_preset(options.config)
        first = os.environ.get("RANK", "0") == "0"
        progress = _Progress() if first else lambda step, steps, loss, left: None
        family = family_named(options.family)
        with in_dagster_run(tags.get("dagster.run_id")):
            trained = train(
                family, preset, options.data, options.out, tracker, tags, progress, _render_sample, _plot_curves
            )
        if not first:
            return
        logger.info("model %s md5 %s", trained.path, trained.weights_md5)
        if pipes is not None:
            metadata = {"duration_s": time.monotonic() - began, **trained.facts()}
            pipes.report_asset_materialization(metadata=metadata, data_version=trained.weights_md5)


def _log_to(file: Path | None) -> None:
    """To the standard error, and to `file` from its beginning; of several processes the first alone."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None and os.environ.get("RANK", "0") == "0":
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(file, mode="w", encoding="utf-8"))
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers)


def main() -> int:
    options = _arguments()
    _log_to(options.log)
    try:
        _run(options)
    except MagicTalkError as error:
        logger.error("%s: %s: %s", FAILED, type(error).__name__, " ".join(str(error).split()))
        return 2 if isinstance(error, UserError) else 1
    except Exception as error:
        # Whoever waits for this process has its exit code only: the log says what it was.
        logger.exception("%s: %s: %s", FAILED, type(error).__name__, " ".join(str(error).split()))
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
