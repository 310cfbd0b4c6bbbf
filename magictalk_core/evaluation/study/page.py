"""The study as one static page: what people see, without a word on which method is which."""

from __future__ import annotations

import json
from importlib import resources

from magictalk_core.evaluation.study.definition import QUESTIONS, Study

__all__ = ["page_html"]

_PLACE = "@STUDY@"


def page_html(study: Study) -> str:
    """`index.html`: beside it lie `videos/<blind name>.mp4` and `references/`."""
    trials = [
        {
            "id": trial.id,
            "emotion": trial.emotion,
            "reference": trial.reference,
            "a": trial.a,
            "b": trial.b,
            "always": trial.kind != "pair",
            "say": {"left": "Left", "right": "Right"}[str(trial.expected)] if trial.kind == "instructed" else None,
        }
        for trial in study.trials
    ]
    data = {"study": study.id, "pairs_each": study.pairs_each, "questions": QUESTIONS, "trials": trials}
    template = resources.files("magictalk_core.evaluation.study").joinpath("page.html").read_text(encoding="utf-8")
    # No text of a label may end the script element.
    return template.replace(_PLACE, json.dumps(data).replace("<", "\\u003c"))
