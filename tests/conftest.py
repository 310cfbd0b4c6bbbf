"""Shared fixtures. Tests run without network, GPU, ../shared and third-party weights unless they say otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from magictalk_core.workspace import Workspace

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace; the environment's own is out of reach."""
    for variable in ("MAGICTALK_HOME", "MAGICTALK_PRESET", "MAGICTALK_DVC_ROOT", "MLFLOW_TRACKING_URI", "DAGSTER_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return Workspace(tmp_path / "home")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The development material beside the checkout; absent elsewhere."""
    if not (SHARED / "samples").is_dir():
        pytest.skip(f"needs the real clips and weights of {SHARED}, which this machine does not have")
    return SHARED
