"""Where everything lies under `$MAGICTALK_HOME`. The only place that spells these paths."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Workspace", "absolute"]


def absolute(path: Path) -> Path:
    """The path from the root, without links and `~`. Unlike `Path.resolve` it raises nothing, for links in a circle."""
    return Path(os.path.realpath(os.path.expanduser(path)))


@dataclass(frozen=True)
class Workspace:
    """The folder that holds all data and state of one user: corpora, tables, models, videos, Dagster, MLflow, DVC.

    ::

        corpora/<name>/corpus.yaml          what `magictalk corpus add` wrote
        corpora/<name>/source.parquet       listing of the raw files
        corpora/<name>/listing.json         the same by content alone, in three numbers
        corpora/<name>/media/<shard>/       <clip>.mp4 (25 fps, face crop), <clip>.wav (16 kHz mono)
        corpora/<name>/dataset/             what DVC versions: clips.parquet, media|blendshapes|speech/<shard>.parquet
        corpora/<name>/pieces/<table>/      which pieces of the cache each shard is made of
        corpora/<name>/local/               raw files from archives and downloads
        corpora/<name>/fetched.parquet      what became of each listed video that is not on disk
        corpora/<name>/card/                README.md, funnel.svg
        cache/<step>/                       results per clip, by content
        locks/                              one file for each thing that somebody writes
        manifests/<name>.json               digest and files of each dataset
        preset.yaml                         the workspace's settings, every value spelled out
        withdrawals.jsonl                   who and what was withdrawn, by whom and why
        arkit_dataset/ training_set/ models/ releases/ rig/ generated/ refined/ scores/ tables/ videos/ report/
        external/<system>/<clip>.mp4        videos of the systems that are compared with, external_videos.parquet
        study/                              the user study: its plan, the key to its videos, returned answers
        figures/                            what shows results: figure4, figure6, figure9, user_study
        picture_motion/ picture_scores/ paper/    of the clips whose pictures are judged
        lineage_report/                     what is stale, unverifiable, under which terms
        provenance/                         copies of all records that ever were, and the ids of the clips behind them
        dagster/ mlflow/ .git/ .dvc/ dvc.yaml dvc.lock params.yaml logs/
    """

    home: Path

    @classmethod
    def from_environment(cls) -> Workspace:
        """`$MAGICTALK_HOME`, or `./data`."""
        return cls(absolute(Path(os.environ.get("MAGICTALK_HOME") or "data")))

    @property
    def corpora(self) -> Path:
        return self.home / "corpora"

    def corpus(self, name: str) -> Path:
        return self.corpora / name

    def corpus_file(self, name: str) -> Path:
        return self.corpus(name) / "corpus.yaml"

    def source_table(self, name: str) -> Path:
        return self.corpus(name) / "source.parquet"

    def listing(self, name: str) -> Path:
        """Changes when raw files or labels change in content, and only then: what DVC depends on."""
        return self.corpus(name) / "listing.json"

    def dataset(self, name: str) -> Path:
        """The directory that the manifest describes and DVC versions."""
        return self.corpus(name) / "dataset"

    def clips_table(self, name: str) -> Path:
        return self.dataset(name) / "clips.parquet"

    def index_table(self, name: str) -> Path:
        """CLIPS rows as listed and probed, before any decoding; the finished table is `clips_table`."""
        return self.corpus(name) / "index.parquet"

    def shard_table(self, name: str, table: str, shard: str) -> Path:
        return self.dataset(name) / table / f"{shard}.parquet"

    def media(self, name: str, shard: str) -> Path:
        return self.corpus(name) / "media" / shard

    def piece_list(self, name: str, table: str, shard: str) -> Path:
        """Which pieces of the cache a shard is made of (`work/pieces.py`)."""
        return self.corpus(name) / "pieces" / table / f"{shard}.json"

    def local_media(self, name: str) -> Path:
        """Raw files that this project brought: unpacked archives and fetched videos."""
        return self.corpus(name) / "local"

    def fetched_table(self, name: str) -> Path:
        """FETCHED rows: the outcome for each listed video, misses included."""
        return self.corpus(name) / "fetched.parquet"

    def card(self, name: str) -> Path:
        """The dataset card: README.md and the funnel plot."""
        return self.corpus(name) / "card"

    def manifest(self, name: str) -> Path:
        """Outside the dataset: it describes it."""
        return self.home / "manifests" / f"{name}.json"

    def cache(self, step: str) -> Path:
        return self.home / "cache" / step

    @property
    def file_hashes(self) -> Path:
        """md5 of large files, by size, time and inode."""
        return self.cache("md5") / "files.sqlite"

    def lock(self, thing: str) -> Path:
        """Held by whoever writes `thing`: the key of an asset, with its shard where it has one."""
        return self.home / "locks" / f"{thing}.lock"

    @property
    def preset(self) -> Path:
        """The workspace's settings, every value spelled out: what every run uses and DVC's `params` read."""
        return self.home / "preset.yaml"

    @property
    def arkit_dataset(self) -> Path:
        """The publishable dataset over all corpora."""
        return self.home / "arkit_dataset"

    @property
    def training_set(self) -> Path:
        return self.home / "training_set"

    def models(self, family: str) -> Path:
        return self.home / "models" / family

    def releases(self, family: str) -> Path:
        """What was decided about the models of a family, and its champion."""
        return self.home / "releases" / family

    def recipes(self, model: str) -> Path:
        """Where a model that the package ships is made again."""
        return self.home / "recipes" / model

    @property
    def rig(self) -> Path:
        return self.home / "rig"

    def generated(self, method: str) -> Path:
        return self.home / "generated" / method

    def refined(self, method: str) -> Path:
        return self.home / "refined" / method

    @property
    def lip_ablation(self) -> Path:
        return self.home / "lip_ablation"

    @property
    def scores(self) -> Path:
        return self.home / "scores"

    @property
    def seed_scores(self) -> Path:
        return self.home / "seed_scores"

    @property
    def set_scores(self) -> Path:
        return self.home / "set_scores"

    def picture_motion(self, method: str) -> Path:
        return self.home / "picture_motion" / method

    @property
    def picture_scores(self) -> Path:
        return self.home / "picture_scores"

    @property
    def tables(self) -> Path:
        return self.home / "tables"

    @property
    def videos(self) -> Path:
        return self.home / "videos"

    @property
    def external(self) -> Path:
        """Videos of systems of others, a folder for each, and the table of what became of every clip."""
        return self.home / "external"

    @property
    def external_videos(self) -> Path:
        return self.external / "external_videos.parquet"

    @property
    def study(self) -> Path:
        """The user study: its definition with the key to its blinded videos, and the answers that came back."""
        return self.home / "study"

    @property
    def figures(self) -> Path:
        return self.home / "figures"

    @property
    def paper(self) -> Path:
        """The page of the paper's tables and figures."""
        return self.home / "paper"

    @property
    def lineage_report(self) -> Path:
        """What is stale, orphaned or unverifiable, and what models oblige to."""
        return self.home / "lineage_report"

    @property
    def report(self) -> Path:
        return self.home / "report"

    @property
    def mlflow(self) -> Path:
        return self.home / "mlflow"

    @property
    def mlflow_uri(self) -> str:
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.mlflow / 'mlflow.db'}"

    @property
    def withdrawals(self) -> Path:
        """The record of withdrawals (`corpora/withdrawal_log.py`): only ever appended to."""
        return self.home / "withdrawals.jsonl"

    @property
    def run_lock(self) -> Path:
        """Held by `magictalk run` while it works."""
        return self.home / ".run.lock"

    @property
    def logs(self) -> Path:
        """Tracebacks of what nobody foresaw."""
        return self.home / "logs"

    @property
    def dagster(self) -> Path:
        return self.home / "dagster"
