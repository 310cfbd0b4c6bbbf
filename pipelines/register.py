"""Registering a corpus from Dagster's UI: what `magictalk corpus add` does, as a job with a form."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops as they stand.

from pathlib import Path

import dagster as dg
from pydantic import Field

from assets.resources import Store
from magictalk_core.corpora.kinds import kind_names

__all__ = ["register_corpus"]


class NewCorpus(dg.Config):
    """One registered corpus; the words of `magictalk corpus add`."""

    name: str = Field(description="name of the corpus: the first part of its clip ids")
    kind: str = Field(description=f"layout on disk: {kind_names()}")
    root: str = Field(description="folder with the raw files; never written to")
    labels: str = Field("", description="CSV with path, speaker, emotion ..., for kinds that take one")
    split: str = Field("auto", description="how speakers are held out; auto: the kind's usual way")
    licence: str = Field("unknown", description="licence or terms of the raw clips")
    replace: bool = Field(False, description="replace a corpus of the same name")


@dg.op(description="Write the corpus into the registry of the workspace. Nothing is read but the folder's existence.")
def add_to_registry(context: dg.OpExecutionContext, config: NewCorpus, store: Store) -> None:
    from magictalk_core.corpora.registry import add_corpus, new_entry

    labels = Path(config.labels) if config.labels else None
    entry = new_entry(
        name=config.name,
        kind=config.kind,
        root=Path(config.root),
        labels=labels,
        licence=config.licence,
        split=config.split,
    )
    add_corpus(store.workspace, entry, replace=config.replace)
    context.log.info(
        f"registered `{entry.name}` ({entry.kind}) at {entry.root}; next: reload the code location (Deployment), "
        f"then start the job {entry.name}_materialize"
    )


@dg.job(description="Register a corpus; afterwards reload the code location, and its assets and jobs are there.")
def register_corpus() -> None:
    add_to_registry()
