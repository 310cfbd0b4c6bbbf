"""The systems that the paper compares with (Tables 1 and 2, Figures 4 and 5), each in its own file."""

from __future__ import annotations

from magictalk_core.errors import UserError
from magictalk_core.evaluation.external.eamm import EAMM
from magictalk_core.evaluation.external.evp import EVP
from magictalk_core.evaluation.external.makeittalk import MAKEITTALK
from magictalk_core.evaluation.external.pd_fgc import PD_FGC
from magictalk_core.evaluation.external.sadtalker import SADTALKER
from magictalk_core.evaluation.external.system import ExternalSystem

__all__ = ["SYSTEMS", "system_named", "title_of"]

SYSTEMS: dict[str, ExternalSystem] = {one.name: one for one in (MAKEITTALK, SADTALKER, EAMM, PD_FGC, EVP)}


def system_named(name: str) -> ExternalSystem:
    """Raises `UserError` naming those that are known."""
    if name not in SYSTEMS:
        known = ", ".join(SYSTEMS)
        raise UserError(f"no adapter `{name}`: expected one of {known}; of any other system give finished videos")
    return SYSTEMS[name]


def title_of(name: str) -> str:
    """As the paper writes it; of a system without adapter its name."""
    return SYSTEMS[name].title if name in SYSTEMS else name
