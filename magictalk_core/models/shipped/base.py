"""`magictalk-base`: the models that come with the package, one model folder per family, made by `recipes/base_models`.

::

    magictalk-base/README.md        card: what they were made from, figures, limits, licence
    magictalk-base/measured.json    version, md5 of every file, and what was measured on voices that were left out
    magictalk-base/<family>/        as training leaves it (`training/model_folder.py`), weights in half precision
    magictalk-base/sync_expert/     what finds late sound: `models/sync_expert/linear.py`
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from magictalk_core.errors import PermanentError
from magictalk_core.vocabulary.shipped import BASE

__all__ = ["BASE", "BASE_FAMILIES", "MEASURED", "SYNC_EXPERT", "base_folder", "base_name", "measured_of_base"]

BASE_FAMILIES = ("emodiff", "audio2bs", "lip_residue")
SYNC_EXPERT = "sync_expert"
MEASURED = "measured.json"


def base_folder(family: str | None = None) -> Path:
    """Where they lie, or the folder of one of `BASE_FAMILIES` or of `SYNC_EXPERT`. Raises `PermanentError` where it is
    missing."""
    path = Path(str(resources.files("magictalk_core.models.shipped").joinpath(BASE)))
    path = path if family is None else path / family
    if not path.is_dir():
        raise PermanentError(
            f"{path} is missing from this installation: install magictalk again, or make it with `python -m "
            "magictalk_core.recipes.base_models`"
        )
    return path


def measured_of_base() -> dict[str, object]:
    """What lies in `MEASURED`."""
    values: dict[str, object] = json.loads((base_folder() / MEASURED).read_text(encoding="utf-8"))
    return values


def base_name() -> str:
    """`magictalk-base` and its version: what is printed, and stamped into what they make."""
    return f"{BASE} {measured_of_base()['version']}"
