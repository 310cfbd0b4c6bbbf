"""Which file the network of a speech feature comes from: apart from the networks, so that asking loads no torch."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.weights.resolver import content_sha256, resolve

__all__ = ["FILES", "SHIPPED", "weights_sha256", "weights_source"]

SHIPPED = {
    "deepspeech-small-1": ("deepspeech_small.safetensors", "python -m magictalk_core.recipes.deepspeech_small"),
    "whisper-tiny-en-l2": ("whisper_tiny_en_l2.safetensors", "python scripts/dev/build_whisper_feature.py tiny.en.pt"),
}
"""Files beside this one, and how each is made."""

FILES = {
    "deepspeech-0.9.3": "deepspeech-0.9.3-models.pbmm",
    "deepspeech-0.9.3-tflite": "deepspeech-0.9.3-models.tflite",
    "deepspeech-0.1.0": "deepspeech-0.1.0-output_graph.pb",
    **dict.fromkeys(SHIPPED, None),
}
"""By feature id: the name in the weights manifest; None: shipped."""


def weights_source(feature_id: str) -> Path:
    """The file that the model comes from. Raises `PermanentError` that names it and says how to get it."""
    if feature_id not in FILES:
        raise UserError(f"no speech network `{feature_id}`; known: {', '.join(FILES)}")
    name = FILES[feature_id]
    if name is not None:
        return resolve(name)
    file, recipe = SHIPPED[feature_id]
    path = Path(str(resources.files("magictalk_core.speech").joinpath(file)))
    if not path.is_file():
        raise PermanentError(
            f"{path} is missing from this installation: install magictalk again, or make the file with `{recipe}`"
        )
    return path


def weights_sha256(feature_id: str) -> str:
    """Of the file that the network of this feature comes from. Raises `PermanentError` when it is not here."""
    return content_sha256(weights_source(feature_id))
