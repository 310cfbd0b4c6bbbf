"""The settings of a whole run: every room's section in one frozen model, one YAML file per preset.

No code asks which preset is running. Where presets differ in algorithm and not only in size, `algorithm_differences`
says in what, and the head of the YAML file says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from magictalk_core.config import (
    AllChannelsConfig,
    DataSettings,
    EvaluationConfig,
    PictureConfig,
    ReleaseConfig,
    RetrainingConfig,
    SpeechRecipeConfig,
    StrictModel,
)
from magictalk_core.errors import UserError
from magictalk_core.models.audio2bs.config import Audio2BSSettings
from magictalk_core.models.emodiff.config import EmoDiffSettings
from magictalk_core.models.emodiff_student.config import StudentSettings
from magictalk_core.models.emotion_fan.config import EmotionFanSettings
from magictalk_core.models.facevid2vid.training_config import FaceVid2VidSettings
from magictalk_core.models.lip_residue.config import LipResidueSettings
from magictalk_core.models.sync_expert.config import SyncExpertSettings

__all__ = ["Preset", "algorithm_differences", "is_preset", "load_preset", "parse_preset", "preset_names"]


class Preset(DataSettings):
    """All settings of a run."""

    name: str
    speech_recipe: SpeechRecipeConfig = SpeechRecipeConfig()
    emodiff: EmoDiffSettings = EmoDiffSettings()
    emodiff_student: StudentSettings = StudentSettings()
    sync_expert: SyncExpertSettings = SyncExpertSettings()
    audio2bs: Audio2BSSettings = Audio2BSSettings()
    lip_residue: LipResidueSettings = LipResidueSettings()
    emotion_fan: EmotionFanSettings = EmotionFanSettings()
    facevid2vid: FaceVid2VidSettings = FaceVid2VidSettings()
    all_channels: AllChannelsConfig = AllChannelsConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    pictures: PictureConfig = PictureConfig()
    release: ReleaseConfig = ReleaseConfig()
    retraining: RetrainingConfig = RetrainingConfig()


def preset_names() -> tuple[str, ...]:
    files = resources.files("magictalk_core.presets").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def is_preset(name_or_path: str | Path) -> bool:
    """Whether it names a shipped preset, or a file."""
    return str(name_or_path) in preset_names() or Path(name_or_path).is_file()


def load_preset(name_or_path: str | Path) -> Preset:
    """The preset of that name, or the YAML file at that path. Raises `UserError` naming the wrong key."""
    if str(name_or_path) in preset_names():
        text = resources.files("magictalk_core.presets").joinpath(f"{name_or_path}.yaml").read_text(encoding="utf-8")
    elif Path(name_or_path).is_file():
        text = _read(Path(name_or_path))
    else:
        known = ", ".join(preset_names())
        raise UserError(f"no preset `{name_or_path}`: expected one of {known}, or the path of a YAML file")
    return parse_preset(text, str(name_or_path))


def parse_preset(text: str, where: str) -> Preset:
    """The preset in a YAML text. Raises `UserError` naming `where` and the wrong key."""
    try:
        values: Any = yaml.load(text, yaml.CSafeLoader) or {}
        return Preset.model_validate(values)
    except yaml.YAMLError as error:
        raise UserError(f"preset `{where}` is no valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UserError(f"preset `{where}`: {problems}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the preset {path}: {error}") from error


def _switches(settings: StrictModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every setting that changes what is computed."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, StrictModel):
            yield from _switches(value, f"{prefix}{name}.")
        elif isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("algorithm"):
            yield f"{prefix}{name}", value


def algorithm_differences(one: Preset, other: Preset) -> dict[str, tuple[Any, Any]]:
    """The settings in which two presets differ in algorithm, not only in size: dotted name -> both values."""
    others = dict(_switches(other))
    return {name: (value, others[name]) for name, value in _switches(one) if value != others[name]}
