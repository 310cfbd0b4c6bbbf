"""How well made mouths follow people's voices, as `benchmarks/real_voices.py` measured it for the shipped models.

The figures come with the package, since the clips of people do not: every report opens with them, whatever corpus it is
about. `benchmarks/real_voices.py --json` writes the file anew.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from magictalk_core.config import StrictModel

__all__ = ["RealVoices", "VoiceRow", "real_voices", "real_voices_file"]


class VoiceRow(StrictModel):
    """One method, means over the clips: `r` with its 95 % interval, the correlation of the made jaw with the tracked
    one at the lag of each clip's file; `r_at_0` without it; `lips`, that of the opening between the lips; `std`, made
    over tracked standard deviation of the jaw (None where a method has no such thing)."""

    method: str
    r: float
    low: float
    high: float
    r_at_0: float
    lips: float
    std: float | None


class RealVoices(StrictModel):
    """`models` is the name and version of the shipped ones that took part, `day` when."""

    models: str
    day: str
    clips: int
    seconds: float
    rows: tuple[VoiceRow, ...]


def real_voices_file() -> Path:
    """Where the figures lie in the package."""
    return Path(str(resources.files("magictalk_core.models.shipped").joinpath("real_voices.json")))


def real_voices() -> RealVoices:
    """The figures that come with this version."""
    return RealVoices.model_validate_json(real_voices_file().read_bytes())
