"""What is said about files: every source of hashes in a workspace, each checked itself before it is believed.

Sources stand for each other: a manifest, a provenance record and DVC's cache may all name the same file. A source that
is damaged is a finding of its own; the files that only it knows are then left alone and are not called foreign.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from magictalk_core.lineage.integrity.findings import Finding, Kind

__all__ = ["Claim", "Claims"]


@dataclass(frozen=True)
class Claim:
    """`by` says that `file` has this md5. Of several claims one must hold; those that do not are out of date.

    `bytes` and `mtime_ns` where the source knows them. `remedy`: what to do when the file is wrong without a copy.
    `is_needed`: whether it is a fault that the file is not there. `is_fixed`: the file is never written again, so that
    this claim must hold whatever others say.
    """

    file: Path
    md5: str
    by: str
    remedy: str
    bytes: int | None = None
    mtime_ns: int | None = None
    is_needed: bool = True
    is_fixed: bool = False


@dataclass
class Claims:
    """What the sources say, and what is wrong with the sources themselves."""

    home: Path
    by_file: dict[Path, list[Claim]] = field(default_factory=lambda: defaultdict(list))
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sources: set[Path] = field(default_factory=set)
    """Files that were checked by themselves, by a seal or a digest of their own."""
    in_the_dark: set[Path] = field(default_factory=set)
    """Files and folders that a damaged source would have told about."""
    raw: set[Path] = field(default_factory=set)
    """Folders of raw files."""
    _by_md5: dict[str, Path] = field(default_factory=dict)

    def add(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self.by_file[claim.file].append(claim)

    def by_md5(self) -> dict[str, Path]:
        """A file that should have each md5; of several the first that was claimed."""
        if not self._by_md5:
            for file, said in self.by_file.items():
                self._by_md5.setdefault(said[0].md5, file)
        return self._by_md5

    def shown(self, path: Path) -> str:
        return path.relative_to(self.home).as_posix() if path.is_relative_to(self.home) else path.as_posix()

    def damaged_source(self, source: Path, what: str, *dark: Path) -> None:
        """`source` is not whole; `dark` are the files and folders that it alone tells about."""
        self.findings.append(Finding(self.shown(source), Kind.DAMAGED, what, by="its own digest"))
        self.sources.add(source)
        self.in_the_dark.update(dark)

    def is_in_the_dark(self, file: Path) -> bool:
        return file in self.in_the_dark or any(folder in self.in_the_dark for folder in file.parents)
