"""The demo: the project's own sample corpora, registered in a workspace, and what to look at afterwards."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from magictalk_core.corpora.registry import add_corpus, list_corpora, new_entry
from magictalk_core.evaluation.stand_ins import NONE, described
from magictalk_core.sample_corpus.build import build_sample_corpus
from magictalk_core.sample_corpus.listed import build_listed_samples
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import SCORES
from magictalk_core.work.isolation import default_workers
from magictalk_core.workspace import Workspace

__all__ = ["demo_selection", "prepare_demo", "summarize_demo"]

logger = logging.getLogger("magictalk.demo")

CORPUS = "sample"
LICENCE = "CC0: public-domain portrait (NASA), synthetic speech"


def prepare_demo(workspace: Workspace) -> None:
    """Make the sample corpora, where they are not there yet, and register them: one in each shape that we read."""
    root = workspace.home / "raw" / CORPUS

    def show(done: int, total: int, name: str) -> None:
        if done == total or done % 10 == 0:
            logger.info("sample corpus: %d of %d clips", done, total)

    build_sample_corpus(root, workers=default_workers(), progress=show)
    add_corpus(workspace, new_entry(name=CORPUS, kind="sample", root=root, licence=LICENCE), replace=True)
    for kind, folder in build_listed_samples(root, workspace.home / "raw").items():
        name = f"{CORPUS}_{kind}"
        # Their recordings are takes of the sample corpus, joined and encoded again: they would count twice.
        options: dict[str, Any] = {"buckets": 1, "split": "train", "synthetic": True}
        entry = new_entry(name=name, kind=kind, root=folder, licence=LICENCE, training=False, **options)
        add_corpus(workspace, entry, replace=True)


def demo_selection(workspace: Workspace) -> str:
    """What the demo materializes: all but the ablations and the student, which take as long again."""
    cards = [f"{entry.name}/card" for entry in list_corpora(workspace)]
    return " ".join(["+report", "+arkit_dataset", *cards])


def summarize_demo(workspace: Workspace) -> str:
    """What stands where, the number that tells success, and the commands to look further."""
    # torch is loaded with it.
    from magictalk_core.evaluation.claims import clip_verdicts
    from magictalk_core.evaluation.comparison import read_comparisons

    scores = pd.read_csv(workspace.tables / "summary.csv")
    videos = [c.file for c in read_comparisons(workspace.videos / "comparison") if c.file is not None]
    chosen = scores[(scores["method"] == "magictalk") & scores["metric"].str.startswith("jaw_open_correlation")]
    verdicts = clip_verdicts(read_frame(SCORES, workspace.scores / "scores.parquet"))
    told = [one for one in verdicts if one.claim.check]
    numbers = [f"  {row.metric:<34} {row.mean:.3f}  (n = {row.n})" for row in chosen.itertuples()]
    return "\n".join(
        [
            "",
            "Done. The generated mouth against the speech of held-out clips (1 is perfect):",
            *numbers,
            *(f"  {one.sentence}" for one in told),
            f"  with stand-ins: {'; '.join(map(str, described(chosen['stand_ins']))) or NONE}",
            "",
            *(f"comparison video   {workspace.videos / 'comparison' / video}" for video in videos),
            f"report             {workspace.report / 'report.html'}",
            f"graph and runs     magictalk ui --home {workspace.home}",
            f"ablations          magictalk run --home {workspace.home}",
        ]
    )
