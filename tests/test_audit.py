"""Every kind of fault of a file is found and named, and what has a copy is brought back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from store_fixtures import small_store

from magictalk_core.lineage.integrity.audit import audit
from magictalk_core.lineage.integrity.findings import Finding, Kind
from magictalk_core.lineage.integrity.places import files_of_workspace, is_bookkeeping
from magictalk_core.workspace import Workspace


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return small_store(tmp_path / "home")


def found(store: Workspace) -> tuple[Finding, ...]:
    return audit(store).report.findings


def kinds(store: Workspace) -> dict[str, Kind]:
    return {finding.path: finding.kind for finding in found(store)}


def artefacts(store: Workspace) -> list[Path]:
    """Every result in the workspace, its raw files and DVC's cache."""
    raw = store.home.parent / f"{store.home.name}-raw"
    ours = [place.path for place in files_of_workspace(store.home, set())]
    results = [path for path in ours if not is_bookkeeping(path.relative_to(store.home).as_posix())]
    cached = [path for path in (store.home / ".dvc/cache").rglob("*") if path.is_file()]
    return sorted([*results, *cached, *raw.iterdir()])


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_whole_store_has_nothing_wrong(store: Workspace) -> None:
    report = audit(store).report
    assert report.findings == () and report.notes == ()
    assert report.files > 20 and report.bytes > 10_000


def _flips_not_found(store: Workspace, number: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    files = artefacts(store)
    missed = []
    for i in range(number):
        path = files[i % len(files)]
        content, bit = path.read_bytes(), int(rng.integers(8 * path.stat().st_size))
        flip(path, bit)
        shown = path.relative_to(store.home).as_posix() if path.is_relative_to(store.home) else str(path)
        if shown not in kinds(store):
            missed.append(f"{shown} bit {bit}")
        path.write_bytes(content)
    return missed


def test_every_flipped_bit_is_found(store: Workspace) -> None:
    assert _flips_not_found(store, 200, seed=1) == []


@pytest.mark.slow
def test_ten_thousand_flipped_bits_are_found(store: Workspace) -> None:
    assert _flips_not_found(store, 10_000, seed=2) == []
