"""Shared fixtures. Tests run without network, GPU, ../shared and third-party weights unless they say otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from magictalk_core.workspace import Workspace

SHARED = Path(__file__).resolve().parents[2] / "shared"

# Before torch is loaded, and for every child: the tests' networks are tiny, and threads that wait for each other cost
# more than they bring (four times the processor time of `set_scores` on two busy cores). Trainings have their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace; the environment's own is out of reach."""
    for variable in ("MAGICTALK_HOME", "MAGICTALK_PRESET", "MAGICTALK_DVC_ROOT", "MLFLOW_TRACKING_URI", "DAGSTER_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return Workspace(tmp_path / "home")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the suite, a file stays in one, and so do all that need the finished chain."""
    for item in items:
        group = "tiny_chain" if "tiny_chain" in getattr(item, "fixturenames", ()) else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The development material beside the checkout; absent elsewhere."""
    if not (SHARED / "samples").is_dir():
        pytest.skip(f"needs the real clips and weights of {SHARED}, which this machine does not have")
    return SHARED


@pytest.fixture(scope="session")
def tiny_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw clips of `chain_fixtures.TINY_CLIPS`; read only."""
    from chain_fixtures import TINY_CLIPS
    from face_fixtures import need_embedded_weights

    from magictalk_core.sample_corpus.build import build_sample_corpus

    need_embedded_weights()
    root = tmp_path_factory.mktemp("tiny") / "raw"
    build_sample_corpus(root, workers=2, only=TINY_CLIPS)
    return root


@pytest.fixture(scope="session")
def tiny_chain(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace after one run of the whole graph with `chain_fixtures.tiny_preset`; to be copied, not changed."""
    from chain_fixtures import new_workspace, run_graph, tiny_preset

    workspace = new_workspace(tmp_path_factory.mktemp("chain") / "home", tiny_raw)
    run_graph(workspace, tiny_preset())
    return workspace
