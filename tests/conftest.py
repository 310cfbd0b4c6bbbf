"""Shared fixtures. Tests run without network, GPU, ../shared and third-party weights unless they say otherwise."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from magictalk_core.storage.locks import one_at_a_time
from magictalk_core.workspace import Workspace

SHARED = Path(__file__).resolve().parents[2] / "shared"

# Before torch is loaded, and for every child: the tests' networks are tiny, and threads that wait for each other cost
# more than they bring (four times the processor time of `set_scores` on two busy cores). Trainings have their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

FIRST = ("test_chain.py", "test_real_clips.py", "test_shards.py", "test_snapshots.py")
"""What takes longest begins first. Other files that need the finished chain come last: they would wait for it."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    _thin(items)

    def place(item: pytest.Item) -> int:
        if item.path.name in FIRST:
            return FIRST.index(item.path.name)
        return len(FIRST) + (item.path.name in last)

    last = {item.path.name for item in items if "tiny_chain" in getattr(item, "fixturenames", ())}
    items.sort(key=place)


def _thin(items: list[pytest.Item]) -> None:
    """Mark as slow what `thinned` leaves out, before pytest chooses by marks."""
    seen: Counter[str] = Counter()
    for item in items:
        marker = item.get_closest_marker("thinned")
        if marker is None:
            continue
        function = item.nodeid.partition("[")[0]
        if seen[function] % marker.args[0]:
            item.add_marker("slow")
        seen[function] += 1


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace; the environment's own is out of reach."""
    for variable in ("MAGICTALK_HOME", "MAGICTALK_PRESET", "MLFLOW_TRACKING_URI", "DAGSTER_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return Workspace(tmp_path / "home")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The development material beside the checkout; absent elsewhere."""
    if not (SHARED / "samples").is_dir():
        pytest.skip(f"needs the real clips and weights of {SHARED}, which this machine does not have")
    return SHARED


@contextmanager
def _made_once(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that all processes of the suite share; the block fills it where `made` is not in it yet."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    with one_at_a_time(folder / "lock"):
        yield folder
        (folder / "made").touch()


@pytest.fixture(scope="session")
def tiny_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw clips of `chain_fixtures.TINY_CLIPS`; read only."""
    from chain_fixtures import TINY_CLIPS
    from face_fixtures import need_embedded_weights

    from magictalk_core.sample_corpus.build import build_sample_corpus

    need_embedded_weights()
    with _made_once("tiny", tmp_path_factory) as folder:
        if not (folder / "made").exists():
            build_sample_corpus(folder / "raw", workers=2, only=TINY_CLIPS)
    return folder / "raw"


@pytest.fixture(scope="session")
def tiny_chain(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace after one run of the whole graph with `chain_fixtures.tiny_preset`; to be copied, not changed."""
    from chain_fixtures import new_workspace, run_graph, tiny_preset

    with _made_once("chain", tmp_path_factory) as folder:
        if not (folder / "made").exists():
            run_graph(new_workspace(folder / "home", tiny_raw), tiny_preset())
    return Workspace(folder / "home")
