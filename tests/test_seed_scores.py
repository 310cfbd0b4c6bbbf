"""Further trainings: scored as the models in use are, resumed where they were, and not kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chain_fixtures import CORPUS, copy_of, tiny_preset

from magictalk_core.evaluation import seed_scores
from magictalk_core.evaluation.seed_scores import IN_USE, SEEDED, score_seeds, seed_summary, with_seed
from magictalk_core.models.families import FAMILIES
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import SCORES, SEED_SCORES
from magictalk_core.workspace import Workspace


def rows(values: dict[int, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "seed": seed,
                "clip_id": f"c/s/{i}",
                "method": "magictalk",
                "metric": "mae_mouth",
                "value": v,
                "unit": "1",
                "stand_ins": "none",
            }
            for seed, clips in values.items()
            for i, v in enumerate(clips)
        ]
    )


def test_the_summary_tells_trainings_from_clips() -> None:
    clips = np.linspace(0.01, 0.03, 10)
    (row,) = seed_summary(rows({-1: list(clips), 1: list(clips + 0.01), 2: list(clips + 0.02)})).to_dict("records")
    assert (row["seeds"], row["clips"]) == (3, 10)
    assert row["mean"] == pytest.approx(0.03) and row["between_seeds"] == pytest.approx(0.01)
    assert row["low"] < 0.025 and row["high"] > 0.035, "another training is as far as the clips are from each other"
    alone = seed_summary(rows({-1: list(clips)})).iloc[0]
    assert np.isnan(alone["low"]) and np.isnan(alone["between_seeds"]) and alone["mean"] == pytest.approx(0.02)
    gap = rows({-1: [0.1, 0.2], 1: [0.3, np.nan]})
    assert seed_summary(gap).iloc[0]["clips"] == 1, "a clip counts when every training has a value for it"


def test_a_seed_reaches_every_training_and_nothing_else() -> None:
    preset = Preset.model_validate(tiny_preset())
    other = with_seed(preset, 7)
    for family in SEEDED:
        before, after = (FAMILIES[family].settings_of(p).training for p in (preset, other))
        assert after.seed == 7 and after.model_copy(update={"seed": before.seed}) == before
    assert other.evaluation == preset.evaluation and other.emodiff_student == preset.emodiff_student


def test_seeds_are_trained_scored_and_not_kept(
    tiny_chain: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = copy_of(tiny_chain, tmp_path / "home")
    values = tiny_preset()
    values["evaluation"]["seeds"] = [5]
    values["emodiff"]["training"]["epochs"] = 1
    preset = Preset.model_validate(values)
    found = score_seeds(workspace, [CORPUS], preset)
    table = read_frame(SEED_SCORES, found.path)
    assert found.seeds == 2 and set(table["seed"]) == {IN_USE, 5} and set(table["method"]) == {"emodiff", "magictalk"}
    scores = read_frame(SCORES, workspace.scores / "scores.parquet")
    own = scores[scores["method"] == "magictalk"]
    again = table[(table["seed"] == IN_USE) & (table["method"] == "magictalk")]
    assert again["value"].to_numpy() == pytest.approx(own["value"].to_numpy(), nan_ok=True)
    errors = table[table["metric"] == "mae_mouth"].pivot(index="seed", columns=["clip_id", "method"], values="value")
    assert (errors.loc[IN_USE] != errors.loc[5]).all(), "another training makes another motion"
    assert (found.path.with_name("seed_summary.csv")).is_file() and not workspace.cache("seed_scores").exists()
    monkeypatch.setattr(seed_scores, "train", lambda *_: pytest.fail("trained again"))
    assert score_seeds(workspace, [CORPUS], preset).md5 == found.md5
