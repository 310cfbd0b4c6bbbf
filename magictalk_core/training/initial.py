"""Where a training may begin: a finished model of its family, in place of weights drawn by chance.

What the weights mean must stay what it was, so everything is read in the scales of the model that is begun from, and
its network must be the one that the preset describes, field by field. Channels that the tracker at hand is blind to are
left out of it; a channel that it does not know cannot be learned from it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from magictalk_core.config import InitialisedTraining, StrictModel
from magictalk_core.errors import UserError
from magictalk_core.training.family import INIT, ModelFamily
from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["begun_from", "layout_differences", "must_match", "read_as_begun"]

_EMPTY = "leave it empty to begin from chance"


def begun_from(model: Path) -> str | None:
    """What the training of the model folder `model` began from, as its preset named it; None: chance."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    return config[INIT]["name"] if INIT in config else None


def layout_differences(ours: dict[str, Any], theirs: dict[str, Any], free: frozenset[str]) -> dict[str, Any]:
    """Settings of a network that differ, `free` ones aside: name -> the value of `theirs`."""
    names = sorted((ours.keys() | theirs.keys()) - free)
    return {name: theirs.get(name) for name in names if ours.get(name) != theirs.get(name)}


def must_match(family: ModelFamily, settings: Any, feature_id: str, window: int) -> Path | None:
    """The model that this training begins from, after it was compared with the preset; None where there is none.

    Raises `UserError` that names every field that differs, and what to set.
    """
    path = family.initial_of(settings)
    if path is None:
        return None
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    network: StrictModel = settings.network
    wrong = {
        f"{family.section}.network.{name}": value
        for name, value in layout_differences(
            network.model_dump(mode="json"), config["network"], family.free_of_layout
        ).items()
    }
    if config["feature_id"] != feature_id:
        wrong["speech.feature"] = config["feature_id"]
    if int(config["window"]) != window:
        wrong["training_set.window"] = int(config["window"])
    if wrong:
        training: InitialisedTraining = settings.training
        named = "; ".join(f"{name}: {json.dumps(value)}" for name, value in wrong.items())
        raise UserError(
            f"{family.section}.training.init: `{training.init}` ({path}) is another network than the preset describes: "
            f"set {named}, or take the preset `own_face`, or {_EMPTY}"
        )
    return path


def read_as_begun(data: TrainingSet, path: Path) -> TrainingSet:
    """`data` in the scales of the model at `path`, which is begun from. Raises `UserError` for a channel that the model
    does not know."""
    channels = json.loads((path / "channels.json").read_text(encoding="utf-8"))
    unknown = [name for name in data.channels if name not in channels]
    if unknown:
        raise UserError(
            f"{path}: the model that is begun from does not know {', '.join(unknown)}, which the training set has: "
            f"choose another in training.init, or {_EMPTY}"
        )
    numbers = json.loads((path / "normalizer.json").read_text(encoding="utf-8"))
    places = [channels.index(name) for name in data.channels]
    states = {name: [values[place] for place in places] for name, values in numbers["states"].items()}
    return replace(data, normalizer={**data.normalizer, "states": states, "features": numbers["features"]})
