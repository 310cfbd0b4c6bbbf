"""Presets: unknown keys fail, and where two differ in algorithm the YAML file says so."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from magictalk_core.errors import UserError
from magictalk_core.models.families import FAMILIES
from magictalk_core.presets.of_workspace import preset_differences
from magictalk_core.presets.preset import Preset, algorithm_differences, load_preset, preset_names


@pytest.mark.parametrize(("name", "other"), [("sample", "paper"), ("base", "sample"), ("own_face", "base")])
def test_a_preset_names_every_switch_in_which_it_differs_from_another(name: str, other: str) -> None:
    text = resources.files("magictalk_core.presets").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    named = re.findall(r"^#   ([\w.]+): ", text, flags=re.MULTILINE)
    assert sorted(named) == sorted(algorithm_differences(load_preset(name), load_preset(other)))


def test_the_base_preset_hears_real_voices_and_is_the_sample_preset_otherwise() -> None:
    different = preset_differences(load_preset("sample"), load_preset("base"))
    assert set(different) == {
        "name",
        "speech.feature",
        *(f"training_set.sync_gate.{name}" for name in ("expert", "action")),
        *(f"audio2bs.network.{name}" for name in ("feature_frames", "base", "base_components")),
    }


def test_a_size_is_no_difference_in_algorithm() -> None:
    one = Preset.model_validate({"name": "a", "emodiff": {"network": {"hidden": 64}, "training": {"epochs": 3}}})
    assert algorithm_differences(one, Preset(name="b")) == {}
    other = Preset.model_validate({"name": "c", "emodiff": {"sampling": {"sampler": "ddim"}}})
    assert algorithm_differences(other, one) == {"emodiff.sampling.sampler": ("ddim", "ddpm")}


def test_every_family_finds_its_settings_in_every_preset() -> None:
    for name in preset_names():
        for family in FAMILIES.values():
            settings = family.settings_of(load_preset(name))
            # A readout that is corrected in closed form needs none.
            assert settings.training.epochs > 0 or settings.training.init  # type: ignore[attr-defined]
            assert "sampling" not in family.learned_from(settings)
    expert = FAMILIES["sync_expert_all_channels"].settings_of(load_preset("sample")).model_dump()
    assert expert["network"]["channels"] == "all"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nemodiff: {network: {hiden: 3}}", r"emodiff\.network\.hiden: Extra inputs are not permitted"),
        ("name: x\nmedia: {fps: 30}", r"media\.fps: Extra inputs are not permitted"),
        ("name: [", "is no valid YAML"),
        ("- 1", "valid dictionary"),
        ("emodiff: {}", "name: Field required"),
    ],
)
def test_what_a_preset_must_not_say(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        load_preset(path)


def test_an_unknown_preset_says_which_there_are() -> None:
    with pytest.raises(
        UserError, match=r"no preset `huge`: expected one of base, own_face, paper, sample, or the path of a YAML file"
    ):
        load_preset("huge")
