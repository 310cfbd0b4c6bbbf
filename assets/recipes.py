"""Models that this project ships, made again from nothing. Run by hand: nothing is downstream of them.

Their weights lie in the package; a recipe writes new ones beside them into the workspace and never replaces them.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

import json
import subprocess
import sys

import dagster as dg

from assets.keys import RECIPES
from assets.metadata import Timer, materialization
from assets.one_writer import one_writer
from assets.resources import Settings, Store
from assets.retries import retried_when_transient
from magictalk_core.errors import PermanentError

OWNERS = ["team:magictalk"]


@dg.asset(
    key=["recipes", "deepspeech_small"],
    group_name=RECIPES,
    owners=OWNERS,
    kinds={"torch"},
    pool="gpu",
    code_version="1",
    description="The shipped speech network from nothing: synthetic speech, CTC training, figures. Hours long.",
)
@retried_when_transient
@one_writer("recipes/deepspeech_small")
def deepspeech_small(context: dg.AssetExecutionContext, store: Store, settings: Settings) -> dg.MaterializeResult:
    from magictalk_core.storage.hashes import file_md5

    timer = Timer()
    recipe, out = settings.load().speech_recipe, store.workspace.recipes("deepspeech_small")
    command = [
        sys.executable,
        "-m",
        "magictalk_core.recipes.deepspeech_small",
        "--out",
        str(out),
        "--seed",
        str(recipe.seed),
    ]
    command += ["--shards", str(recipe.shards), "--steps", str(recipe.steps)]
    # A process of its own: it goes on from its last shard or checkpoint when the asset is materialized again.
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise PermanentError(f"the recipe ended with {done.returncode}; its messages are above: {' '.join(command)}")
    weights = out / "deepspeech_small.safetensors"
    figures = json.loads((out / "figures.json").read_text(encoding="utf-8"))
    md5 = file_md5(weights)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(md5), metadata=materialization(weights, md5, timer, **figures)
    )
